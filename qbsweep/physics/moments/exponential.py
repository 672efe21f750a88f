"""Exponentials of stacks of matrices, and what enters meanwhile, by scaling and squaring."""

import math
from typing import NamedTuple

import numpy as np

from qbsweep.arrays import Array, FloatArray

_NORM = 0.7  # largest norm at which the Taylor polynomial of degree 16 is exact to rounding
_BLOCK = 4  # 16 = 4 x 4: Paterson and Stockmeyer's scheme in 6 products
_COEFFICIENTS = np.array([[1 / math.factorial(_BLOCK * j + k) for k in range(_BLOCK)] for j in range(_BLOCK)])
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
    squarings, unit = _squarings(A, _NORM if noise is None else _NOISE_NORM), np.eye(A.shape[-1])
    share = 2.0 ** -squarings[:, None]
    A = A * share[..., None]
    V = None if noise is None else _taylor_noise(A[:, None], noise * share[..., None, None])
    F, z = _taylor(A, drive * share)
    E, reached = F + unit, np.abs(z)
    is_gone = np.zeros(len(A), dtype=bool)
    for done in range(squarings.max(initial=0)):
        active = squarings > done
        now = E[active]
        if V is not None:
            V[active] += congruent(now[:, None], V[active])
        z[active] += (now @ z[active][..., None])[..., 0]
        reached[active] = np.maximum(reached[active], np.abs(z[active]))
        gone, near = np.flatnonzero(active & is_gone), np.flatnonzero(active & ~is_gone)
        E[gone] = E[gone] @ E[gone]
        now = F[near]
        F[near] = now = 2 * now + now @ now
        E[near] = now = now + unit
        is_gone[near] = np.abs(now).max(axis=(1, 2)) < _GONE
    return Step(E, z, V, reached)


def _squarings(A: Array, norm: float) -> Array:
    """Return how often matrices are halved until their 2-norms are below `norm`, shape (P,)."""
    size = np.abs(A)
    bound = np.sqrt(size.sum(axis=-2).max(axis=-1) * size.sum(axis=-1).max(axis=-1))
    # Deep entries of a chain, of order t^distance, keep their digits if no factor spans more than _BLOCK hops.
    scale = np.maximum(bound / norm, A.shape[-1] / _BLOCK)
    return np.asarray(np.ceil(np.log2(np.maximum(scale, 1.0))).astype(int))


def congruent(E: Array, V: Array) -> Array:
    """Return ``E V E^dag`` of stacks of matrices."""
    return np.asarray(E @ V @ _adjoint(E))


def _adjoint(A: Array) -> Array:
    return np.swapaxes(A, -1, -2).conj()


def _taylor(A: Array, drive: Array) -> tuple[Array, Array]:
    """Taylor polynomials of ``e^A - 1`` and ``int_0^1 e^{As} b ds``, to degree 16.

    Both are parts of the exponential of ``G = [[A, b], [0, 0]]``, less 1:
    ``(((G^4/16! + p_3) G^4 + p_2) G^4 + p_1) G^4 + p_0``.
    """
    members, q = drive.shape
    G = np.zeros((members, q + 1, q + 1), dtype=A.dtype)
    G[:, :q, :q], G[:, :q, q] = A, drive
    powers = np.empty((_BLOCK, *G.shape), dtype=G.dtype)
    powers[0], powers[1] = np.eye(q + 1), G
    for k in range(2, _BLOCK):
        np.matmul(powers[k - 1], G, out=powers[k])
    highest = powers[-1] @ G
    parts = (_COEFFICIENTS @ powers.reshape(_BLOCK, -1)).reshape(powers.shape)
    result = parts[-1] + highest / math.factorial(_BLOCK**2)
    for part in parts[-2::-1]:
        result = result @ highest
        result += part
    return result[:, :q, :q].copy(), result[:, :q, q].copy()


def _taylor_noise(A: Array, D: Array) -> Array:
    """Taylor polynomial of the noise: ``sum_k L^k D / (k+1)!`` with ``L V = A V + V A^dag``."""
    V = D
    for k in range(_NOISE_DEGREE, 0, -1):
        half = A @ V
        V = D + (half + _adjoint(half)) / (k + 1)
    return np.array(V)
