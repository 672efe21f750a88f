"""What happens to the moments of many networks within spans of time, from exponentials of augmented matrices."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.physics.matrices import edge_entries
from qbsweep.physics.moments.entries import entries_of
from qbsweep.physics.moments.exponential import step
from qbsweep.physics.moments.steps import norms
from qbsweep.physics.network import Network

NONE = 1e-300
"""A rate or an amplitude that is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrices:
    """Drift and pair noise of R networks: each a local part and one that the couplings multiply, both (R, n, n)."""

    drift: tuple[ComplexArray, ComplexArray]
    pairs: tuple[ComplexArray, ComplexArray]

    def of(self, runs: Array | slice) -> "Matrices":
        """Return those of some runs."""
        return Matrices(*((local[runs], hops[runs]) for local, hops in (self.drift, self.pairs)))


def matrices_of(network: Network, couplings: FloatArray, losses: FloatArray, detunings: FloatArray) -> Matrices:
    """Return the matrices of P members.

    Parameters
    ----------
    network : Network
        With unit J and kappa.
    couplings : ndarray, shape (edges, P)
        Multiply the J and Gamma of every edge.
    losses : ndarray, shape (N+1, P)
        Multiply the kappa of every mode.
    detunings : ndarray, shape (N+1, P)
        In units of omega.
    """
    modes = np.arange(network.n_modes)
    local, hops, own, joint = (np.zeros((losses.shape[1], len(modes), len(modes)), dtype=complex) for _ in range(4))
    own[:, modes, modes] = (np.array(network.kappa)[:, None] * losses).T
    local[:, modes, modes] = -1j * detunings.T - own[:, modes, modes] / 2
    for edge, factor in zip(network.edges, couplings, strict=True):
        for entry in edge_entries(edge):
            hops[:, entry.j, entry.k] += factor * (-1j * entry.h - entry.K / 2)  # which may cancel exactly
            joint[:, entry.j, entry.k] += factor * entry.K_sq
    return Matrices((local, hops), (own, joint))


def extended_drift(
    network: Network, couplings: FloatArray, losses: FloatArray, detunings: FloatArray
) -> tuple[Array, Array]:
    """Return the drift of `matrices_of` in extended precision: the entries of the edges, unrounded, times the rates."""
    modes = np.arange(network.n_modes)
    local, hops = (np.zeros((losses.shape[1], len(modes), len(modes)), dtype=np.clongdouble) for _ in range(2))
    own = (np.array(network.kappa)[:, None] * losses.astype(np.longdouble)).T
    local[:, modes, modes] = -1j * detunings.T.astype(np.longdouble) - own / 2
    for edge, factor in zip(network.edges, couplings.astype(np.longdouble), strict=True):
        for (j, k), (re, im) in entries_of(edge)[0].items():
            real, imaginary = (sum(map(np.longdouble, part), np.longdouble(0)) for part in (re, im))
            hops[:, j, k] += factor * (real + 1j * imaginary)
    return local, hops


class Flow(NamedTuple):
    """What happens within a span.

    Attributes
    ----------
    U : ndarray, shape (R, n, n)
    z, y : ndarray, shape (R, n)
        y is None if the drive of no run changes.
    Y : ndarray, shape (R, n, n), or None
    size : ndarray, shape (R, n, n)
        ``|U|``, entry by entry.
    norm : ndarray, shape (R,)
        2-norm of U.
    reached : ndarray, shape (R, n)
        The largest ``|z|`` on the way.
    """

    U: Array
    z: Array
    y: Array | None
    Y: Array | None
    size: FloatArray
    norm: FloatArray
    reached: FloatArray


def flow_of(M: ComplexArray, noise: ComplexArray | None, spans: FloatArray, *, is_ramp: bool) -> Flow:
    """Return what happens within spans, shape (R,)."""
    n, h = M.shape[-1], spans[:, None, None]
    unit = norms(M)[:, None] + NONE  # the unit of the drive makes it no larger than the rest
    drive = np.zeros(M.shape[:2], dtype=M.dtype)
    drive[:, 0] = -1j * unit[:, 0] * spans
    U, z, _, reached = step(M * h, drive, None)
    y: Array | None = None
    Y: Array | None = None
    if is_ramp:
        augmented = np.zeros((len(M), n + 1, n + 1), dtype=M.dtype)
        augmented[:, :n, :n], augmented[:, :n, n] = M * h, drive
        rising = np.zeros((len(M), n + 1), dtype=M.dtype)
        rising[:, n] = 1.0
        y = step(augmented, rising, None).driven[:, :n] / unit
    if noise is not None:  # apart, so that a run is the same to the last bit beside one without squeezing
        of_pairs = step(as_real(M) * h, np.zeros((len(M), 2 * n)), (as_pairs(noise) * h)[:, None])
        assert of_pairs.noise is not None
        Y = pairs_of(of_pairs.noise[:, 0])
    return Flow(
        U, z / unit, y, Y, np.abs(U), np.linalg.norm(np.asarray(U, dtype=complex), 2, axis=(1, 2)), reached / unit
    )


def joined(parts: tuple[ComplexArray, ComplexArray], coupling: FloatArray) -> ComplexArray:
    """Return matrices for these factors of the couplings, shape (R,)."""
    return np.asarray(parts[0] + coupling[:, None, None] * parts[1])


def as_real(M: ComplexArray) -> FloatArray:
    """Return matrices as they act on real and imaginary parts, shape (R, 2n, 2n)."""
    return np.block([[M.real, -M.imag], [M.imag, M.real]])


def as_pairs(X: ComplexArray) -> FloatArray:
    """Return pair moments as those of real and imaginary parts: with them ``M X + X M^T`` is of the same form."""
    return np.block([[X.real, X.imag], [X.imag, -X.real]])


def pairs_of(X: FloatArray) -> ComplexArray:
    """Undo `as_pairs`."""
    n = X.shape[-1] // 2
    return np.asarray(X[..., :n, :n] + 1j * X[..., :n, n:])
