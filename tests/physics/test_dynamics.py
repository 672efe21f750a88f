"""Time evolution against 900-bit balls, matrix exponentials in 40 digits, closed forms and limits."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qbsweep.physics.closed_forms import nonreciprocal_energy_in_time
from qbsweep.physics.gaussian import bath_anomaly, bath_ergotropy, bath_occupation
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.moments.anomaly import anomaly_deficits
from qbsweep.physics.moments.dynamics import evolved_populations
from qbsweep.physics.moments.exponential import step
from qbsweep.physics.moments.family import family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.steady import coherent_populations
from qbsweep.physics.moments.steps import steps_of, uniform_step
from qbsweep.physics.network import Edge, Network, phase_factor, scaled
from qbsweep.physics.reference import evolved_moments
from qbsweep.physics.topologies import cascaded, parallel

from ..accuracy.reference import evolved_modes

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
        family(network),
        Rates(np.array([J]), np.array([kappa])),
        np.array([times]),
        fluctuations=True,
        squeezing=squeezing,
    )
    return tuple(np.zeros_like(found[0][0]) if values is None else values[0] for values in found[:3])


def _assert_matches(exact, network, J, kappa, step, *, squeezing=False):
    expected = exact(scaled(network, J, kappa), step, MULTIPLES, squeezing=squeezing)
    for grid in GRIDS.values():
        at = [MULTIPLES.index(round(t)) for t in grid]
        populations, filling, deficit = _evolve(network, J, kappa, grid * step, squeezing=squeezing)
        np.testing.assert_allclose(populations, expected[0][:, at], 1e-9)
        np.testing.assert_allclose(filling, expected[1][:, at], 1e-11)
        # Of a detuned network the determinant of two variances cancels, up to the square of what is lost.
        np.testing.assert_allclose(deficit, expected[2][:, at], 1e-11, 1e-14)


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
    for h in (1.0, 1e3, 1e5):
        _assert_matches(exact_evolution, network, 1.0, 1.0, h)


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
        assert not deficit[:, 0].any()


def test_without_fluctuations_only_populations_are_computed():
    args = family(cascaded(3)), Rates(np.array([0.01]), np.array([KAPPA])), np.array([[0.0, 100.0, 200.0]])
    alone = evolved_populations(*args, fluctuations=False, squeezing=False)
    assert alone[1:3] == (None, None)
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
    steady = coherent_populations(net, Rates(one, one))[0][:, 0]
    lost, _ = anomaly_deficits(net, Rates(one, one))
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


# ---------------------------------------------------------------------------- promises, against 900 bits

TREE = Network(  # whose squeezing is not sensitive at all, while its oscillations are fast
    (1.0,) * 5,
    (Edge(0, 1, 850.0, -3.95), Edge(1, 2, 9.87, -1.156), Edge(2, 3, 1.0), Edge(0, 4, 1.0, -1.135)),
)

ROUNDINGS = 1e-12  # a thousandth of what makes a point suspect: a few roundings of P, over 1e-4 P


def _judge(network, J, kappa, epsilon, n_th, r, times):
    """Return the largest error in units of 1e-9 of the value + 1e-13 P, that over max(value, 1e-4 P), the estimate."""
    found = evolved_populations(
        family(network), Rates(np.array([J]), np.array([kappa])), np.array([times]), fluctuations=True, squeezing=r > 0
    )
    coherent, filling = epsilon**2 * found.populations[0], found.filling[0]
    P = float(bath_occupation(np.array(n_th), np.array(r)))
    deficit = 0.0 if found.deficit is None else found.deficit[0]
    values = np.stack([coherent + P * filling, coherent + (bath_ergotropy(n_th, r, filling, deficit) if r else 0.0)])
    modes = evolved_modes(network, J, kappa, epsilon, n_th, r, list(times))
    exact = np.array([[[float(x) for x in part] for part in (one.energy, one.ergotropy)] for one in modes])
    exact = np.moveaxis(exact, 0, -1)
    error = np.abs(values - exact)
    # Doubles end at 1e-308.
    promise, scale = 1e-9 * exact + 1e-13 * P + 1e-307, np.maximum(exact, 1e-4 * P) + 1e-298
    return (error / promise).max(), (error / scale).max(), found.error[0]


NETWORKS = {
    "tree": TREE,
    "chain": cascaded(3, coupling="reciprocal"),
    "directed": cascaded(3, realization="phase-zero"),
    "star": parallel(4, coupling="reciprocal"),
    "detuned": cascaded(3, 1.0, 1.0, "reciprocal", "phase-half-pi", (0.0, 0.7, -0.3, 0.2)),
    "unequal": cascaded(3, (1.0, 0.1, 3.0), (1.0, 1e-3, 1e-6, 1e-1), "reciprocal"),
}


@pytest.mark.parametrize("times", [np.geomspace(1e-12, 1e-3, 4), np.linspace(0, 8, 9), np.array([3e3])], ids=len)
@pytest.mark.parametrize("J", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("name", [*NETWORKS, "ring"])
def test_promise_is_kept_or_the_point_marked(ring, name, J, times):
    network = ring(4, detuning=(0.01, 0, 0, 0.02)) if name == "ring" else NETWORKS[name]
    for epsilon, n_th, r in ((1e-3, 0.0, 0.0), (1e-3, 0.0, 2.0), (0.0, 0.3, 6.0)):
        ratio, error, estimate = _judge(network, J, 1.0, epsilon, n_th, r, times)
        assert error <= max(estimate, ROUNDINGS)
        assert ratio <= 1 or estimate > 1e-9
        if J <= 1.0:
            assert estimate <= 1e-9


@pytest.mark.parametrize("name", ["chain", "star", "directed"])
def test_late_squeezing_of_built_in_networks(name):
    """Each kind of steady state that late times start from."""
    ratio, error, estimate = _judge(NETWORKS[name], 1e6, 1.0, 1e-3, 0.1, 3.0, [1.0, 30.0, 60.0])
    assert ratio <= 1
    assert error <= max(estimate, ROUNDINGS)


@pytest.mark.parametrize("gap", [1e-15, 1e-13, 1e-9])
@pytest.mark.parametrize(("name", "J", "t"), [("chain", 1e5, 3.0), ("tree", 1e3, 10.0), ("directed", 1e6, 3.0)])
def test_late_squeezing_does_not_hang_on_the_last_gap_of_the_grid(name, J, t, gap):
    """What a step so short leaves as it was says nothing of the steady state."""
    ratio, error, estimate = _judge(NETWORKS[name], J, 1.0, 1e-3, 0.0, 1.0, [t, t * (1 + gap)])
    assert ratio <= 1
    assert error <= max(estimate, ROUNDINGS)


def test_times_beyond_all_reason_are_the_steady_state():
    """Where squares of ``kappa t`` overflow; a step that is not halved at all gave zeros."""
    populations, filling, _ = _evolve(NETWORKS["chain"], 1.0, 1.0, [0.0, 1e154], squeezing=False)
    np.testing.assert_allclose(filling[:, 1], 1.0, 1e-12)
    steady, _ = coherent_populations(family(NETWORKS["chain"]), Rates(np.ones(1), np.ones(1)))
    np.testing.assert_allclose(populations[:, 1], steady[:, 0], 1e-12)


@pytest.mark.parametrize("times", [[0.0, 1e305], [1.0, 1e305], [1e305]])
@pytest.mark.parametrize("name", ["chain", "directed", "detuned"])
def test_times_that_overflow_are_not_numbers(name, times):
    """No message of LAPACK's."""
    net, args = (
        family(NETWORKS[name]),
        (Rates(np.array([1e5, 1.0]), np.ones(2)), np.array([times, np.minimum(times, 1.0)])),
    )
    with np.errstate(all="ignore"):
        found = evolved_populations(net, *args, fluctuations=True, squeezing=True)
    assert np.isnan(found.populations[0, :, -1]).all()
    assert np.isfinite(found.populations[1]).all()


@pytest.mark.parametrize("J", [1e2, 1e4, 1e6])
def test_squeezing_of_the_tree(J):
    """Right to the promise once its oscillations have faded, which the subtraction of two matrices missed by 1e-6."""
    ratio, error, estimate = _judge(TREE, J, 1.0, 0.0, 0.0, 0.5, [3e3])
    assert ratio <= 1
    assert max(error, estimate) <= 1e-9


@pytest.mark.parametrize(
    "edges",
    [
        (Edge(0, 1, 1.0, 0.3, 2 * (1 - 1e-10), 1.0, 1j * phase_factor(0.3)),),
        (Edge(0, 1, 0.1), Edge(0, 1, 0.2), Edge(0, 1, 0.3, np.pi)),
    ],
)
def test_hops_that_nearly_cancel(edges):
    ratio, error, estimate = _judge(Network((1.0, 1.0), edges), 1.0, 1.0, 1.0, 0.0, 0.0, [0.1, 3.0])
    assert ratio <= 1
    assert error <= max(estimate, ROUNDINGS)


def _two_ways(gap):
    """Two ways around a ring, half a turn apart but for a gap, and a battery behind where they meet."""
    edges = (Edge(0, 1, 1.0), Edge(0, 2, 1.0), Edge(1, 3, 1.0), Edge(2, 3, 1.0 + gap, np.pi), Edge(3, 4, 0.5))
    return Network((1.0,) * 5, edges)


@pytest.mark.parametrize("gap", [1e-14, 1e-10, 1e-6, 1e-3])
@pytest.mark.parametrize("times", [[1e-3], [1.0], [30.0], [0.0, 1.0, 2.0]])
def test_ways_that_nearly_cancel_each_other(gap, times):
    """What they leave has never been large, so that only the neighbours tell how much of it is rounding."""
    for J in (1.0, 100.0):
        ratio, error, estimate = _judge(_two_ways(gap), J, 1.0, 1.0, 0.0, 0.0, times)
        assert error <= max(estimate, ROUNDINGS)
        assert ratio <= 1 or estimate > 1e-9
        if gap > 1e-8 and J == 1.0:
            assert estimate <= 1e-9


@pytest.mark.parametrize("times", [[1e-3], [1.0], [30.0], [0.0, 1.0, 2.0]])
def test_ways_that_cancel_each_other_leave_nothing(times):
    """And no relative error of nothing is made up."""
    net, J = family(_two_ways(0.0)), np.array([1e-3, 1.0, 100.0])
    found = evolved_populations(net, Rates(J, np.ones(3)), np.tile(times, (3, 1)), fluctuations=False, squeezing=False)
    assert not found.populations[:, 3:].any()
    assert found.populations[:, :3, -1].all()
    assert np.all(found.error < 1e-9)


@pytest.mark.parametrize("J", [1e-3, 1.0])
@pytest.mark.parametrize("edge", [(), (np.pi / 2, 2.0)])
def test_what_comes_late_around_a_ring_is_not_called_interference(J, edge):
    """Amplitudes that have only begun, as ``t^d / d!`` of the first one."""
    n = 15
    net = family(Network((1.0,) * n, tuple(Edge(m, (m + 1) % n, 1.0, *edge) for m in range(n))))
    times = np.geomspace(1e-6, 300.0, 20)[None]
    for grid in (times, np.linspace(0, 300.0, 301)[None]):
        found = evolved_populations(net, Rates(np.array([J]), np.ones(1)), grid, fluctuations=False, squeezing=False)
        assert found.error[0] < 1e-9


@pytest.mark.parametrize("p_u", [1 + 1e-9j, 1e-3 + 1j])
def test_a_jump_near_a_quarter_turn_lets_in_little_of_one_quadrature(p_u):
    """As a difference of K and K_sq it was rounding, and the ergotropy off by half, above the energy."""
    network = Network((1.0, 1.0), (Edge(0, 1, 1.0, np.pi / 2, 2.0, p_u, 1.0),))
    ratio, error, estimate = _judge(network, 100.0, 1.0, 0.0, 0.0, 1.0, [0.0, 0.1])
    assert ratio <= 1
    assert error <= max(estimate, ROUNDINGS)


def test_a_quadrature_that_nothing_enters_stays_empty():
    """Equal jumps to many batteries, turned by quarters: vectors of the noise mix what is empty with what is not."""
    quarters = (1j, 1, -1j, -1)
    network = Network((1.0,) * 13, tuple(Edge(0, m, 1.0, 0.0, 2.0, 1j, quarters[m % 4]) for m in range(1, 13)))
    ratio, error, estimate = _judge(network, 2.0, 1.0, 0.0, 0.0, 9.0, np.linspace(0, 1e-4, 11))
    assert ratio <= 1
    assert error <= max(estimate, ROUNDINGS)


@pytest.mark.parametrize("kappa", [0.0, 1e-20, 1e-13])
def test_what_hardly_decays_is_marked_or_right(kappa):
    """Losses that double precision does not see beside the oscillations, or none at all."""
    network = Network((1.0, kappa), (Edge(0, 1, 0.3), Edge(0, 1, 5.0, np.pi / 2)))
    for J, times in ((1.0, [3.0, 1e3]), (1e6, [1e-3, 50.0])):
        found = evolved_populations(
            family(network), Rates(np.array([J]), np.ones(1)), np.array([times]), fluctuations=True, squeezing=True
        )
        assert all(np.isfinite(part).all() for part in found)
        if kappa:
            ratio, error, estimate = _judge(network, J, 1.0, 1e-3, 0.2, 1.0, times)
            assert error <= max(estimate, ROUNDINGS)
            assert ratio <= 1


@pytest.mark.parametrize("n_th", [0.0, 0.5])
def test_small_populations_at_late_times(n_th):
    """J/kappa = 6e8, kappa t = 3e3: populations of 1e-34, beside transients of 1e-17, to all their digits."""
    network, J = cascaded(3, coupling="reciprocal"), 6e8
    found = evolved_populations(
        family(network), Rates(np.array([J]), np.ones(1)), np.array([[3e3]]), fluctuations=n_th > 0, squeezing=False
    )
    (modes,) = evolved_modes(network, J, 1.0, 1.0, 0.0, 0.0, [3e3])
    exact = [float(x) for x in modes.energy]
    np.testing.assert_allclose(found.populations[0, :, 0], exact, 1e-13)
    assert min(exact) < 1e-17
    assert found.error[0] < 1e-12


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="this machine has no extended precision")
def test_a_population_that_passes_zero():
    """At 4e-12 of its largest value, in a sweep that ships: in double precision some 1e-9 of it is rounding."""
    times, J = np.linspace(0, 10 / KAPPA, 51), 0.038023274676665775
    network = cascaded(5, coupling="reciprocal")
    found = evolved_populations(
        family(network), Rates(np.array([J]), np.array([KAPPA])), times[None], fluctuations=False, squeezing=False
    )
    (modes,) = evolved_modes(network, J, KAPPA, 1.0, 0.0, 0.0, [times[22]])
    exact = [float(x) for x in modes.energy]
    assert exact[4] < 1e-11 * found.populations[0, 4].max()
    np.testing.assert_allclose(found.populations[0, :, 22], exact, 1e-11)
    assert found.error[0] < 1e-9


@pytest.mark.parametrize("J", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("name", ["tree", "directed", "detuned", "unequal"])
def test_early_times_have_their_own_digits(name, J):
    """Bath and drive that have just begun to enter, relative to themselves: at 1e-12/kappa a P of 1e-12."""
    times = np.array([1e-12, 1e-10, 1e-7]) / max(1.0, J)
    for n_th, r in ((0.4, 0.0), (0.0, 1.5)):
        P = float(bath_occupation(np.array(n_th), np.array(r)))
        _, filling, deficit = _evolve(NETWORKS[name], J, 1.0, times, squeezing=r > 0)
        modes = evolved_modes(NETWORKS[name], J, 1.0, 0.0, n_th, r, list(times))
        exact = np.array([[float(x) for x in one.energy] for one in modes]).T
        np.testing.assert_allclose(P * filling, exact, 1e-12)
        exact = np.array([[float(x) for x in one.ergotropy] for one in modes]).T
        found = bath_ergotropy(n_th, r, filling, deficit) if r else np.zeros_like(exact)
        np.testing.assert_allclose(found, exact, 1e-11, 1e-299)


@given(data=st.data(), n_th=st.floats(0, 1e6), r=st.one_of(st.just(0.0), st.floats(0.01, 8)))
@settings(deadline=None, max_examples=40)
def test_the_estimate_is_honest(networks, data, n_th, r):
    network = data.draw(networks())
    J = 10 ** data.draw(st.floats(-6, 8), label="log J")
    epsilon = data.draw(st.sampled_from([0.0, 1e-3, 10.0]))
    assume(epsilon or n_th or r)
    first = 10 ** data.draw(st.floats(-12, 2), label="log t")
    times = data.draw(
        st.sampled_from([[first], [0.0, first, 2 * first], [first, 30 * first], [first, first * (1 + 1e-13)]])
    )
    ratio, error, estimate = _judge(network, J, 1.0, epsilon, n_th, r, times)
    assert error <= max(estimate, ROUNDINGS)
    assert ratio <= 1 or estimate > 1e-9


@pytest.mark.parametrize("count", [51, 401])
@pytest.mark.parametrize("N", [1, 4, 8])
def test_built_in_networks_are_trusted(N, count):
    """No needless mark on what people sweep: around the optimal coupling, until 15/kappa."""
    for build, coupling, realization in itertools.product(
        (cascaded, parallel), ("reciprocal", "nonreciprocal"), ("phase-half-pi", "phase-zero")
    ):
        net = family(build(N, coupling=coupling, realization=realization))
        J = KAPPA * N / 4 * np.array([0.1, 1.0, 10.0])
        times = np.linspace(0, 15 / KAPPA, count)[None].repeat(3, axis=0)
        for squeezing in (False, True):
            found = evolved_populations(net, Rates(J, np.full(3, KAPPA)), times, fluctuations=True, squeezing=squeezing)
            assert found.error.max() < 1e-9


# ---------------------------------------------------------------------------- building blocks


def _flow(A):
    """``e^A`` of a stack, with a drive that does not matter."""
    return step(A, np.zeros(A.shape[:2]), None).flow


@pytest.mark.parametrize("size", [1e-300, 1e-20, 1e-8, 1e-3, 0.69, 0.71, 3.0, 50.0])
def test_a_step_against_many_digits(mp, size):
    """Flow, drive and noise relative to their largest entries; a squaring costs about a rounding."""
    rng = np.random.default_rng(2)
    A = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    A = size * (A / np.abs(A).sum(axis=0).max() - 0.5 * np.eye(4))
    b, D = rng.normal(size=4) + 0j, np.diag(rng.uniform(0.1, 1, 4)) + 0j
    found = step(A[None], b[None], D[None, None])
    # exp([[-A, D], [0, A^dag]]) = [[e^{-A}, e^{-A} V], [0, e^{A^dag}]]
    block = mp.matrix(np.block([[-A, D], [np.zeros((4, 4)), A.conj().T]]).tolist())
    driven = mp.matrix(np.block([[A, b[:, None]], [np.zeros((1, 5))]]).tolist())
    big, small = mp.expm(block), mp.expm(driven)
    flow = small[:4, :4]
    expected = [flow, small[:4, 4], flow * big[:4, 4:]]
    for one, exact in zip((found.flow, found.driven, found.noise[:, 0]), expected, strict=True):
        exact = np.array(exact.tolist(), dtype=complex).reshape(one[0].shape)
        np.testing.assert_allclose(one[0], exact, 0, 1e-14 * np.abs(exact).max() * max(1.0, size))


def test_slow_modes_beside_fast_ones_keep_their_digits():
    """A mode that loses 1e-3 in the time in which another turns over 1e9 times."""
    A = np.diag([-1e9, -1e-3])
    np.testing.assert_allclose(_flow(A[None])[0, 1, 1], math.exp(-1e-3), 1e-14)


@pytest.mark.parametrize("time", [30.0, 300.0])
def test_what_has_decayed_keeps_its_digits(time):
    """e^{-30} and e^{-300}, of modes that turn over 100 times within a lifetime."""
    A = np.array([[-1.0, 100.0], [-100.0, -1.0]]) * time
    x = 100.0 * time
    expected = math.exp(-time) * np.array([[math.cos(x), math.sin(x)], [-math.sin(x), math.cos(x)]])
    np.testing.assert_allclose(_flow(A[None])[0], expected, 0, 1e-11 * math.exp(-time))


def test_flow_of_a_large_stable_matrix_is_nothing():
    for norm in (1e3, 1e8, 1e15):
        A = -norm * np.array([[1.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]])
        assert np.abs(_flow(A[None])).max() < 1e-300


def test_flow_of_no_matrices_and_of_zero():
    assert _flow(np.zeros((0, 3, 3))).shape == (0, 3, 3)
    assert np.array_equal(_flow(np.zeros((2, 3, 3))), np.eye(3)[None].repeat(2, axis=0))


def test_flow_of_one_matrix_ignores_its_neighbours():
    stack = np.random.default_rng(1).normal(size=(3, 5, 5)) * np.array([1e-6, 1.0, 1e2])[:, None, None] - 2 * np.eye(5)
    alone = [_flow(stack[[i]])[0] for i in range(3)]
    assert np.array_equal(_flow(stack), alone)


def test_uniform_grids_are_recognised():
    # The step is that of the grid, member by member.
    np.testing.assert_allclose(
        uniform_step(np.array([np.linspace(0, 9, 10), np.linspace(0, 0.9, 10)])), [1, 0.1], 1e-15
    )
    assert uniform_step(np.arange(6)[None] * 0.1) is not None  # rounded differently from a linspace
    for grid in (np.linspace(1, 9, 9), np.geomspace(1, 9, 3), np.array([0, 1, 2.001]), np.array([5.0])):
        assert uniform_step(grid[None]) is None
    assert uniform_step(np.array([[0, 1, 2.0], [0, 1, 3.0]])) is None  # one member off is enough

    # Off by a rounding of the last time, which is much of the second.
    assert uniform_step(np.linspace(1, 11, 1_000_001)[None] - 1) is None


@pytest.mark.parametrize("times", [[1.0, 1e15], np.linspace(1e-16, 1, 11), [5e-16, 1.0], [1e-17, 0.5, 1.0]])
def test_a_grid_that_starts_just_above_0_is_not_one_from_0(times):
    """Its first time is less than a rounding of the last one, and what has entered by then is no rounding."""
    populations, *_ = _evolve(cascaded(2, coupling="reciprocal"), 1.0, 1.0, times, squeezing=False)
    alone, *_ = _evolve(cascaded(2, coupling="reciprocal"), 1.0, 1.0, times[:1], squeezing=False)
    np.testing.assert_allclose(populations[:, 0], alone[:, 0], 1e-13)


@pytest.mark.parametrize("count", [2, 51, 100_001])
@pytest.mark.parametrize("unit", [1.0, 1e-9, 1 / 0.003, 2 * np.pi])
def test_uniform_grids_in_any_unit(count, unit):
    for times in (np.linspace(0, 7.3 * unit, count), np.linspace(0, 7.3, count) * unit, np.arange(count) * 0.1 * unit):
        assert uniform_step(times[None]) is not None
        assert uniform_step(times[None] / 0.7) is not None


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("end", [3.0, 1e-9])
def test_propagation_over_any_number_of_times(count, end):
    generators = np.array([[[-1.0, 0.0], [2.0, -1.0]], [[-0.1, 0.3], [-0.3, -0.2]]])
    uniform = np.linspace(0, end, count)[None].repeat(2, axis=0)
    for times in (uniform, uniform + 0.1 * end):
        steps = steps_of(generators, None, times)
        assert steps.is_uniform == (times is uniform)
        found, z = steps.propagated(np.eye(2)[None].repeat(2, axis=0)), steps.driven()
        for member, t in itertools.product(range(2), range(count)):
            alone = step(generators[[member]] * times[member, t], times[member, t] * np.eye(2)[[0]], None)
            np.testing.assert_allclose(found[member, ..., t].T, alone.flow[0], 0, 1e-14)
            np.testing.assert_allclose(z[member, :, t], alone.driven[0], 1e-13, 0)


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
    together = evolved_populations(net, Rates(J, kappa), times, fluctuations=True, squeezing=True)
    for i in range(len(J)):
        alone = evolved_populations(net, Rates(J[[i]], kappa[[i]]), times[[i]], fluctuations=True, squeezing=True)
        for one, all_ in zip(alone, together, strict=True):
            assert (one is None) == (all_ is None)
            assert one is None or np.array_equal(one[0], all_[i])


def test_a_mode_nothing_reaches_stays_in_vacuum_but_thermalises():
    network = Network((1.0, 1.0, 2.0), (Edge(0, 1, 1.0),))
    populations, filling, _ = _evolve(network, 1.0, 1.0, np.array([0.0, 0.5, 1.0]))
    assert not populations[2].any()
    np.testing.assert_allclose(filling[2], -np.expm1(-2 * np.array([0.0, 0.5, 1.0])), 1e-14)
