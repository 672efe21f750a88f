"""The propagator's bound holds whatever ellipse it starts from, and what it cannot do it says."""

import numpy as np
import pytest
from scipy.special import ive

from qbsweep.physics.fock import propagator, steady
from qbsweep.physics.fock.bounds import spectral_ellipse
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.number_blocks import build_operator
from qbsweep.physics.fock.point import solve_model
from qbsweep.physics.fock.propagator import Ellipse, propagate
from qbsweep.physics.topologies import cascaded

KAPPA = 0.003
END = 10 / KAPPA
POINTS = {
    "thermal": (cascaded(1, KAPPA / 2, KAPPA), 6, {"epsilon": 0.001, "n_th": 1.0}),
    "reciprocal": (cascaded(1, 10 * KAPPA, KAPPA, "reciprocal"), 6, {"epsilon": 0.001, "n_th": 0.2}),
    "strong-drive": (cascaded(1, KAPPA / 2, KAPPA), 6, {"epsilon": 0.01}),
    "squeezed": (cascaded(1, KAPPA, KAPPA), 6, {"epsilon": 0.001, "r": 0.7}),
    "blocks": (cascaded(1, 5 * KAPPA, KAPPA, "reciprocal"), 7, {"epsilon": 0.0, "n_th": 1.0}),
}


@pytest.mark.parametrize("ellipse", [(10, 2), (30, 30), (300, 1), (300, 200), (5, 100)])
@pytest.mark.parametrize("name", POINTS)
def test_any_ellipse_gives_the_same_state(name, ellipse):
    """Far too small, too flat or too tall: the steps are repeated or shortened until the bound holds."""
    network, levels, parameters = POINTS[name]
    operator, terms = build_operator(fock_model(network, levels, **parameters))
    start = operator.thermal(0.0)
    good = spectral_ellipse(fock_model(network, levels, **parameters), terms)
    want = propagate(operator, start, [0.1 * END, END], good, keep_states=True)
    found = propagate(
        operator, start, [0.1 * END, END], Ellipse(ellipse[0] * KAPPA, ellipse[1] * KAPPA), keep_states=True
    )
    assert not found.reason
    for got, expected in zip(found.states, want.states, strict=True):
        difference = operator.matrix(got) - operator.matrix(expected)
        distance = float(np.sum(np.abs(np.linalg.eigvalsh(difference))))
        assert distance <= found.error + want.error <= 2e-9


def test_one_step_serves_every_time():
    network, levels, parameters = POINTS["thermal"]
    model = fock_model(network, levels, **parameters)
    operator, terms = build_operator(model)
    times = np.linspace(0, END, 50)
    found = propagate(operator, operator.thermal(0.0), times, spectral_ellipse(model, terms))
    assert found.steps == 1
    stepwise = propagate(operator, operator.thermal(0.0), times, spectral_ellipse(model, terms), keep_states=True)
    assert stepwise.steps >= 49
    np.testing.assert_allclose(found.reduced, stepwise.reduced, atol=1e-10)


def test_coefficients_are_bessel_functions_to_their_own_rounding():
    ellipse = Ellipse(1.0, 0.2)
    s, k = 40.0, np.arange(60)
    q = ellipse.focus
    want = (ellipse.capacity / np.sqrt(q)) ** k * ive(k, 2 * s * np.sqrt(q)) * np.exp(2 * s * np.sqrt(q) - s)
    got = ellipse.coefficients(np.array([0.0, s]), 60)
    np.testing.assert_allclose(got[1], want, rtol=1e-11)
    np.testing.assert_array_equal(got[0], np.eye(60)[0])
    assert np.all(np.abs(got[1, 1:]) <= ellipse.bounds(np.array([s]), k[1:].astype(float))[0])


def test_an_impossible_tolerance_is_reported(monkeypatch):
    network, levels, parameters = POINTS["thermal"]
    model = fock_model(network, levels, **parameters)
    operator, terms = build_operator(model)
    found = propagate(operator, operator.thermal(0.0), [END], spectral_ellipse(model, terms), tolerance=1e-17)
    assert "propagation error" in found.reason
    assert np.all(np.isnan(found.reduced))
    monkeypatch.setattr(steady, "STALLED", 0)
    found = steady.steady_state(operator, operator.thermal(0.0), KAPPA / 2, tolerance=1e-17)
    assert found.reason == ""  # as near as it gets, which is near enough
    monkeypatch.setattr(steady, "TOLERANCE", 1e-17)
    found = steady.steady_state(operator, operator.thermal(0.0), KAPPA / 2, tolerance=1e-17)
    assert "steady state" in found.reason


def test_a_point_that_fails_is_marked_and_not_raised(monkeypatch):
    monkeypatch.setattr(propagator, "MAX_STEPS", 0)
    monkeypatch.setattr(propagator, "ROUNDING", 1.0)
    network, levels, parameters = POINTS["thermal"]
    found = solve_model(fock_model(network, levels, **parameters), times=[END])
    assert not found.converged
    assert "propagation error" in found.reason
    assert np.all(np.isnan(found.energy_t))
    assert np.all(np.isfinite(found.energy))
