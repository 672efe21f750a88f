"""How much an energy changes with a parameter: what has to be built precisely, and what need not."""

from functools import lru_cache

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.inputs import good_values, in_memory, numeric_axis, spoken
from qbsweep.analysis.outputs import labelled, masked_points
from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError

USUAL = (
    "gamma_ratio",
    "phase_error",
    "detuning",
    "kappa_charger",
    "spread_J",
    "spread_kappa",
    "spread_detuning",
)
"""The axes along which a sweep is differentiated unless another is asked for: the first of these that there is."""
_POINTS = (3, 5)  # of the formula whose error is told, and of the one that is used
_ROUNDING = 1e-12  # relative error of an energy


def sensitivity(ds: xr.Dataset, of: str = "energy_terminal", along: str | None = None) -> xr.Dataset:
    """Differentiate the logarithm of a variable by a parameter, at every value that the sweep has of it.

    Central differences of five neighbouring values, equally spaced or not, one-sided at the ends; their error is the
    change from three values, which is that of the poorer formula, and what rounding in the 12th digit of the variable
    makes. So the error is a safe estimate where the curve is smooth between samples.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with an axis of numbers, of two values or more.
    of : str
        Any output of the sweep.
    along : str, optional
        The axis; default: the first of the imperfections that the sweep has as an axis.

    Returns
    -------
    Dataset
        Over all dimensions: `slope` = d ln E / d p in the inverse of the axis' unit, `slope_error`; and `elasticity` =
        d ln E / d ln p, the change in per cent by one per cent of p, with `elasticity_error`, NaN where p is not
        positive. NaN where a neighbour may not be used or is not positive; `masked_points`.

    Raises
    ------
    QbsweepError
        If there is no such axis or variable, or the axis has one value.
    """
    along = numeric_axis(ds, along or next((axis for axis in USUAL if axis in ds.dims), USUAL[0]), "sensitivity")
    if ds.sizes[along] < 2:
        raise QbsweepError(f"sensitivity needs two values of `{along}` at least, but this dataset has one")
    ds = in_memory(ds, (of,), "sensitivity")
    values, good = good_values(ds, of)
    place = ds[along].astype(float)
    order = np.argsort(place.values)
    logarithm: xr.DataArray = xr.apply_ufunc(np.log, values.where(values > 0))
    pair: tuple[xr.DataArray, xr.DataArray] = xr.apply_ufunc(
        derivative,
        place.isel({along: order}),
        logarithm.isel({along: order}),
        input_core_dims=[[along], [along]],
        output_core_dims=[[along], [along]],
    )
    back = np.argsort(order)
    slope, error = (one.isel({along: back}).assign_coords({along: ds[along]}) for one in pair)
    positive = place.where(place > 0)
    what, unit = spoken(ds[of]), ds[along].attrs.get("units", "1")
    inverse = "1" if unit == "1" else f"1/{unit}"
    variables = {
        "slope": (slope, inverse, f"d ln({what}) / d {along}"),
        "slope_error": (error, inverse, f"error of d ln({what}) / d {along}"),
        "elasticity": (slope * positive, "1", f"d ln({what}) / d ln({along})"),
        "elasticity_error": (error * positive, "1", f"error of d ln({what}) / d ln({along})"),
        "masked_points": masked_points(good),
    }
    return labelled(ds, variables, "sensitivity", of=of, along=along)


def derivative(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return dy/dx at every sample and its error, NaN where it is not known.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Ascending.
    y : ndarray, shape (..., n)
    """
    few, many = (min(points, len(x)) for points in _POINTS)
    if few == many:
        few -= 1
    coarse, (fine, weights) = _differences(x, y, few)[0] if few > 1 else np.nan, _differences(x, y, many)
    return fine, np.hypot(fine - coarse, _ROUNDING * weights)


def _differences(x: FloatArray, y: FloatArray, points: int) -> tuple[FloatArray, FloatArray]:
    """Differentiate the polynomial through so many neighbours; returns the sum of its weights' magnitudes too."""
    first = np.clip(np.arange(len(x)) - (points - 1) // 2, 0, len(x) - points)
    neighbours = first[:, None] + np.arange(points)
    weights = np.stack([_weights(tuple((x[near] - here).tolist())) for near, here in zip(neighbours, x, strict=True)])
    return np.sum(y[..., neighbours] * weights, axis=-1), np.abs(weights).sum(axis=-1)


@lru_cache(maxsize=4096)
def _weights(offsets: tuple[float, ...]) -> FloatArray:
    """Return the weights of a derivative at 0: those that are right for all powers that there are samples for."""
    unit = max(map(abs, offsets))
    powers = np.vander(np.array(offsets) / unit, increasing=True).T
    return np.asarray(np.linalg.solve(powers, np.eye(len(offsets))[1])) / unit


SENSITIVITY = Analysis(
    sensitivity,
    axes={},
    pictures=(Picture("slope", USUAL, title="Sensitivity", level=0.0),),
    settings=("of", "along"),
)
ANALYSES = (SENSITIVITY,)
