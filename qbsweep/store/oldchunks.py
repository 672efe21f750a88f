"""The files of a dataset of format 2, which has neither checksums nor seals, and of which every chunk is a block.

It was written without a sync: what a power cut has left of a chunk is pending, as in a dataset of today.
"""

import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from qbsweep.errors import QbsweepError
from qbsweep.solvers.status import OK, SUSPECT
from qbsweep.store.chunks import BYTES, LAST, Chunks, read_file
from qbsweep.store.seals import DamagedError, Seal, closed

_HEADER = 16  # bytes of Blosc, of which the second and the fourth word are the sizes of what is in it and of all


@dataclass(frozen=True, slots=True)
class OldChunks(Chunks):
    """Where the chunks of a dataset of format 2 lie; they are read, and not written any more.

    Attributes
    ----------
    sizes : dict
        How many bytes the values of a chunk of every variable have, not compressed.
    """

    sizes: Mapping[str, int]

    def file(self, variable: str, chunk: int) -> Path:
        """Return where a chunk of a variable lies."""
        corner = (*self.grid.chunks.corner(chunk), *(0,) * self.tails[variable])
        return self.path.joinpath(variable, "c", *map(str, corner))

    def may_lack(self, variable: str, chunk: int) -> bool:
        """Whether a chunk whose `status` was there needs no file of another variable: not if it never had one."""
        return not self.file(variable, chunk).exists()

    def _content(self, variable: str, chunk: int) -> bytes | None:
        """Return what is in a file, as if it had a checksum; None if it was never written, or is not whole."""
        try:
            content = read_file(self.file(variable, chunk))
        except DamagedError:  # a folder
            content = None
        self.identity.require()  # two datasets of format 2 call their files the same
        if content is None or self._size(variable, content, len(content)) != self.sizes[variable]:
            return None
        is_right = self._has_values(chunk, content) if variable == LAST else variable in BYTES or _is_sound(content)
        return closed(content) if is_right else None

    def _has_values(self, chunk: int, status: bytes) -> bool:
        """Whether all that a status calls solved is there."""
        is_solved = any(code in status for code in (OK, SUSPECT))
        return all(self._is_whole(name, chunk, is_solved) for name in self.tails if name != LAST)

    def _is_whole(self, variable: str, chunk: int, is_solved: bool) -> bool:
        file = self.file(variable, chunk)
        try:
            with file.open("rb") as opened:
                size = self._size(variable, opened.read(_HEADER), file.stat().st_size)
        except FileNotFoundError:
            from qbsweep.sweeps.variables import VARIABLES  # with numpy, which a look can do without

            # Zarr left out what only had fill values; of a point that is solved, those of its verdict may be.
            return not is_solved or VARIABLES[variable].group == "verdict"
        except (IsADirectoryError, NotADirectoryError):
            return False
        return size == self.sizes[variable]

    def _size(self, variable: str, head: bytes, length: int) -> int:
        """Return how many bytes of values a file has; -1 if it is not whole."""
        if variable in BYTES:
            return length
        with contextlib.suppress(struct.error):
            size, whole = struct.unpack_from("<4xi4xi", head)
            return int(size) if whole == length else -1
        return -1

    def is_torn(self, chunk: int) -> bool:
        """Whether something has to be made pending: nothing has, since what is torn counts as never written."""
        return False

    def create(self, chunk: int, contents: Mapping[str, bytes], safe: bool) -> bool:
        """Refuse to write."""
        self._refuse()

    def commit(self, chunk: int, contents: Mapping[str, bytes], before: Seal) -> bool:
        """Refuse to replace."""
        self._refuse()

    def clear(self, chunk: int) -> None:
        """Refuse to remove."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise QbsweepError(f"{self.path} has format 2, which is not written any more; nothing was changed")


def _is_sound(content: bytes) -> bool:
    """Whether values can be made of a content: the only check there is."""
    from numcodecs.blosc import decompress

    try:
        decompress(content)
    except RuntimeError:
        return False
    return True
