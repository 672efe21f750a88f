"""The fast engine against QuTiP, entry by entry, at the same truncation."""

import math

import numpy as np
import pytest
from scipy.sparse.linalg import expm_multiply

from qbsweep.physics.fock import qutip_reference
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.point import FockResult, solve
from qbsweep.physics.network import Edge, Network
from qbsweep.physics.topologies import cascaded, parallel

KAPPA = 0.003
BATHS = {
    "vacuum": {},
    "thermal": {"n_th": 0.7},
    "squeezed": {"r": 0.5},
    "squeezed-thermal": {"n_th": 0.4, "r": 0.4},
    "theta_r": {"n_th": 0.3, "r": 0.5, "theta_r": 1.1},
}
KINDS = [("nonreciprocal", "phase-half-pi"), ("nonreciprocal", "phase-zero"), ("reciprocal", "phase-zero")]
TIMES = [0.0, 150.0, 900.0]


def assert_engines_agree(network, levels, **parameters) -> FockResult:
    fast, slow = (
        solve(network, levels, times=TIMES, keep_rho=True, engine=engine, **parameters) for engine in ("fast", "qutip")
    )
    assert fast.converged, fast.reason
    assert fast.error <= 1e-9
    for got, want in ((fast.rho, slow.rho), (fast.rho_t, slow.rho_t)):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-8 * np.max(np.abs(want)))
    for name in ("energy", "ergotropy", "energy_t", "ergotropy_t"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-7, atol=1e-8)
    assert fast.top_population == pytest.approx(slow.top_population, abs=1e-8)
    # Without the density matrices one long step serves all times: the same reduced states must result.
    dense = solve(network, levels, times=TIMES, steady=False, **parameters)
    np.testing.assert_allclose(dense.energy_t, fast.energy_t, atol=1e-8)
    np.testing.assert_allclose(dense.ergotropy_t, fast.ergotropy_t, atol=1e-8)
    return fast


@pytest.mark.parametrize("frame", ["lab", "displaced"])
@pytest.mark.parametrize("bath", BATHS)
@pytest.mark.parametrize(("coupling", "realization"), KINDS)
def test_one_battery(coupling, realization, bath, frame):
    network = cascaded(1, 0.7 * KAPPA, KAPPA, coupling, realization)
    assert_engines_agree(network, 5, epsilon=0.001, frame=frame, **BATHS[bath])


@pytest.mark.parametrize("frame", ["lab", "displaced"])
@pytest.mark.parametrize("bath", BATHS)
@pytest.mark.parametrize(("coupling", "realization"), KINDS)
@pytest.mark.parametrize("topology", [cascaded, parallel])
def test_two_batteries(topology, coupling, realization, bath, frame):
    network = topology(2, 0.8 * KAPPA, KAPPA, coupling, realization)
    assert_engines_agree(network, 3, epsilon=0.001, frame=frame, **BATHS[bath])


HARD = {
    "strong-drive": (cascaded(1, 0.5 * KAPPA, KAPPA), 7, {"epsilon": 0.01}),
    "strong-drive-hot": (cascaded(1, 0.5 * KAPPA, KAPPA), 7, {"epsilon": 0.01, "n_th": 2.0}),
    "strong-drive-reciprocal": (cascaded(2, KAPPA, KAPPA, "reciprocal"), 3, {"epsilon": 0.01, "n_th": 0.5}),
    "strong-coupling": (cascaded(2, 30 * KAPPA, KAPPA, "reciprocal"), 3, {"epsilon": 0.001, "n_th": 1.0}),
    "strong-coupling-one-way": (cascaded(2, 10 * KAPPA, KAPPA), 3, {"epsilon": 0.001, "n_th": 1.0}),
    "strong-squeezing": (cascaded(1, KAPPA, KAPPA), 6, {"epsilon": 0.001, "n_th": 2.0, "r": 1.0}),
    "strong-squeezing-displaced": (
        cascaded(2, KAPPA, KAPPA, "reciprocal"), 3, {"epsilon": 0.01, "r": 1.0, "frame": "displaced"},
    ),
    "detuned": (parallel(2, KAPPA, KAPPA, detuning=[0.0, 0.002, -0.004]), 3, {"epsilon": 0.001, "n_th": 0.5}),
    "detuned-displaced": (
        cascaded(1, KAPPA, KAPPA, "reciprocal", detuning=[0.0, 0.01]), 5,
        {"epsilon": 0.001, "n_th": 0.5, "frame": "displaced"},
    ),
    "ring": (
        Network(
            (KAPPA,) * 3,
            (Edge(0, 1, KAPPA, 0.3, KAPPA, 1, 1j), Edge(1, 2, KAPPA, 1.0), Edge(2, 0, KAPPA / 2, 0.7)),
        ),
        3, {"epsilon": 0.001, "n_th": 0.5},
    ),
    "kerr": (cascaded(1, KAPPA, KAPPA, "reciprocal"), 6, {"epsilon": 0.003, "n_th": 0.2, "kerr": 0.01}),
    "kerr-everywhere": (cascaded(1, KAPPA, KAPPA), 6, {"epsilon": 0.003, "r": 0.3, "kerr": [0.02, -0.01]}),
    "qubits": (
        cascaded(2, KAPPA, KAPPA), {"charger": 5, "battery": 2}, {"epsilon": 0.003, "n_th": 0.3, "r": 0.2},
    ),
    "unequal-levels": (cascaded(2, KAPPA, KAPPA), (4, 2, 3), {"epsilon": 0.001, "n_th": 0.5}),
}  # fmt: skip


@pytest.mark.parametrize("case", HARD)
def test_hard_cases(case):
    network, levels, parameters = HARD[case]
    assert_engines_agree(network, levels, **parameters)


def test_unequal_levels_in_number_blocks():
    network = cascaded(2, KAPPA, KAPPA, "reciprocal")
    assert_engines_agree(network, (3, 5, 4), epsilon=0.001, n_th=0.5, frame="displaced")


def test_unequal_rates():
    network = cascaded(2, [KAPPA, 0.4 * KAPPA], [KAPPA, 0.2 * KAPPA, 3 * KAPPA])
    assert_engines_agree(network, 3, epsilon=0.001, n_th=0.5)


@pytest.mark.parametrize("frame", ["lab", "displaced"])
@pytest.mark.parametrize("bath", BATHS)
@pytest.mark.parametrize(("coupling", "realization"), KINDS)
@pytest.mark.parametrize("topology", [cascaded, parallel])
def test_three_batteries(topology, coupling, realization, bath, frame):
    """QuTiP's own solvers would take minutes: its Liouvillian stands for them, in a residual and an exponential."""
    network = topology(3, 0.7 * KAPPA, KAPPA, coupling, realization)
    parameters = {"epsilon": 0.001, "frame": frame, **BATHS[bath]}
    found = solve(network, 3, times=[300.0], keep_rho=True, **parameters)
    assert found.converged, found.reason
    L = qutip_reference.liouvillian(fock_model(network, 3, **parameters)).to("csr").data.as_scipy()
    residual = L @ found.rho.ravel(order="F")
    assert np.linalg.norm(residual) < 1e-9 * KAPPA
    assert np.trace(found.rho) == pytest.approx(1)
    vacuum = np.zeros(81**2, dtype=complex)
    vacuum[0] = 1
    want = expm_multiply(300.0 * L, vacuum).reshape(81, 81).T
    np.testing.assert_allclose(found.rho_t[0], want, rtol=0, atol=1e-8 * np.max(np.abs(want)))


def test_ergotropy_of_a_passive_state_is_zero():
    network = cascaded(1, KAPPA, KAPPA)
    found = solve(network, 6, epsilon=0.0, n_th=0.5)
    np.testing.assert_allclose(found.ergotropy, 0, atol=1e-9)
    assert math.isclose(found.energy[0], found.energy[1], rel_tol=1e-7)
