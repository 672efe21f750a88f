"""How long a battery keeps what it was charged with, once the drive has stopped."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.fits import MIN_SAMPLES, NO_DATA, TOO_FEW
from qbsweep.analysis.inputs import IMPERFECTIONS, MissingAxisError, in_memory, terminal_in_time
from qbsweep.analysis.kinks import NO_KINKS, kinked_crossing, kinked_value
from qbsweep.analysis.outputs import Labelled, labelled, masked_points, over_curves
from qbsweep.analysis.protocols import PROTOCOL, kinks, spans
from qbsweep.arrays import FloatArray

HALVED, NOT_REACHED, NOT_STOPPED = "halved", "not reached", "not stopped"
_VERDICTS = (HALVED, NOT_REACHED, NOT_STOPPED, TOO_FEW, NO_DATA)
_KEPT = {"energy": "energy_t", "ergotropy": "ergotropy_t"}


class Half(NamedTuple):
    """When a curve has halved since the drive stopped, and the error of that."""

    time: float = math.nan
    error: float = math.nan
    stored: float = math.nan
    verdict: str = NO_DATA


def storage_time(ds: xr.Dataset) -> xr.Dataset:
    """Find how long after the end of the drive the terminal battery still has half of its energy, and ergotropy.

    Half of what it has when the drive stops, and the last time at which it has so much: what is still on its way
    then may arrive later. The crossing is interpolated; what happens between two samples is not seen.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with `times` and with a `protocol` in which the drive stops, and with `energy_t` or `ergotropy_t`
        among its outputs.

    Returns
    -------
    Dataset
        `stop`, the time at which the drive is off for good; of the energy and of the ergotropy `..._half_life` and
        `..._half_life_error` in the unit of `time`, `..._stored`, what there is at the stop, and `..._verdict`: halved;
        not reached (still more than half at the last time); not stopped (before the last time); too few points; no
        data. What is not known is NaN. `masked_points`.

    Raises
    ------
    QbsweepError
        If nothing tells of a drive that stops, or neither variable is there.
    """
    STORAGE_TIME.require(ds)
    stop, ends = _stop(ds), kinks(ds)
    kept = {what: name for what, name in _KEPT.items() if name in ds} or {"energy": _KEPT["energy"]}
    ds = in_memory(ds, kept.values(), "storage_time")
    units = ds["time"].attrs.get("units", "1/omega")
    good = xr.DataArray(True)
    variables: dict[str, Labelled] = {}
    for what, name in kept.items():
        values, usable = terminal_in_time(ds, name)
        good = good & usable
        found = over_curves(halved, Half.__annotations__, "time", ds["time"], values, stop, ends)
        variables |= _variables(what, found, units, ds[name].attrs.get("units", "omega"))
    like = next(iter(found.values()))  # a table has the variables of the fewest dimensions
    variables["stop"] = (stop.broadcast_like(like), units, "time at which the drive stops for good")
    variables["masked_points"] = masked_points(good)
    return labelled(ds, variables, "storage_time")


def _variables(what: str, found: Mapping[str, xr.DataArray], units: str, of: str) -> dict[str, Labelled]:
    return {
        f"{what}_half_life": (found["time"], units, f"time after the drive in which the terminal {what} halves"),
        f"{what}_half_life_error": (found["error"], units, f"error of the half-life of the {what}"),
        f"{what}_stored": (found["stored"], of, f"terminal {what} when the drive stops"),
        f"{what}_verdict": (found["verdict"], "1", f"one of: {', '.join(_VERDICTS)}"),
    }


def _stop(ds: xr.Dataset) -> xr.DataArray:
    """Return when the drive stops for good, infinite where it does not."""
    stop = xr.DataArray(math.nan)
    for span in spans(ds):
        off = (xr.DataArray(span.drive[0]) == 0) & (xr.DataArray(span.drive[1]) == 0)
        stop = stop.fillna(span.begin).where(off, span.end)
    if not bool(np.isfinite(stop).any()):
        raise MissingAxisError("storage_time", "protocol", "a drive that stops")
    return stop


def halved(times: FloatArray, values: FloatArray, stop: float, kinks: FloatArray = NO_KINKS) -> Half:
    """Find when one curve has fallen for good to half of its value at `stop`."""
    if not np.isfinite(values).all():
        return Half()
    later = times >= stop * (1 - 1e-9)  # also of a drive that never stops
    if later.sum() < 2:
        return Half(verdict=NOT_STOPPED)
    stored, stored_error = kinked_value(times, values, stop, kinks)
    if not stored > 0:
        return Half(stored=stored, verdict=TOO_FEW if math.isnan(stored) else NO_DATA)
    t, left = times[later], values[later] / stored - 0.5
    above = np.flatnonzero(left > 0)
    if not len(above) or above[-1] == len(t) - 1:
        return Half(stored=stored, verdict=NOT_REACHED if len(above) else TOO_FEW)
    last = int(above[-1])
    found = kinked_crossing(t, left, last, kinks) if len(t) >= MIN_SAMPLES else None
    if found is None:
        return Half(stored=stored, verdict=TOO_FEW)
    slope = (left[last] - left[last + 1]) / (t[last + 1] - t[last])
    from_level = 0.5 * stored_error / stored / slope
    return Half(found.x - stop, math.hypot(found.x_error, from_level), stored, HALVED)


_AXES = (PROTOCOL, "N", "J", *IMPERFECTIONS)
STORAGE_TIME = Analysis(
    storage_time,
    axes={"time": ()},
    along="time",
    seconds_per_curve=8e-3,
    pictures=(Picture("energy_half_life", _AXES), Picture("energy_stored", _AXES)),
    labels={
        "energy_half_life": "half-life of the energy",
        "energy_stored": "energy when the drive stops",
        "ergotropy_half_life": "half-life of the ergotropy",
        "ergotropy_stored": "ergotropy when the drive stops",
    },
)
ANALYSES = (STORAGE_TIME,)
