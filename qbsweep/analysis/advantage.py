"""Nonreciprocal against reciprocal coupling."""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.fits import MIN_SAMPLES, NO_DATA, TOO_FEW, UNKNOWN, crossing_near, logarithms
from qbsweep.analysis.inputs import absolute_coupling, good_values, in_memory, ratio_of
from qbsweep.analysis.outputs import Labelled, labelled, masked_points, over_curves
from qbsweep.arrays import FloatArray

WINDOW, OPEN_BELOW, OPEN_ABOVE, EVERYWHERE = "window", "open below", "open above", "everywhere"
NONE = "none"
WINDOW_VERDICTS = (WINDOW, OPEN_BELOW, OPEN_ABOVE, EVERYWHERE, NONE, TOO_FEW, NO_DATA)
_EQUAL = 1e-12  # relative difference of energies, the solver's accuracy


class Window(NamedTuple):
    """Couplings between which the reciprocal network stores more; NaN where an end is unknown or not sampled."""

    low: float = math.nan
    low_error: float = math.nan
    high: float = math.nan
    high_error: float = math.nan
    n_windows: int = 0
    verdict: str = NO_DATA


def nonreciprocal_advantage(ds: xr.Dataset, of: str = "energy_terminal") -> xr.Dataset:
    """Compare nonreciprocal with reciprocal coupling, point by point, and find where the latter wins.

    For a star in vacuum the reciprocal network stores more exactly for kappa/(2N) < J < kappa/2, eq. (14). Here the
    window is where ln(E_NC / E_RC) crosses 0, interpolated in ln J.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with both couplings.
    of : str
        The variable to compare, of one value per point.

    Returns
    -------
    Dataset
        `advantage` = E_NC / E_RC; where J is an axis also `window_low`, `window_high` and their errors, of the
        widest window in ln J, with the number of windows, `n_windows`, and a `verdict`: window, open below / open above
        (it goes on beyond the samples, and that end is NaN), everywhere, none, too few points, no data. A window
        between two neighbouring samples is not seen. `masked_points` counts the points left out.
    """
    NONRECIPROCAL_ADVANTAGE.require(ds)
    ds = in_memory(ds, (of,), "nonreciprocal_advantage")
    energy, good = good_values(ds, of)
    one, other = (energy.sel(coupling=name, drop=True) for name in ("nonreciprocal", "reciprocal"))
    ratio = ratio_of(one, other)
    variables: dict[str, Labelled] = {
        "advantage": (ratio, "1", f"nonreciprocal over reciprocal {ds[of].attrs.get('long_name', of)}"),
        "masked_points": masked_points(good),
    }
    if "J" in ds.dims:
        variables |= _window_variables(absolute_coupling(ds), ratio)
    return labelled(ds, variables, "nonreciprocal_advantage", of=of)


def _window_variables(J: xr.DataArray, ratio: xr.DataArray) -> dict[str, Labelled]:
    found = over_curves(reciprocal_window, Window.__annotations__, "J", J, ratio)
    units = J.attrs.get("units", "omega")
    text = "coupling between which the reciprocal network stores more"
    return {
        "window_low": (found["low"], units, f"lower {text}"),
        "window_low_error": (found["low_error"], units, "error of the lower end"),
        "window_high": (found["high"], units, f"upper {text}"),
        "window_high_error": (found["high_error"], units, "error of the upper end"),
        "n_windows": (found["n_windows"], "1", "windows in which the reciprocal network stores more"),
        "verdict": (found["verdict"], "1", f"one of: {', '.join(WINDOW_VERDICTS)}"),
    }


def reciprocal_window(J: FloatArray, ratio: FloatArray) -> Window:
    """Find the widest window, in ln J, in which a sampled ratio E_NC / E_RC is below 1."""
    x, y = logarithms(J, ratio)
    if not len(x):
        return Window()
    inside = np.concatenate([[False], y < -_EQUAL, [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    if not len(edges):
        return Window(verdict=NONE)
    runs = list(zip(edges[::2], edges[1::2], strict=True))
    first, end = max(runs, key=lambda run: x[run[1] - 1] - x[run[0]])
    is_open = (first == 0, end == len(x))
    verdict = {(0, 0): WINDOW, (1, 0): OPEN_BELOW, (0, 1): OPEN_ABOVE, (1, 1): EVERYWHERE}[is_open]
    low, high = (
        UNKNOWN if unsampled or len(x) < MIN_SAMPLES else crossing_near(x, y, int(index)) or UNKNOWN
        for index, unsampled in zip((first - 1, end - 1), is_open, strict=True)
    )
    if math.isnan(low.x) != is_open[0] or math.isnan(high.x) != is_open[1]:
        verdict = TOO_FEW
    J_low, J_high = math.exp(low.x), math.exp(high.x)
    return Window(J_low, J_low * low.x_error, J_high, J_high * high.x_error, len(runs), verdict)


NONRECIPROCAL_ADVANTAGE = Analysis(
    nonreciprocal_advantage,
    axes={"coupling": ("nonreciprocal", "reciprocal")},
    along="J",
    seconds_per_curve=1e-3,
    pictures=(
        Picture(
            "advantage",
            ("J", "N"),
            title="Nonreciprocal advantage",
            caption="below 1 the reciprocal network stores more, between kappa/(2N) and kappa/2 for a star, (14)",
            level=1.0,
        ),
    ),
    labels={"advantage": "E nonreciprocal / reciprocal"},
)
ANALYSES = (NONRECIPROCAL_ADVANTAGE,)
