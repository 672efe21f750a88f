"""What is solved and who vouches for it, from the files of a dataset alone: a look need not wait for zarr and numpy."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

from qbsweep.solvers.status import NO_VERDICT, OK, PENDING, STATUS_NAMES, SUSPECT, VERDICT_NAMES
from qbsweep.store.directory import FORMAT, RunDirectory
from qbsweep.store.grid import Grid

BYTES = ("status", "verdict")
"""Variables of one byte a point whose chunks are not compressed."""
_SOLVED = bytes(code in (OK, SUSPECT) for code in range(256))  # a table for `bytes.translate`


@dataclass(frozen=True, slots=True)
class StatusFiles:
    """The chunks of `status` and `verdict`: one byte a point, not compressed.

    Attributes
    ----------
    path : Path
        The dataset.
    grid : Grid
    """

    path: Path
    grid: Grid

    def chunk(self, number: int, variable: str = "status") -> bytes | None:
        """Return the codes of a block, padded to a whole block; None if it was never written.

        Raises
        ------
        ValueError
            If the file has not the length of a block.
        """
        corner = map(str, self.grid.corner(number))
        try:
            content = self.path.joinpath(variable, "c", *corner).read_bytes()
        except FileNotFoundError:
            return None
        if len(content) != math.prod(self.grid.block_shape):
            raise ValueError(f"the {variable} of block {number} has {len(content)} bytes")
        return content

    def counts(self) -> Iterator[Counter[int]]:
        """Count the points of every block by their status."""
        for number in range(self.grid.n_blocks):
            yield self._count(number, self.chunk(number))

    def judged(self) -> Iterator[tuple[Counter[int], Counter[int]]]:
        """Count the points of every block by their status, and those that are solved by their verdict."""
        for number in range(self.grid.n_blocks):
            status = self.chunk(number)  # first: what it calls solved has its verdict by then
            count = self._count(number, status)
            yield count, _verdicts(count, status or b"", self.chunk(number, "verdict") or b"")

    def _count(self, number: int, status: bytes | None) -> Counter[int]:
        points = math.prod(s.stop - s.start for s in self.grid.block(number))
        if status is None:
            return Counter({PENDING: points})
        count = _counted(status, STATUS_NAMES)
        count[PENDING] -= len(status) - points  # the padding is pending
        return count


def _verdicts(count: Counter[int], status: bytes, verdict: bytes) -> Counter[int]:
    """Count the verdicts of a block; one of a point that is pending, or has failed since it was written, is none."""
    solved = count[OK] + count[SUSPECT]
    if solved == count.total():  # as in nearly all blocks: ten times as fast
        found = _counted(verdict, VERDICT_NAMES)
    else:
        found = Counter(compress(verdict, status.translate(_SOLVED)))
    del found[NO_VERDICT]
    return found


def _counted(content: bytes, codes: Iterable[int]) -> Counter[int]:
    return Counter({code: content.count(code) for code in codes})


def status_files(directory: RunDirectory) -> StatusFiles:
    """Find the chunks of `status` of a dataset in which nothing looks other than a run has left it.

    Raises
    ------
    Exception
        Of any kind, if something does: `Store` then says whether it matters, and what it is.
    """
    data = directory.data
    group = _json(data)
    arrays, attributes = group["consolidated_metadata"]["metadata"], group["attributes"]
    if attributes["qbsweep_format"] != FORMAT:
        raise ValueError("another format")
    if directory.sweep() != (attributes["spec_digest"], attributes["spec"]):
        raise ValueError("another sweep")
    for name, metadata in arrays.items():
        if _json(data / name) != metadata:
            raise ValueError(f"other metadata of {name}")
    for name in BYTES:
        array = arrays.get(name)  # a dataset of an earlier version has no `verdict`
        if array and (array["data_type"], [codec["name"] for codec in array["codecs"]]) != ("int8", ["bytes"]):
            raise ValueError(f"another encoding of {name}")
    status = arrays["status"]
    shape, chunks = status["shape"], status["chunk_grid"]["configuration"]["chunk_shape"]
    return StatusFiles(data, Grid(tuple(status.get("dimension_names", ())), tuple(shape), tuple(chunks)))


def _json(node: Path) -> Any:
    return json.loads((node / "zarr.json").read_text(encoding="utf-8"))
