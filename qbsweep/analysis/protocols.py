"""The protocol that a dataset is of: when its segments end, and what the drive and the couplings are in each."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

Level = float | xr.DataArray
"""A number, or one for every value of an axis."""
PROTOCOL = "protocol"
"""The attribute of a dataset that holds it."""
KINK = "kink"
"""Dimension of what is counted by the ends of segments."""


@dataclass(frozen=True, slots=True)
class Span:
    """A segment of a protocol, with the names of axes replaced by their values.

    Attributes
    ----------
    begin, end : Level
        In the unit of `time`; the end of the last one may be infinite.
    drive : (Level, Level)
        Multiples of epsilon at the beginning and at the end.
    coupling : Level
        Multiple of J and Gamma.
    """

    begin: Level
    end: Level
    drive: tuple[Level, Level]
    coupling: Level


def spans(ds: xr.Dataset) -> list[Span]:
    """Return the segments of a dataset, from t = 0; none if nothing changes in time."""
    found: list[Span] = []
    for segment in json.loads(ds.attrs.get("protocol") or "[]"):
        drive = segment.get("drive", 1.0)
        first, last = drive if isinstance(drive, list) else (drive, drive)
        end = segment.get("until")
        begin = found[-1].end if found else 0.0
        levels = _level(ds, first), _level(ds, last)
        found.append(Span(begin, _level(ds, end, math.inf), levels, _level(ds, segment.get("coupling"), 1.0)))
    return found


def kinks(ds: xr.Dataset) -> xr.DataArray:
    """Return when segments end that another follows, along `KINK`; none if nothing changes in time."""
    ends = [xr.DataArray(span.end) for span in spans(ds)[:-1]]
    return xr.concat(xr.broadcast(*ends), KINK) if ends else xr.DataArray(np.empty(0), dims=KINK)


def names(ds: xr.Dataset) -> list[str]:
    """Return the names that the protocol of a dataset, or of what was made of one, has for axes."""
    values = [value for one in json.loads(ds.attrs.get(PROTOCOL) or "[]") for value in one.values()]
    given = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return [name for name in dict.fromkeys(given) if isinstance(name, str)]


def last_coupling(ds: xr.Dataset) -> xr.DataArray:
    """Return what J and Gamma are multiplied by in the end; NaN if the axis that says so is gone."""
    given = json.loads(ds.attrs.get(PROTOCOL) or "[{}]")[-1].get("coupling")
    return xr.DataArray(math.nan if isinstance(given, str) and given not in ds.coords else _level(ds, given))


def ends_empty(ds: xr.Dataset) -> bool:
    """Whether nothing is left in the end: the drive stops for good, everywhere, and no bath has noise."""
    segments = spans(ds)
    off = segments and all(bool((xr.DataArray(level) == 0).all()) for level in segments[-1].drive)
    noisy = any(bool((ds[name] > 0).any()) for name in ("n_th", "r") if name in ds.coords)
    return bool(off) and not noisy


def _level(ds: xr.Dataset, given: Any, default: float = 1.0) -> Level:
    if isinstance(given, str):
        return ds[given].astype(float)
    return default if given is None else float(given)
