"""How far two sets of numbers are apart, and how far they may be."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

AGREE = 1e-9
"""So much may a number differ, relative to the largest of its units at its point, when it is computed again."""


def apart(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Return how far numbers are apart; infinite if only one of two is one."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(one - other)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return np.where(same, 0.0, np.where(np.isnan(one) != np.isnan(other), np.inf, distance))


def per_point(values: NDArray[Any], points: int) -> NDArray[np.float64]:
    """Return the largest magnitude over modes and times, of values whose first dimensions, so many, are of points."""
    behind = tuple(range(points, values.ndim))
    return np.asarray(np.fmax.reduce(np.abs(values), axis=behind, initial=0.0))
