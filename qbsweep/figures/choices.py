"""What suits a dataset: which axes have lines of their own, and which scales are logarithmic."""

import math

import numpy as np
import xarray as xr

from qbsweep.arrays import FloatArray

MAX_LINES = 6
_LINE_ORDER = ("coupling", "solver", "frame", "quantity", "n_th", "topology", "realization", "r", "fock_levels", "N")
_SAMPLE = 4000  # values that decide on logarithmic axes


def line_axes(ds: xr.Dataset, variable: str, x: str, hidden: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Choose the axes that have one line per value: few, and those worth comparing."""
    dims = [str(dim) for dim in ds[variable].dims if dim != x and dim not in hidden and ds.sizes[dim] > 1]
    first = [dim for dim in _LINE_ORDER if dim in dims]
    chosen: list[str] = []
    for dim in [*first, *(dim for dim in dims if dim not in first)]:
        if (
            math.prod(ds.sizes[d] for d in (*chosen, dim)) <= MAX_LINES
            and len(chosen) < 3
            and dim not in ("mode", "seed")
        ):
            chosen.append(dim)
    return tuple(chosen)


def is_geometric(values: FloatArray) -> bool:
    """Whether an axis is geometric, or spans so much that it had better be drawn as one."""
    values = np.asarray(values)
    if len(values) < 3 or not np.issubdtype(values.dtype, np.number) or not (values > 0).all():
        return False
    steps = np.diff(np.log(values.astype(float)))
    return bool(np.ptp(steps) < 1e-6 * np.abs(steps).max() or np.ptp(np.log(values)) > math.log(200))


def spans_decades(ds: xr.Dataset, variable: str) -> bool:
    """Whether positive values differ by more than a factor of 50, as far as a coarse sample tells."""
    array = ds[variable]
    least = max(1, int(_SAMPLE ** (1 / max(1, array.ndim))))
    picked = {dim: np.unique(np.linspace(0, n - 1, min(n, least)).astype(int)) for dim, n in array.sizes.items()}
    values = np.asarray(array.isel(picked).values, dtype=float)
    values = values[np.isfinite(values)]
    return bool(len(values) and values.min() > 0 and values.max() > 50 * values.min())
