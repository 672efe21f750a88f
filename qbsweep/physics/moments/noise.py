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
from typing import Any

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.family import Entries, Family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.network import Edge

Entered = tuple[tuple[Array, ...], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Equations:
    """Constant parts of ``F = sum J hops + kappa losses + turns`` and of ``D = sum J noise_hops + kappa noise_losses``.

    Attributes
    ----------
    hops, noise_hops : tuple of (places, values)
        Non-zero entries of what every coupling is the factor of, (q, q) and (k, q, q).
    losses, noise_losses : ndarray, shape (q,) and (k, q)
        Diagonals. k = 2 where x and p never mix: one F, of q = N + 1, serves the noise of both. Else k = 1, and
        q = 2 (N + 1) for quadratures, all x before all p.
    """

    net: Family
    hops: tuple[Entered, ...]
    losses: Array
    noise_hops: tuple[Entered, ...]
    noise_losses: Array

    def flow(self, rates: Rates) -> Array:
        """Return F of every member, shape (P, q, q)."""
        F = _entered(self.hops, rates, self.losses.shape * 2)
        n, turns = self.net.n_modes, self.net.turns(rates)
        modes, diagonal = np.arange(n), np.arange(len(self.losses))
        if len(diagonal) == n:
            F[:, modes, modes] += turns
        else:
            F[:, modes, n + modes] -= turns.imag
            F[:, n + modes, modes] += turns.imag
        F[:, diagonal, diagonal] += self._local(rates) * self.losses
        return F

    def noise(self, rates: Rates) -> Array:
        """Return D of every member, shape (P, k, q, q)."""
        diagonal = np.arange(len(self.losses))
        D = _entered(self.noise_hops, rates, (len(self.noise_losses), *self.losses.shape * 2))
        D[:, :, diagonal, diagonal] += self._local(rates)[:, None] * self.noise_losses
        return D

    def _local(self, rates: Rates) -> FloatArray:
        """Return the factors of losses, shape (P, q) or (P, 1)."""
        factors = rates.losses()
        return factors if factors.shape[1] == 1 else np.tile(factors, len(self.losses) // self.net.n_modes)


def _entered(parts: tuple[Entered, ...], rates: Rates, shape: tuple[int, ...]) -> Array:
    """Return ``sum_e J_e part_e`` of every member."""
    matrices = np.zeros((len(rates), *shape), dtype=parts[0][1].dtype)
    for number, (places, values) in enumerate(parts):
        at: Any = (slice(None), *places)
        matrices[at] += rates.coupling(number)[:, None] * values
    return matrices


@lru_cache(maxsize=64)
def equations(net: Family, *, pairs: bool) -> Equations:
    """Return the equations of a family: those of the amplitudes, or of quadratures where `pairs` are wanted.

    They are in the family's gauge, of quarter turns: in quadratures a local loss lets in x alone, or p alone.
    """
    edges = net.network.edges
    jumps = [(edge,) for edge in edges] if len(net.parts) > 1 else [edges]
    parts = [
        _of_part(_matrix(part, net), _jump_noise(net, some), pairs=pairs)
        for part, some in zip(net.parts, jumps, strict=True)
    ]
    hops, noise = (tuple(part[i] for part in parts) for i in range(2))
    losses = -2 * net.B
    if not pairs:
        return Equations(net, hops, net.B, noise, losses[None])
    local = np.stack([losses + net.B_sq.real, losses - net.B_sq.real]) / 2
    if net.dtype.kind == "f":
        return Equations(net, hops, net.B, noise, local)
    return Equations(net, hops, np.tile(net.B, 2), noise, local.reshape(1, -1))


def _of_part(A: Array, noise: FloatArray, *, pairs: bool) -> tuple[Entered, Entered]:
    """Return the entries of F and D that a coupling is the factor of."""
    (xx, pp, xp), is_real = noise, A.dtype.kind == "f"
    if not pairs:
        return _nonzero(A), _nonzero((xx + pp if is_real else xx + pp + 1j * (xp.T - xp))[None])
    if is_real:
        return _nonzero(A), _nonzero(np.stack([xx, pp]))
    return _nonzero(_of_quadratures(A)), _nonzero(np.block([[xx, xp], [xp.T, pp]])[None])


def _nonzero(matrix: Array) -> Entered:
    places = np.nonzero(matrix)
    return places, matrix[places]


def _matrix(entries: Entries, net: Family) -> Array:
    matrix = np.zeros((net.n_modes, net.n_modes), dtype=net.dtype)
    for place, value in entries.items():
        matrix[place] = value
    return matrix


def _jump_noise(net: Family, edges: tuple[Edge, ...]) -> FloatArray:
    """Return what the jumps of some edges let into (x, x), (p, p) and (x, p), shape (3, N+1, N+1).

    From the jumps: of K and K_sq, which are sums and differences of these, the smaller would be a rounding.
    """
    xx, pp, xp = noise = np.zeros((3, net.n_modes, net.n_modes))
    for edge in edges:
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
