"""The dataset on disk: whole chunks, told by `status` what is done, and finished blocks that no chunk holds yet.

A worker writes a block that is a chunk into the dataset if nobody has begun that chunk, and any other one as a file of
its own; the driver writes a chunk once all blocks of it are there, and alone replaces one. So no two writers ever meet,
and whoever is killed leaves a block either done or pending, never half done.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbsweep.errors import QbsweepError
from qbsweep.solvers.status import OK, SUSPECT
from qbsweep.store.blocks import bring_in
from qbsweep.store.chunks import LAST
from qbsweep.store.directory import FORMAT
from qbsweep.store.encoding import decode, encode
from qbsweep.store.metadata import read_metadata
from qbsweep.store.readable import readable
from qbsweep.store.seals import Seal
from qbsweep.store.status import StatusFiles, Tally
from qbsweep.sweeps.spec import SweepSpec, parse_spec
from qbsweep.sweeps.variables import VARIABLES

Arrays = Mapping[str, NDArray[Any]]
_PROVENANCE = ("versions", "git_commit", "host", "created", "extends", "merges")


class Store:
    """An allocated dataset.

    Attributes
    ----------
    path : Path
    safe : bool
        Whether what is written has to be on the disk before anything says that it is there.
    id : str
        Of this allocation: a dataset that was put in its place has another.
    attributes : dict
        As every reader of Zarr finds them.
    grid : Grid
    chunks : Chunks
        Its files.
    blocks : BlockFiles
        Finished blocks that no chunk holds yet.
    """

    def __init__(self, path: Path, safe: bool = True) -> None:
        self.path, self.safe = path, safe
        with readable(self.path):
            self._metadata = read_metadata(path)
            self.id = self._metadata.id
            self.attributes = self._metadata.attributes
            self.grid = self._metadata.grid
            self.chunks, self.blocks = self._metadata.chunks, self._metadata.blocks
            self._status = StatusFiles(self.chunks, self.blocks)

    @cached_property
    def spec(self) -> SweepSpec:
        """The sweep, as recorded in the dataset itself; read when it is asked for, which reading values never does."""
        with readable(self.path):
            return parse_spec(str(self.attributes["spec"]))

    @cached_property
    def digest(self) -> str:
        """The digest of the sweep."""
        return self.spec.digest()

    @property
    def provenance(self) -> dict[str, Any]:
        """Where its first results come from, and those before, if it was extended."""
        return {name: self.attributes[name] for name in _PROVENANCE if name in self.attributes}

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of its variables."""
        return self._metadata.variables

    @property
    def version(self) -> int:
        """Its format."""
        return self._metadata.version

    @property
    def generation(self) -> int:
        """How often it was extended."""
        return self._metadata.generation

    def status(self) -> NDArray[np.int8]:
        """Return the status of every point, in the grid's shape."""
        return self.read_one("status")

    def block_status(self, number: int) -> NDArray[np.int8]:
        """Return the status of every point of a block."""
        with readable(self.path):
            codes = self._status.block(number)
        return np.frombuffer(codes, np.int8).reshape([s.stop - s.start for s in self.grid.block(number)]).copy()

    def tallies(self, with_verdicts: bool) -> Iterator[Tally]:
        """Count the points of one chunk after the other."""
        with readable(self.path):
            yield from self._status.tallies(with_verdicts)

    def blocks_with(self, *codes: int) -> list[int]:
        """Return the numbers of the blocks with points of one of these states."""
        with readable(self.path):
            return self._status.blocks_with(codes)

    def read(self, number: int) -> dict[str, NDArray[Any]]:
        """Return all variables of a block, `status` included."""
        with readable(self.path):
            finished = self.blocks.read(number)
            chunk, within = self.grid.chunk_of(number), self.grid.within(number)
            arrays = self._arrays(chunk, self.variables)
            if finished:
                bring_in({number: finished}, self.grid, arrays, arrays[LAST].copy())
            return {name: array[within].copy() for name, array in arrays.items()}

    def read_chunk(self, chunk: int, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
        """Return variables, by default all, of a chunk."""
        with readable(self.path):
            finished = {number: block for number in self._finished(chunk) if (block := self.blocks.read(number))}
            status = self._arrays(chunk, [LAST])[LAST] if finished else None
            arrays = self._arrays(chunk, names or self.variables)  # after the blocks: one that has gone is in it by now
            if status is not None:
                bring_in(finished, self.grid, arrays, status)
        return arrays

    def _finished(self, chunk: int) -> list[int]:
        """Return the blocks of a chunk that have a file."""
        if not self.blocks.folder.is_dir():
            return []
        return sorted(self.blocks.numbers() & set(self.grid.blocks_of(chunk)))

    def _arrays(self, chunk: int, names: Collection[str]) -> dict[str, NDArray[Any]]:
        """Return variables of a chunk as it is, `status` first: what it calls solved has its values by then."""
        contents: dict[str, bytes | None] = dict.fromkeys(names)
        for name in sorted(names, key=lambda name: name != LAST):
            contents[name] = self.chunks.content(name, chunk)
            if contents[name] is None and LAST in names and not (name != LAST and self.chunks.may_lack(name, chunk)):
                # Never written, or made pending since `status` was read.
                contents = dict.fromkeys(names)
                break
        return {name: self._decoded(name, chunk, content) for name, content in contents.items()}

    def _decoded(self, name: str, chunk: int, content: bytes | None) -> NDArray[Any]:
        variable, region = VARIABLES[name], self.grid.chunks.region(chunk)
        tail = self._metadata.tail(name)
        if content is None:
            return np.full((*(s.stop - s.start for s in region), *tail), variable.fill, variable.dtype)
        whole = decode(name, content, variable.dtype, (*self.grid.chunk_shape, *tail))
        here: tuple[Any, ...] = (*(slice(s.stop - s.start) for s in region), ...)  # an array, without axes too
        found: NDArray[Any] = whole[here].copy()
        return found

    def require_there(self) -> None:
        """Raise UnreadableError if it was moved away, or another has taken its place."""
        self.chunks.identity.require()

    def place(self, key: str) -> tuple[str, int] | None:
        """Return the variable and the chunk that a key of Zarr means; None if it means none of a variable."""
        return self.chunks.find(key)

    def content(self, name: str, chunk: int) -> bytes | None:
        """Return what Zarr is to find in the file of a chunk, finished blocks included; None if there is nothing."""
        if self._finished(chunk):
            content: bytes | None = encode(name, self._padded(name, self.read_chunk(chunk, [name])[name]))
        else:
            with readable(self.path):
                content = self.chunks.content(name, chunk)
        self.require_there()
        return content if content is None or self.version == FORMAT else content[:-4]

    def chunk_bytes(self, name: str) -> int:
        """Return the size of a variable of a whole chunk, not compressed."""
        points = math.prod((*self.grid.chunk_shape, *self._metadata.tail(name)))
        return points * np.dtype(VARIABLES[name].dtype).itemsize

    def read_one(self, name: str) -> NDArray[Any]:
        """Return one variable, whole."""
        variable = VARIABLES[name]
        result = np.empty((*self.grid.shape, *self._metadata.tail(name)), variable.dtype)
        for chunk in range(self.grid.chunks.number):
            result[self.grid.chunks.region(chunk)] = self.read_chunk(chunk, [name])[name]
        return result

    def select(
        self, indices: Sequence[NDArray[np.intp]], names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return variables, by default all, and `status` at the product of index arrays, one per dimension."""
        wanted = self.variables if names is None else tuple({*names, "status"})
        lengths = tuple(len(index) for index in indices)
        found = {name: np.empty((*lengths, *self._metadata.tail(name)), VARIABLES[name].dtype) for name in wanted}
        for chunk in self._touched(indices):
            region = self.grid.chunks.region(chunk)
            here = [
                np.flatnonzero((index >= s.start) & (index < s.stop)) for index, s in zip(indices, region, strict=True)
            ]
            inside = [index[at] - s.start for index, at, s in zip(indices, here, region, strict=True)]
            for name, values in self.read_chunk(chunk, wanted).items():
                found[name][np.ix_(*here)] = values[np.ix_(*inside)]
        return found

    def _touched(self, indices: Sequence[NDArray[np.intp]]) -> Iterator[int]:
        """Return the chunks that hold points of a product of index arrays."""
        corners = [np.unique(index // step) for index, step in zip(indices, self.grid.chunk_shape, strict=True)]
        for place in np.ndindex(*(len(corner) for corner in corners)):
            yield self.grid.chunks.at([int(corner[i]) for corner, i in zip(corners, place, strict=True)])

    def write(self, number: int, arrays: Arrays, seconds: float = 0.0) -> None:
        """Write a block that took so many seconds to solve.

        A worker that outlived its run must not write into a dataset that has taken the place of its own, so the
        dataset's id is read again.
        """
        self._require_there()
        ordered = {name: arrays[name] for name in self.variables}
        if self.grid.is_grouped or not self._create(number, ordered):
            self._require_there()
            self.blocks.write(number, ordered, seconds, self.safe)

    def _create(self, chunk: int, arrays: Arrays) -> bool:
        """Write a chunk, unless it was begun before: what is replaced, a driver replaces."""
        if self.chunks.seals.path(chunk).exists():
            return False
        return self.chunks.create(chunk, self._encoded(arrays), self.safe)

    def write_chunk(self, chunk: int, arrays: Arrays, before: Seal | None = None) -> bool:
        """Write variables of a chunk, `status` last, on the disk. For a driver.

        If `before` is not any more what it is sealed with, nothing is written, and False returned: this driver slept
        while another one took over.
        """
        is_written = self.chunks.commit(chunk, self._encoded(arrays), before or self.chunks.seals.sealed(chunk))
        if not is_written:
            self._require_there()
        return is_written

    def _encoded(self, arrays: Arrays) -> dict[str, bytes]:
        return {name: encode(name, self._padded(name, values)) for name, values in arrays.items()}

    def _require_there(self) -> None:
        if not self.chunks.identity.is_there():
            raise QbsweepError(f"{self.path} was replaced while it was being run; nothing was written to it")

    def _padded(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        shape = (*self.grid.chunk_shape, *self._metadata.tail(name))
        if values.shape == shape:
            return values.astype(VARIABLES[name].dtype, copy=False)
        whole = np.full(shape, VARIABLES[name].fill, VARIABLES[name].dtype)
        whole[tuple(slice(length) for length in values.shape)] = values
        return whole

    def fold(self, chunk: int) -> None:
        """Bring the finished blocks of a chunk into it, and onto the disk, before their files go. For a driver."""
        while True:
            before = self.chunks.seals.sealed(chunk)
            with readable(self.path):
                # By their names, one by one: a file server's list of a directory may be old.
                blocks = ((number, self.blocks.read(number)) for number in self.grid.blocks_of(chunk))
                finished = {number: block for number, block in blocks if block}
                if not finished:
                    return
                arrays = self._arrays(chunk, self.variables)
            bring_in(finished, self.grid, arrays, arrays[LAST].copy())
            if self.write_chunk(chunk, arrays, before):
                self.blocks.remove_read(finished)
                return

    def fold_all(self) -> None:
        """Bring all finished blocks into their chunks, and what was written without waiting for the disk onto it."""
        self.blocks.refresh()
        for chunk in sorted({self.grid.chunk_of(number) for number in self.blocks.numbers()}):
            self.fold(chunk)
        self.blocks.remove_others()
        if not self.safe:
            for chunk in range(self.grid.chunks.number):
                self.chunks.confirm(chunk)

    def require_current(self) -> None:
        """Refuse to write to a dataset of an earlier format."""
        if self.version != FORMAT:
            raise QbsweepError(
                f"{self.path} has format {self.version}, which is read but not written any more; "
                f"`qbsweep upgrade {self.path.parent}` makes it one of format {FORMAT}, and keeps all results"
            )

    def set_status(self, number: int, status: NDArray[np.int8]) -> None:
        """Write the status of a block whose other variables stay. For a driver."""
        chunk, within = self.grid.chunk_of(number), self.grid.within(number)

        def change(whole: NDArray[np.int8]) -> None:
            whole[within] = status

        with readable(self.path):
            there = self._arrays(chunk, [LAST])[LAST][within]
        counts_as_block = self.grid.is_grouped and not np.isin(there, (OK, SUSPECT)).any()
        if counts_as_block or not self.change_status(chunk, change):
            self.write(number, {**self.read(number), LAST: status})

    def change_status(self, chunk: int, change: Callable[[NDArray[np.int8]], None]) -> bool:
        """Change the status in a chunk, where it is; returns whether it has one. For a driver."""
        self.fold(chunk)
        while True:
            before = self.chunks.seals.sealed(chunk)
            with readable(self.path):
                if self.chunks.content(LAST, chunk) is None:
                    return False
                whole = self._arrays(chunk, [LAST])[LAST]
            change(whole)
            if self.write_chunk(chunk, {LAST: whole}, before):
                return True
