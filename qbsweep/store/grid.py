"""Index arithmetic: the grid of a sweep, its blocks, and the boxes of points that are still to be solved."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_SECONDS = 10.0
"""Default upper bound of a block's predicted seconds: what a crash can cost, per worker."""

Slices = tuple[slice, ...]
Indices: TypeAlias = "tuple[NDArray[np.intp], ...]"


@dataclass(frozen=True, slots=True)
class Grid:
    """A box of points, cut into equal blocks; the last ones along a dimension may be smaller.

    A block is one Zarr chunk of every variable, so no two blocks ever share a chunk.

    Attributes
    ----------
    dims : tuple of str
    shape : tuple of int
    block_shape : tuple of int
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    block_shape: tuple[int, ...]

    @property
    def n_points(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of blocks along every dimension."""
        return tuple(-(-size // step) for size, step in zip(self.shape, self.block_shape, strict=True))

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return math.prod(self.counts)

    def block(self, number: int) -> Slices:
        """Return the region of block `number`; blocks are numbered with the last dimension fastest."""
        return tuple(
            slice(c * step, min((c + 1) * step, size))
            for c, step, size in zip(self.corner(number), self.block_shape, self.shape, strict=True)
        )

    def corner(self, number: int) -> tuple[int, ...]:
        """Return where block `number` stands among the blocks: the indices of its chunk."""
        corner = []
        for count in reversed(self.counts):
            number, index = divmod(number, count)
            corner.append(index)
        return tuple(reversed(corner))


def fit_blocks(shape: Sequence[int], fits: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    """Return the largest block shape that fits, cutting the outermost dimensions first.

    The innermost dimensions (the bath, then J) stay whole as long as possible, because one drift matrix
    serves all baths. A single point that does not fit is a block of its own.

    Parameters
    ----------
    shape : sequence of int
        Shape of the grid.
    fits : callable
        Whether a block of a given shape is acceptable; must be monotone.
    """
    block = list(shape)
    for dim, size in enumerate(shape):
        if fits(tuple(block)):
            break

        def too_long(length: int, dim: int = dim) -> bool:
            return not fits((*block[:dim], length, *block[dim + 1 :]))

        longest = max(bisect_left(range(1, size + 1), True, key=too_long), 1)
        block[dim] = math.ceil(size / math.ceil(size / longest))
    return tuple(block)


def boxes(mask: "NDArray[np.bool_]") -> "Iterator[Indices]":
    """Split the True points of `mask` into disjoint products of index lists that cover exactly them.

    A solver works on products. What an extended or partly failed block still lacks is seldom one, but
    it is a few: subarrays along the first dimension that look the same are taken together.
    """
    import numpy as np  # here, because `status` needs no numpy

    if mask.ndim == 0:
        if mask:
            yield ()
        return
    alike: dict[bytes, list[int]] = {}
    for index in range(len(mask)):
        alike.setdefault(mask[index].tobytes(), []).append(index)
    for group in alike.values():
        for inner in boxes(mask[group[0]]):
            yield (np.array(group, dtype=np.intp), *inner)
