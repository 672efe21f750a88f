"""The files of a dataset: written a chunk at a time, in an order that a power cut cannot make a lie of.

The seal comes first, then the values, then `status`: what `status` calls solved is on the disk. A chunk that is
replaced is sealed with both the old checksums and the new ones until all of it is there.
"""

import contextlib
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qbsweep.store.disk import stage, sync_folder
from qbsweep.store.grid import Grid
from qbsweep.store.identity import Identity, Seen
from qbsweep.store.seals import METADATA, Checks, DamagedError, Seals, checksum

BYTES = ("status", "verdict")
"""Variables of one byte a point, which are not compressed."""
LAST = "status"
"""Written after all others."""


def chunk_name(corner: Iterable[int], generation: int) -> str:
    """Return what the files of a chunk are called.

    Zarr knows two names, and an extension changes from one to the other: who still reads the dataset that was
    replaced finds no file, not one of other points.
    """
    name = ".".join(map(str, corner))
    return (f"c.{name}" if name else "c") if generation % 2 == 0 else (name or "0")


@dataclass(frozen=True, slots=True)
class Chunks:
    """Where the chunks of a dataset lie, and what seals them.

    Attributes
    ----------
    path : Path
        The dataset.
    grid : Grid
    tails : dict
        How many dimensions every variable has beyond those of the grid.
    dataset : str
        Its id.
    generation : int
        How often it was extended.
    seen : tuple of int
        What the file system said of its metadata.
    """

    path: Path
    grid: Grid
    tails: Mapping[str, int]
    dataset: str
    generation: int
    seen: Seen

    @property
    def identity(self) -> Identity:
        """The dataset, told from others that are put in its place."""
        return Identity(self.path, self.dataset, self.seen)

    @property
    def seals(self) -> Seals:
        """The seals."""
        return Seals(self.path, self.dataset)

    def file(self, variable: str, chunk: int) -> Path:
        """Return where a chunk of a variable lies."""
        corner = (*self.grid.chunks.corner(chunk), *(0,) * self.tails[variable])
        return self.path / variable / chunk_name(corner, self.generation)

    def find(self, key: str) -> tuple[str, int] | None:
        """Return the variable and the chunk that a key of Zarr means; None if it means none of a variable."""
        variable, _, name = key.partition("/")
        if variable not in self.tails or name == METADATA:
            return None
        corner = [int(index) for index in re.findall(r"\d+", name)][: len(self.grid.shape)]
        return variable, self.grid.chunks.at(corner)

    def content(self, variable: str, chunk: int) -> bytes | None:
        """Return what is in a file, its checksum included; None if it was never written.

        Raises
        ------
        DamagedError
            If it is not what was written.
        UnreadableError
            If another dataset has taken the place of this one: its files must not be taken for never written.
        """
        try:
            content = self._tried(variable, chunk)
        except DamagedError:
            self.identity.require()
            raise
        if content is None:
            self.identity.require()
        return content

    def may_lack(self, variable: str, chunk: int) -> bool:
        """Whether a chunk whose `status` was there needs no file of another variable."""
        return False

    def _tried(self, variable: str, chunk: int) -> bytes | None:
        with contextlib.suppress(DamagedError):
            return self._content(variable, chunk)
        return self._content(variable, chunk)  # it may just have been replaced

    def _content(self, variable: str, chunk: int) -> bytes | None:
        file = self.file(variable, chunk)
        content = read_file(file)
        if not content:  # a power cut may leave a file empty that was not synced
            # `status` comes last: without it nothing is solved, whatever else is there.
            if variable != LAST and read_file(self.file(LAST, chunk)):
                raise DamagedError(f"{file} is {'missing' if content is None else 'empty'}")
            return None
        try:
            found = checksum(content)
        except DamagedError as error:
            raise DamagedError(f"{file}: {error}") from None
        checks = self.seals.read(chunk)  # after the file: a new one is sealed before it is there
        if checks is None:
            raise DamagedError(f"{self.seals.path(chunk)} is missing")
        if found not in checks.get(variable, ()):
            raise DamagedError(f"{file} is whole, but not what was written there")
        return content

    def commit(self, chunk: int, contents: Mapping[str, bytes], safe: bool) -> None:
        """Replace the files of some variables of a chunk, `status` last."""
        staged = {name: stage(self.file(name, chunk), [content], safe) for name, content in contents.items()}
        new = {name: [int.from_bytes(content[-4:], "little")] for name, content in contents.items()}
        try:
            before = self._sealed(chunk)
            self.seals.write(chunk, _both(before, new), safe)
            for names in (sorted(staged.keys() - {LAST}), sorted(staged.keys() & {LAST})):
                for name in names:
                    staged[name].replace(self.file(name, chunk))
                for name in names if safe else ():
                    sync_folder(self.path / name)
            if before.keys() & new.keys():
                self.seals.write(chunk, before | new, safe)
            elif _both(found := self._sealed(chunk), new) != found:
                # A worker that was believed dead has written the same points meanwhile: both are right.
                self.seals.write(chunk, _both(found, new), safe)
        except BaseException:
            for path in staged.values():
                path.unlink(missing_ok=True)
            raise

    def _sealed(self, chunk: int) -> Checks:
        """Return the checksums of what may be there already."""
        with contextlib.suppress(DamagedError):
            return self.seals.read(chunk) or {}
        return {}

    def is_torn(self, chunk: int) -> bool:
        """Whether something is there of a chunk, but not all of it, or files are empty."""
        found = [_size(self.file(name, chunk)) for name in self.tails]
        is_sealed = _size(self.seals.path(chunk)) > 0
        return any(size >= 0 for size in found) and not (is_sealed and min(found) > 0)

    def clear(self, chunk: int) -> None:
        """Make a chunk one that was never written, `status` first."""
        for name in (LAST, *(name for name in self.tails if name != LAST)):
            _remove(self.file(name, chunk))
            sync_folder(self.path / name)
        _remove(self.seals.path(chunk))


def _remove(file: Path) -> None:
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    file.unlink(missing_ok=True)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return -1


def read_file(file: Path) -> bytes | None:
    """Return what is in a file; None if there is none."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise DamagedError(f"{file} is a directory") from None


def _both(old: Checks, new: Checks) -> Checks:
    return {name: sorted({*old.get(name, ()), *new.get(name, ())}) for name in {**old, **new}}
