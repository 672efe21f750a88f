"""Which charts fit a dataset and its analyses, by the axes that it has."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from qbsweep.analysis.declaration import Picture
from qbsweep.analysis.protocols import PROTOCOL, ends_empty, names
from qbsweep.analysis.registry import ANALYSES
from qbsweep.figures.chart import Chart, against
from qbsweep.figures.labels import meaning
from qbsweep.figures.maps import Map, axes_of_map, map_of
from qbsweep.sweeps.variables import VARIABLES

Drawn = Chart | Map
_ENERGIES = ("energy_terminal", "ergotropy_terminal", "energy_batteries", "energy_charger")


def charts(ds: xr.Dataset, results: Mapping[str, xr.Dataset] | None = None) -> list[Drawn]:
    """Return the charts that fit, the most telling first."""
    found = results or {}
    own = sorted(of_dataset(ds), key=lambda chart: not isinstance(chart, Map))  # lines are cuts of a map
    return [*_of_results(found, leading=True), *own, *_of_results(found, leading=False)]


def of_dataset(ds: xr.Dataset) -> Iterator[Drawn]:
    """Choose charts of a dataset: energies and ergotropies over every numeric axis, in time, and over the modes.

    Besides these, every other output that it has; but no steady ones where everything is empty in the end.
    """
    if not ends_empty(ds):
        yield from _steady(ds)
    yield from _in_time(ds)
    for name in [] if ends_empty(ds) else _outputs(ds, "mode"):
        if ds.sizes["mode"] > 2:
            yield against(ds, name, "mode", points=True, logx=False)
    axes = numeric_axes(ds)
    if "truncation_error" in ds and axes:
        yield _of_truncation(ds, "fock_levels" if "fock_levels" in axes else axes[0])


def _steady(ds: xr.Dataset) -> Iterator[Drawn]:
    scalars = [*_energies(ds), *(name for name in _outputs(ds, "scalar") if name not in _ENERGIES)]
    for x in numeric_axes(ds):
        for name in scalars:
            yield against(ds, name, x)
    if pair := axes_of_map(ds, numeric_axes(ds)):
        for name in _energies(ds):
            yield map_of(ds, name, *pair)


def _outputs(ds: xr.Dataset, group: str) -> list[str]:
    """Return the outputs of a group that a dataset has; no ergotropy beside an energy that it equals."""
    names = [variable.name for variable in VARIABLES.values() if variable.group == group and variable.name in ds]
    equal = {name.replace("energy", "ergotropy") for name in names if "energy" in name and not _has_noise(ds)}
    return [name for name in names if name not in equal]


def _energies(ds: xr.Dataset) -> list[str]:
    """Return the energy and ergotropy to show: those of the terminal battery, or one that stands for them."""
    there = [name for name in _ENERGIES if name in _outputs(ds, "scalar")]
    terminal = [name for name in there if name.endswith("_terminal")]
    return terminal or there[:1]


def numeric_axes(ds: xr.Dataset) -> list[str]:
    """Return the axes of the sweep that hold numbers, more than one, J first."""
    dims = [str(dim) for dim in ds["status"].dims if ds.sizes[dim] > 1]
    numeric = [dim for dim in dims if np.issubdtype(ds[dim].dtype, np.number) and dim != "seed"]
    return sorted(numeric, key=lambda dim: dim != "J")


def _has_noise(ds: xr.Dataset) -> bool:
    """Whether some bath is not the vacuum, or some point is truncated: ergotropy may differ from energy."""
    return any(name in ds.coords and bool((ds[name] > 0).any()) for name in ("n_th", "r")) or "levels_used" in ds


def _in_time(ds: xr.Dataset) -> Iterator[Chart]:
    for name in _outputs(ds, "time"):
        what = name.removesuffix("_t")
        since = "from vacuum at t = 0" if not ds.attrs.get("protocol") else "; shaded: the drive changes, or is off"
        if "mode" not in ds[name].dims:
            shaded = since if since.startswith(";") else ""
            yield against(ds, name, "time", caption=f"{meaning(name, ds[name])}{shaded}")
            continue
        terminal, every = f"Terminal {what} in time", f"Every mode's {what} in time"
        if not ds.attrs.get("protocol"):
            terminal, every = f"Charging: terminal {what} in time", f"Charging: {what} of every mode in time"
        caption = f"{what} of the terminal battery {since}".replace(" ;", ";")
        yield against(ds, name, "time", name=f"terminal-{name}", title=terminal, caption=caption, terminal=True)
        if name == "energy_t" and 2 < ds.sizes["mode"] <= 8:
            caption = f"{since.removeprefix('; ')}; the last battery is the terminal one"
            yield against(ds, name, "time", name="modes-in-time", title=every, caption=caption, by=("mode",))


def _of_truncation(ds: xr.Dataset, x: str) -> Chart:
    if "solver" in ds.dims:
        ds = ds.sel(solver="lindblad", drop=True)
    level = float(ds["tolerance"].item()) if ds["tolerance"].ndim == 0 else None
    return against(
        ds,
        "truncation_error",
        x,
        title="How far to trust the truncation (top: 1, or no bound)",
        caption=f"{meaning('truncation_error', ds['truncation_error'])}; drawn at 1 where it is more, or has no bound",
        logy=True,
        level=level,
        most=1.0,
    )


def of_result(result: xr.Dataset) -> list[Chart]:
    """Return the charts that an analysis declares, where they fit its result."""
    pictures = ANALYSES[str(result.attrs["analysis"])].pictures
    return [chart for picture in pictures if (chart := _of_picture(result, picture))]


def _of_results(results: Mapping[str, xr.Dataset], leading: bool) -> Iterator[Chart]:
    """Return those that go before the charts of the dataset itself, or those that follow."""
    for name, analysis in ANALYSES.items():
        for picture in analysis.pictures if name in results else ():
            chart = _of_picture(results[name], picture) if picture.leading == leading else None
            if chart:
                yield chart


def _of_picture(result: xr.Dataset, picture: Picture) -> Chart | None:
    if picture.variable not in result:
        return None
    array = result[picture.variable]
    if "seed" in array.dims:
        return None  # one network of many says nothing of the others
    named = names(result)
    axes = [axis for one in picture.axes for axis in (named if one == PROTOCOL else [one])]
    fitting = [axis for axis in axes if array.sizes.get(axis, 0) >= picture.least]
    x = next((axis for axis in fitting if array.sizes[axis] > 1), fitting[0] if fitting else None)
    if x is None or not bool(array.notnull().any()):
        return None
    if picture.below is not None and float(array.min()) >= picture.below:
        return None
    told = ("title", "caption", "logx", "logy", "points", "level", "band")
    options: dict[str, Any] = {name: getattr(picture, name) for name in told}
    options = {name: value for name, value in options.items() if value not in (None, "")}
    if picture.notes and (note := picture.notes(result)):
        options["caption"] = f"{picture.caption}; {note}"
    theory = picture.theory.values(result) if picture.theory else None
    if picture.theory and theory is not None:
        options |= {"caption": picture.theory.caption, "theory": picture.theory.name}
        options |= {"reference": theory, "joined": False}
    return against(result, picture.variable, x, **options)
