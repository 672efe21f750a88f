"""What a figure shows, apart from how it is drawn: one declaration for notebooks, reports, `explore` and print.

A `Chart` is one variable over one axis, one line for every combination of a few other axes; the axes that are left are
chosen by widgets. Nothing is loaded before a chart is drawn.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from qbsweep.analysis.inputs import typical
from qbsweep.arrays import Array, FloatArray
from qbsweep.figures.labels import axis_label, meaning, unit, value_label
from qbsweep.solvers.status import NO_VERDICT, OK, SUSPECT, VERDICT_CODES, VERDICT_NAMES

MAX_LINES = 6
_LINE_ORDER = ("coupling", "solver", "frame", "quantity", "n_th", "topology", "realization", "r", "fock_levels", "N")
_SAMPLE = 4000  # values that decide on logarithmic axes


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart, in drawing order.

    Attributes
    ----------
    label : str
    color, dash : int
        Number of its colour, of its dash pattern.
    y : ndarray
        NaN where a point is pending or failed.
    suspect : dict of ndarray
        The values of suspect points by their verdict, NaN elsewhere.
    """

    label: str
    color: int
    dash: int
    y: FloatArray
    suspect: Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False)
class Chart:
    """One variable over one axis.

    Attributes
    ----------
    name, title, caption : str
    ds : Dataset
        Of a sweep (with `status`) or of an analysis.
    variable, x : str
    by : tuple of str
        Axes with one line per value: the first chooses the colour, the second the dashes.
    terminal : bool
        Take the terminal battery of a variable of every mode.
    logx, logy : bool
    reference : DataArray, optional
        What theory says, over x and other axes of the chart; drawn thin.
    theory : str
        What the reference is, for the legend.
    joined : bool
        Join the points by lines.
    level : float, optional
        A horizontal line.
    points : bool
        Draw every value as a point.
    most : float, optional
        Draw what is above, without a bound too, there; else what has no bound is left out.
    """

    name: str
    title: str
    ds: xr.Dataset
    variable: str
    x: str
    by: tuple[str, ...] = ()
    caption: str = ""
    terminal: bool = False
    logx: bool = False
    logy: bool = False
    reference: xr.DataArray | None = None
    theory: str = "theory"
    joined: bool = True
    level: float | None = None
    points: bool = False
    most: float | None = None

    @property
    def xlabel(self) -> str:
        """Label of the horizontal axis."""
        return axis_label(self.ds[self.x], self.x)

    @property
    def ylabel(self) -> str:
        """Label of the vertical axis."""
        return axis_label(self.ds[self.variable], self.variable, "terminal" if self.terminal else "")

    @property
    def x_values(self) -> FloatArray:
        """The values of the horizontal axis."""
        return np.asarray(self.ds[self.x].values, dtype=float)

    @property
    def selectors(self) -> dict[str, list[Any]]:
        """The axes that widgets choose from, and their values."""
        dims = [dim for dim in self._dims if dim not in (self.x, *self.by)]
        return {dim: self.ds[dim].values.tolist() for dim in dims}

    @property
    def _dims(self) -> list[str]:
        hidden = {"mode"} if self.terminal else set()
        return [str(dim) for dim in self.ds[self.variable].dims if dim not in hidden]

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """The verdicts of the suspect points of the dataset: each has its place in the legend, whatever is shown.

        `suspect` alone is that of points of an earlier version, which gave none.
        """
        suspect = self.ds["status"].values == SUSPECT if "status" in self.ds else np.zeros(1, bool)
        if not suspect.any():
            return ()
        codes = set(self.ds["verdict"].values[suspect].tolist()) if "verdict" in self.ds else {NO_VERDICT}
        return tuple("suspect" if code == NO_VERDICT else VERDICT_NAMES[code] for code in sorted(codes))

    def default(self, dim: str) -> int:
        """Return the position that the widget of an axis shows first."""
        return typical(self.ds, dim)

    def widget_label(self, dim: str, value: Any) -> str:
        """Write a value as a widget shows it."""
        return value_label(dim, value, unit(self.ds[dim]))

    def values(self, positions: Mapping[str, int] | None = None) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return values, and those of suspect points by their verdict, NaN where there is none.

        Parameters
        ----------
        positions : dict of int, optional
            One choice of the selectors; default: all choices.

        Returns
        -------
        values : ndarray, shape (choices, lines, x)
        suspect : dict of ndarray
        """
        one = self.ds[self._needed].isel(dict(positions or {})).load()
        y = one[self.variable]
        if self.terminal:
            y = y.sel(mode=one["N"]).drop_vars("mode")
        order = [dim for dim in (*self.selectors, *self.by, self.x) if dim in y.dims]
        shape = (-1, math.prod(self.ds.sizes[dim] for dim in self.by), self.ds.sizes[self.x])
        energies = np.asarray(y.transpose(*order).values, dtype=float).reshape(shape)
        energies = np.minimum(energies, np.inf if self.most is None else self.most)
        energies = np.where(np.isfinite(energies), energies, np.nan)

        def codes(name: str) -> Array:
            return np.asarray(one[name].broadcast_like(y).transpose(*order).values).reshape(shape)

        if "status" not in one:
            return energies, {}
        status = codes("status")
        verdict = np.where(status == SUSPECT, codes("verdict") if "verdict" in one else NO_VERDICT, -1)
        doubted = {word: verdict == VERDICT_CODES.get(word, NO_VERDICT) for word in self.doubts}
        known = np.where(np.isin(status, [OK, SUSPECT]), energies, np.nan)
        return known, {word: np.where(where, energies, np.nan) for word, where in doubted.items()}

    @property
    def _needed(self) -> list[str]:
        return [self.variable, *(name for name in ("status", "verdict") if "status" in self.ds and name in self.ds)]

    def lines(self, positions: Mapping[str, int] | None = None) -> list[Line]:
        """Return the lines for one choice of the selectors (by position), by default the first shown."""
        chosen = {dim: self.default(dim) for dim in self.selectors} | dict(positions or {})
        return self._lines(*self.values(chosen), choice=0)

    def all_lines(self) -> list[list[Line]]:
        """Return the lines for every choice of the selectors, the last one changing fastest."""
        values, suspect = self.values()
        return [self._lines(values, suspect, choice) for choice in range(len(values))]

    def _lines(self, values: FloatArray, suspect: Mapping[str, FloatArray], choice: int) -> list[Line]:
        return [
            Line(*style[:3], values[choice, line], {word: marked[choice, line] for word, marked in suspect.items()})
            for line, style in enumerate(self._styles)
        ]

    @cached_property
    def _styles(self) -> list[tuple[str, int, int, dict[str, int]]]:
        """Return label, colour, dashes and positions of every line."""
        sizes = [self.ds.sizes[dim] for dim in self.by]
        found = []
        for where in itertools.product(*map(range, sizes)):
            at = dict(zip(self.by, where, strict=True))
            words = [self.widget_label(dim, self.ds[dim].values.tolist()[i]) for dim, i in at.items()]
            dash = where[1] if len(where) > 1 else 0
            color = int(np.ravel_multi_index(where[::2], sizes[::2])) if where else 0
            found.append((", ".join(words) or meaning(self.variable, self.ds[self.variable]), color, dash, at))
        return found

    def references(self, positions: Mapping[str, int] | None = None) -> list[tuple[str, int, int, FloatArray]]:
        """Return label, colour, dashes and values of what theory says."""
        if self.reference is None:
            return []
        chosen = {dim: self.default(dim) for dim in self.selectors} | dict(positions or {})
        found: dict[bytes, tuple[str, int, int, FloatArray]] = {}
        for label, color, dash, where in self._styles:
            at = {dim: i for dim, i in (chosen | where).items() if dim in self.reference.dims}
            y = np.asarray(self.reference.isel(at).values, dtype=float)
            if np.isfinite(y).any():
                found.setdefault(y.tobytes(), (f"{self.theory}, {label}", color, dash, y))
        return list(found.values())

    def thinned(self, budget: int) -> tuple["Chart", str]:
        """Return the chart in memory with no more than so many values, and a sentence on what was left out."""
        shape = {dim: self.ds.sizes[dim] for dim in self._dims}
        least = {dim: 201 if dim == self.x else 1 if dim in self.by else 9 for dim in shape}
        kept = dict(shape)
        while math.prod(kept.values()) > budget:
            dim = max(kept, key=lambda dim: kept[dim] / least[dim])
            if kept[dim] <= 2:
                break
            kept[dim] = max(2, math.ceil(kept[dim] / 2))
        picked = {
            dim: np.unique([*np.linspace(0, n - 1, kept[dim]).round().astype(int), *self._must_show(dim)])
            for dim, n in shape.items()
            if kept[dim] < n
        }
        small = replace(self, ds=self.ds[self._needed].isel(picked).load())
        if small.reference is not None:
            at = {dim: i for dim, i in picked.items() if dim in small.reference.dims}
            small = replace(small, reference=small.reference.isel(at))
        told = ", ".join(f"{len(i):,} of {shape[dim]:,} values of {dim}" for dim, i in picked.items())
        return small, f"Thinned for this page: {told}." if told else ""

    def _must_show(self, dim: str) -> list[int]:
        return [self.default(dim)] if dim in self.selectors else []


def line_axes(ds: xr.Dataset, variable: str, x: str, hidden: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Choose the axes that have one line per value: few, and those worth comparing."""
    dims = [str(dim) for dim in ds[variable].dims if dim != x and dim not in hidden and ds.sizes[dim] > 1]
    first = [dim for dim in _LINE_ORDER if dim in dims]
    chosen: list[str] = []
    for dim in [*first, *(dim for dim in dims if dim not in first)]:
        if math.prod(ds.sizes[d] for d in (*chosen, dim)) <= MAX_LINES and len(chosen) < 3 and dim != "mode":
            chosen.append(dim)
    return tuple(chosen)


def is_geometric(values: FloatArray) -> bool:
    """Whether an axis is geometric, or spans so much that it had better be drawn as one."""
    values = np.asarray(values)
    if len(values) < 3 or not np.issubdtype(values.dtype, np.number) or not (values > 0).all():
        return False
    steps = np.diff(np.log(values.astype(float)))
    return bool(np.ptp(steps) < 1e-6 * np.abs(steps).max() or np.ptp(np.log(values)) > math.log(200))


def spans_decades(ds: xr.Dataset, variable: str) -> bool:
    """Whether positive values differ by more than a factor of 50, as far as a coarse sample tells."""
    array = ds[variable]
    least = max(1, int(_SAMPLE ** (1 / max(1, array.ndim))))
    picked = {dim: np.unique(np.linspace(0, n - 1, min(n, least)).astype(int)) for dim, n in array.sizes.items()}
    values = np.asarray(array.isel(picked).values, dtype=float)
    values = values[np.isfinite(values)]
    return bool(len(values) and values.min() > 0 and values.max() > 50 * values.min())


def against(ds: xr.Dataset, variable: str, x: str, **options: Any) -> Chart:
    """Chart a variable of a dataset against one of its axes; lines, scales and labels follow from the dataset.

    Parameters
    ----------
    ds : Dataset
        Of a sweep or an analysis.
    variable, x : str
    **options
        Attributes of `Chart` that should not be the usual ones.
    """
    ds = ds.squeeze([dim for dim, n in ds.sizes.items() if n == 1 and dim not in (x, "mode", "time")])
    terminal = options.get("terminal", False)
    settings: dict[str, Any] = {
        "name": f"{variable}-{x}",
        "title": f"{axis_label(ds[variable], variable).split(' (')[0]} against {axis_label(ds[x], x).split(' (')[0]}",
        "by": line_axes(ds, variable, x, ("mode",) if terminal else ()),
        "caption": meaning(variable, ds[variable]),
        "logx": is_geometric(ds[x].values),
        "logy": x != "time" and spans_decades(ds, variable),
        "points": len(ds[x]) <= 25,
    }
    return Chart(ds=ds, variable=variable, x=x, **(settings | options))
