"""A dataset as xarray reads it: every byte checked, finished blocks that no chunk holds yet included."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from zarr.storage import LocalStore, WrapperStore

from qbsweep.errors import UnreadableError
from qbsweep.store.dataset import Store
from qbsweep.store.directory import FORMAT
from qbsweep.store.provenance import as_attribute

if TYPE_CHECKING:
    import xarray as xr
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


def open_dataset(path: Path) -> "xr.Dataset":
    """Open a dataset lazily; the caller says with `readable` what is wrong with one that cannot be read."""
    import xarray as xr

    store, files = Store(path), LocalStore(path, read_only=True)
    ds: xr.Dataset = xr.open_zarr(_Checked(files, store) if store.version == FORMAT else files, chunks=None)
    return ds.assign_attrs({name: as_attribute(value) for name, value in ds.attrs.items()})


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
            return await super().get(key, prototype, byte_range)
        content = await asyncio.to_thread(self._content, *place)
        return None if content is None else prototype.buffer.from_bytes(content)

    async def get_partial_values(
        self, prototype: "BufferPrototype", key_ranges: "Iterable[tuple[str, ByteRequest | None]]"
    ) -> "list[Buffer | None]":
        """Return the contents of files."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    def _content(self, variable: str, chunk: int) -> bytes | None:
        content = self._dataset.content(variable, chunk)
        if not self._dataset.is_there():
            raise UnreadableError(f"{self._dataset.path} was replaced since it was opened; open it again")
        return content
