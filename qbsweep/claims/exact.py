"""The exact solution that claims are held against, from the matrices of the networks alone.

The closed forms of `qbsweep.physics` say where the operating point is, and no more: steady states come from dense
linear solves, time evolution from the exponential of a drift matrix, second moments from Sylvester equations.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import expm
from scipy.optimize import brentq

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.network import Network
from qbsweep.physics.reference import evolved_moments, steady_moments
from qbsweep.physics.topologies import cascaded, optimal_coupling, parallel

KAPPA = 0.003  # of all figures
EPSILON = 0.01  # of Figs. 1 to 4
WEAK_EPSILON = 0.001  # of Figs. 5 and 6
RATIOS = np.geomspace(1e-3, 1e3, 25)  # J / kappa
SIZES = range(1, 11)
TOPOLOGIES = {"cascaded": cascaded, "parallel": parallel}
"""Of the paper; what else is registered is no matter of its claims."""
COUPLINGS = ("nonreciprocal", "reciprocal")
REALIZATIONS = ("phase-half-pi", "phase-zero")
ROUNDING = 1e-10  # a formula is right if it agrees to this: condition numbers up to 1e4, squares, margin

# Networks whose rates Lambda all differ, whichever battery is the last: (3) and (7) are 0/0 where two of them coincide.
GAMMA = np.array([0.8, 1.4, 0.6])
LOSS = np.array([0.15, 0.05, 0.2, 0.6])
TIMES = np.linspace(0.0, 20.0, 41)

LEVEL = 0.01  # the terminal energy has settled when it stays within 1 % of its steady value


def steady_energies(network: Network, epsilon: float = EPSILON) -> FloatArray:
    """Return the steady ``|alpha_m|^2`` of every mode in vacuum, shape (N+1,), in omega."""
    return steady_moments(network, epsilon).coherent


def energies_in_time(network: Network, times: FloatArray, epsilon: float = EPSILON) -> FloatArray:
    """Return ``|alpha_m(t)|^2`` from vacuum, shape (times, N+1), in omega."""
    return evolved_moments(network, times, epsilon).coherent


def deviation(found: ArrayLike, expected: ArrayLike) -> float:
    """Return the largest relative deviation of `found` from `expected`."""
    return float(np.max(np.abs(np.asarray(found) / np.asarray(expected) - 1)))


def deviation_in_time(found: FloatArray, expected: FloatArray) -> float:
    """Return the largest deviation in units of the largest expected value: energies start at 0."""
    return float(np.max(np.abs(found - expected)) / np.max(expected))


def operating_point(topology: str, N: int, kappa: float = KAPPA) -> float:
    """Return J_op of (10), in omega, where the figures compare networks."""
    return float(optimal_coupling(topology, N, kappa))


def terminal(
    topology: str, coupling: str, N: int, J: Array | float, kappa: float = KAPPA, epsilon: float = EPSILON
) -> tuple[FloatArray, FloatArray]:
    """Return the steady terminal energy and its derivative by J at every J.

    With ``M = J A + kappa B``: ``M alpha = i epsilon e_0`` and ``M alpha' = -A alpha``, so
    ``dE/dJ = 2 Re(conj(alpha_N) alpha'_N)``.
    """
    build = TOPOLOGIES[topology]
    A, B = (drift_matrix(build(N, *unit, coupling)) for unit in ((1.0, 0.0), (0.0, 1.0)))
    M = np.asarray(J, dtype=float)[..., None, None] * A + kappa * B
    source = np.zeros((N + 1, 1), dtype=complex)
    source[0] = 1j * epsilon
    alpha = np.linalg.solve(M, source)
    slope = np.linalg.solve(M, -A @ alpha)
    last = alpha[..., -1, 0]
    return np.abs(last) ** 2, 2 * np.real(last.conj() * slope[..., -1, 0])


def terminal_energy(topology: str, coupling: str, N: int, J: float) -> float:
    """Return the steady terminal energy at one coupling, in omega."""
    return float(terminal(topology, coupling, N, J)[0])


def turning_points(topology: str, coupling: str, N: int, ratios: FloatArray = RATIOS) -> list[float]:
    """Return all J / kappa within `ratios` at which the terminal energy turns, each to 14 digits."""

    def slope(ratio: Array | float) -> FloatArray:
        return terminal(topology, coupling, N, np.asarray(ratio) * KAPPA)[1]

    rising = slope(ratios) > 0
    at = np.flatnonzero(rising[1:] != rising[:-1])
    return [brentq(lambda ratio: float(slope(ratio)), ratios[i], ratios[i + 1], xtol=1e-15, rtol=1e-14) for i in at]


def terminal_curve(network: Network, step: float, count: int) -> FloatArray:
    """Return the terminal energy at ``0, step, ..., count * step`` from vacuum, for a unit drive.

    Powers of one exponential of the drift matrix, augmented by the drive.
    """
    n = network.n_modes
    flow = np.zeros((n + 1, n + 1), dtype=complex)
    flow[:n, :n] = drift_matrix(network)
    flow[0, n] = 1
    stride = expm(flow * step)
    state = np.zeros(n + 1, dtype=complex)
    state[n] = 1
    amplitudes = [0j]
    for _ in range(count):
        state = stride @ state
        amplitudes.append(state[n - 1])
    return np.asarray(np.abs(amplitudes) ** 2)


def settling_time(topology: str, coupling: str, N: int, ratio: float | None = None) -> float:
    """Return kappa t from which the terminal energy stays within 1 % of its steady value.

    Parameters
    ----------
    topology, coupling : str
    N : int
    ratio : float, optional
        J / kappa; the operating point (10) unless told.
    """
    ratio = operating_point(topology, N, 1.0) if ratio is None else ratio
    network = TOPOLOGIES[topology](N, ratio, 1.0, coupling)
    step = 0.02
    count = math.ceil((16 + N / ratio) / step)  # twice the delay N / (2 J), and e^{-8} of the slowest transient
    steady = steady_energies(network, 1.0)[-1]
    off = np.abs(terminal_curve(network, step, count) / steady - 1) - LEVEL
    last = int(np.flatnonzero(off > 0)[-1])
    return float(step * (last + off[last] / (off[last] - off[last + 1])))
