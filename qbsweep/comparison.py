"""Networks side by side: odd against even, nonreciprocal against reciprocal, squeezed against not."""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from qbsweep.arrays import FloatArray
from qbsweep.curves import (
    MissingAxisError,
    absolute_coupling,
    in_memory,
    labelled,
    masked_points,
    over_curves,
    require_axis,
    usable,
)
from qbsweep.fits import MIN_SAMPLES, UNKNOWN, crossing_near, value_at
from qbsweep.physics.closed_forms import optimal_coupling
from qbsweep.physics.topologies import TOPOLOGIES

WINDOW, OPEN_BELOW, OPEN_ABOVE, EVERYWHERE = "window", "open below", "open above", "everywhere"
NONE, TOO_FEW, NO_DATA = "none", "too few points", "no data"
WINDOW_VERDICTS = (WINDOW, OPEN_BELOW, OPEN_ABOVE, EVERYWHERE, NONE, TOO_FEW, NO_DATA)
_EQUAL = 1e-12  # relative difference of energies, the solver's accuracy


def _ratio(above: xr.DataArray, below: xr.DataArray) -> xr.DataArray:
    """Return a ratio, NaN where the denominator is not positive."""
    return above / below.where(below > 0)


def _good_values(ds: xr.Dataset, name: str) -> tuple[xr.DataArray, xr.DataArray]:
    good = usable(ds, name)
    return ds[name].where(good), good


def odd_even_ratio(ds: xr.Dataset, of: str = "energy_terminal") -> xr.Dataset:
    """Compare every even N with its odd neighbours: ``E(N) / sqrt(E(N-1) E(N+1))``.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with an axis N that holds an even number and both its neighbours.
    of : str
        The variable to compare, of one value per point.

    Returns
    -------
    Dataset
        Over the even N: `ratio` at every J of the dataset (with J in multiples of J_op: at the same multiple); and
        where J is an axis, `ratio_at_J_op` with every network at its own J_op of (10), interpolated in ln J, and
        `ratio_at_J_op_error`. (A reciprocal chain of even N has no optimum of its own.) `masked_points` counts what is
        left out.
    """
    require_axis(ds, "N", "odd_even_ratio")
    ds = in_memory(ds, (of,), "odd_even_ratio")
    energy, good = _good_values(ds, of)
    N = set(ds["N"].values.tolist())
    even = [n for n in sorted(N) if n % 2 == 0 and {n - 1, n + 1} <= N]
    if not even:
        raise MissingAxisError("odd_even_ratio", "N", "an even `N` and both its odd neighbours")

    def neighbours(values: xr.DataArray, offset: int) -> xr.DataArray:
        moved = values.sel(N=[n + offset for n in even])
        return moved.drop_vars("J_abs", errors="ignore").assign_coords(N=even)

    below, above = neighbours(energy, -1), neighbours(energy, 1)
    ratio = _ratio(energy.sel(N=even), below**0.5 * above**0.5)
    what = ds[of].attrs.get("long_name", of)
    text = f"{what} of even N over the geometric mean of its odd neighbours"
    variables = {
        "ratio": (ratio, "1", text),
        "masked_points": (masked_points(good), "1", "points of the dataset left out"),
    }
    if "J" in ds.dims:
        value, error = _log_at_optimum(ds, energy)
        at = value.sel(N=even) - (neighbours(value, -1) + neighbours(value, 1)) / 2
        squares = error.sel(N=even) ** 2 + (neighbours(error, -1) ** 2 + neighbours(error, 1) ** 2) / 4
        result: xr.DataArray = xr.apply_ufunc(np.exp, at)
        variables["ratio_at_J_op"] = (result, "1", f"{text}, every network at its J_op of (10)")
        variables["ratio_at_J_op_error"] = (result * squares**0.5, "1", "error of the ratio at J_op")
    return labelled(ds, variables, "odd_even_ratio", of=of)


def _log_at_optimum(ds: xr.Dataset, energy: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return ln E at J_op of (10) of each network, and its error; NaN for a topology without (10)."""

    def closed_form(topology: str, N: int, kappa: float) -> float:
        return float(optimal_coupling(topology, N, kappa)) if topology in TOPOLOGIES else math.nan

    def read(J: FloatArray, values: FloatArray, where: float) -> tuple[float, float]:
        known = np.isfinite(values) & (values > 0) & (J > 0)
        order = np.argsort(J[known])
        x, y = np.log(J[known])[order], np.log(values[known])[order]
        return value_at(x, y, math.log(where)) if math.isfinite(where) else (math.nan, math.nan)

    where = xr.apply_ufunc(closed_form, ds["topology"], ds["N"], ds["kappa"], vectorize=True, output_dtypes=[float])
    value, error = xr.apply_ufunc(
        read,
        absolute_coupling(ds),
        energy,
        where,
        input_core_dims=[["J"], ["J"], []],
        output_core_dims=[[], []],
        vectorize=True,
    )
    return value, error


def ergotropy_fraction(ds: xr.Dataset) -> xr.Dataset:
    """Return which part of the terminal energy is extractable: ``ergotropy / energy`` at every point, 0/0 being NaN."""
    ds = in_memory(ds, ("energy_terminal", "ergotropy_terminal"), "ergotropy_fraction")
    energy, good = _good_values(ds, "energy_terminal")
    ergotropy, also = _good_values(ds, "ergotropy_terminal")
    good = good & also
    text = "ergotropy over energy of the terminal battery"
    fraction = _ratio(ergotropy.where(good), energy.where(good))
    variables = {
        "ergotropy_fraction": (fraction, "1", text),
        "masked_points": (masked_points(good), "1", "points of the dataset left out"),
    }
    return labelled(ds, variables, "ergotropy_fraction")


def enhancement(ds: xr.Dataset) -> xr.Dataset:
    """Compare squeezed baths with the one at r = 0 (Fig. 6): ``E(r) / E(0)`` of the terminal battery.

    Returns
    -------
    Dataset
        `enhancement` of the energy; where the dataset has the ergotropy, `ergotropy_enhancement` and
        `ergotropy_fraction` too; `masked_points`.
    """
    require_axis(ds, "r", "enhancement", labels=[0.0])
    optional = [name for name in ("ergotropy_terminal",) if name in ds]
    ds = in_memory(ds, ("energy_terminal", *optional), "enhancement")
    energy, good = _good_values(ds, "energy_terminal")
    text = "of the terminal battery in a squeezed bath over that at r = 0"
    variables = {"enhancement": (_ratio(energy, energy.sel(r=0.0, drop=True)), "1", f"energy {text}")}
    if "ergotropy_terminal" in ds:
        ergotropy, also = _good_values(ds, "ergotropy_terminal")
        good = good & also
        ratio = _ratio(ergotropy, ergotropy.sel(r=0.0, drop=True))
        variables["ergotropy_enhancement"] = (ratio, "1", f"ergotropy {text}")
        fraction = _ratio(ergotropy.where(good), energy.where(good))
        variables["ergotropy_fraction"] = (fraction, "1", "ergotropy over energy of the terminal battery")
    variables["masked_points"] = (masked_points(good), "1", "points of the dataset left out")
    return labelled(ds, variables, "enhancement")


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
    require_axis(ds, "coupling", "nonreciprocal_advantage", labels=("nonreciprocal", "reciprocal"))
    ds = in_memory(ds, (of,), "nonreciprocal_advantage")
    energy, good = _good_values(ds, of)
    one, other = (energy.sel(coupling=name, drop=True) for name in ("nonreciprocal", "reciprocal"))
    ratio = _ratio(one, other)
    variables: dict[str, tuple[xr.DataArray, str, str]] = {
        "advantage": (ratio, "1", f"nonreciprocal over reciprocal {ds[of].attrs.get('long_name', of)}"),
        "masked_points": (masked_points(good), "1", "points of the dataset left out"),
    }
    if "J" in ds.dims:
        variables |= _window_variables(absolute_coupling(ds), ratio)
    return labelled(ds, variables, "nonreciprocal_advantage", of=of)


def _window_variables(J: xr.DataArray, ratio: xr.DataArray) -> dict[str, tuple[xr.DataArray, str, str]]:
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
    known = np.isfinite(ratio) & (ratio > 0) & (J > 0)
    order = np.argsort(J[known])
    x, y = np.log(J[known])[order], np.log(ratio[known])[order]
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
