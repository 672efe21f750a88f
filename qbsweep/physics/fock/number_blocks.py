"""The Liouvillian on the blocks of conserved photon number: all that exists without drive and squeezing.

Starting from vacuum (or any state without coherence between total photon numbers) rho stays
block-diagonal in the total number when nothing but hops, losses and thermal gain acts. Only those
entries are stored, in a real gauge only their upper triangle, off-diagonal ones times sqrt 2 so that the
2-norm is the Frobenius norm; the Liouvillian is a sparse matrix on them. The modes' reduced states are
diagonal, because no mode can lose a photon to another without a trace.
"""

import math
from itertools import product

import numpy as np
from scipy import sparse

from qbsweep.arrays import Array
from qbsweep.physics.compiled import njit
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.operator import DenseOperator, Operator, thermal_populations
from qbsweep.physics.fock.terms import Generator, by_column, dagger, generator, occupations


@njit(fastmath={"reassoc", "contract", "nsz"})
def _sparse_step(  # type: ignore[no-untyped-def]
    starts, columns, values, x, new, total, alpha, beta, gamma, share
):
    """One fused recurrence step, see `BlockOperator.step`."""
    norm = 0.0
    for row in range(len(starts) - 1):
        image = values[0] * 0
        for at in range(starts[row], starts[row + 1]):
            image += values[at] * x[columns[at]]
        here = x[row]
        new[row] = alpha * image + beta * here + gamma * new[row]
        norm += here.real * here.real + here.imag * here.imag
    if share != 0:
        for row in range(len(x)):
            total[row] += share * x[row]
    return norm


@njit()
def _populations(x, diagonal, numbers, out):  # type: ignore[no-untyped-def]
    """Add the populations of every mode's levels to the diagonals of `out` [mode, d, d]."""
    for state in range(len(diagonal)):
        value = x[diagonal[state]]
        for m in range(len(numbers)):
            n = numbers[m, state]
            out[m, n, n] += value


class BlockOperator:
    """Liouvillian on the number-conserving entries of rho; see the module."""

    def __init__(self, generator: Generator) -> None:
        self.levels = generator.levels
        self.dimension = math.prod(self.levels)
        self.dtype = generator.dtype
        self.numbers = occupations(self.levels)
        self.symmetric = self.dtype.kind == "f"
        self.rows, self.columns = self._pairs()
        self.diagonal = np.flatnonzero(self.rows == self.columns)
        self.diagonal_numbers = np.ascontiguousarray(self.numbers[:, self.rows[self.diagonal]])
        self.matrix_form = self._assemble(generator)

    def _pairs(self) -> tuple[Array, Array]:
        """All (I, J) of equal total number, I <= J where rho is real symmetric, ordered by number."""
        total = self.numbers.sum(axis=0)
        rows, columns = [], []
        for number in range(int(total.max()) + 1):
            states = np.flatnonzero(total == number)
            i, j = np.meshgrid(states, states, indexing="ij")
            chosen = i <= j if self.symmetric else np.ones_like(i, dtype=bool)
            rows.append(i[chosen])
            columns.append(j[chosen])
        return np.concatenate(rows), np.concatenate(columns)

    def _assemble(self, generator: Generator) -> sparse.csr_array:
        """Sum ``left[I] right[J] rho[I + R, J + S]`` over all terms into one sparse matrix."""
        size = self.dimension
        index = np.full((size, size), -1, dtype=np.int32)
        index[self.rows, self.columns] = np.arange(len(self.rows))
        if self.symmetric:
            index[self.columns, self.rows] = index[self.rows, self.columns]
        doubled = self.symmetric & (self.rows != self.columns)
        factor = np.where(doubled, math.sqrt(2.0), 1.0)
        identity = {0: np.ones(size)}
        terms = [(generator.G, identity), (identity, dagger(generator.G)), *generator.jumps()]
        data, to, source = [], [], []
        for left, right in terms:
            for (R, row_weight), (S, column_weight) in product(left.items(), by_column(right).items()):
                value = row_weight[self.rows] * column_weight[self.columns]
                here = np.flatnonzero(value)
                there = index[self.rows[here] + R, self.columns[here] + S]
                data.append(value[here] * factor[here] / factor[there])
                to.append(here)
                source.append(there)
        shape = (len(self.rows), len(self.rows))
        entries = (np.concatenate(data), (np.concatenate(to), np.concatenate(source)))
        return sparse.csr_array(sparse.coo_array(entries, shape=shape))

    def zeros(self) -> Array:
        """Return a zero state."""
        return np.zeros(len(self.rows), dtype=self.dtype)

    def thermal(self, occupation: float) -> Array:
        """Return the truncated thermal state of every mode with this photon number; 0 is the vacuum."""
        x = self.zeros()
        x[self.diagonal] = thermal_populations(self.levels, occupation)[self.rows[self.diagonal]]
        return x

    def step(self, x: Array, new: Array, total: Array, alpha: float, beta: float, gamma: float, share: float) -> float:
        """Set ``new = alpha A x + beta x + gamma new``, ``total += share x``; return ``||x||_F^2``."""
        A = self.matrix_form
        return float(_sparse_step(A.indptr, A.indices, A.data, x, new, total, alpha, beta, gamma, share))

    def complete(self, x: Array) -> None:
        """Every entry is kept: nothing to restore."""

    def reduced(self, x: Array) -> Array:
        """Return the modes' reduced states, all diagonal, shape (modes, d, d), d the largest."""
        d = max(self.levels)
        out = np.zeros((len(self.levels), d, d), dtype=self.dtype)
        _populations(x, self.diagonal, self.diagonal_numbers, out)
        return out

    def matrix(self, x: Array) -> Array:
        """Return rho, shape (D, D)."""
        rho = np.zeros((self.dimension, self.dimension), dtype=self.dtype)
        if self.symmetric:
            off = np.where(self.rows == self.columns, 1.0, math.sqrt(0.5)) * x
            rho[self.rows, self.columns] = off
            rho[self.columns, self.rows] = off
        else:
            rho[self.rows, self.columns] = x
        return rho

    def state(self, rho: Array) -> Array:
        """Return what stands for a Hermitian matrix (D, D), in the gauge of the generator."""
        entries = rho[self.rows, self.columns]
        if self.symmetric:
            return np.asarray(np.where(self.rows == self.columns, 1.0, math.sqrt(2.0)) * entries.real)
        return np.asarray(entries, dtype=self.dtype)

    def trace(self, x: Array) -> float:
        """Return tr rho."""
        return float(np.sum(x[self.diagonal]).real)

    def pack(self, x: Array, packed: Array) -> None:
        """Copy: the layout is packed already."""
        packed[:] = x

    def unpack(self, packed: Array, x: Array) -> None:
        """Copy `packed` to `x`."""
        x[:] = packed

    def packed_diagonal(self) -> Array:
        """Return the diagonal of the Liouvillian."""
        return np.asarray(self.matrix_form.diagonal())


def build_operator(model: FockModel) -> tuple[Operator, Generator]:
    """Return the Liouvillian as the fast engine applies it, and the generator it came from."""
    terms = generator(model)
    return (BlockOperator if model.conserves_number else DenseOperator)(terms), terms
