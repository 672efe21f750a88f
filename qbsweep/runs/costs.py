"""What the points and the blocks of a sweep cost, by model only: the same on every machine, and nothing is solved.

A solver says what points cost. It is asked for a sample of the values of numeric axes; between them the logarithm
of the cost is interpolated.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.runs import box
from qbsweep.solvers.interface import Cost
from qbsweep.solvers.registry import solver
from qbsweep.store.grid import Grid
from qbsweep.store.layout import bytes_per_point, stored_variables
from qbsweep.sweeps.axes import Axis
from qbsweep.sweeps.parameters import CALLS
from qbsweep.sweeps.spec import SweepSpec
from qbsweep.sweeps.variables import VERDICT, computed_by

MAX_CALLS = 32
"""So many combinations of networks and settings are looked at per solver."""
MAX_POINTS = 100
"""So many points."""
MAX_COSTS = 20_000_000
"""So many points of different costs can be planned: each takes 8 bytes, and some more for a moment."""
_LEAST = 3  # values of a numeric axis

_LONGEST = 1e9  # seconds of a point that no model can say

OPENING = 8e-3
"""Seconds of opening a dataset, once a process, on one core of 2023; below, those of writing a block."""
_A_BLOCK = 3e-3
_A_FILE = 1.1e-3
_A_BYTE = 1.3e-9


@dataclass(frozen=True, slots=True)
class PointCosts:
    """Modelled costs of the points of a sweep.

    Attributes
    ----------
    seconds : ndarray
        Of a point, one axis per dimension of the grid; of length 1 where nothing depends on it.
    memory : float
        Bytes that a solver takes for its largest point.
    """

    seconds: FloatArray
    memory: float


_latest: dict[str, PointCosts] = {}


def point_costs(spec: SweepSpec) -> PointCosts:
    """Return what the points of a sweep cost; those of the last sweep are kept."""
    digest = spec.digest()
    if digest not in _latest:
        found = _modelled(spec)
        _latest.clear()
        _latest[digest] = found
    return _latest[digest]


def _modelled(spec: SweepSpec) -> PointCosts:
    names = [str(name) for name in spec.values("solver")]
    parts = {name: _of_solver(spec, name) for name in names}
    if "solver" not in spec.axes:
        return parts[names[0]]
    axis = list(spec.axes).index("solver")
    slabs = np.broadcast_arrays(*(parts[name].seconds for name in names))
    return PointCosts(np.concatenate(slabs, axis=axis), max(part.memory for part in parts.values()))


def _of_solver(spec: SweepSpec, name: str) -> PointCosts:
    """Return the costs of the points of one solver, with length 1 along the axis of solvers."""
    used = {parameter.name for parameter in spec.parameters.values() if name in parameter.solvers} - {"solver"}
    axes = {dim: axis for dim, axis in spec.axes.items() if dim in used}
    calls = _sampled({dim: axis for dim, axis in axes.items() if dim in CALLS}, MAX_CALLS)
    n_calls = math.prod(len(indices) for indices in calls.values())
    values = _sampled({dim: spec.axis(dim) for dim in spec.value_names if dim in used}, MAX_POINTS // n_calls)
    found = [_of_call(spec, name, place, values) for place in _places(calls)]
    lengths = [len(indices) for indices in calls.values()]
    kept = [dim for dim in axes if dim in values]
    seconds = np.array([cost.seconds.along(kept) for cost in found])
    seconds = np.nan_to_num(seconds.reshape((*lengths, *seconds.shape[1:])), posinf=_LONGEST)
    filled = math.prod(len(axis) for length, axis in zip(seconds.shape, axes.values(), strict=True) if length > 1)
    if filled > MAX_COSTS:
        raise QbsweepError(
            f"a sweep can have {MAX_COSTS:,} points that all cost something else at most, but this one has {filled:,} "
            f"of `solver: {name}`; take fewer values per axis, or split it"
        )
    for number, (dim, axis) in enumerate(axes.items()):
        if seconds.shape[number] > 1:
            seconds = _filled(seconds, number, axis, (calls | values)[dim])
    every = tuple(slice(None) if dim in axes else None for dim in spec.axes)
    return PointCosts(seconds[every], max(cost.memory for cost in found))


def _places(calls: Mapping[str, Array]) -> Iterator[dict[str, int]]:
    return (dict(zip(calls, map(int, place), strict=True)) for place in itertools.product(*calls.values()))


def _of_call(spec: SweepSpec, name: str, place: Mapping[str, int], values: Mapping[str, Array]) -> Cost:
    """Ask a solver for one network and setting, and the values at these indices."""
    labels = {dim: spec.values(dim)[place.get(dim, 0)] for dim in CALLS} | {"solver": name}
    looked_at = {dim: spec.axis(dim).array[indices] for dim, indices in values.items()}
    outputs = [output for output in spec.outputs if output in computed_by([name]) and output not in VERDICT]
    sizes = {dim: len(spec.axis(dim)) for dim in spec.value_names}
    with np.errstate(all="ignore"):
        return solver(name).cost(box.make_points(spec, labels, looked_at), outputs, sizes)


def _sampled(axes: Mapping[str, Axis], most: int) -> dict[str, Array]:
    """Return the indices of the values that are looked at, ascending by value, at most so many combinations.

    Numeric axes are thinned, the longest first, down to `_LEAST` and then to their largest value alone; all values
    of others are looked at.
    """
    lengths = {dim: len(axis) for dim, axis in axes.items()}
    numeric = [dim for dim, axis in axes.items() if axis.array.dtype.kind in "iuf"]
    for least in (_LEAST, 1):
        while math.prod(lengths.values()) > most and any(lengths[dim] > least for dim in numeric):
            longest = max(numeric, key=lambda dim: lengths[dim])
            lengths[longest] = max(lengths[longest] // 2, least)
    return {
        dim: _spread(axis.array, lengths[dim]) if dim in numeric else np.arange(lengths[dim])
        for dim, axis in axes.items()
    }


def _spread(values: Array, count: int) -> Array:
    """Return the indices of `count` of the values, evenly from the smallest to the largest.

    0 and the value after it are among them: a bath or a drive that is not there is another problem.
    """
    order = np.argsort(values, kind="stable")
    if count >= len(order):
        return np.asarray(order)
    places = np.round(np.linspace(len(order) - 1, 0, count)).astype(int)
    if count >= _LEAST and values[order[0]] == 0:
        places[-2] = 1
    return np.asarray(order[np.unique(places)])


def _filled(seconds: FloatArray, axis: int, given: Axis, indices: Array) -> FloatArray:
    """Interpolate between the values of one axis that were looked at."""
    if len(indices) == len(given) and given.array.dtype.kind not in "iuf":
        return seconds
    x = given.array.astype(float)
    x = np.log(x) if x.min() > 0 else x
    logs = np.log(np.maximum(seconds, 1e-12))
    known = x[indices]
    above = np.clip(np.searchsorted(known, x), 1, max(len(known) - 1, 1))
    below = above - 1
    above = np.minimum(above, len(known) - 1)  # there may be one alone
    gap = known[above] - known[below]
    share = np.divide(x - known[below], gap, out=np.zeros_like(x), where=gap > 0)
    share = np.clip(share, 0.0, 1.0).reshape(-1, *(1,) * (logs.ndim - axis - 1))
    return np.asarray(np.exp(logs.take(below, axis) * (1 - share) + logs.take(above, axis) * share))


def block_sums(costs: FloatArray, grid: Grid) -> FloatArray:
    """Return the sums of what the points of every block cost, an axis per dimension of the grid."""
    sums = costs
    for axis, (size, step) in enumerate(zip(grid.shape, grid.block_shape, strict=True)):
        starts = np.arange(0, size, step)
        if sums.shape[axis] != size:
            lengths = np.minimum(starts + step, size) - starts
            sums = sums * lengths.reshape(-1, *(1,) * (sums.ndim - axis - 1))
        elif step > 1:
            sums = np.add.reduceat(sums, starts, axis=axis)
    return sums


def block_costs(spec: SweepSpec, grid: Grid) -> FloatArray:
    """Return the modelled seconds of every block, its writing included."""
    points = block_sums(np.ones((1,) * len(grid.shape)), grid)
    writing = _A_BLOCK + _A_FILE * len(stored_variables(spec)) + _A_BYTE * bytes_per_point(spec) * points
    return np.asarray((block_sums(point_costs(spec).seconds, grid) + writing).ravel())
