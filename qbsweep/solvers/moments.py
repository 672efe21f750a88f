"""The exact solver: first and second moments of whole blocks of Gaussian networks.

One drift matrix serves every (epsilon, omega, n_th, r) of its (J, kappa): first moments scale with the drive, and
second ones with the bath's P and |Q|. The angle theta_r of a uniform bath turns phases only.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.moments.cost import draws_seconds, evolution_seconds, family_seconds, steady_seconds
from qbsweep.physics.moments.steps import uniform_step
from qbsweep.physics.verdicts import EXACT, NUMERICAL_TOLERANCE, SUSPECT_NUMERICS
from qbsweep.solvers import moment_register
from qbsweep.solvers.interface import Cost, Labelled, Points, Solved, Solver, require_outputs
from qbsweep.solvers.moment_members import FAMILY, Group, Product, Uniform, Where, members_of
from qbsweep.solvers.moment_protocols import protocols_cost, solve_protocols
from qbsweep.solvers.moment_states import BATH, Bath, Evolved, Steady
from qbsweep.solvers.status import FAILED, OK, SUSPECT, VERDICT_CODES

_TILE = 4096  # members at once in the steady state: rows of 32 kB stay in the cache
_COMPILED_TILE = 4 * _TILE  # the compiled elimination has blocks of its own, and draws are dear to begin
_TILE_ENTRIES = 2**22  # and at very large N not more than 32 MB of them
_TILE_MATRICES = 2**13  # entries of whole matrices at once, of which a dozen stay in the cache
_TILE_BYTES = 4_000_000  # working set of the time evolution

_NUMBER, _SQUEEZED_NUMBER = 4e-9, 12e-9  # seconds of a number of the results


@dataclass(frozen=True, slots=True)
class _Output:
    """How an output follows from a state, mode by mode if `mode` is its only axis behind those of the product."""

    of: Callable[[Any], Any]
    dims: tuple[str, ...] = ()

    def write(self, state: Any, result: FloatArray, where: Where) -> None:
        """Fill a part of the result."""
        if self.dims == ("mode",):
            for mode, values in enumerate(self.of(state)):
                result[where, ..., mode] = values
        else:
            result[where] = self.of(state)


_STEADY = {
    "energy_charger": _Output(lambda state: state.energy(0)),
    "energy_terminal": _Output(lambda state: state.energy(-1)),
    "ergotropy_terminal": _Output(lambda state: state.ergotropy(-1)),
    "energy_batteries": _Output(lambda state: state.energy_of_batteries()),
    "energy": _Output(lambda state: state.of_modes(state.energy), ("mode",)),
    "ergotropy": _Output(lambda state: state.of_modes(state.ergotropy), ("mode",)),
    "ergotropy_batteries": _Output(lambda state: state.ergotropy_of_batteries()),
}
_IN_TIME = {
    "energy_t": _Output(lambda state: state.energy(), ("mode", "time")),
    "ergotropy_t": _Output(lambda state: state.ergotropy(), ("mode", "time")),
}
_OUTPUTS = _STEADY | _IN_TIME
_ALL = (*_OUTPUTS, *moment_register.OUTPUTS)
_VERDICT = ("numerical_error", "verdict")


def solve_moments(points: Points, outputs: Sequence[str]) -> dict[str, Labelled]:
    """Solve a product of points exactly.

    Members that a draw of the disorder makes impossible have no numbers.

    Parameters
    ----------
    points : Points
    outputs : sequence of str
        Names of the variables to compute.

    Returns
    -------
    dict of Labelled
        Over J, kappa and what else makes members differ, epsilon, omega, n_th and r, then mode (N + 1) and time where
        the variable has them; beside them `numerical_error` over the members, or one for all.
        Off by at most 1e-13 of the bath's photon number, and relatively by 1e-11 in the steady state and 1e-9 in time,
        unless their `numerical_error` is above 1e-9; tested against closed forms and 900-bit arithmetic. Energies under
        2e-308, or under 2e-308 epsilon^2 with epsilon in units of omega, lose digits and become 0.

    Raises
    ------
    QbsweepError
        If a mode is not linear, since the moments then do not close; if there is no such output, or one needs times
        and there are none.
    """
    return _solved_moments(points, outputs)[0]


def _solved_moments(points: Points, outputs: Sequence[str]) -> tuple[dict[str, Labelled], dict[tuple[int, ...], str]]:
    """Return what `solve_moments` does, and by its place in the product what is wrong with a point."""
    require_outputs("moments", outputs, _ALL)
    for name in ("kerr", "kerr_charger"):
        if name in points.values and points.values[name].values.any():
            raise QbsweepError(f"`{name}` needs solver lindblad: the moment solver is exact for Gaussian networks only")
    in_time = [name for name in outputs if name in _IN_TIME or name in moment_register.IN_TIME]
    if in_time and points.times is None:
        raise QbsweepError(f"output `{in_time[0]}` needs times, but there are none")
    sizes, members = points.sizes, members_of(points)
    if len(in_time) < len(outputs):
        moment_register.require_stable(points.network, members)
    shape = (math.prod(members.shape), *(sizes[name] for name in BATH))
    lengths = {"mode": points.network.n_modes, "time": points.n_times}
    of_modes = [name for name in outputs if name in _OUTPUTS]
    results = {name: np.empty((*shape, *(lengths[dim] for dim in _OUTPUTS[name].dims))) for name in of_modes}
    errors: list[tuple[Where, FloatArray]] = []
    faults: dict[int, str] = {}
    asked = (any(name in table for name in of_modes) for table in (_STEADY, _IN_TIME))
    for where, state, wrong in _states(points, members, *asked):
        faults |= wrong
        if not len(state.rates):
            continue
        for name, result in results.items():
            if (name in _IN_TIME) == isinstance(state, Evolved):
                _OUTPUTS[name].write(state, result, where)
        errors.append((where, state.numerical_error))
    for result in results.values():
        result[list(faults)] = np.nan
    solved = {
        name: Labelled((*members.dims, *BATH, *_OUTPUTS[name].dims), array.reshape(*members.shape, *array.shape[1:]))
        for name, array in results.items()
    }
    of_register = [name for name in outputs if name in moment_register.OUTPUTS]
    if of_register:
        found, error, wrong = moment_register.solve(points, members, of_register)
        faults |= wrong
    solved["numerical_error"] = _largest(errors, members, list(faults))
    if of_register:
        larger = np.maximum(solved["numerical_error"].along(error.dims), error.values)
        solved |= found | {"numerical_error": Labelled(error.dims, larger)}
    return solved, members.points_at(faults, points)


def _largest(errors: Sequence[tuple[Where, FloatArray]], members: Product, faulty: list[int]) -> Labelled:
    """Return the largest estimate of every member; one of all, where they are counts of roundings."""
    if not (faulty or any(error.ndim for _, error in errors)):
        return Labelled((), np.max([error for _, error in errors], initial=0.0))
    largest = np.zeros(math.prod(members.shape))
    for where, error in errors:
        largest[where] = np.maximum(largest[where], error)
    largest[faulty] = np.nan
    return Labelled(members.dims, largest.reshape(members.shape))


def _states(
    points: Points, members: Product, steady: bool, in_time: bool
) -> Iterator[tuple[Where, Steady | Evolved, dict[int, str]]]:
    """Yield some members at a time and their state, solved when an output asks for it, and faults of others."""
    if steady:
        bath = Bath(points)
        for group in members.groups:
            for where, rates, faults in group.tiles(_steady_tile(group, bath)):
                yield where, Steady(group.net, rates, bath), faults
    if in_time and points.times is not None:
        bath = Bath(points, trailing=2)
        times = points.times.along((*members.dims, "time"))
        times = np.broadcast_to(times, (*members.shape, points.n_times)).reshape(-1, points.n_times)
        baths = math.prod(points.sizes[name] for name in BATH)
        size = _time_tile(points.network.n_modes, points.n_times, baths, fluctuations=not bath.is_vacuum)
        for group in members.groups:
            for where, rates, faults in group.tiles(size):
                yield where, Evolved(group.net, rates, bath, times[where]), faults


def _steady_tile(group: Group | Uniform, bath: Bath) -> int:
    """Members at once: few where whole matrices are solved, for a graph with loops or its pair moments."""
    net, tile = group.net, _TILE if group.is_uniform else _COMPILED_TILE
    is_dense = net.parents is None or (bath.is_squeezed and not (net.is_directed or net.is_resolvent))
    return max(1, min(tile, _TILE_MATRICES // net.n_modes**2 if is_dense else _TILE_ENTRIES // net.n_modes))


def _time_tile(n_modes: int, n_times: int, baths: int, *, fluctuations: bool) -> int:
    """Members at once: of every mode and time an amplitude, as many columns of noise as modes, and the results."""
    columns = n_modes if fluctuations else 0
    return max(1, _TILE_BYTES // (8 * n_times * n_modes * (columns + 1 + baths)))


def moments_cost(points: Points, outputs: Sequence[str], sizes: Mapping[str, int]) -> Cost:
    """Predict the seconds and bytes of a point: its share of what a whole product takes; see `interface.Solver`."""
    if points.protocol is not None:
        return protocols_cost(points, outputs, sizes, moments_cost)
    bath, product, n = Bath(points), members_of(points), points.network.n_modes
    members, solved = (math.prod(sizes.get(name, 1) for name in dims) for dims in (FAMILY, product.dims))
    baths = math.prod(sizes[name] for name in BATH)
    lengths = {"mode": n, "time": points.n_times}
    seconds = 0.0
    for group in product.groups:
        share = solved * len(group) / math.prod(product.shape)
        seconds += _group_seconds(group, share, bath, points, outputs)
    for name in (name for name in outputs if name in _OUTPUTS):
        numbers = solved * baths * math.prod(lengths[dim] for dim in _OUTPUTS[name].dims)
        seconds += numbers * (_SQUEEZED_NUMBER if bath.is_squeezed and "ergotropy" in name else _NUMBER)
    a_point, memory = seconds / (members * baths), 8.0 * n**2 * max(points.n_times, 1)
    if of_register := [name for name in outputs if name in moment_register.OUTPUTS]:
        a_point += moment_register.seconds(points, of_register, sizes) / math.prod(sizes.values())
        memory = max(memory, moment_register.bytes_of_member(points, of_register, points.sizes))
    return Cost(Labelled((), np.array(a_point)), memory)


def _group_seconds(group: Group | Uniform, members: float, bath: Bath, points: Points, outputs: Sequence[str]) -> float:
    """Predict the seconds of solving so many members of a group."""
    net = group.net
    seconds = family_seconds(net)
    if any(name in _STEADY for name in outputs):
        squeezed = bath.is_squeezed and any("ergotropy" in name for name in outputs if name in _STEADY)
        seconds += steady_seconds(net, members, uniform=group.is_uniform, squeezed=squeezed)
        seconds += draws_seconds(group.drawn, members, group.distribution)
    if points.times is not None and any(name in _IN_TIME for name in outputs):
        seconds += evolution_seconds(
            net,
            members,
            points.n_times,
            uniform=uniform_step(points.times.values.reshape(-1, points.n_times)) is not None,
            fluctuations=not bath.is_vacuum,
            squeezed=bath.is_squeezed,
        )
    return seconds


def _solve(points: Points, outputs: Sequence[str]) -> Solved:
    if points.protocol is not None:
        return solve_protocols(points, outputs, _solve)
    arrays, faults = _solved_moments(points, outputs)
    error = arrays["numerical_error"]
    trusted = error.values <= NUMERICAL_TOLERANCE
    if trusted.all() and not faults:
        return Solved(arrays | {"verdict": Labelled((), np.array(VERDICT_CODES[EXACT]))})
    verdict = np.where(trusted, VERDICT_CODES[EXACT], VERDICT_CODES[SUSPECT_NUMERICS])
    status = Labelled(error.dims, np.where(trusted, OK, SUSPECT))
    return Solved(arrays | {"verdict": Labelled(error.dims, verdict)}, _failed(status, faults, points), faults)


def _failed(status: Labelled, faults: dict[tuple[int, ...], str], points: Points) -> Labelled:
    """Mark the points that failed."""
    if not faults:
        return status
    dims, sizes = tuple(points.values), points.sizes
    whole = np.broadcast_to(status.along(dims), tuple(sizes.values())).copy()
    whole[tuple(np.array(list(faults)).T)] = FAILED
    return Labelled(dims, whole)


SOLVER = Solver((*_ALL, *_VERDICT), _solve, moments_cost)
