"""What is solved and who vouches for it, from the files of a dataset alone: a look need not wait for zarr and numpy."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qbsweep.solvers.status import NO_VERDICT, PENDING
from qbsweep.store.directory import FORMAT, RunDirectory
from qbsweep.store.grid import Grid

BYTES = ("status", "verdict")
"""Variables of one byte a point whose chunks are not compressed."""


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
        whole = math.prod(self.grid.block_shape)
        for number in range(self.grid.n_blocks):
            points = math.prod(s.stop - s.start for s in self.grid.block(number))
            content = self.chunk(number)
            count = Counter({PENDING: points} if content is None else content)
            if content is not None:
                count[PENDING] -= whole - points  # the padding is pending
            yield count

    def verdicts(self) -> Counter[int]:
        """Count the points that have a verdict by it."""
        count = Counter[int]()
        for number in range(self.grid.n_blocks):
            count.update(self.chunk(number, "verdict") or b"")
        del count[NO_VERDICT]
        return count


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
