"""Arrays that carry a bound of what rounding has done to them: running error analysis (Higham 2002, section 3.3)."""

from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array, FloatArray

UNIT = float(np.finfo(float).eps) / 2  # the largest relative error of a rounding
_COMPLEX = 6 * UNIT  # of a complex product or quotient, at most


@dataclass(frozen=True, slots=True, eq=False)
class Bounded:
    """Values, and a bound of their absolute errors to first order; other operands are exact up to roundings."""

    value: Array
    error: FloatArray

    __array_ufunc__ = None  # numpy's arrays leave operations to this class

    @classmethod
    def rounded(cls, value: Array) -> "Bounded":
        """Return values that some roundings have led to, none of which cancelled."""
        return cls(value, _COMPLEX * np.abs(value))

    def __add__(self, other: "Bounded") -> "Bounded":
        """Return the sum."""
        value = self.value + other.value
        return Bounded(value, self.error + other.error + UNIT * np.abs(value))

    def __sub__(self, other: "Bounded") -> "Bounded":
        """Return the difference."""
        return self + -1.0 * other

    def __rmul__(self, factor: Array | complex) -> "Bounded":
        """Return the product with known numbers."""
        value = factor * self.value
        return Bounded(value, np.abs(factor) * self.error + _COMPLEX * np.abs(value))

    def __rtruediv__(self, dividend: Array) -> "Bounded":
        """Return known numbers divided by these."""
        # By hand: a complex quotient of numpy takes three times as long.
        square = np.square(self.value.real) + np.square(self.value.imag)
        size = np.sqrt(square)
        value = (dividend / square) * self.value.conjugate()
        return Bounded(value, np.abs(dividend) / size * (self.error / size + _COMPLEX))
