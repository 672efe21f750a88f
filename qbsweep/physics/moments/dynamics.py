"""Time evolution of the moments from vacuum, for whole families of networks at once.

The drive is absorbed in an augmented generator (for a unit drive, in the gauge of
`qbsweep.physics.moments.family.Family`), so that early, small amplitudes are not differences of large ones::

    alpha(t) = last column of exp([[M, e_0], [0, 0]] t)
    U(t) = exp(M t)
    C(t) = P (1 - conj(U) U^T)                  uniform bath: the steady C is P 1
    S(t) = conj(Q) (X - U X U^T)                M X + X M^T + K_sq = 0

No eigenvectors appear, so defective drift matrices (every uniform nonreciprocal cascade) are as good as
any other. Arrays carry the members of the family first: J and kappa (P,), times (P, T).
"""

import math

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.steady import pair_matrices

_NORM = 0.7  # largest 1-norm at which the Taylor polynomial of degree 16 is exact to rounding
_BLOCK = 4  # 16 = 4 x 4: Paterson and Stockmeyer's scheme in 6 products


def expm1(matrices: Array) -> Array:
    """Return ``exp(A) - 1`` of a stack of matrices, shape (P, n, n).

    Scaling and squaring of a Taylor polynomial, the squaring done on ``F = e^A - 1``
    (``F -> 2 F + F^2``), so that neither small generators nor deeply scaled ones lose digits to the 1.
    Each matrix is scaled by its own norm, so its result does not depend on its neighbours.
    """
    norms = np.abs(matrices).sum(axis=-2).max(axis=-1)
    # Deep entries of a chain, of order t^distance, keep their digits if no factor spans more than _BLOCK hops.
    scale = np.maximum(norms / _NORM, matrices.shape[-1] / _BLOCK)
    squarings = np.ceil(np.log2(np.maximum(scale, 1.0))).astype(int)
    F = _taylor_expm1(matrices / 2.0 ** squarings[:, None, None])
    for done in range(squarings.max(initial=0)):
        active = np.flatnonzero(squarings > done)
        F[active] = 2 * F[active] + F[active] @ F[active]
    return F


def _taylor_expm1(A: Array) -> Array:
    """Taylor polynomial of ``exp(A) - 1`` to degree 16."""
    powers = [np.broadcast_to(np.eye(A.shape[-1]), A.shape), A]
    while len(powers) <= _BLOCK:
        powers.append(powers[-1] @ A)
    coefficients = [0.0] + [1 / math.factorial(k) for k in range(1, _BLOCK**2 + 1)]
    result = coefficients[-1] * powers[_BLOCK]
    for block in range(_BLOCK - 1, -1, -1):
        for k in range(_BLOCK):
            result = result + coefficients[block * _BLOCK + k] * powers[k]
        if block:
            result = result @ powers[_BLOCK]
    return result


def uniform_step(times: FloatArray) -> FloatArray | None:
    """Return the step of uniform grids ``0, h, 2h, ...``, shape (P,), or None if they are not such."""
    if times.shape[1] < 2:
        return None
    last = times[:, -1]
    grid = np.linspace(0.0, last, times.shape[1], axis=1)
    if np.all(np.abs(times - grid) <= 4 * np.finfo(float).eps * last[:, None]):
        return np.asarray(last / (times.shape[1] - 1))
    return None


def propagated(generators: Array, columns: Array, times: FloatArray) -> Array:
    """Return ``exp(G t) Y`` at every time, shape (P, n, T, c), for generators (P, n, n) and columns (n, c).

    A uniform grid from 0 costs one exponential and log2(T) products; any other, one exponential a
    step.
    """
    (members, n_times), (n, c) = times.shape, columns.shape
    result = np.empty((members, n, n_times * c), dtype=np.result_type(generators, columns))
    step = uniform_step(times)
    if step is not None:
        result[:, :, :c] = columns
        power, filled = expm1(generators * step[:, None, None]) + np.eye(n), 1
        while filled < n_times:
            fresh = min(filled, n_times - filled)
            result[:, :, filled * c : (filled + fresh) * c] = power @ result[:, :, : fresh * c]
            filled += fresh
            if filled < n_times:
                power = power @ power
    else:
        state = np.broadcast_to(columns, (members, n, c))
        gaps = np.diff(times, axis=1, prepend=0.0)
        for index in range(n_times):
            state = state + expm1(generators * gaps[:, index, None, None]) @ state
            result[:, :, index * c : (index + 1) * c] = state
    return result.reshape(members, n, n_times, c)


def evolved_populations(
    net: Family, J: Array, kappa: Array, times: FloatArray, *, fluctuations: bool, squeezing: bool
) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """Moments of every mode and time, each (P, N+1, T), from vacuum at t = 0.

    Parameters
    ----------
    net : Family
    J, kappa : ndarray, shape (P,)
        Members, in units of omega.
    times : ndarray, shape (P, T)
        Times in 1/omega, ascending, at least 0.
    fluctuations, squeezing : bool
        Whether the second moments, and among them the anomalous ones, are wanted.

    Returns
    -------
    populations : ndarray
        ``|alpha_m(t)|^2 / epsilon^2``.
    filling : ndarray or None
        ``C_mm(t) / P``.
    deficit : ndarray or None
        ``(C_mm/P - |S_mm|/|Q|)(t)``; None stands for 0 everywhere, as in the `phase-half-pi` realization.
    """
    n = net.n_modes
    M = net.drift(J, kappa)
    driven = np.zeros((len(J), n + 1, n + 1), dtype=M.dtype)
    driven[:, :n, :n] = M
    driven[:, 0, n] = 1
    start = np.eye(n + 1)[:, -1:]
    populations = np.abs(propagated(driven, start, times)[:, :n, :, 0]) ** 2
    if not fluctuations:
        return populations, None, None
    U = propagated(M, np.eye(n), times)
    filling = np.clip(1 - _weighted_square(np.abs(U), np.abs(U)), 0.0, 1.0)
    if not squeezing or net.keeps_squeezing:
        return populations, filling, None
    X = pair_matrices(net, J, kappa)
    left = (U.reshape(len(J), -1, n) @ X).reshape(U.shape)
    pairs = np.abs(np.diagonal(X, axis1=1, axis2=2)[..., None] - _weighted_square(left, U))
    return populations, filling, np.maximum(filling - pairs, 0.0)


def _weighted_square(left: Array, right: Array) -> Array:
    """``sum_k left[..., k] right[..., k]``."""
    return np.asarray(np.einsum("...k,...k->...", left, right))
