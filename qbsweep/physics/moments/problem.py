"""Members of a family at their times, and what rounding does to what enters and to what remains until then."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.steps import norms

ROUNDING = 2 * float(np.finfo(float).eps)  # of a number, and of the phase of an oscillation per radian
EXTENDED = 2 * max(1e-19, float(np.finfo(np.longdouble).eps))  # the same in extended precision
POOR = 5e-10  # estimate from which on another route is worth its time
NOTHING = 1e-300  # a population, or a share of the bath's photons, that is none
_UNDAMPED = 1e15  # radians within a lifetime of which no steady state is computed


@dataclass(frozen=True)
class Problem:
    """Some members of a family at their times.

    Attributes
    ----------
    F : ndarray, shape (P, q, q)
    D : ndarray, shape (P, k, q, q), or None
    """

    net: Family
    rates: Rates
    times: FloatArray
    F: Array
    D: Array | None

    def of(self, members: Array) -> "Problem":
        """Return a part of the members."""
        D = None if self.D is None else self.D[members]
        return Problem(self.net, self.rates.of(members), self.times[members], self.F[members], D)

    def entered_error(self, at: Array | slice = slice(None)) -> FloatArray:
        """Relative error of what has entered at some times, (P, T): it remembers no more than the slowest mode does."""
        return self._error(at, np.minimum(self.times[:, at], self.lifetime))

    def remaining_error(self, at: Array | slice = slice(None)) -> FloatArray:
        """Relative error of U(t) at some times, shape (P, T)."""
        return self._error(at, self.times[:, at])

    def _error(self, at: Array | slice, spans: FloatArray) -> FloatArray:
        """Count a rounding, and one per radian of the fastest oscillation and per step of the grid."""
        times = self.times[:, at]
        rate = self._norm + np.arange(self.times.shape[1])[at] / np.maximum(times, NOTHING)
        return np.asarray(ROUNDING * (1 + rate * spans))

    @cached_property
    def _norm(self) -> FloatArray:
        """Of F, shape (P, 1)."""
        return np.asarray(norms(self.F))[:, None]

    @cached_property
    def lifetime(self) -> FloatArray:
        """That of the amplitude of the slowest mode, shape (P, 1); without end if it has no loss of its own."""
        slowest = (self.rates.losses() * -self.net.B).min(axis=1)
        return np.asarray(1 / np.maximum(slowest, NOTHING))[:, None]

    @property
    def relaxes(self) -> FloatArray:
        """Members whose decay double precision can tell from none beside their oscillations, shape (P,)."""
        return np.asarray((self._norm * self.lifetime)[:, 0] < _UNDAMPED)
