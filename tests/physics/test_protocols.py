"""Moments along protocols: closed forms, an integrator, limits."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qbsweep as qb
from qbsweep.errors import QbsweepError
from qbsweep.physics import register
from qbsweep.physics.gaussian import ergotropy
from qbsweep.physics.network import Edge, Network
from qbsweep.physics.protocol import SegmentTemplate, Template
from qbsweep.physics.reference import protocol_moments

KAPPA, EPSILON = 0.7, 0.3
DIRECTED = qb.cascaded(1, J=0.4, kappa=KAPPA)
LAMBDA = 0.8 + KAPPA  # Gamma + kappa
HALF_LIFE = 2.1559209
OFF = [{"until": 1.0}, {"drive": 0}]
STATES = {"charger": {"amplitude": 0.7}, "battery": {"squeezing": 0.4, "occupation": 0.3, "angle": 0.8}}
OUTPUTS = ["energy_t", "ergotropy_t"]


def _terminal(times, protocol, initial="steady", network=DIRECTED, output="energy_t", **parameters):
    given_times = np.concatenate([[0.0], times]) if times[0] else times
    ds = qb.solve(
        network, times=given_times, protocol=protocol, initial=initial, epsilon=EPSILON, outputs=[output], **parameters
    )
    return ds[output].isel(mode=-1).values[-len(times) :]


def _resolved(protocol, initial, n_modes):
    """The template of a protocol without names, as this file writes it, at a point."""
    segments = tuple(
        SegmentTemplate(
            s.get("until", math.inf), tuple(np.broadcast_to(s.get("drive", 1.0), 2).tolist()), s.get("coupling", 1.0)
        )
        for s in protocol
    )
    kind = initial if isinstance(initial, str) else "modes"
    return Template(segments, kind, {} if isinstance(initial, str) else initial).at({}, n_modes)


def _assert_agrees(network, protocol, initial, times, bath, tolerance=1e-9):
    n_th, r, theta_r = bath
    ds = qb.solve(
        network,
        times=times,
        protocol=protocol,
        initial=initial,
        epsilon=EPSILON,
        n_th=n_th,
        r=r,
        theta_r=theta_r,
        outputs=OUTPUTS,
    )
    slow = protocol_moments(network, _resolved(protocol, initial, network.n_modes), times, EPSILON, n_th, r, theta_r)
    energies = slow.coherent + slow.occupation
    expected = {"energy_t": energies, "ergotropy_t": ergotropy(slow.coherent, slow.occupation, slow.anomaly)}
    scale = energies.max()
    for name, values in expected.items():
        np.testing.assert_allclose(ds[name].values.T, values, rtol=tolerance, atol=1e-3 * tolerance * scale)
    assert int(ds.status) == 1


# ---------------------------------------------------------------------------- closed forms


def test_a_directed_pair_that_is_switched_off_decays_as_its_closed_form():
    """With Lambda the decay rate of both modes: two equal rates make ``1 + Lambda t/2``."""
    times = np.linspace(0, 30, 61)
    energies = _terminal(1 + times, OFF)
    start = 16 * EPSILON**2 * 0.8**2 / LAMBDA**4
    np.testing.assert_allclose(energies, start * np.exp(-LAMBDA * times) * (1 + LAMBDA * times / 2) ** 2, rtol=1e-11)
    half = _terminal([1 + HALF_LIFE / LAMBDA], OFF)
    assert half[0] / start == pytest.approx(0.5, abs=1e-7)


def test_storage_without_couplings_is_the_loss_alone():
    times = np.linspace(0, 40, 41)
    energies = _terminal(1 + times, [{"until": 1}, {"drive": 0, "coupling": 0}])
    np.testing.assert_allclose(energies, energies[0] * np.exp(-KAPPA * times), rtol=1e-12)


def test_switching_off_later_is_the_same_later():
    late = _terminal(np.linspace(0, 9, 19), [{"until": 3.0}, {"drive": 0}])
    early = _terminal(np.linspace(1, 7, 13), OFF)
    np.testing.assert_allclose(late[6:], early, rtol=1e-12)
    np.testing.assert_allclose(late[:7], early[0], rtol=1e-12)


def test_a_squeezed_battery_and_a_displaced_one_cross():
    """In vacuum loss: squeezing r = 1 begins with sinh^2 1 = 1.38 and loses it sooner than |alpha|^2 = 1 does."""
    times, crossing = np.array([0.1, 0.422868, 2.0]), 0.655165
    pair = Network((1.0, 1.0, 1.0), (Edge(0, 1, 0.0), Edge(0, 2, 0.0)))
    ds = qb.solve(
        pair, times=times, initial={1: {"squeezing": 1}, 2: {"amplitude": 1}}, epsilon=0.0, outputs=["ergotropy_t"]
    )
    squeezed, displaced = ds.ergotropy_t.values[1:]
    np.testing.assert_allclose(displaced, np.exp(-times), rtol=1e-12)
    assert squeezed[0] > displaced[0]
    assert squeezed[2] < displaced[2]
    assert squeezed[1] == pytest.approx(crossing, abs=1e-6)
    assert displaced[1] == pytest.approx(crossing, abs=1e-6)


def test_a_squeezed_thermal_state_relaxes_into_its_bath():
    """One mode: C and S decay into the bath's, at the rate kappa."""
    times, n_th, r, theta_r = np.linspace(0, 4, 9), 0.3, 0.5, 0.7
    mode = {"occupation": 0.2, "squeezing": 0.6, "angle": 1.1}
    lone = Network((KAPPA, KAPPA), (Edge(0, 1, 0.0),))
    ds = qb.solve(
        lone, times=times, initial={"battery": mode}, epsilon=0.0, n_th=n_th, r=r, theta_r=theta_r, outputs=OUTPUTS
    )
    left = np.exp(-KAPPA * times)
    C = [(2 * n + 1) * np.cosh(2 * s) / 2 - 0.5 for n, s in ((0.2, 0.6), (n_th, r))]
    S = [(2 * n + 1) * np.sinh(2 * s) / 2 * np.exp(1j * a) for n, s, a in ((0.2, 0.6, 1.1), (n_th, r, theta_r))]
    now = [a * left + b * (1 - left) for a, b in (C, S)]
    np.testing.assert_allclose(ds.energy_t.values[1], now[0], rtol=1e-12)
    np.testing.assert_allclose(ds.ergotropy_t.values[1], ergotropy(0.0, now[0], abs(now[1])), rtol=1e-11)


def test_the_thermal_state_of_its_bath_stays():
    ds = qb.solve(
        qb.cascaded(2, J=0.4), times=[0, 1, 5], initial="thermal", epsilon=0.0, n_th=0.8, outputs=["energy_t"]
    )
    np.testing.assert_allclose(ds.energy_t.values, 0.8, rtol=1e-13)


def test_the_angle_of_a_squeezed_state_counts_beside_that_of_the_bath():
    """Only their difference, twice the turn of all modes."""

    def ergotropies(angle, theta_r):
        state = {"battery": {"squeezing": 0.5, "angle": angle}}
        return _terminal([1.0], [{}], state, qb.cascaded(1, J=0.0), "ergotropy_t", r=0.5, theta_r=theta_r)[0]

    assert ergotropies(0.3, 0.3) == pytest.approx(math.sinh(0.5) ** 2, rel=1e-12)
    assert ergotropies(math.pi, 0.0) < 0.5 * ergotropies(0.0, 0.0)
    assert ergotropies(1.0, 0.4) == pytest.approx(ergotropies(0.9, 0.3), rel=1e-12)


# ---------------------------------------------------------------------------- nothing changes


@pytest.mark.parametrize("bath", [(0.0, 0.0), (0.4, 0.0), (0.2, 0.6)])
def test_a_protocol_that_changes_nothing_is_one_run(bath):
    network, times = qb.cascaded(3, J=0.5, kappa=KAPPA, realization="phase-zero"), np.linspace(0, 12, 49)
    parameters = {"epsilon": EPSILON, "n_th": bath[0], "r": bath[1], "times": times}
    plain = qb.solve(network, **parameters)
    cut = qb.solve(network, protocol=[{"until": 0.1}, {"until": 3.3, "drive": [1, 1]}, {"coupling": 1}], **parameters)
    for name in (*OUTPUTS, "energy_terminal", "ergotropy_terminal", "energy_batteries"):
        np.testing.assert_allclose(cut[name], plain[name], rtol=1e-12, atol=1e-15)


def test_a_steady_state_stays():
    network = qb.parallel(3, J=0.5, kappa=KAPPA, realization="phase-zero")
    ds = qb.solve(
        network,
        times=np.linspace(0, 20, 5),
        initial="steady",
        epsilon=EPSILON,
        n_th=0.2,
        r=0.4,
        outputs=[*OUTPUTS, "energy", "ergotropy"],
    )
    np.testing.assert_allclose(ds.energy_t, ds.energy.expand_dims(time=ds.time, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(ds.ergotropy_t, ds.ergotropy.expand_dims(time=ds.time, axis=-1), rtol=1e-11)


def test_what_is_steady_is_that_of_the_last_segment():
    last = {"energy": qb.solve(qb.cascaded(2, J=0.2), epsilon=0.5 * EPSILON, n_th=0.3).energy_terminal}
    protocol = [{"until": 2}, {"until": 3, "drive": [1, 0.5]}, {"drive": 0.5, "coupling": 0.5}]
    ds = qb.solve(qb.cascaded(2, J=0.4), times=[1.0], protocol=protocol, epsilon=EPSILON, n_th=0.3)
    assert float(ds.energy_terminal) == pytest.approx(float(last["energy"]), rel=1e-14)


# ---------------------------------------------------------------------------- an integrator


@pytest.mark.parametrize("initial", ["vacuum", "steady", STATES])
def test_ramps_agree_with_an_integrator(initial):
    network = qb.cascaded(2, J=0.6, kappa=KAPPA, coupling="reciprocal")
    protocol = [
        {"until": 1.5, "drive": [0, 1]},
        {"until": 4},
        {"until": 4.5, "drive": [1, -0.5], "coupling": 0.4},
        {"drive": 0},
    ]
    _assert_agrees(network, protocol, initial, np.linspace(0, 7, 29), (0.0, 0.0, 0.0))


numbers = st.floats(0.0, 1.5)


@st.composite
def protocols(draw):
    ends = sorted(draw(st.sets(st.integers(1, 12), min_size=1, max_size=3)))
    level = st.floats(-1.5, 1.5)
    segments = [
        {"until": end / 4, "drive": draw(st.one_of(level, st.tuples(level, level))), "coupling": draw(numbers)}
        for end in ends
    ]
    return [*segments, {"drive": draw(level), "coupling": draw(numbers)}]


@st.composite
def states(draw, n_modes):
    kind = draw(st.sampled_from(["vacuum", "thermal", "steady", "modes"]))
    if kind != "modes":
        return kind
    state = st.fixed_dictionaries(
        {
            "amplitude": st.floats(-1, 1),
            "occupation": numbers,
            "squeezing": st.floats(0, 0.8),
            "angle": st.floats(-4, 4),
        }
    )
    return {mode: draw(state) for mode in range(n_modes)}


@settings(max_examples=12)
@given(data=st.data())
def test_random_protocols_agree_with_an_integrator(networks, data):
    network = data.draw(networks(max_modes=4))
    bath = data.draw(st.sampled_from([(0.0, 0.0, 0.0), (0.4, 0.0, 0.0), (0.2, 0.5, 0.9)]))
    initial = data.draw(states(network.n_modes))
    times = data.draw(st.sampled_from([np.linspace(0, 4, 9), np.array([0.3, 0.7, 3.9])]))
    _assert_agrees(network, data.draw(protocols()), initial, times, bath)


@pytest.mark.parametrize("initial", ["vacuum", "thermal", "steady", STATES])
@pytest.mark.parametrize("bath", [(0.0, 0.0, 0.0), (0.2, 0.5, 0.9)])
def test_the_whole_network_agrees_with_an_integrator(initial, bath):
    network, times = qb.cascaded(2, J=0.6, kappa=KAPPA, realization="phase-zero"), np.linspace(0.5, 6, 4)
    protocol, (n_th, r, theta_r) = [{"until": 2, "drive": [1, 0.5]}, {"drive": -0.3, "coupling": 0.5}], bath
    ds = qb.solve(
        network,
        times=times,
        protocol=protocol,
        initial=initial,
        epsilon=EPSILON,
        omega=2.0,
        n_th=n_th,
        r=r,
        theta_r=theta_r,
        outputs=["ergotropy_register_t", "log_negativity_t", "energy_variance_t", "drive_power_t"],
    )
    slow = protocol_moments(network, _resolved(protocol, initial, 3), times, EPSILON, n_th, r, theta_r)
    alpha, C, S = slow.alpha, slow.C, slow.S
    diagonals = (np.diagonal(part, axis1=1, axis2=2) for part in (C.real, S))
    level = np.where(times < 2, 1 - times / 4, -0.3)
    expected = {
        "ergotropy_register_t": 2 * register.register_ergotropy(alpha[:, 1:], C[:, 1:, 1:], S[:, 1:, 1:]),
        "log_negativity_t": register.log_negativity(C, S),
        "energy_variance_t": 4 * register.energy_variance(alpha, *diagonals).T,
        "drive_power_t": 2 * register.drive_power(EPSILON * level, alpha[:, 0]),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(ds[name], values, rtol=1e-9, atol=1e-11)
    assert int(ds.status) == 1


# ---------------------------------------------------------------------------- axes by name, and failures


def test_named_numbers_are_axes():
    protocol = [{"until": "off"}, {"drive": "rest", "coupling": "rest"}]
    initial = {"charger": {"amplitude": "a"}}
    axes = {"off": [0.5, 1.5], "rest": [0.0, 0.25], "a": [0.0, 1.0]}
    times = np.linspace(0, 3, 7)
    ds = qb.solve(DIRECTED, times=times, protocol=protocol, initial=initial, epsilon=EPSILON, **axes)
    assert ds.energy_t.dims == ("off", "rest", "a", "mode", "time")
    assert ds.off.attrs == {"units": "1/omega", "long_name": "end of segment 1"}
    assert ds.rest.attrs["long_name"] == "drive of segment 2 and coupling of segment 2"
    assert ds.a.attrs == {"units": "1", "long_name": "initial amplitude of the charger"}
    for off in axes["off"]:
        for rest in axes["rest"]:
            for a in axes["a"]:
                one = qb.solve(
                    DIRECTED,
                    times=times,
                    protocol=[{"until": off}, {"drive": rest, "coupling": rest}],
                    initial={"charger": {"amplitude": a}},
                    epsilon=EPSILON,
                )
                here = ds.sel(off=off, rest=rest, a=a)
                for name in ("energy_t", "energy_terminal", "energy_charger"):
                    np.testing.assert_allclose(here[name], one[name], rtol=1e-13, atol=1e-300)


def test_only_points_without_a_beginning_fail():
    """A mode that nothing damps has no steady state to start from where it is coupled to nothing."""
    network = Network((1.0, 0.0), (Edge(0, 1, 1.0),), (0.0, 0.5))
    protocol = [{"until": 1}, {"drive": 0}]
    ds = qb.solve(
        network, times=[0.5, 2], protocol=protocol, initial="steady", epsilon=EPSILON, J=[0, 1], outputs=OUTPUTS
    )
    assert ds.status.values.tolist() == [2, 1]
    assert np.isnan(ds.energy_t.sel(J=0)).all()
    with pytest.raises(QbsweepError, match="no steady state to start from"):
        qb.solve(network, times=[0.5], protocol=protocol, initial="steady", epsilon=EPSILON, J=0.0, outputs=OUTPUTS)


def test_a_point_that_fails_has_no_numbers():
    """Too weakly coupled to have a beginning, though it has an end."""
    network = Network((1.0, 0.0), (Edge(0, 1, 1.0),))
    protocol = [{"until": 1}, {"coupling": 1e9}]
    asked = ["energy_terminal", "energy_t"]
    ds = qb.solve(network, times=[2], protocol=protocol, initial="steady", epsilon=1.0, J=[1e-8, 1], outputs=asked)
    assert ds.status.values.tolist() == [2, 1]
    assert [np.isnan(ds[name].sel(J=1e-8)).all() for name in (*asked, "numerical_error")] == [True] * 3
    assert [np.isfinite(ds[name].sel(J=1)).all() for name in (*asked, "numerical_error")] == [True] * 3


def test_the_error_is_known_where_nothing_is_left():
    """A charger that has decayed by 70 orders of magnitude is as good as any."""
    ds = qb.solve(
        qb.cascaded(2, J=2.0),
        times=np.linspace(0, 30, 61),
        protocol=[{"until": 2}, {"drive": 0}],
        epsilon=1.0,
        outputs=["energy_t"],
    )
    charger = ds.energy_t.sel(mode=0).values
    np.testing.assert_allclose(charger[5:] / charger[4], np.exp(-5 * (ds.time.values[5:] - 2)), rtol=1e-9)
    assert float(ds.numerical_error) < 1e-10


# ---------------------------------------------------------------------------- what interference leaves


def test_what_rings_down_to_almost_nothing_keeps_its_digits():
    """A photon that couplings swap: ``e^{-kappa t} sin^2 t``, at times where the sine nearly vanishes."""
    times = np.array([0.5, 3.1415926, 9.4247779, 31.4159265])
    ds = qb.solve(
        qb.cascaded(1, J=1.0, coupling="reciprocal"),
        times=times,
        protocol=[{"until": 2.0, "drive": 0}, {"drive": 0}],
        initial={"charger": {"amplitude": 1}},
        epsilon=0.3,
        outputs=OUTPUTS,
    )
    expected = np.exp(-times) * np.sin(times) ** 2
    np.testing.assert_allclose(ds.energy_t.sel(mode=1), expected, rtol=1e-10)
    np.testing.assert_allclose(ds.ergotropy_t.sel(mode=1), expected, rtol=1e-10)
    error = np.abs(ds.energy_t.sel(mode=1).values / expected - 1).max()
    assert error <= float(ds.numerical_error) < 1e-9
    assert int(ds.status) == 1


@pytest.mark.parametrize("initial", ["vacuum", "steady"])
@pytest.mark.parametrize("rest", [0.0, 0.3])
def test_zeros_along_ramps_agree_with_an_exact_exponential(initial, rest):
    """With equally spaced times that rounding makes unequal, to one just after a zero of the battery's amplitude."""
    ends, levels = (1.5, 2.5, 1e3), ((1.0, 1.0), (1.0, -rest), (-rest, -rest))
    J, kappa, epsilon = 1.3, 0.25, 0.2

    def energies(times):
        return qb.solve(
            qb.cascaded(1, J=J, kappa=kappa, coupling="reciprocal"),
            times=times,
            protocol=[{"until": 1.5}, {"until": 2.5, "drive": [1, -rest]}, {"drive": -rest}],
            initial=initial,
            epsilon=epsilon,
            outputs=["energy_t"],
        )

    coarse = energies(np.linspace(4, 8, 401)).energy_t.sel(mode=1)
    guess = float(coarse.time.values[coarse.values.argmin()])
    with mpmath.workdps(40):
        # Of x = (Im alpha_0, Re alpha_1) up to signs, the level of the drive, and its slope.
        M = mpmath.matrix([[-kappa / 2, -J, -epsilon, 0], [J, -kappa / 2, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
        x_steady = mpmath.lu_solve(M[:2, :2], mpmath.matrix([epsilon, 0]))

        def battery(time):
            x, begin = x_steady if initial == "steady" else mpmath.matrix([0, 0]), mpmath.mpf(0)
            for end, (first, last) in zip(ends, levels, strict=True):
                span, slope = min(time, end) - begin, mpmath.mpf(last - first) / (end - begin)
                if span > 0:
                    x = (mpmath.expm(M * span) * mpmath.matrix([*x, first, slope]))[:2]
                    begin = mpmath.mpf(end)
            return x[1]

        end = float(mpmath.findroot(battery, (guess, guess + 0.01))) + 1e-7
        expected = float(battery(mpmath.mpf(end)) ** 2)
    ds = energies(np.linspace(0, end, 50))
    error = abs(ds.energy_t.values[1, -1] / expected - 1)
    assert error <= float(ds.numerical_error) < 1e-9
    assert error < 1e-11
