"""What an analysis declares of itself beside its function; nothing outside its module and the registry names it."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import xarray as xr

from qbsweep.analysis.inputs import near_optimum, require_axis
from qbsweep.errors import QbsweepError

MOST_SECONDS = 5.0
"""That an analysis may take where a person waits for a page."""
_SECONDS_PER_VALUE = 2.5e-6  # to read it and to form ratios of it


@dataclass(frozen=True, slots=True)
class Theory:
    """What a picture shows beside the points of a result, which are not joined then.

    Attributes
    ----------
    values : callable
        Of the result: values over the horizontal axis and other axes, NaN where nothing is known; or None.
    name : str
        For the legend.
    caption : str
        Of the picture where there are values.
    """

    values: Callable[[xr.Dataset], xr.DataArray | None]
    name: str
    caption: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart of a result, declared: `figures.gallery` draws it where it fits.

    Attributes
    ----------
    variable : str
        Of the result; there is no picture if the result lacks it, or no value is known.
    axes : tuple of str
        Horizontal is the first of these along which the variable has at least so many values; `PROTOCOL` stands for
        what the protocol of the sweep names.
    least : int
        How many.
    title, caption : str
        Default: what the variable and the axis are.
    logx, logy, points : bool, optional
        Logarithmic scales, and every value as a point; default: as the values suggest.
    level : float, optional
        A horizontal line.
    below : float, optional
        Draw nothing unless some value is below.
    theory : Theory, optional
    band : (str, str), optional
        Variables between which it is shaded.
    leading : bool
        Show it before the pictures of the sweep itself.
    notes : callable, optional
        Of the result: what its caption has to add, or nothing.
    """

    variable: str
    axes: tuple[str, ...]
    least: int = 2
    title: str = ""
    caption: str = ""
    logx: bool | None = None
    logy: bool | None = None
    points: bool | None = None
    level: float | None = None
    below: float | None = None
    theory: Theory | None = None
    band: tuple[str, str] | None = None
    leading: bool = False
    notes: Callable[[xr.Dataset], str] | None = None


@dataclass(frozen=True, eq=False)
class Analysis:
    """One analysis.

    Attributes
    ----------
    function : callable
        Takes the dataset of a sweep and options, returns a labelled dataset. Its name is that of the analysis, its
        keyword arguments are the options.
    axes : dict
        Axes without which there is nothing to do, each with the labels that it must have.
    along : str or tuple of str, optional
        The axis of the curves that it follows, or of several the first that there is; without, it takes point by point.
    seconds_per_curve : float
        Roughly; decides what a report does.
    after : Analysis, optional
        Whose result, if there is one, it takes in the place of the dataset.
    pictures : tuple of Picture
    labels : dict
        Short names of its variables, for the axes of figures; without, they show the `long_name`.
    words : dict
        How values of its text axes are written in legends.
    settings : tuple of str
        Options that the title of its table tells.
    quiet : dict
        Columns that its table leaves out while all values of a column (this or another) are among those given.
    """

    function: Callable[..., xr.Dataset]
    axes: Mapping[str, tuple[object, ...]]
    along: str | tuple[str, ...] | None = None
    seconds_per_curve: float = 0.0
    after: "Analysis | None" = None
    pictures: tuple[Picture, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    quiet: Mapping[str, tuple[str, tuple[object, ...]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.function.__name__

    @cached_property
    def options(self) -> tuple[str, ...]:
        """The names of what the function takes besides the dataset."""
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        return tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)

    def _curve(self, ds: xr.Dataset) -> str | None:
        """Return the axis of a dataset that the curves are over."""
        axes = (self.along,) if isinstance(self.along, str) else self.along or ()
        return next((axis for axis in axes if axis in ds.dims), None)

    def require(self, ds: xr.Dataset) -> None:
        """Raise MissingAxisError unless a dataset has the axes."""
        for axis, labels in self.axes.items():
            require_axis(ds, axis, self.name, labels)

    def seconds(self, ds: xr.Dataset) -> float:
        """Predict the time that the analysis of a dataset takes."""
        along = self._curve(ds)
        sizes = [ds.sizes[dim] for dim in {*ds["status"].dims, along} if dim in ds.dims]
        values = math.prod(sizes)
        curves = values / ds.sizes[along] if along else 0
        return values * _SECONDS_PER_VALUE + curves * self.seconds_per_curve

    def quick_part(self, ds: xr.Dataset) -> xr.Dataset:
        """Return what of a dataset can be analysed while a person waits.

        All of it, but of curves that every coupling has anew (those in time) only the ones near the optimum.

        Raises
        ------
        QbsweepError
            If that takes long still.
        """
        self.require(ds)
        part = near_optimum(ds) if self._curve(ds) == "time" else ds
        if self.seconds(part) > MOST_SECONDS:
            points = ds["status"].size
            raise QbsweepError(f"{self.name} takes long for {points:,} points; `qbsweep analyze` does it")
        return part

    def apply(self, ds: xr.Dataset, results: Mapping[str, xr.Dataset], options: Mapping[str, Any]) -> xr.Dataset:
        """Do the analysis with those of some options that it has, of an earlier result if it is one of a result."""
        source = results.get(self.after.name, ds) if self.after else ds
        return self.function(source, **{name: value for name, value in options.items() if name in self.options})
