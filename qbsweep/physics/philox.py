"""Words of the counter-based generator Philox 4x64-10 (Salmon et al., SC 2011) at any counters, as NumPy's has them.

NumPy's own generator draws consecutive words only, and starting it anew for each seed takes microseconds.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # numba's own
from numba import types
from numba.extending import intrinsic

from qbsweep.physics.compiled import njit

_ROUNDS = 10
_FACTOR_0, _FACTOR_2 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ONE, _TWO, _THREE, _SPARE = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(11)


def _high_of(_: Any, a: Any, b: Any) -> Any:
    """Return the upper 64 bits of a product of two words: one instruction, which Python has no name for."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        double = ir.IntType(128)
        x, y = (builder.zext(argument, double) for argument in arguments)
        return builder.trunc(builder.lshr(builder.mul(x, y), ir.Constant(double, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


_high: Any = intrinsic(_high_of)


@njit(nogil=True)
def fill(seeds: Any, quantity: Any, item: Any, scale: Any, shift: Any, x: Any) -> None:
    """Put ``w scale + shift`` into x, w the upper 53 bits of word ``s mod 4`` after counter ``s // 4`` for seed s."""
    known = np.uint64(0)  # a counter that is never asked for: NumPy counts up before it draws
    w0 = w1 = w2 = w3 = np.uint64(0)
    for i in range(len(seeds)):
        seed = np.uint64(seeds[i])
        counter = (seed >> _TWO) + _ONE
        if counter != known:
            known = counter
            w0, w1, w2, w3 = counter, np.uint64(0), np.uint64(0), np.uint64(0)
            k0, k1 = np.uint64(quantity), np.uint64(item)
            for _ in range(_ROUNDS):
                low_0, low_2 = _FACTOR_0 * w0, _FACTOR_2 * w2
                w0, w1, w2, w3 = _high(_FACTOR_2, w2) ^ w1 ^ k0, low_2, _high(_FACTOR_0, w0) ^ w3 ^ k1, low_0
                k0, k1 = k0 + _WEYL_0, k1 + _WEYL_1
        word = seed & _THREE
        if word == 0:
            w = w0
        elif word == _ONE:
            w = w1
        elif word == _TWO:
            w = w2
        else:
            w = w3
        x[i] = np.float64(np.int64(w >> _SPARE)) * scale + shift
