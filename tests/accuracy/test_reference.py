"""The 900-bit reference against closed forms, and against the moment equations written as one linear system.

Within 1e-200 relative: an enclosure that does not hold the closed form, or is wider, is wrong.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from flint import acb, acb_mat, arb, ctx

from qbsweep.physics.matrices import damping_matrix, drift_matrix, squeezing_matrix
from qbsweep.physics.network import Edge, Network, scaled
from qbsweep.physics.topologies import cascaded, parallel

from .reference import BITS, Matrices, Modes, bath, evolved_modes, matrices_of, steady_modes

J, KAPPA, EPSILON, N_TH, R = 0.37, 0.003, 0.01, 0.6, 1.3
UNEQUAL = Network(
    kappa=(1.0, 0.01, 3.0),
    edges=(Edge(0, 1, 0.8, 0.4, 0.9, 0.3 + 0.2j, 1.1), Edge(1, 2, 20.0, 1.9, 0.0), Edge(0, 2, 0.5, math.pi / 2, 1.0)),
    detuning=(0.7, -1.3, 0.0),
)


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    """Closed forms in a few bits more than the reference."""
    with ctx.workprec(BITS + 60):
        yield


def assert_equal(found: list[arb], expected: list[arb]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert abs(one - other) < arb(10) ** -200 * abs(other), f"{one.str(30)} for {other.str(30)}"


# ---------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("realization", ["phase-half-pi", "phase-zero"])
@pytest.mark.parametrize("N", [1, 2, 6])
def test_nonreciprocal_chain(N: int, realization: str) -> None:
    """(4), (5), with the bath's photons on top."""
    found = steady_modes(cascaded(N, realization=realization), J, KAPPA, EPSILON, N_TH, 0.0)
    Gamma = 2 * arb(J)
    expected = []
    for n in range(N + 1):
        rates = [Gamma + arb(KAPPA) if m in (0, N) else 2 * Gamma + arb(KAPPA) for m in range(n + 1)]
        expected.append((arb(2) ** (n + 1) * arb(EPSILON) * Gamma**n / math.prod(rates, start=arb(1))) ** 2)
    assert_equal(found.ergotropy, expected)
    assert_equal(found.energy, [coherent + arb(N_TH) for coherent in expected])


@pytest.mark.parametrize("N", [1, 2, 5])
def test_reciprocal_chain(N: int) -> None:
    """(11), (12): the terminal battery."""
    found = steady_modes(cascaded(N, coupling="reciprocal"), J, KAPPA, EPSILON, 0.0, 0.0)
    j, L = arb(J), N + 1
    below = sum(
        (math.comb(L - i, i) * 4**i * j ** (2 * i) * arb(KAPPA) ** (L - 2 * i) for i in range(L // 2 + 1)), arb(0)
    )
    assert_equal(found.energy[-1:], [(arb(2) ** L * j**N * arb(EPSILON) / below) ** 2])


def test_reciprocal_star() -> None:
    """Below (13)."""
    N = 4
    found = steady_modes(parallel(N, coupling="reciprocal"), J, KAPPA, EPSILON, 0.0, 0.0)
    expected = 16 * arb(J) ** 2 * arb(EPSILON) ** 2 / (4 * N * arb(J) ** 2 + arb(KAPPA) ** 2) ** 2
    assert_equal(found.energy[1:], [expected] * N)


def test_directed_chain_keeps_a_pure_squeezed_state() -> None:
    """`phase-half-pi`: ergotropy = energy = E_vac + sinh^2 r."""
    vacuum = steady_modes(cascaded(4), J, KAPPA, EPSILON, 0.0, 0.0)
    found = steady_modes(cascaded(4), J, KAPPA, EPSILON, 0.0, R)
    expected = [E + arb(R).sinh() ** 2 for E in vacuum.energy]
    assert_equal(found.energy, expected)
    assert_equal(found.ergotropy, expected)


@pytest.mark.parametrize("ratio", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("n_th", [0.0, N_TH, 1e6])
def test_squeezed_pair(ratio: float, n_th: float) -> None:
    """Reciprocal: ``X = -(kappa/2) M^{-1}``."""
    found = steady_modes(cascaded(1, coupling="reciprocal"), ratio, 1.0, 0.0, n_th, R)
    half = arb(0.5)
    ergotropy = ergotropy_of(*bath(n_th, R), arb(1), acb(half**2 / (half**2 + arb(ratio) ** 2)))
    assert_equal(found.ergotropy, [ergotropy] * 2)


@pytest.mark.parametrize("kappa_t", [1e-12, 0.3, 40.0])
@pytest.mark.parametrize("ratio", [1e-8, 1.0, 1e8])
def test_pair_in_time(kappa_t: float, ratio: float) -> None:
    """Reciprocal: U turns by J t and decays by kappa t / 2, and commutes with X."""
    (found,) = evolved_modes(cascaded(1, coupling="reciprocal"), ratio, 1.0, EPSILON, N_TH, R, [kappa_t])
    j, t, half, turned = arb(ratio), arb(kappa_t), arb(0.5), arb(ratio) * arb(kappa_t)
    decay, below = (-t / 2).exp(), half**2 + arb(ratio) ** 2
    steady = [acb(0, -arb(EPSILON) * half / below), acb(-arb(EPSILON) * j / below)]
    cosine, sine = decay * turned.cos(), acb(0, -1) * decay * turned.sin()
    alpha = [steady[0] - cosine * steady[0] - sine * steady[1], steady[1] - sine * steady[0] - cosine * steady[1]]
    coherent = [x.real * x.real + x.imag * x.imag for x in alpha]
    # The diagonal of X - U^2 X.
    pairs = (half - decay**2 * (half * (2 * turned).cos() - j * (2 * turned).sin())) * half / below
    P, Q = bath(N_TH, R)
    filling = 1 - decay**2
    assert_equal(found.energy, [x + P * filling for x in coherent])
    assert_equal(found.ergotropy, [x + ergotropy_of(P, Q, filling, acb(pairs)) for x in coherent])


def ergotropy_of(P: arb, Q: arb, filling: arb, pairs: acb) -> arb:
    a, b = P * filling + 0.5, Q * abs(pairs)
    return a - ((a - b) * (a + b)).sqrt()


# ---------------------------------------------------------------------------- the equations as one linear system


def test_matrices_are_those_of_the_package() -> None:
    """Up to the rounding of the latter's entries."""
    matrices = matrices_of(UNEQUAL, J, KAPPA)
    network = scaled(UNEQUAL, J, KAPPA)
    for found, expected in (
        (matrices.M, drift_matrix(network)),
        (matrices.K, damping_matrix(network)),
        (matrices.K_sq, squeezing_matrix(network)),
    ):
        entries = [[complex(x) for x in row] for row in found.table()]
        np.testing.assert_allclose(entries, expected, 1e-15, 1e-15)


@pytest.mark.parametrize("n_th", [0.0, N_TH])
def test_steady_state_solves_the_equations(n_th: float) -> None:
    system, source = linear_system(matrices_of(UNEQUAL, J, KAPPA), n_th)
    found = steady_modes(UNEQUAL, J, KAPPA, EPSILON, n_th, R)
    assert_same(found, system.solve(source * acb(-1)).entries())


@pytest.mark.parametrize("kappa_t", [1e-12, 2.0, 500.0])
def test_evolution_solves_the_equations(kappa_t: float) -> None:
    system, source = linear_system(matrices_of(UNEQUAL, J, KAPPA), N_TH)
    size, time = system.nrows(), kappa_t / KAPPA
    driven = acb_mat([[*row, source[m, 0]] for m, row in enumerate(system.table())] + [[0] * (size + 1)])
    exponential = (driven * arb(time)).exp()
    (found,) = evolved_modes(UNEQUAL, J, KAPPA, EPSILON, N_TH, R, [time])
    assert_same(found, [exponential[m, size] for m in range(size)])


def linear_system(matrices: Matrices, n_th: float) -> tuple[acb_mat, acb_mat]:
    """``dx/dt = A x + b`` for x = (alpha, C, S), row by row; nothing of the reference's own algebra."""
    n, (P, Q) = matrices.M.nrows(), bath(n_th, R)
    A, b = acb_mat(n + 2 * n * n, n + 2 * n * n), acb_mat(n + 2 * n * n, 1)
    M, conjugate = matrices.M, matrices.M.conjugate()
    b[0, 0] = acb(0, -arb(EPSILON))
    for j in range(n):
        for m in range(n):
            A[j, m] += M[j, m]
    for start, left, source in (
        (n, conjugate, matrices.K.conjugate() * P),
        (n + n * n, M, matrices.K_sq * Q),
    ):
        for j in range(n):
            for k in range(n):
                row = start + n * j + k
                b[row, 0] = source[j, k]
                for m in range(n):
                    A[row, start + n * m + k] += left[j, m]
                    A[row, start + n * j + m] += M[k, m]
    return A, b


def assert_same(found: Modes, moments: list[acb]) -> None:
    n = len(found.energy)
    energy, ergotropy = [], []
    for m in range(n):
        alpha, C, S = moments[m], moments[n + n * m + m].real, moments[n + n * n + n * m + m]
        coherent = alpha.real * alpha.real + alpha.imag * alpha.imag
        energy.append(coherent + C)
        ergotropy.append(coherent + C + 0.5 - ((C + 0.5) ** 2 - S.real * S.real - S.imag * S.imag).sqrt())
    assert_equal(found.energy, energy)
    assert_equal(found.ergotropy, ergotropy)
