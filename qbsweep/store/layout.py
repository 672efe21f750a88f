"""Lay out a new dataset: labelled coordinates, empty variables, attributes that say where it comes from."""

import math
import shutil
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
import zarr.codecs

from qbsweep.physics.topologies import optimal_coupling
from qbsweep.solvers.status import STATUS_NAMES
from qbsweep.store.directory import FORMAT
from qbsweep.store.grid import Grid
from qbsweep.sweep.axes import Axis
from qbsweep.sweep.parameters import PARAMETERS
from qbsweep.sweep.spec import SweepSpec, dump_spec
from qbsweep.sweep.variables import VARIABLES

if TYPE_CHECKING:
    import xarray as xr


def allocate(path: Path, spec: SweepSpec, grid: Grid, provenance: Mapping[str, Any]) -> None:
    """Create the dataset: coordinates, empty variables, attributes. Complete or absent, never in between."""
    import xarray as xr  # costs 0.7 s and 40 MB that worker processes need not pay

    scratch = path.with_name(f".{path.name.lstrip('.')}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    attributes = {
        "title": spec.name,
        "qbsweep_format": FORMAT,
        "dataset_id": uuid.uuid4().hex,
        "spec": dump_spec(spec),
        "spec_digest": spec.digest(),
        **provenance,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's notes on parts of the format that are young
        xr.Dataset(coords=coordinates(spec), attrs=attributes).to_zarr(scratch, zarr_format=3, consolidated=False)
        group = zarr.open_group(str(scratch), mode="r+")
        extra = sizes(spec)
        compressor = zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle=zarr.codecs.BloscShuffle.shuffle)
        for name in stored_variables(spec):
            variable = VARIABLES[name]
            tail = tuple(extra[dim] for dim in variable.extra_dims)
            group.create_array(
                name,
                shape=grid.shape + tail,
                chunks=grid.block_shape + tail,
                dtype=variable.dtype,
                fill_value=variable.fill,
                # One byte a point, which `Store.block_status` reads without zarr.
                compressors=None if name == "status" else compressor,
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
    return {"flag_values": list(STATUS_NAMES), "flag_meanings": " ".join(STATUS_NAMES.values())}


def coordinates(spec: SweepSpec) -> "dict[str, xr.Variable]":
    """Label the dimensions, the fixed parameters that matter (scalar coordinates), and `J_abs` where J is relative."""
    import xarray as xr

    result = {name: xr.Variable((name,), axis.array, _labels(axis)) for name, axis in spec.axes.items()}
    for name in stored_fixed(spec):
        axis = spec.fixed[name]
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


def _absolute_coupling(spec: SweepSpec) -> "xr.Variable":
    """Coupling in units of omega over those of (topology, N, J, kappa) that are axes."""
    import xarray as xr

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


def sizes(spec: SweepSpec) -> dict[str, int]:
    """Lengths of the dimensions that variables have after those of the grid."""
    return {"mode": spec.n_modes, "time": 0 if spec.times is None else len(spec.times)}


def bytes_per_point(spec: SweepSpec) -> int:
    """Uncompressed bytes of all variables of one point."""
    extra = sizes(spec)
    return sum(
        np.dtype(VARIABLES[name].dtype).itemsize * math.prod(extra[dim] for dim in VARIABLES[name].extra_dims)
        for name in stored_variables(spec)
    )


def stored_fixed(spec: SweepSpec) -> list[str]:
    """Names of the fixed parameters in the store: those that a solver of the sweep depends on."""
    return [name for name in spec.fixed if spec.uses(name)]


def stored_variables(spec: SweepSpec) -> tuple[str, ...]:
    """Names of the variables in the store; `status` is last."""
    return (*spec.outputs, "solve_seconds", "status")
