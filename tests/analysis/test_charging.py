"""Charging in time, against closed forms and matrix exponentials, and with curves of every kind."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import expm
from scipy.optimize import brentq, minimize_scalar

import qbsweep
from qbsweep.analysis.charging import largest_powers, settled
from qbsweep.errors import QbsweepError
from qbsweep.physics import topologies
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.topologies import cascaded, parallel

Get = Callable[[str], xr.Dataset]


def star(tau: float) -> float:
    """E(t) / E(infinity) of the reciprocal star at its optimum, tau = kappa t / 2."""
    return (1 - math.exp(-tau) * (math.cos(tau) + math.sin(tau))) ** 2


def energy_in_time(topology: str, coupling: str, N: int) -> Callable[[float], float]:
    """Terminal energy over its steady value at kappa t, by a dense matrix exponential; kappa = 1."""
    J = float(topologies.optimal_coupling(topology, N, 1.0))
    network = {"cascaded": cascaded, "parallel": parallel}[topology](N, J=J, kappa=1.0, coupling=coupling)
    M = drift_matrix(network)
    steady = np.linalg.solve(M, np.eye(N + 1)[0])
    return lambda t: float(np.abs((expm(M * t) @ steady - steady)[-1] / steady[-1]) ** 2)


def test_settling_of_the_reciprocal_star(dataset: Get) -> None:
    exact = 2 * brentq(lambda tau: star(tau) - 1.01, 4.8, 5.2)
    assert exact == pytest.approx(9.93369, abs=1e-5)
    found = dataset("fig4").qb.settling_time().sel(topology="parallel", coupling="reciprocal")
    np.testing.assert_allclose(found["settling_time"], exact, rtol=1e-8)
    assert found["settling_time"].attrs["units"] == "1/kappa"


@pytest.mark.parametrize("topology", ["cascaded", "parallel"])
@pytest.mark.parametrize("coupling", ["nonreciprocal", "reciprocal"])
@pytest.mark.parametrize("N", [3, 4])
def test_settling_against_matrix_exponentials(dataset: Get, topology: str, coupling: str, N: int) -> None:
    found = dataset("fig4").qb.settling_time().sel(topology=topology, coupling=coupling, N=N)
    assert found["verdict"].item() == "settled"
    energy, t = energy_in_time(topology, coupling, N), found["settling_time"].item()
    assert abs(abs(energy(t) - 1) - 0.01) < 1e-7
    assert all(abs(energy(later) - 1) < 0.01 for later in np.linspace(t + 1e-3, t + 8, 200))
    assert 0 < found["settling_time_error"].item() < 1e-6


def test_powers_of_the_reciprocal_star(dataset: Get) -> None:
    ds = dataset("fig4").sel(topology="parallel", coupling="reciprocal", N=3)
    found, steady = ds.qb.charging_power(), ds["energy_terminal"].item()

    def power(t: float) -> float:  # d/dt of `star`, kappa = 1
        tau = t / 2
        return 2 * math.exp(-tau) * math.sin(tau) * (1 - math.exp(-tau) * (math.cos(tau) + math.sin(tau)))

    for name, function in (("peak_power", power), ("mean_power", lambda t: star(t / 2) / t)):
        best = minimize_scalar(lambda t, f=function: -f(t), bounds=(1, 6), method="bounded", options={"xatol": 1e-10})
        assert abs(found[name].item() + best.fun * steady) <= found[f"{name}_error"].item() + 1e-12
        assert found[name].item() == pytest.approx(-best.fun * steady, rel=1e-7)
        assert found[f"{name}_time"].item() == pytest.approx(best.x, rel=1e-5)
    assert found["peak_power"].attrs["units"] == "omega kappa"
    assert found["verdict"].item() == "peak"


def test_every_n_uses_its_own_terminal_battery(dataset: Get) -> None:
    ds = dataset("fig4").sel(topology="cascaded", coupling="nonreciprocal")
    both = ds.qb.settling_time()["settling_time"]
    for N in (3, 4):
        assert ds.sel(N=N).qb.settling_time()["settling_time"].item() == both.sel(N=N).item()


@pytest.mark.parametrize("name", ["settling_time", "charging_power"])
def test_points_that_are_not_ok_are_left_out_and_counted(dataset: Get, name: str) -> None:
    ds = dataset("fig4").copy(deep=True)
    ds["status"].loc[{"topology": "parallel", "coupling": "reciprocal", "N": 4}] = 3
    found = getattr(ds.qb, name)()
    assert found["masked_points"].item() == 1
    masked = found.sel(topology="parallel", coupling="reciprocal", N=4)
    assert masked["verdict"].item() == "no data"
    assert (found["verdict"] == "no data").sum() == 1
    for variable in found.variables.values():
        assert {"units", "long_name"} <= set(variable.attrs)


T = np.linspace(0, 12, 241)


def test_an_exponential_settles_when_it_should() -> None:
    found = settled(T, 1 - np.exp(-T), 1.0, 0.01)
    assert found.verdict == "settled"
    assert abs(found.time - math.log(100)) <= found.error < 1e-5


def test_settling_from_above_and_at_once() -> None:
    found = settled(T, 1 + 0.5 * np.exp(-T), 1.0, 0.01)
    assert abs(found.time - math.log(50)) <= found.error < 1e-5
    assert settled(T, np.ones(241), 1.0, 0.01)[::2] == (0.0, "settled")


def test_what_has_not_settled() -> None:
    assert settled(T[:60], 1 - np.exp(-T[:60]), 1.0, 0.01).verdict == "not settled"
    assert settled(T[::60], 1 - np.exp(-T[::60]), 1.0, 0.01).verdict == "too few points"
    assert settled(T, np.zeros(241), 0.0, 0.01).verdict == "no data"
    assert settled(T, np.full(241, np.nan), 1.0, 0.01).verdict == "no data"


def test_powers_at_an_edge_and_of_few_points() -> None:
    assert largest_powers(T, 1 - np.exp(-T)).verdict == "edge"  # steepest at once
    assert largest_powers(T[:30], np.sin(T[:30] / 9) ** 2).verdict == "edge"  # still rising
    assert largest_powers(T[:5], T[:5] ** 2).verdict == "too few points"
    assert largest_powers(T, np.zeros(241)).verdict == "edge"
    assert largest_powers(T, np.full(241, np.nan)).verdict == "no data"


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
def test_units_of_energy_do_not_matter(scale: float) -> None:
    energy = np.tanh(T / 3) ** 4
    one, other = largest_powers(T, energy), largest_powers(T, scale * energy)
    np.testing.assert_allclose([other.peak / scale, other.peak_time], [one.peak, one.peak_time], rtol=1e-9)
    assert settled(T, scale * energy, scale, 0.01).time == pytest.approx(settled(T, energy, 1.0, 0.01).time, rel=1e-9)


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -0.1])
def test_a_tolerance_without_sense_is_refused(dataset: Get, tolerance: float) -> None:
    with pytest.raises(QbsweepError, match="between 0 and 1"):
        dataset("fig4").qb.settling_time(tolerance=tolerance)


def test_times_in_omega_and_fixed_n(sweep: Callable[[str], Path]) -> None:
    out = sweep(
        "name: slow\nparameters: {topology: cascaded, N: 2, J: {value: 1, unit: J_op}, kappa: 0.003, epsilon: 0.01}\n"
        "sweep: {n_th: [0, 1]}\ntimes: {linspace: [0, 5000, 301]}\n"
    )
    with xr.open_zarr(out / "data.zarr") as ds:
        found = ds.qb.settling_time()
    assert found["settling_time"].attrs["units"] == "1/omega"
    energy, kappa_t = energy_in_time("cascaded", "nonreciprocal", 2), 0.003 * found["settling_time"].sel(n_th=0).item()
    assert abs(abs(energy(kappa_t) - 1) - 0.01) < 1e-7


# ---------------------------------------------------------------------------- curves with kinks, along protocols


def pulse(t: np.ndarray, kink: float) -> np.ndarray:
    """Rises as t^3 until its kink, and is lost then."""
    return np.where(t < kink, t**3, kink**3 * np.exp(-(t - kink)))


@pytest.mark.parametrize("kink", [6.0, 6.02, 6.049])
def test_the_largest_powers_may_be_at_a_kink_and_are_those_of_one_side(kink: float) -> None:
    found = largest_powers(T, pulse(T, kink), np.array([kink, 13.0]))
    assert found.verdict == "peak"
    assert (found.peak_time, found.mean_time) == (kink, kink)
    assert abs(found.peak - 3 * kink**2) <= found.peak_error + 1e-9
    assert abs(found.mean - kink**2) <= found.mean_error + 1e-9
    assert found.peak_error < 1e-3 * found.peak
    assert found.mean_error < 1e-3 * found.mean


def test_the_largest_power_beside_a_kink_is_that_of_its_piece() -> None:
    """A parabola until 3 of which the power is largest at 2.9; what follows would bend a polynomial."""
    energy = np.where(T < 3, 6 * T + 2.9 * T**2 - T**3 / 3, 6 * 3 + 2.9 * 9 - 9 + 4 * (T - 3))
    found = largest_powers(T, energy, np.array([3.0]))
    assert found.peak_time == pytest.approx(2.9, abs=1e-6)
    assert found.peak == pytest.approx(6 + 2.9**2, rel=1e-9)


def test_a_largest_power_less_than_a_step_before_a_kink() -> None:
    """Of a rise as t^3 e^-t that is lost at once then."""
    best = minimize_scalar(lambda t: (t - 3) * t**2 * math.exp(-t), bounds=(1, 2.5), options={"xatol": 1e-10})
    kink = best.x + 0.02
    times = np.linspace(0, 4, 101) * kink / 2
    energy = np.minimum(times, kink) ** 3 * np.exp(-np.minimum(times, kink) - 3 * np.maximum(times - kink, 0))
    found = largest_powers(times, energy, np.array([kink]))
    assert found.peak_time == pytest.approx(best.x, abs=1e-3)
    assert abs(found.peak + best.fun) <= found.peak_error


def test_a_kink_that_is_none_changes_little() -> None:
    energy = np.tanh(T / 3) ** 4
    plain, cut = largest_powers(T, energy), largest_powers(T, energy, np.array([1.0, 7.02, 20.0, np.inf, np.nan]))
    np.testing.assert_allclose(cut[::2][:3], plain[::2][:3], rtol=1e-6)
    assert settled(T, energy, 1.0, 0.01, np.array([2.0])).time == pytest.approx(settled(T, energy, 1.0, 0.01).time)


def test_settling_soon_after_a_kink() -> None:
    """The deviation is 0.012 until 5, and decays from then on."""
    energy = 1 + 0.012 * np.exp(-np.maximum(T - 5, 0))
    found, across = (settled(T, energy, 1.0, 0.01, kinks) for kinks in (np.array([5.0]), np.empty(0)))
    assert abs(found.time - (5 + math.log(1.2))) <= found.error < 0.01 * across.error


def test_settling_beside_a_kink_between_samples_is_known_to_a_step() -> None:
    kink = 5.02
    energy = np.where(kink > T, 1.2, 1 + 0.2 * np.exp(-200 * np.maximum(T - kink, 0)))
    found = settled(T, energy, 1.0, 0.01, np.array([kink]))
    assert abs(found.time - (kink + math.log(20) / 200)) <= found.error == pytest.approx(0.05)


def test_powers_along_a_protocol_against_its_moments() -> None:
    """Charged until an axis of times, kept without couplings: the power is what couplings give until then."""
    off, times = [2.0, 2.51, 6.0], np.linspace(0, 9, 181)
    pair = cascaded(1, J=0.5, kappa=1.0)
    ds = qbsweep.solve(
        pair,
        times=times,
        protocol=[{"until": "off"}, {"drive": 0, "coupling": 0}],
        off=off,
        epsilon=0.1,
        outputs=["energy_t"],
    )
    found = ds.qb.charging_power()

    def energy(t: np.ndarray) -> np.ndarray:
        return np.asarray((1 - np.exp(-t) * (1 + t)) ** 2)  # over its steady value; the decay rate is 1 + kappa = 2

    steady = float(qbsweep.solve(pair, epsilon=0.1, outputs=["energy_terminal"]).energy_terminal)
    best = minimize_scalar(lambda t: -2 * (1 - math.exp(-t) * (1 + t)) * t * math.exp(-t), bounds=(1, 4))
    for end in off:
        one, place = found.sel(off=end), min(best.x, end)
        assert one["peak_power_time"].item() == pytest.approx(place, rel=1e-4)
        power = 2 * (1 - math.exp(-place) * (1 + place)) * place * math.exp(-place)
        assert one["peak_power"].item() == pytest.approx(power * steady, rel=1e-4)
        assert abs(one["peak_power"].item() - power * steady) <= one["peak_power_error"].item() * (1 + 1e-6)
        before = times[(times > 0) & (times <= end)]
        highest = max((energy(before) / before).max(), float(energy(np.array([end]))[0]) / end)
        assert one["mean_power"].item() >= highest * steady * (1 - 1e-6)
