"""How optimal couplings scale with the number of batteries."""

import math
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import stdtrit

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.fits import MIN_SAMPLES, limit, slope_at
from qbsweep.analysis.inputs import perfect
from qbsweep.analysis.optimal_coupling import OPTIMAL_COUPLING, optimal_coupling, optimised_axis
from qbsweep.analysis.outputs import labelled, masked_points
from qbsweep.analysis.peaks import LOCATED
from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.topologies import TOPOLOGIES

_LIMIT_POWERS = (1.0, 0.5)  # (10) is a series in 1/N for the chain; the star's energy is one in 1/sqrt(N)


def scaling_exponent(ds: xr.Dataset, window: tuple[int, int] | None = None, **options: Any) -> xr.Dataset:
    """Fit J_op (or the optimum of another axis), and the energy there, by a power of N.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with axes N and J, or what `optimal_coupling` made of one.
    window : (int, int), optional
        Smallest and largest N of the fit; default: all.
    **options
        Of `optimal_coupling`, for a dataset of a sweep.

    Returns
    -------
    Dataset
        Over `quantity` (J_op, energy_op) and the remaining dimensions:

        - `exponent`, `exponent_error`: least squares of ln y against ln N in the window, and the half-width of its
          95 % interval, from the residuals and the errors of y. Of a curve that is no pure power the
          exponent belongs to the window.
        - `local_exponent`, `local_exponent_error` (over N as well): d ln y / d ln N, from 7 values of N on.
        - `limit`, `limit_error`: the local exponent extrapolated to N -> infinity, in 1/N or 1/sqrt(N).
        - `asymptote`, `distance`: the exponent of J_op in (10), 1 for nonreciprocal chains and -1/2 for stars, and how
          far the local exponent at the largest N of the window is from it; NaN for imperfect networks.
        - `n_values`, `masked_points`: values of N in the fit, and left out for want of an optimum.
    """
    SCALING_EXPONENT.require(ds)
    if not ("verdict" in ds and "energy_op" in ds):
        optimised_axis(ds, options.get("along"), "scaling_exponent")  # that is what this one would need
        ds = optimal_coupling(ds, **options)
    best = ds
    scaled = (f"{best.attrs.get('along', 'J')}_op", "energy_op")
    low, high = window or (int(best["N"].min()), int(best["N"].max()))
    best = best.isel(N=np.flatnonzero((best["N"].values >= low) & (best["N"].values <= high))).sortby("N")
    if not best.sizes["N"]:
        raise QbsweepError(f"the window of scaling_exponent, N = {low} to {high}, holds no N of this dataset")
    located = best["verdict"].isin(LOCATED)
    quantity = xr.Variable(
        "quantity", np.array(scaled, dtype=object), {"units": "1", "long_name": "what scales with N"}
    )
    y = xr.concat([best[name].where(located) for name in scaled], quantity, coords="minimal", compat="override")
    errors = xr.concat([best[f"{name}_error"] for name in scaled], quantity, coords="minimal", compat="override")
    names = ("exponent", "exponent_error", "limit", "limit_error", "n_values", "local", "local_error")
    results = xr.apply_ufunc(
        _power_law,
        best["N"].astype(float),
        y,
        errors,
        input_core_dims=[["N"]] * 3,
        output_core_dims=[[]] * 5 + [["N"]] * 2,
        vectorize=True,
    )
    found = dict(zip(names, results, strict=True))
    asymptote = _asymptote(best, found["exponent"])
    last = best["N"].where(y.notnull()).max("N")
    distance = found["local"].where(best["N"] == last).max("N") - asymptote
    variables = {
        "exponent": (found["exponent"], "1", "exponent of N in the window"),
        "exponent_error": (found["exponent_error"], "1", "half-width of the 95 % interval of the exponent"),
        "limit": (found["limit"], "1", "local exponent extrapolated to infinite N"),
        "limit_error": (found["limit_error"], "1", "error of the extrapolated exponent"),
        "asymptote": (asymptote, "1", "exponent as N grows, by (10)"),
        "distance": (distance, "1", "local exponent at the largest N minus the asymptote"),
        "local_exponent": (found["local"], "1", "local exponent, d ln y / d ln N"),
        "local_exponent_error": (found["local_error"], "1", "error of the local exponent"),
        "n_values": (found["n_values"].astype("int64"), "1", "values of N in the fit"),
        "masked_points": masked_points(located, ["N"], "values of N without a finite optimal coupling"),
    }
    of = best.attrs.get("of", "energy_terminal")
    result = labelled(best, variables, "scaling_exponent", window=[low, high], of=of)
    return result.assign_attrs({name: best.attrs[name] for name in best.attrs if name.startswith("source")})


def _asymptote(best: xr.Dataset, like: xr.DataArray) -> xr.DataArray:
    """Exponent of J_op by (10), which holds for the energy; NaN elsewhere."""
    if not {"topology", "coupling"} <= set(best.coords) or best.attrs.get("of", "energy_terminal") != "energy_terminal":
        return like * np.nan

    def exponent(topology: str, coupling: str) -> float:
        known = TOPOLOGIES.get(topology)
        if known is None or known.exponent is None or coupling not in known.optimal_for:
            return math.nan
        return known.exponent

    values: xr.DataArray = xr.apply_ufunc(
        exponent, best["topology"], best["coupling"], vectorize=True, output_dtypes=[float]
    )
    return values.where(perfect(best) & (like["quantity"] == "J_op"))


def _power_law(N: FloatArray, y: FloatArray, error: FloatArray) -> tuple[Any, ...]:
    """Fit one curve y(N); see `scaling_exponent`."""
    from scipy.stats import linregress  # loading it takes longer than all the rest of this room

    slopes, slope_errors = np.full((2, len(N)), np.nan)
    known = np.isfinite(y) & (y > 0)
    count = int(known.sum())
    unknown = (math.nan,) * 4
    if count < 3:
        return *unknown, count, slopes, slope_errors
    x, values = np.log(N[known]), np.log(y[known])
    fit = linregress(x, values)
    statistical = fit.stderr * stdtrit(count - 2, 0.975)
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    measured = np.linalg.norm(weights * error[known] / y[known])
    local = np.array([slope_at(x, values, where) for where in x])
    slopes[known], slope_errors[known] = local.T
    return (
        fit.slope,
        math.hypot(statistical, measured),
        *limit(N[known], local[:, 0], _LIMIT_POWERS),
        count,
        slopes,
        slope_errors,
    )


SCALING_EXPONENT = Analysis(
    scaling_exponent,
    axes={"N": ()},
    along="J",
    seconds_per_curve=4e-3,
    after=OPTIMAL_COUPLING,
    pictures=(Picture("local_exponent", ("N",), least=MIN_SAMPLES, title="Local scaling exponents", logx=True),),
    labels={"local_exponent": "local exponent of N"},
    words={"energy_op": "energy there"},
    settings=("window",),
)
ANALYSES = (SCALING_EXPONENT,)
