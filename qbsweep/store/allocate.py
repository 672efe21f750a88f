"""Allocate a new dataset: coordinates, empty variables, attributes that say where it comes from."""

import json
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
import zarr.codecs

from qbsweep.store.directory import FORMAT
from qbsweep.store.disk import remove, sync_folder, sync_tree
from qbsweep.store.encoding import codecs
from qbsweep.store.grid import Grid
from qbsweep.store.layout import Coordinate, attributes_of, coordinates, protocol_attributes, sizes, stored_variables
from qbsweep.store.seals import Seals
from qbsweep.sweeps.spec import SweepSpec, dump_spec
from qbsweep.sweeps.variables import VARIABLES

_NOT_A_NUMBER = "AAAAAAAA+H8="  # as xarray writes the attribute `_FillValue`


def allocate(path: Path, spec: SweepSpec, grid: Grid, provenance: Mapping[str, Any], generation: int = 0) -> None:
    """Create the dataset, complete and on the disk, or absent, never in between.

    With zarr alone, byte for byte as xarray would: loading xarray takes longer than many a sweep.

    Parameters
    ----------
    path : Path
    spec : SweepSpec
    grid : Grid
    provenance : mapping
        Attributes that say where it comes from.
    generation : int
        How often it was extended: the names of its chunks depend on it.
    """
    attributes = {
        "title": spec.name,
        "qbsweep_format": FORMAT,
        "dataset_id": uuid.uuid4().hex,
        "spec": dump_spec(spec),
        "spec_digest": spec.digest(),
        "block_shape": json.dumps(grid.block_shape),
        "generation": generation,
        **protocol_attributes(spec),
        **provenance,
    }
    allocate_as(path, attributes, spec, grid)


def allocate_as(path: Path, attributes: Mapping[str, Any], spec: SweepSpec, grid: Grid) -> None:
    """Create a dataset with these attributes, byte for byte the same every time."""
    scratch = path.with_name(f".{path.name.lstrip('.')}.new")
    remove(scratch)
    labels = coordinates(spec)
    scalars = sorted(name for name, coordinate in labels.items() if coordinate.dims != (name,))
    naming: Any = {"name": "v2" if attributes["generation"] % 2 else "default", "separator": "."}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's notes on parts of the format that are young
        group = zarr.create_group(str(scratch), attributes={**attributes, "coordinates": " ".join(scalars)})
        for name, coordinate in labels.items():
            _write_coordinate(group, name, coordinate, naming)
        extra = sizes(spec)
        for name in stored_variables(spec):
            variable = VARIABLES[name]
            tail = tuple(extra[dim] for dim in variable.extra_dims)
            group.create_array(
                name,
                shape=grid.shape + tail,
                chunks=grid.chunk_shape + tail,
                dtype=variable.dtype,
                fill_value=variable.fill,
                **codecs(name),
                chunk_key_encoding=naming,
                dimension_names=grid.dims + variable.extra_dims,
                attributes=attributes_of(spec, variable),
            )
        # So that `xarray.open_zarr(path)` opens without a warning; the metadata do not change any more.
        zarr.consolidate_metadata(str(scratch))
    Seals(scratch).seal_rest()
    sync_tree(scratch)
    scratch.rename(path)
    sync_folder(path.parent)


def _write_coordinate(group: zarr.Group, name: str, coordinate: Coordinate, naming: Any) -> None:
    values = coordinate.values
    is_float = np.issubdtype(values.dtype, np.floating)
    group.create_array(
        name,
        data=values if values.dtype != object else values.astype(np.dtypes.StringDType()),
        fill_value=np.nan if is_float else None,
        compressors=[zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()],
        chunk_key_encoding=naming,
        dimension_names=coordinate.dims,
        attributes={**coordinate.attributes, **({"_FillValue": _NOT_A_NUMBER} if is_float else {})},
    )
