"""The files of a dataset: written a chunk at a time, in an order that a power cut cannot make a lie of.

The seal comes first, then the values, then `status`: what `status` calls solved is on the disk. A worker writes a
chunk only if it is the first to seal it. A driver may replace one, which is sealed with both the old checksums and the
new ones until all of it is there.

A new chunk may be written without waiting for the disk. Its seal says so, and until it was synced it counts only if
every file of it is what was written: of what a power cut leaves, `status` may be there without the values.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
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

    def create(self, chunk: int, contents: Mapping[str, bytes], safe: bool) -> bool:
        """Write the files of a chunk that nobody has begun, `status` last. For workers, of whom several may meet.

        Parameters
        ----------
        chunk : int
        contents : dict
            By variable, of all of them.
        safe : bool
            Whether to wait for the disk.

        Returns
        -------
        bool
            False if somebody else has begun it, or the dataset was replaced: then the chunk is left as it is.
        """
        checks = _checks(contents)
        seal = Seal({name: [check] for name, check in checks.items()}, safe)
        try:
            with self._staged(chunk, contents, safe) as staged:
                if not (self.identity.is_there() and self.seals.claim(chunk, seal)):
                    return False
                # A driver that takes us for dead replaces the chunk: what it has put there must stay.
                if not self._place(chunk, staged, safe, lambda: self.seals.sealed(chunk) == seal):
                    return False
                if self.seals.sealed(chunk) != seal:  # it did so just as we put a file there
                    self._settle(chunk, checks, {}, safe)
        except FileNotFoundError:  # a driver that started meanwhile took our files for those of a killed writer
            return False
        return True

    def commit(self, chunk: int, contents: Mapping[str, bytes], before: Seal) -> bool:
        """Replace the files of some variables of a chunk, on the disk, `status` last. For a driver.

        Parameters
        ----------
        chunk : int
        contents : dict
            By variable.
        before : Seal
            What the chunk was sealed with when it was read.

        Returns
        -------
        bool
            False if it is not any more: this driver slept while another one took over. Then nothing is replaced.
        """
        checks = _checks(contents)
        both = {name: sorted({*before.checks.get(name, ()), check}) for name, check in checks.items()}
        with self._staged(chunk, contents, safe=True) as staged:
            if not self.identity.is_there():
                return False
            if not self.seals.exchange(chunk, before, Seal(before.checks | both, before.is_synced)):
                return False
            self._place(chunk, staged, safe=True)
            self._settle(chunk, checks, before.checks, before.is_synced or contents.keys() >= self.tails.keys())
        return True

    @contextlib.contextmanager
    def _staged(self, chunk: int, contents: Mapping[str, bytes], safe: bool) -> Iterator[dict[str, Path]]:
        """Write files beside those that they are to replace; remove what was not put into its place."""
        staged: dict[str, Path] = {}
        try:
            for name, content in contents.items():
                staged[name] = stage(self.file(name, chunk), [content], safe)
            yield staged
        finally:
            for file in staged.values():
                file.unlink(missing_ok=True)

    def _place(
        self, chunk: int, staged: dict[str, Path], safe: bool, is_ours: Callable[[], bool] = lambda: True
    ) -> bool:
        """Put files into their places, `status` when all others are on the disk; returns whether it stayed ours."""
        for names in (sorted(staged.keys() - {LAST}), sorted(staged.keys() & {LAST})):
            for name in names:
                if not is_ours():
                    return False
                staged.pop(name).replace(self.file(name, chunk))
            for name in names if safe else ():
                sync_folder(self.path / name)
        return True

    def _settle(self, chunk: int, new: Mapping[str, int], before: Checks, is_synced: bool) -> None:
        """Seal a chunk with what is there now, and no more with what was replaced.

        A worker that was believed dead may have put its files over ours, or we ours over those of a driver: what is
        there is right too, but was perhaps not synced. Repeated until nobody has changed the seal meanwhile.
        """
        while True:
            found, there = self.seals.sealed(chunk), {name: _ending(self.file(name, chunk)) for name in new}
            checks = dict(found.checks)
            for name, check in there.items():
                checks[name] = sorted({check, *checks.get(name, ())} - ({*before.get(name, ())} - {check}))
            final = Seal(checks, is_synced and there == new)
            if final == found:
                return
            self.seals.exchange(chunk, found, final)

    def is_torn(self, chunk: int) -> bool:
        """Whether `status` is there, but not all that it speaks of, or is empty.

        A chunk without `status` is pending whatever else is there: somebody may be writing it.
        """
        size = _size(self.file(LAST, chunk))
        if size <= 0:
            return size == 0
        if _size(self.seals.path(chunk)) <= 0 or min(_size(self.file(name, chunk)) for name in self.tails) <= 0:
            return True
        seals = (self.seals.sealed(chunk) for _ in range(2))  # it may just have been replaced
        return not any(seal.is_synced or self._is_verified(chunk, seal) for seal in seals)

    def confirm(self, chunk: int) -> None:
        """Bring a chunk to the disk that was written without waiting for that."""
        seal = self.seals.sealed(chunk)
        if not seal.is_synced and self._is_verified(chunk, seal):
            for name in self.tails:
                sync_file(self.file(name, chunk))
                sync_folder(self.path / name)
            self.seals.exchange(chunk, seal, Seal(seal.checks))

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


def _ending(file: Path) -> int:
    """Return the checksum that a file ends with."""
    with file.open("rb") as content:
        content.seek(-4, os.SEEK_END)
        return int.from_bytes(content.read(), "little")


def _checks(contents: Mapping[str, bytes]) -> dict[str, int]:
    return {name: int.from_bytes(content[-4:], "little") for name, content in contents.items()}
