"""Datasets in states that no command leaves: other values, an earlier format."""

import shutil
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import zarr
import zarr.codecs

from qbsweep.store.dataset import Store
from qbsweep.store.metadata import read_metadata


def put(out: Path, name: str, place: Any, values: Any) -> None:
    """Change values of a run whose dataset is one chunk, as if they had been written so."""
    store = Store(out / "data.zarr", safe=False)
    assert store.grid.chunks.number == 1
    arrays = store.read_chunk(0)
    arrays[name][place] = values
    store.write_chunk(0, arrays)


def to_format_2(out: Path, without: Collection[str] = ()) -> None:
    """Write the dataset of a run again as format 2 had it, without some variables."""
    data, new = out / "data.zarr", out / "new.zarr"
    metadata = read_metadata(data)
    attributes = {**metadata.attributes, "qbsweep_format": 2}
    del attributes["block_shape"], attributes["generation"]
    blosc = zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle=zarr.codecs.BloscShuffle.shuffle)
    with warnings.catch_warnings(), zarr.config.set({"array.write_empty_chunks": True}):
        warnings.simplefilter("ignore")
        old, group = zarr.open_group(data, mode="r"), zarr.create_group(new, attributes=attributes)
        for name in metadata.arrays.keys() - {*without}:
            array = old[name]
            assert isinstance(array, zarr.Array)
            group.create_array(
                name,
                shape=array.shape,
                chunks=array.chunks,
                dtype=array.dtype,
                fill_value=array.fill_value,
                compressors=None if name in ("status", "verdict") else blosc if name in metadata.variables else "auto",
                dimension_names=array.metadata.dimension_names,  # type: ignore[union-attr]
                attributes=dict(array.attrs),
            )[...] = array[...]
        zarr.consolidate_metadata(str(new))
    shutil.rmtree(data)
    new.rename(data)
