"""Every fast path to the steady state against the slow reference, and against 40-digit arithmetic where that fails."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbsweep.physics.closed_forms import (
    cascaded_optimal_coupling,
    nonreciprocal_cascaded_energy,
    nonreciprocal_parallel_energy,
)
from qbsweep.physics.gaussian import bath_ergotropy, bath_occupation
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.moments.anomaly import anomaly_deficits
from qbsweep.physics.moments.doubled import expansion, two_product
from qbsweep.physics.moments.family import family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.refined import refined_amplitudes, refined_deficits
from qbsweep.physics.moments.steady import coherent_populations
from qbsweep.physics.network import Edge, Network, phase_factor, scaled
from qbsweep.physics.reference import steady_moments
from qbsweep.physics.topologies import cascaded, parallel

from ..accuracy.reference import steady_modes
from .products import moments as solved_moments

UNIFORM = [
    ("cascaded", "nonreciprocal", "phase-half-pi"),
    ("cascaded", "nonreciprocal", "phase-zero"),
    ("cascaded", "reciprocal", "phase-half-pi"),
    ("parallel", "nonreciprocal", "phase-half-pi"),
    ("parallel", "nonreciprocal", "phase-zero"),
    ("parallel", "reciprocal", "phase-half-pi"),
]
J = np.array([0.0, 1e-4, 0.003, 0.02, 0.1, 3.0])
KAPPA = np.array([0.003, 0.003, 0.003, 0.05, 1e-3, 0.5])
PQ = np.sinh(0.7) * np.cosh(0.7)  # |Q| at r = 0.7


def _populations(net, J, KAPPA):
    """Values without the estimate of their error, which must not have found anything."""
    values, error = coherent_populations(net, Rates(J, KAPPA))
    assert error.shape in ((), J.shape)
    assert np.all(error < 1e-9)
    return values


def _ratios(net, J, KAPPA):
    """``|S_mm| / |Q|``."""
    deficits, error = anomaly_deficits(net, Rates(J, KAPPA))
    assert error.shape in ((), J.shape)
    assert np.all(error < 1e-9)
    return np.ones((net.n_modes, len(J))) if deficits is None else 1 - deficits


def _reference(network, J, KAPPA):
    """Populations and anomaly ratios of the members, each (mode, member)."""
    members = [steady_moments(scaled(network, *pair), 1.0, 0.0, 0.7) for pair in zip(J, KAPPA, strict=True)]
    return np.transpose([m.coherent for m in members]), np.transpose([m.anomaly / PQ for m in members])


def _assert_agrees(network, J, KAPPA, rel=1e-10, ratio=1e-10):
    """`rel` allows for the reference: LAPACK at condition numbers J / kappa up to 1e3, squared."""
    net = family(network)
    populations, ratios = _reference(network, J, KAPPA)
    # atol: LAPACK's own rounding of a terminal battery that is almost empty.
    np.testing.assert_allclose(_populations(net, J, KAPPA), populations, rel, 1e-13 * populations.max())
    np.testing.assert_allclose(_ratios(net, J, KAPPA), ratios, 0, ratio)
    return net


# ---------------------------------------------------------------------------- every path


@pytest.mark.parametrize(("topology", "coupling", "realization"), UNIFORM)
@pytest.mark.parametrize("N", range(1, 7))
def test_uniform_networks(build, topology, coupling, realization, N):
    net = _assert_agrees(build(topology, coupling, N, realization=realization), J, KAPPA)
    # The path that is meant is the one that was taken.
    assert net.keeps_squeezing == (coupling == "nonreciprocal" and realization == "phase-half-pi")
    assert net.is_resolvent == (coupling == "reciprocal")
    assert net.is_directed == (coupling == "nonreciprocal")
    assert not np.iscomplexobj(net.drift(Rates(J, KAPPA)))


@pytest.mark.parametrize(("topology", "coupling", "realization"), UNIFORM)
def test_special_paths_equal_whole_matrices(build, topology, coupling, realization):
    """Tighter than the reference can: what is left out of each is a rounding or two."""
    net = family(build(topology, coupling, 9, realization=realization))
    deficits, error = refined_deficits(net, Rates(J, KAPPA))
    assert np.all(error < 1e-14)
    np.testing.assert_allclose(_ratios(net, J, KAPPA), 1 - deficits.T, 0, 1e-14)
    alpha, error = refined_amplitudes(net, Rates(J, KAPPA))
    assert np.all(error < 1e-14)
    np.testing.assert_allclose(_populations(net, J, KAPPA), np.abs(alpha.T) ** 2, 1e-13)


@pytest.mark.parametrize("n", [3, 4, 6])
@pytest.mark.parametrize("detuned", [False, True])
def test_rings_go_through_lapack(ring, n, detuned):
    network = ring(n, kappa=(1.0,) * (n - 1) + (0.5,), detuning=np.linspace(-1, 1, n) * 0.01 if detuned else ())
    net = _assert_agrees(network, J[1:], KAPPA[1:])
    assert net.parents is None


def test_reciprocal_ring_of_equal_couplings(build):
    """A symmetric ring: not a tree, yet a resolvent; whole matrices must serve it."""
    network = Network((1.0,) * 5, tuple(Edge(m, (m + 1) % 5, 1.0) for m in range(5)))
    assert _assert_agrees(network, J[1:], KAPPA[1:]).is_resolvent


def test_detuned_and_disordered_chains(build):
    rng = np.random.default_rng(3)
    for topology, coupling, realization in UNIFORM:
        for detuning in (0.0, rng.normal(size=6)):
            network = build(
                topology, coupling, 5, rng.uniform(0.2, 2, 5), rng.uniform(0.2, 2, 6), realization, detuning
            )
            _assert_agrees(network, J[1:], KAPPA[1:])


def test_phases_of_a_hermitian_coupling_matter_to_the_squeezing():
    """No cooperative jump, one loss rate, and yet not the resolvent: h is not symmetric."""
    network = Network((1.0,) * 3, (Edge(0, 1, 1.0, 0.7), Edge(1, 2, 1.0, np.pi / 2)))
    net = _assert_agrees(network, J[1:], KAPPA[1:])
    assert not net.is_resolvent
    straight = _ratios(family(cascaded(2, coupling="reciprocal")), J[3:4], KAPPA[3:4])
    assert np.abs(straight - _ratios(net, J[3:4], KAPPA[3:4])).max() > 0.1


@given(data=st.data(), log_J=st.floats(-3, 2))
@settings(deadline=None, max_examples=120)
def test_random_trees_and_rings(networks, data, log_J):
    """Disordered couplings, losses and detunings, any phases; condition numbers stay below 1e5."""
    network = data.draw(networks())
    _assert_agrees(network, np.array([10**log_J]), np.array([1.0]), rel=1e-9, ratio=1e-9)


@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_losses_spread_over_six_decades(networks, mp, exact_drift, exact_pairs, data):
    """Against 40 digits: LAPACK's reference loses up to 1e6 roundings here, which 1e-10 would not forgive."""
    base = data.draw(networks(max_modes=4, detuned=False))
    decades = data.draw(st.lists(st.floats(-6, 0), min_size=base.n_modes, max_size=base.n_modes))
    network = Network(tuple(10**x for x in decades), base.edges)
    net, one = family(network), np.ones(1)
    source = mp.matrix([1j] + [0] * (network.n_modes - 1))
    alpha = mp.lu_solve(exact_drift(network), source)
    expected = np.array([float(abs(a) ** 2) for a in alpha])
    found = _populations(net, one, one)[:, 0]
    np.testing.assert_allclose(found, expected, 1e-12)
    X = exact_pairs(network)
    ratios = [float(abs(X[m, m])) for m in range(network.n_modes)]
    np.testing.assert_allclose(_ratios(net, one, one)[:, 0], ratios, 0, 1e-12)


def test_losses_given_per_member_span_six_decades(build):
    """The same through the family's own kappa, where every path is exact to rounding."""
    kappa = np.geomspace(1e-6, 1, 13)
    coupling = np.full_like(kappa, 0.01)
    populations = _populations(family(cascaded(6)), coupling, kappa)
    expected = [nonreciprocal_cascaded_energy(n, 6, coupling, kappa, 1.0) for n in range(7)]
    np.testing.assert_allclose(populations, expected, 1e-13)


@pytest.mark.parametrize(("topology", "coupling", "realization"), UNIFORM)
def test_without_coupling_only_the_charger_is_charged(build, topology, coupling, realization):
    net = family(build(topology, coupling, 3, realization=realization))
    populations = _populations(net, np.zeros(2), np.array([0.003, 0.1]))
    np.testing.assert_allclose(populations[0], [4 / 0.003**2, 4 / 0.1**2], 1e-15)
    assert not populations[1:].any()
    ratios = _ratios(net, np.zeros(2), np.array([0.003, 0.1]))
    assert np.array_equal(ratios, np.ones((4, 2)))  # every mode takes the bath's own state


def test_unreachable_modes_stay_empty():
    network = Network((1.0,) * 4, (Edge(0, 1, 1.0), Edge(2, 3, 1.0)))
    populations = _populations(family(network), np.array([2.0]), np.array([0.5]))[:, 0]
    assert not populations[2:].any()
    _assert_agrees(network, np.array([2.0]), np.array([0.5]))


# ---------------------------------------------------------------------------- long chains


@pytest.mark.parametrize("N", [50, 200, 1000])
def test_long_defective_cascade(N):
    """2 N products of rounded ratios: N roundings at worst, and they mostly average out."""
    coupling = np.array([0.3, 1, 3]) * cascaded_optimal_coupling(N, 0.003)
    kappa = np.full(3, 0.003)
    populations = _populations(family(cascaded(N)), coupling, kappa)
    for n in (0, 1, N // 2, N):
        np.testing.assert_allclose(populations[n], nonreciprocal_cascaded_energy(n, N, coupling, kappa, 1.0), 1e-12)


def test_long_star():
    coupling, kappa = np.array([1e-5, 1e-3]), np.full(2, 0.003)
    populations = _populations(family(parallel(1000)), coupling, kappa)
    np.testing.assert_allclose(populations[1000], nonreciprocal_parallel_energy(1000, coupling, kappa, 1.0), 1e-12)
    assert np.array_equal(populations[1:], np.broadcast_to(populations[1], (1000, 2)))


@pytest.mark.parametrize("coupling", ["nonreciprocal", "reciprocal"])
def test_thousand_batteries_against_many_digits(mp, coupling):
    """The tridiagonal elimination, again, in 40 digits: 1e-12 for 2000 roundings."""
    N, J, kappa = 1000, 0.7, 0.003
    found = _populations(family(cascaded(N, coupling=coupling)), np.array([J]), np.array([kappa]))[-1, 0]
    J, kappa = mp.mpf(J), mp.mpf(kappa)
    if coupling == "nonreciprocal":
        alpha = (2 * J) ** N / (J + kappa / 2) ** 2 / (2 * J + kappa / 2) ** (N - 1)
    else:
        pivot, alpha = kappa / 2, mp.mpf(1)
        for _ in range(N):
            alpha *= J / pivot
            pivot = kappa / 2 + J**2 / pivot
        alpha /= pivot
    assert found == pytest.approx(float(alpha**2), rel=1e-12, abs=0)


def test_phase_zero_chain_of_200_loses_the_squeezing_it_should():
    """The recursion over pairs; M is triangular already, so the reference's Schur form is exact: 1e-11."""
    network = cascaded(200, realization="phase-zero")
    coupling, kappa = np.array([1e-9, 0.01, 0.15]), np.full(3, 0.003)
    ratios = _ratios(family(network), coupling, kappa)
    assert np.all((ratios >= 0) & (ratios <= 1))
    np.testing.assert_allclose(ratios[:, 0], 1, 0, 1e-5)
    expected = steady_moments(scaled(network, 0.15, 0.003), 1.0, 0.0, 0.7).anomaly / PQ
    np.testing.assert_allclose(ratios[:, 2], expected, 0, 1e-11)
    assert ratios[:, 2].min() < 0.9


# ---------------------------------------------------------------------------- very weak couplings


@pytest.mark.parametrize(("coupling", "J"), [("nonreciprocal", 1.5e-9), ("reciprocal", 3e-9)])
def test_energies_of_1e_250_keep_their_digits(mp, coupling, J):
    N, kappa = 22, 0.003
    found = _populations(family(cascaded(N, coupling=coupling)), np.array([J]), np.array([kappa]))[-1, 0]
    x, k = mp.mpf(J), mp.mpf(kappa)
    alpha = (2 * x) ** N / (x + k / 2) ** 2 / (2 * x + k / 2) ** (N - 1)
    if coupling == "reciprocal":
        pivot, alpha = k / 2, mp.mpf(1)
        for _ in range(N):
            alpha *= x / pivot
            pivot = k / 2 + x**2 / pivot
        alpha /= pivot
    assert 1e-255 < alpha**2 < 1e-245
    assert found == pytest.approx(float(alpha**2), rel=1e-10, abs=0)


@pytest.mark.parametrize("coupling", ["nonreciprocal", "reciprocal"])
def test_energies_below_the_smallest_double_are_zero_without_a_warning(points, coupling):
    product = points(cascaded(200, coupling=coupling), 1e-6, 0.003, 0.01, r=(0, 0.5), n_th=(0, 0.3))
    outputs = ["energy_terminal", "ergotropy_terminal", "energy"]
    solved = solved_moments(product, outputs)  # a warning would be an error here
    assert solved["energy_terminal"].flat[0] == 0
    assert solved["ergotropy_terminal"].flat[0] == 0
    assert solved["energy"].reshape(4, 201)[0, 0] > 40  # the charger is full: (2 eps / kappa)^2 = 44
    assert np.isfinite(solved["energy"]).all()


# ---------------------------------------------------------------------------- why not `eig`


def test_eigenvectors_of_the_cascade_are_useless_where_ours_are_exact():
    """M is defective: its computed eigenvectors are parallel, and the textbook route divides by their determinant."""
    N, J, kappa = 8, float(cascaded_optimal_coupling(8, 0.003)), 0.003
    exact = nonreciprocal_cascaded_energy(N, N, J, kappa, 1.0)
    values, vectors = np.linalg.eig(drift_matrix(cascaded(N, J, kappa)))
    source = np.zeros(N + 1, dtype=complex)
    source[0] = 1j
    with np.errstate(all="ignore"):
        try:
            textbook = np.abs(vectors @ (np.linalg.solve(vectors, source) / values))[-1] ** 2
        except np.linalg.LinAlgError:
            textbook = np.inf
    assert not abs(textbook / exact - 1) < 1e6
    found = _populations(family(cascaded(N)), np.array([J]), np.array([kappa]))[-1, 0]
    assert found == pytest.approx(exact, rel=1e-14, abs=0)


# ---------------------------------------------------------------------------- 900 bits


def _exact(network, J, kappa, n_th, r, epsilon=1.0):
    """Energy and ergotropy of every mode."""
    modes = steady_modes(network, J, kappa, epsilon, n_th, r)
    return (np.array([float(x) for x in values]) for values in (modes.energy, modes.ergotropy))


def _assert_exact(network, J, kappa=1.0, n_th=0.0, r=0.5, epsilon=1.0, share=1.0):
    """Hold a member to `share` of the promise, 1e-11 relative and 1e-13 P, and its estimate to what is left of it."""
    net, one = family(network), Rates(np.array([J]), np.array([kappa]))
    populations, of_populations = coherent_populations(net, one)
    deficits, of_deficits = anomaly_deficits(net, one)
    P = float(bath_occupation(np.array(n_th), np.array(r)))
    coherent = epsilon * (epsilon * populations[:, 0])
    bath = bath_ergotropy(np.array(n_th), np.array(r), 1.0, 0.0 if deficits is None else deficits[:, 0])
    estimate = max(of_populations.max(), of_deficits.max())
    assert estimate < 1e-9
    for found, exact in zip((coherent + P, coherent + bath), _exact(network, J, kappa, n_th, r, epsilon), strict=True):
        off = np.abs(found - exact)
        assert np.all(off <= share * (1e-11 * exact + 1e-13 * P))
        # Honest: never more than is said, but for the rounding of the energy itself.
        assert np.all(off <= (estimate + 4e-15) * np.maximum(exact, P / 100))


UNEQUAL = (Edge(0, 1, 850, -3.95), Edge(1, 2, 9.87, -1.156), Edge(2, 3, 1.0), Edge(0, 4, 1.0, -1.135))


@pytest.mark.parametrize("ratio", [1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize(("n_th", "r"), [(0.0, 0.5), (0.0, 8.0), (1e6, 8.0)])
def test_a_strong_coupling_does_not_hide_a_weak_one(ratio, n_th, r):
    """Edges of unequal strength, where the ergotropy was off by 9e-4 at J/kappa = 1e6."""
    _assert_exact(Network((1.0,) * 5, UNEQUAL), ratio / 850, n_th=n_th, r=r, epsilon=0.0, share=0.01)


SMALL, REST = expansion(two_product(1e-8, 1e-8))  # the square of 1e-8, which two edges have together
NEARLY = {
    "a hop of one edge": Network((1.0,) * 2, (Edge(0, 1, 1.0, 0.3, 2 * (1 - 1e-10), 1.0, 1j * phase_factor(0.3)),)),
    "hops of three edges": Network((1.0,) * 2, (Edge(0, 1, 0.1), Edge(0, 1, 0.2), Edge(0, 1, 0.3, np.pi))),
    "the loss of squeezing by a weak jump": Network(
        (1.0,) * 2, (Edge(0, 1, 1.0, np.pi / 2, 2.0), Edge(0, 1, 0.0, 0.0, 1e-16, 1j, 1j))
    ),
    "the loss of squeezing by jumps near a quarter turn": Network(
        (1.0,) * 3,
        (
            Edge(0, 1, 1.0, np.pi / 2, 2.0, 1 + 1e-8j, 1 + 1e-8j),
            Edge(0, 1, SMALL, np.pi / 2),
            Edge(0, 1, abs(REST), np.copysign(np.pi / 2, REST)),
            Edge(0, 2, 1.0, np.pi / 2, 2.0),
        ),
    ),
    "squeezing by two jumps": Network(
        (1.0,) * 2, (Edge(0, 1, 1.0), Edge(0, 1, 0.0, 0.0, 1.0, 1.0, 0.0), Edge(0, 1, 0.0, 0.0, 1.0, 1j, 0.0))
    ),
}


@pytest.mark.parametrize("kind", list(NEARLY))
@pytest.mark.parametrize("r", [1.0, 8.0, 12.0])
def test_what_cancels_among_edges_or_nearly_does(kind, r):
    _assert_exact(NEARLY[kind], 1.0, r=r, epsilon=0.0, share=0.01)
    modes = steady_modes(NEARLY[kind], 1.0, 1.0, 1.0, 0.0, 0.0)
    populations, _ = coherent_populations(family(NEARLY[kind]), Rates(np.ones(1), np.ones(1)))
    np.testing.assert_allclose(populations[:, 0], [float(x) for x in modes.energy], 1e-14)


def test_nothing_comes_back_where_edges_cancel_exactly():
    """The paths of directed networks serve those of several edges as well."""
    assert family(NEARLY["the loss of squeezing by jumps near a quarter turn"]).is_directed
    assert not family(NEARLY["the loss of squeezing by a weak jump"]).keeps_squeezing
    assert not family(NEARLY["squeezing by two jumps"]).is_resolvent


@pytest.mark.parametrize("ratio", [1e-8, 1e-3, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("r", [0.1, 8.0])
def test_every_kind_of_network_keeps_its_digits(build, ring, ratio, r):
    decades = tuple(np.geomspace(1e-6, 1, 6))
    for network in (
        build("cascaded", "nonreciprocal", 5, realization="phase-zero"),
        build("parallel", "nonreciprocal", 5, realization="phase-zero"),
        build("cascaded", "reciprocal", 5),
        build("parallel", "reciprocal", 5),
        build("cascaded", "reciprocal", 5, kappa=decades),
        build("cascaded", "nonreciprocal", 5, kappa=decades, realization="phase-zero"),
        build("cascaded", "nonreciprocal", 5, realization="phase-zero", detuning=np.linspace(-ratio, ratio, 6)),
        ring(6, kappa=decades),
        ring(6, detuning=np.linspace(-1, 1, 6) * ratio),
        Network((1.0,) * 4, tuple(Edge(m, m + 1, 0.0, 0.0, 2.0) for m in range(3))),  # loss without coupling
    ):
        _assert_exact(network, ratio, r=r, n_th=0.3)


@pytest.mark.parametrize("kappa", [1.0, 1e-4, 1e-8])
def test_a_resonance_keeps_its_digits(kappa):
    """A normal mode of the couplings is driven: the elimination loses J/kappa, and the refined path gives it back."""
    for detuning in ((1.0,) * 4, (-1.618033988749895,) * 4, (0.3, 0.0, 0.3, 0.0)):
        network = Network((kappa,) * 4, tuple(Edge(m, m + 1, 1.0) for m in range(3)), detuning)
        _assert_exact(network, 1.0, r=2.0, share=0.1)


def test_twenty_batteries_keep_their_digits():
    rng = np.random.default_rng(6)
    edges = tuple(Edge(max(0, m - int(rng.integers(1, 4))), m, 10 ** rng.uniform(-2, 2), 1.0 * m) for m in range(1, 21))
    _assert_exact(Network((1.0,) * 21, edges), 1e3, r=2.0)


def test_the_charger_of_the_phase_zero_chain_by_hand():
    """It sees its own loss and one jump squeezed the other way: ``X = (kappa - Gamma)/(kappa + Gamma)``, Gamma = 2 J.

    Then ``1 - |X|^2 = 4 kappa Gamma / (kappa + Gamma)^2``. Where X turns to -1, the deficit is off by a rounding of 1.
    """
    ratio = np.geomspace(1e-10, 1e10, 81)
    deficits, error = anomaly_deficits(family(cascaded(4, realization="phase-zero")), Rates(ratio, np.ones(81)))
    Gamma = 2 * ratio
    expected = 2 * np.minimum(Gamma, 1) / (1 + Gamma)  # 1 - |kappa - Gamma|/(kappa + Gamma)
    np.testing.assert_allclose(deficits[0], expected, 1e-14, 1e-15)
    assert np.all(error < 1e-9)


def test_two_modes_by_hand():
    """One reciprocal pair: ``s = J^2 / (kappa/2)``, so that ``1 - X = s / (kappa/2 + s)``, at every ratio."""
    J = np.geomspace(1e-9, 1e9, 91)
    deficits, _ = anomaly_deficits(family(cascaded(1, coupling="reciprocal")), Rates(J, np.ones(91)))
    np.testing.assert_allclose(deficits, np.broadcast_to(4 * J**2 / (1 + 4 * J**2), (2, 91)), 1e-15)


@given(
    data=st.data(),
    ratio=st.floats(-8, 8),
    spread=st.floats(0, 6),
    n_th=st.sampled_from([0.0, 0.5, 1e6]),
    r=st.floats(0.01, 8),
)
@settings(deadline=None, max_examples=60)
def test_estimates_are_honest(networks, data, ratio, spread, n_th, r):
    """No error beyond its estimate, in networks of any kind, J/kappa over 16 decades and losses over six."""
    base = data.draw(networks())
    decades = data.draw(st.lists(st.floats(-1, 0), min_size=base.n_modes, max_size=base.n_modes))
    network = Network(tuple(10 ** (x * spread) for x in decades), base.edges, base.detuning)
    net, one = family(network), Rates(np.array([10**ratio]), np.ones(1))
    populations, of_populations = coherent_populations(net, one)
    deficits, of_deficits = anomaly_deficits(net, one)
    P = float(bath_occupation(np.array(n_th), np.array(r)))
    bath = bath_ergotropy(np.array(n_th), np.array(r), 1.0, 0.0 if deficits is None else deficits[:, 0])
    estimate = max(of_populations.max(), of_deficits.max())
    exact = _exact(network, 10**ratio, 1.0, n_th, r)
    for found, truth in zip((populations[:, 0] + P, populations[:, 0] + bath), exact, strict=True):
        assert np.all(np.abs(found - truth) <= (estimate + 4e-15) * np.maximum(truth, P / 100))


# ---------------------------------------------------------------------------- batches


@pytest.mark.parametrize(("topology", "coupling", "realization"), UNIFORM)
def test_a_member_does_not_depend_on_its_neighbours(build, topology, coupling, realization):
    """Bit for bit, so that a sweep gives the same dataset whatever its blocks."""
    net = family(build(topology, coupling, 4, realization=realization))
    for function in (_populations, _ratios):
        together = function(net, J, KAPPA)
        alone = [function(net, J[[i]], KAPPA[[i]])[:, 0] for i in range(len(J))]
        assert np.array_equal(together, np.transpose(alone))


def test_a_member_of_a_ring_does_not_depend_on_its_neighbours(ring):
    net = family(ring(5, detuning=(0.1, 0, 0, 0, 0.2)))
    for function in (_populations, _ratios):
        together = function(net, J[1:], KAPPA[1:])
        alone = [function(net, J[[i]], KAPPA[[i]])[:, 0] for i in range(1, len(J))]
        assert np.array_equal(together, np.transpose(alone))


def test_family_is_scaled_drift(ring):
    """``J A + kappa B + D`` is the drift matrix of the scaled network, up to the gauge's phases."""
    network = ring(4, kappa=(1, 2, 3, 4), detuning=(0.1, 0.2, 0.3, 0.4))
    M = family(network).drift(Rates(np.array([0.3]), np.array([0.05])))[0]
    expected = drift_matrix(scaled(network, 0.3, 0.05))
    np.testing.assert_allclose(np.abs(M), np.abs(expected), 1e-14)
    np.testing.assert_allclose(np.diag(M), np.diag(expected), 1e-14)
    for loop in itertools.permutations(range(4), 3):  # gauge-invariant products
        found, wanted = (
            np.prod([m[a, b] for a, b in zip(loop, np.roll(loop, -1), strict=True)]) for m in (M, expected)
        )
        assert found == pytest.approx(wanted, rel=1e-13, abs=1e-16)
