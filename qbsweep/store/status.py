"""What is solved and who vouches for it, from the files of a dataset alone: a look need not wait for zarr and numpy."""

import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import compress

from qbsweep.solvers.status import NO_VERDICT, OK, PENDING, STATUS_NAMES, SUSPECT, VERDICT_NAMES
from qbsweep.store.blocks import BlockFiles
from qbsweep.store.chunks import Chunks
from qbsweep.store.grid import Grid, Slices, Tiling

_SOLVED = bytes(code in (OK, SUSPECT) for code in range(256))  # a table for `bytes.translate`


@dataclass(frozen=True, slots=True)
class Tally:
    """Points by status, those that are solved by verdict, and the blocks with pending points."""

    points: Counter[int]
    verdicts: Counter[int]
    pending: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StatusFiles:
    """The codes of `status` and `verdict`: in chunks, and in finished blocks that no chunk holds yet.

    Attributes
    ----------
    chunks : Chunks
    blocks : BlockFiles
    """

    chunks: Chunks
    blocks: BlockFiles

    @property
    def grid(self) -> Grid:
        """The grid."""
        return self.chunks.grid

    def tallies(self, with_verdicts: bool) -> Iterator[Tally]:
        """Count the points of one chunk after the other."""
        finished = self._finished()
        for chunk in range(self.grid.chunks.number):
            yield self._tally(chunk, finished.get(chunk, ()), with_verdicts)

    def blocks_with(self, codes: Collection[int]) -> list[int]:
        """Return the numbers of the blocks with points of one of these states."""
        finished = self._finished()
        found: list[int] = []
        for chunk in range(self.grid.chunks.number):
            found += self._blocks_with(codes, chunk, finished.get(chunk, ()))
        return sorted(found)

    def _blocks_with(self, codes: Collection[int], chunk: int, finished: Collection[int]) -> list[int]:
        if not finished:  # as in nearly all chunks, of which few have to be looked at block by block
            whole = self._codes("status", chunk)
            if whole is None:
                return self.grid.blocks_of(chunk) if PENDING in codes else []
            if not any(whole.count(code) for code in codes):
                return []
        return [block for block, status in self._statuses(chunk, finished) if any(status.count(code) for code in codes)]

    def block(self, number: int) -> bytes:
        """Return the status of every point of a block."""
        finished = self.blocks.read(number)
        there = self._cut(self._codes("status", self.grid.chunk_of(number)), number)
        return _joined(there, there, finished.codes("status")) if finished else there

    def _finished(self) -> dict[int, list[int]]:
        """Return the blocks that have a file, by the chunk that they are to be in."""
        found: dict[int, list[int]] = {}
        for number in self.blocks.numbers():
            if number < self.grid.n_blocks:
                found.setdefault(self.grid.chunk_of(number), []).append(number)
        return found

    def _codes(self, variable: str, chunk: int) -> bytes | None:
        """Return the codes of a chunk, padded to a whole one; None if there are none, or a power cut tore them."""
        content = self.chunks.content(variable, chunk) if variable in self.chunks.tails else None
        return None if content is None else content[:-4]

    def _cut(self, whole: bytes | None, block: int) -> bytes:
        region = self.grid.within(block)
        if whole is None:
            return bytes([PENDING]) * int(math.prod(s.stop - s.start for s in region))
        return _box(whole, self.grid.chunk_shape, region)

    def _statuses(self, chunk: int, finished: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        there = {number: block.codes("status") for number in finished if (block := self.blocks.read(number))}
        whole = self._codes("status", chunk)  # after the blocks: one that has gone since is in it by now
        for number in self.grid.blocks_of(chunk):
            status = self._cut(whole, number)
            yield number, _joined(status, status, there[number]) if number in there else status

    def _tally(self, chunk: int, finished: Collection[int], with_verdicts: bool) -> Tally:
        if not finished:
            status = self._codes("status", chunk)  # first: what it calls solved has its verdict by then
            region = self.grid.chunks.region(chunk)
            points = math.prod(s.stop - s.start for s in region)
            if status is None:
                return Tally(Counter({PENDING: points}), Counter(), tuple(self.grid.blocks_of(chunk)))
            count = counted(status, STATUS_NAMES)
            count[PENDING] -= len(status) - points  # the padding is pending
            if not count[PENDING]:
                verdicts = (self._codes("verdict", chunk) or b"") if with_verdicts else b""
                return Tally(count, _verdicts(count, status, verdicts), ())
        return self._tally_of_blocks(chunk, finished, with_verdicts)

    def _tally_of_blocks(self, chunk: int, finished: Iterable[int], with_verdicts: bool) -> Tally:
        there = {number: block for number in finished if (block := self.blocks.read(number))}
        whole = self._codes("status", chunk)
        judged = self._codes("verdict", chunk) if with_verdicts and whole else None
        points, verdicts, pending = Counter[int](), Counter[int](), []
        for number in self.grid.blocks_of(chunk):
            status, verdict = self._cut(whole, number), self._cut(judged, number) if judged else b""
            if found := there.get(number):
                verdict = _joined(status, verdict, found.codes("verdict")) if with_verdicts else b""
                status = _joined(status, status, found.codes("status"))
            count = counted(status, STATUS_NAMES)
            points.update(count)
            verdicts.update(_verdicts(count, status, verdict))
            if count[PENDING]:
                pending.append(number)
        return Tally(points, verdicts, tuple(pending))


def _joined(status: bytes, codes: bytes, new: bytes) -> bytes:
    """Return the codes in the file of a block, but in their place those of a chunk where that has the point solved.

    The file of a block that is in its chunk may come back: by a power cut, or by a worker that slept.
    """
    solved = status.translate(_SOLVED)
    if not any(solved):
        return new
    return bytes(old if is_solved else code for old, code, is_solved in zip(codes, new, solved, strict=True))


def _box(whole: bytes, shape: tuple[int, ...], region: Slices) -> bytes:
    """Return the bytes of a box of an array of one byte an element."""
    if not shape:
        return whole[:1]
    sizes, bounds = list(shape), [(s.start, s.stop) for s in region]
    while len(sizes) > 1 and bounds[-1] == (0, sizes[-1]):  # whole rows follow each other
        row, _ = sizes.pop(), bounds.pop()
        sizes[-1], bounds[-1] = sizes[-1] * row, (bounds[-1][0] * row, bounds[-1][1] * row)
    *outer, (first, last) = bounds
    rows = Tiling(tuple(sizes), (*(1,) * len(outer), sizes[-1]))
    starts = (rows.at((*corner, 0)) * sizes[-1] for corner in itertools.product(*(range(*bound) for bound in outer)))
    return b"".join(whole[start + first : start + last] for start in starts)


def _verdicts(count: Counter[int], status: bytes, verdict: bytes) -> Counter[int]:
    """Count the verdicts; one of a point that is pending, or has failed since it was written, is none."""
    solved = count[OK] + count[SUSPECT]
    if solved == len(status) == len(verdict):  # as in nearly all chunks: ten times as fast
        found = counted(verdict, VERDICT_NAMES)
    else:
        found = Counter(compress(verdict, status.translate(_SOLVED)))
    del found[NO_VERDICT]
    return found


def counted(content: bytes, codes: Iterable[int]) -> Counter[int]:
    """Count the bytes that are one of these codes."""
    found, left = Counter(dict.fromkeys(codes, 0)), len(content)
    first = content[:1]  # most points are like it, often all
    for code in sorted(found, key=lambda code: first != bytes([code])):
        if left:
            found[code] = content.count(code)
            left -= found[code]
    return found
