"""The largest energy of every network of a dataset: a first look at what a run gave."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.solvers.status import FAILED, PENDING
from qbsweep.store.dataset import Store
from qbsweep.sweeps.axes import Axis
from qbsweep.sweeps.parameters import CALLS
from qbsweep.sweeps.variables import STEADY_SCALARS
from qbsweep.text import Table, in_brackets, number

_MAX_ROWS = 16
_EDGE = " (edge)"
_MAX_POINTS = 20_000_000  # of one network; more would take memory for a table that is a courtesy


def best_points(store: Store) -> Table | None:
    """Tabulate, for every network, the point of the largest terminal energy; None if there is nothing to say.

    A value at the edge of its axis is marked: the largest energy may lie beyond it.
    """
    spec = store.spec
    names = [name for name in ("energy_terminal", *STEADY_SCALARS) if name in spec.outputs]
    dims = [name for name in spec.axes if name in CALLS]
    rest = [axis for name, axis in spec.axes.items() if name not in dims]
    if not names or math.prod(len(axis) for axis in rest) > _MAX_POINTS:
        return None
    shown = _some_rows([spec.axes[name] for name in dims])
    rows, empty = [], spec.protocol is not None
    for places in shown:
        arrays = store.select([*(np.array([i]) for i in places), *(np.arange(len(axis)) for axis in rest)], names[:1])
        known = ~np.isin(arrays["status"], [PENDING, FAILED])
        values = np.where(known, arrays[names[0]], -np.inf).reshape([len(axis) for axis in rest])
        if values.max() > -np.inf:
            labels = [str(spec.axes[name].values[i]) for name, i in zip(dims, places, strict=True)]
            empty = empty and values.max() == 0
            rows.append([*labels, number(float(values.max())), *_where(values, rest)])
    if not rows or empty:  # a protocol may end in storage, which is not what it is about
        return None
    networks = math.prod(len(spec.axes[name]) for name in dims)
    notes = [_hidden(store, networks - len(shown), names[0], rest)] if len(shown) < networks else []
    if any(cell.endswith(_EDGE) for row in rows for cell in row):
        notes.append(f"{_EDGE.strip()}: its axis ends there, and beyond it more may be stored")
    header = [*dims, f"max {names[0]}", *(f"at {axis.name}{in_brackets(axis.unit)}" for axis in rest)]
    return Table(header, rows, note="\n".join(notes))


def _hidden(store: Store, count: int, name: str, rest: Sequence[Axis]) -> str:
    """Count the rows that are not shown, and say what shows them."""
    over = f".max({[axis.name for axis in rest]})" if rest else ""
    return f'and {count:,} more rows: xarray.open_zarr("{store.path}").{name}{over}'


def _some_rows(axes: Sequence[Axis]) -> list[tuple[int, ...]]:
    """All combinations of places; of a long last axis (N) as many, evenly spaced, as fit a screen."""
    places = [list(range(len(axis))) for axis in axes]
    if places:
        others = math.prod(len(values) for values in places[:-1])
        count = min(len(places[-1]), max(2, _MAX_ROWS // others))
        places[-1] = np.linspace(0, len(places[-1]) - 1, count).round().astype(int).tolist()
    return list(itertools.product(*places))


def _where(values: FloatArray, axes: Sequence[Axis]) -> list[str]:
    """Write the place of the largest value, and whether it lies at an end of an axis on which it depends."""
    best = np.unravel_index(int(values.argmax()), values.shape)
    found = []
    for k, (axis, index) in enumerate(zip(axes, map(int, best), strict=True)):
        edge = len(axis) > 2 and axis.values[index] in (axis.array.min(), axis.array.max())
        along = np.moveaxis(values, k, 0).reshape(len(axis), -1).max(axis=1)
        found.append(number(axis.values[index]) + (_EDGE if edge and along.min() < along[index] else ""))
    return found
