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
from qbsweep.physics.moments.cost import evolution_seconds, family_seconds, steady_seconds
from qbsweep.physics.moments.family import Family, family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.steps import uniform_step
from qbsweep.physics.verdicts import EXACT, NUMERICAL_TOLERANCE, SUSPECT_NUMERICS
from qbsweep.solvers.interface import Cost, Labelled, Points, Solved, Solver, require_outputs
from qbsweep.solvers.moment_states import BATH, FAMILY, Bath, Evolved, Steady
from qbsweep.solvers.status import OK, SUSPECT, VERDICT_CODES

_TILE = 4096  # members at once in the steady state: rows of 32 kB stay in the cache
_TILE_ENTRIES = 2**22  # and at very large N not more than 32 MB of them
_TILE_MATRICES = 2**13  # entries of whole matrices at once, of which a dozen stay in the cache
_TILE_BYTES = 4_000_000  # working set of the time evolution

_NUMBER, _SQUEEZED_NUMBER = 4e-9, 12e-9  # seconds of a number of the results


@dataclass(frozen=True, slots=True)
class _Output:
    """How an output follows from a state, mode by mode if `mode` is its only axis behind those of the product."""

    of: Callable[[Any], Any]
    dims: tuple[str, ...] = ()

    def write(self, state: Any, target: FloatArray) -> None:
        """Fill a part of the result."""
        if self.dims == ("mode",):
            for mode, values in enumerate(self.of(state)):
                target[..., mode] = values
        else:
            target[...] = self.of(state)


_STEADY = {
    "energy_charger": _Output(lambda state: state.energy(0)),
    "energy_terminal": _Output(lambda state: state.energy(-1)),
    "ergotropy_terminal": _Output(lambda state: state.ergotropy(-1)),
    "energy_batteries": _Output(lambda state: state.energy_of_batteries()),
    "energy": _Output(lambda state: state.of_modes(state.energy), ("mode",)),
    "ergotropy": _Output(lambda state: state.of_modes(state.ergotropy), ("mode",)),
}
_IN_TIME = {
    "energy_t": _Output(lambda state: state.energy(), ("mode", "time")),
    "ergotropy_t": _Output(lambda state: state.ergotropy(), ("mode", "time")),
}
_OUTPUTS = _STEADY | _IN_TIME
_VERDICT = ("numerical_error", "verdict")


def solve_moments(points: Points, outputs: Sequence[str]) -> dict[str, Labelled]:
    """Solve a product of points exactly.

    Parameters
    ----------
    points : Points
    outputs : sequence of str
        Names of the variables to compute.

    Returns
    -------
    dict of Labelled
        Over (J, kappa, epsilon, omega, n_th, r), then mode (N + 1) and time where the variable has them; beside them
        `numerical_error` over (J, kappa), or one for all members.
        Off by at most 1e-13 of the bath's photon number, and relatively by 1e-11 in the steady state and 1e-9 in time,
        unless their `numerical_error` is above 1e-9; tested against closed forms and 900-bit arithmetic. Energies under
        2e-308, or under 2e-308 epsilon^2 with epsilon in units of omega, lose digits and become 0.

    Raises
    ------
    QbsweepError
        If a mode is not linear, since the moments then do not close; if there is no such output, or one needs times
        and there are none.
    """
    require_outputs("moments", outputs, _OUTPUTS)
    for name in ("kerr", "kerr_charger"):
        if name in points.values and points.values[name].values.any():
            raise QbsweepError(f"`{name}` needs solver lindblad: the moment solver is exact for Gaussian networks only")
    in_time = [name for name in outputs if name in _IN_TIME]
    if in_time and points.times is None:
        raise QbsweepError(f"output `{in_time[0]}` needs times, but there are none")
    sizes = points.sizes
    members = tuple(sizes[name] for name in FAMILY)
    shape = (math.prod(members), *(sizes[name] for name in BATH))
    lengths = {"mode": points.network.n_modes, "time": points.n_times}
    results = {name: np.empty((*shape, *(lengths[dim] for dim in _OUTPUTS[name].dims))) for name in outputs}
    errors = []
    for tile, state in _states(points, any(name in _STEADY for name in outputs), bool(in_time)):
        for name, target in results.items():
            if (name in _IN_TIME) == isinstance(state, Evolved):
                _OUTPUTS[name].write(state, target[tile])
        errors.append((tile, state.numerical_error))
    solved = {
        name: Labelled((*FAMILY, *BATH, *_OUTPUTS[name].dims), array.reshape(*members, *array.shape[1:]))
        for name, array in results.items()
    }
    return solved | {"numerical_error": _largest(errors, members)}


def _largest(errors: Sequence[tuple[slice, FloatArray]], members: tuple[int, ...]) -> Labelled:
    """Return the largest estimate of every member; one of all, where they are counts of roundings."""
    if not any(error.ndim for _, error in errors):
        return Labelled((), np.max([error for _, error in errors], initial=0.0))
    largest = np.zeros(math.prod(members))
    for tile, error in errors:
        np.maximum(largest[tile], error, out=largest[tile])
    return Labelled(FAMILY, largest.reshape(members))


def _states(points: Points, steady: bool, in_time: bool) -> Iterator[tuple[slice, Steady | Evolved]]:
    """Yield tiles of members, and the state of each, which is solved when an output asks for it."""
    net = family(points.network)
    members = tuple(points.sizes[name] for name in FAMILY)
    J, kappa = (np.broadcast_to(points.over(name, FAMILY), members).ravel() for name in FAMILY)
    if steady:
        bath = Bath(points)
        for tile in _tiles(len(J), _steady_tile(net, bath)):
            yield tile, Steady(net, Rates(J[tile], kappa[tile]), bath)
    if in_time and points.times is not None:
        bath = Bath(points, trailing=2)
        times = points.times.along((*FAMILY, "time"))
        times = np.broadcast_to(times, (*members, points.n_times)).reshape(len(J), -1)
        baths = math.prod(points.sizes[name] for name in BATH)
        size = _time_tile(net.n_modes, points.n_times, baths, fluctuations=not bath.is_vacuum)
        for tile in _tiles(len(J), size):
            yield tile, Evolved(net, Rates(J[tile], kappa[tile]), bath, times[tile])


def _tiles(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _steady_tile(net: Family, bath: Bath) -> int:
    """Members at once: few where whole matrices are solved, for a graph with loops or its pair moments."""
    is_dense = net.parents is None or (bath.is_squeezed and not (net.is_directed or net.is_resolvent))
    return max(1, min(_TILE, _TILE_MATRICES // net.n_modes**2 if is_dense else _TILE_ENTRIES // net.n_modes))


def _time_tile(n_modes: int, n_times: int, baths: int, *, fluctuations: bool) -> int:
    """Members at once: of every mode and time an amplitude, as many columns of noise as modes, and the results."""
    columns = n_modes if fluctuations else 0
    return max(1, _TILE_BYTES // (8 * n_times * n_modes * (columns + 1 + baths)))


def moments_cost(points: Points, outputs: Sequence[str], sizes: Mapping[str, int]) -> Cost:
    """Predict the seconds and bytes of a point: its share of what a whole product takes; see `interface.Solver`."""
    net, bath = family(points.network), Bath(points)
    members = math.prod(sizes[name] for name in FAMILY)
    count = members * math.prod(sizes[name] for name in BATH)
    lengths = {"mode": net.n_modes, "time": points.n_times}
    seconds = family_seconds(net)
    if any(name in _STEADY for name in outputs):
        squeezed = bath.is_squeezed and any("ergotropy" in name for name in outputs if name in _STEADY)
        seconds += steady_seconds(net, members, squeezed=squeezed)
    if points.times is not None and any(name in _IN_TIME for name in outputs):
        seconds += evolution_seconds(
            net,
            members,
            points.n_times,
            uniform=uniform_step(points.times.values.reshape(-1, points.n_times)) is not None,
            fluctuations=not bath.is_vacuum,
            squeezed=bath.is_squeezed,
        )
    for name in outputs:
        numbers = count * math.prod(lengths[dim] for dim in _OUTPUTS[name].dims)
        seconds += numbers * (_SQUEEZED_NUMBER if bath.is_squeezed and "ergotropy" in name else _NUMBER)
    return Cost(Labelled((), np.array(seconds / count)), 8.0 * net.n_modes**2 * max(points.n_times, 1))


def _solve(points: Points, outputs: Sequence[str]) -> Solved:
    arrays = solve_moments(points, outputs)
    trusted = arrays["numerical_error"].values <= NUMERICAL_TOLERANCE
    if trusted.all():
        return Solved(arrays | {"verdict": Labelled((), np.array(VERDICT_CODES[EXACT]))})
    verdict = np.where(trusted, VERDICT_CODES[EXACT], VERDICT_CODES[SUSPECT_NUMERICS])
    return Solved(arrays | {"verdict": Labelled(FAMILY, verdict)}, Labelled(FAMILY, np.where(trusted, OK, SUSPECT)))


SOLVER = Solver((*_OUTPUTS, *_VERDICT), _solve, moments_cost)
