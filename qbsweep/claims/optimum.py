"""Claims about the optimal coupling: (A9), (A10), (10), its scaling, and what lies on either side of it."""

import itertools
import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from qbsweep.arrays import FloatArray
from qbsweep.claims.exact import (
    EPSILON,
    KAPPA,
    RATIOS,
    ROUNDING,
    SIZES,
    TOPOLOGIES,
    deviation,
    operating_point,
    settling_time,
    steady_energies,
    terminal,
    terminal_energy,
    turning_points,
)
from qbsweep.claims.ledger import Finding, Measure
from qbsweep.physics.closed_forms import cascaded_optimal_coupling, parallel_optimal_coupling
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.network import imperfect
from qbsweep.physics.topologies import cascaded

Law = Callable[[int, float], FloatArray]
Energy = Callable[[str, str, int, float], float]


def slope_a9(N: int, Gamma: FloatArray, kappa: float) -> FloatArray:
    """Return the right-hand side of (A9)."""
    scale = -(2.0 ** (3 + 2 * N)) * EPSILON**2 * Gamma ** (2 * N - 1) / (Gamma + kappa) ** 5
    return np.asarray(scale * (2 * Gamma + kappa) ** (1.0 - 2 * N) * (2 * Gamma**2 - N * Gamma * kappa - N * kappa**2))


def slope_a10(N: int, Gamma: FloatArray, kappa: float) -> FloatArray:
    """Return the right-hand side of (A10)."""
    scale = 32 * EPSILON**2 * Gamma / ((Gamma + kappa) ** 3 * (N * Gamma + kappa) ** 3)
    return np.asarray(scale * (kappa**2 - N * Gamma**2))


def derivative(printed: float = 1.0, corrected: float = 2.0) -> Finding:
    """(A9) and (A10) against the derivative of the linear solve; the parameters multiply what is printed."""
    J = RATIOS * KAPPA

    def off(factor: float) -> float:
        return max(
            deviation(factor * form(N, 2 * J, KAPPA), terminal(topology, "nonreciprocal", N, J)[1])
            for topology, form in (("cascaded", slope_a9), ("parallel", slope_a10))
            for N in SIZES
        )

    return Finding(
        "∂E/∂J, N = 1 to 10, J/κ from 0.001 to 1000, against differentiated linear solves",
        Measure(off(printed), 1e-8),  # the derivative vanishes near the grid's points: two digits more than ROUNDING
        (Measure(off(corrected), 1e-8),),
        reason="what is printed is ∂E/∂Γ = (∂E/∂J) / 2; its zeros are the same",
    )


def _optimum(topology: str, N: int) -> float:
    """Return J / kappa where the derivative of the nonreciprocal energy vanishes."""
    low, high = (0.25, N) if topology == "cascaded" else (0.1 / math.sqrt(N), 1.0)
    slope = lambda ratio: float(terminal(topology, "nonreciprocal", N, ratio * KAPPA)[1])  # noqa: E731
    return brentq(slope, low, high, xtol=1e-15, rtol=1e-14)


def _law(topology: str, printed: Law) -> Finding:
    sizes = range(1, 31)
    exact = [_optimum(topology, N) for N in sizes]
    return Finding(
        "zero of the differentiated linear solve, N = 1 to 30",
        Measure(deviation([printed(N, 1.0) for N in sizes], exact), ROUNDING),
    )


def cascaded_law(printed: Law = cascaded_optimal_coupling) -> Finding:
    """(10), cascaded."""
    return _law("cascaded", printed)


def parallel_law(printed: Law = parallel_optimal_coupling) -> Finding:
    """(10), parallel."""
    return _law("parallel", printed)


def _exponent(topology: str, printed: float) -> Finding:
    small, middle, large = (math.log2(_optimum(topology, N)) for N in (32, 64, 128))
    first, second = middle - small, large - middle
    limit = 2 * second - first  # the exponent between N and 2 N approaches its limit as 1/N
    return Finding(
        f"d ln J_op / d ln N is {first:.4f} from N = 32 to 64, {second:.4f} from 64 to 128, {limit:.4f} extrapolated; "
        "distance",
        Measure(abs(limit - printed), 0.01),
    )


def cascaded_exponent(printed: float = 1.0) -> Finding:
    """J_op of the cascade grows as N."""
    return _exponent("cascaded", printed)


def parallel_exponent(printed: float = -0.5) -> Finding:
    """J_op of the star falls as 1 / sqrt N."""
    return _exponent("parallel", printed)


def one_peak(turns: Callable[[str, str, int], list[float]] = turning_points) -> Finding:
    """Nonreciprocal energies turn exactly once; the parameter finds the turning points J / kappa."""
    found = [len(turns(topology, "nonreciprocal", N)) for topology in TOPOLOGIES for N in range(1, 13)]
    return Finding(
        "maxima in J/κ from 0.001 to 1000, both topologies, N = 1 to 12; deviation of their number from 1",
        Measure(max(abs(number - 1) for number in found), 0.0),
    )


def weak_coupling(energy: Energy = terminal_energy) -> Finding:
    """Nonreciprocal over reciprocal energy where coupling is weak; the parameter is the solution that is asked."""
    ratios = {
        (topology, N, x): energy(topology, "nonreciprocal", N, x * KAPPA / N)
        / energy(topology, "reciprocal", N, x * KAPPA / N)
        for topology in TOPOLOGIES
        for N in range(1, 11)
        for x in np.geomspace(1e-3, 0.499, 9).tolist()
    }
    chain, star = (ratios[topology, 4, 1e-3] for topology in TOPOLOGIES)
    return Finding(
        f"E(nonreciprocal) / E(reciprocal) for J < κ/(2N), N = 1 to 10; towards J = 0 it is {chain:.0f} in the chain "
        f"of N = 4 and {star:.2f} in the star; the least",
        Measure(min(ratios.values()), 1.0, at_least=True),
    )


def cascade_stores_more(energy: Energy = terminal_energy) -> Finding:
    """Nonreciprocal over reciprocal energy of the chain at J_op; the parameter is the solution that is asked."""
    points = {N: operating_point("cascaded", N) for N in range(2, 41)}
    ratios = {
        N: energy("cascaded", "nonreciprocal", N, J) / energy("cascaded", "reciprocal", N, J) for N, J in points.items()
    }
    return Finding(
        f"E(nonreciprocal) / E(reciprocal) at J_op: {ratios[2]:.3f}, {ratios[3]:.3f}, {ratios[4]:.3f}, {ratios[5]:.3f} "
        "for N = 2, 3, 4, 5; the least to N = 40",
        Measure(min(ratios.values()), 1.0, at_least=True),
        (
            Measure(min(ratio for N, ratio in ratios.items() if N % 2), 1.0, at_least=True, name="least, odd N"),
            Measure(max(ratio for N, ratio in ratios.items() if N % 2 == 0), 1.0, name="largest, even N"),
        ),
        reason="for odd N only: with the zero-energy mode of even N the reciprocal chain stores more",
    )


def charger_share(topology: str, N: int, J: float) -> float:
    """Return the charger's share of all energy in the nonreciprocal network."""
    energies = steady_energies(TOPOLOGIES[topology](N, J, KAPPA))
    return float(energies[0] / energies.sum())


def localised(share: Callable[[str, int, float], float] = charger_share) -> Finding:
    """Find the charger's share at the J of Fig. 2 (a), (d), and where it is predominant; the parameter computes it."""
    J = 0.001
    cascaded, parallel = (share(topology, 2, J) for topology in TOPOLOGIES)
    weaker = min(
        share(topology, N, x * KAPPA / math.sqrt(N))
        for topology in TOPOLOGIES
        for N in (1, 2, 3, 4, 8, 20)
        for x in np.linspace(0.01, 0.25, 9).tolist()
    )
    return Finding(
        f"the charger's share of all energy for J = 0.001, N = 2: {cascaded:.3f} cascaded, "
        f"{parallel:.3f} parallel (J = {J / operating_point('parallel', 2):.2f} J_op); the less",
        Measure(min(cascaded, parallel), 0.5, at_least=True),
        (Measure(weaker, 0.5, at_least=True),),
        reason="it is more than half for J ≤ κ/(4√N), half the J_op of the star, in both topologies",
    )


def energy_of_ratio(N: int, ratio: float) -> tuple[float, float]:
    """Return ln E_N of the chain at its J_op with Gamma = 2 J ratio, and the derivative of that by the ratio.

    The drift matrix is linear in Gamma: ``M = A + ratio B``, ``M alpha = i epsilon e_0``, ``M alpha' = -B alpha``.
    """
    network = cascaded(N, operating_point("cascaded", N), KAPPA)
    A = drift_matrix(imperfect(network, 0.0))
    B = drift_matrix(network) - A
    source = np.zeros(N + 1, dtype=complex)
    source[0] = 1j * EPSILON
    alpha = np.linalg.solve(A + ratio * B, source)
    slope = np.linalg.solve(A + ratio * B, -B @ alpha)
    return 2 * math.log(abs(alpha[-1])), 2 * float((slope[-1] / alpha[-1]).real)


def best_ratio(N: int) -> tuple[float, float]:
    """Return the Gamma / (2 J) at which a chain of odd N stores most at J_op, and its energy over that at Gamma = 2 J.

    One of even N stores most without Gamma.
    """
    ratio = brentq(lambda ratio: energy_of_ratio(N, ratio)[1], 0.01, 0.999, xtol=1e-15, rtol=1e-14)
    return ratio, math.exp(energy_of_ratio(N, ratio)[0] - energy_of_ratio(N, 1.0)[0])


def perfectly_nonreciprocal(best: Callable[[int], tuple[float, float]] = best_ratio) -> Finding:
    """Energy of the chain at J_op with the best Gamma over that with Gamma = 2 J; the parameter finds both."""
    found = {N: best(N) for N in (3, 5)}
    (ratio, gain), (ratio_5, gain_5) = found.values()
    change = np.array([energy_of_ratio(N, 1.0)[1] for N in range(1, 31)])
    return Finding(
        f"at J_op of N = 3 the best Γ/(2J) is {ratio:.5f} and stores {gain:.6f} times as much as Γ = 2J; of N = 5 "
        f"{ratio_5:.5f} and {gain_5:.6f} times; that of N = 3",
        Measure(gain, 1.0),
        explained=(
            Measure(float(change[1:].max()), 0.0, name="largest ∂lnE/∂(Γ/2J) at Γ = 2J, N = 2 to 30"),
            Measure(abs(float(change[0])), ROUNDING, name="that of N = 1"),
        ),
        reason="a smaller Γ stores more in every longer chain; with one battery every Γ stores the same",
    )


def trade_off(settling: Callable[[str, str, int, float], float] = settling_time) -> Finding:
    """Settling time and energy at 1, 2, 4, 8 J_op; the parameter finds the settling times in 1 / kappa."""
    slower, more = [], []
    for topology in TOPOLOGIES:
        for N in (1, 2, 4, 8):
            ratios = [operating_point(topology, N, 1.0) * factor for factor in (1, 2, 4, 8)]
            times = [settling(topology, "nonreciprocal", N, ratio) for ratio in ratios]
            energies = [terminal_energy(topology, "nonreciprocal", N, ratio * KAPPA) for ratio in ratios]
            slower += [b / a for a, b in itertools.pairwise(times)]
            more += [b / a for a, b in itertools.pairwise(energies)]
    return Finding(
        f"each doubling of J from J_op to 8 J_op changes the energy by a factor of at most {max(more):.3f} "
        "and the 1 % settling time, N = 1 to 8, by one of at most",
        Measure(max(*slower, *more), 1.0),
    )
