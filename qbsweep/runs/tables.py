"""A dataset as a tidy table: a row for every point, or for every mode and time of it."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbsweep.solvers.status import STATUS_NAMES, VERDICT_NAMES
from qbsweep.store.dataset import Store
from qbsweep.store.layout import Coordinate, attributes_of, coordinates, sizes
from qbsweep.sweeps.variables import VARIABLES
from qbsweep.text import in_brackets

_WORDS = {"status": STATUS_NAMES, "verdict": VERDICT_NAMES}
_ROWS = 100_000  # at a time: a chunk with modes and times has many more rows than points


@dataclass(frozen=True, slots=True)
class _Column:
    """What a column of a table is: its name in the dataset, its units, and the dimensions that it depends on."""

    name: str
    units: str
    dims: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.name}{in_brackets(self.units)}"


class Tables:
    """The table of a dataset, in parts of some rows, so that no more than a chunk of it is in memory.

    Columns are the axes, labels that depend on several of them (`J_abs`), the modes and times that variables depend
    on, the variables, `status` and `verdict` in words. Labels that are the same in all rows are left out, unless they
    are asked for: fixed parameters, and axes of one value.

    Attributes
    ----------
    store : Store
    everything : bool
        Whether labels that are the same in all rows have columns.
    """

    def __init__(self, store: Store, everything: bool) -> None:
        self.store = store
        names = [name for name in VARIABLES if name in store.variables]
        extra = [dim for dim in ("mode", "time") if any(dim in VARIABLES[name].extra_dims for name in names)]
        dims = (*store.grid.dims, *extra)
        self._behind = {dim: sizes(store.spec)[dim] for dim in extra}
        known = coordinates(store.spec)
        self._sizes = known["N"]
        self._labels = {
            name: label
            for name, label in known.items()
            if (label.values.size > 1 or everything) and set(label.dims) <= set(dims)
        }
        self._columns = [
            _Column(name, str(label.attributes["units"]), label.dims) for name, label in self._labels.items()
        ]
        for name in names:
            units = str(attributes_of(store.spec, VARIABLES[name])["units"])
            units = "" if name in _WORDS else units
            self._columns.append(_Column(name, units or "1", (*store.grid.dims, *VARIABLES[name].extra_dims)))

    def metadata(self) -> dict[str, str]:
        """Return the attributes of the dataset, and of every column, as text."""
        units = {column.title: column.units for column in self._columns}
        plain = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in self.store.attributes.items()
        }
        return {**plain, "units": json.dumps(units)}

    def parts(self) -> Iterator[pd.DataFrame]:
        """Return the table, so many rows at a time."""
        for chunk in range(self.store.grid.chunks.number):
            region = dict(zip(self.store.grid.dims, self.store.grid.chunks.region(chunk), strict=True))
            values = {name: _cut(label, region) for name, label in self._labels.items()}
            values |= self.store.read_chunk(chunk)
            own = np.broadcast_to(_over(self._sizes, region), [s.stop - s.start for s in region.values()]).ravel()
            step = max(1, _ROWS // math.prod(self._behind.values()))
            for start in range(0, own.size, step):
                yield self._part(values, own, np.arange(start, min(start + step, own.size)))

    def _part(self, values: Mapping[str, NDArray[Any]], own: NDArray[Any], points: NDArray[np.intp]) -> pd.DataFrame:
        places = self._rows(values["status"].shape, own, points)
        n_rows = len(next(iter(places.values()), points))
        columns = {}
        for column in self._columns:
            rows = values[column.name][tuple(places[dim] for dim in column.dims)]
            words = _WORDS.get(column.name)
            rows = rows if words is None else np.array(list(words.values()), dtype=object)[rows]
            columns[column.title] = np.broadcast_to(rows, n_rows)
        return pd.DataFrame(columns)

    def _rows(self, shape: tuple[int, ...], own: NDArray[Any], points: NDArray[np.intp]) -> dict[str, NDArray[np.intp]]:
        """Return where the rows of some points of a chunk are, a place for each along every dimension."""
        behind = [np.arange(length) for length in self._behind.values()]
        row, *rest = (index.ravel() for index in np.meshgrid(points, *behind, indexing="ij"))
        places = dict(zip(self._behind, rest, strict=True))
        if "mode" in places:  # the rows of a point end with its own N
            real = places["mode"] <= own[row]
            row, places = row[real], {dim: place[real] for dim, place in places.items()}
        return {**dict(zip(self.store.grid.dims, np.unravel_index(row, shape) if shape else (), strict=True)), **places}


def _cut(label: Coordinate, region: Mapping[str, slice]) -> NDArray[Any]:
    return np.asarray(label.values[tuple(region.get(dim, slice(None)) for dim in label.dims)])


def _over(label: Coordinate, region: Mapping[str, slice]) -> NDArray[Any]:
    """Return the labels of a chunk with a dimension of length 1 for each that they do not depend on."""
    return _cut(label, region).reshape([-1 if dim in label.dims else 1 for dim in region])
