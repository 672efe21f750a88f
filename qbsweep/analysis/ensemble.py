"""Ensembles: what the networks of all seeds have in common, and how much they differ."""

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.inputs import IMPERFECTIONS, SPREADS, require_variables, spoken
from qbsweep.analysis.outputs import Labelled, labelled
from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.solvers.status import FAILED, OK, SUSPECT

_MOST_VALUES = 2_000_000
"""Values that are in memory at a time, per array."""
_STATISTICS = ("mean", "mean_error", "lower", "median", "upper", "mean_log", "mean_log_error")
_COUNTS = ("n_seeds", "failed_points", "suspect_points", "masked_points")


def ensemble(ds: xr.Dataset, of: str = "energy_terminal", quantiles: tuple[float, float] = (0.05, 0.95)) -> xr.Dataset:
    """Describe a variable over the seeds of a dataset: mean, median, quantiles, and the mean of its logarithm.

    Means have the standard error ``s / sqrt(n)``, s the standard deviation of n seeds (n - 1 in its denominator). All
    is of the seeds that could be solved: where some failed it describes the others, which need not be like them. The
    dataset is read box by box of its other axes, never as a whole.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with an axis `seed`.
    of : str
        Any output; one in time or of every mode is described at every time, for every mode.
    quantiles : (float, float)
        Of the band between `lower` and `upper`, linear between the values of two seeds.

    Returns
    -------
    Dataset
        Over all dimensions but `seed`: `mean`, `mean_error`, `median`, `lower`, `upper`, `mean_log` (natural
        logarithm; NaN if a value is not positive), `mean_log_error`, `n_seeds` that are used, and how many are left
        out: `failed_points`, `suspect_points`, and `masked_points` with those and the pending ones.

    Raises
    ------
    QbsweepError
        If there is no axis `seed` or no such variable, or if the quantiles are none.
    """
    ENSEMBLE.require(ds)
    require_variables(ds, ("status", of), "ensemble")
    low, high = quantiles
    if not 0 <= low < high <= 1:
        raise QbsweepError(
            f"the quantiles of ensemble must be two ascending numbers from 0 to 1, but are {low}, {high}"
        )
    if "seed" not in ds[of].dims:
        raise QbsweepError(f"ensemble needs a variable of every seed, which `{of}` is not")
    array, status = ds[of], ds["status"]
    dims = tuple(dim for dim in array.dims if dim != "seed")
    found = {name: np.full([ds.sizes[dim] for dim in dims], math.nan) for name in _STATISTICS}
    found |= {name: np.zeros([ds.sizes[dim] for dim in dims], np.int64) for name in _COUNTS}
    for box in _boxes(array):
        where = tuple(box[dim] for dim in dims)
        part = {dim: at for dim, at in box.items() if dim in status.dims}
        for name, values in _described(array.isel(box), status.isel(part), (low, 0.5, high)).items():
            found[name][where] = values
    coords = {name: c for name, c in array.coords.items() if "seed" not in c.dims}
    named = {name: xr.DataArray(values, coords, dims) for name, values in found.items()}
    variables = _variables(named, array, quantiles)
    return labelled(ds[[of]], variables, "ensemble", of=of, quantiles=list(quantiles))


def _boxes(array: xr.DataArray) -> Iterator[dict[Hashable, slice]]:
    """Yield boxes of all seeds that cover a variable, of whole chunks where those are small enough."""
    sizes = {dim: size for dim, size in array.sizes.items() if dim != "seed"}
    chunks = dict(zip(array.dims, array.encoding.get("chunks") or (1,) * array.ndim, strict=True))
    most = max(1, _MOST_VALUES // max(1, array.sizes["seed"]))
    steps = dict(sizes)
    for unit in (chunks, dict.fromkeys(sizes, 1)):
        for dim in sizes:  # the outermost first: what is left is read in one piece
            excess = math.prod(steps.values()) / most
            if excess > 1:
                steps[dim] = max(unit[dim], math.floor(steps[dim] / excess) // unit[dim] * unit[dim])
    starts = [range(0, size, steps[dim]) for dim, size in sizes.items()]
    for corner in itertools.product(*starts):
        yield {dim: slice(start, start + steps[dim]) for dim, start in zip(sizes, corner, strict=True)}


def _described(values: xr.DataArray, status: xr.DataArray, quantiles: Sequence[float]) -> dict[str, Array]:
    """Describe the values of a box."""
    states = status.broadcast_like(values).transpose(*values.dims).values
    axis = values.dims.index("seed")
    numbers, states = (np.moveaxis(array, axis, -1) for array in (np.asarray(values.values, dtype=float), states))
    good = (states == OK) & np.isfinite(numbers)
    count = good.sum(-1)
    mean, mean_error = _mean(numbers, good, count)
    mean_log, mean_log_error = _mean(np.log(np.where(good & (numbers > 0), numbers, math.nan)), good, count)
    lower, median, upper = _quantiles(np.where(good, numbers, math.nan), count, quantiles)
    return {
        "mean": mean,
        "mean_error": mean_error,
        "lower": lower,
        "median": median,
        "upper": upper,
        "mean_log": mean_log,
        "mean_log_error": mean_log_error,
        "n_seeds": count,
        "failed_points": (states == FAILED).sum(-1),
        "suspect_points": (states == SUSPECT).sum(-1),
        "masked_points": (~good).sum(-1),
    }


def _mean(values: FloatArray, good: Array, count: Array) -> tuple[FloatArray, FloatArray]:
    """Return the mean of what is good along the last axis, and its standard error."""
    mean = np.where(good, values, 0).sum(-1) / np.where(count, count, math.nan)
    squares = (np.where(good, values - mean[..., None], 0) ** 2).sum(-1)
    return mean, np.sqrt(squares / np.where(count > 1, count * (count - 1.0), math.nan))


def _quantiles(values: FloatArray, count: Array, quantiles: Sequence[float]) -> list[FloatArray]:
    """Return quantiles along the last axis, of the `count` values that are numbers."""
    values = np.sort(values, axis=-1)  # NaN last
    found = []
    for quantile in quantiles:
        place = quantile * np.maximum(count - 1, 0)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, np.maximum(count - 1, 0))
        low, high = (np.take_along_axis(values, where[..., None], -1)[..., 0] for where in (below, above))
        found.append(low + (place - below) * (high - low))
    return found


def _variables(
    found: Mapping[str, xr.DataArray], of: xr.DataArray, quantiles: tuple[float, float]
) -> dict[str, Labelled]:
    what, units = spoken(of), of.attrs.get("units", "1")
    low, high = (f"{100 * quantile:g} % quantile" for quantile in quantiles)
    texts = {
        "mean": f"mean {what}",
        "mean_error": f"standard error of the mean {what}",
        "lower": f"{low} of the {what}",
        "median": f"median {what}",
        "upper": f"{high} of the {what}",
        "mean_log": f"mean logarithm of the {what}",
        "mean_log_error": "standard error of the mean logarithm",
        "n_seeds": "seeds that are used",
        "failed_points": "points left out as failed",
        "suspect_points": "points left out as suspect",
        "masked_points": "points left out along the seeds",
    }
    pure = {*_COUNTS, "mean_log", "mean_log_error"}
    return {name: (found[name], "1" if name in pure else units, text) for name, text in texts.items()}


def _survivors(found: xr.Dataset) -> str:
    """Say that some networks have no value: what is drawn is of the others, which may differ from them."""
    left_out = found["failed_points"] + found["suspect_points"]
    if not bool((left_out > 0).any()):
        return ""
    seeds = found["n_seeds"] + found["masked_points"]
    most = float((left_out / seeds).max())
    return f"only of the seeds that are solved: up to {most:.0%} of them failed or are suspect"


ENSEMBLE = Analysis(
    ensemble,
    axes={"seed": ()},
    pictures=(
        Picture(
            "median",
            (*SPREADS, "J", *IMPERFECTIONS, "N", "time"),
            title="Over the seeds",
            caption="median over the seeds, shaded between two quantiles, 5 % and 95 % unless asked for others",
            band=("lower", "upper"),
            leading=True,
            notes=_survivors,
        ),
    ),
    settings=("of", "quantiles"),
    quiet={
        "failed_points": ("failed_points", (0,)),
        "suspect_points": ("suspect_points", (0,)),
    },
)
ANALYSES = (ENSEMBLE,)
