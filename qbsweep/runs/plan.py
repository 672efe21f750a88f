"""How a sweep will be run: its blocks, and what they will cost in time, memory, bytes and files."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.runs.costs import OPENING, block_costs, block_sums, point_costs
from qbsweep.runs.executors import START_SECONDS, cores
from qbsweep.runs.speed import slowness
from qbsweep.store.grid import BLOCK_SECONDS, Grid, Tiling, fit_blocks, fit_chunks
from qbsweep.store.layout import bytes_per_point, largest_bytes_per_point, stored_variables
from qbsweep.sweeps.spec import SweepSpec
from qbsweep.text import Tabulated, duration, size_of

MAX_BLOCKS = 2_000_000
"""Of a sweep: a driver needs some 200 bytes for each."""
_MIN_BLOCK_SECONDS = 0.05  # scheduling a block costs 2 ms
_MIN_BLOCKS = 64  # for balance and for progress that can be watched
_BLOCK_BYTES = 64_000_000
_CHUNK_BYTES = 16_000_000  # of the largest variable: few files, of which a slice is still read quickly
_CHUNK_BLOCKS = 4096  # so many can a flipped bit cost at most
_TOLD = 10_000  # blocks, one by one, in plan.json


@dataclass(frozen=True, slots=True, repr=False)
class Plan(Tabulated):
    """Blocks and predictions of a sweep; plain data, written to plan.json.

    Attributes
    ----------
    name, digest : str
    dims, shape, block_shape : tuple
    points, blocks : int
    seconds : float
        Predicted solver time on one core, from models and the speed of this machine.
    block_bytes : int
        Uncompressed size of a block's results.
    point_memory : int
        Memory that the solver takes for its largest point.
    bytes : int
        Uncompressed size of the dataset.
    files : int
        Chunk files of the data variables, and what seals them.
    block_seconds : tuple of float
        Predicted seconds of every block; empty if there are very many.
    """

    name: str
    digest: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    block_shape: tuple[int, ...]
    points: int
    blocks: int
    seconds: float
    block_bytes: int
    point_memory: int
    bytes: int
    files: int
    block_seconds: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)

    def seconds_on(self, n_cores: int) -> float:
        """Return the predicted seconds on some cores of a machine, the start of their workers included."""
        return (START_SECONDS if n_cores > 1 else 0.0) + self.seconds / min(n_cores, self.blocks)

    def rows(self, n_cores: int | None = None) -> dict[str, str]:
        """Return what a person wants to know of it; the time on some cores, by default on those that `run` takes."""
        n_cores = n_cores or cores("auto", self.seconds)
        on_cores = f"{n_cores} {'core' if n_cores == 1 else 'cores'}"
        shape = " x ".join(f"{dim} {size}" for dim, size in zip(self.dims, self.shape, strict=True)) or "one point"
        largest = "1 point"
        if math.prod(self.block_shape) > 1:
            largest = f"up to {' x '.join(map(str, self.block_shape))} points"
        return {
            "points": f"{self.points:,} ({shape})",
            "blocks": f"{self.blocks:,} of {largest}",
            "time": f"{duration(self.seconds)} of computing, {duration(self.seconds_on(n_cores))} on {on_cores}",
            "memory": f"{size_of(self.block_bytes)} of results per block, {size_of(self.point_memory)} for a point",
            "disk": f"{size_of(self.bytes)} before compression, {self.files:,} files",
        }


def make_grid(spec: SweepSpec, block_seconds: float = BLOCK_SECONDS) -> Grid:
    """Cut the grid of a sweep into blocks by modelled cost and memory; the same on every machine."""
    dims = tuple(spec.axes)
    shape = tuple(len(axis) for axis in spec.axes.values())
    costs = point_costs(spec).seconds
    total = math.prod(shape) * float(costs.mean())
    target = min(max(total / _MIN_BLOCKS, _MIN_BLOCK_SECONDS), block_seconds)
    point_bytes = bytes_per_point(spec)

    cheapest, dearest = float(costs.min()), float(costs.max())

    def fits(block: tuple[int, ...]) -> bool:
        points = math.prod(block)
        if points * point_bytes > _BLOCK_BYTES or points * cheapest > target:
            return False
        if points * dearest <= target:
            return True
        candidate = Grid(dims, shape, block, block)
        means = block_sums(costs, candidate) / block_sums(np.ones((1,) * len(shape)), candidate)
        return points * float(means.max()) <= target

    block_shape = fit_blocks(shape, fits)
    blocks, largest = Tiling(shape, block_shape), largest_bytes_per_point(spec)
    if blocks.number > MAX_BLOCKS:
        raise QbsweepError(
            f"this sweep has {blocks.number:,} blocks, of {math.prod(block_shape):,} points at most, but a run keeps "
            f"the books of {MAX_BLOCKS:,}; give a longer `--block-seconds`, or split the sweep"
        )

    def fits_chunk(across: tuple[int, ...]) -> bool:
        points = math.prod(across) * math.prod(block_shape)
        return math.prod(across) <= _CHUNK_BLOCKS and points * largest <= _CHUNK_BYTES

    return Grid(dims, shape, block_shape, fit_chunks(blocks, fits_chunk))


def predicted_blocks(spec: SweepSpec, grid: Grid) -> FloatArray:
    """Return the predicted seconds of every block on one core of this machine."""
    return block_costs(spec, grid) * slowness()


def make_plan(spec: SweepSpec, grid: Grid) -> Plan:
    """Predict what a sweep costs, from models and the speed of this machine; nothing is solved."""
    stored = stored_variables(spec)
    seconds = predicted_blocks(spec, grid)
    point_bytes = bytes_per_point(spec)
    return Plan(
        name=spec.name,
        digest=spec.digest(),
        dims=grid.dims,
        shape=grid.shape,
        block_shape=grid.block_shape,
        points=grid.n_points,
        blocks=grid.n_blocks,
        seconds=float(seconds.sum()) + OPENING * slowness(),
        block_bytes=math.prod(grid.block_shape) * point_bytes,
        point_memory=int(point_costs(spec).memory),
        bytes=grid.n_points * point_bytes,
        files=grid.chunks.number * (len(stored) + 1),
        block_seconds=tuple(float(f"{one:.3g}") for one in seconds) if grid.n_blocks <= _TOLD else (),
    )
