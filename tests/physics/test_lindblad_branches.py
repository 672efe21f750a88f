"""Points without exact moments: classical branches, the gap between them, the leak, and the verdict that follows."""

import math

import numpy as np
import pytest
from scipy.optimize import root

from qbsweep.physics.closed_forms import kerr_energy
from qbsweep.physics.fock import qutip_reference, steady
from qbsweep.physics.fock.branches import classical_branches, is_multistable, levels_for, outside
from qbsweep.physics.fock.climb import solve_auto, solve_fixed
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.number_blocks import build_operator
from qbsweep.physics.fock.operator import DenseOperator
from qbsweep.physics.fock.point import leak, solve_model
from qbsweep.physics.fock.steady import slowest_rate, steady_state
from qbsweep.physics.fock.task import Task
from qbsweep.physics.fock.terms import generator
from qbsweep.physics.fock.verdict import difference, energy_error
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.network import Edge, Network


def charger(epsilon, levels, K=0.2, detuning=-3.0, J=0.001, **more):
    """A driven Kerr charger with a battery that hardly notices."""
    network = Network((1.0, 1.0), (Edge(0, 1, J),), (detuning, 0.0))
    return fock_model(network, levels, epsilon=epsilon, kerr=(K, 0.0), **more)


def random_model(rng, levels=(6, 6), *, kerr=(True, True)):
    """Two coupled modes, driven hard enough for several branches more often than not."""
    J = 10 ** rng.uniform(-1.5, -0.3)
    network = Network(
        (1.0, 10 ** rng.uniform(-0.5, 0.5)),
        (Edge(0, 1, J, theta=rng.uniform(0, 6), Gamma=rng.choice([0, 2 * J])),),
        tuple(-rng.uniform(1, 4, 2)),
    )
    strengths = tuple(float(rng.uniform(0.1, 0.6)) if one else 0.0 for one in kerr)
    return fock_model(network, levels, epsilon=float(rng.uniform(0.5, 3)), kerr=strengths)


def slope(model, alpha):
    """The amplitude equations as they stand, a qubit with its own inversion; see `branches`."""
    M, kerr = drift_matrix(model.network), np.array(model.kerr)
    out = M @ alpha - 1j * kerr * np.abs(alpha) ** 2 * alpha
    out[0] -= 1j * model.epsilon
    for m in np.flatnonzero(model.qubits):
        # s = <sigma>, inversion w: 0 = M_mm s + w F and w = 1 - 2 p, where the decay of p balances what F feeds in.
        field = M[m] @ alpha - M[m, m] * alpha[m] - (1j * model.epsilon if m == 0 else 0)
        w = 1 - 4 * (np.conj(field) * alpha[m]).real / (-2 * M[m, m].real)
        out[m] = M[m, m] * alpha[m] + w * field
    return out


def real_slope(x, model):
    out = slope(model, x[:2] + 1j * x[2:])
    return np.concatenate([out.real, out.imag])


@pytest.mark.parametrize(
    ("levels", "kerr"),
    [
        ((6, 6), (True, False)),
        ((6, 6), (False, True)),
        ((6, 6), (True, True)),
        ((6, 2), (False, False)),
        ((6, 2), (True, False)),
    ],
)
def test_no_search_finds_a_fixed_point_beyond_the_branches(levels, kerr):
    """With one nonlinear mode all are there; with two, those that need the most levels are, and one more is no news."""
    rng = np.random.default_rng(5)
    several = 0
    for _ in range(10):
        model = random_model(rng, levels, kerr=kerr)
        branches = classical_branches(model)
        several += len(branches) > 1
        only = sum(kerr) + sum(model.qubits) == 1
        for alpha in branches:
            assert np.linalg.norm(slope(model, alpha)) < 1e-6 * model.epsilon
        for _ in range(40):
            found = root(real_slope, rng.normal(size=4) * 10 ** rng.uniform(-1, 1), args=(model,), tol=1e-12)
            if np.linalg.norm(found.fun) < 1e-10:
                alpha = found.x[:2] + 1j * found.x[2:]
                is_known = np.min(np.linalg.norm(branches - alpha, axis=1)) < 1e-5 * (1 + np.linalg.norm(alpha))
                assert is_known or not only
                assert is_known or len(branches) > 1
                assert levels_for(model, np.vstack([branches, alpha])) == levels_for(model, branches)
    assert several > 0 or not kerr[0]


def test_a_lossless_linear_mode_can_be_eliminated():
    network = Network((1.0, 0.0), (Edge(0, 1, 0.5),), (-3.0, 0.3))
    model = fock_model(network, 6, epsilon=3.4, kerr=(0.2, 0.0))
    branches = classical_branches(model)
    assert len(branches) in (1, 3)
    for alpha in branches:
        assert np.linalg.norm(slope(model, alpha)) < 1e-6


@pytest.mark.parametrize(("kappa", "levels", "kerr"), [((0, 1), (12, 12), (0.2, 0.2)), ((0, 1), (2, 12), (0, 0.2))])
def test_a_lossless_nonlinear_charger_is_solved(kappa, levels, kerr):
    """Its own response has no end where it is not detuned; the battery's loss is that of the network."""
    model = fock_model(Network(kappa, (Edge(0, 1, 0.5),)), levels, epsilon=0.5, kerr=kerr)
    found = solve_fixed(model, Task())
    assert found.verdict.word == "converged", found.verdict.reason
    finer = solve_model(model.with_levels(tuple(d if d == 2 else d + 6 for d in levels)))
    np.testing.assert_allclose(found.result.energy, finer.energy, 1e-3)


def test_without_a_classical_state_the_numbers_are_kept_and_suspect():
    model = fock_model(Network((1.0, 0.0), (Edge(0, 1, 0.5),)), (12, 2), epsilon=0.5, kerr=(0.2, 0.0))
    found = solve_fixed(model, Task())
    assert found.verdict.word == "suspect-branches"
    assert "no classical state was found" in found.verdict.reason
    assert np.isfinite(found.result.energy).all()
    assert solve_auto(model, Task(memory_budget=1e8)).verdict.word == "suspect-branches"


def test_branches_of_the_bistable_charger():
    model = charger(3.4, (15, 3))
    branches = classical_branches(model)
    assert np.abs(branches[:, 0]) ** 2 == pytest.approx([1.5425, 10.3424, 18.1150], abs=1e-3)
    assert is_multistable(model, branches)
    assert levels_for(model, branches) == (32, 2)
    assert outside(model, branches) == "a classical branch with 18.1 quanta in mode 0 needs 32 levels, but has 15"
    assert outside(charger(3.4, (32, 3)), branches) == ""
    quiet = charger(1.0, 4)
    assert not is_multistable(quiet, classical_branches(quiet))


def test_fluctuations_shift_the_branches():
    cold, warm = (charger(3.0, 4, n_th=n_th) for n_th in (0.0, 0.5))
    assert len(classical_branches(cold)) == 3
    assert len(classical_branches(warm)) in (4, 6)  # with and without the shift 2 K C
    assert levels_for(warm, classical_branches(warm))[0] > levels_for(cold, classical_branches(cold))[0]


@pytest.mark.parametrize("levels", [(15, 3), (30, 3)])
@pytest.mark.parametrize("epsilon", [3.3, 3.4])
def test_a_branch_above_the_levels_makes_a_point_suspect(epsilon, levels):
    found = solve_fixed(charger(epsilon, levels), Task())
    assert found.verdict.word == "suspect-branches"
    assert "a classical branch with 18" in found.verdict.reason
    assert found.verdict.sufficient_levels == 32
    truth = kerr_energy(0.2, -3.0, 1.0, epsilon)
    assert abs(found.result.energy[0] / truth - 1) > 0.5  # it is right to be: the number is far off


@pytest.mark.parametrize(("epsilon", "levels"), [(3.3, (40, 2)), (3.4, (40, 3))])
def test_levels_that_hold_all_branches_are_right(epsilon, levels):
    found = solve_fixed(charger(epsilon, levels), Task())
    assert found.verdict.word == "converged", found.verdict.reason
    assert found.result.energy[0] == pytest.approx(kerr_energy(0.2, -3.0, 1.0, epsilon), rel=1e-4)
    assert found.result.error < 1e-9
    assert found.result.gap < 1e-3


def test_a_climb_begins_where_all_branches_fit():
    found = solve_auto(charger(3.4, 4), Task(memory_budget=1e9))
    assert found.verdict.word == "converged", found.verdict.reason
    assert found.result.energy[0] == pytest.approx(kerr_energy(0.2, -3.0, 1.0, 3.4), rel=1e-3)
    assert found.result.levels[0] >= 32 > 10 > found.result.levels[1]


def test_a_mode_that_holds_nothing_needs_no_levels():
    """The same charger with nothing behind it: its battery stays empty, and is not what the climb runs into."""
    alone = fock_model(Network((1.0, 1.0), (Edge(0, 1, 0.0),), (-3.0, 0.0)), 4, epsilon=3.4, kerr=(0.2, 0.0))
    found = solve_auto(alone, Task(memory_budget=1e9))
    assert found.verdict.word == "converged", found.verdict.reason
    assert found.result.energy == pytest.approx([kerr_energy(0.2, -3.0, 1.0, 3.4), 0.0], rel=1e-3)
    assert found.result.levels[1] <= 4


def test_a_climb_that_cannot_hold_a_branch_says_so():
    found = solve_auto(charger(3.4, 4), Task(memory_budget=1e6))
    assert found.verdict.word == "suspect-branches"
    assert "limits" in found.verdict.reason


@pytest.mark.parametrize(("K", "detuning", "epsilon"), [(1.0, -3.0, 2.0), (0.8, -2.5, 1.5), (1.2, -3.5, 1.4)])
def test_the_gap_is_that_of_the_whole_spectrum(K, detuning, epsilon):
    model = charger(epsilon, (14, 2), K, detuning, J=0.1)
    rates = np.sort(-np.linalg.eigvals(qutip_reference.liouvillian(model).full()).real)
    assert abs(rates[0]) < 1e-10 < rates[1]
    gap = solve_model(model, branches=classical_branches(model)).gap
    assert gap == pytest.approx(min(rates[1], 0.5), rel=0.4)


def test_an_unsolved_gap_vouches_for_nothing(monkeypatch):
    operator, _ = build_operator(charger(3.4, (12, 2)))
    state = operator.thermal(0.0)
    found = steady_state(operator, state, 0.5, gap=0.0)
    assert found.error == math.inf
    assert found.reason == ""
    direction = operator.thermal(0.5) - state
    assert 0 < slowest_rate(operator, direction, 0.5)[0] <= 0.5
    monkeypatch.setattr(steady, "_bicgstab2", lambda system, residual, target: 0.1 * residual)
    assert slowest_rate(operator, direction, 0.5)[0] == 0.0


def test_the_steady_state_does_not_depend_on_where_it_is_looked_for_from():
    """Also where the gap is 1e-4 of the losses: a diagonal that is not kept real moved weight between the branches."""
    model = charger(3.3, (40, 2))
    branches = classical_branches(model)
    energies = [solve_model(model, branches=branches[order]).energy[0] for order in ([0, 1, 2], [2, 1, 0])]
    assert energies[0] == pytest.approx(energies[1], rel=1e-8)
    assert energies[0] == pytest.approx(kerr_energy(0.2, -3.0, 1.0, 3.3), rel=1e-4)


def test_a_start_saves_applications_and_changes_nothing():
    model = charger(1.6, (16, 3), J=0.1)
    smaller, alone = solve_model(model.with_levels((14, 3))), solve_model(model)
    after = solve_model(model, start=smaller)
    assert after.applications < alone.applications
    np.testing.assert_allclose(after.energy, alone.energy, rtol=1e-7)


def test_the_leak_allows_for_more_than_the_error():
    rng = np.random.default_rng(8)
    shares = []
    while len(shares) < 12:
        model = random_model(rng, tuple(rng.integers(5, 10, 2).tolist()), kerr=(False, True))
        if is_multistable(model, classical_branches(model)) or outside(model, classical_branches(model)):
            continue
        result = solve_model(model)
        error = difference(result, solve_model(model.with_levels(tuple(2 * d for d in model.levels)), start=result))
        shares.append(energy_error(model, result, leak(model, result)) / error)
    assert min(shares) > 3


@pytest.mark.parametrize("levels", [(6, 10), (5, 2), (2, 3)])
def test_a_converged_point_is_right_and_too_few_levels_are_suspect(levels):
    """A Kerr battery behind a linear charger, and a qubit on either side of an oscillator."""
    rng = np.random.default_rng(sum(levels))
    words = set()
    for _ in range(6):
        model = random_model(rng, levels, kerr=(False, 2 not in levels))
        found = solve_fixed(model, Task())
        words.add(found.verdict.word)
        more = tuple(d if q else 2 * d for d, q in zip(model.levels, model.qubits, strict=True))
        error = difference(found.result, solve_model(model.with_levels(more), branches=classical_branches(model)))
        assert found.verdict.suspect or error < 2e-3, (model, found.verdict)
    assert len(words) > 1, words


@pytest.mark.parametrize("J", [0.01, 0.003])
@pytest.mark.parametrize("epsilon", [1e-4, 1e-3, 1e-2])
def test_small_energies_are_solved_to_their_own_size(epsilon, J):
    """A qubit that holds 1e-11 quanta or less: its weak answer is linear, ``|alpha|^2`` of the amplitude equations.

    The solutions that are compared begin one at the other: at an accuracy of 1e-9 both were off by 0.4 %, and agreed.
    """
    network = Network((1.0, 1.0), (Edge(0, 1, J),))
    model = fock_model(network, (8, 2), epsilon=epsilon)
    found = solve_fixed(model, Task())
    linear = epsilon**2 * np.abs(np.linalg.solve(drift_matrix(network), np.array([1.0, 0.0]))) ** 2
    wrong = np.max(np.abs(found.result.energy / linear - 1))
    assert found.verdict.suspect or wrong < 1e-3, found
    assert found.verdict.word == "converged" or epsilon < 1e-3


def test_energies_below_the_rounding_of_a_state_are_suspect():
    found = solve_fixed(fock_model(Network((1.0, 1.0), (Edge(0, 1, 0.5),)), 8, epsilon=1e-9, kerr=0.2), Task())
    assert found.verdict.suspect
    assert "an energy so small" in found.verdict.reason


@pytest.mark.parametrize("kappa", [1.0, 0.0])
def test_an_evolution_too_short_to_reach_a_branch_needs_no_levels_for_it(kappa):
    """The bistable charger from vacuum: 1.9 quanta at half a lifetime; or one without any loss."""
    short = Task([0.25, 0.5], steady=False)
    model = fock_model(
        Network((kappa, kappa), (Edge(0, 1, 0.001),), (-3.0, 0.0)), (15, 2), epsilon=3.4, kerr=(0.2, 0.0)
    )
    found = solve_fixed(model, short)
    assert found.verdict.word == "converged", found.verdict.reason
    exact = solve_model(model.with_levels((40, 3)), times=short.times, steady=False)
    np.testing.assert_allclose(found.result.energy_t, exact.energy_t, 1e-3)
    assert solve_fixed(model, Task([0.5, 50.0], steady=False)).verdict.suspect


def test_times_are_compared_with_fewer_levels():
    times = [0.5, 2.0]
    good, poor = (solve_fixed(charger(1.2, (d, d), J=0.5), Task(times, steady=False)) for d in (12, 5))
    assert good.verdict.word == "converged"
    assert poor.verdict.word == "suspect-truncation"


@pytest.mark.parametrize("parameters", [{"n_th": 0.5, "epsilon": 0.0}, {"n_th": 0.5, "epsilon": 1.0}])
def test_a_matrix_becomes_a_state_and_a_matrix_again(parameters):
    operator, _ = build_operator(fock_model(Network((1.0, 1.0), (Edge(0, 1, 0.5),)), 3, **parameters))
    x = operator.thermal(0.7)
    np.testing.assert_allclose(operator.state(operator.matrix(x)), x, atol=1e-15)


def test_packing_keeps_the_diagonal_real():
    model = charger(1.0, (4, 3), J=0.3)
    operator = DenseOperator(generator(model))
    assert operator.dtype.kind == "c"
    rho = np.diag(np.full(12, 1 / 12)) + 1e-3j * np.eye(12)
    packed = np.empty_like(operator.packed_diagonal())
    operator.pack(operator.state(rho), packed)
    back = operator.zeros()
    operator.unpack(packed, back)
    assert np.max(np.abs(np.diagonal(operator.matrix(back)).imag)) == 0
