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
from qbsweep.physics.moments.entries import ExactEntries, gauged, pair_source
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.rates import Rates

_NOTHING = (0.0, 0.0)
_CANCELLED = 1e-26  # of what is summed in 32 digits
_OfEdges = dict[tuple[int, int], list[tuple[int, tuple[float, float]]]]  # number of a coupling, `(high, low)`
_Rounded = dict[tuple[int, int], tuple[tuple[float, float], tuple[float, float]]]  # of an entry, `(high, low)` each


@dataclass(frozen=True, slots=True)
class _Slot:
    """At most one entry of every row: of some `rows` those in `columns`, ``sum J edge + kappa loss + turn Delta``.

    Attributes
    ----------
    edges : tuple of (numbers, entries)
        Each has the number of a coupling for every row, and what it is the factor of.
    modes : ndarray
        The modes of `rows`, whose are loss and detuning.
    """

    rows: Array
    columns: Array
    edges: tuple[tuple[Array, Doubled], ...]
    modes: Array
    loss: FloatArray
    turn: FloatArray


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
    kappa, slots = rates.losses(), []
    detuning = np.array(net.network.detuning)[None] if rates.detuning is None else rates.detuning.T
    for slot in _slots(net):
        edge = _of_edges(rates, slot.edges)
        turn = slot.turn * detuning[:, slot.modes]
        local = plus(two_product(kappa if kappa.shape[1] == 1 else kappa[:, slot.modes], slot.loss), (turn, 0 * turn))
        slots.append((slot.rows, slot.columns, plus(edge, local)))
    return Drift(tuple(slots), (len(rates), _parts(net) * net.n_modes))


def _of_edges(rates: Rates, edges: tuple[tuple[Array, Doubled], ...]) -> Doubled:
    """Return ``sum J edge`` of some entries, shape (members, entries)."""
    total = None
    for numbers, entries in edges:
        J = rates.J[:, None] if rates.J.ndim == 1 else rates.J.T[:, numbers]
        term = times((J, np.zeros_like(J)), entries)
        total = term if total is None else plus(total, term)
    assert total is not None
    return total


def deviation_source(net: Family, rates: Rates) -> Doubled:
    """Return R of ``M Y + Y M^T + R = 0`` for ``Y = X - phases*^2``, shape (members, rows, N+1).

    ``R = K_sq - (K + K^T)/2 - i (h + h^T)`` before the gauge, from which the local losses cancel.
    """
    n = net.n_modes
    high, low = (np.zeros((len(rates), _parts(net) * n, n)) for _ in range(2))
    rows, columns, edges, turn = _sources(net)
    detuning = np.array(net.network.detuning)[None] if rates.detuning is None else rates.detuning.T
    shift = turn * detuning[:, columns]  # of the diagonal
    high[:, rows, columns], low[:, rows, columns] = plus(_of_edges(rates, edges), (shift, 0 * shift))
    return high, low


def _parts(net: Family) -> int:
    """Rows of a mode: a real one, and an imaginary one."""
    return 2 if net.dtype.kind == "c" else 1


@lru_cache(maxsize=64)
def _slots(net: Family) -> list[_Slot]:
    """Lay out the entries of all drift matrices, so that few slots hold them."""
    n = net.n_modes
    entries: _OfEdges = defaultdict(list)
    for number, (drift, _) in enumerate(net.exact):
        for (j, k), (re, im) in _rounded(gauged(drift, net.phases, conjugate=False)).items():
            entries[j, k].append((number, re))
            if _parts(net) == 2:
                entries[j, n + k].append((number, (-im[0], -im[1])))
                entries[n + j, k].append((number, im))
                entries[n + j, n + k].append((number, re))
    local: dict[tuple[int, int], tuple[float, float]] = {}
    for mode, (loss, shift) in enumerate(zip(net.B, net.network.detuning, strict=True)):
        local[mode, mode] = (loss, 0.0)
        if _parts(net) == 2:
            turn = 1.0 if shift or net.is_detuned else 0.0
            local |= {
                (n + mode, n + mode): (loss, 0.0),
                (mode, n + mode): (0.0, turn),
                (n + mode, mode): (0.0, -turn),
            }
    of_row = defaultdict(list)
    for j, k in sorted(entries.keys() | local):
        if any(any(value) for _, value in entries.get((j, k), ())) or any(local.get((j, k), ())):
            of_row[j].append(k)
    slots = []
    for place in range(max(map(len, of_row.values()), default=0)):
        here = [(j, columns[place]) for j, columns in of_row.items() if place < len(columns)]
        rest = np.array([local.get(jk, _NOTHING) for jk in here]).T
        rows, columns = np.array(here).T
        slots.append(_Slot(rows, columns, _layers(entries, here), rows % n, rest[0], rest[1]))
    return slots


def _layers(entries: _OfEdges, places: list[tuple[int, int]]) -> tuple[tuple[Array, Doubled], ...]:
    """Return what edges add to some entries: of each the first that does, the second, and so on."""
    found = []
    for layer in range(max([1, *(len(entries.get(jk, ())) for jk in places)])):
        here = [entries[jk][layer] if layer < len(entries.get(jk, ())) else (0, _NOTHING) for jk in places]
        high, low = np.array([value for _, value in here]).T
        found.append((np.array([number for number, _ in here]), (high, low)))
    return tuple(found)


@lru_cache(maxsize=64)
def _sources(net: Family) -> tuple[Array, Array, tuple[tuple[Array, Doubled], ...], FloatArray]:
    """Rows and columns of R, what edges add to it, and the factors of detunings in it."""
    n = net.n_modes
    entries: _OfEdges = defaultdict(list)
    for number, part in enumerate(net.exact):
        for (j, k), parts in _rounded(gauged(pair_source(*part), net.phases, conjugate=True)).items():
            for i, value in list(enumerate(parts))[: _parts(net)]:
                entries[i * n + j, k].append((number, value))
    local: dict[tuple[int, int], float] = {}
    for m, phase in enumerate(net.phases):
        turn = -2j * phase.conjugate() ** 2
        local |= {(i * n + m, m): value for i, value in list(enumerate((turn.real, turn.imag)))[: _parts(net)]}
    where = list(entries | local)
    rows, columns = np.array(where).T
    return rows, columns, _layers(entries, where), np.array([local.get(place, 0.0) for place in where])


def _rounded(entries: ExactEntries) -> _Rounded:
    """Return real and imaginary parts, as ``(high, low)`` each."""

    def two(number: list[float]) -> tuple[float, float]:
        high, low = [*number, 0.0, 0.0][:2]
        return high, low

    return {jk: (two(re), two(im)) for jk, (re, im) in entries.items()}
