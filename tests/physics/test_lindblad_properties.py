"""What every truncated solution must obey, whatever the network: drawn at random."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.point import solve
from qbsweep.physics.fock.terms import generator, is_real
from qbsweep.physics.topologies import cascaded, parallel

KAPPA = 0.003


@st.composite
def points(draw):
    N = draw(st.integers(1, 2))
    build = draw(st.sampled_from([cascaded, parallel]))
    network = build(
        N,
        draw(st.floats(0.1, 20)) * KAPPA,
        [KAPPA * draw(st.floats(0.2, 3)) for _ in range(N + 1)],
        draw(st.sampled_from(["nonreciprocal", "reciprocal"])),
        draw(st.sampled_from(["phase-half-pi", "phase-zero"])),
        draw(st.sampled_from([0.0, 0.5 * KAPPA])),
    )
    frame = draw(st.sampled_from(["lab", "displaced"]))
    parameters = {
        "epsilon": draw(st.floats(0, 0.01)),
        "n_th": draw(st.sampled_from([0.0, 0.3, 2.0])),
        "r": draw(st.sampled_from([0.0, 0.4, 1.0])),
        "theta_r": draw(st.floats(0, 2 * math.pi)),
        "kerr": draw(st.sampled_from([0.0, KAPPA])) if frame == "lab" else 0.0,
        "frame": frame,
    }
    return network, draw(st.integers(2, 6 if N == 1 else 3)), parameters


@settings(max_examples=25, deadline=None, derandomize=True)
@given(points(), st.floats(0.1, 8))
def test_states_are_states_and_ergotropy_is_bounded(point, lifetimes):
    network, levels, parameters = point
    found = solve(network, levels, times=[lifetimes / KAPPA], keep_rho=True, **parameters)
    assert found.converged, found.reason
    assert found.error <= 1e-9
    for rho in (found.rho, found.rho_t[0]):
        assert abs(np.trace(rho) - 1) < 1e-10
        np.testing.assert_allclose(rho, rho.conj().T, atol=1e-12)
        assert np.linalg.eigvalsh(rho)[0] > -1e-9
    for energy, ergotropy in ((found.energy, found.ergotropy), (found.energy_t, found.ergotropy_t)):
        assert np.all(ergotropy >= 0)
        assert np.all(ergotropy <= energy + 1e-9)
    assert 0 <= found.top_population <= 1


@given(points(), st.sampled_from([0.0, math.pi]))
def test_the_coefficients_tell_whether_the_generator_is_real(point, theta_r):
    network, levels, parameters = point
    for given_angle in (theta_r, parameters["theta_r"]):
        model = fock_model(network, min(levels, 3), **(parameters | {"theta_r": given_angle}))
        assert is_real(model) == (generator(model).dtype.kind == "f")
