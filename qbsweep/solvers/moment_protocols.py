"""The moment solver along protocols: drive and couplings that change in time, and other beginnings than vacuum.

A run is a member of the network in one variant of the protocol, a product of the axes of both; it serves all baths.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.members import OF_MEMBERS
from qbsweep.physics.moments.steps import uniform_step
from qbsweep.physics.verdicts import EXACT, NUMERICAL_TOLERANCE, SUSPECT_NUMERICS
from qbsweep.solvers.interface import Cost, Labelled, Points, Solved
from qbsweep.solvers.moment_runs import Runs
from qbsweep.solvers.moment_snapshots import BATH, Errors, Snapshot, template_of
from qbsweep.solvers.status import FAILED, OK, SUSPECT, VERDICT_CODES

_TILE_BYTES = 16_000_000  # working set of the runs at once
_UNSETTLED = "there is no steady state to start from: some mode does not relax"

# Seconds on one core of 2023: of a time, whatever there is at it; of a run and an entry of its matrices then; of a span
# that is computed anew; of a number of the results.
_TIME, _RUN, _ENTRY, _SPAN, _SPAN_ENTRY, _NUMBER = 0.9e-3, 4e-6, 0.1e-6, 8e-6, 0.4e-6, 40e-9
_PAIRS, _SPANS_OF_PAIRS = 2, 4  # times as much where pairs are wanted
_SPANS = 3  # of a segment, on a grid of equal steps: to its first time, within, and from its last time


@dataclass(frozen=True, slots=True)
class _Output:
    of: Callable[[Snapshot], Array]
    error: Callable[[Errors], Array]
    dims: tuple[str, ...]
    of_amplitudes: bool = True


_IN_TIME = {
    "energy_t": _Output(Snapshot.energy, Errors.energy, ("mode", "time")),
    "ergotropy_t": _Output(Snapshot.ergotropy, Errors.ergotropy, ("mode", "time")),
    "ergotropy_register_t": _Output(Snapshot.ergotropy_register, Errors.ergotropy_register, ("time",)),
    "log_negativity_t": _Output(Snapshot.log_negativity, Errors.log_negativity, ("time",), of_amplitudes=False),
    "energy_variance_t": _Output(Snapshot.energy_variance, Errors.energy_variance, ("mode", "time")),
    "drive_power_t": _Output(Snapshot.drive_power, Errors.drive_power, ("time",)),
}


def solve_protocols(points: Points, outputs: Sequence[str], plain: Callable[[Points, Sequence[str]], Solved]) -> Solved:
    """Solve a product of points with a protocol.

    Parameters
    ----------
    points : Points
    outputs : sequence of str
    plain : callable
        Solves points without a protocol: what is steady is that of the last segment.

    Returns
    -------
    Solved
        Steady outputs over the axes that they depend on, those in time over all axes of members, names and `BATH`.
    """
    in_time = [name for name in outputs if name in _IN_TIME]
    steady = [name for name in outputs if name not in _IN_TIME]
    if in_time and points.times is None:
        raise QbsweepError(f"output `{in_time[0]}` needs times, but there are none")
    parts = ([_last_segment(points, steady, plain)] if steady else []) + (
        [_evolved(points, in_time)] if in_time else []
    )
    return parts[0] if len(parts) == 1 else _both(points, *parts)


def _evolved(points: Points, outputs: Sequence[str]) -> Solved:
    """Solve what is in time."""
    runs = Runs(points)
    baths = tuple(points.sizes[name] for name in BATH)
    results, _ = _empty(points, outputs, runs.count)
    errors = np.zeros((runs.count, *baths))
    failed = runs.members.faults(points.network)
    good = np.setdiff1d(np.arange(runs.count), np.array(list(failed), dtype=int))
    for tile in np.array_split(good, max(1, -(-len(good) // _tile(points)))) if len(good) else ():
        begins, found, errors[tile] = _solved(runs, tile, outputs)
        for name, target in results.items():
            target[tile] = found[name]
        failed |= dict.fromkeys(tile[~begins].tolist(), _UNSETTLED)
    dims, shape = (*runs.dims, *BATH), (*runs.shape, *baths)
    status = np.where(errors <= NUMERICAL_TOLERANCE, OK, SUSPECT)
    for array in results.values():
        array[list(failed)] = np.nan
    status[list(failed)] = FAILED
    arrays = {
        name: Labelled((*dims, *_IN_TIME[name].dims), a.reshape(*shape, *a.shape[1 + len(BATH) :]))
        for name, a in results.items()
    }
    places = {place: failed[run] for run in failed for place in _places(points, runs, run)}
    return _judged(arrays, Labelled(dims, errors.reshape(shape)), Labelled(dims, status.reshape(shape)), places)


def _empty(points: Points, outputs: Iterable[str], count: int) -> tuple[dict[str, Array], dict[str, FloatArray]]:
    """Return arrays for the results of some runs, NaN, and for their errors, 0."""
    shape = (count, *(points.sizes[name] for name in BATH))
    lengths = {"mode": points.network.n_modes, "time": points.n_times}
    results = {name: np.full((*shape, *(lengths[dim] for dim in _IN_TIME[name].dims)), np.nan) for name in outputs}
    return results, {name: np.zeros(shape) for name in outputs}


def _at_all_times(
    runs: Runs, some: Array, outputs: Iterable[str], *, is_extended: bool = False
) -> tuple[Array, dict[str, Array], dict[str, FloatArray]]:
    """Return which of some runs have a beginning, their outputs, and the largest error of each, shape (R, *BATH)."""
    results, errors = _empty(runs.points, outputs, len(some))
    begins, snapshots = runs.snapshots(some, is_extended=is_extended)
    for index, snapshot in enumerate(snapshots):
        of_snapshot = Errors(snapshot)
        for name, target in results.items():
            target[..., index] = _IN_TIME[name].of(snapshot)
            np.maximum(errors[name], np.minimum(_IN_TIME[name].error(of_snapshot), 1.0), out=errors[name])
    return begins, results, errors


def _solved(runs: Runs, some: Array, outputs: Sequence[str]) -> tuple[Array, dict[str, Array], FloatArray]:
    """Return the same with the largest error of all outputs.

    Where an amplitude passes near zero rounding may spoil it: such points are repeated in extended precision.
    """
    begins, results, errors = _at_all_times(runs, some, outputs)
    spoiled = np.zeros((len(some), *(runs.points.sizes[name] for name in BATH)), dtype=bool)
    for name in outputs:
        spoiled |= _IN_TIME[name].of_amplitudes & (errors[name] > NUMERICAL_TOLERANCE)
    poor = np.flatnonzero(spoiled.reshape(len(some), -1).any(axis=1) & begins)
    if len(poor):
        _, better, of_better = _at_all_times(runs, some[poor], outputs, is_extended=True)
        for name, target in results.items():
            where = spoiled[poor] & (of_better[name] < errors[name][poor])
            errors[name][poor] = np.where(where, of_better[name], errors[name][poor])
            where = where[(..., *(None,) * (target.ndim - where.ndim))]
            target[poor] = np.where(where, better[name], target[poor])
    return begins, results, np.max(list(errors.values()), axis=0)


def _tile(points: Points) -> int:
    """Return how many runs are solved at once: each has some dozens of matrices, and one time of the results."""
    baths = math.prod(points.sizes[name] for name in BATH)
    return max(1, _TILE_BYTES // (16 * points.network.n_modes * (40 * points.network.n_modes + 10 * baths)))


def _places(points: Points, runs: Runs, run: int) -> Iterator[tuple[int, ...]]:
    """Yield the places of a run along all axes of the product."""
    fixed = dict(zip(runs.dims, np.unravel_index(run, runs.shape), strict=True))
    ranges = [[int(fixed[name])] if name in fixed else range(size) for name, size in points.sizes.items()]
    return itertools.product(*ranges)


def protocols_cost(
    points: Points,
    outputs: Sequence[str],
    sizes: Mapping[str, int],
    plain: Callable[[Points, Sequence[str], Mapping[str, int]], Cost],
) -> Cost:
    """Predict the seconds and bytes of a point, as `interface.Solver` says, by those of points without a protocol."""
    names, n, times = template_of(points).names, points.network.n_modes, points.n_times
    baths = math.prod(sizes[name] for name in BATH)
    runs = math.prod(sizes[name] for name in (*OF_MEMBERS, *names))
    entries, pairs = n**2, bool(points.over("r", BATH).any())
    steady = [name for name in outputs if name not in _IN_TIME]
    seconds, memory = 0.0, 0.0
    if len(steady) < len(outputs) and points.times is not None:
        uniform = uniform_step(points.times.values.reshape(-1, times)) is not None
        spans = min(times, _SPANS * len(template_of(points).segments)) if uniform else times
        seconds += times * (_TIME + runs * (_RUN + entries * _ENTRY * (_PAIRS if pairs else 1)))
        seconds += spans * runs * (_SPAN + entries * _SPAN_ENTRY) * (_SPANS_OF_PAIRS if pairs else 1)
        seconds += (len(outputs) - len(steady)) * runs * baths * times * n * _NUMBER
        memory = 16.0 * n * (40 * n + 10 * baths) + 8.0 * n * times
    share = seconds / (runs * baths)
    if not steady:
        return Cost(Labelled((), np.array(share)), memory)
    last = dict.fromkeys(_of_last(points), 0)
    of_last = plain(_as_last(points, last), steady, sizes)
    repeats = math.prod(sizes[name] for name in names if name not in last)
    return Cost(replace(of_last.seconds, values=of_last.seconds.values / repeats + share), max(memory, of_last.memory))


def _judged(
    arrays: Mapping[str, Labelled], error: Labelled, status: Labelled, reasons: Mapping[tuple[int, ...], str]
) -> Solved:
    """Add the verdict that follows from the error."""
    codes = np.where(error.values <= NUMERICAL_TOLERANCE, VERDICT_CODES[EXACT], VERDICT_CODES[SUSPECT_NUMERICS])
    return Solved({**arrays, "numerical_error": error, "verdict": Labelled(error.dims, codes)}, status, reasons)


def _last_segment(points: Points, outputs: Sequence[str], plain: Callable[[Points, Sequence[str]], Solved]) -> Solved:
    """Solve what is steady: its drive and couplings are those that the last segment ends with."""
    named, names = template_of(points).names, _of_last(points)
    lengths = tuple(points.sizes[name] for name in names)
    found = [plain(_as_last(points, dict(zip(names, at, strict=True))), outputs) for at in np.ndindex(lengths)]
    arrays = {key: _stacked([one.arrays[key] for one in found], names, lengths) for key in found[0].arrays}
    codes = [Labelled((), np.array(OK)) if one.status is None else one.status for one in found]
    reasons = {
        (*place, *at): why
        for of, one in zip(np.ndindex(lengths), found, strict=True)
        for place, why in one.reasons.items()
        for at in itertools.product(
            *([of[names.index(name)]] if name in names else range(points.sizes[name]) for name in named)
        )
    }
    return Solved(arrays, _stacked(codes, names, lengths), reasons)


def _of_last(points: Points) -> tuple[str, ...]:
    """Return the names that what is steady depends on."""
    last = template_of(points).segments[-1]
    return tuple(dict.fromkeys(value for value in (last.drive[1], last.coupling) if isinstance(value, str)))


def _as_last(points: Points, at: Mapping[str, int]) -> Points:
    """Return the points with the drive and the couplings of the last segment, for these values of its names."""
    template = template_of(points)
    last = template.segments[-1]
    values = {name: given for name, given in points.values.items() if name not in template.names}
    for name, factor in (("epsilon", last.drive[1]), ("J", last.coupling)):
        scale = float(points.values[factor].values[at[factor]]) if isinstance(factor, str) else factor
        values[name] = Labelled(values[name].dims, values[name].values * scale)
    return replace(points, values=values, times=None, protocol=None)


def _stacked(parts: Sequence[Labelled], names: tuple[str, ...], lengths: tuple[int, ...]) -> Labelled:
    """Join results for all values of some names."""
    dims = tuple(dict.fromkeys(dim for part in parts for dim in part.dims))
    values = np.stack(np.broadcast_arrays(*(part.along(dims) for part in parts)))
    return Labelled((*names, *dims), values.reshape((*lengths, *values.shape[1:])))


def _both(points: Points, steady: Solved, in_time: Solved) -> Solved:
    """Join what is steady and what is in time: of errors and states the worse counts; what failed has no numbers."""
    dims, worse = tuple(points.sizes), np.zeros(1 + max(OK, SUSPECT, FAILED), dtype=int)
    worse[[OK, SUSPECT, FAILED]] = range(3)
    errors, codes = [], []
    for one in (steady, in_time):
        assert one.status is not None
        errors.append(one.arrays["numerical_error"].along(dims))
        codes.append(one.status.along(dims))
    first, second = np.broadcast_arrays(*codes)
    status = Labelled(dims, np.where(worse[first] >= worse[second], first, second))
    arrays = {**steady.arrays, **in_time.arrays, "numerical_error": Labelled(dims, np.maximum(*errors))}
    if (status.values == FAILED).any():
        arrays = {name: _known(array, status) for name, array in arrays.items()}
    return _judged(arrays, arrays["numerical_error"], status, {**steady.reasons, **in_time.reasons})


def _known(array: Labelled, status: Labelled) -> Labelled:
    """Return numbers without those of points that failed."""
    dims = (*status.dims, *(dim for dim in array.dims if dim not in status.dims))
    return Labelled(dims, np.where(status.along(dims) == FAILED, np.nan, array.along(dims)))
