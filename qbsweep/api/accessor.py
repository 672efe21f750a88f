"""``ds.qb``: the analyses of a dataset as methods, and its plots."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from qbsweep.analysis.inputs import coded, in_words
from qbsweep.analysis.registry import ANALYSES
from qbsweep.api.pages import require
from qbsweep.errors import QbsweepError
from qbsweep.text import choices, unknown

if TYPE_CHECKING:
    from qbsweep.figures.chart import Chart
    from qbsweep.figures.maps import Map


_OF_MAPS = ("logx", "title", "caption", "terminal")
_OF_CHARTS = (*_OF_MAPS, "logy", "points", "level", "band")


class Accessor:
    """The analyses of a dataset, ``ds.qb.optimal_coupling()`` and so on, and ``ds.qb.plot("energy_terminal", "J")``.

    Of the dataset of a sweep, and of what its analyses give. ``dir(ds.qb)`` lists the analyses.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    if not TYPE_CHECKING:  # for types every name would be an analysis

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f"there is no analysis '{name}'; there are {', '.join(ANALYSES)}")

    def plot(
        self,
        variable: str | None = None,
        x: str | None = None,
        y: str | None = None,
        by: str | Sequence[str] | None = None,
        **options: Any,
    ) -> Any:
        """Draw a variable over an axis, with a widget for every axis that is neither it nor has lines of its own.

        Parameters
        ----------
        variable : str, optional
            Of the dataset; default: what tells most of it, of an analysis the picture that it declares.
        x : str, optional
            The horizontal axis, or `time` or `mode`; with `variable` only.
        y : str, optional
            The vertical axis, which makes it a map in colours, with a contour at 99 % of a maximum inside.
        by : str or sequence of str, optional
            The axes that have lines of their own; default: those that are few and worth comparing.
        **options
            `logx`, `logy`, `points`, `title`, `caption`, `level` (a dashed horizontal line), `terminal` (of `energy_t`:
            the last battery only), `band` (two variables between which it is shaded); of a map `logx`, `title`,
            `caption` and `terminal`.

        Returns
        -------
        holoviews object
            Shows in a notebook; ``holoviews.save`` writes it to a file.

        Raises
        ------
        QbsweepError
            If there is no such variable, it has no such axis, an axis of `by` is not left for lines, there is no such
            option, there is nothing to draw, or hvplot is missing.
        """
        require("plot", "hvplot")
        from qbsweep.figures.chart import Chart
        from qbsweep.figures.interactive import figure

        self._check(options, _OF_CHARTS if y is None else _OF_MAPS, "a chart" if y is None else "a map")
        if y is not None:
            return figure(self._map(variable, x, y, by, options))
        chart = self._chart(variable, x, options)
        if by is None or not isinstance(chart, Chart):
            return figure(chart)
        return figure(replace(chart, by=self._lines(chart, by)))

    def words(self, variable: str = "verdict") -> xr.DataArray:
        """Return the codes of `verdict` or `status` as words.

        Parameters
        ----------
        variable : str

        Returns
        -------
        DataArray of str
            ``exact``, ``certified``, ``suspect-truncation``, ...; ``none`` where there is no code, as behind the mask
            of `where`, and of the verdict of a point that is pending or failed.

        Raises
        ------
        QbsweepError
            If there is no such variable, or it holds no codes: a dataset of an earlier version has no `verdict`.
        """
        valid = coded(self._ds)
        if variable not in valid:
            raise QbsweepError(unknown("variable of codes", variable, valid or ["status, of the dataset of a sweep"]))
        return in_words(self._ds, variable)

    def _map(self, variable: str | None, x: str | None, y: str, by: object, options: dict[str, Any]) -> "Map":
        from qbsweep.figures.maps import map_of

        if variable is None or x is None or by is not None:
            raise QbsweepError("a map needs `variable`, `x` and `y`, and has no lines for `by`")
        self._drawable(variable, y)
        name, axis = self._drawable(variable, x)
        for dim in (axis, y):
            if self._ds.sizes[dim] < 2 or not np.issubdtype(self._ds[dim].dtype, np.number):
                raise QbsweepError(f"a map needs two axes of numbers with two values or more, which `{dim}` is not")
        if axis == y:
            raise QbsweepError(f"a map needs two different axes, but both are `{y}`")
        return map_of(self._ds, name, axis, y, **options)

    def _chart(self, variable: str | None, x: str | None, options: dict[str, Any]) -> "Chart | Map":
        from qbsweep.figures.chart import Chart, against
        from qbsweep.figures.gallery import of_dataset, of_result

        if variable is not None:
            return against(self._ds, *self._drawable(variable, x), **options)
        fitting = of_result(self._ds) if "analysis" in self._ds.attrs else of_dataset(self._ds)
        for chart in fitting:
            if isinstance(chart, Chart) or not options:
                return replace(chart, **options) if isinstance(chart, Chart) else chart
        raise QbsweepError("there is nothing to draw: no axis of numbers has more than one value")

    def _check(self, options: dict[str, Any], valid: Sequence[str], what: str) -> None:
        """Raise QbsweepError for an option that there is not, or a band of variables that there are not."""
        for name in options:
            if name not in valid:
                raise QbsweepError(unknown(f"option of {what}", name, valid))
        band = options.get("band") or ()
        if band and (isinstance(band, str) or len(band) != 2):
            raise QbsweepError(f"`band` must be two variables, but is {band!r}")
        for name in band:
            if name not in self._ds:
                raise QbsweepError(unknown("variable of `band`", name, map(str, self._ds.data_vars)))

    def _lines(self, chart: "Chart", by: str | Sequence[str]) -> tuple[str, ...]:
        """Return the axes that are to have lines of their own; an axis of one value has none to compare."""
        wanted = [by] if isinstance(by, str) else list(dict.fromkeys(by))
        left = [*chart.by, *chart.selectors]
        single = [str(dim) for dim in self._ds[chart.variable].dims if dim not in chart.ds.dims]
        for name in wanted:
            if name not in (*left, *single):
                told = unknown(f"axis of `{chart.variable}`", name, left) if left else "no axis is left for lines"
                raise QbsweepError(told)
        return tuple(name for name in wanted if name in left)

    def _drawable(self, variable: str, x: str | None) -> tuple[str, str]:
        """Return a variable and an axis that it has."""
        if variable not in self._ds:
            raise QbsweepError(unknown("variable", variable, map(str, self._ds.data_vars)))
        dims = [str(dim) for dim in self._ds[variable].dims if dim in self._ds.coords]
        if x is None and dims:
            raise QbsweepError(f"`{variable}` is drawn over an axis: give it `x`, {choices(dims)}")
        if x not in dims:
            raise QbsweepError(unknown(f"axis of `{variable}`", x, dims) if dims else f"`{variable}` has no axis")
        return variable, x


def _method(function: Callable[..., xr.Dataset]) -> Callable[..., xr.Dataset]:
    @functools.wraps(function)
    def method(self: Accessor, *args: Any, **kwargs: Any) -> xr.Dataset:
        return function(self._ds, *args, **kwargs)

    method.__qualname__ = f"{Accessor.__qualname__}.{function.__name__}"
    method.__doc__ = re.sub(r"    ds : .*\n(?:     .*\n)*", "", function.__doc__ or "", count=1)
    return method


for _name, _analysis in ANALYSES.items():
    setattr(Accessor, _name, _method(_analysis.function))
