"""Double-double arithmetic of compiled code, on single numbers ``(high, low)``; see `moments.doubled`."""

from typing import Any

from qbsweep.physics.compiled import njit

_SPLIT = 2.0**27 + 1


@njit(nogil=True, error_model="numpy")
def two_product(a: Any, b: Any) -> Any:
    """Return ``a b`` of doubles, exactly."""
    product, scaled = a * b, _SPLIT * a
    a_high = scaled - (scaled - a)
    scaled = _SPLIT * b
    b_high = scaled - (scaled - b)
    a_low, b_low = a - a_high, b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@njit(nogil=True, error_model="numpy")
def times(a: Any, b: Any) -> Any:
    """Return ``a b``, with a relative error of about 1e-32."""
    high, low = two_product(a[0], b[0])
    return _normal(high, low + (a[0] * b[1] + a[1] * b[0]))


@njit(nogil=True, error_model="numpy")
def plus(a: Any, b: Any) -> Any:
    """Return ``a + b``, with a relative error of about 1e-32 of the sum, even where it cancels."""
    high, low = _two_sum(a[0], b[0])
    rest, last = _two_sum(a[1], b[1])
    high, low = _normal(high, low + rest)
    return _normal(high, low + last)


@njit(nogil=True, error_model="numpy")
def negative(a: Any) -> Any:
    """Return ``-a``."""
    return -a[0], -a[1]


@njit(nogil=True, error_model="numpy")
def inverse(a: Any) -> Any:
    """Return ``1 / a``, with a relative error of about 1e-32."""
    first = 1 / a[0]
    high, low = times((first, 0.0), a)
    return _normal(first, first * ((1 - high) - low))


@njit(nogil=True, error_model="numpy")
def _two_sum(a: Any, b: Any) -> Any:
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


@njit(nogil=True, error_model="numpy")
def _normal(high: Any, low: Any) -> Any:
    total = high + low
    return total, low - (total - high)
