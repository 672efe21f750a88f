"""What a figure shows, apart from how it is drawn: one declaration for notebooks, reports, `explore` and print.

A `Chart` is one variable over one axis, one line for every combination of a few other axes; the axes that are left are
chosen by widgets. Nothing is loaded before a chart is drawn.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from qbsweep.analysis.inputs import typical
from qbsweep.analysis.protocols import spans
from qbsweep.arrays import Array, FloatArray
from qbsweep.figures.choices import is_geometric, line_axes, spans_decades
from qbsweep.figures.labels import axis_label, meaning, short, unit, value_label
from qbsweep.solvers.status import NO_VERDICT, OK, SUSPECT, VERDICT_CODES, VERDICT_NAMES


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
    band : (ndarray, ndarray), optional
        Lower and upper end of what is shaded.
    """

    label: str
    color: int
    dash: int
    y: FloatArray
    suspect: Mapping[str, FloatArray]
    band: tuple[FloatArray, FloatArray] | None = None


@dataclass(frozen=True, slots=True)
class Shade:
    """A segment of the protocol in a chart over time: without drive, or one in which the drive changes."""

    begin: float
    end: float
    off: bool


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
    band : (str, str), optional
        Variables like the one drawn, between which it is shaded.
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
    band: tuple[str, str] | None = None

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
        return [
            self.variable,
            *(self.band or ()),
            *(name for name in ("status", "verdict") if "status" in self.ds and name in self.ds),
        ]

    def lines(self, positions: Mapping[str, int] | None = None) -> list[Line]:
        """Return the lines for one choice of the selectors (by position), by default the first shown."""
        chosen = {dim: self.default(dim) for dim in self.selectors} | dict(positions or {})
        return self._lines(*self.values(chosen), self._bands(chosen), choice=0)

    def all_lines(self) -> list[list[Line]]:
        """Return the lines for every choice of the selectors, the last one changing fastest."""
        values, suspect = self.values()
        bands = self._bands()
        return [self._lines(values, suspect, bands, choice) for choice in range(len(values))]

    def _lines(
        self, values: FloatArray, suspect: Mapping[str, FloatArray], bands: Sequence[FloatArray], choice: int
    ) -> list[Line]:
        return [
            Line(
                *style[:3],
                values[choice, line],
                {word: marked[choice, line] for word, marked in suspect.items()},
                (bands[0][choice, line], bands[1][choice, line]) if bands else None,
            )
            for line, style in enumerate(self._styles)
        ]

    def _bands(self, positions: Mapping[str, int] | None = None) -> list[FloatArray]:
        """Return the ends of the band as `values` returns what is drawn."""
        return [replace(self, variable=name, band=None).values(positions)[0] for name in self.band or ()]

    def shades(self, positions: Mapping[str, int] | None = None) -> list[Shade]:
        """Return the segments of the protocol to shade, in a chart over time; none that differ from line to line."""
        if self.x != "time":
            return []
        chosen = {dim: self.default(dim) for dim in self.selectors} | dict(positions or {})
        last = float(self.x_values.max())
        found = []
        for span in spans(self.ds.isel({dim: at for dim, at in chosen.items() if dim in self.ds.dims})):
            numbers = [np.asarray(level, dtype=float) for level in (span.begin, span.end, *span.drive)]
            if all(number.ndim == 0 for number in numbers):
                begin, end, *drive = (float(number) for number in numbers)
                if begin < last and (drive[0] != drive[1] or drive[1] == 0):
                    found.append(Shade(begin, min(end, last), drive == [0, 0]))
        return found

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
    terminal = options.get("terminal", False) and "mode" in ds[variable].dims
    settings: dict[str, Any] = {
        "name": f"{variable}-{x}",
        "title": f"{short(ds[variable], variable)} against {short(ds[x], x)}",
        "by": line_axes(ds, variable, x, ("mode",) if terminal else ()),
        "caption": meaning(variable, ds[variable]),
        "logx": is_geometric(ds[x].values),
        "logy": x != "time" and spans_decades(ds, variable),
        "points": len(ds[x]) <= 25,
    }
    return Chart(ds=ds, variable=variable, x=x, **(settings | options | {"terminal": terminal}))
