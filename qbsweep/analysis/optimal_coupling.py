"""Optimal couplings, and optimal values of other parameters."""

from collections.abc import Hashable, Iterable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture, Theory
from qbsweep.analysis.fits import NO_DATA
from qbsweep.analysis.inputs import absolute_coupling, in_memory, numeric_axis, perfect, usable
from qbsweep.analysis.outputs import labelled, masked_points, over_curves
from qbsweep.analysis.peaks import LN_J, PEAK, PLATEAU, SEVERAL, VERDICTS, Optimum, Scale, find_optimum
from qbsweep.errors import QbsweepError
from qbsweep.physics.topologies import TOPOLOGIES
from qbsweep.sweeps.parameters import PARAMETERS

OPTIMISED = ("J", "gamma_ratio")
"""The axes that are optimised unless another is asked for: the first of these that there is."""


def optimal_coupling(
    ds: xr.Dataset,
    of: str = "energy_terminal",
    along: str | None = None,
    refined: xr.Dataset | None = None,
) -> xr.Dataset:
    """Find the coupling that maximises an energy, on every curve over J of a dataset, or the best `gamma_ratio`.

    Between samples ln J, or any other parameter itself, is interpolated by local polynomials of degree up to 6, see
    `fits`; the errors are safe estimates (95 % for noisy samples). For 200 samples over a factor of 16 they are 1e-6 of
    J_op or less, the true errors some 1e-9; `refine` asks the solver for more points where that is not enough.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with an axis J, in omega or in multiples of J_op, or with another axis to optimise.
    of : str
        The variable to maximise, of one value per point.
    along : str, optional
        The axis of the curves; default: J, else gamma_ratio.
    refined : Dataset, optional
        More samples of the same curves, from `qbsweep.analysis.refine.open_refined`; of other curves, they are not
        used.

    Returns
    -------
    Dataset
        Over all dimensions but J: `J_op`, `J_op_error`, `energy_op`, `energy_op_error`, `verdict` (see
        `peaks.find_optimum`), `n_maxima`, `J_best` and `energy_best` (the largest sample), `saturation` and
        `saturation_error` (on a plateau of J), `masked_points`. What is not known is NaN. Along another axis its name
        stands for J: `gamma_ratio_op`, ...

    Raises
    ------
    QbsweepError
        If there is no such axis, or no such variable.
    """
    along = optimised_axis(ds, along)
    ds = in_memory(ds, (of,), "optimal_coupling")
    if ds[of].dims != ds["status"].dims:
        raise QbsweepError(f"optimal_coupling needs one value per point, but `{of}` has the dimensions {ds[of].dims}")
    samples = curves(ds, of, along, along)
    if refined is not None and axis_of(refined) == along:
        more = curves(in_memory(_selected_like(refined, ds), (of,), "optimal_coupling"), of, along, "sample")
        samples = xr.concat([samples, more], "point", join="left", coords="minimal", compat="override")
    good = samples["good"].fillna(False).astype(bool)
    energies = samples["energy"].where(good)
    find = partial(find_optimum, scale=scale_of(along))
    found = over_curves(find, Optimum.__annotations__, "point", samples["J_sample"], energies)
    padding = samples["J_sample"].isnull()  # of curves with fewer refined samples than others
    best, energy = (absolute_coupling(ds) if along == "J" else ds[along]).attrs, ds[of].attrs
    name, what = energy.get("long_name", of), "coupling" if along == "J" else best.get("long_name", along)
    own, units = best.get("units", "omega"), energy.get("units", "omega")
    variables = {
        f"{along}_op": (found["J"], own, f"optimal {what}"),
        f"{along}_op_error": (found["J_error"], own, f"error of the optimal {what}"),
        "energy_op": (found["energy"], units, f"{name} at the optimal {what}"),
        "energy_op_error": (found["energy_error"], units, f"error of the {name} at the optimal {what}"),
        f"{along}_best": (found["J_best"], own, f"sampled {what} of the largest energy"),
        "energy_best": (found["energy_best"], units, f"largest sampled {name}"),
        "saturation": (found["saturation"], units, f"{name} as J grows without bound"),
        "saturation_error": (found["saturation_error"], units, "error of the saturation value"),
        "n_maxima": (found["n_maxima"], "1", f"maxima over {along}, those at an end of the samples included"),
        "verdict": (found["verdict"], "1", f"one of: {', '.join(VERDICTS)}"),
        "masked_points": masked_points(good | padding, ["point"], "points of the curve left out"),
    }
    return labelled(ds, variables, "optimal_coupling", of=of, along=along)


def optimised_axis(ds: xr.Dataset, along: str | None, analysis: str = "optimal_coupling") -> str:
    """Return the axis that is asked for, or the usual one; raises QbsweepError if there is none."""
    usual = next((axis for axis in OPTIMISED if axis in ds.dims), OPTIMISED[0])
    return numeric_axis(ds, along or usual, analysis)


def scale_of(axis: str) -> Scale:
    """Return in what curves over an axis are smooth."""
    if axis == "J":
        return LN_J
    known = PARAMETERS.get(axis)  # a protocol may have names of its own
    limits = (known.minimum, known.maximum) if known else (0.0, None)
    lowest, highest = (far if limit is None else limit for limit, far in zip(limits, (-np.inf, np.inf), strict=True))
    return Scale(False, lowest, highest)


def axis_of(refined: xr.Dataset) -> str:
    """Return the axis that samples have been added along."""
    return str(refined.attrs.get("along", "J"))


def place_of(axis: str) -> str:
    """Return the name of the coordinate that says where on an axis a sample is."""
    return "J_abs" if axis == "J" else f"{axis}_sample"


def curves(ds: xr.Dataset, of: str, along: str, dim: str) -> xr.Dataset:
    """Return `J_sample`, `energy` and `good` of every curve, with the dimension `point` in the place of `dim`."""
    where = ds[place_of(along)] if dim == "sample" else absolute_coupling(ds) if along == "J" else ds[along]
    parts = {"J_sample": where.broadcast_like(ds["status"]), "energy": ds[of], "good": usable(ds, of)}
    gone = [dim, place_of(along), *(name for name, c in ds.coords.items() if dim in c.dims)]
    arrays = {name: array.drop_vars(gone, errors="ignore") for name, array in parts.items()}
    return xr.Dataset(arrays).rename({dim: "point"})


def _selected_like(refined: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """Take from the refined samples what the user took from the dataset; what was fixed then may be an axis now."""
    refined = with_dims(refined, [dim for dim in ds["status"].dims if dim != axis_of(refined)])
    scalars = {dim: ds[dim].item() for dim in refined.dims if dim in ds.coords and dim not in ds.dims}
    rest = {dim: ds[dim].values for dim in refined.dims if dim in ds.dims}
    return refined.sel(scalars).reindex(rest, fill_value={"status": 0})


def with_dims(refined: xr.Dataset, dims: Iterable[Hashable]) -> xr.Dataset:
    """Give refined samples dimensions of one label where they have scalar coordinates."""
    missing = [dim for dim in dims if dim not in refined.dims]
    where = place_of(axis_of(refined))
    return refined.reset_coords(where).expand_dims(missing).set_coords(where)


def _closed_form(best: xr.Dataset) -> xr.DataArray | None:
    """Eq. (10) where it is the optimum, NaN elsewhere; None for results that do not tell of what network."""
    if "topology" not in best.coords or "kappa" not in best.coords or best["kappa"].ndim:
        return None
    ideal = perfect(best)
    if not bool(ideal.any()):
        return None
    kappa = float(best["kappa"].item())

    def value(topology: str, N: int, coupling: str) -> float:
        known = TOPOLOGIES.get(topology)
        if known is None or known.optimal_coupling is None or coupling not in known.optimal_for:
            return np.nan
        return float(known.optimal_coupling(N, kappa))

    coupling = best["coupling"] if "coupling" in best.coords else xr.DataArray("nonreciprocal")
    values: xr.DataArray = xr.apply_ufunc(value, best["topology"], best["N"], coupling, vectorize=True)
    return values.where(ideal).squeeze()


_LOGARITHMIC: dict[str, Any] = {"logx": True, "logy": True, "points": True, "leading": True}
_INSIDE = (PEAK, SEVERAL, PLATEAU, NO_DATA)
"""Verdicts that say enough without the largest sample."""
OPTIMAL_COUPLING = Analysis(
    optimal_coupling,
    axes={},
    along=OPTIMISED,
    seconds_per_curve=4e-3,
    pictures=(
        Picture(
            "J_op",
            ("N",),
            least=1,
            title="Optimal coupling against the number of batteries",
            theory=Theory(_closed_form, "eq. (10)", "points: between the samples of the dataset; thin lines: (10)"),
            **_LOGARITHMIC,
        ),
        Picture("gamma_ratio_op", ("N", "J"), title="How much nonreciprocity is best", points=True, leading=True),
        Picture("energy_op", ("N",), least=1, title="Energy at the optimum", **_LOGARITHMIC),
    ),
    labels={
        "J_op": "optimal coupling J_op",
        "gamma_ratio_op": "best Γ / (2J)",
        "energy_op": "energy at the optimum",
    },
    quiet={
        "n_maxima": ("n_maxima", (0, 1)),
        "J_best": ("verdict", _INSIDE),
        "gamma_ratio_best": ("verdict", _INSIDE),
        "energy_best": ("verdict", _INSIDE),
    },
)
ANALYSES = (OPTIMAL_COUPLING,)
