"""Which charts fit a dataset and its analyses, by the axes that it has."""

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from qbsweep.figures.chart import Chart, against
from qbsweep.physics.topologies import TOPOLOGIES, optimal_coupling


def charts(ds: xr.Dataset, results: Mapping[str, xr.Dataset] | None = None) -> list[Chart]:
    """Return the charts that fit, the most telling first."""
    of_analyses = list(of_results(results or {}))
    optima = [chart for chart in of_analyses if chart.variable in ("J_op", "energy_op")]
    return [*optima, *of_dataset(ds), *(chart for chart in of_analyses if chart not in optima)]


def of_dataset(ds: xr.Dataset) -> Iterator[Chart]:
    """Choose charts of a dataset: energies and ergotropies over every numeric axis, in time, and over the modes."""
    scalars = [name for name in ("energy_terminal", "ergotropy_terminal") if name in ds]
    if not scalars:
        scalars = [name for name in ("energy_batteries", "energy_charger") if name in ds][:1]
    if not _has_noise(ds) and len(scalars) == 2:
        scalars = scalars[:1]  # in vacuum the ergotropy is the energy
    for x in numeric_axes(ds):
        for name in scalars:
            yield against(ds, name, x)
    yield from _in_time(ds)
    for name in ("energy", "ergotropy"):
        if name in ds and ds.sizes["mode"] > 2 and (name == "energy" or _has_noise(ds)):
            yield against(ds, name, "mode", points=True, logx=False)
    if "truncation_error" in ds and numeric_axes(ds):
        yield _of_truncation(ds, "fock_levels" if "fock_levels" in ds.dims else numeric_axes(ds)[0])


def numeric_axes(ds: xr.Dataset) -> list[str]:
    """Return the axes of the sweep that hold numbers, more than one, J first."""
    dims = [str(dim) for dim in ds["status"].dims if ds.sizes[dim] > 1]
    numeric = [dim for dim in dims if np.issubdtype(ds[dim].dtype, np.number)]
    return sorted(numeric, key=lambda dim: dim != "J")


def _has_noise(ds: xr.Dataset) -> bool:
    """Whether some bath is not the vacuum, or some point is truncated: ergotropy may differ from energy."""
    return any(name in ds.coords and bool((ds[name] > 0).any()) for name in ("n_th", "r")) or "levels_used" in ds


def _in_time(ds: xr.Dataset) -> Iterator[Chart]:
    for name in ("energy_t", "ergotropy_t"):
        if name not in ds or (name == "ergotropy_t" and not _has_noise(ds)):
            continue
        what = name.removesuffix("_t")
        title = f"Charging: terminal {what} in time"
        caption = f"{what} of the terminal battery from vacuum at t = 0"
        yield against(ds, name, "time", name=f"terminal-{name}", title=title, caption=caption, terminal=True)
        if name == "energy_t" and 2 < ds.sizes["mode"] <= 8:
            caption = "from vacuum at t = 0; the last battery is the terminal one"
            title = f"Charging: {what} of every mode in time"
            yield against(ds, name, "time", name="modes-in-time", title=title, caption=caption, by=("mode",))


def _of_truncation(ds: xr.Dataset, x: str) -> Chart:
    if "solver" in ds.dims:
        ds = ds.sel(solver="lindblad", drop=True)
    level = float(ds["tolerance"].item()) if ds["tolerance"].ndim == 0 else None
    return against(ds, "truncation_error", x, title="How far to trust the truncation", logy=True, level=level)


def of_results(results: Mapping[str, xr.Dataset]) -> Iterator[Chart]:
    """Choose charts of analyses."""
    best = results.get("optimal_coupling")
    if best is not None and "N" in best.dims and bool(best["J_op"].notnull().any()):
        yield optimum(best)
        yield against(best, "energy_op", "N", title="Energy at the optimal coupling", logx=True, logy=True, points=True)
    if "scaling_exponent" in results and results["scaling_exponent"].sizes.get("N", 0) > 6:
        yield against(results["scaling_exponent"], "local_exponent", "N", title="Local scaling exponents", logx=True)
    if "odd_even_ratio" in results and "ratio_at_J_op" in results["odd_even_ratio"]:
        ratio = results["odd_even_ratio"]
        caption = "E(even N) over the geometric mean of its odd neighbours, each at its own J_op of (10)"
        yield against(ratio, "ratio_at_J_op", "N", title="Odd against even", caption=caption, level=1.0, points=True)
    yield from _comparisons(results)
    for name, variable in (("settling_time", "settling_time"), ("charging_power", "peak_power")):
        if name in results:
            yield from _over_one_axis(results[name], variable, ("N", "J", "n_th", "r"))


def optimum(best: xr.Dataset) -> Chart:
    """Chart J_op against N beside the closed form (10)."""
    caption = "points: between the samples of the dataset; thin lines: (10)"
    if "kappa" not in best.coords or best["kappa"].ndim or "topology" not in best.coords:
        return against(best, "J_op", "N", title="Optimal coupling", logx=True, logy=True, points=True)
    return against(
        best,
        "J_op",
        "N",
        title="Optimal coupling against the number of batteries",
        caption=caption,
        logx=True,
        logy=True,
        points=True,
        reference=_closed_form(best),
        theory="eq. (10)",
        joined=False,
    )


def _closed_form(best: xr.Dataset) -> xr.DataArray:
    """Eq. (10) where it holds, NaN elsewhere."""
    kappa = float(best["kappa"].item())

    def value(topology: str, N: int, coupling: str) -> float:
        holds = topology in TOPOLOGIES and coupling in TOPOLOGIES[topology].optimal_for
        return float(optimal_coupling(topology, N, kappa)) if holds else np.nan

    coupling = best["coupling"] if "coupling" in best.coords else xr.DataArray("nonreciprocal")
    reference: xr.DataArray = xr.apply_ufunc(value, best["topology"], best["N"], coupling, vectorize=True)
    return reference.squeeze()


def _comparisons(results: Mapping[str, xr.Dataset]) -> Iterator[Chart]:
    if "nonreciprocal_advantage" in results:
        result = results["nonreciprocal_advantage"]
        caption = "below 1 the reciprocal network stores more, between kappa/(2N) and kappa/2 for a star, (14)"
        for x in ("J", "N"):
            if x in result["advantage"].dims and result.sizes[x] > 1:
                yield against(result, "advantage", x, title="Nonreciprocal advantage", caption=caption, level=1.0)
                break
    if "enhancement" in results:
        for name in ("enhancement", "ergotropy_enhancement"):
            if name in results["enhancement"]:
                yield against(results["enhancement"], name, "r", level=1.0)
    fraction = results.get("ergotropy_fraction")
    if fraction is not None and float(fraction["ergotropy_fraction"].min()) < 0.999:
        yield from _over_one_axis(fraction, "ergotropy_fraction", ("r", "n_th", "J", "N"))


def _over_one_axis(result: xr.Dataset, variable: str, axes: tuple[str, ...]) -> Iterator[Chart]:
    """Chart a variable over the first of some axes that it has, if it has one."""
    array = result[variable]
    for x in axes:
        if array.sizes.get(x, 0) > 1 and bool(array.notnull().any()):
            yield against(result, variable, x)
            return
