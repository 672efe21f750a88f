"""Local polynomials: exact where they must be, and errors that cover the truth."""

import math
from itertools import pairwise

import numpy as np
import pytest

from qbsweep.analysis.fits import MIN_SAMPLES, crossing_near, limit, maximum_near, slope_at, value_at
from qbsweep.physics import closed_forms


def curve(N: int, count: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """The nonreciprocal chain over a factor of 16 in J; the maximum is at x = 0."""
    J_op = float(closed_forms.cascaded_optimal_coupling(N, 1.0))
    x = np.linspace(-math.log(4), math.log(4), count) + shift
    energy = closed_forms.nonreciprocal_cascaded_energy(N, N, J_op * np.exp(x), 1.0, 1.0)
    return x, energy / energy.max()


@pytest.mark.parametrize("count", [7, 9, 11, 15, 21, 41, 101, 201])
def test_error_of_a_maximum_covers_the_truth_on_smooth_curves(count: int) -> None:
    rng = np.random.default_rng(count)
    for N in (1, 2, 5, 10, 50):
        for shift in rng.uniform(-0.6, 0.6, 4):
            x, y = curve(N, count, shift)
            found = maximum_near(x, y, int(y.argmax()))
            if found is None:
                assert count <= 9  # so few may not show a curvature worth the name
                continue
            assert abs(found.x) <= found.x_error


def test_a_maximum_converges_with_the_fourth_power_of_the_step_or_better() -> None:
    errors = []
    for count in (21, 41, 81):
        x, y = curve(4, count, 0.1)
        found = maximum_near(x, y, int(y.argmax()))
        assert found is not None
        errors.append((abs(found.x), found.x_error))
    for (actual, estimated), (finer, finer_estimate) in pairwise(errors):
        assert finer < actual / 16
        assert finer_estimate < estimated / 8


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 1e-2])
@pytest.mark.parametrize("count", [101, 401])
def test_error_of_a_maximum_covers_the_truth_under_noise(noise: float, count: int) -> None:
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(60):
        x, y = curve(4, count, 0.1)
        y = y * (1 + noise * rng.standard_normal(count))
        found = maximum_near(x, y, int(y.argmax()))
        assert found is not None
        assert found.x_error < 3 * noise**0.5  # of the width over which the peak falls by the noise
        covered.append(abs(found.x) <= found.x_error)
    assert np.mean(covered) >= 0.85


def test_a_gap_at_the_maximum_costs_accuracy_and_says_so() -> None:
    x, y = curve(4, 201, 0.0)
    keep = np.abs(x - 0.05) > 0.15
    full, gappy = (maximum_near(x[k], y[k], int(y[k].argmax())) for k in (slice(None), keep))
    assert full is not None
    assert gappy is not None
    assert abs(gappy.x) <= gappy.x_error
    assert gappy.x_error > 10 * full.x_error


def test_a_parabola_is_found_exactly() -> None:
    x = np.array([0.0, 0.1, 0.25, 0.4, 0.8, 0.9, 1.3, 1.4])
    found = maximum_near(x, 2 - (x - 0.7) ** 2, 4)
    assert found is not None
    assert found.x == pytest.approx(0.7, abs=1e-12)
    assert found.y == pytest.approx(2, abs=1e-12)
    assert found.x_error < 1e-10


def test_the_steepest_rise_of_a_sigmoid() -> None:
    x = np.linspace(-3, 4, 141)
    y = np.tanh(x - 0.123)
    found = maximum_near(x, y, int(np.gradient(y, x).argmax()), order=1)
    assert found is not None
    assert abs(found.x - 0.123) <= found.x_error < 1e-3
    assert abs(found.y - 1) <= found.y_error < 1e-4


def test_a_crossing_between_samples() -> None:
    x = np.linspace(0, 2, 41)
    found = crossing_near(x, np.cos(x), 31)
    assert found is not None
    assert abs(found.x - math.pi / 2) <= found.x_error < 1e-6


def test_values_and_slopes_between_samples_and_none_beyond() -> None:
    x = np.linspace(0, 2, 41)
    for where in (0.013, 0.777, 1.99):
        value, error = value_at(x, np.sin(x), where)
        assert abs(value - math.sin(where)) <= error < 1e-6
        slope, error = slope_at(x, np.sin(x), where)
        assert abs(slope - math.cos(where)) <= error < 1e-4
    assert value_at(x, np.sin(x), float(x[3])) == (math.sin(x[3]), 0.0)
    assert all(map(math.isnan, value_at(x, np.sin(x), 2.1)))
    assert all(map(math.isnan, value_at(x[: MIN_SAMPLES - 1], np.sin(x[: MIN_SAMPLES - 1]), 0.01)))


@pytest.mark.parametrize("power", [2.0, 1.0])
def test_a_limit(power: float) -> None:
    x = np.geomspace(1, 60, 60)
    value, error = limit(x, 3 / (1 + 0.4 / x**power), [power])
    assert abs(value - 3) <= error < 1e-6


def test_no_limit_from_few_samples() -> None:
    assert all(map(math.isnan, limit(np.array([1.0, 2.0, 3.0]), np.ones(3), [1.0])))
