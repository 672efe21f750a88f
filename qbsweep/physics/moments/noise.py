"""Equations of a family in which nothing cancels: what flows, and the noise that the jumps let in.

``dz/dt = F z`` and ``dV/dt = F V + V F^dag + D``, for

- the amplitudes themselves, D the damping matrix: ``C_mm / P = V_mm``;
- where pairs are wanted, quadratures ``c_m = x_m + i p_m``, all real. With the jumps ``L = sum_m L_m c_m``::

      D = sum_L (Re l, Im l) (Re l, Im l)^T,  l = conj(L)
      C_mm / P = V_xx + V_pp                  S_mm / conj(Q) = V_xx - V_pp + 2 i V_xp

V is a sum of squares in both. So is what a mode has lost of the bath's squeezing: ``C/P - |S/Q|`` is twice the
smaller eigenvalue of its 2 x 2 block.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.family import Entries, Family
from qbsweep.physics.moments.rates import Rates


@dataclass(frozen=True, slots=True, eq=False)
class Equations:
    """Constant parts of ``F = J hops + kappa losses + turns`` and of ``D = J noise_hops + kappa noise_losses``.

    Attributes
    ----------
    hops : ndarray, shape (q, q)
    losses, turns : ndarray, shape (q,) and (q, q)
        The losses are a diagonal.
    noise_hops, noise_losses : ndarray, shape (k, q, q) and (k, q)
        k = 2 where x and p never mix: one F, of q = N + 1, serves the noise of both. Else k = 1, and q = 2 (N + 1)
        for quadratures, all x before all p.
    """

    hops: Array
    losses: Array
    turns: Array
    noise_hops: Array
    noise_losses: Array

    def flow(self, rates: Rates) -> Array:
        """Return F of every member, shape (P, q, q)."""
        F = rates.J[:, None, None] * self.hops + self.turns
        diagonal = np.arange(len(self.losses))
        F[:, diagonal, diagonal] += rates.kappa[:, None] * self.losses
        return np.asarray(F)

    def noise(self, rates: Rates) -> Array:
        """Return D of every member, shape (P, k, q, q)."""
        D = rates.J[:, None, None, None] * self.noise_hops
        diagonal = np.arange(len(self.losses))
        D[:, :, diagonal, diagonal] += rates.kappa[:, None, None] * self.noise_losses
        return np.asarray(D)


@lru_cache(maxsize=64)
def equations(net: Family, *, pairs: bool) -> Equations:
    """Return the equations of a family: those of the amplitudes, or of quadratures where `pairs` are wanted.

    They are in the family's gauge, of quarter turns: in quadratures a local loss lets in x alone, or p alone.
    """
    A, (xx, pp, xp) = _matrix(net.A, net), _jump_noise(net)
    losses, turns = -2 * net.B, np.diag(net.D)
    is_real = net.dtype.kind == "f"
    if not pairs:
        K = xx + pp if is_real else xx + pp + 1j * (xp.T - xp)
        return Equations(A, net.B, turns, K[None], losses[None])
    local = np.stack([losses + net.B_sq.real, losses - net.B_sq.real]) / 2
    if is_real:
        return Equations(A, net.B, turns, np.stack([xx, pp]), local)
    return Equations(
        _of_quadratures(A),
        np.tile(net.B, 2),
        _of_quadratures(turns),
        np.block([[xx, xp], [xp.T, pp]])[None],
        local.reshape(1, -1),
    )


def _matrix(entries: Entries, net: Family) -> Array:
    matrix = np.zeros((net.n_modes, net.n_modes), dtype=net.dtype)
    for place, value in entries.items():
        matrix[place] = value
    return matrix


def _jump_noise(net: Family) -> FloatArray:
    """Return what the jumps of the edges let into (x, x), (p, p) and (x, p), shape (3, N+1, N+1).

    From the jumps: of K and K_sq, which are sums and differences of these, the smaller would be a rounding.
    """
    xx, pp, xp = noise = np.zeros((3, net.n_modes, net.n_modes))
    for edge in net.network.edges:
        where = [edge.u, edge.v]
        jump = np.conj([edge.p_u, edge.p_v]) * net.phases[where].conj()
        at = np.ix_(where, where)
        xx[at] += edge.Gamma * np.outer(jump.real, jump.real)
        pp[at] += edge.Gamma * np.outer(jump.imag, jump.imag)
        xp[at] += edge.Gamma * np.outer(jump.real, jump.imag)
    return noise


def _of_quadratures(matrix: Array) -> FloatArray:
    """Return what a matrix does to (x, p)."""
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])


def factors(V: Array) -> Array:
    """Return vectors whose Gram matrix is V, as rows, shape (P, k, q, q): not numbers where V is not finite."""
    is_finite = np.isfinite(V).all(axis=(-2, -1), keepdims=True)
    scale = np.sqrt(np.diagonal(V, axis1=-2, axis2=-1).real)
    unit = np.where(scale > 0, scale, 1.0)
    correlations = V / (unit[..., :, None] * unit[..., None, :])
    values, vectors = np.linalg.eigh(np.where(is_finite, correlations, 0.0))
    rows = np.swapaxes(vectors, -1, -2) * np.sqrt(np.maximum(values, 0.0))[..., None]
    # A variance of 0 has no part of any, though eigenvectors of equal eigenvalues may.
    return np.asarray(np.where(is_finite, rows * scale[..., None, :], np.nan))


def gram(vectors: Array, n: int) -> FloatArray:
    """V of every mode as the sum of squares of vectors (P, k, c, q, T), shape (P, b, N+1, T).

    b is 1 for the whole noise of a mode, 2 for that of x and p that do not mix, 3 for ``V_xx, V_pp, V_xp``.
    """
    parts = (vectors.real, vectors.imag) if vectors.dtype.kind == "c" else (vectors,)
    squares = sum(np.einsum("pkcqt,pkcqt->pkqt", part, part) for part in parts)
    if vectors.shape[3] == n:
        return np.asarray(squares)
    mixed = np.einsum("pkcqt,pkcqt->pkqt", vectors[..., :n, :], vectors[..., n:, :])
    return np.concatenate([squares[:, :, :n], squares[:, :, n:], mixed], axis=1)


def blocks(V: Array, n: int) -> FloatArray:
    """Return what `gram` does, shape (P, b, N+1), of whole matrices (P, k, q, q)."""
    diagonal = np.diagonal(V, axis1=-2, axis2=-1).real
    if V.shape[-1] == n:
        return np.asarray(diagonal)
    mixed = np.diagonal(V[..., :n, n:], axis1=-2, axis2=-1)
    return np.concatenate([diagonal[..., :n], diagonal[..., n:], mixed], axis=1)
