"""The largest energy of every network of a dataset: a first look at what a run gave."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from qbsweep.solvers.status import FAILED, PENDING
from qbsweep.store.dataset import Store
from qbsweep.sweep.axes import Axis
from qbsweep.sweep.parameters import CALLS
from qbsweep.sweep.variables import STEADY_SCALARS
from qbsweep.text import Table

_MAX_ROWS = 16
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
    rows = []
    for places in shown:
        arrays = store.select([*(np.array([i]) for i in places), *(np.arange(len(axis)) for axis in rest)], names[:1])
        known = ~np.isin(arrays["status"], [PENDING, FAILED])
        values = np.where(known, arrays[names[0]], -np.inf)
        best = np.unravel_index(int(values.argmax()), values.shape)
        if values[best] > -np.inf:
            labels = [str(spec.axes[name].values[i]) for name, i in zip(dims, places, strict=True)]
            at = [_place(axis, int(i)) for axis, i in zip(rest, best[len(dims) :], strict=True)]
            rows.append([*labels, _number(float(values[best])), *at])
    if not rows:
        return None
    networks = math.prod(len(spec.axes[name]) for name in dims)
    note = f"{len(shown)} of {networks:,} rows are shown" if len(shown) < networks else ""
    return Table([*dims, f"max {names[0]}", *(f"at {axis.name}{_unit(axis)}" for axis in rest)], rows, note=note)


def _some_rows(axes: Sequence[Axis]) -> list[tuple[int, ...]]:
    """All combinations of places; of a long last axis (N) as many, evenly spaced, as fit a screen."""
    places = [list(range(len(axis))) for axis in axes]
    if places:
        others = math.prod(len(values) for values in places[:-1])
        count = min(len(places[-1]), max(2, _MAX_ROWS // others))
        places[-1] = np.linspace(0, len(places[-1]) - 1, count).round().astype(int).tolist()
    return list(itertools.product(*places))


def _place(axis: Axis, index: int) -> str:
    edge = len(axis) > 2 and axis.values[index] in (axis.array.min(), axis.array.max())
    return _number(axis.values[index]) + (" (edge)" if edge else "")


def _unit(axis: Axis) -> str:
    return "" if axis.unit == "1" else f" ({axis.unit})"


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
