"""Steady moments of any graph: LAPACK's solutions, corrected until the last digit by residuals of 32 digits.

The solution is carried as ``high + low``, its residual is summed in double-double arithmetic over the entries of the
edges (see `sparse`), and what the factors of the first solution make of the residual is added, again and again
(Wilkinson's iterative refinement with a solution in twice the precision, Demmel et al. 2006). Each correction leaves
about ``eps ||M|| / kappa`` of the error, so that small parts of a solution come to their own digits too, and the last
corrections say what error is left.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.moments.doubled import Doubled, nearest, plus, times, two_sum
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.sparse import deviation_source, drift_of

_EPS = float(np.finfo(float).eps)
_ROUNDS = 12  # corrections at most; each at least halves the one before
_PATIENCE = 4  # corrections before one that does not halve says anything: small parts settle after the large ones
_DARK = 1e-24  # amplitudes below, of the largest, are nothing if they do not settle
_FIRST = 1e-3  # relative size that a first solution counts with among its corrections: 1, and some distrust
_LOST = 0.1  # rounding of M, in units of the slowest damping, that refinement copes with
_UNKNOWN = 1.0  # the relative error of what does not converge

_Solve = Callable[[Array, FloatArray], FloatArray]
_Residual = Callable[[Array, Doubled], FloatArray]
_Change = Callable[[Array, Doubled, FloatArray], FloatArray]


def refined_amplitudes(net: Family, rates: Rates) -> tuple[Array, FloatArray]:
    """Solve ``M alpha + e_0 = 0``.

    Returns
    -------
    alpha : ndarray, shape (P, N+1)
        Per unit drive, in the family's gauge, in 1/omega. What does not settle below 1e-24 of the largest amplitude is
        the rounding of ways that cancel each other, and 0.
    error : ndarray, shape (P,)
        Estimate of the largest relative error of a mode.

    Raises
    ------
    QbsweepError
        If nothing damps some mode of a member.
    """
    drift = drift_of(net, rates)
    try:
        inverse = np.linalg.inv(net.drift(rates))
    except np.linalg.LinAlgError as singular:
        raise QbsweepError(
            "a steady state needs losses that reach every mode, but this network has a lossless one"
        ) from singular
    source = np.zeros((len(rates), drift.shape[1], 1))
    source[:, 0] = 1

    def solve(members: Array, right: FloatArray) -> FloatArray:
        return _stacked(inverse[members] @ _joined(right, net))

    def residual(members: Array, alpha: Doubled) -> FloatArray:
        return -nearest(plus((source[members], np.zeros_like(source[members])), drift[members].of(alpha)))

    is_dark = np.zeros((len(rates), net.n_modes), dtype=bool)

    def change(members: Array, alpha: Doubled, step: FloatArray) -> FloatArray:
        size, moved = (np.abs(_joined(x, net)[..., 0]) for x in (alpha[0], step))
        dark = is_dark[members] = (moved > size / 2) & (size + moved < _DARK * size.max(axis=1, keepdims=True))
        return np.asarray(np.where(dark, 0.0, _ratio(moved, size)).max(axis=1))

    alpha, error = _refined(solve(np.arange(len(rates)), -source), solve, residual, change)
    return np.where(is_dark, 0.0, _joined(alpha[0], net)[..., 0]), error


def refined_deficits(net: Family, rates: Rates) -> tuple[FloatArray, FloatArray]:
    """Return ``1 - |X_mm|`` of the pair moments, ``M X + X M^T + K_sq = 0``.

    What is solved is ``M Y + Y M^T + R = 0`` for the deviation ``Y = X - phases*^2`` from what local losses alone would
    give, by the Schur form of M.

    Returns
    -------
    deficit : ndarray, shape (P, N+1)
    error : ndarray, shape (P,)
        Estimate of the largest error of an ergotropy; see `ergotropy_error`.
    """
    drift, source = drift_of(net, rates), deviation_source(net, rates)
    M = net.drift(rates)
    solve, damping = _pair_solver(M, net)

    def residual(members: Array, Y: Doubled) -> FloatArray:
        half = drift[members].of(Y)
        whole = plus(half, (_transposed(half[0], net), _transposed(half[1], net)))
        return -nearest(plus(whole, (source[0][members], source[1][members])))

    def change(_: Array, Y: Doubled, step: FloatArray) -> FloatArray:
        moved = np.abs(np.diagonal(_joined(step, net), axis1=1, axis2=2))
        return np.asarray(ergotropy_error(_lost_square(Y, net), moved).max(axis=1))

    Y, error = _refined(solve(np.arange(len(rates)), -source[0]), solve, residual, change)
    # A damping that is lost in the rounding of M leaves corrections that look small, and are small by far too much.
    is_lost = _EPS * np.abs(M).sum(axis=2).max(axis=1) > _LOST * damping
    kept = np.abs(1 + _deviation(nearest(Y), net))
    return _lost_square(Y, net) / (1 + kept), np.where(is_lost, _UNKNOWN, error)


def ergotropy_error(lost: FloatArray, error: FloatArray) -> FloatArray:
    """Return how far an error of X_mm moves an ergotropy, relative to the larger of it and P/100, at most.

    With ``D = 1 - |X|^2``, ``nu^2 = (n_th + 1/2)^2 + Q^2 D`` and ``Q^2 <= P (P + 1)``: ``d nu = Q^2 dD / 2 nu`` and
    ``nu >= (P + 1/2) sqrt D``, while the ergotropy is at least ``Q^2 |X|^2 / (2 P + 1)``. An error larger than D
    itself moves nu by its root.

    Parameters
    ----------
    lost : ndarray
        ``1 - |X_mm|^2``.
    error : ndarray
        ``|dX_mm|``.
    """
    kept = np.sqrt(np.clip(1 - lost, 0.0, 1.0)) + error
    of_lost = 2 * kept * error
    return _ratio(of_lost, np.sqrt(np.maximum(lost, of_lost)) * np.maximum(kept**2, 0.01))


def _refined(first: FloatArray, solve: _Solve, residual: _Residual, change: _Change) -> tuple[Doubled, FloatArray]:
    """Correct a first solution, every member until its corrections are roundings or do not halve any more.

    The error left is that of a geometric series of corrections.
    """
    high, low = first, np.zeros_like(first)
    error, before = np.zeros(len(first)), np.full(len(first), _FIRST)
    active = np.arange(len(first))
    for count in range(_ROUNDS):
        here = high[active], low[active]
        step = solve(active, residual(active, here))
        here = plus(here, (step, np.zeros_like(step)))
        high[active], low[active] = two_sum(*here)
        moved = change(active, here, step)
        factor = np.clip(moved / before[active], 0.0, 0.999)
        error[active] = moved / (1 - factor) * np.where(factor < 0.5, factor, 1.0)
        goes_on = (error[active] > _EPS) & ((factor < 0.5) | (count < _PATIENCE))
        before[active] = moved
        active = active[goes_on]
        if not len(active):
            break
    return (high, low), np.fmin(error + 4 * _EPS, _UNKNOWN)


def _pair_solver(M: Array, net: Family) -> tuple[_Solve, FloatArray]:
    """Return the function that solves ``M Y + Y M^T = B`` of some members for a symmetric B, and the least damping."""
    from scipy.linalg import get_lapack_funcs  # half a second, which networks without loops need not wait for

    lapack: Any = get_lapack_funcs(("gees", "trsyl"), (M,))
    gees, trsyl = lapack
    forms, damping = [], np.empty(len(M))
    for member, one in enumerate(M):
        factors = gees(lambda *_: None, one)
        T, U = factors[0], factors[-3]
        forms.append((T, T.conj(), U))
        damping[member] = -factors[2].real.max()
    transposed = "C" if net.dtype.kind == "c" else "T"

    def solve(members: Array, right: FloatArray) -> FloatArray:
        U = np.array([forms[member][2] for member in members])
        B = U.conj().swapaxes(1, 2) @ _joined(right, net) @ U.conj()
        for place, member in enumerate(members):
            T, conjugate, _ = forms[member]
            solution, scale, _ = trsyl(T, conjugate, B[place], trana="N", tranb=transposed)
            B[place] = solution / scale
        Y = U @ B @ U.swapaxes(1, 2)
        return _stacked((Y + Y.swapaxes(1, 2)) / 2)

    return solve, damping


def _joined(columns: FloatArray, net: Family) -> Array:
    """Return what real parts above imaginary ones stand for, shape (P, N+1, c)."""
    n = net.n_modes
    return columns[:, :n] + 1j * columns[:, n:] if net.dtype.kind == "c" else columns


def _stacked(columns: Array) -> FloatArray:
    """Put real parts above imaginary ones, if there are any."""
    return np.concatenate((columns.real, columns.imag), axis=1) if np.iscomplexobj(columns) else columns


def _transposed(matrices: FloatArray, net: Family) -> FloatArray:
    n = net.n_modes
    return matrices.reshape(len(matrices), -1, n, n).swapaxes(2, 3).reshape(matrices.shape)


def _deviation(Y: FloatArray, net: Family) -> Array:
    """Return y of ``Y_mm = phases*^2 y``, shape (P, N+1)."""
    return np.asarray(np.diagonal(_joined(Y, net), axis1=1, axis2=2) * net.phases**2)


def _lost_square(Y: Doubled, net: Family) -> FloatArray:
    """``1 - |X_mm|^2 = -(2 Re y + |y|^2)`` with ``Y_mm = phases*^2 y``, shape (P, N+1); at least 0."""
    high, low = (np.diagonal(part.reshape(len(part), -1, *2 * [net.n_modes]), axis1=2, axis2=3) for part in Y)
    sign = (net.phases**2).real  # of quarter turns
    re = sign * high[:, 0], sign * low[:, 0]
    total = times(re, plus(re, (np.full_like(re[0], 2.0), np.zeros_like(re[0]))))
    if high.shape[1] == 2:
        im = high[:, 1], low[:, 1]
        total = plus(total, times(im, im))
    return np.maximum(-nearest(total), 0.0)


def _ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return ``a / b``, and 0 where both are."""
    return np.divide(a, b, out=np.where(a > 0, np.inf, 0.0), where=b > 0)
