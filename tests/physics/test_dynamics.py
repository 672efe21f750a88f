"""Time evolution against matrix exponentials in 40 digits, closed forms and limits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbsweep.physics.closed_forms import nonreciprocal_energy_in_time
from qbsweep.physics.gaussian import bath_anomaly, bath_occupation
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.moments.dynamics import evolved_populations, expm1, propagated, uniform_step
from qbsweep.physics.moments.family import family
from qbsweep.physics.moments.steady import anomaly_deficits, coherent_populations
from qbsweep.physics.network import Edge, Network, scaled
from qbsweep.physics.reference import evolved_moments
from qbsweep.physics.topologies import cascaded

KAPPA = 0.003
GRIDS = {  # in steps; the first is uniform from 0, which has a path of its own
    "linspace from 0": np.linspace(0, 9, 4),
    "linspace not from 0": np.linspace(3, 9, 3),
    "geomspace": np.geomspace(1, 9, 3),
    "from 0, not uniform": np.array([0.0, 1.0, 3.0, 9.0]),
    "single": np.array([3.0]),
    "single at the end": np.array([9.0]),
}
MULTIPLES = [0, 1, 3, 6, 9]


def _evolve(network, J, kappa, times, *, squeezing=True):
    """Populations, filling and deficit of one member, each (mode, time)."""
    found = evolved_populations(
        family(network), np.array([J]), np.array([kappa]), np.array([times]), fluctuations=True, squeezing=squeezing
    )
    return tuple(np.zeros_like(found[0][0]) if values is None else values[0] for values in found)


def _assert_matches(exact, network, J, kappa, step, *, squeezing=False):
    expected = exact(scaled(network, J, kappa), step, MULTIPLES, squeezing=squeezing)
    for grid in GRIDS.values():
        at = [MULTIPLES.index(round(t)) for t in grid]
        populations, filling, deficit = _evolve(network, J, kappa, grid * step, squeezing=squeezing)
        np.testing.assert_allclose(populations, expected[0][:, at], 1e-9)
        # 1 - sum |U|^2 keeps absolute digits only: at kappa t = 0.01 that is 1e-13 relative, still.
        np.testing.assert_allclose(filling, expected[1][:, at], 1e-9, 1e-15)
        # A difference of two numbers of at most 1, by way of a Lyapunov solve.
        np.testing.assert_allclose(deficit, expected[2][:, at], 0, 1e-11)


# ---------------------------------------------------------------------------- 40-digit references, 1e-9 relative


@pytest.mark.parametrize("J", [1e-4, 0.003, 0.1])
@pytest.mark.parametrize("N", [1, 4, 8])
@pytest.mark.parametrize(
    ("topology", "coupling"), list(itertools.product(["cascaded", "parallel"], ["nonreciprocal", "reciprocal"]))
)
def test_uniform_networks(build, exact_evolution, topology, coupling, N, J):
    for kappa_t in (0.1, 7.0):  # at the end of the grid
        _assert_matches(exact_evolution, build(topology, coupling, N), J, KAPPA, kappa_t / KAPPA / 9)


@pytest.mark.parametrize(
    ("topology", "coupling", "realization"),
    [
        ("cascaded", "nonreciprocal", "phase-half-pi"),
        ("cascaded", "nonreciprocal", "phase-zero"),
        ("cascaded", "reciprocal", "phase-half-pi"),
        ("parallel", "nonreciprocal", "phase-half-pi"),
        ("parallel", "nonreciprocal", "phase-zero"),
        ("parallel", "reciprocal", "phase-half-pi"),
    ],
)
@pytest.mark.parametrize("N", [1, 3])
def test_squeezing_of_uniform_networks(build, exact_evolution, topology, coupling, realization, N):
    network = build(topology, coupling, N, realization=realization)
    for J in (1e-4, 0.02):
        _assert_matches(exact_evolution, network, J, KAPPA, 1 / KAPPA, squeezing=True)


def _disordered(coupling, realization):
    rng = np.random.default_rng(5)
    return cascaded(4, rng.uniform(0.3, 3, 4), rng.uniform(0.3, 3, 5), coupling, realization)


@pytest.mark.parametrize("realization", ["phase-half-pi", "phase-zero"])
@pytest.mark.parametrize("coupling", ["nonreciprocal", "reciprocal"])
def test_disordered_chain(exact_evolution, coupling, realization):
    _assert_matches(exact_evolution, _disordered(coupling, realization), 0.01, KAPPA, 1 / KAPPA, squeezing=True)


@pytest.mark.parametrize("J", [0.001, 0.1])
def test_detuned_chain(build, exact_evolution, J):
    for coupling, realization in (("nonreciprocal", "phase-zero"), ("reciprocal", "phase-half-pi")):
        network = build("cascaded", coupling, 4, 1.0, 1.0, realization, (0.0, 0.01, -0.02, 0.005, 0.0))
        _assert_matches(exact_evolution, network, J, KAPPA, 0.8 / KAPPA, squeezing=True)


def test_ring(ring, exact_evolution):
    _assert_matches(exact_evolution, ring(4), 0.01, KAPPA, 1 / KAPPA, squeezing=True)
    _assert_matches(exact_evolution, ring(4, detuning=(0.01, 0, 0, 0.02)), 0.01, KAPPA, 1 / KAPPA, squeezing=True)


@pytest.mark.parametrize("coupling", ["nonreciprocal", "reciprocal"])
def test_stiff_chain(exact_evolution, coupling):
    """Losses over six decades: the fastest mode turns over 1e5 times within a step."""
    network = cascaded(4, (1.0, 0.1, 0.01, 0.001), (1.0, 1e-3, 1e-6, 1e-1, 1e-5), coupling)
    for step in (1.0, 1e3, 1e5):
        _assert_matches(exact_evolution, network, 1.0, 1.0, step)


def test_many_times_keep_the_accuracy(exact_evolution):
    """The uniform grid is filled by doubling: 1000 steps in 10 squarings."""
    network, step = cascaded(8, coupling="reciprocal"), 10.0
    times = np.linspace(0, 999 * step, 1000)
    populations, filling, _ = _evolve(network, 0.01, KAPPA, times, squeezing=False)
    expected = exact_evolution(scaled(network, 0.01, KAPPA), step, [1, 10, 100, 999])
    np.testing.assert_allclose(populations[:, [1, 10, 100, 999]], expected[0], 1e-9)
    np.testing.assert_allclose(filling[:, [1, 10, 100, 999]], expected[1], 1e-9)


def test_beginning_is_vacuum():
    for grid in (np.linspace(0, 1, 3), np.array([0.0, 1.0, 5.0])):
        populations, filling, deficit = _evolve(_disordered("reciprocal", "phase-zero"), 0.01, KAPPA, grid)
        assert not populations[:, 0].any()
        assert not filling[:, 0].any()
        assert np.all(deficit[:, 0] < 1e-14)


def test_without_fluctuations_only_populations_are_computed():
    args = family(cascaded(3)), np.array([0.01]), np.array([KAPPA]), np.array([[0.0, 100.0, 200.0]])
    alone = evolved_populations(*args, fluctuations=False, squeezing=False)
    assert alone[1:] == (None, None)
    full = evolved_populations(*args, fluctuations=True, squeezing=True)
    np.testing.assert_allclose(alone[0], full[0], 1e-14)
    assert full[2] is None  # `phase-half-pi` keeps the squeezing at every time
    assert full[1].shape == (1, 4, 3)


# ---------------------------------------------------------------------------- other references


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_closed_form_3_for_distinct_rates(n):
    """Eq. (3) cancels up to 100 times its value at early times: absolute accuracy."""
    couplings, kappa = (0.4, 0.7, 0.3), (0.15, 0.05, 0.2, 0.6)
    rates = np.array([0.95, 2.25, 2.2, 1.2])  # Gamma_m + Gamma_{m+1} + kappa_m
    times = np.geomspace(0.1, 50, 30)
    populations = _evolve(cascaded(3, couplings, kappa), 1.0, 1.0, times)[0][n]
    expected = nonreciprocal_energy_in_time(rates[: n + 1], 2 * np.array(couplings[:n]), 1.0, times)
    np.testing.assert_allclose(populations, expected, 1e-9, 1e-12 * expected.max())


def test_single_battery_by_hand():
    """Equal rates L = Gamma + kappa: a_0 = (2/L)(1 - e^{-x}), a_1 = (4 Gamma/L^2)(1 - e^{-x}(1 + x)), x = Lt/2."""
    J, x = 0.0015, np.array([0.5, 1.0, 4.0, 9.0])
    L = 2 * J + KAPPA
    populations, filling, _ = _evolve(cascaded(1), J, KAPPA, 2 * x / L)
    np.testing.assert_allclose(populations[0], (2 / L * -np.expm1(-x)) ** 2, 1e-13)
    np.testing.assert_allclose(populations[1], (8 * J / L**2 * (1 - np.exp(-x) * (1 + x))) ** 2, 1e-13)
    np.testing.assert_allclose(filling[0], -np.expm1(-2 * x), 1e-13)
    # U_10 = -Gamma t e^{-Lt/2} with Gamma = L/2.
    np.testing.assert_allclose(filling[1], 1 - np.exp(-2 * x) * (1 + x**2), 1e-12)


@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_long_times_reach_the_steady_state(networks, data):
    network = data.draw(networks())
    one = np.ones(1)
    net = family(network)
    populations, filling, deficit = _evolve(network, 1.0, 1.0, np.array([0.0, 1000.0, 2000.0]))
    steady = coherent_populations(net, one, one)[0][:, 0]
    lost, _ = anomaly_deficits(net, one, one)
    # exp(-kappa t) with kappa >= 0.1 is 1e-87; condition numbers below 1e3.
    np.testing.assert_allclose(populations[:, -1], steady, 1e-9, 1e-13 * steady.max())
    np.testing.assert_allclose(filling[:, -1], 1, 0, 1e-13)
    np.testing.assert_allclose(deficit[:, -1], 0 if lost is None else lost[:, 0], 0, 1e-10)


@given(data=st.data(), n_th=st.floats(0.01, 3), r=st.floats(0.05, 1.5), theta_r=st.floats(0, 6))
@settings(deadline=None, max_examples=30)
def test_second_moments_equal_the_reference(networks, data, n_th, r, theta_r):
    """C(t) and S(t) of squeezed thermal baths; the reference is scipy's expm and Sylvester solver: 1e-10 of |Q|."""
    network = data.draw(networks())
    times = np.array([0.1, 1.0, 4.0, 30.0])
    reference = evolved_moments(network, times, 0.3, n_th, r, theta_r)
    populations, filling, deficit = _evolve(network, 1.0, 1.0, times)
    P, Q = bath_occupation(np.array(n_th), np.array(r)), bath_anomaly(np.array(n_th), np.array(r))
    np.testing.assert_allclose(0.09 * populations, reference.coherent.T, 1e-9, 1e-13 * reference.coherent.max())
    np.testing.assert_allclose(P * filling, reference.occupation.T, 0, 1e-10 * P)
    np.testing.assert_allclose(Q * (filling - deficit), reference.anomaly.T, 0, 1e-10 * Q)


@pytest.mark.parametrize("n_th", [0.3, 5.0])
def test_thermal_occupation_is_what_the_losses_let_in(ring, n_th):
    """C(t) = n_th (1 - conj(U) U^T), by integrating dC/dt = conj(M) C + C M^T + n_th conj(K) with small steps."""
    network = ring(3)
    M = drift_matrix(network)
    noise = -n_th * (M.conj() + M.T)  # n_th conj(K)
    C, h, steps = np.zeros((3, 3), dtype=complex), 1e-3, 1000

    def slope(C):
        return M.conj() @ C + C @ M.T + noise

    for _ in range(steps):  # Runge-Kutta 4: error h^4
        a = slope(C)
        b = slope(C + h / 2 * a)
        c = slope(C + h / 2 * b)
        C = C + h / 6 * (a + 2 * b + 2 * c + slope(C + h * c))
    filling = _evolve(network, 1.0, 1.0, np.array([h * steps]))[1][:, 0]
    np.testing.assert_allclose(n_th * filling, np.diag(C).real, 1e-9)


# ---------------------------------------------------------------------------- building blocks


@pytest.mark.parametrize("size", [1e-300, 1e-20, 1e-8, 1e-3, 0.69, 0.71, 3.0, 50.0])
def test_expm1_against_many_digits(mp, size):
    """Relative to the largest entry, which for a tiny matrix is its own size; a squaring costs about a rounding."""
    A = np.random.default_rng(2).normal(size=(4, 4)) + 1j * np.random.default_rng(3).normal(size=(4, 4))
    A = A / np.abs(A).sum(axis=0).max() - 0.5 * np.eye(4)
    A *= size
    exact = mp.expm(mp.matrix(A.tolist())) - mp.eye(4) if size > 1e-30 else mp.matrix(A.tolist())
    exact = np.array(exact.tolist(), dtype=complex)
    found = expm1(A[None])[0]
    np.testing.assert_allclose(found / size, exact / size, 0, 1e-14 * np.abs(exact / size).max() * max(1.0, size))


def test_expm1_of_a_large_stable_matrix_is_minus_one():
    for norm in (1e3, 1e8, 1e15):
        A = -norm * np.array([[1.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]])
        np.testing.assert_allclose(expm1(A[None])[0], -np.eye(3), 0, 1e-12)


def test_expm1_of_nothing_and_of_zero():
    assert expm1(np.zeros((0, 3, 3))).shape == (0, 3, 3)
    assert not expm1(np.zeros((2, 3, 3))).any()


def test_expm1_of_a_diagonal_keeps_every_digit():
    x = np.array([-1e-12, -1e-3, -0.5, -5.0])
    np.testing.assert_allclose(np.diag(expm1(np.diag(x)[None])[0]), np.expm1(x), 1e-15 * 8)


def test_expm1_of_one_matrix_ignores_its_neighbours():
    stack = np.random.default_rng(1).normal(size=(3, 5, 5)) * np.array([1e-6, 1.0, 1e2])[:, None, None] - 2 * np.eye(5)
    alone = [expm1(stack[[i]])[0] for i in range(3)]
    assert np.array_equal(expm1(stack), alone)


def test_uniform_grids_are_recognised():
    # The step is that of the grid, member by member.
    np.testing.assert_allclose(
        uniform_step(np.array([np.linspace(0, 9, 10), np.linspace(0, 0.9, 10)])), [1, 0.1], 1e-15
    )
    assert uniform_step(np.arange(6)[None] * 0.1) is not None  # rounded differently from a linspace
    for grid in (np.linspace(1, 9, 9), np.geomspace(1, 9, 3), np.array([0, 1, 2.001]), np.array([5.0])):
        assert uniform_step(grid[None]) is None
    assert uniform_step(np.array([[0, 1, 2.0], [0, 1, 3.0]])) is None  # one member off is enough


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 9])
def test_propagation_over_any_number_of_times(count):
    generators = np.array([[[-1.0, 0.0], [2.0, -1.0]], [[-0.1, 0.3], [-0.3, -0.2]]])
    times = np.linspace(0, 3, count)[None].repeat(2, axis=0)
    found = propagated(generators, np.eye(2), times)
    assert found.shape == (2, 2, count, 2)
    for member, t in itertools.product(range(2), range(count)):
        expected = np.eye(2) + expm1(generators[[member]] * times[member, t])[0]
        np.testing.assert_allclose(found[member, :, t], expected, 0, 1e-14)


# ---------------------------------------------------------------------------- batches


@pytest.mark.parametrize("grid", list(GRIDS))
@pytest.mark.parametrize("kind", ["cascaded", "phase-zero", "reciprocal", "ring"])
def test_a_member_does_not_depend_on_its_neighbours(ring, grid, kind):
    """Bit for bit, so that a sweep gives the same dataset whatever its blocks."""
    network = {
        "cascaded": cascaded(4),
        "phase-zero": cascaded(4, realization="phase-zero"),
        "reciprocal": cascaded(4, coupling="reciprocal"),
        "ring": ring(4, detuning=(0.1, 0, 0, 0)),
    }[kind]
    J, kappa = np.array([1e-4, 0.003, 0.1, 2.0, 0.0]), np.array([0.003, 0.001, 0.003, 0.1, 0.5])
    times = GRIDS[grid] / kappa[:, None]
    net = family(network)
    together = evolved_populations(net, J, kappa, times, fluctuations=True, squeezing=True)
    for i in range(len(J)):
        alone = evolved_populations(net, J[[i]], kappa[[i]], times[[i]], fluctuations=True, squeezing=True)
        for one, all_ in zip(alone, together, strict=True):
            assert (one is None) == (all_ is None)
            assert one is None or np.array_equal(one[0], all_[i])


def test_a_mode_nothing_reaches_stays_in_vacuum_but_thermalises():
    network = Network((1.0, 1.0, 2.0), (Edge(0, 1, 1.0),))
    populations, filling, _ = _evolve(network, 1.0, 1.0, np.array([0.0, 0.5, 1.0]))
    assert not populations[2].any()
    np.testing.assert_allclose(filling[2], -np.expm1(-2 * np.array([0.0, 0.5, 1.0])), 1e-14)
