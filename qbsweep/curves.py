"""What every analysis needs of a dataset: its axes, which points may be used, and where it comes from."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

import qbsweep
from qbsweep.errors import QbsweepError
from qbsweep.solvers.interface import OK

REMEDIES = {
    "topology": "topology: [cascaded, parallel]",
    "coupling": "coupling: [nonreciprocal, reciprocal]",
    "N": "N: {range: [1, 10]}",
    "J": "J: {geomspace: [0.1, 10, 201], unit: J_op}",
    "r": "r: [0, 0.5]",
    "time": "times: {linspace: [0, 15, 601], unit: 1/kappa}",
}
"""A line of a sweep file that gives a dataset the axis."""


class MissingAxisError(QbsweepError):
    """The dataset lacks what an analysis is about."""

    def __init__(self, analysis: str, axis: str, what: str = "") -> None:
        self.axis = axis
        need = what or f"an axis `{axis}`"
        super().__init__(f"{analysis} needs {need}, which this dataset lacks; a sweep with `{REMEDIES[axis]}` has it")


def require_axis(ds: xr.Dataset, axis: str, analysis: str, labels: Iterable[object] = ()) -> None:
    """Raise MissingAxisError unless the dataset has a dimension, and along it the labels."""
    if axis not in ds.dims:
        raise MissingAxisError(analysis, axis)
    for label in labels:
        if label not in ds[axis].values.tolist():
            raise MissingAxisError(analysis, axis, f"the value {label} of `{axis}`")


def in_memory(ds: xr.Dataset, names: Iterable[str], analysis: str) -> xr.Dataset:
    """Return `status` and some other variables in memory; raises QbsweepError unless the dataset has them."""
    names = ("status", *names)
    for name in names:
        if name not in ds:
            where = (
                "is no dataset of a sweep" if name == "status" else f"needs `{name}` among the `outputs` of its sweep"
            )
            raise QbsweepError(f"{analysis} needs the variable `{name}`, which this dataset lacks: it {where}")
    return ds[list(names)].compute()


def usable(ds: xr.Dataset, *names: str) -> xr.DataArray:
    """Return which points are ok and have finite values: what is pending, failed or suspect is not used."""
    good: xr.DataArray = ds["status"] == OK
    for name in names:
        finite: xr.DataArray = xr.apply_ufunc(np.isfinite, ds[name])
        extra = [dim for dim in finite.dims if dim not in ds["status"].dims]
        good = good & finite.all(extra)
    return good


def masked_points(good: xr.DataArray, over: Collection[Hashable] | None = None) -> xr.DataArray:
    """Count the points left out along some dimensions (all, if none are given)."""
    count = (~good).sum(over)
    return count.astype("int64").assign_attrs(
        units="1", long_name="points left out: pending, failed, suspect or not finite"
    )


def absolute_coupling(ds: xr.Dataset) -> xr.DataArray:
    """Return the coupling in units of omega, over J and, where J is in multiples of J_op, what that depends on."""
    return ds["J_abs"] if "J_abs" in ds.coords else ds["J"]


def over_curves(
    function: Callable[..., Any], fields: Mapping[str, Any], dim: str, *arguments: xr.DataArray
) -> dict[str, xr.DataArray]:
    """Apply a function of 1-d arrays to every curve along a dimension.

    Parameters
    ----------
    function : callable
        Returns a named tuple.
    fields : dict of type
        Its annotations.
    dim : str
    *arguments : DataArray
        Those without `dim` are given as scalars.
    """
    results = xr.apply_ufunc(
        function,
        *arguments,
        input_core_dims=[[dim] if dim in argument.dims else [] for argument in arguments],
        output_core_dims=[[]] * len(fields),
        output_dtypes=[object if kind is str else kind for kind in fields.values()],
        vectorize=True,
    )
    return dict(zip(fields, results, strict=True))


def labelled(
    ds: xr.Dataset, variables: Mapping[str, tuple[xr.DataArray, str, str]], analysis: str, **settings: Any
) -> xr.Dataset:
    """Assemble a result.

    Parameters
    ----------
    ds : Dataset
        What was analysed: its labels stay, its identity goes into the attributes.
    variables : dict
        Of (values, units, long_name).
    analysis : str
        Name of the function.
    **settings
        Its arguments, kept as attributes.
    """
    result = xr.Dataset(
        {name: array.assign_attrs(units=units, long_name=text) for name, (array, units, text) in variables.items()}
    )
    order = max((array.dims for array in ds.data_vars.values()), key=len)  # that of the sweep
    result = result.transpose(*(dim for dim in order if dim in result.dims), ...)
    for name, coordinate in result.coords.items():
        if name in ds.coords:
            coordinate.attrs = dict(ds[name].attrs)
    result.attrs = {
        "title": f"{analysis} of {ds.attrs.get('title', 'a sweep')}",
        "analysis": analysis,
        **settings,
        "source_dataset_id": ds.attrs.get("dataset_id", "unknown"),
        "source_spec_digest": ds.attrs.get("spec_digest", "unknown"),
        "qbsweep_version": qbsweep.__version__,
    }
    return result
