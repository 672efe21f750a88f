"""Optimal couplings."""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture, Theory
from qbsweep.analysis.fits import NO_DATA
from qbsweep.analysis.inputs import absolute_coupling, in_memory, usable
from qbsweep.analysis.outputs import labelled, masked_points, over_curves
from qbsweep.analysis.peaks import PEAK, PLATEAU, SEVERAL, VERDICTS, Optimum, find_optimum
from qbsweep.errors import QbsweepError
from qbsweep.physics.topologies import TOPOLOGIES


def optimal_coupling(ds: xr.Dataset, of: str = "energy_terminal", refined: xr.Dataset | None = None) -> xr.Dataset:
    """Find the coupling that maximises an energy, on every curve over J of a dataset.

    Between samples ln J is interpolated by local polynomials of degree up to 6, see `fits`; the errors are
    safe estimates (95 % for noisy samples). For 200 samples over a factor of 16 they are 1e-6 of J_op or less, the true
    errors some 1e-9; `refine` asks the solver for more points where that is not enough.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with an axis J, in omega or in multiples of J_op.
    of : str
        The variable to maximise, of one value per point.
    refined : Dataset, optional
        More samples of the same curves, from `qbsweep.analysis.refine.open_refined`.

    Returns
    -------
    Dataset
        Over all dimensions but J: `J_op`, `J_op_error`, `energy_op`, `energy_op_error`, `verdict` (see
        `peaks.find_optimum`), `n_maxima`, `J_best` and `energy_best` (the largest sample), `saturation` and
        `saturation_error` (on a plateau), `masked_points`. What is not known is NaN.

    Raises
    ------
    QbsweepError
        If there is no axis J, or no such variable.
    """
    OPTIMAL_COUPLING.require(ds)
    ds = in_memory(ds, (of,), "optimal_coupling")
    if ds[of].dims != ds["status"].dims:
        raise QbsweepError(f"optimal_coupling needs one value per point, but `{of}` has the dimensions {ds[of].dims}")
    samples = curves(ds, of, "J")
    if refined is not None:
        more = curves(in_memory(_selected_like(refined, ds), (of,), "optimal_coupling"), of, "sample")
        samples = xr.concat([samples, more], "point", join="left", coords="minimal", compat="override")
    good = samples["good"].fillna(False).astype(bool)
    energies = samples["energy"].where(good)
    found = over_curves(find_optimum, Optimum.__annotations__, "point", samples["J_sample"], energies)
    padding = samples["J_sample"].isnull()  # of curves with fewer refined samples than others
    energy, J = ds[of].attrs, absolute_coupling(ds).attrs
    name = energy.get("long_name", of)
    J_units, units = J.get("units", "omega"), energy.get("units", "omega")
    variables = {
        "J_op": (found["J"], J_units, "optimal coupling"),
        "J_op_error": (found["J_error"], J_units, "error of the optimal coupling"),
        "energy_op": (found["energy"], units, f"{name} at the optimal coupling"),
        "energy_op_error": (found["energy_error"], units, f"error of the {name} at the optimal coupling"),
        "J_best": (found["J_best"], J_units, "sampled coupling of the largest energy"),
        "energy_best": (found["energy_best"], units, f"largest sampled {name}"),
        "saturation": (found["saturation"], units, f"{name} as J grows without bound"),
        "saturation_error": (found["saturation_error"], units, "error of the saturation value"),
        "n_maxima": (found["n_maxima"], "1", "maxima over J, those at an end of the samples included"),
        "verdict": (found["verdict"], "1", f"one of: {', '.join(VERDICTS)}"),
        "masked_points": masked_points(good | padding, ["point"], "points of the curve left out"),
    }
    return labelled(ds, variables, "optimal_coupling", of=of)


def curves(ds: xr.Dataset, of: str, dim: str) -> xr.Dataset:
    """Return `J_sample`, `energy` and `good` of every curve, with the dimension `point` in the place of `dim`."""
    J = absolute_coupling(ds).broadcast_like(ds["status"])
    parts = {"J_sample": J, "energy": ds[of], "good": usable(ds, of)}
    arrays = {name: array.drop_vars([dim, "J_abs"], errors="ignore") for name, array in parts.items()}
    return xr.Dataset(arrays).rename({dim: "point"})


def _selected_like(refined: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """Take from the refined samples what the user took from the dataset; what was fixed then may be an axis now."""
    refined = with_dims(refined, [dim for dim in ds["status"].dims if dim != "J"])
    scalars = {dim: ds[dim].item() for dim in refined.dims if dim in ds.coords and dim not in ds.dims}
    rest = {dim: ds[dim].values for dim in refined.dims if dim in ds.dims}
    return refined.sel(scalars).reindex(rest, fill_value={"status": 0})


def with_dims(refined: xr.Dataset, dims: Iterable[Hashable]) -> xr.Dataset:
    """Give refined samples dimensions of one label where they have scalar coordinates."""
    missing = [dim for dim in dims if dim not in refined.dims]
    return refined.reset_coords("J_abs").expand_dims(missing).set_coords("J_abs")


def _closed_form(best: xr.Dataset) -> xr.DataArray | None:
    """Eq. (10) where it is the optimum, NaN elsewhere; None for results that do not tell of what network."""
    if "topology" not in best.coords or "kappa" not in best.coords or best["kappa"].ndim:
        return None
    kappa = float(best["kappa"].item())

    def value(topology: str, N: int, coupling: str) -> float:
        known = TOPOLOGIES.get(topology)
        if known is None or known.optimal_coupling is None or coupling not in known.optimal_for:
            return np.nan
        return float(known.optimal_coupling(N, kappa))

    coupling = best["coupling"] if "coupling" in best.coords else xr.DataArray("nonreciprocal")
    values: xr.DataArray = xr.apply_ufunc(value, best["topology"], best["N"], coupling, vectorize=True)
    return values.squeeze()


_AGAINST_N: dict[str, Any] = {"axes": ("N",), "least": 1, "logx": True, "logy": True, "points": True, "leading": True}
_INSIDE = (PEAK, SEVERAL, PLATEAU, NO_DATA)
"""Verdicts that say enough without the largest sample."""
OPTIMAL_COUPLING = Analysis(
    optimal_coupling,
    axes={"J": ()},
    along="J",
    seconds_per_curve=4e-3,
    pictures=(
        Picture(
            "J_op",
            title="Optimal coupling against the number of batteries",
            theory=Theory(_closed_form, "eq. (10)", "points: between the samples of the dataset; thin lines: (10)"),
            **_AGAINST_N,
        ),
        Picture("energy_op", title="Energy at the optimal coupling", **_AGAINST_N),
    ),
    labels={"J_op": "optimal coupling J_op", "energy_op": "energy at J_op"},
    quiet={"n_maxima": ("n_maxima", (0, 1)), "J_best": ("verdict", _INSIDE), "energy_best": ("verdict", _INSIDE)},
)
ANALYSES = (OPTIMAL_COUPLING,)
