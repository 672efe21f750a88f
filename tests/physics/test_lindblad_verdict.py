"""Finding 3, convergence to the exact moments, the verdict, the automatic climb, and predicted cost."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from qbsweep.errors import QbsweepError
from qbsweep.physics import gaussian
from qbsweep.physics.fock.climb import solve_auto, solve_fixed
from qbsweep.physics.fock.cost import predict_memory, predict_seconds
from qbsweep.physics.fock.exact import exact_values
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.point import solve, solve_model
from qbsweep.physics.fock.task import Task
from qbsweep.physics.fock.verdict import (
    judge,
    measured_error,
    sufficient_levels,
    truncation_error,
)
from qbsweep.physics.matrices import drift_matrix, jump_operators
from qbsweep.physics.topologies import cascaded, parallel

KAPPA = 0.003
J_OP = KAPPA / 2  # N = 1
FINDING = {"epsilon": 0.001, "n_th": 0.3}


def moments_by_ode(network, epsilon, P, Q, end):
    """Energy and ergotropy at `end` from the moment equations, integrated as they stand."""
    M, L = drift_matrix(network), jump_operators(network)
    n = len(M)
    noise = P * np.einsum("lj,lk->jk", L, L.conj())
    pairs = np.conj(Q) * np.einsum("lj,lk->jk", L.conj(), L.conj())
    force = np.zeros(n, dtype=complex)
    force[0] = -1j * epsilon

    def slope(_, y):
        alpha, C, S = y[:n], y[n : n + n * n].reshape(n, n), y[n + n * n :].reshape(n, n)
        return np.concatenate(
            [
                M @ alpha + force,
                (M.conj() @ C + C @ M.T + noise).ravel(),
                (M @ S + S @ M.T + pairs).ravel(),
            ]
        )

    y = solve_ivp(slope, (0, end), np.zeros(n + 2 * n * n, dtype=complex), rtol=1e-11, atol=1e-14).y[:, -1]
    coherent = np.abs(y[:n]) ** 2
    C, S = np.diagonal(y[n : n + n * n].reshape(n, n)).real, np.diagonal(y[n + n * n :].reshape(n, n))
    return gaussian.energy(coherent, C), gaussian.ergotropy(coherent, C, S)


@pytest.mark.parametrize("coupling", ["nonreciprocal", "reciprocal"])
def test_exact_values_solve_the_moment_equations(coupling):
    network = cascaded(2, 1.3 * KAPPA, KAPPA, coupling, "phase-zero")
    model = fock_model(network, 3, epsilon=0.001, n_th=0.4, r=0.5, theta_r=0.8)
    for end in (300.0, 20_000.0):
        want = moments_by_ode(network, 0.001, model.occupation, model.anomaly, end)
        np.testing.assert_allclose(np.array(exact_values(model, [end]))[:, :, 0], want, rtol=1e-8)
    np.testing.assert_allclose(np.array(exact_values(model, None))[:, :, 0], want, rtol=1e-8)


def test_thermal_ergotropy_is_a_truncation_artefact_in_the_lab_frame():
    network = cascaded(1, J_OP, KAPPA)
    lab, displaced = (solve(network, 6, frame=frame, **FINDING) for frame in ("lab", "displaced"))
    assert lab.ergotropy[1] == pytest.approx(0.101281, abs=5e-7)
    assert lab.energy[1] == pytest.approx(0.4026, abs=5e-5)
    assert displaced.ergotropy[1] == pytest.approx(1 / 9, abs=1e-8)
    model = fock_model(network, 6, **FINDING)
    verdict = judge(model, lab, measured_error(model, lab, None))
    assert verdict.suspect
    assert verdict.truncation_error == pytest.approx(1 - 0.10128064 / (1 / 9), rel=1e-3)
    assert "truncation error" in verdict.reason
    assert solve(network, 12, **FINDING).ergotropy[1] == pytest.approx(0.111098, abs=5e-7)


def test_auto_levels_find_the_exact_ergotropy():
    found = solve_auto(fock_model(cascaded(1, J_OP, KAPPA), 4, **FINDING), Task(memory_budget=1e9))
    assert not found.verdict.suspect
    assert found.verdict.truncation_error <= 1e-3
    assert found.verdict.sufficient_levels == max(found.result.levels)
    assert found.result.ergotropy[1] == pytest.approx(1 / 9, rel=1e-3)


def test_auto_levels_stop_at_the_budget_and_say_so():
    found = solve_auto(fock_model(cascaded(1, J_OP, KAPPA), 4, **FINDING), Task(memory_budget=1.2e6, tolerance=1e-8))
    assert found.verdict.suspect
    assert "limits" in found.verdict.reason
    assert found.verdict.sufficient_levels > max(found.result.levels)
    with pytest.raises(QbsweepError, match="take fewer levels, fewer batteries or more `memory`"):
        solve_auto(fock_model(cascaded(2, J_OP, KAPPA), 4, **FINDING), Task(memory_budget=1e3))


def test_auto_levels_that_begin_beyond_the_highest_are_solved_and_go_no_further():
    found = solve_auto(fock_model(cascaded(1, 0.5, 1.0), (3, 201), epsilon=0.3), Task(memory_budget=1e9))
    assert found.result.levels == (3, 201)
    assert found.verdict.suspect
    assert "251 levels would exceed the limits" in found.verdict.reason


def test_auto_levels_of_a_kerr_network_compare_levels():
    network = cascaded(1, KAPPA, KAPPA, "reciprocal")
    found = solve_auto(fock_model(network, 4, epsilon=0.001, n_th=0.1, kerr=0.003), Task(memory_budget=1e8))
    assert not found.verdict.suspect
    finer = solve(network, max(found.result.levels) + 4, epsilon=0.001, n_th=0.1, kerr=0.003)
    result = found.result
    assert truncation_error(result.energy, result.ergotropy, finer.energy, finer.ergotropy) <= 2e-3


def test_qubits_are_no_truncation():
    network = cascaded(1, KAPPA, KAPPA, "reciprocal")
    found = solve_auto(fock_model(network, {"charger": 4, "battery": 2}, epsilon=0.001), Task(memory_budget=1e8))
    assert found.result.levels[1] == 2
    assert not found.verdict.suspect
    assert found.result.top_population < 1e-3 < found.result.energy[1]


@pytest.mark.parametrize("parameters", [{"n_th": 0.3}, {"r": 0.3}, {"n_th": 0.2, "r": 0.2, "theta_r": 0.7}])
@pytest.mark.parametrize("frame", ["lab", "displaced"])
def test_error_falls_geometrically_with_the_levels(parameters, frame):
    network = cascaded(1, J_OP, KAPPA, realization="phase-zero")
    times = [500.0, 1500.0]
    errors = []
    for levels in (5, 9, 13, 17):
        model = fock_model(network, levels, epsilon=0.001, frame=frame, **parameters)
        errors.append(measured_error(model, solve_model(model, times=times), times))
    ratios = np.array(errors[1:]) / errors[:-1]
    assert np.all(ratios < 0.5), errors
    assert errors[-1] < 5e-3, errors


def test_two_batteries_converge_in_the_displaced_frame():
    network = parallel(2, 0.4 * KAPPA, KAPPA)
    model = fock_model(network, 8, epsilon=0.01, n_th=0.2, frame="displaced")
    assert measured_error(model, solve_model(model), None) < 1e-3


def test_strong_drive_converges_only_in_the_displaced_frame():
    network = cascaded(1, J_OP, KAPPA)
    errors = {}
    for frame in ("lab", "displaced"):
        model = fock_model(network, 6, epsilon=0.01, frame=frame)
        errors[frame] = measured_error(model, solve_model(model), None)
    assert errors["displaced"] < 1e-8
    assert errors["lab"] > 0.1


def test_truncation_error_floors_its_denominators():
    exact = np.array([2.0, 1.0]), np.array([0.0, 0.5])
    assert truncation_error(exact[0], np.array([1e-6, 0.5]), *exact) == pytest.approx(1e-6 / 2e-3)
    assert truncation_error(np.array([np.nan, 1.0]), exact[1], *exact) == math.inf
    assert truncation_error(*(np.zeros((2, 3)),) * 4) == 0.0


def test_sufficient_levels_extrapolates():
    assert sufficient_levels([(4, 1e-1), (6, 1e-2)], 1e-4) == 10
    assert sufficient_levels([(4, 1e-1), (6, 1e-4)], 1e-3) == 6
    assert sufficient_levels([(4, 1e-1)], 1e-3) is None
    assert sufficient_levels([(4, 1e-2), (6, 1e-1)], 1e-3) is None


@pytest.mark.parametrize(
    ("levels", "parameters", "message"),
    [
        (1, {}, "`fock_levels` must be at least 2, but is 1"),
        (2.5, {}, "`fock_levels`"),
        ([4, 4, 4], {}, "one per mode"),
        ({"charger": 4}, {}, "levels of the battery"),
        ({"charger": 4, "bettery": 2}, {}, "did you mean 'battery'"),
        (4, {"frame": "lap"}, "`frame` must be"),
        (4, {"n_th": -1.0}, "`n_th`"),
        (4, {"epsilon": math.nan}, "`epsilon`"),
        (4, {"kerr": [1.0]}, "`kerr`"),
        (4, {"kerr": 0.1, "frame": "displaced"}, "`kerr` is not 0"),
        ((4, 2), {"frame": "displaced"}, "mode 1 is a qubit"),
    ],
)
def test_mistakes_get_a_sentence(levels, parameters, message):
    with pytest.raises(QbsweepError, match=message):
        solve(cascaded(1, KAPPA, KAPPA), levels, **{"epsilon": 0.001, **parameters})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": [2.0, 1.0]}, "`times`"),
        ({"times": []}, "`times`"),
        ({"steady": False}, "nothing to solve"),
        ({"engine": "quick"}, "`engine` must be"),
    ],
)
def test_mistaken_options_get_a_sentence(options, message):
    with pytest.raises(QbsweepError, match=message):
        solve(cascaded(1, KAPPA, KAPPA), 3, epsilon=0.001, **options)


def test_a_tolerance_of_zero_is_refused():
    with pytest.raises(QbsweepError, match="`tolerance` must be above 0"):
        solve_auto(fock_model(cascaded(1, KAPPA, KAPPA), 4, epsilon=0.001), Task(memory_budget=1e9, tolerance=0))


def test_a_lossless_network_has_no_steady_state():
    with pytest.raises(QbsweepError, match="losses"):
        solve(cascaded(1, KAPPA, [0.0, 0.0], "reciprocal"), 3, epsilon=0.001)
    model = fock_model(cascaded(1, KAPPA, [0.0, 0.0], "reciprocal"), 6, epsilon=1e-4)
    found = solve_fixed(model, Task([500.0], steady=False))
    assert found.verdict.word == "certified", found.verdict.reason


MEMORY = [
    (1, 12, {"n_th": 1.0}),
    (2, 5, {"n_th": 1.0}),
    (2, 5, {"n_th": 0.5, "r": 0.3, "theta_r": 1.0}),
    (2, 7, {"n_th": 1.0, "frame": "displaced"}),
    (1, 24, {"n_th": 1.0, "frame": "displaced"}),
]


@pytest.mark.parametrize(("N", "levels", "parameters"), MEMORY)
@pytest.mark.parametrize("kind", ["steady", "evolution"])
def test_predicted_memory_is_measured(N, levels, parameters, kind):
    network = cascaded(N, KAPPA * N / 2, KAPPA)
    times = np.linspace(0, 10 / KAPPA, 100)
    options = {"steady": True} if kind == "steady" else {"steady": False, "times": times}
    solve(network, 3, **{"epsilon": 0.001, **parameters}, **options)  # compiles outside the measurement
    model = fock_model(network, levels, epsilon=0.001, **parameters)
    tracemalloc.start()
    try:
        solve_model(model, **options)
        measured = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    count = 0 if kind == "steady" else len(times)
    predicted = predict_memory(model, steady=kind == "steady", times=count, end=float(times[-1]))
    assert predicted == pytest.approx(measured, rel=0.2)


def test_predicted_seconds_grow_with_the_levels():
    network = cascaded(2, KAPPA, KAPPA)
    for frame in ("lab", "displaced"):
        models = [fock_model(network, d, epsilon=0.001, n_th=1.0, frame=frame) for d in (4, 6, 8)]
        seconds = [predict_seconds(model, times=100) for model in models]
        assert 0 < seconds[0] < seconds[1] < seconds[2] < 10
