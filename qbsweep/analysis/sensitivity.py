"""How much an energy changes with a parameter: what has to be built precisely, and what need not."""

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.inputs import (
    IMPERFECTIONS,
    MissingAxisError,
    good_values,
    in_memory,
    numeric_axis,
    perfect,
    spoken,
)
from qbsweep.analysis.outputs import Labelled, labelled, masked_points
from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.sweeps.parameters import PARAMETERS

_NEEDS = "an axis of an imperfection (or, with `along`, any axis of numbers)"
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
        positive. Of every curve `steepest_slope`, `steepest_slope_error` and `steepest_at`, the largest in magnitude
        and where that is; `ideal_slope` and `ideal_slope_error` where the parameter has its default, if it has it
        anywhere. NaN where the point may not be used or is not positive: neighbours are those that may.
        `masked_points`.

    Raises
    ------
    QbsweepError
        If there is no such axis or variable, or the axis has one value.
    """
    along = along or next((axis for axis in IMPERFECTIONS if axis in ds.dims), None)
    if along is None:
        raise MissingAxisError("sensitivity", IMPERFECTIONS[0], _NEEDS)
    along = numeric_axis(ds, along, "sensitivity")
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
    by = f"({PARAMETERS[along].label or along})" if along in PARAMETERS else f"({along})"
    inverse = "1" if unit == "1" else f"1/{unit}"
    variables = {
        "slope": (slope, inverse, f"d ln({what}) / d{by}"),
        "slope_error": (error, inverse, f"error of d ln({what}) / d{by}"),
        "elasticity": (slope * positive, "1", f"d ln({what}) / d ln{by}"),
        "elasticity_error": (error * positive, "1", f"error of d ln({what}) / d ln{by}"),
        **_notable(slope, error, place, inverse, f"d ln({what}) / d{by}", unit),
        "masked_points": masked_points(good),
    }
    return labelled(ds, variables, "sensitivity", of=of, along=along)


def _notable(
    slope: xr.DataArray, error: xr.DataArray, place: xr.DataArray, inverse: str, text: str, unit: str
) -> dict[str, Labelled]:
    """Return what of every curve goes into a table."""
    along = str(place.name)
    magnitude: xr.DataArray = xr.apply_ufunc(np.abs, slope)
    at = magnitude.fillna(-1).argmax(along)
    steepest, its_error = (one.isel({along: at}).drop_vars(along) for one in (slope, error))
    where = place.drop_attrs().isel({along: at}).drop_vars(along).where(steepest.notnull())
    found: dict[str, Labelled] = {
        "steepest_slope": (steepest, inverse, f"largest {text} in magnitude"),
        "steepest_slope_error": (its_error, inverse, f"error of the largest {text} in magnitude"),
        "steepest_at": (where, unit, "where that is"),
    }
    ideal = perfect(xr.Dataset(coords=place.coords))
    if along in IMPERFECTIONS and bool(ideal.any()):
        first = int(ideal.values.argmax())
        here, its_error = (one.isel({along: first}).drop_vars(along) for one in (slope, error))
        found["ideal_slope"] = here, inverse, f"{text} of the ideal network"
        found["ideal_slope_error"] = its_error, inverse, f"error of {text} of the ideal network"
    return found


def derivative(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return dy/dx at every sample that is a number and its error, NaN where it is not known.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Ascending.
    y : ndarray, shape (..., n)
        Samples that are NaN are no neighbours of others.
    """
    curves, slope = y.reshape(-1, len(x)), np.full((2, y.size // len(x), len(x)), np.nan)
    masks, group = np.unique(np.isfinite(curves), axis=0, return_inverse=True)
    for number, known in enumerate(masks):
        rows = group.ravel() == number
        if known.sum() > 1:
            slope[:, *np.ix_(rows, known)] = _of_known(x[known], curves[rows][:, known])
    return slope[0].reshape(y.shape), slope[1].reshape(y.shape)


def _of_known(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    few, many = (min(points, len(x)) for points in _POINTS)
    if few == many:
        few -= 1
    coarse, (fine, weights) = _differences(x, y, few)[0] if few > 1 else np.nan, _differences(x, y, many)
    return fine, np.hypot(fine - coarse, _ROUNDING * weights)


def _differences(x: FloatArray, y: FloatArray, points: int) -> tuple[FloatArray, FloatArray]:
    """Differentiate the polynomial through so many neighbours; returns the sum of its weights' magnitudes too."""
    first = np.clip(np.arange(len(x)) - (points - 1) // 2, 0, len(x) - points)
    neighbours = first[:, None] + np.arange(points)
    weights = np.stack([_weights(x[near] - here) for near, here in zip(neighbours, x, strict=True)])
    return np.sum(y[..., neighbours] * weights, axis=-1), np.abs(weights).sum(axis=-1)


def _weights(offsets: FloatArray) -> FloatArray:
    """Return the weights of a derivative at 0: those that are right for all powers that there are samples for."""
    unit = float(np.abs(offsets).max())
    powers = np.vander(offsets / unit, increasing=True).T
    return np.asarray(np.linalg.solve(powers, np.eye(len(offsets))[1])) / unit


SENSITIVITY = Analysis(
    sensitivity,
    axes={},
    pictures=(Picture("slope", IMPERFECTIONS, title="Sensitivity", level=0.0),),
    settings=("of", "along"),
)
ANALYSES = (SENSITIVITY,)
