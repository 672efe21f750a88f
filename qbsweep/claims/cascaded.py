"""Claims about the nonreciprocal cascade: its model (1), (A1) and its energies (3), (4), (5), (A2), (A4)."""

import itertools
from collections.abc import Callable, Iterable

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.claims.exact import (
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
)
from qbsweep.claims.ledger import Finding, Measure
from qbsweep.physics.closed_forms import (
    nonreciprocal_cascaded_energy,
    nonreciprocal_energy,
    nonreciprocal_energy_in_time,
)
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.network import Edge, Network
from qbsweep.physics.topologies import cascaded

Rates = Callable[[int, int], FloatArray]
Curve = Callable[[FloatArray, FloatArray, float, FloatArray], FloatArray]
Uniform = Callable[[int, int, FloatArray, float, float], FloatArray]


def chain(N: int) -> Network:
    """Return the nonreciprocal cascade of the first N of these edges, J_i = Gamma_i / 2."""
    return cascaded(N, (GAMMA[:N] / 2).tolist(), LOSS[: N + 1].tolist())


# ---------------------------------------------------------------------------- the model


def partner_of_plain_product(p_a: complex, mu: complex) -> complex:
    """Return p_b of ``mu = p_a p_b``, as printed below (2) and (6)."""
    return mu / p_a


def partner_of_conjugate_product(p_a: complex, mu: complex) -> complex:
    """Return p_b of ``mu = p_a^* p_b``, as in (A1)."""
    return mu / p_a.conjugate()


def nonreciprocity(
    printed: Callable[[complex, complex], complex] = partner_of_plain_product,
    corrected: Callable[[complex, complex], complex] = partner_of_conjugate_product,
) -> Finding:
    """Backward amplitude over forward one, for every split of mu among p_a and p_b with moduli 1."""

    def backward(partner: Callable[[complex, complex], complex]) -> float:
        worst = 0.0
        for phase, (theta, mu) in itertools.product(np.linspace(0, np.pi, 13), ((np.pi / 2, 1), (0.0, -1j))):
            p_a = complex(np.exp(1j * phase))
            M = drift_matrix(Network((1.0, 1.0), (Edge(0, 1, 0.5, theta, 1.0, p_a, partner(p_a, mu)),)))
            worst = max(worst, float(abs(M[0, 1])))
        return worst

    return Finding(
        "backward amplitude in units of 2J, the forward one, over all phases of p_a",
        Measure(backward(printed), ROUNDING),
        (Measure(backward(corrected), ROUNDING),),
        reason="μ_1 is p_a^* p_b, as in (A1), not p_a p_b, which also admits the reverse direction",
    )


def all_pairs(N: int) -> Iterable[tuple[int, int]]:
    """Return the pairs i < j of batteries, over which (1) and (B1) sum."""
    return itertools.combinations(range(1, N + 1), 2)


def neighbours(N: int) -> Iterable[tuple[int, int]]:
    """Return the neighbouring batteries."""
    return zip(range(1, N), range(2, N + 1), strict=True)


def hamiltonian(
    printed: Callable[[int], Iterable[tuple[int, int]]] = all_pairs,
    corrected: Callable[[int], Iterable[tuple[int, int]]] = neighbours,
) -> Finding:
    """Energy of the cascade with the couplings of (1) against (5), which the paper derives from it."""

    def off(pairs: Callable[[int], Iterable[tuple[int, int]]]) -> float:
        worst = 0.0
        for N in (2, 3, 4):
            J = operating_point("cascaded", N)
            hops = [Edge(i, j, J, np.pi / 2) for i, j in ((0, 1), *pairs(N))]
            jumps = [Edge(m, m + 1, 0.0, Gamma=2 * J) for m in range(N)]
            found = steady_energies(Network((KAPPA,) * (N + 1), (*hops, *jumps)))[-1]
            worst = max(worst, deviation(found, nonreciprocal_cascaded_energy(N, N, J, KAPPA, EPSILON)))
        return worst

    return Finding(
        "terminal energy with the printed couplings against (5), N = 2 to 4 at J_op",
        Measure(off(printed), ROUNDING),
        (Measure(off(corrected), ROUNDING),),
        reason="the sum over i < j is meant over neighbours, j = i + 1",
    )


def moments_of_a1(bracketed: bool) -> FloatArray:
    """Return the steady energies of (A1), N = 2, with its brackets as printed or around ``iJe^{i theta} + mu Gamma/2``.

    As printed, the coherent coupling is a constant and only the dissipative one multiplies an amplitude.
    """
    J, Gamma = 1j * GAMMA[:2] / 2, GAMMA[:2] / 2  # i J and mu Gamma / 2, theta = pi/2, mu = 1
    forward, backward = J * np.exp(-0.5j * np.pi), J * np.exp(0.5j * np.pi)
    system = np.diag(cascade_rates(2, 2) / 2).astype(complex)
    constant = np.array([1j * EPSILON, 0, 0])
    for edge in (0, 1):
        system[edge + 1, edge] += Gamma[edge]
        system[edge, edge + 1] += Gamma[edge]
        if bracketed:
            system[edge + 1, edge] += forward[edge]
            system[edge, edge + 1] += backward[edge]
        else:
            constant[edge + 1] += forward[edge]
            constant[edge] += backward[edge]
    return np.asarray(np.abs(np.linalg.solve(system, -constant)) ** 2)


def equations_of_motion(printed: bool = False, corrected: bool = True) -> Finding:
    """Steady energies of (A1); the parameters say how its brackets are read."""
    expected = steady_energies(chain(2))
    return Finding(
        "steady energies of (A1), N = 2, unequal rates",
        Measure(deviation(moments_of_a1(printed), expected), ROUNDING),
        (Measure(deviation(moments_of_a1(corrected), expected), ROUNDING),),
        reason="the brackets belong around iJe^(iθ) + μΓ/2, so that both multiply the amplitude",
    )


# ---------------------------------------------------------------------------- energies in time


def vandermonde(rates: FloatArray) -> float:
    """Return ``prod_{m<j} (Lambda_m - Lambda_j)``, V_n below (3)."""
    return float(np.prod([a - b for a, b in itertools.combinations(rates, 2)]))


def energy_3(Lambda: FloatArray, Gamma: FloatArray, epsilon: float, times: FloatArray) -> FloatArray:
    """Return (3) word for word, with a plus before the sum; |mu| = 1."""
    n = len(Gamma)
    A = 4.0 ** (n + 1) * epsilon**2 * np.prod(Gamma**2) / np.prod(Lambda**2)
    V = vandermonde(Lambda)
    total = sum(
        (-1) ** (n + p)
        * np.prod(np.delete(Lambda, p))
        * vandermonde(np.delete(Lambda, p))
        * np.exp(-Lambda[p] * times / 2)
        for p in range(n + 1)
    )
    return np.asarray(A / V**2 * (V + total) ** 2)


def energy_a4(Lambda: FloatArray, Gamma: FloatArray, epsilon: float, times: FloatArray) -> FloatArray:
    """Return E_a, E_b1, E_b2 or E_b3 of (A4), and so of (A2), word for word; |mu| = 1."""
    n = len(Gamma)
    x = np.exp(-np.outer(Lambda, times) / 2)
    d = Lambda[:, None] - Lambda
    scale = 4.0 ** (n + 1) * epsilon**2 * np.prod(Gamma**2) / np.prod(Lambda**2)
    if n == 0:
        return np.asarray(scale * (1 - x[0]) ** 2)
    a, b = Lambda[:2]
    if n == 1:
        return np.asarray(scale / d[0, 1] ** 2 * (d[0, 1] - (a * x[1] - b * x[0])) ** 2)
    c = Lambda[2]
    if n == 2:
        bracket = d[0, 1] * d[1, 2] * d[0, 2] - a * b * d[0, 1] * x[2] + a * c * d[0, 2] * x[1] - b * c * d[1, 2] * x[0]
        return np.asarray(scale / (d[0, 1] * d[1, 2] * d[0, 2]) ** 2 * bracket**2)
    e = Lambda[3]
    product = d[0, 1] * d[0, 2] * d[0, 3] * d[1, 2] * d[1, 3] * d[2, 3]
    bracket = (
        product
        - a * b * c * d[0, 1] * d[0, 2] * d[1, 2] * x[3]
        + a * b * e * d[0, 1] * d[0, 3] * d[1, 3] * x[2]
        - a * c * e * d[0, 2] * d[0, 3] * d[2, 3] * x[1]
        + b * c * e * d[1, 2] * d[1, 3] * d[2, 3] * x[0]
    )
    return np.asarray(scale / product**2 * bracket**2)


def rates_below_3(n: int, N: int) -> FloatArray:
    """Return Lambda_0..Lambda_n as printed below (3): ``Lambda_n = Gamma_n + kappa_n``, whatever N."""
    return cascade_rates(n, n)


def cascade_rates(n: int, N: int) -> FloatArray:
    """Return Lambda_0..Lambda_n as in (A1) and (A3): only the last of all N batteries has but one edge."""
    edges = np.array([0.0, *GAMMA[:N], 0.0])
    return np.asarray((edges[:-1] + edges[1:] + LOSS[: N + 1])[: n + 1])


def off_in_time(curve: Curve, rates: Rates, batteries: Iterable[tuple[int, int]]) -> float:
    """Return the largest deviation of a curve E_n(t) from the exponential of the drift matrix, for (n, N)."""
    return max(
        deviation_in_time(curve(rates(n, N), GAMMA[:n], EPSILON, TIMES), energies_in_time(chain(N), TIMES)[:, n])
        for n, N in batteries
    )


TERMINAL = ((1, 1), (2, 2), (3, 3))
INNER = ((1, 2), (1, 3), (2, 3))


def sign_of_3(printed: Curve = energy_3, corrected: Curve = nonreciprocal_energy_in_time) -> Finding:
    """(3) of the terminal battery, for which the rates below it are right."""
    return Finding(
        "E_N(t) from vacuum, N = 1 to 3, unequal rates; in units of its largest value",
        Measure(off_in_time(printed, cascade_rates, TERMINAL), ROUNDING),
        (Measure(off_in_time(corrected, cascade_rates, TERMINAL), ROUNDING),),
        reason="the sum must be subtracted: with a plus the energy does not start at 0",
    )


def rates_of_inner_batteries(printed: Rates = rates_below_3, corrected: Rates = cascade_rates) -> Finding:
    """(3), with its sign mended, and its limit (4) for the batteries that are not the last."""

    def off(rates: Rates) -> float:
        limit = max(
            deviation(nonreciprocal_energy(rates(n, N), GAMMA[:n], EPSILON), steady_energies(chain(N))[n])
            for n, N in INNER
        )
        return max(limit, off_in_time(nonreciprocal_energy_in_time, rates, INNER))

    return Finding(
        "E_n(t), with the sign mended, and its limit for n < N, N = 2, 3, unequal rates",
        Measure(off(printed), ROUNDING),
        (Measure(off(corrected), ROUNDING),),
        reason="Λ_n is Γ_n + κ for n = N only, and (Γ_n + Γ_{n+1}) + κ for any other battery, as in (A1)",
    )


def solutions_a2_a4(printed: Curve = energy_a4) -> Finding:
    """(A2) and (A4), which know the rates of inner batteries."""
    batteries = [(n, N) for N in (2, 3) for n in range(N + 1)]
    return Finding(
        "E_n(t) of every mode, N = 2, 3, unequal rates; in units of its largest value",
        Measure(off_in_time(printed, cascade_rates, batteries), ROUNDING),
    )


# ---------------------------------------------------------------------------- steady energies


def steady_terminal(printed: Callable[[FloatArray, FloatArray, float], float] = nonreciprocal_energy) -> Finding:
    """(4) of the terminal battery, unequal rates."""
    off = max(
        deviation(printed(cascade_rates(N, N), GAMMA[:N], EPSILON), steady_energies(chain(N))[N]) for N, _ in TERMINAL
    )
    return Finding("E_N, N = 1 to 3, unequal rates, against a linear solve", Measure(off, ROUNDING))


def uniform_terminal(printed: Uniform = nonreciprocal_cascaded_energy) -> Finding:
    """(5) over six decades of J / kappa."""
    J = RATIOS * KAPPA
    solved = {N: terminal("cascaded", "nonreciprocal", N, J)[0] for N in SIZES}
    off = max(deviation(printed(N, N, J, KAPPA, EPSILON), energies) for N, energies in solved.items())
    return Finding("E_N, N = 1 to 10, J/κ from 0.001 to 1000, against linear solves", Measure(off, ROUNDING))
