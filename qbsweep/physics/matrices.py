"""Matrices of a network: coherent, damping, squeezing and drift matrix, and the jump operators behind them."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qbsweep.arrays import Array, ComplexArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.network import Edge, Network

_STILL = 1e-13  # decay, relative to the largest entry of a drift matrix, that is none


@dataclass(frozen=True, slots=True)
class Entry:
    """What one edge adds to entry (j, k) of the matrices of a network, in units of omega.

    Attributes
    ----------
    j, k : int
    h : complex
        Of the coherent matrix.
    K : complex
        Of the damping matrix, ``conj(L_j) L_k``.
    K_sq : complex
        Of the squeezing matrix, ``conj(L_j) conj(L_k)``.
    """

    j: int
    k: int
    h: complex
    K: complex
    K_sq: complex


def edge_entries(edge: Edge) -> list[Entry]:
    """Return what an edge adds to the four entries of its two modes."""
    amplitude = edge.J * edge.phase
    hop = {(edge.u, edge.v): amplitude, (edge.v, edge.u): amplitude.conjugate()}
    p = {edge.u: complex(edge.p_u), edge.v: complex(edge.p_v)}
    # Gamma itself, not the square of its root: then Gamma = 2 J cancels the backward amplitude exactly.
    return [
        Entry(
            j,
            k,
            h=hop.get((j, k), 0.0),
            K=edge.Gamma * p[j].conjugate() * p[k],
            K_sq=edge.Gamma * p[j].conjugate() * p[k].conjugate(),
        )
        for j in p
        for k in p
    ]


@lru_cache(maxsize=16)  # every term of a model asks for them again
def _matrix(diagonal: tuple[float, ...], network: Network, name: str) -> ComplexArray:
    matrix = np.diag(np.asarray(diagonal, dtype=complex))
    for edge in network.edges:
        for entry in edge_entries(edge):
            matrix[entry.j, entry.k] += getattr(entry, name)
    matrix.setflags(write=False)
    return matrix


def coherent_matrix(network: Network) -> ComplexArray:
    """Return h of ``H = sum_jk h[j,k] c_j^dag c_k`` without the drive, shape (N+1, N+1), in units of omega."""
    return _matrix(network.detuning, network, "h")


def damping_matrix(network: Network) -> ComplexArray:
    """Return ``K[j,k] = sum_L conj(L_j) L_k`` over all jumps, shape (N+1, N+1), in units of omega."""
    return _matrix(network.kappa, network, "K")


def squeezing_matrix(network: Network) -> ComplexArray:
    """Return ``sum_L conj(L_j) conj(L_k)``, the pair noise of a squeezed bath, shape (N+1, N+1)."""
    return _matrix(network.kappa, network, "K_sq")


def drift_matrix(network: Network) -> ComplexArray:
    """Return M of ``d alpha/dt = M alpha - i epsilon e_0``: ``M = -i h - K/2``, shape (N+1, N+1).

    Every entry is exact where the backward amplitude of a nonreciprocal edge cancels, so the
    drift matrix of a nonreciprocal chain is exactly lower triangular (and defective).
    """
    return -1j * coherent_matrix(network) - damping_matrix(network) / 2


def require_stable(drift: Array) -> None:
    """Refuse drift matrices, shape (..., N+1, N+1), of which one does not decay: it has no steady state.

    Raises
    ------
    QbsweepError
        With the abscissa, the largest real part of an eigenvalue.
    """
    abscissa = np.linalg.eigvals(drift).real.max(axis=-1)
    if np.any(abscissa >= -_STILL * np.abs(drift).max(axis=(-2, -1))):
        raise QbsweepError(
            "a steady state needs losses that reach every mode, but this network has a lossless one: "
            f"it is unstable, with an abscissa of {max(float(np.max(abscissa)), 0.0):.2g} omega; "
            "outputs in time need none, if `outputs` names no other and `initial` is not `steady`"
        )


def jump_operators(network: Network) -> ComplexArray:
    """Coefficients L of all jumps ``sum_m L[m] c_m``, shape (n_jumps, N+1), in sqrt(omega).

    The N + 1 local losses come first, then one cooperative jump per edge with Gamma > 0.
    """
    jumps = list(np.diag(np.sqrt(np.asarray(network.kappa, dtype=complex))))
    for e in network.edges:
        if e.Gamma > 0:
            jump = np.zeros(network.n_modes, dtype=complex)
            jump[e.u] += math.sqrt(e.Gamma) * e.p_u
            jump[e.v] += math.sqrt(e.Gamma) * e.p_v
            jumps.append(jump)
    return np.array(jumps)
