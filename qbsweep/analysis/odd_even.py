"""Even against odd numbers of batteries."""

import math

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.fits import logarithms, value_at
from qbsweep.analysis.inputs import MissingAxisError, absolute_coupling, good_values, in_memory, ratio_of
from qbsweep.analysis.outputs import labelled, masked_points
from qbsweep.arrays import FloatArray
from qbsweep.physics.topologies import TOPOLOGIES


def odd_even_ratio(ds: xr.Dataset, of: str = "energy_terminal") -> xr.Dataset:
    """Compare every even N with its odd neighbours: ``E(N) / sqrt(E(N-1) E(N+1))``.

    Parameters
    ----------
    ds : Dataset
        Of a sweep with an axis N that holds an even number and both its neighbours.
    of : str
        The variable to compare, of one value per point.

    Returns
    -------
    Dataset
        Over the even N: `ratio` at every J of the dataset (with J in multiples of J_op: at the same multiple); and
        where J is an axis, `ratio_at_J_op` with every network at its own J_op of (10), interpolated in ln J, and
        `ratio_at_J_op_error`. (A reciprocal chain of even N has no optimum of its own; (10) is that of the ideal
        network, whatever is imperfect.) `masked_points` counts what is left out.
    """
    ODD_EVEN_RATIO.require(ds)
    ds = in_memory(ds, (of,), "odd_even_ratio")
    energy, good = good_values(ds, of)
    N = set(ds["N"].values.tolist())
    even = [n for n in sorted(N) if n % 2 == 0 and {n - 1, n + 1} <= N]
    if not even:
        raise MissingAxisError("odd_even_ratio", "N", "an even `N` and both its odd neighbours")

    def neighbours(values: xr.DataArray, offset: int) -> xr.DataArray:
        moved = values.sel(N=[n + offset for n in even])
        return moved.drop_vars("J_abs", errors="ignore").assign_coords(N=even)

    below, above = neighbours(energy, -1), neighbours(energy, 1)
    ratio = ratio_of(energy.sel(N=even), below**0.5 * above**0.5)
    what = ds[of].attrs.get("long_name", of)
    text = f"{what} of even N over the geometric mean of its odd neighbours"
    variables = {
        "ratio": (ratio, "1", text),
        "masked_points": masked_points(good),
    }
    if "J" in ds.dims:
        value, error = _log_at_optimum(ds, energy)
        at = value.sel(N=even) - (neighbours(value, -1) + neighbours(value, 1)) / 2
        squares = error.sel(N=even) ** 2 + (neighbours(error, -1) ** 2 + neighbours(error, 1) ** 2) / 4
        result: xr.DataArray = xr.apply_ufunc(np.exp, at)
        variables["ratio_at_J_op"] = (result, "1", f"{text}, every network at its J_op of (10)")
        variables["ratio_at_J_op_error"] = (result * squares**0.5, "1", "error of the ratio at J_op")
    return labelled(ds, variables, "odd_even_ratio", of=of)


def _log_at_optimum(ds: xr.Dataset, energy: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return ln E at J_op of (10) of each network, and its error; NaN for a topology without (10)."""

    def closed_form(topology: str, N: int, kappa: float) -> float:
        law = TOPOLOGIES[topology].optimal_coupling if topology in TOPOLOGIES else None
        return math.nan if law is None else float(law(N, kappa))

    def read(J: FloatArray, values: FloatArray, where: float) -> tuple[float, float]:
        return value_at(*logarithms(J, values), math.log(where)) if math.isfinite(where) else (math.nan, math.nan)

    where = xr.apply_ufunc(closed_form, ds["topology"], ds["N"], ds["kappa"], vectorize=True, output_dtypes=[float])
    value, error = xr.apply_ufunc(
        read,
        absolute_coupling(ds),
        energy,
        where,
        input_core_dims=[["J"], ["J"], []],
        output_core_dims=[[], []],
        vectorize=True,
    )
    return value, error


ODD_EVEN_RATIO = Analysis(
    odd_even_ratio,
    axes={"N": ()},
    along="J",
    seconds_per_curve=1e-3,
    pictures=(
        Picture(
            "ratio_at_J_op",
            ("N",),
            least=1,
            title="Odd against even",
            caption="E(even N) over the geometric mean of its odd neighbours, each at its own J_op of (10)",
            points=True,
            level=1.0,
        ),
    ),
    labels={"ratio_at_J_op": "odd-even ratio at J_op"},
)
ANALYSES = (ODD_EVEN_RATIO,)
