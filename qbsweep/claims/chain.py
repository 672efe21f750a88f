"""Claims about the reciprocal chain: (11), (12), its spectrum (B9), its Green function (B14), odd and even N."""

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from qbsweep.arrays import ComplexArray, FloatArray
from qbsweep.claims.exact import (
    EPSILON,
    KAPPA,
    RATIOS,
    ROUNDING,
    SIZES,
    deviation,
    operating_point,
    terminal,
    terminal_energy,
    turning_points,
)
from qbsweep.claims.ledger import Finding, Measure
from qbsweep.physics.closed_forms import reciprocal_cascaded_amplitude, reciprocal_cascaded_saturation
from qbsweep.physics.matrices import coherent_matrix
from qbsweep.physics.reference import steady_moments
from qbsweep.physics.topologies import cascaded

Powers = Callable[[int, int], tuple[int, int]]
Energy = Callable[[str, str, int, float], float]
Amplitude = Callable[[int, FloatArray, float, float], ComplexArray]


def powers_11(N: int, j: int) -> tuple[int, int]:
    """Return the powers of J and kappa of term j in (11), odd N."""
    return N + 1 - 2 * j, 2 * j


def powers_12(N: int, j: int) -> tuple[int, int]:
    """Return the powers of J and kappa of term j in (12), even N."""
    return N - 2 * j, 2 * j + 1


def _denominator(N: int, J: FloatArray, kappa: float) -> FloatArray:
    """Return ``2^{N+1} J^N epsilon / sqrt(E_N)`` of the exact chain: what (11) and (12) say is a sum of powers."""
    return np.asarray(2.0 ** (N + 1) * J**N * EPSILON / np.sqrt(terminal("cascaded", "reciprocal", N, J, kappa)[0]))


def _constants(N: int, terms: int, powers: Powers) -> FloatArray:
    """Return the constants a(j) or b(j): integers, read off the exact chain at as many couplings as there are."""
    J = np.geomspace(0.3, 3.0, terms)
    matrix = np.array([[x ** powers(N, j)[0] for j in range(terms)] for x in J])
    return np.asarray(np.round(np.linalg.solve(matrix, _denominator(N, J, 1.0))))


def _form(sizes: range, terms: Callable[[int], int], powers: Powers, name: str) -> Finding:
    J, worst, shown = RATIOS * KAPPA, 0.0, ""
    for N in sizes:
        constants = _constants(N, terms(N), powers)
        if N in (3, 4):
            shown = f"{name} = {', '.join(f'{c:.0f}' for c in constants)} for N = {N}"
        exponents = [powers(N, j) for j in range(terms(N))]
        found = sum(c * J**x * KAPPA**y for c, (x, y) in zip(constants, exponents, strict=True))
        worst = max(worst, deviation(found, _denominator(N, J, KAPPA)))
    return Finding(
        f"its constants, not printed, read off at κ = 1 ({shown}), then J/κ from 0.001 to 1000, N to {sizes[-1]}",
        Measure(worst, ROUNDING),
    )


def odd_chain(printed: Powers = powers_11) -> Finding:
    """(11) with its constants determined from the exact chain at some couplings and tested at others."""
    return _form(range(1, 10, 2), lambda N: (N + 1) // 2 + 1, printed, "a")


def even_chain(printed: Powers = powers_12) -> Finding:
    """(12) with its constants determined from the exact chain at some couplings and tested at others."""
    return _form(range(2, 10, 2), lambda N: N // 2 + 1, printed, "b")


# ---------------------------------------------------------------------------- spectrum


def spectrum_b9(N: int, J: float) -> FloatArray:
    """Return (B9), k = 1..L, L = N + 1."""
    return np.asarray(2 * J * np.cos(np.pi * np.arange(1, N + 2) / (N + 2)))


def _diagonalised(N: int) -> FloatArray:
    return np.asarray(np.linalg.eigvalsh(coherent_matrix(cascaded(N, 1.0, 1.0, "reciprocal"))))


def spectrum(printed: Callable[[int, float], FloatArray] = spectrum_b9) -> Finding:
    """(B9) against the eigenvalues of H_0."""
    off = max(float(np.abs(np.sort(printed(N, 1.0)) - _diagonalised(N)).max()) for N in range(1, 31))
    return Finding("eigenvalues of H_0, N = 1 to 30, in units of J", Measure(off, ROUNDING))


def zero_mode(eigenvalues: Callable[[int], FloatArray] = _diagonalised) -> Finding:
    """Find a zero eigenvalue at even N, none at odd N; the parameter diagonalises H_0 in units of J."""
    nearest = {N: float(np.abs(eigenvalues(N)).min()) for N in range(1, 31)}
    even, odd = (max(v for N, v in nearest.items() if N % 2 == 0), min(v for N, v in nearest.items() if N % 2))
    return Finding(
        f"|E_k|/J nearest to 0, N = 1 to 30: at most {even:.0e} for even N, at least {odd:.3f} for odd N; their ratio",
        Measure(even / odd, ROUNDING),
    )


def green_function(printed: Amplitude = reciprocal_cascaded_amplitude) -> Finding:
    """(B14) as a complex amplitude; its sum cancels as 2^N where J is weak."""
    worst = 0.0
    for N in SIZES:
        J = KAPPA * np.geomspace(0.5, 1000, 13)
        exact = [steady_moments(cascaded(N, x, KAPPA, "reciprocal"), EPSILON).alpha[-1] for x in J.tolist()]
        worst = max(worst, deviation(printed(N, J, KAPPA, EPSILON), np.array(exact)))
    return Finding(
        "the complex b_N, N = 1 to 10, J/κ from 0.5 to 1000, against linear solves", Measure(worst, ROUNDING)
    )


# ---------------------------------------------------------------------------- dependence on J


def odd_peak(turns: Callable[[str, str, int], list[float]] = turning_points) -> Finding:
    """Odd N: the energy turns exactly once; the parameter finds the turning points J / kappa."""
    found = {N: turns("cascaded", "reciprocal", N) for N in range(1, 12, 2)}
    one = max(abs(len(points) - 1) for points in found.values())
    at = ", ".join(f"{points[0]:.4f}" for points in list(found.values())[:4] if points)
    return Finding(
        f"maxima in J/κ from 0.001 to 1000, N = 1, 3, .. 11, at J/κ = {at}, ..; deviation of their number from 1",
        Measure(one, 0.0),
    )


def even_saturation(turns: Callable[[str, str, int], list[float]] = turning_points) -> Finding:
    """Even N: the energy never turns, and comes close to what the zero-energy mode alone gives in (B14)."""
    sizes = range(2, 13, 2)
    number = max(len(turns("cascaded", "reciprocal", N)) for N in sizes)
    limits = {N: terminal_energy("cascaded", "reciprocal", N, 1e5 * KAPPA) for N in sizes}
    off = deviation([reciprocal_cascaded_saturation(N, KAPPA, EPSILON) for N in sizes], list(limits.values()))
    shown = ", ".join(f"{value:.4f}" for value in list(limits.values())[:3])
    # The approach is as (kappa / J)^2 N^3: 2e-7 of the limit at the last J.
    missed = math.inf if off > 1e-6 else 0.0
    return Finding(
        f"turning points in J/κ from 0.001 to 1000, N = 2, 4, .. 12; the limits {shown}, .. are "
        f"[4ε/((N + 2)κ)]² to {off:.0e}",
        Measure(number + missed, 0.0),
    )


# ---------------------------------------------------------------------------- odd and even N


def odd_even_at_operating_point(energy: Energy = terminal_energy) -> Finding:
    """Energy of even N over that of N - 1, each at its J_op; the parameter is the solution that is asked."""
    stored = {N: energy("cascaded", "reciprocal", N, operating_point("cascaded", N)) for N in range(1, 41)}
    ratios = {N: stored[N] / stored[N - 1] for N in range(2, 41, 2)}
    return Finding(
        f"E_N / E_(N-1) at J_op for even N: {ratios[2]:.3f}, {ratios[4]:.3f}, {ratios[6]:.3f}, .. {ratios[40]:.3f} "
        "for N = 2, 4, 6, .. 40; the least",
        Measure(min(ratios.values()), 1.0, at_least=True),
        (Measure(min(ratio for N, ratio in ratios.items() if N > 2), 1.0, at_least=True),),
        reason="from N = 3 on: one battery stores more than two",
    )


def crossing(N: int) -> float:
    """Return x = J / kappa above which N + 1 batteries store more than N, for odd N.

    With ``sinh s = kappa / 4J`` the chain is ``|b_N| = (eps/J) cosh s / sinh((N+2) s)`` for even N, and with a cosh in
    the denominator for odd N: they are equal at ``sinh((N+3) s) = cosh((N+2) s)``.
    """
    s = brentq(lambda s: math.sinh((N + 3) * s) - math.cosh((N + 2) * s), 1e-6, 2.0, xtol=1e-15, rtol=1e-14)
    return 1 / (4 * math.sinh(s))


def odd_even_at_one_coupling(corrected: Callable[[int], float] = crossing) -> Finding:
    """(B16) at the same J: where it fails, and that this is below the crossing; the parameter."""
    odd = range(1, 12, 2)

    def log_ratio(N: int, ratio: float) -> float:
        more, less = (terminal_energy("cascaded", "reciprocal", n, ratio * KAPPA) for n in (N + 1, N))
        return math.log(more / less)

    least = min(log_ratio(N, ratio) for N in odd for ratio in RATIOS)
    exact = [brentq(lambda x, N=N: log_ratio(N, x), 0.01, 100.0, rtol=1e-14) for N in odd]
    above = min(
        log_ratio(N, x * step) for N, x in zip(odd, exact, strict=True) for step in np.geomspace(1.001, 1e3, 15)
    )
    return Finding(
        f"|b_(N+1)| / |b_N| for odd N to 11 at one J, J/κ from 0.001 to 1000; even wins above J/κ = "
        f"{exact[0]:.3f}, {exact[1]:.3f}, {exact[2]:.3f} for N = 1, 3, 5; the least",
        Measure(math.exp(least / 2), 1.0, at_least=True),
        (
            Measure(deviation([corrected(N) for N in odd], exact), ROUNDING, name="crossings off by"),
            Measure(above, 0.0, at_least=True, name="ln(E_(N+1)/E_N) above them"),
        ),
        reason="only above a coupling that grows with N: sinh((N + 3)s) < cosh((N + 2)s) with sinh s = κ/(4J)",
    )


def no_parity_elsewhere(energy: Energy = terminal_energy) -> Finding:
    """Parity's part of ln E_N: its fourth difference, which a smooth law has next to none of; at each J_op."""

    def roughness(topology: str, coupling: str) -> float:
        E = [energy(topology, coupling, N, operating_point(topology, N)) for N in range(1, 21)]
        return float(
            np.abs(np.diff(np.log(E), n=4)[2:]).max() / 16
        )  # an alternation by +-x has a fourth difference 16 x

    others = [("cascaded", "nonreciprocal"), ("parallel", "nonreciprocal"), ("parallel", "reciprocal")]
    chain = roughness("cascaded", "reciprocal")
    return Finding(
        f"alternation of ln E_N, N = 3 to 20 at J_op: {chain:.2f} in the reciprocal chain; the largest of the others",
        Measure(max(roughness(*other) for other in others), 0.01),
    )
