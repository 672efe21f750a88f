"""Half-lives after the drive: against closed forms, with switch-off times as an axis, and where there is none."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq

import qbsweep
from qbsweep.analysis.storage import halved
from qbsweep.errors import QbsweepError

HALF_LIFE = brentq(lambda x: math.exp(-x) * (1 + x / 2) ** 2 - 0.5, 1, 4)  # of the directed pair, Lambda t


def stored(times: np.ndarray, off: Any, protocol: list[dict[str, Any]], **coords: Any) -> xr.Dataset:
    """A directed pair in its steady state that loses its drive at `off`, Lambda = 1, beside one without couplings."""
    t = np.maximum(0, times - np.asarray(off)[..., None])
    pair = np.exp(-t) * (1 + t / 2) ** 2
    dims = tuple(coords)
    alone = 0.25 * np.exp(-t)
    shape = np.shape(off)
    both = np.stack([np.ones_like(pair), pair], -2)
    ds = xr.Dataset(
        {
            "energy_t": ((*dims, "mode", "time"), both, {"units": "omega"}),
            "ergotropy_t": ((*dims, "mode", "time"), np.stack([alone, alone], -2), {"units": "omega"}),
            "status": (dims, np.ones(shape, np.int8)),
        },
        {"time": ("time", times, {"units": "1/kappa"}), "mode": [0, 1], "N": 1, **coords},
    )
    return ds.assign_attrs(protocol=json.dumps(protocol), title="pair")


def test_the_directed_pair() -> None:
    assert abs(HALF_LIFE - 2.1559209) < 5e-8
    ds = stored(np.linspace(0, 12, 121), 2.0, [{"until": 2.0}, {"until": 30, "drive": [0, 0], "coupling": 0}])
    found = ds.qb.storage_time()
    assert found["stop"].item() == 2
    assert abs(found["energy_half_life"].item() - HALF_LIFE) <= found["energy_half_life_error"].item() < 1e-5
    assert found["energy_half_life"].item() == pytest.approx(HALF_LIFE, abs=1e-7)
    assert found["ergotropy_half_life"].item() == pytest.approx(math.log(2), abs=1e-7)
    assert found["energy_stored"].item() == 1
    assert found["energy_verdict"].item() == "halved"
    assert found["energy_half_life"].attrs["units"] == "1/kappa"


@pytest.mark.filterwarnings("error")
def test_a_level_at_which_the_drive_goes_on() -> None:
    ds = stored(np.linspace(0, 12, 121), [2.0, 12.0], [{"until": 2}, {"drive": "level"}], level=("level", [0.0, 0.5]))
    found = ds.qb.storage_time()
    assert found["stop"].values.tolist() == [2, math.inf]
    assert found["energy_verdict"].values.tolist() == ["halved", "not stopped"]


def test_an_axis_of_switch_off_times() -> None:
    off = np.array([1.0, 2.5, 10.0, 11.5, 12.0])
    protocol = [{"until": "switch_off", "drive": [1, 1]}, {"drive": [0, 0]}]
    found = stored(np.linspace(0, 12, 241), off, protocol, switch_off=("switch_off", off)).qb.storage_time()
    assert found["energy_verdict"].values.tolist() == ["halved", "halved", "not reached", "not reached", "not stopped"]
    np.testing.assert_allclose(found["energy_half_life"][:2], HALF_LIFE, atol=1e-7)
    assert found["energy_half_life"][2:].isnull().all()
    assert found["ergotropy_verdict"].values.tolist()[:3] == ["halved"] * 3


def test_a_ramp_stops_at_its_end_and_a_late_pulse_counts() -> None:
    times = np.linspace(0, 12, 121)
    ramp = [{"until": 1.0}, {"until": 2.0, "drive": [1, 0]}, {"drive": 0}]
    assert stored(times, 2.0, ramp).qb.storage_time()["stop"].item() == 2
    pulse = [{"until": 1.0, "drive": 0}, {"until": 3.0, "drive": [0.5, 0.5]}, {"drive": [0, 0]}]
    assert stored(times, 3.0, pulse).qb.storage_time()["stop"].item() == 3
    assert stored(times, 0.0, [{"drive": 0}]).qb.storage_time()["stop"].item() == 0


def test_a_stop_between_samples() -> None:
    off = 2.03
    found = stored(np.linspace(0, 12, 241), off, [{"until": off}, {"drive": 0}]).qb.storage_time()
    assert abs(found["energy_half_life"].item() - HALF_LIFE) <= found["energy_half_life_error"].item() < 1e-5
    assert found["energy_stored"].item() == pytest.approx(1, abs=1e-6)


def test_a_stop_that_is_a_sample_has_its_value() -> None:
    """What was linear until then and decays from then on."""
    t = np.linspace(0, 10, 101)
    found = halved(t, np.where(t < 4, t / 4, np.exp(4 - t)), 4.0, np.array([4.0]))
    assert found.stored == 1
    assert abs(found.time - math.log(2)) <= found.error < 1e-5


def test_couplings_that_go_off_meanwhile() -> None:
    """A second kink, just before half is left."""
    t, kink = np.linspace(0, 10, 101), 4.6
    values = np.where(t < kink, np.exp(-(t - 4)), np.exp(-(kink - 4) - 0.2 * (t - kink)))
    found = halved(t, np.where(t < 4, t / 4, values), 4.0, np.array([4.0, kink]))
    assert abs(found.time - (0.6 + (math.log(2) - 0.6) / 0.2)) <= found.error < 1e-6


def test_what_arrives_later_counts() -> None:
    t = np.linspace(0, 10, 201)
    found = halved(t, (1 + 3 * t**2) * np.exp(-t), 0.0)
    exact = brentq(lambda x: (1 + 3 * x**2) * math.exp(-x) - 0.5, 3, 10)
    assert found.time == pytest.approx(exact, abs=1e-6)


def test_curves_without_a_half_life() -> None:
    t = np.linspace(0, 10, 101)
    assert halved(t, np.full(101, np.nan), 0.0).verdict == "no data"
    assert halved(t, np.zeros(101), 1.0).verdict == "no data"
    assert halved(t, np.ones(101), 1.0).verdict == "not reached"
    assert halved(t, np.ones(101), 20.0).verdict == "not stopped"
    assert halved(t[::25], np.exp(-t[::25]), 0.0).verdict == "too few points"


@pytest.mark.parametrize("protocol", [None, [{"until": 4.0}, {"drive": [1, 1], "coupling": 0}]])
def test_a_drive_that_does_not_stop(protocol: Any) -> None:
    ds = stored(np.linspace(0, 5, 21), 1.0, protocol or [])
    if protocol is None:
        del ds.attrs["protocol"]
    with pytest.raises(QbsweepError, match=r"storage_time needs a drive that stops.*a sweep with `protocol"):
        ds.qb.storage_time()


def test_a_solved_pair_without_couplings_decays_alone(sweep: Callable[..., Path]) -> None:
    """With its units and its protocol as a run has them: the half-life is ln 2 / kappa wherever the drive stops."""
    out = sweep(
        "name: run\nparameters: {kappa: 0.003, epsilon: 0.01, topology: cascaded, J: {value: 1, unit: J_op}}\n"
        "sweep: {N: [1, 2], t_off: {values: [2, 3.5], unit: 1/kappa}}\n"
        "times: {linspace: [0, 10, 101], unit: 1/kappa}\nprotocol: [{until: t_off}, {drive: 0, coupling: 0}]\n"
    )
    ds = qbsweep.open(out).dataset
    found = ds.qb.storage_time()
    np.testing.assert_allclose(found["stop"], [[2, 3.5]] * 2)
    for what in ("energy", "ergotropy"):
        if f"{what}_t" not in ds:
            continue
        error = np.abs(found[f"{what}_half_life"] - math.log(2))
        assert (error <= found[f"{what}_half_life_error"]).all()
        assert (found[f"{what}_half_life_error"] < 1e-3).all()
        for N in (1, 2):
            for off in (2, 3.5):
                at = ds[f"{what}_t"].sel(N=N, mode=N, t_off=off).sel(time=off, method="nearest")
                assert float(found[f"{what}_stored"].sel(N=N, t_off=off)) == pytest.approx(float(at), rel=1e-12)
    assert found["energy_half_life"].attrs["units"] == "1/kappa"
