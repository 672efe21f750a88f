"""Assemble what an analysis found as a labelled dataset."""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

import xarray as xr

from qbsweep.analysis.protocols import KINK, PROTOCOL
from qbsweep.version import __version__

Labelled = tuple[xr.DataArray, str, str]
"""Values, units and long name of a variable."""


def masked_points(
    good: xr.DataArray, over: Collection[Hashable] | None = None, text: str = "points of the dataset left out"
) -> Labelled:
    """Count the points left out along some dimensions (all, if none are given)."""
    return (~good).sum(over).astype("int64"), "1", text


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
        Those without `dim` are given as scalars, or whole along `KINK`.
    """
    results = xr.apply_ufunc(
        function,
        *arguments,
        input_core_dims=[[name for name in (dim, KINK) if name in argument.dims] for argument in arguments],
        output_core_dims=[[]] * len(fields),
        output_dtypes=[object if kind is str else kind for kind in fields.values()],
        vectorize=True,
    )
    return dict(zip(fields, results, strict=True))


def labelled(ds: xr.Dataset, variables: Mapping[str, Labelled], analysis: str, **settings: Any) -> xr.Dataset:
    """Assemble a result.

    Parameters
    ----------
    ds : Dataset
        What was analysed: its labels stay, its identity goes into the attributes.
    variables : dict of Labelled
    analysis : str
        Name of the function.
    **settings
        Its arguments, kept as attributes.
    """
    result = xr.Dataset(
        # Without what it inherits: a count of points by their status holds no codes.
        {
            name: array.drop_attrs(deep=False).assign_attrs(units=units, long_name=text)
            for name, (array, units, text) in variables.items()
        }
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
        **{name: ds.attrs[name] for name in (PROTOCOL,) if ds.attrs.get(name)},
        "source_dataset_id": ds.attrs.get("dataset_id", "unknown"),
        "source_spec_digest": ds.attrs.get("spec_digest", "unknown"),
        "qbsweep_version": __version__,
    }
    return result
