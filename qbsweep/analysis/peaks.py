"""The optimum of one sampled curve E(J), or over another axis: where, how well known, whether it is one at all."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qbsweep.analysis.fits import MIN_SAMPLES, NO_DATA, TOO_FEW, Estimate, limit, maximum_near
from qbsweep.arrays import Array, FloatArray

PEAK, SEVERAL, EDGE, PLATEAU, FLAT = "peak", "several peaks", "edge", "plateau", "flat"
VERDICTS = (PEAK, SEVERAL, EDGE, PLATEAU, FLAT, TOO_FEW, NO_DATA)
LOCATED = (PEAK, SEVERAL)
"""Verdicts with a finite optimal coupling."""

_ACCURACY = 1e-12  # of the moment solver, relative: no smaller difference counts
_NOISE_SAMPLES = 15  # fewer cannot tell noise from shape
_PROMINENT = 6.0  # so many standard deviations of the noise
_SATURATING = 0.1  # the last sample must be as near to the saturation value, relative, ...
_CONVERGED = 0.1  # ... and the rest of the way be known as well as this
_SATURATION_POWERS = (2.0, 1.0)  # corrections are even in 1/J where J and -J are the same network: on a tree, Gamma = 0


@dataclass(frozen=True, slots=True)
class Scale:
    """In what a curve is smooth: ln J, of positive J, or a parameter itself, between the limits that it has."""

    logarithmic: bool = True
    lowest: float = -math.inf
    highest: float = math.inf

    def usable(self, values: FloatArray) -> Array:
        """Return which values of the parameter count: where J = 0 no battery is coupled."""
        return values > 0 if self.logarithmic else np.isfinite(values)

    def forward(self, values: FloatArray) -> FloatArray:
        """Return what is interpolated in, of values of the parameter."""
        return np.log(values) if self.logarithmic else values

    def back(self, x: FloatArray) -> FloatArray:
        """Return values of the parameter."""
        return np.exp(x) if self.logarithmic else x

    def errors(self, value: float, error: float) -> float:
        """Return the error of a value of the parameter."""
        return value * error if self.logarithmic else error


LN_J = Scale()


class Optimum(NamedTuple):
    """What is known of the maximum of a curve; NaN where it is not.

    `J` is what it is a curve over, whatever that is.

    Attributes
    ----------
    J, J_error, energy, energy_error : float
        Of the maximum, between the samples.
    J_best, energy_best : float
        The sample of the largest energy.
    saturation, saturation_error : float
        Of the energy as J grows without bound, on a plateau.
    n_maxima : int
        Maxima above the noise, those at an end of the samples included.
    verdict : str
        One of `VERDICTS`.
    """

    J: float = math.nan
    J_error: float = math.nan
    energy: float = math.nan
    energy_error: float = math.nan
    J_best: float = math.nan
    energy_best: float = math.nan
    saturation: float = math.nan
    saturation_error: float = math.nan
    n_maxima: int = 0
    verdict: str = NO_DATA


def sorted_samples(J: FloatArray, energy: FloatArray, scale: Scale = LN_J) -> tuple[FloatArray, FloatArray]:
    """Return usable values of J ascending, each once, with their energies (the mean where several are given)."""
    usable = np.isfinite(J) & np.isfinite(energy) & scale.usable(J)
    unique, inverse, counts = np.unique(J[usable], return_inverse=True, return_counts=True)
    return unique, np.bincount(inverse, weights=energy[usable], minlength=len(unique)) / counts


def find_optimum(J: FloatArray, energy: FloatArray, scale: Scale = LN_J) -> Optimum:
    """Find the maximum of E(J) from samples in any order.

    Sampled points need not be equally spaced, may repeat and may be NaN. J = 0, where no battery is coupled,
    is left out. The interpolation is that of `qbsweep.analysis.fits`, in x = ln J.

    Parameters
    ----------
    J, energy : ndarray, shape (n,)
    scale : Scale
        Of J; default: ln J.

    Notes
    -----
    A maximum counts if it stands out by six standard deviations of the noise, which is estimated from how well the four
    neighbours predict a sample (from 15 samples on; at least 1e-12, the solver's own accuracy).

    ====================  ==================================================================
    peak                  one maximum, inside the samples
    several peaks         more than one; J is the highest one
    edge                  the largest sample is the first or the last: J lies beyond, if anywhere
    plateau               E rises to the last sample and tends to a finite `saturation`
    flat                  E does not depend on J
    too few points        fewer than 7 samples, or none near enough to the maximum
    no data               no sample
    ====================  ==================================================================
    """
    from scipy.signal import find_peaks  # with scipy.stats, which is slow to load

    J, energy = sorted_samples(J, energy, scale)
    if not len(J):
        return Optimum()
    best = int(energy.argmax())
    found = Optimum(J_best=float(J[best]), energy_best=float(energy[best]), verdict=TOO_FEW)
    if len(J) < MIN_SAMPLES:
        return found
    unit = float(np.abs(energy).max()) or 1.0
    x, y = scale.forward(J), energy / unit
    threshold = max(_ACCURACY, _PROMINENT * noise(x, y))
    falls_before = y[best] - y[: best + 1].min() > threshold
    falls_after = y[best] - y[best:].min() > threshold
    padded = np.concatenate([[-np.inf], y, [-np.inf]])
    n_maxima = len(find_peaks(padded, prominence=threshold)[0])
    if falls_before and falls_after:
        estimate = maximum_near(x, y, best)
        return found if estimate is None else _located(found, estimate, scale, unit, n_maxima)
    found = found._replace(n_maxima=n_maxima, verdict=EDGE if falls_before or falls_after else FLAT)
    return _saturating(found, J, y, unit) if falls_before and scale.logarithmic else found


def _located(found: Optimum, estimate: Estimate, scale: Scale, unit: float, n_maxima: int) -> Optimum:
    J = float(scale.back(np.array(estimate.x)))
    return found._replace(
        J=J,
        J_error=scale.errors(J, estimate.x_error),
        energy=unit * estimate.y,
        energy_error=unit * estimate.y_error,
        n_maxima=n_maxima,
        verdict=PEAK if n_maxima == 1 else SEVERAL,
    )


def _saturating(found: Optimum, J: FloatArray, y: FloatArray, unit: float) -> Optimum:
    """Turn an edge into a plateau if the energy converges."""
    value, error = limit(J, y, _SATURATION_POWERS)
    missing = abs(value - y[-1])
    if not (missing <= _SATURATING * value and error <= max(_CONVERGED * missing, _ACCURACY)):
        return found
    return found._replace(verdict=PLATEAU, saturation=unit * value, saturation_error=unit * error)


def noise(x: FloatArray, y: FloatArray) -> float:
    """Estimate the standard deviation of a sample: how well two neighbours on either side predict it.

    The median over the upper half of the samples: the noise may grow with the energy. The cubic through the neighbours
    cannot follow everything, so on a coarse grid this is an upper bound.
    """
    if len(x) < _NOISE_SAMPLES:
        return 0.0
    gaps = np.lib.stride_tricks.sliding_window_view(x, 5) - x[2:-2, None]
    neighbours = gaps[:, [0, 1, 3, 4]]
    weights = np.ones_like(neighbours)
    for i in range(4):
        others = np.delete(neighbours, i, axis=1)
        weights[:, i] = np.prod(others / (others - neighbours[:, [i]]), axis=1)
    samples = np.lib.stride_tricks.sliding_window_view(y, 5)[:, [0, 1, 3, 4]]
    surprise = y[2:-2] - np.sum(weights * samples, axis=1)
    deviation = np.abs(surprise) / np.sqrt(1 + np.sum(weights**2, axis=1))
    return float(1.4826 * np.median(deviation[y[2:-2] >= np.median(y[2:-2])]))  # 1.4826: of a normal distribution
