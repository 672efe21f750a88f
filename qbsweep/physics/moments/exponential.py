"""Exponentials of stacks of matrices, and what enters meanwhile, by scaling and squaring."""

import math
from typing import NamedTuple

import numpy as np

from qbsweep.arrays import Array, FloatArray

_NORM = 0.7  # largest norm at which the Taylor polynomial of degree 16 is exact to rounding in double precision
_EXTENDED_NORM = 0.35  # and in an extended one
_BLOCK = 4  # 16 = 4 x 4: Paterson and Stockmeyer's scheme in 6 products
_COEFFICIENTS = np.array(
    [[1 / np.longdouble(math.factorial(_BLOCK * j + k)) for k in range(_BLOCK)] for j in range(_BLOCK)]
)
_COEFFICIENTS[0, 0] = 0.0  # of e^A - 1
_NOISE_NORM, _NOISE_DEGREE = 0.25, 12  # the same for the noise
_GONE = 0.5  # entries of e^A below which it is no longer near 1


class Step(NamedTuple):
    """What happens within a time of length 1.

    Attributes
    ----------
    flow : ndarray, shape (P, q, q)
        ``e^A``.
    driven : ndarray, shape (P, q)
        ``int_0^1 e^{As} b ds``.
    noise : ndarray, shape (P, k, q, q), or None
        ``int_0^1 e^{As} D e^{A^dag s} ds``.
    reached : ndarray, shape (P, q)
        The largest ``|driven|`` at a half, a quarter, an eighth... of the time.
    """

    flow: Array
    driven: Array
    noise: Array | None
    reached: FloatArray

    def of(self, members: Array) -> "Step":
        """Return what happens to some of the members."""
        noise = None if self.noise is None else self.noise[members]
        return Step(self.flow[members], self.driven[members], noise, self.reached[members])


def step(A: Array, drive: Array, noise: Array | None) -> Step:
    """Return what generators A (P, q, q), drives b (P, q) and noises D (P, k, q, q) do within a time of length 1.

    Scaling and squaring of Taylor polynomials. The squaring is done on ``F = e^A - 1`` (``F -> 2 F + F^2``), so that
    slow modes beside fast ones do not lose digits to the 1, until ``e^A`` has decayed, of which no digits would be
    left then. Each matrix is scaled by its own norm, so its result does not depend on its neighbours.
    """
    q = A.shape[-1]
    norm = _EXTENDED_NORM if A.real.dtype == np.longdouble else _NORM
    squarings = _squarings(A, norm if noise is None else _NOISE_NORM)
    share = 2.0 ** -squarings[:, None]
    V = None if noise is None else _taylor_noise((A * share[..., None])[:, None], noise * share[..., None, None])
    F = _taylor(A * share[..., None], drive * share)
    reached, is_gone = np.abs(F[:, :q, q]), np.zeros(len(A), dtype=bool)
    fades = np.trace(A, axis1=1, axis2=2).real < q * math.log(_GONE)  # else the determinant of e^A is too large
    for done in range(squarings.max(initial=0)):
        active = squarings > done
        if V is not None:
            some = _where(active)
            flow = F[some, :q, :q] + np.where(is_gone[some, None, None], 0.0, np.eye(q))
            V[some] += congruent(flow[:, None], V[some])
        near = _where(active & ~is_gone)
        now = F[near]
        squared = now @ now
        if is_gone.any():
            gone = _where(active & is_gone)
            F[gone] = F[gone] @ F[gone]
        squared += now
        squared += now
        F[near] = squared
        np.maximum(reached, np.abs(F[:, :q, q]), out=reached)
        if fades.any():
            new = np.flatnonzero(active & fades & ~is_gone)
            new = new[np.abs(F[new, :q, :q] + np.eye(q)).max(axis=(1, 2)) < _GONE]
            F[new] += np.eye(q + 1)
            is_gone[new] = True
    F[_where(~is_gone)] += np.eye(q + 1)
    return Step(F[:, :q, :q], F[:, :q, q], V, reached)


def _where(members: Array) -> Array | slice:
    """Return the places of some members, of which all are a slice: arrays are not copied then."""
    return slice(None) if members.all() else np.flatnonzero(members)


def _squarings(A: Array, norm: float) -> Array:
    """Return how often matrices are halved until their 2-norms are below `norm`, shape (P,)."""
    size = np.abs(A)
    bound = np.sqrt(size.sum(axis=-2).max(axis=-1)) * np.sqrt(size.sum(axis=-1).max(axis=-1))
    # Deep entries of a chain, of order t^distance, keep their digits if no factor spans more than _BLOCK hops.
    scale = np.maximum(bound / norm, A.shape[-1] / _BLOCK)
    return np.asarray(np.ceil(np.log2(np.maximum(scale, 1.0))).astype(int))


def congruent(E: Array, V: Array) -> Array:
    """Return ``E V E^dag`` of stacks of matrices."""
    return np.asarray(E @ V @ _adjoint(E))


def _adjoint(A: Array) -> Array:
    return np.swapaxes(A, -1, -2).conj()


def _taylor(A: Array, drive: Array) -> Array:
    """Taylor polynomial to degree 16 of the exponential of ``G = [[A, b], [0, 0]]``, less 1.

    ``(((G^4/16! + p_3) G^4 + p_2) G^4 + p_1) G^4 + p_0``; the last column is that of what is driven.
    """
    members, q = drive.shape
    G = np.zeros((members, q + 1, q + 1), dtype=A.dtype)
    G[:, :q, :q], G[:, :q, q] = A, drive
    powers = np.empty((_BLOCK, *G.shape), dtype=G.dtype)
    powers[0], powers[1] = np.eye(q + 1), G
    for k in range(2, _BLOCK):
        np.matmul(powers[k - 1], G, out=powers[k])
    highest = powers[-1] @ G
    parts = (_COEFFICIENTS.astype(G.real.dtype) @ powers.reshape(_BLOCK, -1)).reshape(powers.shape)
    result = parts[-1] + highest / math.factorial(_BLOCK**2)
    for part in parts[-2::-1]:
        result = result @ highest
        result += part
    return np.asarray(result)


def _taylor_noise(A: Array, D: Array) -> Array:
    """Taylor polynomial of the noise: ``sum_k L^k D / (k+1)!`` with ``L V = A V + V A^dag``."""
    V = D
    for k in range(_NOISE_DEGREE, 0, -1):
        half = A @ V
        V = D + (half + _adjoint(half)) / (k + 1)
    return np.array(V)
