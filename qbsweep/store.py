"""The dataset on disk: allocated once, written in whole chunks, told by `status` what is done.

Every variable has one chunk per block, so a block's writer owns whole chunks and no two writers ever meet.
Within a block `status` is written last. Zarr replaces a chunk atomically, so whoever is killed leaves a block
either done or pending, never half done.
"""

import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.codecs
from numpy.typing import NDArray

from qbsweep import evaluate, schema
from qbsweep.axes import Axis
from qbsweep.errors import QbsweepError
from qbsweep.grid import Grid, Slices
from qbsweep.physics.closed_forms import optimal_coupling
from qbsweep.plan import stored_variables
from qbsweep.schema import FAILED, PARAMETERS, PENDING, VARIABLES
from qbsweep.spec import SweepSpec, dump_spec, parse_spec

Arrays = Mapping[str, NDArray[Any]]


class Store:
    """An allocated dataset.

    Attributes
    ----------
    path : Path
    spec : SweepSpec
        As recorded in the dataset itself.
    grid : Grid
        Its blocks are the chunks of the arrays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # A chunk that equals the fill value is written all the same: a zero status is a status.
            with zarr.config.set({"array.write_empty_chunks": True}):
                group = zarr.open_group(str(path), mode="r+", use_consolidated=False)
                version = group.attrs["qbsweep_format"]
                if version != schema.FORMAT:
                    raise QbsweepError(
                        f"{path} has format {version}, but this version of qbsweep reads format {schema.FORMAT}; "
                        "use the version named in its attributes, or another --out"
                    )
                self.spec = parse_spec(str(group.attrs["spec"]))
                self._arrays = {name: _array(group, name) for name in stored_variables(self.spec)}
        except QbsweepError:
            raise
        except Exception as error:
            raise QbsweepError(
                f"{path} is damaged or not a qbsweep dataset ({_one_line(error)}); "
                "nothing was changed; move it away or give another --out"
            ) from error
        self.grid = Grid(tuple(self.spec.axes), self._arrays["status"].shape, self._arrays["status"].chunks)

    def status(self) -> NDArray[np.int8]:
        """Return the status of every point, in the grid's shape."""
        return self.read_status(())

    def read_status(self, region: Slices) -> NDArray[np.int8]:
        """Return the status of a region."""
        return np.asarray(self._arrays["status"][region], dtype=np.int8)

    def read(self, region: Slices) -> dict[str, NDArray[Any]]:
        """Return all variables of a region, `status` included."""
        return {name: np.asarray(array[region]) for name, array in self._arrays.items()}

    def select(self, indices: Sequence[NDArray[np.intp]]) -> dict[str, NDArray[Any]]:
        """Return all variables at the product of index arrays, one per dimension of the grid."""
        return {name: np.asarray(array.oindex[tuple(indices)]) for name, array in self._arrays.items()}

    def write(self, region: Slices, arrays: Arrays) -> None:
        """Write a whole block, `status` last."""
        for name, array in self._arrays.items():
            if name != "status":
                array[region] = arrays[name]
        self._arrays["status"][region] = arrays["status"]

    def set_status(self, region: Slices, status: NDArray[np.int8]) -> None:
        """Write the status of a whole block whose other variables stay."""
        self._arrays["status"][region] = status

    def reset_failed(self) -> int:
        """Make failed points pending again; returns how many. For a driver, while nobody else writes."""
        count = 0
        everywhere = self.status()
        for number in range(self.grid.n_blocks):
            region = self.grid.block(number)
            status = everywhere[region]
            failed = status == FAILED
            if failed.any():
                self.set_status(region, np.where(failed, np.int8(PENDING), status))
                count += int(failed.sum())
        return count

    def remove_leftovers(self) -> None:
        """Remove the temporary files of writers that were killed."""
        for leftover in self.path.rglob("*.partial"):
            leftover.unlink(missing_ok=True)


def _array(group: zarr.Group, name: str) -> Any:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise KeyError(f"{name} is not an array")
    return array


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def allocate(path: Path, spec: SweepSpec, grid: Grid, provenance: Mapping[str, Any]) -> None:
    """Create the dataset: coordinates, empty variables, attributes. Complete or absent, never in between."""
    scratch = path.with_name(path.name + ".new")
    shutil.rmtree(scratch, ignore_errors=True)
    attributes = {
        "title": spec.name,
        "qbsweep_format": schema.FORMAT,
        "spec": dump_spec(spec),
        "spec_digest": spec.digest(),
        **provenance,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's notes on parts of the format that are young
        xr.Dataset(coords=coordinates(spec), attrs=attributes).to_zarr(scratch, zarr_format=3, consolidated=False)
        group = zarr.open_group(str(scratch), mode="r+")
        extra = evaluate.sizes(spec)
        for name in stored_variables(spec):
            variable = VARIABLES[name]
            tail = tuple(extra[dim] for dim in variable.extra_dims)
            group.create_array(
                name,
                shape=grid.shape + tail,
                chunks=grid.block_shape + tail,
                dtype=variable.dtype,
                fill_value=variable.fill,
                compressors=zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle=zarr.codecs.BloscShuffle.shuffle),
                dimension_names=grid.dims + variable.extra_dims,
                attributes={"units": _units(spec, variable.units), "long_name": variable.long_name, **_flags(name)},
            )
        # So that `xarray.open_zarr(path)` opens without a warning; the metadata do not change any more.
        zarr.consolidate_metadata(str(scratch))
    scratch.rename(path)


def _units(spec: SweepSpec, units: str) -> str:
    """Energies are in units of omega unless `omega` itself is given."""
    return "[omega]" if units == "omega" and spec.values("omega") != [1.0] else units


def _flags(name: str) -> dict[str, Any]:
    if name != "status":
        return {}
    return {"flag_values": list(schema.STATUS_NAMES), "flag_meanings": " ".join(schema.STATUS_NAMES.values())}


def coordinates(spec: SweepSpec) -> dict[str, xr.Variable]:
    """Label every dimension, every fixed parameter (as a scalar coordinate), and `J_abs` where J is relative."""
    result = {name: xr.Variable((name,), axis.array, _labels(axis)) for name, axis in spec.axes.items()}
    for name, axis in spec.fixed.items():
        result[name] = xr.Variable((), axis.array.reshape(()), _labels(axis))
    result["mode"] = xr.Variable(
        ("mode",),
        np.arange(spec.n_modes),
        {"units": "1", "long_name": "mode (0 charger, 1..N batteries, N the terminal one)"},
    )
    if spec.times is not None:
        result["time"] = xr.Variable(
            ("time",), spec.times.array, {"units": spec.times.unit, "long_name": "time since vacuum"}
        )
    if spec.coupling_unit == "J_op":
        result["J_abs"] = _absolute_coupling(spec)
    return result


def _labels(axis: Axis) -> dict[str, str]:
    parameter = PARAMETERS[axis.name]
    suffix = " over the optimal coupling J_op (10)" if axis.unit == "J_op" else ""
    return {"units": axis.unit, "long_name": parameter.long_name + suffix}


def _absolute_coupling(spec: SweepSpec) -> xr.Variable:
    """Coupling in units of omega over those of (topology, N, J, kappa) that are axes."""
    names = ("topology", "N", "J", "kappa")
    lengths = [len(spec.axis(name)) for name in names]
    J = spec.axis("J").array[:, None]
    kappa = spec.axis("kappa").array
    values = np.empty(lengths)
    for t, topology in enumerate(spec.values("topology")):
        for n, N in enumerate(spec.values("N")):
            values[t, n] = J * optimal_coupling(str(topology), int(N), kappa)
    swept = tuple(name for name in names if name in spec.axes)
    shape = [length for name, length in zip(names, lengths, strict=True) if name in spec.axes]
    return xr.Variable(swept, values.reshape(shape), {"units": "omega", "long_name": "coherent coupling"})
