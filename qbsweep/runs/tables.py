"""A dataset as a tidy table: a row for every point, or for every mode and time of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbsweep.solvers.status import STATUS_NAMES, VERDICT_NAMES
from qbsweep.store.dataset import Store
from qbsweep.store.layout import Coordinate, attributes_of, coordinates
from qbsweep.sweeps.variables import VARIABLES
from qbsweep.text import in_brackets

_WORDS = {"status": STATUS_NAMES, "verdict": VERDICT_NAMES}


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
    """The tables of a dataset, one for every chunk, so that no more than that is in memory.

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
        self._dims = (*store.grid.dims, *extra)
        known = coordinates(store.spec)
        self._sizes = known["N"]
        self._labels = {
            name: label
            for name, label in known.items()
            if (label.values.size > 1 or everything) and set(label.dims) <= set(self._dims)
        }
        self._columns = [
            _Column(name, str(label.attributes["units"]), label.dims) for name, label in self._labels.items()
        ]
        for name in names:
            units = str(attributes_of(store.spec, VARIABLES[name])["units"])
            units = "" if name in _WORDS else units
            self._columns.append(_Column(name, units or "1", (*store.grid.dims, *VARIABLES[name].extra_dims)))

    @property
    def titles(self) -> list[str]:
        """The header: names, with units in brackets."""
        return [column.title for column in self._columns]

    def metadata(self) -> dict[str, str]:
        """Return the attributes of the dataset, and of every column, as text."""
        units = {column.title: column.units for column in self._columns}
        plain = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in self.store.attributes.items()
        }
        return {**plain, "units": json.dumps(units)}

    def parts(self) -> Iterator[pd.DataFrame]:
        """Return the table, a chunk at a time."""
        for chunk in range(self.store.grid.chunks.number):
            yield self._part(chunk)

    def _part(self, chunk: int) -> pd.DataFrame:
        region = dict(zip(self.store.grid.dims, self.store.grid.chunks.region(chunk), strict=True))
        arrays = self.store.read_chunk(chunk)
        values = {name: _cut(label, region) for name, label in self._labels.items()}
        for name, array in arrays.items():
            values[name] = np.array(list(_WORDS[name].values()), dtype=object)[array] if name in _WORDS else array
        sizes = {
            dim: size
            for column in self._columns
            for dim, size in zip(column.dims, values[column.name].shape, strict=True)
        }
        shape = tuple(sizes[dim] for dim in self._dims)
        rows = {column.title: _spread(values[column.name], column.dims, self._dims, shape) for column in self._columns}
        table = pd.DataFrame(rows)
        if "mode" in self._dims:  # the rows of a point end with its own N
            own = _spread(_cut(self._sizes, region), self._sizes.dims, self._dims, shape)
            table = table[_spread(values["mode"], ("mode",), self._dims, shape) <= own]
        return table


def _cut(label: Coordinate, region: dict[str, slice]) -> NDArray[Any]:
    here = tuple(region.get(dim, slice(None)) for dim in label.dims)
    return label.values[here] if here else label.values


def _spread(
    array: NDArray[Any], dims: tuple[str, ...], all_dims: tuple[str, ...], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Repeat an array along the dimensions that it does not depend on, and return it flat."""
    lengths = dict(zip(dims, array.shape, strict=True))
    aligned = array.reshape(tuple(lengths.get(dim, 1) for dim in all_dims))
    return np.broadcast_to(aligned, shape).ravel()
