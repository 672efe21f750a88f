"""Drift matrices of the members of a family to 32 digits, entry by entry, and their products with columns.

The entries are those of the edges exactly, as `Network` has them, with products of J, e^{i theta}, Gamma and p
unrounded: what cancels in them by physics, as ``M + M^dag = -K`` or a backward amplitude, cancels. Complex columns are
their real parts above their imaginary ones, and the matrices act on these: all arithmetic is real.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.doubled import Doubled, plus, times, two_product
from qbsweep.physics.moments.entries import ExactEntries, edge_entries, gauged, pair_source
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.rates import Rates

_NOTHING = (0.0, 0.0)
_CANCELLED = 1e-26  # of what is summed in 32 digits
_Rounded = dict[tuple[int, int], tuple[tuple[float, float], tuple[float, float]]]  # of an entry, `(high, low)` each


@dataclass(frozen=True, slots=True)
class _Slot:
    """At most one entry of every row: of some `rows` those in `columns`, ``J edge + kappa loss + detuning``."""

    rows: Array
    columns: Array
    edge: Doubled
    loss: FloatArray
    detuning: FloatArray


@dataclass(frozen=True, slots=True)
class Drift:
    """Drift matrices of some members; see `drift_of`.

    Attributes
    ----------
    slots : tuple of (rows, columns, values)
        At most one entry of every row each; values (members, rows).
    shape : tuple of int
        Members and rows.
    """

    slots: tuple[tuple[Array, Array, Doubled], ...]
    shape: tuple[int, int]

    def __getitem__(self, members: Array) -> "Drift":
        """Return that of some of the members."""
        slots = tuple((rows, columns, (hi[members], lo[members])) for rows, columns, (hi, lo) in self.slots)
        return Drift(slots, (len(members), self.shape[1]))

    def of(self, columns: Doubled) -> Doubled:
        """Return ``M y`` of columns (members, rows, c), with an error of about 1e-32 of ``|M| |y|``."""
        high, low = np.zeros_like(columns[0]), np.zeros_like(columns[0])
        for rows, where, (value, rest) in self.slots:
            y = columns[0][:, where], columns[1][:, where]
            term = times((value[..., None], rest[..., None]), y)
            if len(rows) == self.shape[1]:  # of rows in order
                high, low = plus((high, low), term)
            else:
                high[:, rows], low[:, rows] = plus((high[:, rows], low[:, rows]), term)
        return high, low

    def dense(self) -> Array:
        """Return the matrices in the extended precision of the machine, shape (members, rows, rows)."""
        matrices = np.zeros((*self.shape, self.shape[1]), dtype=np.longdouble)
        for rows, columns, (high, low) in self.slots:
            matrices[:, rows, columns] = high.astype(np.longdouble) + low
        return matrices

    def unreached(self) -> Array:
        """Return the rows that nothing reaches from the first one, shape (members, rows).

        There all ways, of any length up to the number of rows, cancel to 26 digits of what they are one by one.
        """
        sizes, way = np.abs(self.dense().astype(float)), np.zeros((*self.shape, 1))
        way[:, 0] = 1
        size, found, rest = way, way, np.zeros_like(way)
        is_unreached = np.ones(self.shape, dtype=bool)
        for _ in range(self.shape[1]):
            is_unreached &= (np.abs(found) <= _CANCELLED * size)[..., 0]
            size, (found, rest) = sizes @ size, self.of((found, rest))
            unit = np.exp2(-np.ceil(np.log2(size.max(axis=1, keepdims=True))))
            size, found, rest = unit * size, unit * found, unit * rest
        return is_unreached


def drift_of(net: Family, rates: Rates) -> Drift:
    """Return the drift matrices of the members, in the family's gauge."""
    J, kappa, slots = rates.J, rates.kappa, []
    for slot in _slots(net):
        edge = times((J[:, None], np.zeros((len(J), 1))), slot.edge)
        local = plus(two_product(kappa[:, None], slot.loss), (slot.detuning, np.zeros_like(slot.detuning)))
        slots.append((slot.rows, slot.columns, plus(edge, local)))
    return Drift(tuple(slots), (len(J), _parts(net) * net.n_modes))


def deviation_source(net: Family, rates: Rates) -> Doubled:
    """Return R of ``M Y + Y M^T + R = 0`` for ``Y = X - phases*^2``, shape (members, rows, N+1).

    ``R = K_sq - (K + K^T)/2 - i (h + h^T)`` before the gauge, from which the local losses cancel.
    """
    n, J = net.n_modes, rates.J
    high, low = (np.zeros((len(J), _parts(net) * n, n)) for _ in range(2))
    rows, columns, edge, detuning = _sources(net)
    product = times((J[:, None], np.zeros((len(J), 1))), edge)
    high[:, rows, columns], low[:, rows, columns] = plus(product, (detuning, np.zeros_like(detuning)))
    return high, low


def _parts(net: Family) -> int:
    """Rows of a mode: a real one, and an imaginary one."""
    return 2 if net.dtype.kind == "c" else 1


@lru_cache(maxsize=64)
def _slots(net: Family) -> list[_Slot]:
    """Lay out the entries of all drift matrices, so that few slots hold them."""
    n = net.n_modes
    entries: dict[tuple[int, int], tuple[float, float]] = {}
    drift, _ = edge_entries(net.network)
    for (j, k), (re, im) in _rounded(gauged(drift, net.phases, conjugate=False)).items():
        entries[j, k] = re
        if _parts(net) == 2:
            entries |= {(j, n + k): (-im[0], -im[1]), (n + j, k): im, (n + j, n + k): re}
    local: dict[tuple[int, int], tuple[float, float]] = {}
    for mode, (loss, shift) in enumerate(zip(net.B, net.network.detuning, strict=True)):
        local[mode, mode] = (loss, 0.0)
        if _parts(net) == 2:
            local |= {
                (n + mode, n + mode): (loss, 0.0),
                (mode, n + mode): (0.0, shift),
                (n + mode, mode): (0.0, -shift),
            }
    of_row = defaultdict(list)
    for j, k in sorted(entries | local):
        if any(entries.get((j, k), ())) or any(local.get((j, k), ())):
            of_row[j].append(k)
    slots = []
    for place in range(max(map(len, of_row.values()), default=0)):
        here = [(j, columns[place]) for j, columns in of_row.items() if place < len(columns)]
        edge, rest = (np.array([part.get(jk, _NOTHING) for jk in here]).T for part in (entries, local))
        rows, columns = np.array(here).T
        slots.append(_Slot(rows, columns, (edge[0], edge[1]), rest[0], rest[1]))
    return slots


@lru_cache(maxsize=64)
def _sources(net: Family) -> tuple[Array, Array, Doubled, FloatArray]:
    """Rows and columns of R, what edges add to it, and what detunings do."""
    n = net.n_modes
    edges = _rounded(gauged(pair_source(*edge_entries(net.network)), net.phases, conjugate=True))
    local = {(m, m): -2j * shift * net.phases[m].conjugate() ** 2 for m, shift in enumerate(net.network.detuning)}
    where, edge, detuning = [], [], []
    for j, k in edges | local:
        parts, shift = edges.get((j, k), (_NOTHING, _NOTHING)), local.get((j, k), 0j)
        for part, value in list(enumerate((shift.real, shift.imag)))[: _parts(net)]:
            where.append((part * n + j, k))
            edge.append(parts[part])
            detuning.append(value)
    (rows, columns), (high, low) = np.array(where).T, np.array(edge).T
    return rows, columns, (high, low), np.array(detuning)


def _rounded(entries: ExactEntries) -> _Rounded:
    """Return real and imaginary parts, as ``(high, low)`` each."""

    def two(number: list[float]) -> tuple[float, float]:
        high, low = [*number, 0.0, 0.0][:2]
        return high, low

    return {jk: (two(re), two(im)) for jk, (re, im) in entries.items()}
