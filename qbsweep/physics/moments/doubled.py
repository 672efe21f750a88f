"""Double-double arithmetic on arrays: numbers as unevaluated sums ``high + low`` of two doubles, good to 32 digits.

Residuals of nearly solved equations are summed here, where doubles would leave their own rounding only. The sum is
Knuth's, the product Dekker's (Hida, Li and Bailey 2001, "Algorithms for quad-double precision floating point
arithmetic"): both give a rounded result and its exact error, as long as nothing overflows or underflows.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

from qbsweep.arrays import FloatArray

Number = TypeVar("Number", float, FloatArray)
Doubled = tuple[FloatArray, FloatArray]
"""``(high, low)``, of one shape; |low| is about a rounding of what was added up to `high`."""

_SPLIT = 2.0**27 + 1  # leaves 26 bits in each half of a double


def expansion(terms: Sequence[float]) -> list[float]:
    """Return doubles of the same exact sum, each the nearest to what those before it leave; NaN where it overflows."""
    if len(terms) < 2:
        return [term for term in terms if term]
    found, left = [], list(terms)
    try:
        while high := math.fsum(left):
            if not math.isfinite(high):
                return [math.nan]
            found.append(high)
            left.append(-high)
    except (OverflowError, ValueError):
        return [math.nan]
    return found


def two_sum(a: FloatArray, b: FloatArray) -> Doubled:
    """Return ``a + b`` rounded, and exactly what rounding took off."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def two_product(a: Number, b: Number) -> tuple[Number, Number]:
    """Return ``a b`` rounded, and exactly what rounding took off."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(a: Number) -> tuple[Number, Number]:
    scaled = _SPLIT * a
    high = scaled - (scaled - a)
    return high, a - high


def plus(a: Doubled, b: Doubled) -> Doubled:
    """Return ``a + b``, with an error of about 1e-32 of ``|a| + |b|``."""
    high, error = two_sum(a[0], b[0])
    return high, error + (a[1] + b[1])


def times(a: Doubled, b: Doubled) -> Doubled:
    """Return ``a b``, with a relative error of about 1e-32."""
    high, error = two_product(a[0], b[0])
    return high, error + (a[0] * b[1] + a[1] * b[0])


def nearest(a: Doubled) -> FloatArray:
    """Return the double nearest to a number."""
    return a[0] + a[1]
