"""Maps: one variable over two axes, in colours, with a contour around its optimum."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from contourpy import contour_generator

from qbsweep.arrays import Array, FloatArray
from qbsweep.figures.chart import Chart, against
from qbsweep.figures.choices import is_geometric
from qbsweep.figures.labels import axis_label, short

NEAR = 0.99
"""The contour around an optimum is at this part of it."""
_LEAST = 8  # values of an axis that make a map
_CELLS = 4000  # of a map in a page, ...
_NUMBERS = 5  # ... where each has so many: its edges and its value


class Surface(NamedTuple):
    """What a map shows.

    Attributes
    ----------
    z : ndarray, shape (y, x)
        NaN where a point is pending, failed or suspect.
    optimum : (float, float) or None
        The largest value's place, if it is not at an edge of the map.
    contour : list of ndarray, shape (points, 2)
        Around the optimum, at `NEAR` of it; empty if there is none.
    """

    z: FloatArray
    optimum: tuple[float, float] | None
    contour: list[FloatArray]


@dataclass(frozen=True, eq=False)
class Map:
    """One variable over two axes.

    Attributes
    ----------
    chart : Chart
        The variable over the horizontal axis, with the vertical axis as the one that has lines.
    y : str
        The vertical axis.
    logy : bool
        Whether that is logarithmic.
    """

    chart: Chart
    y: str
    logy: bool = False

    @property
    def name(self) -> str:
        """The name of the map, of its file for print too."""
        return self.chart.name

    @property
    def title(self) -> str:
        """The title."""
        return self.chart.title

    @property
    def caption(self) -> str:
        """What a reader should know."""
        return self.chart.caption

    @property
    def ylabel(self) -> str:
        """Label of the vertical axis."""
        return axis_label(self.chart.ds[self.y], self.y)

    @property
    def y_values(self) -> FloatArray:
        """The values of the vertical axis."""
        return np.asarray(self.chart.ds[self.y].values, dtype=float)

    @property
    def edges(self) -> tuple[FloatArray, FloatArray]:
        """The edges of the cells along both axes."""
        return edges(self.chart.x_values, self.chart.logx), edges(self.y_values, self.logy)

    def surface(self, positions: Mapping[str, int] | None = None) -> Surface:
        """Return what the map shows for one choice of the selectors, by default the first shown."""
        lines = self.chart.lines(positions)
        z = np.array([line.y for line in lines])
        for line, row in zip(lines, z, strict=True):
            for doubted in line.suspect.values():
                row[np.isfinite(doubted)] = math.nan
        return self._surface(z)

    def surfaces(self) -> list[Surface]:
        """Return what it shows for every choice of the selectors, the last one changing fastest."""
        values, suspect = self.chart.values()
        for doubted in suspect.values():
            values[np.isfinite(doubted)] = math.nan
        return [self._surface(z) for z in values]

    def _surface(self, z: FloatArray) -> Surface:
        if not np.isfinite(z).any():
            return Surface(z, None, [])
        row, column = np.unravel_index(np.nanargmax(z), z.shape)
        inside = 0 < row < z.shape[0] - 1 and 0 < column < z.shape[1] - 1
        if not inside or not z[row, column] > 0:
            return Surface(z, None, [])
        x, y = self.chart.x_values, self.y_values
        # Between samples a contour is a straight line: of logarithms where the axis is one.
        forward = [np.log if log else np.asarray for log in (self.chart.logx, self.logy)]
        back = [np.exp if log else np.asarray for log in (self.chart.logx, self.logy)]
        generator = contour_generator(forward[0](x), forward[1](y), np.ma.masked_invalid(z))
        found = [np.asarray(line, dtype=float) for line in generator.lines(NEAR * z[row, column])]
        contour = [np.column_stack([undo(part) for undo, part in zip(back, line.T, strict=True)]) for line in found]
        return Surface(z, (float(x[column]), float(y[row])), contour)

    def thinned(self, budget: int) -> tuple["Map", str]:
        """Return the map in memory with no more than so many numbers, and a sentence on what was left out."""
        chart, side = self.chart, math.isqrt(min(_CELLS, budget // _NUMBERS))
        kept = {dim: _evenly(chart.ds.sizes[dim], side) for dim in (chart.x, self.y)}
        left = budget // _NUMBERS // math.prod(len(places) for places in kept.values())
        for dim, values in chart.selectors.items():
            kept[dim] = _evenly(len(values), left, chart.default(dim))
            left //= len(kept[dim])
        some = {dim: places for dim, places in kept.items() if len(places) < chart.ds.sizes[dim]}
        told = ", ".join(f"{len(places):,} of {chart.ds.sizes[dim]:,} values of {dim}" for dim, places in some.items())
        small = replace(self, chart=replace(chart, ds=chart.ds.isel(some).load()))
        return small, f"Thinned for this page: {told}." if told else ""


def _evenly(size: int, most: int, *wanted: int) -> Array:
    """Return so many places at most of an axis, evenly, or one or two more for those wanted."""
    places = np.linspace(0, size - 1, max(1, min(size, most))).round().astype(int)
    return np.unique([*(places if len(places) > 1 else ()), *wanted]) if wanted else np.unique(places)


def edges(values: FloatArray, logarithmic: bool) -> FloatArray:
    """Return the edges of cells around values: in the middle between two, and as far beyond the last ones."""
    x = np.log(values) if logarithmic else values
    middle = (x[1:] + x[:-1]) / 2
    ends = np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])
    return np.asarray(np.exp(ends) if logarithmic else ends)


def map_of(ds: xr.Dataset, variable: str, x: str, y: str, **options: Any) -> Map:
    """Map a variable of a dataset over two of its axes; scales and labels follow from the dataset.

    Parameters
    ----------
    ds : Dataset
        Of a sweep or an analysis.
    variable, x, y : str
    **options
        Attributes of `Chart` that should not be the usual ones.
    """
    ds = ds.sortby([x, y])
    chart = against(ds, variable, x, **({"name": f"{variable}-{x}-{y}"} | options))
    what, *axes = (short(ds[name], name) for name in (variable, x, y))
    title = f"{what} over {' and '.join(axes)}"
    chart = replace(chart, by=(y,), logy=False, title=options.get("title", title), points=False)
    if "caption" not in options:
        chart = replace(chart, caption=f"{chart.caption}; the line encloses {NEAR:.0%} of the largest value inside")
    return Map(chart, y, is_geometric(ds[y].values))


def axes_of_map(ds: xr.Dataset, numeric: list[str]) -> tuple[str, str] | None:
    """Return the two axes of a dataset to map over, if it has two of many values that are no whole numbers."""
    fine = [dim for dim in numeric if ds.sizes[dim] >= _LEAST and np.issubdtype(ds[dim].dtype, np.floating)]
    return (fine[0], fine[1]) if len(fine) > 1 else None
