"""Charging in time: when a battery has settled, and how fast it was charged."""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.fits import MIN_SAMPLES, NO_DATA, TOO_FEW
from qbsweep.analysis.inputs import in_memory, terminal_in_time
from qbsweep.analysis.kinks import NO_KINKS, kinked_crossing, kinked_maximum
from qbsweep.analysis.outputs import labelled, masked_points, over_curves
from qbsweep.analysis.protocols import kinks
from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError

SETTLED, NOT_SETTLED, PEAK, EDGE = "settled", "not settled", "peak", "edge"


class Settling(NamedTuple):
    """When a curve has settled, and the error of that."""

    time: float = math.nan
    error: float = math.nan
    verdict: str = NO_DATA


def settling_time(ds: xr.Dataset, tolerance: float = 0.01) -> xr.Dataset:
    """Find when the terminal energy has settled: the last time at which it is `tolerance` off its steady value.

    The steady value is `energy_terminal` of the same dataset, not the last time; the crossing is interpolated.
    What happens between two samples is not seen. Along a protocol the steady value is that of its last segment, with
    the drive and the couplings that this ends with; if it is 0, as in storage, there is nothing to settle at: NaN.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with `times`, and with `energy_terminal` and `energy_t` among its outputs (the default).
    tolerance : float
        Relative.

    Returns
    -------
    Dataset
        `settling_time` and `settling_time_error` in the unit of `time`, `verdict` (settled; not settled: still off at
        the last time; too few points; no data, or nothing to settle at) and `masked_points`.
    """
    if not 0 < tolerance < 1:
        raise QbsweepError(f"the tolerance of settling_time must lie between 0 and 1, but is {tolerance:g}")
    SETTLING_TIME.require(ds)
    ends = kinks(ds)
    ds = in_memory(ds, ("energy_t", "energy_terminal"), "settling_time")
    energy, good = terminal_in_time(ds, "energy_t")
    arguments = ds["time"], energy, ds["energy_terminal"], xr.DataArray(tolerance), ends
    found = over_curves(settled, Settling.__annotations__, "time", *arguments)
    units = ds["time"].attrs.get("units", "1/omega")
    text = f"time after which the terminal energy is within {tolerance:g} of its steady value"
    variables = {
        "settling_time": (found["time"], units, text),
        "settling_time_error": (found["error"], units, "error of the settling time"),
        "verdict": (found["verdict"], "1", f"one of: {', '.join((SETTLED, NOT_SETTLED, TOO_FEW, NO_DATA))}"),
        "masked_points": masked_points(good),
    }
    return labelled(ds, variables, "settling_time", tolerance=tolerance)


def settled(
    times: FloatArray, energy: FloatArray, steady: float, tolerance: float, kinks: FloatArray = NO_KINKS
) -> Settling:
    """Find when one curve has settled."""
    if not (np.isfinite(energy).all() and math.isfinite(steady) and steady > 0):
        return Settling()
    deviation = energy / steady - 1
    outside = np.flatnonzero(np.abs(deviation) > tolerance)
    if not len(outside):
        return Settling(float(times[0]), 0.0, SETTLED)
    last = int(outside[-1])
    if last == len(times) - 1:
        return Settling(verdict=NOT_SETTLED)
    if len(times) < MIN_SAMPLES:
        return Settling(verdict=TOO_FEW)
    found = kinked_crossing(times, deviation - math.copysign(tolerance, deviation[last]), last, kinks)
    return Settling(found.x, found.x_error, SETTLED) if found else Settling(verdict=TOO_FEW)


class Power(NamedTuple):
    """Largest charging powers of a curve, when they are reached, and their errors."""

    peak: float = math.nan
    peak_error: float = math.nan
    peak_time: float = math.nan
    mean: float = math.nan
    mean_error: float = math.nan
    mean_time: float = math.nan
    verdict: str = NO_DATA


def charging_power(ds: xr.Dataset) -> xr.Dataset:
    """Find the largest power at which the terminal battery is charged, at an instant and on average.

    Along a protocol the largest power may be at the end of a segment, where the power may jump: then it is that of the
    side on which it is larger. The mean is over all the time since t = 0, and counts what energy there is then.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with `times`, and `energy_t` among its outputs (the default).

    Returns
    -------
    Dataset
        `peak_power`, the largest dE/dt, and `mean_power`, the largest E(t)/t, with their errors (`..._error`) and the
        times at which they are reached (`..._time`), interpolated; `verdict` (peak; edge: one of the two is largest at
        an end of the times, or in a segment with too few of them, and NaN; too few points; no data) and
        `masked_points`.
    """
    CHARGING_POWER.require(ds)
    ends = kinks(ds)
    ds = in_memory(ds, ("energy_t",), "charging_power")
    energy, good = terminal_in_time(ds, "energy_t")
    found = over_curves(largest_powers, Power.__annotations__, "time", ds["time"], energy, ends)
    time_units = ds["time"].attrs.get("units", "1/omega")
    units = f"{ds['energy_t'].attrs.get('units', 'omega')} {time_units.removeprefix('1/')}"
    variables = {
        "peak_power": (found["peak"], units, "largest power dE/dt into the terminal battery"),
        "peak_power_error": (found["peak_error"], units, "error of the largest power"),
        "peak_power_time": (found["peak_time"], time_units, "time of the largest power"),
        "mean_power": (found["mean"], units, "largest mean power E(t)/t into the terminal battery"),
        "mean_power_error": (found["mean_error"], units, "error of the largest mean power"),
        "mean_power_time": (found["mean_time"], time_units, "time of the largest mean power"),
        "verdict": (found["verdict"], "1", f"one of: {', '.join((PEAK, EDGE, TOO_FEW, NO_DATA))}"),
        "masked_points": masked_points(good),
    }
    return labelled(ds, variables, "charging_power")


def largest_powers(times: FloatArray, energy: FloatArray, kinks: FloatArray = NO_KINKS) -> Power:
    """Find the largest powers of one curve E(t)."""
    if not np.isfinite(energy).all():
        return Power()
    if len(times) < MIN_SAMPLES + 2:
        return Power(verdict=TOO_FEW)
    scale = float(np.abs(energy).max()) or 1.0
    y = energy / scale
    later = times > 0
    peak = kinked_maximum(times, y, kinks, order=1)
    mean = kinked_maximum(times[later], y[later] / times[later], kinks, order=0)
    verdict = EDGE if math.isnan(peak.x) or math.isnan(mean.x) else PEAK
    return Power(
        peak=scale * peak.y,
        peak_error=scale * peak.y_error,
        peak_time=peak.x,
        mean=scale * mean.y,
        mean_error=scale * mean.y_error,
        mean_time=mean.x,
        verdict=verdict,
    )


_AXES = ("N", "J", "n_th", "r")
SETTLING_TIME = Analysis(
    settling_time,
    axes={"time": ()},
    along="time",
    seconds_per_curve=4e-3,
    pictures=(Picture("settling_time", _AXES),),
    labels={"settling_time": "settling time"},
    settings=("tolerance",),
)
CHARGING_POWER = Analysis(
    charging_power,
    axes={"time": ()},
    along="time",
    seconds_per_curve=4e-3,
    pictures=(Picture("peak_power", _AXES),),
    labels={"peak_power": "largest power dE/dt", "mean_power": "largest mean power E/t"},
)
ANALYSES = (SETTLING_TIME, CHARGING_POWER)
