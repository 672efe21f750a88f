"""Curves with kinks: no polynomial follows one, so what lies between samples is read from one side of it.

A curve in time has a kink wherever a segment of its protocol ends. Without kinks a curve is one piece.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from qbsweep.analysis.fits import MIN_SAMPLES, UNKNOWN, Estimate, crossing_near, maximum_near, slope_at, value_at
from qbsweep.arrays import FloatArray

NO_KINKS = np.empty(0)
_AT = 1e-9  # of the largest x: a sample so near a kink is at it


class Piece(NamedTuple):
    """What lies between two kinks; infinitely far is the end of a curve.

    Attributes
    ----------
    samples : slice
        With those that are at the kinks.
    low, high : float
    """

    samples: slice
    low: float
    high: float


def pieces(x: FloatArray, kinks: FloatArray) -> Iterator[Piece]:
    """Yield the pieces that have samples, in their order; kinks outside the samples are none."""
    slack = _AT * float(np.abs(x).max())
    inner = np.unique(kinks[(kinks > x[0] + slack) & (kinks < x[-1] - slack)])
    for low, high in pairwise([-math.inf, *inner.tolist(), math.inf]):
        begin, end = np.searchsorted(x, [low - slack, high + slack])
        if end > begin:
            yield Piece(slice(int(begin), int(end)), low, high)


def kinked_value(x: FloatArray, y: FloatArray, where: float, kinks: FloatArray) -> tuple[float, float]:
    """Return y at `where` and its error, at a kink from the side that tells it better."""
    found = [
        value_at(x[piece.samples], y[piece.samples], where, _step(x))
        for piece in pieces(x, kinks)
        if piece.low <= where <= piece.high
    ]
    known = [one for one in found if math.isfinite(one[0])]
    return min(known, key=lambda one: one[1], default=(math.nan, math.nan))


def kinked_crossing(x: FloatArray, y: FloatArray, index: int, kinks: FloatArray) -> Estimate | None:
    """Locate the zero of y between sample `index` and the next one, where y changes sign; its `y` is 0.

    If a kink is between them, no more is known than that the zero is there.
    """
    for samples, _, _ in pieces(x, kinks):
        if samples.start <= index and index + 1 < samples.stop:
            enough = samples.stop - samples.start >= MIN_SAMPLES
            return crossing_near(x[samples], y[samples], index - samples.start) if enough else None
    step, rise = float(x[index + 1] - x[index]), float(y[index + 1] - y[index])
    return Estimate(float(x[index]) - float(y[index]) * step / rise, step, 0.0, 0.0, rise / step)


def kinked_maximum(x: FloatArray, y: FloatArray, kinks: FloatArray, order: int) -> Estimate:
    """Locate the largest y, or dy/dx with `order` 1: within a piece, or at a kink, seen from one side of it.

    Unknown if it is at an end of the curve, or no window of samples shows it.
    """
    found = [one for piece in pieces(x, kinks) for one in _maxima(x, y, piece, order)]
    return max(found, key=lambda one: one[0], default=(0.0, UNKNOWN))[1]


def _maxima(x: FloatArray, y: FloatArray, piece: Piece, order: int) -> Iterator[tuple[float, Estimate]]:
    """Yield the largest within a piece and what is at its kinks, with heights to compare them by.

    A kink counts by what it has at least: noise is largest at the end of a window.
    """
    t, values = x[piece.samples], y[piece.samples]
    if len(t) <= order:
        return
    ends = {0: piece.low, len(t) - 1: piece.high}
    kinks = {end: kink for end, kink in ends.items() if math.isfinite(kink)}
    heights = np.gradient(values, t) if order else values
    index = int(heights.argmax())
    # Beside a kink a difference does not tell whether the largest is there or within.
    within = maximum_near(t, values, index, order) if index not in ends or index in kinks else None
    if within:
        yield within.y, within
    elif index not in kinks:
        yield float(heights[index]), UNKNOWN
    for end, kink in kinks.items():
        height, error = (slope_at if order else value_at)(t, values, kink, _step(x))
        known = math.isfinite(height)
        yield (height - error, Estimate(kink, 0.0, height, error)) if known else (float(heights[end]), UNKNOWN)


def _step(x: FloatArray) -> float:
    return float(np.diff(x).max(initial=0.0))
