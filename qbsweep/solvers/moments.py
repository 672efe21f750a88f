"""The exact solver: first and second moments of whole blocks of Gaussian networks.

One drift matrix serves every (epsilon, omega, n_th, r, theta_r) of its (J, kappa): first moments scale with
the drive, and second ones with the bath's P and |Q|.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.gaussian import bath_ergotropy, bath_occupation
from qbsweep.physics.moments.dynamics import evolved_populations
from qbsweep.physics.moments.family import Family, family
from qbsweep.physics.moments.steady import anomaly_ratios, coherent_populations
from qbsweep.solvers.interface import Points, Problem, Solved, Solver
from qbsweep.sweep.variables import TIME_RESOLVED

_TILE = 4096  # members at once in the steady state: rows of 32 kB stay in the cache
_TILE_ENTRIES = 2**22  # and at very large N not more than 32 MB of them
_TILE_BYTES = 4_000_000  # working set of the time evolution


class _Bath:
    """Drive and bath of a product of points, with axes (epsilon, omega, n_th, r, theta_r, *trailing)."""

    def __init__(self, points: Points, trailing: int = 0) -> None:
        def axis(values: FloatArray, after: int) -> FloatArray:
            return values.reshape(-1, *(1,) * (after + trailing))

        self.epsilon = axis(points.epsilon, 4)
        self.omega = axis(points.omega, 3)
        self.n_th = axis(points.n_th, 2)
        self.r = axis(points.r, 1)
        self.occupation = bath_occupation(self.n_th, self.r)
        self.is_vacuum = not self.occupation.any()
        self.is_squeezed = bool(points.r.any())

    def energy(self, coherent: Array, filling: Array | float = 1.0) -> FloatArray:
        """``omega (epsilon^2 |alpha|^2 + P c)``; the arguments broadcast against the axes."""
        return np.asarray(self.omega * (self._driven(coherent) + self.occupation * filling))

    def ergotropy(self, coherent: Array, filling: Array | float, deficit: Array | float) -> FloatArray:
        """``omega (epsilon^2 |alpha|^2 + C + 1/2 - nu)``."""
        share = bath_ergotropy(self.n_th, self.r, filling, deficit) if self.is_squeezed else 0.0
        return np.asarray(self.omega * (self._driven(coherent) + share))

    def _driven(self, coherent: Array) -> FloatArray:
        # Not epsilon^2, which may underflow where the energy does not.
        return np.asarray(self.epsilon * (self.epsilon * coherent))


def solve_moments(points: Points, outputs: Sequence[str]) -> dict[str, FloatArray]:
    """Solve a product of points exactly.

    Parameters
    ----------
    points : Points
    outputs : sequence of str
        Names from `qbsweep.sweep.variables`.

    Returns
    -------
    dict of ndarray
        Axes (J, kappa, epsilon, omega, n_th, r, theta_r), then mode (N+1) and time where the variable has them.
        Relative accuracy 1e-12 in the steady state and 1e-9 in time, tested against closed forms and 30-digit
        references; energies under 2e-308 lose digits and become 0.

    Raises
    ------
    QbsweepError
        If a mode is not linear: the moments then do not close.
    """
    if points.kerr.any() or points.kerr_charger.any():
        raise QbsweepError("`kerr` needs solver lindblad: the moment solver is exact for Gaussian networks only")
    net = family(points.network)
    kappa = np.broadcast_to(points.kappa, points.J.shape).ravel()
    J = points.J.ravel()
    shape = (len(J), *points.shape[2:7])
    results = {name: np.empty((*shape, *_extra(name, net, points))) for name in outputs}
    steady = [name for name in outputs if name not in TIME_RESOLVED]
    in_time = [name for name in outputs if name in TIME_RESOLVED]
    if steady:
        bath = _Bath(points)
        for tile in _tiles(len(J), _steady_tile(net, bath)):
            _solve_steady(net, J[tile], kappa[tile], bath, {name: results[name][tile] for name in steady})
    if in_time and points.times is not None:
        bath = _Bath(points, trailing=2)
        times = np.broadcast_to(points.times, (*points.J.shape, points.times.shape[1])).reshape(len(J), -1)
        for tile in _tiles(len(J), _time_tile(net.n_modes, times.shape[1], math.prod(shape[1:]))):
            views = {name: results[name][tile] for name in in_time}
            _solve_in_time(net, J[tile], kappa[tile], times[tile], bath, views)
    return {name: values.reshape(*points.shape[:7], *values.shape[6:]) for name, values in results.items()}


def _extra(name: str, net: Family, points: Points) -> tuple[int, ...]:
    if name in ("energy", "ergotropy"):
        return (net.n_modes,)
    if name in TIME_RESOLVED and points.times is not None:
        return (net.n_modes, points.times.shape[1])
    return ()


def _tiles(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _steady_tile(net: Family, bath: "_Bath") -> int:
    """Members at once: few where whole matrices are solved, for a graph with loops or its pair moments."""
    is_dense = net.parents is None or (bath.is_squeezed and not (net.is_directed or net.is_resolvent))
    return max(1, min(_TILE, _TILE_ENTRIES // (8 * net.n_modes**2 if is_dense else net.n_modes)))


def _time_tile(n_modes: int, n_times: int, inner: int) -> int:
    return max(1, _TILE_BYTES // (8 * n_times * n_modes * (n_modes + 1 + inner)))


def _solve_steady(net: Family, J: Array, kappa: Array, bath: _Bath, results: dict[str, FloatArray]) -> None:
    coherent = coherent_populations(net, J, kappa)
    ratios = None
    if bath.is_squeezed and any("ergotropy" in name for name in results):
        ratios = anomaly_ratios(net, J, kappa)

    def column(values: FloatArray) -> FloatArray:
        return values[:, None, None, None, None, None]

    def energy(mode: int) -> FloatArray:
        return bath.energy(column(coherent[mode]))

    def ergotropy(mode: int) -> FloatArray:
        deficit = 0.0 if ratios is None else column(1 - ratios[mode])
        return bath.ergotropy(column(coherent[mode]), 1.0, deficit)

    for name, target in results.items():
        if name == "energy_charger":
            target[...] = energy(0)
        elif name == "energy_terminal":
            target[...] = energy(-1)
        elif name == "ergotropy_terminal":
            target[...] = ergotropy(-1)
        elif name == "energy_batteries":
            target[...] = bath.energy(column(coherent[1:].sum(axis=0)), float(net.n_modes - 1))
        else:
            of_mode = energy if name == "energy" else ergotropy
            for mode in range(net.n_modes):
                target[..., mode] = of_mode(mode)


def _solve_in_time(
    net: Family, J: Array, kappa: Array, times: FloatArray, bath: _Bath, results: dict[str, FloatArray]
) -> None:
    coherent, filling, deficit = evolved_populations(
        net, J, kappa, times, fluctuations=not bath.is_vacuum, squeezing=bath.is_squeezed
    )

    def trailing(values: FloatArray) -> FloatArray:
        return values[:, None, None, None, None, None]

    c = 0.0 if filling is None else trailing(filling)
    if "energy_t" in results:
        results["energy_t"][...] = bath.energy(trailing(coherent), c)
    if "ergotropy_t" in results:
        lost = 0.0 if deficit is None else trailing(deficit)
        results["ergotropy_t"][...] = bath.ergotropy(trailing(coherent), c, lost)


def moments_cost(problem: Problem) -> tuple[float, float]:
    """Predict the seconds and bytes of a point; measured on one core of a 2020s machine."""
    n_modes, n_times = problem.n_modes, problem.n_times
    per_matrix = 20e-9 + 5e-9 * n_modes
    if not problem.is_tree:
        per_matrix += 2e-6 + 1.5e-9 * n_modes**3
    if problem.is_squeezed:  # as if every network needed a solve for its pair moments
        per_matrix += 6e-9 * n_modes**2 if problem.is_tree else 3e-8 * n_modes**3
    if n_times:
        per_matrix += 2e-9 * n_modes**2 * (n_modes + 1) * n_times**0.5 + 4e-9 * n_modes**2 * n_times + 20e-6
    if n_times and not problem.is_uniform:
        per_matrix += n_times * (5e-6 + 1e-8 * n_modes**3)
    return per_matrix / problem.baths + 4e-9 * problem.n_scalars, 8.0 * n_modes**2 * max(n_times, 1)


def _solve(points: Points, outputs: Sequence[str]) -> Solved:
    arrays = solve_moments(points, outputs)
    return Solved({name: np.expand_dims(values, (7, 8)) for name, values in arrays.items()})  # the axes of Kerr


SOLVER = Solver(_solve, moments_cost)
