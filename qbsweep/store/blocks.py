"""Finished blocks on their way into the dataset: a file each, which is whole and says so, or counts for nothing.

A block of a slow solver may be a single point. One file a block, and not one of every variable, is what a worker can
write safely in a millisecond; when all blocks of a chunk are there, the chunk is written and they go.
"""

import contextlib
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qbsweep.solvers.status import OK, SUSPECT
from qbsweep.store.disk import remove, stage, sync_file, sync_folder
from qbsweep.store.grid import Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAGIC = b"qbsweep block 3\n"
_SUFFIX = ".block"
_AT_RISK = 1.0  # seconds of solving that a power cut may cost a worker


@dataclass(frozen=True, slots=True)
class Finished:
    """The arrays of a block, as its file has them.

    Attributes
    ----------
    layout : dict
        Type, shape and place in `content` of every array.
    content : memoryview
    seen : tuple of int
        What the file system said of the file.
    """

    layout: dict[str, tuple[str, tuple[int, ...], slice]]
    content: memoryview
    seen: tuple[int, ...] = ()

    def codes(self, name: str) -> bytes:
        """Return an array of one byte a point, as bytes; empty if the block has none of this name."""
        return bytes(self.content[self.layout[name][2]]) if name in self.layout else b""

    def array(self, name: str) -> "NDArray[Any]":
        """Return an array."""
        import numpy as np

        dtype, shape, place = self.layout[name]
        return np.frombuffer(self.content[place], dtype).reshape(shape)


@dataclass(slots=True)
class BlockFiles:
    """The files of the blocks of one dataset.

    Attributes
    ----------
    folder : Path
        Of this dataset alone: a worker that outlived its run must not meet the blocks of another.
    dataset : str
        Its id.
    """

    folder: Path
    dataset: str
    _unsynced: list[Path] = field(default_factory=list)
    _seconds: float = 0.0

    def path(self, number: int) -> Path:
        """Where a block lies, if it is there."""
        return self.folder / f"{number}{_SUFFIX}"

    def refresh(self) -> None:
        """See what workers on other hosts have written, and make sure that they can write.

        A network file system remembers for up to a minute what was in a folder, but not of one that it has changed
        itself.
        """
        with contextlib.suppress(OSError):
            if self.is_blocked():
                self.folder.unlink()
            self.folder.mkdir(parents=True, exist_ok=True)
            stage(self.folder / "refresh", [], safe=False).unlink()

    def is_blocked(self) -> bool:
        """Whether something is in the place of the folder, and none of ours."""
        return self.folder.exists() and not self.folder.is_dir()

    def numbers(self) -> set[int]:
        """Return the numbers of the blocks that have a file, whole or not."""
        try:
            names = [entry.name for entry in self.folder.iterdir() if entry.name.endswith(_SUFFIX)]
        except (FileNotFoundError, NotADirectoryError):
            return set()
        return {int(name.removesuffix(_SUFFIX)) for name in names if name.removesuffix(_SUFFIX).isdecimal()}

    def read(self, number: int) -> Finished | None:
        """Return a block, or None if there is none, or not a whole one."""
        try:
            with self.path(number).open("rb") as file:
                seen, content = _seen(os.fstat(file.fileno())), file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        body = content[:-4]
        if not content.startswith(_MAGIC) or zlib.crc32(body) != int.from_bytes(content[-4:], "big"):
            return None
        end = content.index(b"\n", len(_MAGIC))
        header = json.loads(content[len(_MAGIC) : end])
        if (header["dataset"], header["block"]) != (self.dataset, number):
            return None
        layout, start = {}, end + 1
        for name, dtype, itemsize, shape in header["arrays"]:
            stop = start + itemsize * math.prod(shape)
            layout[name] = (dtype, tuple(shape), slice(start, stop))
            start = stop
        return Finished(layout, memoryview(body), seen)

    def is_whole(self, number: int) -> bool:
        """Whether the file of a block can be read."""
        return self.read(number) is not None

    def is_torn(self, number: int) -> bool:
        """Whether the file of a block is shorter than it was to be."""
        try:
            content = self.path(number).read_bytes()
            header = json.loads(content[len(_MAGIC) : content.index(b"\n", len(_MAGIC))])
            size = sum(int(itemsize) * int(math.prod(shape)) for _, _, itemsize, shape in header["arrays"])
        except (OSError, ValueError, TypeError, KeyError):
            return not self.path(number).is_dir()
        return len(content) < content.index(b"\n", len(_MAGIC)) + 1 + size + 4

    def write(self, number: int, arrays: "Mapping[str, NDArray[Any]]", seconds: float, safe: bool) -> None:
        """Write a block that took so many seconds; if `safe`, on the disk with all before once they are worth it."""
        import numpy as np

        rows = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        layout = [(name, row.dtype.str, row.dtype.itemsize, row.shape) for name, row in rows.items()]
        header = {"dataset": self.dataset, "block": number, "arrays": layout}
        parts = [_MAGIC, json.dumps(header).encode(), b"\n", *(row.tobytes() for row in rows.values())]
        check = 0
        for part in parts:
            check = zlib.crc32(part, check)
        self._seconds += seconds
        is_due = safe and self._seconds >= _AT_RISK
        content = [*parts, check.to_bytes(4, "big")]
        try:
            self._put(number, content, is_due)
        except FileNotFoundError:  # a driver that started meanwhile took our file for that of a killed writer
            self._put(number, content, is_due)
        self._unsynced.append(self.path(number))
        if is_due:
            self._sync()

    def _put(self, number: int, content: list[bytes], safe: bool) -> None:
        path = self.path(number)
        self.folder.mkdir(parents=True, exist_ok=True)
        if path.is_dir():  # nothing of ours, and in the way
            remove(path)
        stage(path, content, safe).replace(path)

    def _sync(self) -> None:
        for path in self._unsynced[:-1]:  # the last was synced when it was written
            with contextlib.suppress(FileNotFoundError):  # in its chunk by now
                sync_file(path)
        for folder in (self.folder, self.folder.parent, self.folder.parent.parent):  # any of which may be new
            with contextlib.suppress(FileNotFoundError):  # with its last block
                sync_folder(folder)
        self._unsynced.clear()
        self._seconds = 0.0

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove the files of blocks."""
        for number in numbers:
            remove(self.path(number))
        self._sync_removals()

    def remove_read(self, finished: Mapping[int, Finished]) -> None:
        """Remove blocks that are in the dataset by now, unless another file than the one that was read is there."""
        for number, block in finished.items():
            with contextlib.suppress(FileNotFoundError):
                if _seen(self.path(number).stat()) == block.seen:
                    self.path(number).unlink()
        self._sync_removals()

    def _sync_removals(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            sync_folder(self.folder)

    def remove_others(self) -> None:
        """Remove the blocks of other datasets, and the folder if it is empty."""
        if self.folder.parent.is_dir():
            for other in self.folder.parent.iterdir():
                if other != self.folder:
                    shutil.rmtree(other, ignore_errors=True)
        for folder in (self.folder, self.folder.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()


def bring_in(
    finished: Mapping[int, Finished], grid: Grid, arrays: "Mapping[str, NDArray[Any]]", status: "NDArray[np.int8]"
) -> None:
    """Put finished blocks into the arrays of a chunk, but for the points that its `status` calls solved.

    The file of a block that is in its chunk may come back: by a power cut, or by a worker that slept.
    """
    import numpy as np

    for number, block in finished.items():
        within: tuple[Any, ...] = (*grid.within(number), ...)  # a view, also of the one point of a sweep without axes
        is_new = (status[within] != OK) & (status[within] != SUSPECT)
        for name, array in arrays.items():
            where = is_new[(..., *(None,) * (array.ndim - status.ndim))]
            np.copyto(array[within], block.array(name), casting="unsafe", where=where)


def _seen(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_mtime_ns
