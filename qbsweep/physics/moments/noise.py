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
from qbsweep.physics.matrices import edge_entries
from qbsweep.physics.moments.family import Family


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

    def flow(self, J: Array, kappa: Array) -> Array:
        """Return F of every member, shape (P, q, q)."""
        F = J[:, None, None] * self.hops + self.turns
        diagonal = np.arange(len(self.losses))
        F[:, diagonal, diagonal] += kappa[:, None] * self.losses
        return np.asarray(F)

    def noise(self, J: Array, kappa: Array) -> Array:
        """Return D of every member, shape (P, k, q, q)."""
        D = J[:, None, None, None] * self.noise_hops
        diagonal = np.arange(len(self.losses))
        D[:, :, diagonal, diagonal] += kappa[:, None, None] * self.noise_losses
        return np.asarray(D)


@lru_cache(maxsize=64)
def equations(net: Family, *, pairs: bool) -> Equations:
    """Return the equations of a family: those of the amplitudes, or of quadratures where `pairs` are wanted.

    They are in the family's gauge, of quarter turns: in quadratures a local loss lets in x alone, or p alone.
    """
    n, is_real, phases = net.n_modes, net.dtype.kind == "f", net.phases
    A, K, K_sq = (np.zeros((n, n), dtype=complex) for _ in range(3))
    for edge in net.network.edges:
        for e in edge_entries(edge):
            A[e.j, e.k] += -1j * e.h - e.K / 2
            K[e.j, e.k] += e.K
            K_sq[e.j, e.k] += e.K_sq
    A, K = (phases.conj()[:, None] * matrix * phases for matrix in (A, K))
    K_sq = phases.conj()[:, None] * K_sq * phases.conj()
    losses, turns = np.array(net.network.kappa), np.diag(net.network.detuning)
    if not pairs:
        if is_real:
            return Equations(A.real, -losses / 2, 0 * turns, K.real[None], losses[None])
        return Equations(A, -losses / 2, -1j * turns, K[None], losses[None])
    xx, pp, xp = (K + K_sq).real / 2, (K - K_sq).real / 2, (K_sq - K).imag / 2
    turn = (phases**2).real
    local = np.stack([losses * (1 + turn) / 2, losses * (1 - turn) / 2])
    if is_real:
        return Equations(A.real, -losses / 2, 0 * turns, np.stack([xx, pp]), local)
    return Equations(
        np.block([[A.real, -A.imag], [A.imag, A.real]]),
        np.tile(-losses / 2, 2),
        np.block([[0 * turns, turns], [-turns, 0 * turns]]),
        np.block([[xx, xp], [xp.T, pp]])[None],
        local.reshape(1, -1),
    )


def factors(V: Array) -> Array:
    """Return vectors whose Gram matrix is V, as rows: shape (P, k, q, q)."""
    scale = np.sqrt(np.diagonal(V, axis1=-2, axis2=-1).real)
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(V / (scale[..., :, None] * scale[..., None, :]))
    rows = np.swapaxes(vectors, -1, -2) * np.sqrt(np.maximum(values, 0.0))[..., None]
    return np.asarray(rows * scale[..., None, :])


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
