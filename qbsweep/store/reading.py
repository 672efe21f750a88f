"""A dataset as xarray reads it: every byte checked, finished blocks that no chunk holds yet included."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from zarr.storage import LocalStore, WrapperStore

from qbsweep.store.chunks import LAST
from qbsweep.store.dataset import Store
from qbsweep.store.directory import FORMAT
from qbsweep.store.layout import Coordinate, coordinates
from qbsweep.store.provenance import as_attribute
from qbsweep.sweeps.spec import SweepSpec

if TYPE_CHECKING:
    import xarray as xr
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


def open_dataset(path: Path) -> "xr.Dataset":
    """Open a dataset lazily; the caller says with `readable` what is wrong with one that cannot be read."""
    import xarray as xr

    store = Store(path)
    # Without a checksum, what is left of labels may read as others: in format 2 those of the sweep count.
    labels = _labels(store.spec) if store.version < FORMAT else {}
    files = _Checked(LocalStore(path, read_only=True), store)
    ds: xr.Dataset = xr.open_zarr(files, chunks=None, drop_variables=labels)
    ds = ds.assign_coords(labels)
    # Who loads all of it beside a run reads one variable after the other: what `status` calls solved has values then.
    ds = ds[[LAST, *(name for name in ds.data_vars if name != LAST)]].assign_coords(ds.coords)
    return ds.assign_attrs({name: as_attribute(value) for name, value in ds.attrs.items()})


def _labels(spec: SweepSpec) -> dict[str, Coordinate]:
    """Return the labels of a sweep, texts as Zarr has them."""
    found = coordinates(spec)
    texts = {name: one for name, one in found.items() if one.values.dtype == object}
    return found | {name: one._replace(values=one.values.astype("T")) for name, one in texts.items()}


class _Checked(WrapperStore[LocalStore]):
    """What Zarr asks for: the files of the dataset, if they still are what was opened."""

    def __init__(self, store: LocalStore, dataset: Store) -> None:
        super().__init__(store)
        self._dataset = dataset

    def _with_store(self, store: LocalStore) -> "_Checked":
        return _Checked(store, self._dataset)

    async def get(
        self, key: str, prototype: "BufferPrototype", byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        """Return the content of a file."""
        place = self._dataset.place(key)
        if place is None:
            found = await super().get(key, prototype, byte_range)
            await asyncio.to_thread(self._dataset.require_there)  # labels that are missing would be read as unknown
            return found
        content = await asyncio.to_thread(self._dataset.content, *place)
        return None if content is None else prototype.buffer.from_bytes(content)

    async def get_partial_values(
        self, prototype: "BufferPrototype", key_ranges: "Iterable[tuple[str, ByteRequest | None]]"
    ) -> "list[Buffer | None]":
        """Return the contents of files."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]
