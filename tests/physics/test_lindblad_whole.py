"""Outputs of the whole network from truncated states: against the moments, QuTiP, and what must hold."""

import numpy as np
import pytest
import qutip

from qbsweep.errors import QbsweepError
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.point import solve_model
from qbsweep.physics.fock.task import Task
from qbsweep.physics.fock.verdict import measured_error, whole_error
from qbsweep.physics.fock.whole import MOST
from qbsweep.physics.topologies import cascaded, parallel
from qbsweep.solvers.interface import Points, values_of
from qbsweep.solvers.lindblad import solve_lindblad
from qbsweep.solvers.moments import SOLVER, solve_moments
from qbsweep.solvers.status import FAILED, OK
from qbsweep.sweeps.variables import OUTPUTS, VARIABLES

STEADY = (
    "ergotropy_batteries",
    "ergotropy_register",
    "log_negativity",
    "purity",
    "energy_variance_terminal",
    "drive_power",
)
IN_TIME = ("ergotropy_register_t", "log_negativity_t", "energy_variance_t", "drive_power_t")
SETTINGS = {"fock_levels": 10, "frame": "lab", "engine": "auto", "tolerance": 1e-3, "memory": 2.0}
VALUES = {"J": 0.6, "kappa": 1.0, "epsilon": 0.2, "omega": 2.0, "n_th": 0.05, "r": 0.15, "theta_r": 0.7}
REST = {"kappa_charger": 1.0, "kerr": 0.0, "kerr_charger": 0.0, "detuning": 0.3, "seed": 0}
REST |= {"spread_J": 0.0, "spread_kappa": 0.0, "spread_detuning": 0.0}
TIMES = (0.0, 0.5, 2.0)


def _points(network, times=None, *, settings=None, **values):
    from qbsweep.solvers.interface import Labelled

    given = None if times is None else Labelled(("time",), np.asarray(times, dtype=float))
    fixed = SETTINGS | {"spread_distribution": "uniform"} | (settings or {})
    return Points(network, values_of(VALUES | REST | values), fixed, given)


@pytest.mark.parametrize(
    ("network", "settings"),
    [
        (cascaded(1, realization="phase-zero"), {}),
        (cascaded(1, realization="phase-zero"), {"frame": "displaced"}),
        (cascaded(1, coupling="reciprocal"), {"frame": "displaced", "engine": "qutip", "fock_levels": 7}),
    ],
    ids=["fast", "displaced", "qutip"],
)
def test_both_solvers_agree(network, settings):
    """These levels hold what there is to some 1e-4."""
    outputs = (*STEADY, *IN_TIME)
    points = _points(network, TIMES, settings=settings)
    truncated, exact = solve_lindblad(points, outputs), solve_moments(points, outputs)
    assert truncated.status.values.item() == OK, truncated.reasons
    for name in outputs:
        found, expected = np.squeeze(truncated.arrays[name].values), np.squeeze(exact[name].values)
        np.testing.assert_allclose(found, expected, 5e-4, 1e-4, err_msg=name)


@pytest.mark.parametrize("frame", ["lab", "displaced"])
def test_both_solvers_agree_along_a_protocol(frame):
    """A ramp down, then storage without couplings, from a displaced and a squeezed mode."""
    from dataclasses import replace

    from qbsweep.physics.protocol import SegmentTemplate, Template

    template = Template(
        (SegmentTemplate(1.0), SegmentTemplate(2.0, (1.0, 0.2)), SegmentTemplate(4.0, (0.0, 0.0), 0.0)),
        "modes",
        {"charger": {"amplitude": 0.2, "angle": 0.4}, "battery": {"squeezing": 0.2}},
    )
    points = replace(_points(cascaded(1), (0.0, 0.4, 1.0, 1.7, 3.0), settings={"frame": frame}), protocol=template)
    truncated, exact = solve_lindblad(points, IN_TIME), SOLVER.solve(points, IN_TIME)
    assert truncated.status.values.item() == OK, truncated.reasons
    for name in IN_TIME:
        found, expected = np.squeeze(truncated.arrays[name].values), np.squeeze(exact.arrays[name].values)
        np.testing.assert_allclose(found, expected, 5e-4, 1e-4, err_msg=name)


def test_three_modes_and_what_the_verdict_measures():
    """Register of two batteries; with few levels the error of these outputs, too, makes the point suspect."""
    points = _points(parallel(2, realization="phase-zero"), settings={"fock_levels": 6, "tolerance": 0.02})
    truncated, exact = solve_lindblad(points, STEADY), solve_moments(points, STEADY)
    for name in STEADY:
        found, expected = truncated.arrays[name].values.item(), exact[name].values.item()
        np.testing.assert_allclose(found, expected, 0.02, 1e-3, err_msg=name)
    model = fock_model(cascaded(1), 4, epsilon=0.0, r=0.4)
    few = solve_model(model, quantities=("purity", "ergotropy_register"))
    simple = _points(cascaded(1), J=1.0, omega=1.0, epsilon=0.0, n_th=0.0, r=0.4, theta_r=0.0, detuning=0.0)
    exact = solve_moments(simple, ["ergotropy_register"])["ergotropy_register"].values.item()
    own = abs(few.whole["ergotropy_register"].item() - exact) / exact
    assert own > 1.1 * measured_error(model, solve_model(model), None)
    assert measured_error(model, few, None) == pytest.approx(own)
    assert whole_error({"purity": np.array(0.9)}, {"purity": np.array(1.0)}) == pytest.approx(0.1)


def test_purity_and_negativity_are_qutips():
    """QuTiP's partial transpose marks the transposed modes by 1; its negativity is (||rho^T|| - 1)/2."""
    model = fock_model(cascaded(1, coupling="reciprocal"), 5, epsilon=0.1, r=0.3, kerr=0.5)
    result = solve_model(model, keep_rho=True, quantities=("purity", "log_negativity"))
    rho = qutip.Qobj(result.rho, dims=[list(model.levels)] * 2)
    np.testing.assert_allclose(result.whole["purity"], (rho * rho).tr().real, 1e-12)
    turned = qutip.partial_transpose(rho, [1, 0])
    np.testing.assert_allclose(result.whole["log_negativity"], np.log(turned.norm()), 1e-9, 1e-12)
    variance = qutip.variance(qutip.tensor(qutip.qeye(5), qutip.num(5)), rho)
    varied = solve_model(model, quantities=("energy_variance",)).whole["energy_variance"]
    np.testing.assert_allclose(varied[1], variance, 1e-10)


def test_ergotropy_of_populations():
    """Between 0 and the ergotropy; 0 of a coherent state of few photons, whose populations fall."""
    points = _points(cascaded(1), r=0.0, n_th=0.0, detuning=0.0, epsilon=(0.1, 0.8))
    names = ("ergotropy_incoherent_terminal", "ergotropy_terminal")
    found = {name: solve_lindblad(points, names).arrays[name].values.ravel() for name in names}
    assert found["ergotropy_incoherent_terminal"][0] == 0
    assert (found["ergotropy_incoherent_terminal"] <= found["ergotropy_terminal"] + 1e-12).all()
    strong = solve_lindblad(_points(cascaded(1), r=0.0, n_th=0.0, epsilon=1.2, settings={"fock_levels": 14}), names)
    assert strong.arrays["ergotropy_incoherent_terminal"].values.item() > 0.1


def test_what_is_not_there_is_said():
    large = _points(parallel(3), settings={"fock_levels": 6})
    refused = solve_lindblad(large, ["log_negativity"])
    assert refused.status.values.item() == FAILED
    assert f"of dimension 1296, but {MOST} is the most" in next(iter(refused.reasons.values()))
    displaced = _points(cascaded(1), settings={"frame": "displaced"})
    refused = solve_lindblad(displaced, ["ergotropy_incoherent_terminal"])
    assert "needs `frame: lab`" in next(iter(refused.reasons.values()))
    qubits = _points(cascaded(1), r=0.0, settings={"fock_levels": "charger 5, battery 2"})
    refused = solve_lindblad(qubits, ["ergotropy_register"])
    assert "needs oscillators, but mode 1 is a qubit" in next(iter(refused.reasons.values()))
    found = solve_lindblad(qubits, ["log_negativity", "purity", "energy_variance_terminal"])
    assert found.status.values.item() != FAILED, found.reasons


def test_a_climb_ends_where_a_spectrum_would_be_too_large():
    model = fock_model(parallel(3), 5, epsilon=0.3)
    assert Task(quantities=("purity",)).affords(model.with_levels((6,) * 4))
    assert not Task(quantities=("log_negativity_t",)).affords(model.with_levels((6,) * 4))


def test_a_network_without_a_steady_state_is_refused():
    points = _points(cascaded(1, coupling="reciprocal"), J=0.0, kappa_charger=0.0)
    refused = solve_lindblad(points, ["purity"])
    assert "unstable, with an abscissa of 0 omega" in next(iter(refused.reasons.values()))
    with pytest.raises(QbsweepError, match="outputs in time need none"):
        solve_moments(points, ["purity"])


def test_every_declared_output_has_its_shape():
    names = [name for name in OUTPUTS if "lindblad" in VARIABLES[name].solvers]
    solved = solve_lindblad(
        _points(cascaded(1), TIMES, epsilon=(0.1, 0.2), settings={"fock_levels": 5, "tolerance": 1.0}), names
    )
    for name in names:
        extra = tuple({"mode": 2, "time": 3}[dim] for dim in VARIABLES[name].extra_dims)
        assert solved.arrays[name].values.squeeze().shape == (2, *extra), name
        assert np.isfinite(solved.arrays[name].values).all(), name
