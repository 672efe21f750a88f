"""Claims about the parallel network: its energies (7), (8), (9), (13), (A6), (A8) and the window (14)."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from qbsweep.arrays import FloatArray
from qbsweep.claims.exact import (
    COUPLINGS,
    EPSILON,
    GAMMA,
    KAPPA,
    LOSS,
    RATIOS,
    ROUNDING,
    SIZES,
    TIMES,
    deviation,
    deviation_in_time,
    energies_in_time,
    operating_point,
    steady_energies,
    terminal,
    terminal_energy,
)
from qbsweep.claims.ledger import Finding, Measure
from qbsweep.physics.closed_forms import (
    nonreciprocal_energy,
    nonreciprocal_energy_in_time,
    nonreciprocal_parallel_energy,
    reciprocal_parallel_energy,
    reciprocal_window,
)
from qbsweep.physics.network import Network
from qbsweep.physics.topologies import parallel

Curve = Callable[[FloatArray, FloatArray, float, FloatArray], FloatArray]
Root = Callable[[int, int], float]


def star(N: int) -> Network:
    """Return the nonreciprocal star of the first N of these edges, J_i = Gamma_i / 2."""
    return parallel(N, (GAMMA[:N] / 2).tolist(), LOSS[: N + 1].tolist())


def energy_7(Lambda: FloatArray, Gamma: FloatArray, epsilon: float, times: FloatArray) -> FloatArray:
    """Return (7) word for word, of Lambda_0 and Lambda_n and of Gamma_n; |mu| = 1."""
    a, b = Lambda
    x_a, x_b = np.exp(-a * times / 2), np.exp(-b * times / 2)
    return np.asarray(16 * epsilon**2 * Gamma**2 / (a * b * (a - b)) ** 2 * ((a - b) - (a * x_a - b * x_b)) ** 2)


def energy_a6(Lambda: FloatArray, Gamma: FloatArray, epsilon: float, times: FloatArray) -> FloatArray:
    """Return (A6) and (A8) word for word, of the same rates; |mu| = 1."""
    a, b = Lambda
    x_a, x_b = np.exp(-a * times / 2), np.exp(-b * times / 2)
    return np.asarray(16 * epsilon**2 * Gamma**2 / (a * b * (a - b)) ** 2 * ((a - b) - (a * x_b - b * x_a)) ** 2)


def sum_to_n(n: int, N: int) -> float:
    """Return Lambda_0 as printed below (7): its sum of the Gamma_i runs to n."""
    return float(GAMMA[:n].sum() + LOSS[0])


def sum_to_N(n: int, N: int) -> float:  # noqa: N802
    """Return Lambda_0 with the sum over all batteries, as in (A5) and (A7)."""
    return float(GAMMA[:N].sum() + LOSS[0])


def off_in_time(curve: Curve, root: Root, batteries: list[tuple[int, int]]) -> float:
    """Return the largest deviation of a curve E_n(t) from the exponential of the drift matrix, for (n, N)."""
    return max(
        deviation_in_time(
            curve(np.array([root(n, N), GAMMA[n - 1] + LOSS[n]]), GAMMA[n - 1 : n], EPSILON, TIMES),
            energies_in_time(star(N), TIMES)[:, n],
        )
        for n, N in batteries
    )


def exponents_of_7(printed: Curve = energy_7, corrected: Curve = nonreciprocal_energy_in_time) -> Finding:
    """(7) of the last battery, for which the sum below it is right."""
    last = [(N, N) for N in (1, 2, 3)]
    return Finding(
        "E_N(t) from vacuum, N = 1 to 3, unequal rates; in units of its largest value",
        Measure(off_in_time(printed, sum_to_N, last), ROUNDING),
        (Measure(off_in_time(corrected, sum_to_N, last), ROUNDING),),
        reason="the exponents must be exchanged, Λ_0 e^(-Λ_n t/2) - Λ_n e^(-Λ_0 t/2), as in (A6)",
    )


def rate_of_the_charger(printed: Root = sum_to_n, corrected: Root = sum_to_N) -> Finding:
    """Lambda_0 of (7), its exponents mended, for the batteries that are not the last."""
    inner = [(1, 2), (1, 3), (2, 3)]
    return Finding(
        "E_n(t), with the exponents mended, for n < N, N = 2, 3, unequal rates",
        Measure(off_in_time(nonreciprocal_energy_in_time, printed, inner), ROUNDING),
        (Measure(off_in_time(nonreciprocal_energy_in_time, corrected, inner), ROUNDING),),
        reason="the sum in Λ_0 runs over all N batteries, not to n",
    )


def solutions_a6_a8(printed: Curve = energy_a6) -> Finding:
    """(A6) and (A8)."""
    batteries = [(n, N) for N in (2, 3) for n in range(1, N + 1)]
    return Finding(
        "E_n(t) of every battery, N = 2, 3, unequal rates; in units of its largest value",
        Measure(off_in_time(printed, sum_to_N, batteries), ROUNDING),
    )


def index_of_8(printed: int = 1, corrected: int = 0) -> Finding:
    """(8) of every battery, unequal rates; the parameters are the index of the Lambda beside Lambda_n."""

    def off(index: int) -> float:
        worst = 0.0
        for N in (1, 2, 3):
            Lambda = np.array([sum_to_N(N, N), *(GAMMA[:N] + LOSS[1 : N + 1])])
            found = [nonreciprocal_energy(Lambda[[index, n]], GAMMA[n - 1 : n], EPSILON) for n in range(1, N + 1)]
            worst = max(worst, deviation(found, steady_energies(star(N))[1:]))
        return worst

    return Finding(
        "E_n of every battery, N = 1 to 3, unequal rates, against linear solves",
        Measure(off(printed), ROUNDING),
        (Measure(off(corrected), ROUNDING),),
        reason="Λ_1 must be Λ_0, the rate of the charger",
    )


Form = Callable[[int, FloatArray, float, float], FloatArray]


def _off_from_solves(form: Form, coupling: str) -> Measure:
    J = RATIOS * KAPPA
    off = max(deviation(form(N, J, KAPPA, EPSILON), terminal("parallel", coupling, N, J)[0]) for N in SIZES)
    return Measure(off, ROUNDING)


def uniform_nonreciprocal(printed: Form = nonreciprocal_parallel_energy) -> Finding:
    """(9) over six decades of J / kappa."""
    return Finding(
        "E_N, N = 1 to 10, J/κ from 0.001 to 1000, against linear solves", _off_from_solves(printed, "nonreciprocal")
    )


def uniform_reciprocal(printed: Form = reciprocal_parallel_energy) -> Finding:
    """(13) with the Gamma = 2 J of Sec. II, over six decades of J / kappa."""
    return Finding(
        "E_N with Γ = 2J (a reciprocal network has no Γ of its own), N = 1 to 10, J/κ from 0.001 to 1000",
        _off_from_solves(printed, "reciprocal"),
    )


def _gain(N: int, J: float) -> float:
    """Return how much more the reciprocal star stores, in omega."""
    reciprocal, nonreciprocal = (terminal_energy("parallel", coupling, N, J) for coupling in COUPLINGS[::-1])
    return reciprocal - nonreciprocal


def window(printed: Callable[[int, float], tuple[float, float]] = reciprocal_window) -> Finding:
    """(14): where the two couplings store equally much, and that the reciprocal one stores more just in between."""
    worst = 0.0
    for N in (2, 3, 4, 5, 8, 12, 20):
        signs = [_gain(N, ratio * KAPPA) > 0 for ratio in np.geomspace(0.1 / N, 10, 41)]
        middle = operating_point("parallel", N)
        if np.count_nonzero(np.diff(signs)) != 2 or _gain(N, middle) <= 0:
            worst = np.inf
        edges = [
            brentq(lambda J, N=N: _gain(N, J), middle, end, xtol=1e-18, rtol=1e-14)
            for end in (0.1 * KAPPA / N, 10 * KAPPA)
        ]
        worst = max(worst, deviation(printed(N, KAPPA), edges))
    return Finding(
        "both couplings of equal energy, N = 2 to 20; reciprocal stores more between them and less outside",
        Measure(worst, ROUNDING),
    )


def nonreciprocal_stores_more(energy: Callable[[str, str, int, float], float] = terminal_energy) -> Finding:
    """Reciprocal over nonreciprocal energy of the star at J_op; the parameter is the solution that is asked."""
    sizes = range(2, 21)
    points = {N: operating_point("parallel", N) for N in sizes}
    ratios = {
        N: energy("parallel", "reciprocal", N, J) / energy("parallel", "nonreciprocal", N, J) for N, J in points.items()
    }
    law = [(1 + np.sqrt(N)) ** 4 / (16 * N) for N in sizes]
    windows = {N: reciprocal_window(N, KAPPA) for N in sizes}
    inside = min(min(J - windows[N][0], windows[N][1] - J) for N, J in points.items())
    return Finding(
        f"E(reciprocal) / E(nonreciprocal) at J_op: {ratios[2]:.4f}, {ratios[3]:.4f}, {ratios[4]:.4f}, .. "
        f"{ratios[20]:.4f} for N = 2, 3, 4, .. 20; the largest",
        Measure(max(ratios.values()), 1.0),
        explained=(
            Measure(min(ratios.values()), 1.0, at_least=True, name="least ratio"),
            Measure(deviation(list(ratios.values()), law), ROUNDING, name="off this law"),
            Measure(inside / KAPPA, 0.0, at_least=True, name="J_op to the window's edge, in κ"),
        ),
        reason="J_op lies inside the window (14) at every N > 1, so the reciprocal star stores more: "
        "(1 + √N)^4 / (16 N) times as much",
    )
