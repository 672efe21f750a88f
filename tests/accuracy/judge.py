"""What `qbsweep.solve` says of a random point beside the exact values, and whether that is what is promised."""

from dataclasses import dataclass

import numpy as np

import qbsweep as qb
from qbsweep.physics.gaussian import bath_occupation
from qbsweep.physics.verdicts import NUMERICAL_TOLERANCE

from .points import Point
from .reference import Modes, evolved_modes, steady_modes

STEADY, IN_TIME = 1e-11, 1e-9
"""Promised relative errors; a share of the bath's photon number comes on top."""
OF_BATH = 1e-13
_SMALLEST = 1e-307  # doubles end here


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a point is off.

    Attributes
    ----------
    ratio : float
        Largest error of an energy or ergotropy in units of what is promised; above 1 the promise is broken.
    error : float
        The largest relative to ``max(value, P/100)``, as `numerical_error` means it.
    estimate : float
        `numerical_error`.
    """

    ratio: float
    error: float
    estimate: float

    @property
    def is_marked(self) -> bool:
        """Whether the point says itself that it is not to be trusted."""
        return not self.estimate <= NUMERICAL_TOLERANCE

    @property
    def is_kept(self) -> bool:
        """Whether the promise is kept, or the point marked."""
        return self.is_marked or self.ratio <= 1


def exact_values(point: Point) -> np.ndarray:
    """Energy and ergotropy, shape (2, N+1) or (2, N+1, times), rounded to doubles."""
    parameters = (point.network, point.J, point.kappa, point.epsilon, point.n_th, point.r)
    if point.times:
        return np.stack([_doubles(modes) for modes in evolved_modes(*parameters, point.times)], axis=-1)
    return _doubles(steady_modes(*parameters))


def _doubles(modes: Modes) -> np.ndarray:
    return np.array([[float(x) for x in values] for values in (modes.energy, modes.ergotropy)])


def judge(point: Point, exact: np.ndarray) -> Verdict:
    """Solve a point, and compare."""
    return compare(point, exact, *solved(point))


def compare(point: Point, exact: np.ndarray, found: np.ndarray, estimate: float) -> Verdict:
    """Compare what `solved` says of a point."""
    P = float(bath_occupation(np.array(point.n_th), np.array(point.r)))
    error = np.abs(found - exact)
    promised = (IN_TIME if point.times else STEADY) * np.abs(exact) + OF_BATH * P + _SMALLEST
    scale = np.maximum(np.abs(exact), P / 100) + _SMALLEST / STEADY
    # What is not finite is off by more than anything.
    ratio, relative = (float(np.nan_to_num(x, nan=np.inf).max()) for x in (error / promised, error / scale))
    return Verdict(ratio, relative, estimate)


def solved(point: Point) -> tuple[np.ndarray, float]:
    """Energy and ergotropy as `exact_values` has them, and their `numerical_error`."""
    names = ("energy_t", "ergotropy_t") if point.times else ("energy", "ergotropy")
    parameters = {name: getattr(point, name) for name in ("J", "kappa", "epsilon", "n_th", "r")}
    times = np.array(point.times) if point.times else None
    ds = qb.solve(point.network, **parameters, times=times, outputs=list(names))
    return np.stack([ds[name].values for name in names]), float(ds["numerical_error"])
