"""Protocols in Fock space: both engines, the exact moments, what is conserved, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from qbsweep.errors import QbsweepError
from qbsweep.physics.fock import qutip_reference
from qbsweep.physics.fock.bounds import spectral_ellipse
from qbsweep.physics.fock.climb import solve_auto, solve_fixed
from qbsweep.physics.fock.cost import evolution_applications
from qbsweep.physics.fock.evolution import evolve_protocol
from qbsweep.physics.fock.exact import exact_values, gaussian_moments
from qbsweep.physics.fock.initial import mode_state
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.number_blocks import build_operator
from qbsweep.physics.fock.point import solve, solve_model
from qbsweep.physics.fock.propagator import Ellipse
from qbsweep.physics.fock.ramp import ramp_applications, ramped
from qbsweep.physics.fock.stages import stages
from qbsweep.physics.fock.task import Task
from qbsweep.physics.gaussian import bath_anomaly, bath_occupation
from qbsweep.physics.matrices import damping_matrix, drift_matrix, squeezing_matrix
from qbsweep.physics.network import Edge, Network, imperfect, scaled
from qbsweep.physics.protocol import Initial, ModeState, Protocol, Segment
from qbsweep.physics.reference import bath_moments, evolved_moments, steady_moments
from qbsweep.physics.topologies import cascaded, parallel

KAPPA = 0.003
CHARGE, RAMP, STORE = Segment(300.0), Segment(500.0, (1.0, 0.0)), Segment(900.0, (0.0, 0.0), 0.0)
CHARGE_AND_STORE = (CHARGE, RAMP, STORE)
UP_AND_THROUGH = (Segment(200.0, (0.0, 1.5)), Segment(700.0, (1.5, -0.5), 2.0))
TIMES = [0.0, 100.0, 300.0, 400.0, 500.0, 800.0, 1200.0]
MODES = Initial("modes", (ModeState(0.5), ModeState(0.2j, 0.1, 0.3, 0.4)))
IMPERFECT = Network(
    (2 * KAPPA, 0.4 * KAPPA),
    (Edge(0, 1, 0.8 * KAPPA, math.pi / 2, KAPPA, phase_error=0.3),),
    (0.2 * KAPPA, -0.5 * KAPPA),
)

POINTS = {
    "charge-and-store": (cascaded(1, KAPPA, KAPPA), 5, {"n_th": 0.3}, Protocol(CHARGE_AND_STORE)),
    "squeezed-ramps": (cascaded(1, KAPPA, KAPPA), 5, {"r": 0.3, "theta_r": 0.4}, Protocol(UP_AND_THROUGH)),
    "from-steady": (
        cascaded(1, KAPPA, KAPPA, "reciprocal"), 5, {"n_th": 0.3}, Protocol(CHARGE_AND_STORE, Initial("steady")),
    ),
    "from-thermal": (parallel(2, KAPPA, KAPPA), 3, {"n_th": 0.3}, Protocol(CHARGE_AND_STORE, Initial("thermal"))),
    "from-modes": (cascaded(1, KAPPA, KAPPA), 5, {"n_th": 0.1}, Protocol(UP_AND_THROUGH, MODES)),
    "undriven": (
        cascaded(1, KAPPA, KAPPA), 5, {},
        Protocol((Segment(300.0, (0, 0)), Segment(500.0, (0, 0), 0.5)), Initial("modes", (ModeState(0.5),) * 2)),
    ),
    "number-blocks": (
        cascaded(1, KAPPA, KAPPA), 5, {"n_th": 0.2},
        Protocol((Segment(300.0, (0, 0)),), Initial("modes", (ModeState(occupation=1.0), ModeState()))),
    ),
    "imperfect": (IMPERFECT, 5, {"n_th": 0.2, "r": 0.2}, Protocol(CHARGE_AND_STORE, Initial("steady"))),
}  # fmt: skip
NONLINEAR = {
    "kerr": (cascaded(1, KAPPA, KAPPA), 6, {"n_th": 0.1, "kerr": 0.01}, Protocol(CHARGE_AND_STORE, Initial("steady"))),
    "kerr-modes": (cascaded(1, KAPPA, KAPPA), 6, {"kerr": 0.01}, Protocol(UP_AND_THROUGH, MODES)),
    "qubit": (cascaded(1, KAPPA, KAPPA), (6, 2), {"n_th": 0.1}, Protocol(CHARGE_AND_STORE, Initial("thermal"))),
    "qubit-detuned": (IMPERFECT, (6, 2), {"r": 0.2}, Protocol(UP_AND_THROUGH)),
}
FRAMES = [*((name, "lab") for name in (POINTS | NONLINEAR)), *((name, "displaced") for name in POINTS)]


def point(name, frame="lab", **options):
    network, levels, bath, protocol = (POINTS | NONLINEAR)[name]
    return solve(network, levels, epsilon=0.001, **bath, frame=frame, protocol=protocol, **options)


@pytest.mark.parametrize(("name", "frame"), FRAMES)
def test_engines_agree(name, frame):
    fast, slow = (point(name, frame, times=TIMES, keep_rho=True, engine=engine) for engine in ("fast", "qutip"))
    assert fast.converged, fast.reason
    assert fast.error <= 1e-9
    np.testing.assert_allclose(fast.rho, slow.rho, atol=1e-9)
    np.testing.assert_allclose(fast.rho_t, slow.rho_t, atol=2e-9)
    for values in ("energy", "ergotropy", "energy_t", "ergotropy_t"):
        np.testing.assert_allclose(getattr(fast, values), getattr(slow, values), rtol=1e-7, atol=1e-8)
    # Without the density matrices one step may serve many times: the same must result.
    dense = point(name, frame, times=TIMES, steady=False)
    np.testing.assert_allclose(dense.energy_t, fast.energy_t, atol=1e-8)
    np.testing.assert_allclose(dense.ergotropy_t, fast.ergotropy_t, atol=1e-8)


@pytest.mark.parametrize("name", ["squeezed-ramps", "from-modes", "kerr"])
def test_every_state_is_a_state(name):
    states = point(name, times=TIMES, steady=False, keep_rho=True).rho_t
    np.testing.assert_allclose(np.trace(states, axis1=1, axis2=2), 1.0, atol=1e-9)
    np.testing.assert_allclose(states, states.conj().transpose(0, 2, 1), atol=1e-12)
    assert np.linalg.eigvalsh(states).min() > -1e-9


def tight(network, times, epsilon, n_th, r, theta_r, protocol, begin):
    """Alpha, C_mm and S_mm from the equations of motion, as they stand in physics.reference, by an ODE solver."""
    P, Q = bath_moments(n_th, r, theta_r)
    n, segments = network.n_modes, [*protocol.segments]
    ends = [segment.until for segment in segments]
    if ends[-1] < times[-1]:
        segments.append(Segment(times[-1], (segments[-1].drive[1],) * 2, segments[-1].coupling))
        ends.append(times[-1])
    y, now, out = np.concatenate([x.ravel() for x in begin]).astype(complex), 0.0, []
    for segment, end in zip(segments, ends, strict=True):
        still = scaled(network, segment.coupling, 1.0)
        M, K, K_sq = drift_matrix(still), damping_matrix(still), squeezing_matrix(still)

        def slope(t, y, segment=segment, now=now, end=end, M=M, K=K, K_sq=K_sq):
            alpha, C, S = y[:n], y[n : n + n * n].reshape(n, n), y[n + n * n :].reshape(n, n)
            first, last = segment.drive
            force = np.zeros(n, dtype=complex)
            force[0] = -1j * epsilon * (first + (last - first) * (t - now) / (end - now))
            return np.concatenate(
                [
                    M @ alpha + force,
                    (M.conj() @ C + C @ M.T + P * K.conj()).ravel(),
                    (M @ S + S @ M.T + np.conj(Q) * K_sq).ravel(),
                ]
            )

        inside = [t for t in times if now <= t < end or t == end == times[-1]]
        run = solve_ivp(slope, (now, end), y, "DOP853", sorted({*inside, end}), rtol=1e-12, atol=1e-14)
        out += list(run.y.T[: len(inside)])
        y, now = run.y[:, -1], end
    out = np.array(out).T
    C, S = out[n : n + n * n].reshape(n, n, -1), out[n + n * n :].reshape(n, n, -1)
    return out[:n], C.diagonal().T.real, S.diagonal().T


def product_moments(states):
    C = np.diag([bath_occupation(np.array(s.occupation), np.array(s.squeezing)) for s in states])
    S = [bath_anomaly(np.array(s.occupation), np.array(s.squeezing)) * np.exp(1j * s.angle) for s in states]
    return np.array([s.amplitude for s in states], dtype=complex), C, np.diag(S)


BATHS = [{}, {"n_th": 0.4}, {"r": 0.4, "theta_r": 0.9}]


@pytest.mark.parametrize("bath", BATHS)
@pytest.mark.parametrize("segments", [CHARGE_AND_STORE, UP_AND_THROUGH])
@pytest.mark.parametrize("kind", ["vacuum", "thermal", "steady", "modes"])
def test_moments_obey_their_equations(kind, segments, bath):
    network = Network(
        (2 * KAPPA, 0.4 * KAPPA, KAPPA),
        (Edge(0, 1, KAPPA, 0.2, KAPPA, 1, 1j), Edge(1, 2, 2 * KAPPA, 1.0), Edge(2, 0, KAPPA, 0.7, KAPPA)),
        (0.0, KAPPA, -0.3 * KAPPA),
    )
    states = (ModeState(1 + 2j), ModeState(0, 0.5, 0.3, 0.2), ModeState(0.3, 0.0, 0.4))
    protocol = Protocol(segments, Initial(kind, states if kind == "modes" else ()))
    full = {"n_th": 0.0, "r": 0.0, "theta_r": 0.0, **bath}
    begin = {
        "vacuum": product_moments((ModeState(),) * 3),
        "thermal": product_moments((ModeState(occupation=full["n_th"]),) * 3),
        "modes": product_moments(states),
    }
    if kind == "steady":
        steady = steady_moments(network, 0.002, **full)
        begin["steady"] = steady.alpha, steady.C, steady.S
    alpha, C, S = tight(network, TIMES, 0.002, **full, protocol=protocol, begin=begin[kind])
    model = fock_model(network, 4, epsilon=0.002, **bath, protocol=protocol)
    for found, wanted in zip(gaussian_moments(model, TIMES), (np.abs(alpha) ** 2, C, np.abs(S)), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-10)


@pytest.mark.parametrize("frame", ["lab", "displaced"])
@pytest.mark.parametrize("name", ["charge-and-store", "from-steady", "from-modes"])
def test_a_climb_ends_at_the_exact_moments(name, frame):
    network, _, bath, protocol = POINTS[name]
    model = fock_model(network, 4, epsilon=0.001, **bath, frame=frame, protocol=protocol)
    judged = solve_auto(model, Task(times=TIMES, tolerance=1e-3))
    assert judged.verdict.word == "certified", judged.verdict.reason
    energy, ergotropy = exact_values(model, TIMES)
    np.testing.assert_allclose(judged.result.energy_t, energy, atol=1e-3 * energy.max())
    np.testing.assert_allclose(judged.result.ergotropy_t, ergotropy, atol=1e-3 * energy.max())
    assert judged.result.energy == pytest.approx(exact_values(model, None)[0][:, 0], rel=1e-3, abs=1e-9)


def test_what_an_initial_state_loses_to_the_cut_shows():
    protocol = Protocol((Segment(drive=(0.0, 0.0)),), Initial("modes", (ModeState(1.5), ModeState())))
    models = [fock_model(cascaded(1, KAPPA, KAPPA), d, epsilon=0.001, protocol=protocol) for d in (6, 14)]
    coarse, fine = (solve_fixed(model, Task(times=TIMES, steady=False)).verdict for model in models)
    assert coarse.word == "suspect-truncation"
    assert coarse.truncation_error > 0.01
    assert fine.word == "certified"
    lost = Protocol((Segment(),), Initial("modes", (ModeState(40.0), ModeState())))
    with pytest.raises(QbsweepError, match="mode 0 lies beyond its 6 Fock levels"):
        solve(cascaded(1, KAPPA, KAPPA), 6, epsilon=0.001, protocol=lost, times=TIMES)


@pytest.mark.parametrize(
    "state", [ModeState(1.0), ModeState(0.5 + 1j, 0.3, 0.7, 1.1), ModeState(0, 0, 1.0), ModeState(-1.5j, 0.2, 0.4, 2.0)]
)
def test_a_mode_state_has_the_moments_that_it_names(state):
    rho = mode_state(state, 120)
    c = np.diag(np.sqrt(np.arange(1, 120)), 1)
    beta, d = state.amplitude, c - state.amplitude * np.eye(120)
    C = bath_occupation(np.array(state.occupation), np.array(state.squeezing))
    S = bath_anomaly(np.array(state.occupation), np.array(state.squeezing)) * np.exp(1j * state.angle)
    for operator, wanted in ((np.eye(120), 1.0), (c, beta), (d.conj().T @ d, C), (d @ d, S)):
        assert np.trace(operator @ rho) == pytest.approx(wanted, abs=1e-10)
    assert np.linalg.eigvalsh(rho).min() > -1e-13


@pytest.mark.parametrize("ellipse", [(2, 1), (40, 5), (10, 60), (300, 200)])
def test_any_ellipse_gives_the_same_ramp(ellipse):
    """Far too small, too flat or too tall: steps are halved until the bound holds, and it holds."""
    model = fock_model(cascaded(1, KAPPA, KAPPA), 5, epsilon=0.004, n_th=0.2)
    operator, terms = build_operator(model)
    start, times = operator.thermal(0.0), np.array([100.0, 400.0])
    runs = [
        ramped(operator, model, start, times, (0.001, 0.004), one, tolerance=1e-9, keep_states=True)
        for one in (spectral_ellipse(model, terms), Ellipse(ellipse[0] * KAPPA, ellipse[1] * KAPPA))
    ]
    assert not any(run.reason for run in runs)
    for states in zip(*(run.states for run in runs), strict=True):
        difference = operator.matrix(states[0]) - operator.matrix(states[1])
        assert np.sum(np.abs(np.linalg.eigvalsh(difference))) <= sum(run.error for run in runs) <= 2e-9


def test_an_impossible_tolerance_of_a_ramp_is_reported():
    model = fock_model(cascaded(1, KAPPA, KAPPA), 5, epsilon=0.001, protocol=Protocol(UP_AND_THROUGH))
    found = evolve_protocol(model, np.array([150.0]), 1e-18, keep_rho=False)
    assert "of a ramp" in found.reason
    assert np.all(np.isnan(found.states))


@pytest.mark.parametrize("frame", ["lab", "displaced"])
def test_segments_that_change_nothing_change_nothing(frame):
    nothing = Protocol((Segment(130.0), Segment(400.0), Segment()), Initial("modes", (ModeState(),) * 2))
    options = {"epsilon": 0.001, "n_th": 0.3, "frame": frame, "times": TIMES}
    one, many = (solve(cascaded(1, KAPPA, KAPPA), 6, **options, protocol=each) for each in (None, nothing))
    np.testing.assert_allclose(many.energy_t, one.energy_t, atol=1e-12)
    np.testing.assert_allclose(many.ergotropy_t, one.ergotropy_t, atol=1e-12)
    assert fock_model(cascaded(1, KAPPA, KAPPA), 6, epsilon=1, protocol=Protocol((CHARGE, Segment()))).protocol is None


@pytest.mark.parametrize("coupling", [1.0, 0.0])
def test_switching_off_a_directed_pair(coupling):
    """E_0 e^{-Lambda t} (1 + Lambda t/2)^2 while it stays coupled, E_0 e^{-kappa t} alone."""
    protocol = Protocol((Segment(drive=(0.0, 0.0), coupling=coupling),), Initial("steady"))
    times = np.linspace(0, 3 / KAPPA, 7)
    found = solve(cascaded(1, KAPPA / 2, KAPPA), 7, epsilon=0.0003, protocol=protocol, times=times.tolist())
    rate = 2 * KAPPA
    decay = np.exp(-rate * times) * (1 + rate * times / 2) ** 2 if coupling else np.exp(-KAPPA * times)
    np.testing.assert_allclose(found.energy_t[1], 0.01 * decay, rtol=1e-5)


@pytest.mark.parametrize(("levels", "kerr"), [((8, 8), 0.01), ((8, 2), 0.0)])
def test_a_nonlinear_battery_that_is_kept_alone_loses_its_quanta_one_by_one(levels, kerr):
    """Neither a Kerr term nor saturation changes ``d<n>/dt = -kappa <n>`` of a mode alone in vacuum."""
    charged = Protocol((Segment(400.0), STORE))
    times = [400.0, 600.0, 900.0, 1500.0]
    found = solve(cascaded(1, KAPPA, KAPPA), levels, epsilon=0.001, kerr=kerr, protocol=charged, times=times)
    decay = np.exp(-KAPPA * (np.array(times) - times[0]))
    np.testing.assert_allclose(found.energy_t, found.energy_t[:, :1] * decay, rtol=1e-8)
    np.testing.assert_allclose(found.energy, 0.0, atol=1e-9)


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_points_get_a_verdict(name):
    network, levels, bath, protocol = NONLINEAR[name]
    model = fock_model(network, levels, epsilon=0.001, **bath, protocol=protocol)
    judged = solve_auto(model, Task(times=TIMES[2:5], tolerance=1e-2))
    assert judged.verdict.word == "converged", judged.verdict.reason
    finer = model.with_levels(tuple(d if q else d + 3 for d, q in zip(judged.result.levels, model.qubits, strict=True)))
    wanted = solve_model(finer, times=TIMES[2:5], steady=False)
    np.testing.assert_allclose(judged.result.energy_t, wanted.energy_t, atol=1e-2 * wanted.energy_t.max())


@pytest.mark.parametrize(
    ("levels", "protocol", "sentence"),
    [
        ((6, 2), Protocol(initial=Initial("modes", (ModeState(), ModeState(0.5)))), "displaces or squeezes mode 1"),
        ((6, 2), Protocol(initial=Initial("modes", (ModeState(), ModeState(squeezing=0.5)))), "a qubit can only begin"),
        ((6, 6), Protocol(initial=Initial("modes", (ModeState(1.0),))), "one state per mode"),
        ((6, 6), Protocol((Segment(5.0), Segment(3.0, (0, 0)))), "segment 2 of `protocol` must end after it begins"),
    ],
)
def test_refusals(levels, protocol, sentence):
    with pytest.raises(QbsweepError, match=sentence):
        fock_model(cascaded(1, KAPPA, KAPPA), levels, epsilon=0.001, protocol=protocol)


def test_a_steady_beginning_needs_losses():
    protocol = Protocol((Segment(5.0),), Initial("steady"))
    with pytest.raises(QbsweepError, match="lossless"):
        solve(cascaded(1, 0.0, [KAPPA, 0.0]), 4, epsilon=0.001, protocol=protocol, times=[1.0], steady=False)


@pytest.mark.parametrize("bath", BATHS)
@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.3])
def test_imperfect_networks_have_the_moments_of_the_reference(ratio, bath):
    """Imperfect cancellation, a phase error, unequal losses and detunings: energies and ergotropies at many levels."""
    losses, detunings = [2 * KAPPA, 0.7 * KAPPA, KAPPA], [0.0, 0.2 * KAPPA, -KAPPA]
    ideal = cascaded(2, [0.5 * KAPPA, 0.8 * KAPPA], losses, detuning=detunings)
    network = imperfect(ideal, ratio, 0.4)
    full = {"n_th": 0.0, "r": 0.0, "theta_r": 0.0, **bath}
    full = {**full, "n_th": 0.1 * full["n_th"], "r": 0.1 * full["r"]}  # which 5 levels hold
    times = [150.0, 700.0]
    found = solve(network, 5, epsilon=0.0002, **full, times=times)
    assert found.converged, found.reason
    for moments, energy, ergotropy in (
        (steady_moments(network, 0.0002, **full), found.energy, found.ergotropy),
        (evolved_moments(network, np.array(times), 0.0002, **full), found.energy_t.T, found.ergotropy_t.T),
    ):
        nu = np.sqrt((moments.occupation + 0.5) ** 2 - moments.anomaly**2)
        wanted = moments.coherent + moments.occupation
        np.testing.assert_allclose(energy, wanted, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(ergotropy, wanted - (nu - 0.5), rtol=2e-3, atol=1e-7)


def test_qutip_begins_with_the_same_state():
    model = fock_model(cascaded(1, KAPPA, KAPPA), 7, epsilon=0.001, protocol=Protocol((CHARGE,), MODES))
    wanted = qutip_reference.initial_state(model).full()
    found = evolve_protocol(model, np.array([0.0]), 1e-9, keep_rho=True)
    assert found.rho is not None
    np.testing.assert_allclose(found.rho[0], wanted, atol=1e-12)


@pytest.mark.parametrize("name", ["charge-and-store", "squeezed-ramps", "kerr", "qubit-detuned"])
def test_applications_are_foreseen(name):
    network, levels, bath, protocol = (POINTS | NONLINEAR)[name]
    model = fock_model(network, levels, epsilon=0.001, **bath, protocol=replace(protocol, initial=Initial()))
    counts = []
    for stage in stages(model, TIMES[-1]):
        ellipse = spectral_ellipse(stage.model, build_operator(stage.model)[1])
        ramp = ramp_applications(ellipse, stage.length)
        counts.append(ramp if stage.is_ramp else evolution_applications(stage.model, stage.length))
    needed = solve_model(model, times=TIMES, steady=False).applications
    assert 0.6 * needed <= sum(counts) <= 1.5 * needed
