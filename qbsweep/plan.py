"""How a sweep will be run: its blocks, and what they will cost in time, memory, bytes and files."""

import math
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qbsweep import evaluate
from qbsweep.grid import Grid, fit_blocks
from qbsweep.physics.network import FloatArray
from qbsweep.schema import VARIABLES
from qbsweep.solvers import SOLVERS
from qbsweep.spec import SweepSpec

BLOCK_SECONDS = 10.0
"""Default upper bound of a block's predicted seconds: what a crash can cost, per worker."""
_MIN_BLOCK_SECONDS = 0.05  # scheduling a block costs 2 ms
_MIN_BLOCKS = 64  # for balance and for progress that can be watched
_BLOCK_BYTES = 64_000_000
_PILOT_SECONDS = 0.1
_PILOTS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """Blocks and predictions of a sweep; plain data, written to plan.json.

    Attributes
    ----------
    name, digest : str
    dims, shape, block_shape : tuple
    points, blocks : int
    seconds : float
        Predicted solver time on one core, from timed pilot points.
    block_bytes : int
        Uncompressed size of a block's results, the least memory a worker needs for it.
    bytes : int
        Uncompressed size of the dataset.
    files : int
        Chunk files of the data variables.
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
    bytes: int
    files: int

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bytes_per_point(spec: SweepSpec) -> int:
    """Uncompressed bytes of all variables of one point."""
    extra = evaluate.sizes(spec)
    return sum(
        np.dtype(VARIABLES[name].dtype).itemsize * math.prod(extra[dim] for dim in VARIABLES[name].extra_dims)
        for name in stored_variables(spec)
    )


def stored_variables(spec: SweepSpec) -> tuple[str, ...]:
    """Names of the variables in the store; `status` is last."""
    return (*spec.outputs, "solve_seconds", "status")


def point_costs(spec: SweepSpec) -> FloatArray:
    """Modelled seconds of a point, one entry per value of the N axis (one if N is fixed)."""
    extra = evaluate.sizes(spec)
    baths = math.prod(len(spec.axis(name)) for name in evaluate.VALUE_PARAMETERS[2:])
    costs = []
    for N in spec.values("N"):
        n_modes = int(N) + 1
        extra["mode"] = n_modes
        scalars = sum(math.prod(extra[dim] for dim in VARIABLES[name].extra_dims) for name in spec.outputs)
        per_solver = [SOLVERS[str(s)].cost(n_modes, extra["time"], scalars) for s in spec.values("solver")]
        costs.append(max(matrix / baths + point for matrix, point in per_solver))
    return np.array(costs)


def make_grid(spec: SweepSpec, block_seconds: float = BLOCK_SECONDS) -> Grid:
    """Cut the grid of a sweep into blocks by modelled cost and memory; the same on every machine."""
    dims = tuple(spec.axes)
    shape = tuple(len(axis) for axis in spec.axes.values())
    costs = point_costs(spec)
    total = math.prod(shape) * float(costs.mean())
    target = min(max(total / _MIN_BLOCKS, _MIN_BLOCK_SECONDS), block_seconds)
    point_bytes = bytes_per_point(spec)

    def fits(block: tuple[int, ...]) -> bool:
        points = math.prod(block)
        length = block[dims.index("N")] if "N" in dims else 1
        dearest = max(costs[start : start + length].mean() for start in range(0, len(costs), length))
        return points * dearest <= target and points * point_bytes <= _BLOCK_BYTES

    return Grid(dims, shape, fit_blocks(shape, fits))


def make_plan(spec: SweepSpec, grid: Grid) -> Plan:
    """Predict what a sweep costs; times a few pilot points, so it takes up to a second."""
    stored = stored_variables(spec)
    point_bytes = bytes_per_point(spec)
    return Plan(
        name=spec.name,
        digest=spec.digest(),
        dims=grid.dims,
        shape=grid.shape,
        block_shape=grid.block_shape,
        points=grid.n_points,
        blocks=grid.n_blocks,
        seconds=grid.n_points * float(point_costs(spec).mean()) * _pilot_ratio(spec, grid),
        block_bytes=math.prod(grid.block_shape) * point_bytes,
        bytes=grid.n_points * point_bytes,
        files=grid.n_blocks * len(stored),
    )


def block_costs(spec: SweepSpec, grid: Grid) -> FloatArray:
    """Modelled seconds of every block: what the time that is left is judged by."""
    costs = point_costs(spec)
    N_dim = grid.dims.index("N") if "N" in grid.dims else None
    result = np.empty(grid.n_blocks)
    for number in range(grid.n_blocks):
        region = grid.block(number)
        own = costs if N_dim is None else costs[region[N_dim]]
        result[number] = math.prod(s.stop - s.start for s in region) * own.mean()
    return result


def _pilot_ratio(spec: SweepSpec, grid: Grid) -> float:
    """Measured over modelled seconds, from a corner of the first, the middle and the last block."""
    costs = point_costs(spec)
    measured = modelled = 0.0
    for number in sorted({0, grid.n_blocks // 2, grid.n_blocks - 1})[:_PILOTS]:
        region = grid.block(number)
        lengths = tuple(s.stop - s.start for s in region)
        N_dim = grid.dims.index("N") if "N" in grid.dims else None
        cost = float(costs[region[N_dim]].max() if N_dim is not None else costs[0])
        corner = fit_blocks(lengths, lambda shape, cost=cost: math.prod(shape) * cost <= _PILOT_SECONDS)  # type: ignore[misc]
        indices = tuple(np.arange(s.stop - n, s.stop) for s, n in zip(region, corner, strict=True))
        best = math.inf
        for _ in range(2):  # the first call builds and caches the network
            started = time.perf_counter()
            evaluate.solve_box(spec, indices)
            best = min(best, time.perf_counter() - started)
            if best > _PILOT_SECONDS:
                break
        measured += best
        own = float(costs[indices[N_dim]].mean() if N_dim is not None else costs[0])
        modelled += math.prod(corner) * own
    return measured / modelled
