"""The files of a dataset: written a chunk at a time, in an order that a power cut cannot make a lie of.

The seal comes first, then the values, then `status`: what `status` calls solved is on the disk. A chunk that is
replaced is sealed with both the old checksums and the new ones until all of it is there.

A new chunk may be written without waiting for the disk. Its seal says so, and until it was synced it counts only if
every file of it is what was written: of what a power cut leaves, `status` may be there without the values.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qbsweep.store.disk import stage, sync_file, sync_folder
from qbsweep.store.grid import Grid
from qbsweep.store.identity import Identity, Seen
from qbsweep.store.seals import METADATA, Checks, DamagedError, Seal, Seals, checksum

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
    _known: dict[int, Checks] = field(init=False, default_factory=dict, compare=False, repr=False)  # verified so

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
        # `status` comes last: without it nothing is solved, whatever else is there.
        if not content and (variable == LAST or not read_file(self.file(LAST, chunk))):
            return None
        seal = self.seals.read(chunk)  # after the file: a new one is sealed before it is there
        while seal is not None and not seal.is_synced and not self._is_verified(chunk, seal):
            before, seal = seal, self.seals.read(chunk)
            if seal == before:  # else the chunk has just been replaced
                return None
        if not content:
            raise DamagedError(f"{file} is {'missing' if content is None else 'empty'}")
        try:
            found = checksum(content)
        except DamagedError as error:
            raise DamagedError(f"{file}: {error}") from None
        if seal is None:
            raise DamagedError(f"{self.seals.path(chunk)} is missing")
        if found not in seal.checks.get(variable, ()):
            raise DamagedError(f"{file} is whole, but not what was written there")
        return content

    def _is_verified(self, chunk: int, seal: Seal) -> bool:
        """Whether every file of a chunk is what was written."""
        if self._known.get(chunk) != seal.checks:
            for name in self.tails:
                try:
                    if checksum(read_file(self.file(name, chunk)) or b"") not in seal.checks.get(name, ()):
                        return False
                except DamagedError:
                    return False
            self._known[chunk] = seal.checks
        return True

    def sealed(self, chunk: int) -> Seal:
        """Return what is known of a chunk, which is nothing of one that was never written."""
        with contextlib.suppress(DamagedError):
            return self.seals.read(chunk) or Seal({})
        return Seal({})

    def commit(
        self, chunk: int, contents: Mapping[str, bytes], safe: bool, is_due: Callable[[], bool] = lambda: True
    ) -> bool:
        """Replace the files of some variables of a chunk, `status` last.

        Parameters
        ----------
        chunk : int
        contents : dict
            By variable.
        safe : bool
            Whether to wait for the disk; what replaces something always does.
        is_due : callable
            Asked once all is written and before anything is replaced: writing may have taken long.

        Returns
        -------
        bool
            False if it was not due any more; then nothing is replaced.
        """
        try:
            return self._commit(chunk, contents, safe, is_due)
        except FileNotFoundError:  # a driver that started meanwhile took our files for those of a killed writer
            return self._commit(chunk, contents, safe, is_due)

    def _commit(self, chunk: int, contents: Mapping[str, bytes], safe: bool, is_due: Callable[[], bool]) -> bool:
        safe = safe or self.seals.path(chunk).exists()
        new = {name: int.from_bytes(content[-4:], "little") for name, content in contents.items()}
        staged: dict[str, Path] = {}
        try:
            for name, content in contents.items():
                staged[name] = stage(self.file(name, chunk), [content], safe)
            if not is_due():
                _remove_all(staged.values())
                return False
            before = self.sealed(chunk)
            is_synced = safe and before.is_synced
            self.seals.write(chunk, Seal(_with(before.checks, new), is_synced))
            for names in (sorted(staged.keys() - {LAST}), sorted(staged.keys() & {LAST})):
                for name in names:
                    staged[name].replace(self.file(name, chunk))
                for name in names if safe else ():
                    sync_folder(self.path / name)
            found = self.sealed(chunk)
            is_synced = is_synced or (safe and contents.keys() >= self.tails.keys())
            final = Seal(self._left(chunk, found.checks, before.checks, new), is_synced)
            if final != found:
                self.seals.write(chunk, final)
        except BaseException:
            _remove_all(staged.values())
            raise
        return True

    def _left(self, chunk: int, found: Checks, before: Checks, new: Mapping[str, int]) -> Checks:
        """Return the checksums of a seal without those that were replaced.

        A worker that was believed dead may have written the same points meanwhile: what is there now is right too.
        """
        checks = _with(found, new)
        for name in new.keys() & before.keys():
            gone = {*before[name]} - {new[name], _ending(self.file(name, chunk))}
            checks[name] = [check for check in checks[name] if check not in gone]
        return checks

    def is_torn(self, chunk: int) -> bool:
        """Whether `status` is there, but not all that it speaks of, or is empty.

        A chunk without `status` is pending whatever else is there: somebody may be writing it.
        """
        size = _size(self.file(LAST, chunk))
        if size <= 0:
            return size == 0
        if _size(self.seals.path(chunk)) <= 0 or min(_size(self.file(name, chunk)) for name in self.tails) <= 0:
            return True
        seal = self.sealed(chunk)
        return not (seal.is_synced or self._is_verified(chunk, seal) or self._is_verified(chunk, self.sealed(chunk)))

    def confirm(self, chunk: int) -> None:
        """Bring a chunk to the disk that was written without waiting for that."""
        seal = self.sealed(chunk)
        if not seal.is_synced and self._is_verified(chunk, seal):
            for name in self.tails:
                sync_file(self.file(name, chunk))
                sync_folder(self.path / name)
            self.seals.write(chunk, Seal(seal.checks))

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


def _remove_all(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _ending(file: Path) -> int:
    """Return the checksum that a file ends with."""
    with file.open("rb") as content:
        content.seek(-4, os.SEEK_END)
        return int.from_bytes(content.read(), "little")


def _with(checks: Checks, new: Mapping[str, int]) -> Checks:
    return checks | {name: sorted({*checks.get(name, ()), check}) for name, check in new.items()}
