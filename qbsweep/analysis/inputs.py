"""What every analysis needs of a dataset: its axes, which points may be used, and where it comes from."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from qbsweep.analysis.protocols import last_coupling
from qbsweep.errors import QbsweepError
from qbsweep.solvers.status import NO_VERDICT, OK, SUSPECT
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.variables import VARIABLES

REMEDIES = {
    "coupling": "coupling: [nonreciprocal, reciprocal]",
    "N": "N: {range: [1, 10]}",
    "J": "J: {geomspace: [0.1, 10, 201], unit: J_op}",
    "r": "r: [0, 0.5]",
    "time": "times: {linspace: [0, 15, 601], unit: 1/kappa}",
    "gamma_ratio": "gamma_ratio: {linspace: [0, 1.5, 61]}",
    "seed": "seed: {range: [0, 999]}",
    "protocol": "protocol: [{until: 8}, {until: 40, drive: 0}]",
}
"""A line of a sweep file that gives a dataset the axis."""
NOISES = tuple(p.name for p in PARAMETERS.values() if p.kind == "float" and p.default == 0 and p.minimum == 0)
"""Parameters of which there is none unless it is asked for: of the baths, and of the disorder."""
IMPERFECTIONS = tuple(p.name for p in PARAMETERS.values() if p.kind == "float" and p.rests)
"""Parameters in which a network may differ from the ideal one."""
SPREADS = tuple(name for name in IMPERFECTIONS if name in NOISES)


class MissingAxisError(QbsweepError):
    """The dataset lacks what an analysis is about."""

    def __init__(self, analysis: str, axis: str, what: str = "") -> None:
        need = what or f"an axis `{axis}`"
        self.analysis, self.need = analysis, what or f"`{axis}`"
        remedy = REMEDIES.get(axis, f"{axis}: [...]")
        super().__init__(f"{analysis} needs {need}, which this dataset lacks; a sweep with `{remedy}` has it")


def require_axis(ds: xr.Dataset, axis: str, analysis: str, labels: Iterable[object] = ()) -> None:
    """Raise MissingAxisError unless the dataset has a dimension, and along it the labels."""
    if axis not in ds.dims:
        raise MissingAxisError(analysis, axis)
    for label in labels:
        if label not in ds[axis].values.tolist():
            raise MissingAxisError(analysis, axis, f"the value {label} of `{axis}`")


def numeric_dims(ds: xr.Dataset) -> list[str]:
    """Return the axes of the sweep that hold numbers, in their order."""
    dims = [str(dim) for dim in ds.dims if dim in ds.coords and dim not in ("mode", "time", "seed")]
    return [dim for dim in dims if np.issubdtype(ds[dim].dtype, np.number)]


def numeric_axis(ds: xr.Dataset, axis: str, analysis: str) -> str:
    """Return the name of an axis of the sweep that holds numbers; raises QbsweepError if it is none.

    A mode, a time and a seed are no numbers to vary.
    """
    if axis in ds.dims:
        numbers = numeric_dims(ds)
        if axis not in numbers:
            told = f"; this dataset has {', '.join(numbers)}" if numbers else ""
            raise QbsweepError(f"{analysis} needs an axis of numbers of the sweep, which `{axis}` is not{told}")
    require_axis(ds, axis, analysis)
    return axis


def require_variables(ds: xr.Dataset, names: Iterable[str], analysis: str) -> None:
    """Raise QbsweepError unless a dataset has the variables."""
    for name in names:
        if name not in ds:
            where = (
                "is no dataset of a sweep" if name == "status" else f"needs `{name}` among the `outputs` of its sweep"
            )
            raise QbsweepError(f"{analysis} needs the variable `{name}`, which this dataset lacks: it {where}")


def spoken(array: xr.DataArray) -> str:
    """Return what an output is in few words, for the long names of what is made of it."""
    declared = VARIABLES.get(str(array.name))
    return str(declared.label if declared and declared.label else array.attrs.get("long_name", array.name))


def in_memory(ds: xr.Dataset, names: Iterable[str], analysis: str) -> xr.Dataset:
    """Return `status` and some other variables in memory; raises QbsweepError unless the dataset has them."""
    names = ("status", *names)
    require_variables(ds, names, analysis)
    return ds[list(names)].compute()


def usable(ds: xr.Dataset, *names: str) -> xr.DataArray:
    """Return which points are ok and have finite values: what is pending, failed or suspect is not used."""
    good: xr.DataArray = ds["status"] == OK
    for name in names:
        finite: xr.DataArray = xr.apply_ufunc(np.isfinite, ds[name])
        extra = [dim for dim in finite.dims if dim not in ds["status"].dims]
        good = good & finite.all(extra)
    return good


def coded(ds: xr.Dataset) -> list[str]:
    """Return the names of the variables that hold codes, each with its words in its attributes."""
    return [str(name) for name, array in ds.data_vars.items() if "flag_meanings" in array.attrs]


def in_words(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Return the codes of a variable as the words of its attributes.

    `none` is what has no code, as where a dataset was masked, and the verdict of a point that is pending or failed,
    whatever was written of it before that was known.
    """
    codes = ds[name]
    if name == "verdict" and "status" in ds:
        codes = codes.where(ds["status"].isin([OK, SUSPECT]), NO_VERDICT)
    known = ds[name].attrs["flag_values"]
    words = np.array([*ds[name].attrs["flag_meanings"].split(), "none"])
    where = np.where(np.isin(codes.values, known), np.searchsorted(known, codes.values), -1)
    return codes.copy(data=words[where]).drop_attrs(deep=False).assign_attrs(long_name=ds[name].attrs["long_name"])


def absolute_coupling(ds: xr.Dataset) -> xr.DataArray:
    """Return the coupling in units of omega, over J and, where J is in multiples of J_op, what that depends on."""
    return ds["J_abs"] if "J_abs" in ds.coords else ds["J"]


def typical(ds: xr.Dataset, dim: str) -> int:
    """Return the position of the value of an axis to look at first: J_op, with noise, perfect, in the middle."""
    values = ds[dim].values
    if dim in NOISES:
        return len(values) - 1  # with noise there is something to see
    if dim == "seed":
        return 0
    if dim in IMPERFECTIONS and _is_in_units_of_its_default(ds, dim):
        return int(np.abs(values - PARAMETERS[dim].default).argmin())
    if dim == "J" and ds["J"].attrs.get("units") == "J_op":
        return int(np.abs(values - 1).argmin())
    return len(values) // 2 if np.issubdtype(values.dtype, np.number) and len(values) > 3 else 0


def _is_in_units_of_its_default(ds: xr.Dataset, name: str) -> bool:
    parameter = PARAMETERS[name]
    own = parameter.default_unit or parameter.units
    return parameter.default == 0 or ds[name].attrs.get("units", own) == own


def perfect(ds: xr.Dataset) -> xr.DataArray:
    """Return where a dataset is of the ideal networks of the closed forms, over those of its axes that decide it.

    A protocol may end with other couplings than J.
    """
    found = xr.DataArray(last_coupling(ds) == 1).drop_attrs()
    for name in IMPERFECTIONS:
        if name in ds.coords:
            ideal = PARAMETERS[name].default if _is_in_units_of_its_default(ds, name) else ds.get("kappa", np.nan)
            found = found & xr.DataArray(ds[name] == ideal).drop_attrs()
    return found


def near_optimum(ds: xr.Dataset) -> xr.Dataset:
    """Take the coupling nearest to J_op (10), or one in the middle of couplings that are not in units of it."""
    return ds.isel(J=typical(ds, "J")) if "J" in ds.dims else ds


def ratio_of(above: xr.DataArray, below: xr.DataArray) -> xr.DataArray:
    """Return a ratio, NaN where the denominator is not positive."""
    return above / below.where(below > 0)


def good_values(ds: xr.Dataset, name: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Return a variable, NaN where it may not be used, and which points may be."""
    good = usable(ds, name)
    return ds[name].where(good), good


def terminal_in_time(ds: xr.Dataset, name: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Return a variable in time of the terminal battery, NaN where it may not be used, and which points may be."""
    values = ds[name]
    if "mode" in values.dims:
        values = values.sel(mode=ds["N"]).drop_vars("mode")
    finite: xr.DataArray = xr.apply_ufunc(np.isfinite, values)
    good = usable(ds) & finite.all("time")
    return values.where(good), good
