"""The Liouvillian as something that acts: the dense stencil, and the blocks of conserved number.

Both act on states in a layout of their own, real or complex, and share the methods
of `Operator`, above all `step`, one fused step of a recurrence.
"""

import math
from typing import Protocol

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.fock import kernel
from qbsweep.physics.fock.terms import Diagonals, Generator, by_column, dagger, occupations


class Operator(Protocol):
    """What the propagator and the steady-state solver need of a Liouvillian."""

    dimension: int
    levels: tuple[int, ...]

    def zeros(self) -> Array:
        """Return a zero state."""
        ...

    def thermal(self, occupation: float) -> Array:
        """Return the truncated thermal state of every mode with this photon number; 0 is the vacuum."""
        ...

    def step(self, x: Array, new: Array, total: Array, alpha: float, beta: float, gamma: float, share: float) -> float:
        """Set ``new = alpha A x + beta x + gamma new``, ``total += share x``; return ``||x||_F^2``.

        `new` and `total` are to be completed before they are an `x`.
        """
        ...

    def complete(self, x: Array) -> None:
        """Restore what `step` leaves out of a state that it writes."""
        ...

    def reduced(self, x: Array) -> Array:
        """Return the upper triangles of the modes' reduced states, shape (modes, d, d), d the largest."""
        ...

    def matrix(self, x: Array) -> Array:
        """Return rho, shape (D, D)."""
        ...

    def state(self, rho: Array) -> Array:
        """Return what stands for a Hermitian matrix (D, D), in the gauge of the generator."""
        ...

    def trace(self, x: Array) -> float:
        """Return tr rho."""
        ...

    def pack(self, x: Array, packed: Array) -> None:
        """Write the independent entries to `packed`: 2-norm the Frobenius norm of rho, the vacuum first."""
        ...

    def unpack(self, packed: Array, x: Array) -> None:
        """Write the state whose independent entries are `packed` to `x`."""
        ...

    def packed_diagonal(self) -> Array:
        """Return the diagonal of the Liouvillian in the order of `pack`."""
        ...


def thermal_populations(levels: tuple[int, ...], occupation: float) -> FloatArray:
    """Return the populations ``prod_m q^n_m``, q = P / (P + 1), of all basis states, normalised."""
    weights = (occupation / (occupation + 1)) ** occupations(levels).sum(axis=0)
    return np.asarray(weights / weights.sum())


class DenseOperator:
    """Matrix-free Liouvillian on the whole of rho, upper triangle and a band; see `kernel`."""

    def __init__(self, generator: Generator) -> None:
        self.levels = generator.levels
        self.dimension = size = math.prod(self.levels)
        self.strides = np.array([math.prod(self.levels[m + 1 :]) for m in range(len(self.levels))])
        self.dtype = generator.dtype
        hops = {offset: entries for offset, entries in generator.G.items() if offset}
        self.hops, self.hop_weights = self._stack([hops])
        spare = -len(self.hops) % 4
        self.hops = np.append(self.hops, np.zeros(spare, dtype=np.int64))
        self.hop_weights = np.append(self.hop_weights, np.zeros((spare, size), dtype=self.dtype), axis=0)
        self.diagonal = generator.G[0]
        identity = {0: np.ones(size)}
        pairs = [(identity, dagger(hops)), *generator.jumps()]
        self.rows, self.row_weights = self._stack([left for left, _ in pairs])
        self.shifts, self.weights = self._stack([by_column(right) for _, right in pairs])
        self.starts = np.cumsum([0] + [len(right) for _, right in pairs])
        self.pad = int(np.max(np.abs(self.shifts), initial=1))
        reach = [int(hop) for hop in self.hops]
        for row, first, last in zip(self.rows, self.starts[:-1], self.starts[1:], strict=True):
            reach += [int(row - shift) for shift in self.shifts[first:last]]
        self.width = min(size - 1, max(0, *reach) + kernel.BLOCK - 1)
        self._levels = np.array(self.levels)
        self._accumulator = np.zeros(size, dtype=self.dtype)

    def _stack(self, operators: list[Diagonals]) -> tuple[Array, Array]:
        """Offsets and entries of all diagonals of all operators, in order."""
        offsets = [offset for X in operators for offset in X]
        entries = [entries for X in operators for entries in X.values()]
        table = np.array(entries, dtype=self.dtype).reshape(len(offsets), self.dimension)
        return np.array(offsets, dtype=np.int64), table

    def zeros(self) -> Array:
        """Return a zero state."""
        return np.zeros(self.dimension**2 + 2 * self.pad, dtype=self.dtype)

    def thermal(self, occupation: float) -> Array:
        """Return the truncated thermal state of every mode with this photon number; 0 is the vacuum."""
        x = self.zeros()
        size = self.dimension
        x[self.pad : self.pad + size * size : size + 1] = thermal_populations(self.levels, occupation)
        return x

    def step(self, x: Array, new: Array, total: Array, alpha: float, beta: float, gamma: float, share: float) -> float:
        """Set ``new = alpha A x + beta x + gamma new``, ``total += share x``; return ``||x||_F^2``."""
        norm = kernel.dense_step(
            x, new, total, self.dimension, self.pad, self.hops, self.hop_weights, self.rows,
            self.row_weights, self.starts, self.shifts, self.weights, self.diagonal,
            alpha, beta, gamma, share, self._accumulator,
        )  # fmt: skip
        return float(norm)

    def complete(self, x: Array) -> None:
        """Fill the band below the diagonal from the upper triangle."""
        kernel.mirror_band(x, self.dimension, self.pad, self.width)

    def reduced(self, x: Array) -> Array:
        """Return the upper triangles of the modes' reduced states, shape (modes, d, d), d the largest."""
        d = max(self.levels)
        out = np.zeros((len(self.levels), d, d), dtype=self.dtype)
        kernel.dense_reduced(x, self.dimension, self.pad, self._levels, self.strides, out)
        return out

    def matrix(self, x: Array) -> Array:
        """Return rho, shape (D, D)."""
        size = self.dimension
        upper = np.triu(x[self.pad : self.pad + size * size].reshape(size, size))
        return np.asarray(upper + np.triu(upper, 1).conj().T)

    def state(self, rho: Array) -> Array:
        """Return what stands for a Hermitian matrix (D, D), in the gauge of the generator."""
        x, size = self.zeros(), self.dimension
        x[self.pad : self.pad + size * size] = np.triu(rho if self.dtype.kind == "c" else rho.real).ravel()
        self.complete(x)
        return x

    def trace(self, x: Array) -> float:
        """Return tr rho."""
        size = self.dimension
        return float(np.sum(x[self.pad : self.pad + size * size : size + 1]).real)

    def pack(self, x: Array, packed: Array) -> None:
        """Write the upper triangle row by row, off-diagonal entries times sqrt 2."""
        kernel.dense_pack(x, self.dimension, self.pad, packed)

    def unpack(self, packed: Array, x: Array) -> None:
        """Write the state whose upper triangle is `packed` to `x`."""
        kernel.dense_unpack(packed, self.dimension, self.pad, x)
        self.complete(x)

    def packed_diagonal(self) -> Array:
        """Return the diagonal of the Liouvillian in the order of `pack`."""
        rows, columns = np.triu_indices(self.dimension)
        return np.asarray(self.diagonal[rows] + self.diagonal[columns].conj())
