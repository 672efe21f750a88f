"""``ds.qb``: the analyses of a dataset as methods, and its plots."""

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import xarray as xr

from qbsweep.analysis.registry import ANALYSES


class Accessor:
    """The analyses of a dataset, ``ds.qb.optimal_coupling()`` and so on, and ``ds.qb.plot("energy_terminal", "J")``.

    Of the dataset of a sweep, and of what its analyses give. ``dir(ds.qb)`` lists the analyses.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    if not TYPE_CHECKING:  # for types every name would be an analysis

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f"there is no analysis '{name}'; there are {', '.join(ANALYSES)}")

    def plot(self, variable: str, x: str, **options: Any) -> Any:
        """Draw a variable over an axis, with a widget for every axis that is neither it nor has lines of its own.

        Parameters
        ----------
        variable : str
            Of the dataset.
        x : str
            The horizontal axis, or `time` or `mode`.
        **options
            `by` (axes that have lines of their own), `logx`, `logy`, `points`, `title`, `caption`, `level` (a dashed
            horizontal line), `terminal` (of `energy_t`: the last battery only).

        Returns
        -------
        holoviews object
            Shows in a notebook; ``holoviews.save`` writes it to a file.

        Raises
        ------
        QbsweepError
            If there is no such variable, or it has no such axis.
        """
        from qbsweep.figures.interactive import against, figure

        return figure(against(self._ds, variable, x, **options))


def _method(function: Callable[..., xr.Dataset]) -> Callable[..., xr.Dataset]:
    @functools.wraps(function)
    def method(self: Accessor, *args: Any, **kwargs: Any) -> xr.Dataset:
        return function(self._ds, *args, **kwargs)

    method.__qualname__ = f"{Accessor.__qualname__}.{function.__name__}"
    method.__doc__ = re.sub(r"    ds : .*\n(?:     .*\n)*", "", function.__doc__ or "", count=1)
    return method


for _name, _analysis in ANALYSES.items():
    setattr(Accessor, _name, _method(_analysis.function))
