"""What a point is expected to take, against what it takes: counted applications, levels and solutions, not seconds."""

import math

import numpy as np
import pytest
from scipy.special import factorial

from qbsweep.physics.fock import task as tasks
from qbsweep.physics.fock.climb import solve_auto, solve_fixed
from qbsweep.physics.fock.cost import evolution_applications, predict_seconds, steady_applications
from qbsweep.physics.fock.expected import expected_solutions
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.photons import classical_populations, photon_numbers
from qbsweep.physics.fock.point import solve_model
from qbsweep.physics.fock.task import Task
from qbsweep.physics.network import scaled
from qbsweep.physics.topologies import TOPOLOGIES

KAPPA = 0.003
BUDGET = 5e6


def random_model(rng, levels, *, quiet=False):
    """A point anywhere where sweeps go: all networks, baths, frames; a quiet one is linear and needs few levels."""
    N = int(rng.choice([1, 1, 1, 2]))
    build = TOPOLOGIES[str(rng.choice(["cascaded", "parallel"]))].build
    options = {
        "coupling": str(rng.choice(["nonreciprocal", "reciprocal"])),
        "realization": str(rng.choice(["phase-half-pi", "phase-zero"])),
    }
    network = scaled(build(N, **options), KAPPA * 10 ** rng.uniform(-0.5, 0.5), KAPPA)
    frame = str(rng.choice(["lab", "displaced"]))
    return fock_model(
        network,
        levels if isinstance(levels, int) else int(rng.integers(*levels[N])),
        epsilon=float(10 ** rng.uniform(-3.3, -2.8 if quiet else -2.3)),
        n_th=float(rng.choice([0, 0.1, 0.3, 0.3 if quiet else 1])),
        r=float(rng.choice([0, 0, 0.2, 0.2 if quiet else 0.5])),
        kerr=float(rng.choice([0, 0.003])) if frame == "lab" and not quiet else 0.0,
        frame=frame,
    )


@pytest.mark.parametrize("steady", [True, False], ids=["steady", "evolution"])
def test_applications_are_predicted_within_a_factor_of_two(steady):
    rng = np.random.default_rng(1)
    ratios = []
    while len(ratios) < 30:
        model = random_model(rng, {1: (3, 11), 2: (3, 5)})
        if steady:
            counted, predicted = solve_model(model).applications, steady_applications(model)
        else:
            times = np.linspace(0, 10 / KAPPA, 5).tolist()
            counted = solve_model(model, times=times, steady=False).applications
            predicted = evolution_applications(model, times[-1])
        ratios.append(abs(math.log2(counted / predicted)))
    assert np.mean(np.array(ratios) < 1) >= 0.9
    assert max(ratios) < 2


def test_applications_do_not_depend_on_what_is_not_asked_for():
    model = random_model(np.random.default_rng(0), 5)
    both = predict_seconds(model, times=50)
    assert max(predict_seconds(model), predict_seconds(model, times=50, steady=False)) < both


def test_photon_numbers_of_known_states():
    n = np.arange(30)
    assert photon_numbers(2.0, 0.0, 0.0)[:30] == pytest.approx(np.exp(-2.0) * 2.0**n / factorial(n), abs=1e-14)
    assert photon_numbers(0.0, 1.5, 0.0)[:30] == pytest.approx(0.4 * 0.6**n, abs=1e-14)
    r = 0.7
    squeezed = photon_numbers(0.0, math.sinh(r) ** 2, math.sinh(r) * math.cosh(r))
    assert squeezed[1:30:2] == pytest.approx(0.0, abs=1e-14)
    pairs = np.arange(15)
    weights = factorial(2 * pairs) / (factorial(pairs) ** 2 * 4.0**pairs) * math.tanh(r) ** (2 * pairs) / math.cosh(r)
    assert squeezed[0:30:2] == pytest.approx(weights, abs=1e-14)


def test_classical_populations_without_kerr_are_those_of_the_drift_matrix():
    network = scaled(TOPOLOGIES["cascaded"].build(1, coupling="nonreciprocal"), KAPPA / 2, KAPPA)
    model = fock_model(network, 4, epsilon=0.001)
    assert classical_populations(model, 50 / KAPPA)[1, 0] == pytest.approx(1 / 9, rel=1e-6)  # (4): eps^2/kappa^2
    turned = fock_model(network, 4, epsilon=0.001, kerr=1.0)
    assert classical_populations(turned, 50 / KAPPA)[1, 0] < 0.05  # a Kerr term detunes what fills


@pytest.mark.parametrize("timed", [False, True], ids=["steady", "evolution"])
def test_the_levels_of_a_climb_are_predicted(timed):
    rng = np.random.default_rng(2)
    times = np.linspace(0, 10 / KAPPA, 5).tolist() if timed else None
    ratios = []
    while len(ratios) < 14:
        model = random_model(rng, 4, quiet=True)
        task = Task(times, memory_budget=BUDGET)
        found = solve_auto(model, task)
        expected = expected_solutions(model, task, climbs=True)
        ratios.append(max(expected[-1].levels) / max(found.result.levels))
    assert np.mean([0.7 <= ratio <= 1.3 for ratio in ratios]) >= 0.85
    assert all(0.5 <= ratio <= 2 for ratio in ratios)


@pytest.mark.parametrize("kerr", [0.0, 0.003])
def test_the_solutions_of_a_point_are_those_expected(kerr, monkeypatch):
    """Also those that only a verdict needs: without exact moments, or below the tolerance."""
    solved = []

    def counting(model, **options):
        solved.append(model.levels)
        return solve_model(model, **options)

    monkeypatch.setattr(tasks, "solve_model", counting)
    network = scaled(TOPOLOGIES["cascaded"].build(1, coupling="nonreciprocal"), KAPPA, KAPPA)
    model = fock_model(network, 4, epsilon=0.001, kerr=kerr)
    task = Task(memory_budget=BUDGET)
    solve_auto(model, task)
    expected = expected_solutions(model, task, climbs=True)
    assert [one.levels for one in expected] == solved
    for levels, tolerance, count in ((9, 1e-3, 2), (5, 1e-3, 2), (5, 1e-4, 3), (4, 3e-4, 2)):
        solved.clear()
        task = Task(tolerance=tolerance, memory_budget=BUDGET)
        solve_fixed(model.with_levels((levels, levels)), task)
        expected = expected_solutions(model.with_levels((levels, levels)), task, climbs=False)
        assert [one.levels for one in expected] == solved
        assert len(solved) == count or not kerr


def test_a_point_without_a_steady_state_is_one_solution():
    network = TOPOLOGIES["cascaded"].build(1, coupling="reciprocal")
    lossless = scaled(network, KAPPA, 0.0)
    model = fock_model(lossless, 4, epsilon=0.001)
    assert expected_solutions(model, Task(memory_budget=BUDGET), climbs=True) == [model]
    assert predict_seconds(model) > 0
