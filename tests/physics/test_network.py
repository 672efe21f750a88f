"""Networks against matrices written down by hand, and against sums over the jump operators."""

import dataclasses
import itertools

import numpy as np
import pytest

from qbsweep.errors import QbsweepError
from qbsweep.physics.matrices import coherent_matrix, damping_matrix, drift_matrix, jump_operators, squeezing_matrix
from qbsweep.physics.network import Edge, Network, phase_factor, scaled, tree_parents
from qbsweep.physics.topologies import cascaded, parallel

# Dyadic, so that the products below are exact and the comparisons need no tolerance.
J, K = 0.25, 0.125  # Gamma = 2 J = 0.5

CASES = list(itertools.product(["cascaded", "parallel"], ["phase-half-pi", "phase-zero"], [1, 2, 3, 7]))


@pytest.mark.parametrize("builder", [cascaded, parallel])
def test_one_battery_phase_half_pi_by_hand(builder):
    net = builder(1, J, K)
    assert np.array_equal(coherent_matrix(net), [[0, 0.25j], [-0.25j, 0]])
    assert np.array_equal(damping_matrix(net), [[0.625, 0.5], [0.5, 0.625]])
    assert np.array_equal(squeezing_matrix(net), [[0.625, 0.5], [0.5, 0.625]])
    assert np.array_equal(drift_matrix(net), [[-0.3125, 0], [-0.5, -0.3125]])


def test_matrices_are_made_once_and_cannot_be_changed():
    assert damping_matrix(cascaded(2, J, K)) is damping_matrix(cascaded(2, J, K))
    with pytest.raises(ValueError, match="read-only"):
        damping_matrix(cascaded(2, J, K))[0, 0] = 1


@pytest.mark.parametrize("builder", [cascaded, parallel])
def test_one_battery_phase_zero_by_hand(builder):
    net = builder(1, J, K, realization="phase-zero")
    assert np.array_equal(coherent_matrix(net), [[0, 0.25], [0.25, 0]])
    assert np.array_equal(damping_matrix(net), [[0.625, -0.5j], [0.5j, 0.625]])
    assert np.array_equal(squeezing_matrix(net), [[-0.375, -0.5j], [-0.5j, 0.625]])
    assert np.array_equal(drift_matrix(net), [[-0.3125, 0], [-0.5j, -0.3125]])


@pytest.mark.parametrize("builder", [cascaded, parallel])
def test_one_battery_reciprocal_by_hand(builder):
    net = builder(1, J, K, "reciprocal")
    assert np.array_equal(damping_matrix(net), np.diag([0.125, 0.125]))
    assert np.array_equal(squeezing_matrix(net), np.diag([0.125, 0.125]))
    assert np.array_equal(drift_matrix(net), [[-0.0625, -0.25j], [-0.25j, -0.0625]])
    assert np.allclose(jump_operators(net), np.sqrt(0.125) * np.eye(2), rtol=1e-15, atol=0)


def test_two_batteries_in_a_chain_by_hand():
    half_pi = cascaded(2, J, K)
    assert np.array_equal(coherent_matrix(half_pi), [[0, 0.25j, 0], [-0.25j, 0, 0.25j], [0, -0.25j, 0]])
    assert np.array_equal(damping_matrix(half_pi), [[0.625, 0.5, 0], [0.5, 1.125, 0.5], [0, 0.5, 0.625]])
    assert np.array_equal(drift_matrix(half_pi), [[-0.3125, 0, 0], [-0.5, -0.5625, 0], [0, -0.5, -0.3125]])
    zero = cascaded(2, J, K, realization="phase-zero")  # p = (i, 1, -i)
    assert np.array_equal(coherent_matrix(zero), [[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]])
    assert np.array_equal(damping_matrix(zero), [[0.625, -0.5j, 0], [0.5j, 1.125, -0.5j], [0, 0.5j, 0.625]])
    assert np.array_equal(squeezing_matrix(zero), [[-0.375, -0.5j, 0], [-0.5j, 1.125, 0.5j], [0, 0.5j, -0.375]])
    assert np.array_equal(drift_matrix(zero), [[-0.3125, 0, 0], [-0.5j, -0.5625, 0], [0, -0.5j, -0.3125]])


def test_two_batteries_in_a_star_by_hand():
    half_pi = parallel(2, J, K)
    assert np.array_equal(coherent_matrix(half_pi), [[0, 0.25j, 0.25j], [-0.25j, 0, 0], [-0.25j, 0, 0]])
    assert np.array_equal(damping_matrix(half_pi), [[1.125, 0.5, 0.5], [0.5, 0.625, 0], [0.5, 0, 0.625]])
    assert np.array_equal(drift_matrix(half_pi), [[-0.5625, 0, 0], [-0.5, -0.3125, 0], [-0.5, 0, -0.3125]])
    zero = parallel(2, J, K, realization="phase-zero")  # p_0 = i, p_n = 1
    assert np.array_equal(damping_matrix(zero), [[1.125, -0.5j, -0.5j], [0.5j, 0.625, 0], [0.5j, 0, 0.625]])
    assert np.array_equal(squeezing_matrix(zero), [[-0.875, -0.5j, -0.5j], [-0.5j, 0.625, 0], [-0.5j, 0, 0.625]])
    assert np.array_equal(drift_matrix(zero), [[-0.5625, 0, 0], [-0.5j, -0.3125, 0], [-0.5j, 0, -0.3125]])


def test_jump_operators_by_hand():
    s = np.sqrt(0.5)
    expected = [*np.sqrt(0.125) * np.eye(3), [1j * s, s, 0], [0, s, -1j * s]]
    # Square roots: a few ulp.
    assert np.allclose(
        jump_operators(cascaded(2, J, K, realization="phase-zero")), np.array(expected), rtol=1e-15, atol=0
    )
    expected = [*np.sqrt(0.125) * np.eye(3), [s, s, 0], [s, 0, s]]
    assert np.allclose(jump_operators(parallel(2, J, K)), np.array(expected), rtol=1e-15, atol=0)


@pytest.mark.parametrize(("topology", "realization", "N"), CASES)
def test_matrices_are_sums_over_jumps(build, topology, realization, N):
    rng = np.random.default_rng(N)
    net = build(
        topology,
        "nonreciprocal",
        N,
        rng.uniform(0.1, 1, N),
        rng.uniform(0.1, 1, N + 1),
        realization,
        rng.normal(size=N + 1),
    )
    L = jump_operators(net)
    assert L.shape == (2 * N + 1, N + 1)
    # Squares of square roots: a few ulp of numbers of size 1.
    assert np.allclose(damping_matrix(net), np.einsum("lj,lk->jk", L.conj(), L), rtol=0, atol=3e-15)
    assert np.allclose(squeezing_matrix(net), np.einsum("lj,lk->jk", L.conj(), L.conj()), rtol=0, atol=3e-15)
    assert np.array_equal(drift_matrix(net), -1j * coherent_matrix(net) - damping_matrix(net) / 2)


def test_matrices_of_a_ring_are_sums_over_jumps(ring):
    net = ring(5, detuning=(0.1, 0.2, 0.3, 0.4, 0.5))
    L, h = jump_operators(net), coherent_matrix(net)
    assert np.allclose(damping_matrix(net), np.einsum("lj,lk->jk", L.conj(), L), rtol=0, atol=1e-14)
    assert np.allclose(squeezing_matrix(net), np.einsum("lj,lk->jk", L.conj(), L.conj()), rtol=0, atol=1e-14)
    assert np.array_equal(h, h.conj().T)
    assert np.array_equal(np.diag(h), net.detuning)
    for e in net.edges:
        assert h[e.u, e.v] == pytest.approx(e.J * np.exp(1j * e.theta), rel=1e-15, abs=0)


@pytest.mark.parametrize(("topology", "realization", "N"), CASES)
def test_backward_amplitude_cancels_exactly(build, topology, realization, N):
    couplings = np.random.default_rng(N).uniform(1e-5, 3, N)  # not dyadic: cancellation must not be luck
    M = drift_matrix(build(topology, "nonreciprocal", N, couplings, 0.003, realization))
    assert not np.triu(M, 1).any()
    assert np.count_nonzero(np.tril(M, -1)) == N


@pytest.mark.parametrize("topology", ["cascaded", "parallel"])
def test_realizations_are_one_network_up_to_phases(build, topology):
    a, b = (
        build(topology, "nonreciprocal", 5, 0.3, 0.1, realization) for realization in ("phase-half-pi", "phase-zero")
    )
    assert np.array_equal(np.abs(drift_matrix(a)), np.abs(drift_matrix(b)))
    assert not np.array_equal(np.abs(squeezing_matrix(a)), np.abs(squeezing_matrix(b)))


def test_reciprocal_network_has_no_cooperative_jump():
    assert jump_operators(cascaded(4, J, K, "reciprocal")).shape == (5, 5)


@pytest.mark.parametrize(("quarters", "value"), [(0, 1), (1, 1j), (2, -1), (3, -1j), (4, 1), (-1, -1j), (401, 1j)])
def test_phase_factor_is_exact_at_quarter_turns(quarters, value):
    assert phase_factor(quarters * np.pi / 2) == value


def test_phase_factor_elsewhere():
    for theta in (0.3, -2.0, np.pi / 2 + 1e-9, 100.0):
        assert phase_factor(theta) == pytest.approx(np.exp(1j * theta), rel=1e-15, abs=0)
    assert phase_factor(np.pi / 2 + 1e-9).real != 0


def test_scaling_multiplies_couplings_and_losses_but_not_detunings(ring):
    net = ring(4, detuning=(0.5, 0, 0, 0))
    both = scaled(net, 3.0, 0.2)
    assert both.kappa == (0.2,) * 4
    assert both.detuning == net.detuning
    for before, after in zip(net.edges, both.edges, strict=True):
        assert (after.J, after.Gamma) == (3 * before.J, 3 * before.Gamma)
        assert (after.u, after.v, after.theta, after.p_u, after.p_v) == (
            before.u,
            before.v,
            before.theta,
            before.p_u,
            before.p_v,
        )


def _graph(n, *pairs):
    return Network((1.0,) * n, tuple(Edge(u, v, 1.0) for u, v in pairs))


@pytest.mark.parametrize(
    ("net", "parents"),
    [
        (cascaded(4), (-1, 0, 1, 2, 3)),
        (parallel(4), (-1, 0, 0, 0, 0)),
        (_graph(6, (0, 2), (2, 1), (2, 5), (0, 3), (3, 4)), (-1, 2, 0, 0, 3, 2)),
        (_graph(4, (3, 2), (2, 1), (1, 0)), (-1, 0, 1, 2)),  # the edges' direction and order do not matter
        (_graph(3, (0, 1), (1, 0), (1, 2)), (-1, 0, 1)),  # two edges on one pair are no loop
        (_graph(3, (0, 1), (1, 2), (2, 0)), None),
        (_graph(5, (0, 1), (1, 2), (2, 3), (3, 1), (0, 4)), None),
        (_graph(4, (0, 1), (2, 3)), None),  # in two pieces
        (_graph(5, (0, 1), (2, 3), (3, 4), (4, 2)), None),
    ],
)
def test_tree_parents(net, parents):
    assert tree_parents(net) == parents


def test_network_is_immutable_and_hashable():
    net = cascaded(2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.kappa = (1.0,)
    assert hash(net) == hash(cascaded(2))
    assert net == cascaded(2)
    assert (net.n_modes, net.n_batteries) == (3, 2)


def test_numbers_of_numpy_make_the_same_network():
    """Equal networks share what is computed of them, so that none may be computed otherwise."""
    one, half = np.float64(1.0), np.float32(0.5)
    net = Network((one, one), (Edge(0, 1, one, half, one, np.complex64(1j), one),), (half, one - 1))
    edge = net.edges[0]
    assert net == Network((1.0, 1.0), (Edge(0, 1, 1.0, 0.5, 1.0, 1j, 1.0),), (0.5, 0.0))
    assert {type(x) for x in (*net.kappa, *net.detuning, edge.J, edge.theta, edge.Gamma)} == {float}
    assert {type(edge.p_u), type(edge.p_v)} == {complex}
    assert repr(Edge(0, 1, 1.0)).endswith("p_u=1.0, p_v=1.0, phase_error=0.0)")  # and those of Python stay as they are


def test_detuning_defaults_to_resonance():
    assert Network((1.0, 1.0), ()).detuning == (0.0, 0.0)


nan, inf = float("nan"), float("inf")
TWO = (1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network((1.0,), ()), r"at least 2 modes .* but has 1$"),
        (lambda: Network(TWO, (), (0.0,)), r"`detuning` must have one value per mode \(2\), but has 1$"),
        (lambda: Network((1.0, -0.1), ()), r"`kappa` of mode 1 must be finite and at least 0, but is -0.1$"),
        (lambda: Network((nan, 1.0), ()), r"`kappa` of mode 0 .* but is nan$"),
        (lambda: Network((1.0, inf), ()), r"`kappa` of mode 1 .* but is inf$"),
        (lambda: Network(TWO, (), (0.0, nan)), r"`detuning` of mode 1 must be finite, but is nan$"),
        (lambda: Network(TWO, (Edge(0, 2, 1.0),)), r"edge 1 \(0, 2\) must join modes 0 to 1, but names a mode outside"),
        (lambda: Network(TWO, (Edge(-1, 0, 1.0),)), r"edge 1 \(-1, 0\) must join modes 0 to 1"),
        (lambda: Network(TWO, (Edge(0, 1, 1.0), Edge(1, 1, 1.0))), r"edge 2 \(1, 1\) .* joins mode 1 to itself$"),
        (lambda: Network(TWO, (Edge(0, 1, -1.0),)), r"`J` of edge 1 \(0, 1\) .* at least 0, but is -1.0$"),
        (lambda: Network(TWO, (Edge(0, 1, inf),)), r"`J` of edge 1 \(0, 1\) must be finite"),
        (lambda: Network(TWO, (Edge(0, 1, 1.0, 0.0, nan),)), r"`Gamma` of edge 1 \(0, 1\) must be finite"),
        (lambda: Network(TWO, (Edge(0, 1, 1.0, 0.0, -2.0),)), r"`Gamma` of edge 1 \(0, 1\) .* but is -2.0$"),
        (lambda: Network(TWO, (Edge(0, 1, 1.0, inf),)), r"`theta`, `p_u` and `p_v` of edge 1 \(0, 1\) must be finite$"),
        (lambda: Network(TWO, (Edge(0, 1, 1.0, 0.0, 1.0, 1j * nan),)), r"`theta`, `p_u` and `p_v` .* must be finite$"),
        (lambda: cascaded(0), r"`N` must be at least 1, but is 0$"),
        (lambda: parallel(-3), r"`N` must be at least 1, but is -3$"),
        (lambda: cascaded(2, coupling="both"), r"`coupling` must be 'nonreciprocal' or 'reciprocal', but is 'both'$"),
        (lambda: parallel(2, coupling=""), r"`coupling` must be .* but is ''$"),
        (lambda: cascaded(2, realization="pi"), r"`realization` must be 'phase-half-pi' or 'phase-zero', but is 'pi'$"),
        (lambda: cascaded(3, J=(1.0, 2.0)), r"`J` must be one number or one per edge \(3\), but has 2$"),
        (lambda: parallel(2, kappa=(1.0, 2.0)), r"`kappa` must be one number or one per mode \(3\), but has 2$"),
        (lambda: cascaded(1, detuning=(1.0,)), r"`detuning` must be one number or one per mode \(2\), but has 1$"),
    ],
)
def test_bad_network_is_refused(make, message):
    with pytest.raises(QbsweepError, match=message):
        make()
