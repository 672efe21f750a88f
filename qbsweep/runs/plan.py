"""How a sweep will be run: its blocks, and what they will cost in time, memory, bytes and files."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.physics.moments.dynamics import uniform_step
from qbsweep.physics.network import tree_parents
from qbsweep.runs import box
from qbsweep.runs.executors import available_cores
from qbsweep.solvers.interface import Points, Problem
from qbsweep.solvers.registry import solver
from qbsweep.store.grid import BLOCK_SECONDS, Grid, Slices, fit_blocks
from qbsweep.store.layout import bytes_per_point, sizes, stored_variables
from qbsweep.sweep.axes import Scalar
from qbsweep.sweep.parameters import CALLS, VALUES
from qbsweep.sweep.spec import SweepSpec
from qbsweep.sweep.variables import TIME_RESOLVED, VARIABLES, VERDICT
from qbsweep.text import Tabulated, duration, size_of

_MIN_BLOCK_SECONDS = 0.05  # scheduling a block costs 2 ms
_MIN_BLOCKS = 64  # for balance and for progress that can be watched
_BLOCK_BYTES = 64_000_000
_PILOT_SECONDS = 0.1
_LONGEST_PILOT_SECONDS = 2.0  # a dearer point is not tried: its modelled time has to do


@dataclass(frozen=True, slots=True, repr=False)
class Plan(Tabulated):
    """Blocks and predictions of a sweep; plain data, written to plan.json.

    Attributes
    ----------
    name, digest : str
    dims, shape, block_shape : tuple
    points, blocks : int
    seconds : float
        Predicted solver time on one core, from timed pilot points.
    block_bytes : int
        Uncompressed size of a block's results.
    point_memory : int
        Memory that the solver takes for its largest point.
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
    point_memory: int
    bytes: int
    files: int

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)

    def rows(self, cores: int | None = None) -> dict[str, str]:
        """Return what a person wants to know of it; the time on `cores`, by default all of this machine."""
        cores = cores or available_cores()
        on_cores = f"{cores} {'core' if cores == 1 else 'cores'}"
        shape = " x ".join(f"{dim} {size}" for dim, size in zip(self.dims, self.shape, strict=True)) or "one point"
        return {
            "points": f"{self.points:,} ({shape})",
            "blocks": f"{self.blocks:,} of up to {' x '.join(map(str, self.block_shape)) or '1'} points",
            "time": f"{duration(self.seconds)} of computing, {duration(self.seconds / cores)} on {on_cores}",
            "memory": f"{size_of(self.block_bytes)} of results per block, {size_of(self.point_memory)} for a point",
            "disk": f"{size_of(self.bytes)} before compression, {self.files:,} files",
        }


def point_costs(spec: SweepSpec) -> FloatArray:
    """Modelled seconds of a point, one entry per network: the leading dimensions of the grid."""
    return _costs(spec)[0]


def _costs(spec: SweepSpec) -> tuple[FloatArray, float]:
    """Return the modelled seconds of a point of every network, and the most memory a point takes, in bytes."""
    swept = [name for name in CALLS if name in spec.axes]
    names = {name: spec.values(name)[0] for name in CALLS}
    seconds, memory = np.empty([len(spec.axis(name)) for name in swept]), 0.0
    known: dict[tuple[Scalar, ...], tuple[float, float]] = {}
    for where in np.ndindex(seconds.shape):
        names |= {name: spec.values(name)[i] for name, i in zip(swept, where, strict=True)}
        # The moment solver's cost depends on the size only, that of the other on everything.
        relevant = names.values() if names["solver"] == "lindblad" else (names["solver"], names["topology"], names["N"])
        key = tuple(relevant)
        if key not in known:
            known[key] = solver(str(names["solver"])).cost(_problem(spec, dict(names)))
        seconds[where] = known[key][0]
        memory = max(memory, known[key][1])
    return seconds, memory


def _problem(spec: SweepSpec, names: dict[str, Scalar]) -> Problem:
    extra = sizes(spec) | {"mode": int(names["N"]) + 1}

    def representative() -> Points:
        values = {name: np.array([spec.axis(name).array.max()]) for name in VALUES}
        for name in ("J", "kappa"):
            values[name] = np.array([np.median(spec.axis(name).array)])
        return box.make_points(spec, names, values)

    return Problem(
        n_modes=extra["mode"],
        n_times=extra["time"],
        n_scalars=sum(math.prod(extra[dim] for dim in VARIABLES[name].extra_dims) for name in spec.outputs),
        sizes={name: len(spec.axis(name)) for name in VALUES},
        steady=any(name not in TIME_RESOLVED for name in spec.outputs if name not in VERDICT),
        is_tree=str(names["topology"]) not in spec.networks or _is_tree(spec, names),
        is_squeezed=bool(spec.axis("r").array.any()),
        is_uniform=spec.times is None or uniform_step(spec.times.array[None]) is not None,
        points=representative,
    )


def _is_tree(spec: SweepSpec, names: dict[str, Scalar]) -> bool:
    network = spec.network(str(names["topology"]), int(names["N"]), str(names["coupling"]), str(names["realization"]))
    return tree_parents(network) is not None


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
        return points * _dearest(costs, block) <= target and points * point_bytes <= _BLOCK_BYTES

    return Grid(dims, shape, fit_blocks(shape, fits))


def _dearest(costs: FloatArray, block: tuple[int, ...]) -> float:
    """Return the mean cost of a point in the dearest block."""
    sums, counts = costs, np.ones_like(costs)
    for axis, size in enumerate(costs.shape):
        starts = np.arange(0, size, block[axis])
        sums, counts = np.add.reduceat(sums, starts, axis=axis), np.add.reduceat(counts, starts, axis=axis)
    return float((sums / counts).max())


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
        point_memory=int(_costs(spec)[1]),
        bytes=grid.n_points * point_bytes,
        files=grid.n_blocks * len(stored),
    )


def block_costs(spec: SweepSpec, grid: Grid) -> FloatArray:
    """Modelled seconds of every block: what the time that is left is judged by."""
    costs = point_costs(spec)
    regions = (grid.block(number) for number in range(grid.n_blocks))
    return np.array([_size(region) * costs[region[: costs.ndim]].mean() for region in regions])


def _size(region: Slices) -> int:
    return math.prod(s.stop - s.start for s in region)


def _pilot_ratio(spec: SweepSpec, grid: Grid) -> float:
    """Measured over modelled seconds, from a corner of the first, the middle and the last block."""
    costs = point_costs(spec)
    measured = modelled = 0.0
    for number in sorted({0, grid.n_blocks // 2, grid.n_blocks - 1}):
        region = grid.block(number)
        dearest = float(costs[region[: costs.ndim]].max())
        if dearest > _LONGEST_PILOT_SECONDS:
            continue
        lengths = tuple(s.stop - s.start for s in region)
        corner = fit_blocks(lengths, lambda shape, cost=dearest: math.prod(shape) * cost <= _PILOT_SECONDS)  # type: ignore[misc]
        pilot = tuple(slice(s.stop - n, s.stop) for s, n in zip(region, corner, strict=True))
        best = math.inf
        for _ in range(2):  # the first call builds, compiles and caches
            started = time.perf_counter()
            box.solve_box(spec, tuple(np.arange(s.start, s.stop) for s in pilot))
            best = min(best, time.perf_counter() - started)
        measured += best
        modelled += _size(pilot) * float(costs[pilot[: costs.ndim]].mean())
    return measured / modelled if modelled else 1.0
