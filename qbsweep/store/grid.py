"""Index arithmetic: the grid of a sweep, its blocks and chunks, and the boxes of points that are to be solved."""

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_SECONDS = 10.0
"""Default upper bound of a block's predicted seconds: what a crash can cost, per worker."""

Slices = tuple[slice, ...]
Indices: TypeAlias = "tuple[NDArray[np.intp], ...]"


@dataclass(frozen=True)
class Tiling:
    """A box of points, cut into equal tiles; the last ones along a dimension may be smaller.

    Tiles are numbered with the last dimension fastest.

    Attributes
    ----------
    shape, tile : tuple of int
        Of the box, and of a whole tile.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of tiles along every dimension."""
        return tuple(-(-size // step) for size, step in zip(self.shape, self.tile, strict=True))

    @property
    def number(self) -> int:
        """Number of tiles."""
        return math.prod(self.counts)

    def corner(self, tile: int) -> tuple[int, ...]:
        """Return where a tile stands among the tiles."""
        corner = []
        for count in reversed(self.counts):
            tile, index = divmod(tile, count)
            corner.append(index)
        return tuple(reversed(corner))

    def at(self, corner: Sequence[int]) -> int:
        """Return the number of the tile that stands there."""
        number = 0
        for count, index in zip(self.counts, corner, strict=True):
            number = number * count + index
        return number

    def region(self, tile: int) -> Slices:
        """Return the points of a tile."""
        return tuple(
            slice(c * step, min((c + 1) * step, size))
            for c, step, size in zip(self.corner(tile), self.tile, self.shape, strict=True)
        )


@dataclass(frozen=True)
class Grid:
    """A box of points, cut into blocks, of which a chunk holds one or more.

    A block is what is solved at once, a chunk what lies in one file of every variable. No block is in two chunks.

    Attributes
    ----------
    dims : tuple of str
    shape, block_shape, chunk_shape : tuple of int
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    block_shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]

    @property
    def n_points(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    @cached_property
    def blocks(self) -> Tiling:
        """The blocks."""
        return Tiling(self.shape, self.block_shape)

    @cached_property
    def chunks(self) -> Tiling:
        """The chunks."""
        return Tiling(self.shape, self.chunk_shape)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return self.blocks.number

    @property
    def is_grouped(self) -> bool:
        """Whether a chunk holds more than one block."""
        return any(across > 1 for across in self._blocks_across)

    def block(self, number: int) -> Slices:
        """Return the region of block `number`."""
        return self.blocks.region(number)

    def chunk_of(self, block: int) -> int:
        """Return the number of the chunk that holds a block."""
        per_chunk = zip(self.blocks.corner(block), self._blocks_across, strict=True)
        return self.chunks.at([index // across for index, across in per_chunk])

    def blocks_of(self, chunk: int) -> list[int]:
        """Return the numbers of the blocks that a chunk holds, ascending."""
        ranges = [
            range(index * across, min((index + 1) * across, count))
            for index, across, count in zip(
                self.chunks.corner(chunk), self._blocks_across, self.blocks.counts, strict=True
            )
        ]
        blocks = self.blocks
        return [blocks.at(corner) for corner in itertools.product(*ranges)]

    def within(self, block: int) -> Slices:
        """Return the region of a block inside of its chunk."""
        chunk = self.chunks.region(self.chunk_of(block))
        return tuple(slice(b.start - c.start, b.stop - c.start) for b, c in zip(self.block(block), chunk, strict=True))

    @cached_property
    def _blocks_across(self) -> tuple[int, ...]:
        return tuple(-(-c // b) for c, b in zip(self.chunk_shape, self.block_shape, strict=True))


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


def fit_chunks(blocks: Tiling, fits: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    """Return the largest shape of a chunk that fits, made of whole blocks; a block that does not is a chunk.

    Parameters
    ----------
    blocks : Tiling
    fits : callable
        Whether a chunk of a given number of blocks along every dimension is acceptable; must be monotone.
    """
    across = fit_blocks(blocks.counts, fits)
    return tuple(min(count * step, size) for count, step, size in zip(across, blocks.tile, blocks.shape, strict=True))


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
