"""Closed forms against the slow reference, reference values, and where the exact solution differs from the print.

Equation numbers are those of Liu et al. (2026).
"""

import itertools

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from qbsweep.errors import QbsweepError
from qbsweep.physics import closed_forms as cf
from qbsweep.physics import topologies
from qbsweep.physics.reference import bath_moments, evolved_moments, steady_moments
from qbsweep.physics.topologies import cascaded, optimal_coupling, parallel

from .products import moments as solved_moments

KAPPAS = (1e-4, 0.003, 1.0)
RATIOS = np.geomspace(1e-3, 1e3, 13)  # J / kappa
SIZES = (1, 2, 3, 5, 8)
TOPOLOGIES = ("cascaded", "parallel")
UNIFORM = list(itertools.product(TOPOLOGIES, ("nonreciprocal", "reciprocal")))

# The reference solves M alpha = f by LAPACK: up to cond(M) ~ 1e4 roundings, doubled by the square.
SOLVE = 1e-10


def _reference(network, epsilon):
    return steady_moments(network, epsilon).coherent


# ---------------------------------------------------------------------------- every form against the reference


@pytest.mark.parametrize(("N", "kappa"), list(itertools.product(SIZES, KAPPAS)))
def test_nonreciprocal_cascade_every_mode(N, kappa):
    for J in RATIOS * kappa:
        expected = _reference(cascaded(N, J, kappa), 0.02)
        found = [cf.nonreciprocal_cascaded_energy(n, N, J, kappa, 0.02) for n in range(N + 1)]
        assert found == pytest.approx(expected, rel=SOLVE, abs=0)


@pytest.mark.parametrize(("N", "kappa"), list(itertools.product(SIZES, KAPPAS)))
@pytest.mark.parametrize("coupling", ["nonreciprocal", "reciprocal"])
def test_star_every_battery(N, kappa, coupling):
    form = cf.nonreciprocal_parallel_energy if coupling == "nonreciprocal" else cf.reciprocal_parallel_energy
    for J in RATIOS * kappa:
        expected = _reference(parallel(N, J, kappa, coupling), 0.02)[1:]
        assert np.full(N, form(N, J, kappa, 0.02)) == pytest.approx(expected, rel=SOLVE, abs=0)


@pytest.mark.parametrize(("N", "kappa"), list(itertools.product((*SIZES, 12, 13), KAPPAS)))
def test_reciprocal_chain_terminal(N, kappa):
    for J in RATIOS * kappa:
        expected = _reference(cascaded(N, J, kappa, "reciprocal"), 0.02)[-1]
        assert cf.reciprocal_cascaded_energy(N, J, kappa, 0.02) == pytest.approx(expected, rel=SOLVE, abs=0)


@pytest.mark.parametrize("N", range(1, 13))
def test_reciprocal_chain_equals_its_green_function(N):
    """(11)/(12) against (B14); the modal sum loses 2^N to cancellation at weak coupling, hence J >= kappa/2."""
    J = np.geomspace(0.5, 1e3, 9) * 0.003
    kappa = np.full_like(J, 0.003)
    expected = np.abs(cf.reciprocal_cascaded_amplitude(N, J, kappa, 0.01)) ** 2
    assert cf.reciprocal_cascaded_energy(N, J, kappa, 0.01) == pytest.approx(expected, rel=1e-9, abs=0)


def test_reciprocal_chain_survives_extreme_couplings():
    """No power of J / kappa overflows: E -> (2^{N+1} J^N eps / kappa^{N+1})^2 and the saturation value."""
    assert cf.reciprocal_cascaded_energy(2, 1e-30, 1.0, 1.0) == pytest.approx(64e-120, rel=1e-12, abs=0)
    assert cf.reciprocal_cascaded_energy(200, 1e10, 1.0, 1.0) == pytest.approx((4 / 202) ** 2, rel=1e-12, abs=0)
    assert cf.reciprocal_cascaded_energy(3, 0.0, 1.0, 1.0) == 0


def test_directed_paths_of_uniform_networks():
    """(4) and (8) with uniform rates are (5) and (9), battery by battery."""
    N, J, kappa = 4, 0.002, 0.003
    end, inner = 2 * J + kappa, 4 * J + kappa
    for n, Lambda in ((1, [end, inner]), (3, [end, inner, inner, inner]), (4, [end, inner, inner, inner, end])):
        expected = cf.nonreciprocal_cascaded_energy(n, N, J, kappa, 0.02)
        assert cf.nonreciprocal_energy(Lambda, [2 * J] * n, 0.02) == pytest.approx(expected, rel=1e-14, abs=0)
    star = cf.nonreciprocal_energy([2 * N * J + kappa, end], [2 * J], 0.02)
    assert star == pytest.approx(cf.nonreciprocal_parallel_energy(N, J, kappa, 0.02), rel=1e-14, abs=0)


@pytest.mark.parametrize("n", [1, 2])
def test_batteries_of_a_star_in_time(n):
    """(7) as it is meant, with rates that differ; cancels up to ten times its value at early times."""
    J, kappa, times = (0.4, 0.7), (0.15, 0.05, 0.2), np.linspace(0, 20, 41)
    expected = evolved_moments(parallel(2, J, kappa), times, 0.1).coherent[:, n]
    Lambda = [2 * sum(J) + kappa[0], 2 * J[n - 1] + kappa[n]]
    found = cf.nonreciprocal_energy_in_time(Lambda, [2 * J[n - 1]], 0.1, times)
    assert found == pytest.approx(expected, abs=1e-12 * expected.max())
    assert found[-1] == pytest.approx(cf.nonreciprocal_energy(Lambda, [2 * J[n - 1]], 0.1), rel=1e-3, abs=0)


def test_closed_forms_broadcast():
    J, kappa = np.array([[0.001], [0.002]]), np.array([0.003, 0.004, 0.005])
    for form in (
        lambda J, kappa: cf.nonreciprocal_cascaded_energy(2, 3, J, kappa, 0.01),
        lambda J, kappa: cf.nonreciprocal_parallel_energy(3, J, kappa, 0.01),
        lambda J, kappa: cf.reciprocal_cascaded_energy(3, J, kappa, 0.01),
        lambda J, kappa: cf.reciprocal_parallel_energy(3, J, kappa, 0.01),
    ):
        table = form(J, kappa)
        assert table.shape == (2, 3)
        assert table[1, 2] == form(0.002, 0.005)


def test_mode_beyond_the_chain_is_refused():
    with pytest.raises(QbsweepError, match="mode `n` must be between 0 and N = 2, but is 3"):
        cf.nonreciprocal_cascaded_energy(3, 2, 0.01, 0.01, 0.01)


# ---------------------------------------------------------------------------- reference values
# kappa = 0.003, computed independently of this package and printed to so many digits: half a unit of the last one.

KAPPA = 0.003
TABLE = [
    (0.01, "cascaded", "nonreciprocal", {1: 11.1111111, 2: 5.7817733, 3: 3.6171898, 4: 2.4953323}, "cascaded", 5e-8),
    (0.01, "parallel", "nonreciprocal", {2: 5.2332892, 3: 3.1909675, 4: 2.1947874}, "parallel", 5e-8),
    (0.01, "cascaded", "reciprocal", {2: 7.8333, 3: 3.3285, 4: 3.5190, 5: 1.6130, 6: 1.9907}, "cascaded", 5e-5),
    (0.01, "parallel", "reciprocal", {2: 5.5556, 3: 3.7037, 4: 2.7778}, "parallel", 5e-5),
    (0.001, "cascaded", "nonreciprocal", {2: 0.0578177}, "cascaded", 5e-8),
    (0.001, "parallel", "nonreciprocal", {2: 0.0523329}, "parallel", 5e-8),
]
ROWS = [
    (epsilon, topology, coupling, N, energy, optimum, half_digit)
    for epsilon, topology, coupling, values, optimum, half_digit in TABLE
    for N, energy in values.items()
]


@pytest.mark.parametrize(("epsilon", "topology", "coupling", "N", "energy", "optimum", "half_digit"), ROWS)
def test_reference_values(build, points, epsilon, topology, coupling, N, energy, optimum, half_digit):
    J = optimal_coupling(optimum, N, KAPPA)
    solved = solved_moments(points(build(topology, coupling, N), J, KAPPA, epsilon), ["energy_terminal"])
    assert solved["energy_terminal"].item() == pytest.approx(energy, abs=half_digit)
    form = {
        ("cascaded", "nonreciprocal"): lambda *args: cf.nonreciprocal_cascaded_energy(N, *args),
        ("parallel", "nonreciprocal"): cf.nonreciprocal_parallel_energy,
        ("cascaded", "reciprocal"): cf.reciprocal_cascaded_energy,
        ("parallel", "reciprocal"): cf.reciprocal_parallel_energy,
    }[topology, coupling]
    assert form(N, J, KAPPA, epsilon) == pytest.approx(energy, abs=half_digit)


SQUEEZED = [
    ("cascaded", "nonreciprocal", "phase-half-pi", 0.329358, 0.329358),
    ("cascaded", "nonreciprocal", "phase-zero", 0.329358, 0.058491),
    ("cascaded", "reciprocal", "phase-half-pi", 0.349874, 0.157737),
    ("parallel", "nonreciprocal", "phase-half-pi", 0.323873, 0.323873),
    ("parallel", "nonreciprocal", "phase-zero", 0.323873, 0.196598),
    ("parallel", "reciprocal", "phase-half-pi", 0.327096, 0.193805),
]


@pytest.mark.parametrize(("topology", "coupling", "realization", "energy", "ergotropy"), SQUEEZED)
def test_squeezed_reference_values(build, points, topology, coupling, realization, energy, ergotropy):
    """r = 0.5, eps = 0.001, N = 2, J = J_op. With vacuum, these are all the baths the paper squeezes."""
    net = build(topology, coupling, 2, realization=realization)
    J = optimal_coupling(topology, 2, KAPPA)
    solved = solved_moments(points(net, J, KAPPA, 0.001, r=0.5), ["energy_terminal", "ergotropy_terminal"])
    assert solved["energy_terminal"].item() == pytest.approx(energy, abs=5e-7)
    assert solved["ergotropy_terminal"].item() == pytest.approx(ergotropy, abs=5e-7)


# ---------------------------------------------------------------------------- optima


def _argmax(energy, low, high):
    """Numerically; a maximum is found to the square root of rounding, 1e-8, at best."""
    best = minimize_scalar(lambda x: -np.log(energy(np.exp(x))), bounds=np.log([low, high]), method="bounded")
    assert best.success
    return np.exp(best.x)


@pytest.mark.parametrize("N", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("topology", "coupling"), [("cascaded", "nonreciprocal"), ("parallel", "nonreciprocal"), ("parallel", "reciprocal")]
)
def test_optimal_coupling_maximises_the_reference(build, topology, coupling, N):
    found = _argmax(lambda J: _reference(build(topology, coupling, N, J, KAPPA), 0.01)[-1], 1e-5, 1.0)
    # `bounded` stops at 1e-5 in log J.
    assert found == pytest.approx(optimal_coupling(topology, N, KAPPA), rel=3e-5, abs=0)


def test_optimal_coupling_by_hand():
    assert cf.cascaded_optimal_coupling(1, 0.003) == pytest.approx(0.0015, rel=1e-15, abs=0)  # (1 + 3) / 8
    assert cf.parallel_optimal_coupling(4, 0.003) == pytest.approx(0.00075, rel=1e-15, abs=0)
    assert cf.cascaded_optimal_coupling(1e8, 1.0) == pytest.approx(1e8 / 4, rel=1e-7, abs=0)  # kappa N / 4 (1 + 2/N)
    assert cf.cascaded_optimal_coupling([1, 2], [[1.0], [2.0]]).shape == (2, 2)


@pytest.mark.parametrize("record", topologies.TOPOLOGIES.values(), ids=lambda record: record.name)
def test_records_of_topologies_say_where_their_law_is_the_optimum_and_how_it_grows(record):
    """At N = 3: a reciprocal chain of one battery is a star, and an even one has no optimum."""
    J = optimal_coupling(record.name, 3, KAPPA)
    optimal = []
    for coupling in topologies.COUPLINGS:
        below, at, above = (
            _reference(record.build(3, x * J, KAPPA, coupling), 0.01)[-1] for x in (1 - 1e-3, 1, 1 + 1e-3)
        )
        optimal += [coupling] if at > max(below, above) else []
    assert tuple(optimal) == record.optimal_for
    small, large = optimal_coupling(record.name, [1e8, 2e8], 1.0)
    assert np.log2(large / small) == pytest.approx(record.exponent, abs=1e-6)


def test_optimal_coupling_of_another_topology_is_refused():
    with pytest.raises(QbsweepError, match="known for `topology` 'cascaded' or 'parallel', not 'ring'"):
        optimal_coupling("ring", 2, 0.003)


@pytest.mark.parametrize(
    ("N", "ratio", "digits"), [(1, 0.5, 1e-8), (3, 0.97356, 5e-6), (5, 1.41091, 5e-6), (7, 1.83862, 5e-6)]
)
def test_odd_reciprocal_chain_has_one_optimum(N, ratio, digits):
    optimum = cf.reciprocal_cascaded_optimum(N, KAPPA)
    assert optimum / KAPPA == pytest.approx(ratio, abs=digits)
    J = np.geomspace(1e-3, 1e3, 2001) * optimum
    energies = cf.reciprocal_cascaded_energy(N, J, KAPPA, 0.01)
    assert np.all(np.diff(energies)[:999] > 0)  # index 1000 is the optimum itself
    assert np.all(np.diff(energies)[1001:] < 0)


@pytest.mark.parametrize("N", [9, 31, 101])
def test_long_odd_chains_have_their_optimum_there(N):
    optimum = cf.reciprocal_cascaded_optimum(N, 1.0)
    at, below, above = cf.reciprocal_cascaded_energy(N, optimum * np.array([1, 0.999, 1.001]), 1.0, 1.0)
    assert at > below
    assert at > above


@pytest.mark.parametrize("N", [2, 4, 6, 12])
def test_even_reciprocal_chain_saturates(N):
    saturation = cf.reciprocal_cascaded_saturation(N, KAPPA, 0.01)
    assert saturation == pytest.approx((4 * 0.01 / ((N + 2) * KAPPA)) ** 2, rel=1e-15, abs=0)
    J = np.geomspace(10 * N, 1e6, 50) * KAPPA
    energies = cf.reciprocal_cascaded_energy(N, J, KAPPA, 0.01)
    assert np.all(np.diff(energies) > 0)  # still rising: no optimum
    assert np.all(energies < saturation)
    # The approach is as (kappa/J)^2 times a number of order N^3: 1e-12 N^3 at J = 1e6 kappa.
    assert energies[-1] == pytest.approx(saturation, rel=1e-8, abs=0)
    assert _reference(cascaded(N, J[20], KAPPA, "reciprocal"), 0.01)[-1] == pytest.approx(
        energies[20], rel=SOLVE, abs=0
    )


def test_saturation_and_optimum_know_their_parity():
    with pytest.raises(QbsweepError, match="saturates for even `N` only, but `N` is 3"):
        cf.reciprocal_cascaded_saturation(3, 1.0, 1.0)
    with pytest.raises(QbsweepError, match="finite optimum for odd `N` only, but `N` is 4"):
        cf.reciprocal_cascaded_optimum(4, 1.0)


# ---------------------------------------------------------------------------- window (14)


@given(N=st.integers(2, 60), where=st.floats(1e-6, 1 - 1e-6), kappa=st.floats(1e-5, 10))
@settings(deadline=None, max_examples=60)
def test_reciprocal_star_wins_exactly_within_the_window(N, where, kappa):
    low, high = cf.reciprocal_window(N, kappa)
    assert (low, high) == (kappa / (2 * N), kappa / 2)

    def gain(J):
        return cf.reciprocal_parallel_energy(N, J, kappa, 1.0) / cf.nonreciprocal_parallel_energy(N, J, kappa, 1.0) - 1

    # Equal at both ends (rounding), more between them, less outside. The gain is a parabola's, of
    # slope N - 1 over N + 1 at least a third, so 1e-6 of the way in it is well above rounding.
    assert abs(gain(low)) < 1e-14
    assert abs(gain(high)) < 1e-14
    assert gain(low + where * (high - low)) > 0
    assert gain(low * (1 - where)) < 0
    assert gain(high * (1 + where)) < 0


@pytest.mark.parametrize("N", [2, 3, 4, 10, 50])
def test_optimal_star_lies_in_the_window_so_the_reciprocal_one_stores_more(points, build, N):
    """At J_op, whatever the paper's figures suggest, the reciprocal star stores more than the nonreciprocal one."""
    J = cf.parallel_optimal_coupling(N, KAPPA)
    low, high = cf.reciprocal_window(N, KAPPA)
    assert low < J < high
    energies = {
        coupling: solved_moments(points(build("parallel", coupling, N), J, KAPPA, 0.01), ["energy_terminal"])
        for coupling in ("reciprocal", "nonreciprocal")
    }
    gain = energies["reciprocal"]["energy_terminal"] / energies["nonreciprocal"]["energy_terminal"]
    # (N Gamma + kappa)^2 (Gamma + kappa)^2 / [4 (4 N J^2 + kappa^2)^2] at 2J = kappa / sqrt N; rounding.
    assert gain.item() == pytest.approx((1 + np.sqrt(N)) ** 4 / (16 * N), rel=1e-12, abs=0)
    assert gain.item() > 1


# ---------------------------------------------------------------------------- baths


@pytest.mark.parametrize(("topology", "coupling"), UNIFORM)
def test_thermal_energy_is_shifted_by_n_th(build, steady_energies, topology, coupling):
    net = build(topology, coupling, 3, 0.002, KAPPA)
    vacuum, _ = steady_energies(net, 0.01, 0.0)
    for n_th in (0.1, 0.3, 5.0):
        energy, ergotropy = steady_energies(net, 0.01, n_th)
        assert cf.thermal_energy(vacuum, n_th) == pytest.approx(energy, rel=SOLVE, abs=0)
        assert vacuum == pytest.approx(ergotropy, rel=SOLVE, abs=0)


@pytest.mark.parametrize(("topology", "r"), list(itertools.product(TOPOLOGIES, (0.1, 0.5, 2.0))))
def test_half_pi_network_keeps_all_the_squeezing(build, steady_energies, topology, r):
    net = build(topology, "nonreciprocal", 3, 0.002, KAPPA)
    vacuum, _ = steady_energies(net, 0.01)
    energy, ergotropy = steady_energies(net, 0.01, 0.0, r, 0.7)
    assert cf.squeezed_energy(vacuum, r) == pytest.approx(energy, rel=SOLVE, abs=0)
    # The reference's nu is the root of a difference of e^{4r}/16 ~ 190: 1e-14 at best, 1e-8 under the root.
    assert cf.squeezed_energy(vacuum, r) == pytest.approx(ergotropy, abs=1e-6)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_half_pi_network_takes_the_baths_own_state(build, topology):
    """C = P 1 and S = conj(Q) 1, phase and all; two Sylvester solves at condition numbers below 100."""
    P, Q = bath_moments(0.3, 0.5, 0.7)
    moments = steady_moments(build(topology, "nonreciprocal", 3, 0.002, KAPPA), 0.01, 0.3, 0.5, 0.7)
    np.testing.assert_allclose(moments.C, P * np.eye(4), 0, 1e-12)
    np.testing.assert_allclose(moments.S, np.conj(Q) * np.eye(4), 0, 1e-12)
    assert abs(Q.imag) > 0.1


def test_thermal_ergotropy_does_not_depend_on_n_th_at_any_time(build, points):
    """The state is displaced thermal: its ergotropy is |alpha(t)|^2 exactly, to the last bit, whatever n_th.

    A truncated Fock space shows a decrease with n_th that is an artefact of the truncation.
    """
    times = np.linspace(0, 10, 41) / KAPPA
    for topology, coupling in UNIFORM:
        J = float(optimal_coupling(topology, 2, KAPPA))
        product = points(build(topology, coupling, 2), J, KAPPA, 0.001, n_th=(0, 0.1, 0.3, 4.0), times=times)
        solved = solved_moments(product, ["ergotropy_t", "energy_t", "ergotropy", "energy"])
        ergotropy, energy = (solved[name].reshape(4, 3, -1) for name in ("ergotropy_t", "energy_t"))
        assert np.array_equal(ergotropy, np.broadcast_to(energy[0], ergotropy.shape))
        assert np.all(energy[1:, :, 1:] > energy[0, :, 1:])
        steady = solved["ergotropy"].reshape(4, 3)
        assert np.array_equal(steady, np.broadcast_to(solved["energy"].reshape(4, 3)[0], steady.shape))
        alpha = evolved_moments(build(topology, coupling, 2, J, KAPPA), times[::10], 0.001).coherent.T
        assert ergotropy[3][:, ::10] == pytest.approx(alpha, rel=1e-9, abs=0)  # scipy's expm, squared


def test_thermal_single_battery_by_hand(points):
    """N = 1, eps = 0.001, kappa = 0.003, J = J_op: 1/9 stored, all of it extractable, at n_th = 0.3 too."""
    solved = solved_moments(
        points(cascaded(1), 0.0015, KAPPA, 0.001, n_th=0.3), ["energy_terminal", "ergotropy_terminal"]
    )
    assert solved["ergotropy_terminal"].item() == pytest.approx(1 / 9, rel=1e-14, abs=0)
    assert solved["energy_terminal"].item() == pytest.approx(1 / 9 + 0.3, rel=1e-14, abs=0)


@pytest.mark.parametrize(("topology", "kept"), [("cascaded", 0.25), ("parallel", 0.65)])
def test_squeezed_ergotropy_depends_on_the_realization(build, points, topology, kept):
    """The two are one network in vacuum; in a squeezed bath `phase-zero` loses nearly all of it in the chain."""
    J = optimal_coupling(topology, 2, KAPPA)
    energy, ergotropy = {}, {}
    for realization in ("phase-half-pi", "phase-zero"):
        net = build(topology, "nonreciprocal", 2, realization=realization)
        solved = solved_moments(points(net, J, KAPPA, 0.001, r=(0, 0.5)), ["energy_terminal", "ergotropy_terminal"])
        energy[realization] = solved["energy_terminal"].ravel()
        ergotropy[realization] = solved["ergotropy_terminal"].ravel()
    assert energy["phase-zero"] == pytest.approx(energy["phase-half-pi"], rel=1e-14, abs=0)
    assert ergotropy["phase-zero"][0] == pytest.approx(ergotropy["phase-half-pi"][0], rel=1e-14, abs=0)
    assert ergotropy["phase-half-pi"] == pytest.approx(energy["phase-half-pi"], rel=1e-14, abs=0)
    assert ergotropy["phase-zero"][1] < kept * ergotropy["phase-half-pi"][1]


# ---------------------------------------------------------------------------- eq. (3)

# A chain whose first rates Lambda_m = Gamma_m + Gamma_{m+1} + kappa_m all differ.
CHAIN_J, CHAIN_KAPPA = (0.4, 0.7, 0.3), (0.15, 0.05, 0.2, 0.6)
CHAIN_GAMMA = 2 * np.array(CHAIN_J)
CHAIN_LAMBDA = np.array([0.95, 2.25, 2.2, 1.2])


def _print_of_3(n, times, sign):
    """Eq. (3) with its Vandermonde products, word for word, the sum added or subtracted."""
    Lambda, Gamma = CHAIN_LAMBDA[: n + 1], CHAIN_GAMMA[:n]

    def vandermonde(rates):
        return np.prod([a - b for a, b in itertools.combinations(rates, 2)])

    A = 4.0 ** (n + 1) * 0.1**2 * np.prod(Gamma**2) / np.prod(Lambda**2)
    V = vandermonde(Lambda)
    total = sum(
        (-1) ** (n + p)
        * np.prod(np.delete(Lambda, p))
        * vandermonde(np.delete(Lambda, p))
        * np.exp(-Lambda[p] * times / 2)
        for p in range(n + 1)
    )
    return A / V**2 * (V + sign * total) ** 2


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_the_sum_in_3_must_be_subtracted(n):
    times = np.linspace(0, 20, 41)
    assert np.array([sum(CHAIN_GAMMA[max(m - 1, 0) : m + 1]) for m in range(4)]) + CHAIN_KAPPA == pytest.approx(
        CHAIN_LAMBDA, rel=1e-14, abs=0
    )
    expected = evolved_moments(cascaded(3, CHAIN_J, CHAIN_KAPPA), times, 0.1).coherent[:, n]
    scale = expected.max()
    # Terms up to 100 times their sum (1 / V_n) cancel at early times: absolute, not relative, accuracy.
    assert _print_of_3(n, times, -1) == pytest.approx(expected, abs=1e-11 * scale)
    found = cf.nonreciprocal_energy_in_time(CHAIN_LAMBDA[: n + 1], CHAIN_GAMMA[:n], 0.1, times)
    assert found == pytest.approx(expected, abs=1e-11 * scale)
    printed = _print_of_3(n, times, +1)
    assert printed[0] == pytest.approx(4 * expected[-1], rel=1e-2, abs=0)  # not the vacuum it starts from
    assert np.abs(printed - expected).max() > scale


@pytest.mark.parametrize("Lambda", [(1.0, 1.0), (0.9, 1.5, 0.9), (1.0, 2.0, 2.0, 1.5)])
def test_3_is_zero_over_zero_when_rates_coincide(Lambda):
    with pytest.raises(QbsweepError, match="pairwise different rates Lambda, but two of them coincide"):
        cf.nonreciprocal_energy_in_time(Lambda, np.ones(len(Lambda) - 1), 0.1, [1.0])


# ---------------------------------------------------------------------------- settling

SIZES_SETTLING = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
# kappa t from which the terminal energy stays within 1 % of its steady value, at J = J_op of the topology.
# Found by scipy's expm of the drift matrix and bisection, to the digits given. (A table read from a grid of times
# gives the first grid point after each: 9.95, 9.93, 10.9, 11.3, ..., 7.44 to 3.06, 7.44 to 9.35.)
SETTLING = {
    ("cascaded", "reciprocal"): [
        9.9337,
        9.9202,
        10.8822,
        11.2967,
        11.1699,
        10.8665,
        10.6590,
        10.5515,
        10.3770,
        10.3076,
    ],
    ("cascaded", "nonreciprocal"): [7.4273, 6.3388, 5.6890, 5.2431, 4.6580, 4.2846, 3.8270, 3.5524, 3.2316, 3.0456],
    ("parallel", "nonreciprocal"): [7.4273, 7.5849, 7.7987, 7.9836, 8.2661, 8.4697, 8.7476, 8.9336, 9.1753, 9.3311],
    ("parallel", "reciprocal"): [9.9337] * 10,
}


@pytest.fixture(scope="module")
def settling(points, build):
    """``settling(topology, coupling)``: the settling times of `SIZES_SETTLING`, from time-resolved energies."""

    def settling_time(network, J):
        x = np.linspace(0, 16, 1601)  # every energy is within 0.1 % at the end
        solved = solved_moments(points(network, J, KAPPA, 0.01, times=x / KAPPA), ["energy_t", "energy_terminal"])
        off = np.abs(solved["energy_t"].reshape(network.n_modes, -1)[-1] / solved["energy_terminal"].item() - 1) - 0.01
        last = np.flatnonzero(off > 0)[-1]
        return x[last] + (x[last + 1] - x[last]) * off[last] / (off[last] - off[last + 1])

    return lambda topology, coupling: np.array(
        [settling_time(build(topology, coupling, N), optimal_coupling(topology, N, KAPPA)) for N in SIZES_SETTLING]
    )


@pytest.mark.parametrize(("topology", "coupling"), list(SETTLING))
def test_settling_times(settling, topology, coupling):
    """Linear interpolation on steps of h = 0.01 errs by h^2/8 |E''/E'| ~ 1e-5; half a unit of the last digit."""
    assert settling(topology, coupling) == pytest.approx(SETTLING[topology, coupling], abs=1e-4)


def test_settling_of_the_reciprocal_chain_levels_off(settling):
    """The paper says that it grows about linearly with N; at J_op^c(N) it does not, the exact solution says."""
    times = settling("cascaded", "reciprocal")
    assert np.argmax(times) == SIZES_SETTLING.index(4)
    assert np.all(np.diff(times[3:]) < 0)
    assert times.max() < 1.2 * times.min()


def test_settling_by_hand_for_one_battery(settling):
    """One nonreciprocal battery at J_op = kappa/2: alpha = alpha_ss [1 - e^{-x} (1 + x)], x = kappa t."""
    x = brentq(lambda x: 1 - (1 - np.exp(-x) * (1 + x)) ** 2 - 0.01, 1, 20)
    assert settling("cascaded", "nonreciprocal")[0] == pytest.approx(x, abs=1e-4)
    assert settling("parallel", "nonreciprocal")[0] == pytest.approx(x, abs=1e-4)


def test_settling_trends(settling):
    assert np.all(np.diff(settling("cascaded", "nonreciprocal")) < 0)
    assert np.all(np.diff(settling("parallel", "nonreciprocal")) > 0)
    assert np.ptp(settling("parallel", "reciprocal")) < 1e-6


@pytest.mark.parametrize("N", [8, 32])
def test_delay_of_the_reciprocal_chain_at_fixed_coupling_is_the_propagation_time(points, N):
    """At fixed J the front needs N / (2J): by a half of that the terminal battery holds nothing, soon after it does."""
    J, kappa = 1.0, 1e-3
    product = points(cascaded(N, coupling="reciprocal"), J, kappa, 1.0, times=np.array([0.5, 1.5]) * N / (2 * J))
    before, after = solved_moments(product, ["energy_t"])["energy_t"].reshape(N + 1, 2)[-1]
    assert before < 1e-3 * after


def test_driven_kerr_mode_is_the_ratio_of_hypergeometric_functions():
    """Drummond and Walls (1980) in 40 digits, on both sides of bistability and for both signs of K."""
    rng = np.random.default_rng(0)
    points = [(0.2, -3.0, 1.0, epsilon) for epsilon in (3.3, 3.4, 3.8)]
    for _ in range(30):
        K = float(10 ** rng.uniform(-1.3, 1) * rng.choice([-1, 1]))
        points.append((K, float(3 * rng.normal()), float(10 ** rng.uniform(-1, 1)), float(10 ** rng.uniform(-3, 0.8))))
    for K, detuning, kappa, epsilon in points:
        with mp.workdps(40):
            c, z = 2 * mp.mpc(detuning, -kappa / 2) / K, 2 * mp.mpf(epsilon) / K
            numerator, denominator = (mp.hyper([], [b, mp.conj(b)], 2 * z**2) for b in (c + 1, c))
            exact = float(mp.re(z**2 / abs(c) ** 2 * numerator / denominator))
        assert cf.kerr_energy(K, detuning, kappa, epsilon) == pytest.approx(exact, rel=1e-13)
    assert cf.kerr_energy(0.2, -3.0, 1.0, 3.4) == pytest.approx(11.278502, abs=1e-6)
    assert cf.kerr_energy(0.2, -3.0, 1.0, 0.0) == 0
    with pytest.raises(QbsweepError, match="closed form"):
        cf.kerr_energy(0.0, -3.0, 1.0, 3.4)
