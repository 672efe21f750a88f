"""Steady populations on trees whose members differ in all rates: elimination in O(N), in compiled code.

From the leaves to the charger ``g_m = M_mm - sum_children M_mc M_cm / g_c``, with a bound of what rounding has done to
every pivot g (Higham 2002, section 3.3); no pivoting is needed, see `qbsweep.physics.moments.steady`. Real and
imaginary parts are apart, and members in blocks that stay in the cache. Members whose bound is too large are eliminated
again in double-double arithmetic, with the entries of the edges unrounded.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.compiled import njit
from qbsweep.physics.moments.doubled import expansion
from qbsweep.physics.moments.doubled_numbers import inverse, negative, plus, times, two_product
from qbsweep.physics.moments.entries import Exact, gauged
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.rates import Rates

UNIT = float(np.finfo(float).eps) / 2
_OF_DIVISION = 8 * UNIT  # relative error of ``M_mc M_cm / g_c`` beside that of g_c
_OF_DOUBLED = 2.0**-96  # the same in double-double arithmetic, and of sums of some terms
_TINY, _HUGE = 1e-290, 1e290  # squares of pivots beyond have lost digits
_BLOCK = 2**14  # entries of a block of members: five such arrays stay in the cache


class _Tree(NamedTuple):
    """The constant parts of a family on a tree, as arrays.

    Attributes
    ----------
    order, parents, couplings : ndarray of int, shape (N+1,)
        As those of `Family`.
    loops : ndarray, shape (N+1, 4)
        ``M_mp M_pm`` over the square of its coupling: real part and imaginary part, each as high and low.
    hops : ndarray, shape (N+1,)
        ``|M_mp|`` over its coupling.
    starts, numbers, diagonal : ndarray
        What couplings add to ``M_mm``: those of mode m from ``starts[m]`` on, by the numbers of the couplings, as high
        and low.
    losses : ndarray, shape (N+1,)
    """

    order: Array
    parents: Array
    couplings: Array
    loops: FloatArray
    hops: FloatArray
    starts: Array
    numbers: Array
    diagonal: FloatArray
    losses: FloatArray


def eliminated_populations(net: Family, rates: Rates, largest: float) -> tuple[FloatArray, FloatArray]:
    """Steady ``|alpha_m|^2 / epsilon^2`` of every mode and member of a tree.

    Parameters
    ----------
    largest : float
        Error bound above which a member is eliminated in double-double arithmetic.

    Returns
    -------
    populations : ndarray, shape (N+1, P)
    error : ndarray, shape (P,)
        Bound of the largest relative error of a mode, at most 1.
    """
    tree = _tree(net)
    J, kappa = (np.ascontiguousarray(np.atleast_2d(factors)) for factors in (rates.J, rates.kappa))
    detuning = rates.detuning
    if detuning is None:
        own = np.array(net.network.detuning)
        detuning = np.repeat(own[:, None], len(rates), axis=1) if own.any() else np.zeros((0, len(rates)))
    detuning = np.ascontiguousarray(detuning)
    populations, error = np.empty((net.n_modes, len(rates))), np.empty(len(rates))
    _eliminate(*tree, J, kappa, detuning, populations, error)
    unsafe = np.flatnonzero(~(error <= largest))
    if len(unsafe):
        _eliminate_doubled(*tree, J, kappa, detuning, unsafe, populations, error)
    return populations, np.fmin(error, 1.0)


@lru_cache(maxsize=64)
def _tree(net: Family) -> _Tree:
    assert net.parents is not None
    hops, loops = np.zeros(net.n_modes), np.zeros((net.n_modes, 4))
    entries = [gauged(drift, net.phases, conjugate=False) for drift, _ in net.exact]
    for mode in net.order[1:]:
        part, parent = entries[net.couplings[mode]], net.parents[mode]
        hops[mode] = abs(net.A.get((mode, parent), 0.0))
        if (mode, parent) in part and (parent, mode) in part:
            loops[mode] = _exact_product(part[mode, parent], part[parent, mode])
    starts, numbers, diagonal = [0], [], []
    for mode in range(net.n_modes):
        for number, part in enumerate(entries):
            if (mode, mode) in part:
                numbers.append(number)
                diagonal.append(_two(part[mode, mode][0]))  # -K/2, which is real
        starts.append(len(numbers))
    return _Tree(
        np.array(net.order),
        np.array(net.parents),
        np.array(net.couplings),
        loops,
        hops,
        np.array(starts),
        np.array(numbers, dtype=int),
        np.array(diagonal).reshape(-1, 2),
        np.ascontiguousarray(net.B),
    )


def _two(number: list[float]) -> tuple[float, float]:
    high, low = [*number, 0.0, 0.0][:2]
    return high, low


def _exact_product(a: Exact, b: Exact) -> list[float]:
    """Return the product of two complex numbers: high and low of its real part, and of its imaginary part."""

    def total(*pairs: tuple[list[float], list[float], float]) -> tuple[float, float]:
        terms = [sign * term for x, y, sign in pairs for p in x for q in y for term in two_product(p, q)]
        return _two(expansion(terms))

    re = total((a[0], b[0], 1.0), (a[1], b[1], -1.0))
    im = total((a[0], b[1], 1.0), (a[1], b[0], 1.0))
    return [*re, *im]


@njit(nogil=True, error_model="numpy")
def _eliminate(
    order: Any, parents: Any, couplings: Any, loops: Any, hops: Any, starts: Any, numbers: Any, diagonal: Any,
    losses: Any, J: Any, kappa: Any, detuning: Any, populations: Any, error: Any,
) -> None:  # fmt: skip
    """Fill `populations` and `error` in double precision."""
    n, count = populations.shape
    block = max(16, min(count, _BLOCK // n))
    re, im, bound = np.empty((n, block)), np.empty((n, block)), np.empty((n, block))
    for start in range(0, count, block):
        size = min(block, count - start)
        for m in range(n):
            _fill(m, start, size, starts, numbers, diagonal, losses, J, kappa, detuning, re, im, bound)
        for at in range(n - 1, 0, -1):
            m = order[at]
            _pass_up(
                loops[m, 0], loops[m, 2], J[couplings[m], start : start + size], re[m], im[m], bound[m],
                re[parents[m]], im[parents[m]], bound[parents[m]],
            )  # fmt: skip
        _invert(size, re[0], im[0], bound[0])
        for i in range(size):
            populations[0, start + i] = re[0, i] * re[0, i]
            error[start + i] = bound[0, i]
        for at in range(1, n):
            m = order[at]
            p, hop = parents[m], hops[m]
            for i in range(size):
                ratio = hop * J[couplings[m], start + i] * re[m, i]
                populations[m, start + i] = populations[p, start + i] * (ratio * ratio)
                bound[m, i] += bound[p, i]
                error[start + i] = max(error[start + i], bound[m, i])
        for i in range(size):
            error[start + i] *= 2


@njit(nogil=True, error_model="numpy", inline="always")
def _fill(
    m: Any, start: Any, size: Any, starts: Any, numbers: Any, diagonal: Any, losses: Any, J: Any, kappa: Any,
    detuning: Any, re: Any, im: Any, bound: Any,
) -> None:  # fmt: skip
    """Put ``M_mm`` of a block where its pivot will be."""
    row = m if len(kappa) > 1 else 0
    for i in range(size):
        re[m, i] = losses[m] * kappa[row, start + i]
    for term in range(starts[m], starts[m + 1]):
        number, factor = numbers[term], diagonal[term, 0]
        for i in range(size):
            re[m, i] += factor * J[number, start + i]
    if len(detuning):
        for i in range(size):
            im[m, i] = -detuning[m, start + i]
    else:
        im[m, :size] = 0.0
    roundings = UNIT * (2 + starts[m + 1] - starts[m])  # all terms have one sign
    for i in range(size):
        bound[m, i] = -roundings * re[m, i]


@njit(nogil=True, error_model="numpy", inline="always")
def _pass_up(
    loop_re: Any, loop_im: Any, J: Any, re: Any, im: Any, bound: Any, re_up: Any, im_up: Any, bound_up: Any
) -> None:
    """Take ``loop J^2 / g`` from the pivot of the parent; leave ``1 / |g|`` and its relative error in place of g."""
    size, moduli = len(J), math.hypot(loop_re, loop_im)
    if moduli == 0:
        _invert(size, re, im, bound)
        return
    for i in range(size):
        g_re, g_im = re[i], im[i]
        square = g_re * g_re + g_im * g_im
        inverse = 1 / square
        one = math.sqrt(inverse)
        error = bound[i] * one if _TINY < square < _HUGE else math.inf
        bound[i] = error + _OF_DIVISION
        re[i] = one
        factor = (J[i] * J[i]) * inverse
        up_re = re_up[i] - factor * (loop_re * g_re + loop_im * g_im)
        up_im = im_up[i] - factor * (loop_im * g_re - loop_re * g_im)
        re_up[i], im_up[i] = up_re, up_im
        bound_up[i] += moduli * (J[i] * J[i]) * one * (error + _OF_DIVISION) + UNIT * (abs(up_re) + abs(up_im))


@njit(nogil=True, error_model="numpy", inline="always")
def _invert(size: Any, re: Any, im: Any, bound: Any) -> None:
    """Put ``1 / |g|`` and its relative error in place of g."""
    for i in range(size):
        square = re[i] * re[i] + im[i] * im[i]
        one = math.sqrt(1 / square)
        bound[i] = bound[i] * one + _OF_DIVISION if _TINY < square < _HUGE else math.inf
        re[i] = one


@njit(nogil=True, error_model="numpy")
def _eliminate_doubled(
    order: Any, parents: Any, couplings: Any, loops: Any, hops: Any, starts: Any, numbers: Any, diagonal: Any,
    losses: Any, J: Any, kappa: Any, detuning: Any, members: Any, populations: Any, error: Any,
) -> None:  # fmt: skip
    """Fill `populations` and `error` of some members in double-double arithmetic."""
    n = len(order)
    re, im, bound, one = np.empty((n, 2)), np.empty((n, 2)), np.empty(n), np.empty(n)
    for i in members:
        for m in range(n):
            g = two_product(losses[m], kappa[m if len(kappa) > 1 else 0, i])
            for term in range(starts[m], starts[m + 1]):
                g = plus(g, times((diagonal[term, 0], diagonal[term, 1]), (J[numbers[term], i], 0.0)))
            re[m, 0], re[m, 1] = g
            im[m, 0], im[m, 1] = -detuning[m, i] if len(detuning) else 0.0, 0.0
            bound[m] = -_OF_DOUBLED * g[0]
        for at in range(n - 1, -1, -1):
            m = order[at]
            g_re, g_im = (re[m, 0], re[m, 1]), (im[m, 0], im[m, 1])
            square = plus(times(g_re, g_re), times(g_im, g_im))
            inverted = inverse(square)
            one[m] = math.sqrt(inverted[0])
            of_pivot = bound[m] * one[m] if _TINY < square[0] < _HUGE else math.inf
            bound[m] = of_pivot + _OF_DIVISION
            if at and (loops[m, 0] or loops[m, 2]):
                p, coupling = parents[m], J[couplings[m], i]
                loop_re, loop_im = (loops[m, 0], loops[m, 1]), (loops[m, 2], loops[m, 3])
                factor = times(two_product(coupling, coupling), inverted)
                of_re = times(factor, plus(times(loop_re, g_re), times(loop_im, g_im)))
                of_im = times(factor, plus(times(loop_im, g_re), negative(times(loop_re, g_im))))
                re[p, 0], re[p, 1] = plus((re[p, 0], re[p, 1]), negative(of_re))
                im[p, 0], im[p, 1] = plus((im[p, 0], im[p, 1]), negative(of_im))
                size = math.hypot(loop_re[0], loop_im[0]) * (coupling * coupling) * one[m]
                bound[p] += size * (of_pivot + _OF_DOUBLED) + _OF_DOUBLED * (abs(re[p, 0]) + abs(im[p, 0]))
        populations[0, i] = one[0] * one[0]
        error[i] = bound[0]
        for at in range(1, n):
            m = order[at]
            ratio = hops[m] * J[couplings[m], i] * one[m]
            populations[m, i] = populations[parents[m], i] * (ratio * ratio)
            bound[m] += bound[parents[m]]
            error[i] = max(error[i], bound[m])
        error[i] *= 2
