"""Steady amplitudes of whole families of networks at once, and how far rounding may be in them.

A family (see `qbsweep.physics.moments.family`) has the drift matrices ``M = J A + kappa B + D``. All functions take
arrays `J` and `kappa` of shape (P,), one entry a member, and return values (N+1, P) and an estimate (P,) of the largest
error of a mode.

On a tree (a chain, a star, anything without loops) elimination from the leaves to the charger fills
nothing in and costs O(N) per member, with members along the fast axis. A resonant tree needs no
complex numbers: only products M[u,v] M[v,u] and moduli enter, and those are real. Where all of them have one sign no
digits cancel, and a count of roundings bounds the error; elsewhere a bound is carried along. Members for which it is
too large, and all of any other graph, are solved by LAPACK and refined (`qbsweep.physics.moments.refined`).
`qbsweep.physics.reference` is the slow, readable counterpart; the squeezing is in `qbsweep.physics.moments.anomaly`.

Energies over epsilon^2 keep a small relative error down to 2e-308, the smallest normal double. Below that (say at the
end of a long and very weakly coupled chain) they lose digits and become 0, without a warning.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.bounded import UNIT, Bounded
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.refined import refined_amplitudes

_OF_ENTRY = 16  # roundings that an entry of a drift matrix takes part in on the way to a ratio of determinants
CARRIED = 1e-12  # largest error bound, carried along, of an elimination that need not be refined


def coherent_populations(net: Family, rates: Rates) -> tuple[FloatArray, FloatArray]:
    """Steady ``|alpha_m|^2 / epsilon^2`` of every mode and member, in 1/omega^2.

    Returns
    -------
    populations : ndarray, shape (N+1, P)
    error : ndarray, shape (P,) or ()
        Estimate of the largest relative error.
    """
    if net.parents is None:
        alpha, error = refined_amplitudes(net, rates)
        return np.asarray(np.abs(alpha.T) ** 2), 2 * error
    if not rates.is_uniform:
        from qbsweep.physics.moments.elimination import (
            eliminated_populations,  # compiled, which others need not wait for
        )

        return eliminated_populations(net, rates, CARRIED)
    J = rates.J
    diagonal = _diagonals(net, rates)
    if not net.cancels:
        pivots = _pivots(net, net.parents, J, diagonal)
        return _populations(net, net.parents, J, pivots), np.array(roundings(net))
    bounded = _pivots(net, net.parents, J, lambda mode: Bounded.rounded(diagonal(mode)))
    populations = _populations(net, net.parents, J, [pivot.value for pivot in bounded])
    error = 2 * _largest_along(net, net.parents, [pivot.error / np.abs(pivot.value) for pivot in bounded])
    unsafe = np.flatnonzero(error > CARRIED)
    if len(unsafe):
        alpha, refined = refined_amplitudes(net, rates.of(unsafe))
        populations[:, unsafe], error[unsafe] = np.abs(alpha.T) ** 2, 2 * refined
    return populations, error


def roundings(net: Family) -> float:
    """Bound the relative error of ratios of polynomials in a tree's entries, all of whose terms are positive.

    Elimination rounds each of the at most 3 N + 1 entries some times, and each term has each of them once at most.
    """
    return UNIT * _OF_ENTRY * 3 * net.n_modes


def _diagonals(net: Family, rates: Rates) -> Callable[[int], Array]:
    """Return the function mode -> ``M[m,m]`` over the members; equal diagonals are computed once."""

    @cache
    def combined(a: complex, b: complex, d: complex) -> Array:
        return np.asarray(rates.J * a + rates.kappa * b + d)

    return lambda mode: combined(net.A.get((mode, mode), 0.0), net.B[mode], net.D[mode])


def _pivots(net: Family, parents: tuple[int, ...], J: Array, diagonal: Callable[[int], Any]) -> list[Any]:
    """Pivots of the elimination from the leaves: ``g_m = M_mm - sum_children M_mc M_cm / g_c``.

    Re g <= -kappa/2 < 0 always, because every Schur complement of a dissipative matrix is dissipative:
    no pivoting is needed. Arrays, or `Bounded` ones if the diagonal is.
    """
    pivots = [diagonal(mode) for mode in range(net.n_modes)]
    for mode in reversed(net.order[1:]):
        loop = net.loops[mode]
        if loop:
            pivots[parents[mode]] = pivots[parents[mode]] - (loop * J) * (J / pivots[mode])
    return pivots


def _populations(net: Family, parents: tuple[int, ...], J: Array, pivots: list[Array]) -> FloatArray:
    """``|alpha_0| = 1 / |g_0|`` and ``|alpha_m| = |alpha_p| |M_mp / g_m|``, squared."""
    populations = np.empty((net.n_modes, len(J)))
    populations[0] = np.abs(1 / pivots[0]) ** 2
    for mode in net.order[1:]:
        pivot = pivots[mode]
        ratio = abs(net.A.get((mode, parents[mode]), 0.0)) * J / (np.abs(pivot) if np.iscomplexobj(pivot) else pivot)
        ratio *= ratio
        np.multiply(populations[parents[mode]], ratio, out=populations[mode])
    return populations


def _largest_along(net: Family, parents: tuple[int, ...], errors: list[FloatArray]) -> FloatArray:
    """Return the largest sum of errors on a way from the charger, each with some roundings more."""
    total = [error + 6 * UNIT for error in errors]
    for mode in net.order[1:]:
        total[mode] = total[mode] + total[parents[mode]]
    return np.asarray(np.max(total, axis=0))
