"""More samples where they are needed: the solver is asked again until an optimal coupling is known well enough.

Every curve over J has its peak elsewhere, so more values on the common axis J would be solved for all curves and used
by one; and the sweep file would no longer be that of the dataset. So the samples are a group of their own in the same
store, `data.zarr/refined`: the same variables with the dimension `sample` in the place of J, and the coupling in
`J_abs`. It only grows: what has been sampled is never lost nor solved again, also when the sweep is extended. Along
another axis than J, say gamma_ratio, its values are in `gamma_ratio_sample`; a run has samples along one axis.
"""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from qbsweep.analysis.files import to_zarr
from qbsweep.analysis.fits import MIN_SAMPLES, TOO_FEW
from qbsweep.analysis.inputs import in_memory
from qbsweep.analysis.optimal_coupling import (
    axis_of,
    curves,
    optimal_coupling,
    optimised_axis,
    place_of,
    scale_of,
    with_dims,
)
from qbsweep.analysis.peaks import EDGE, LN_J, LOCATED, PLATEAU, Scale, find_optimum, sorted_samples
from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError, UnreadableError
from qbsweep.runs.box import solve_box
from qbsweep.runs.opening import locked, open_run
from qbsweep.solvers.status import OK
from qbsweep.store.directory import RunDirectory, existing
from qbsweep.store.layout import attributes_of
from qbsweep.store.provenance import provenance
from qbsweep.store.readable import readable
from qbsweep.store.reading import open_dataset
from qbsweep.store.replace import standing
from qbsweep.store.scratch import replace_tree
from qbsweep.store.seals import DamagedError, is_sealed, require_unchanged
from qbsweep.sweeps.axes import Axis
from qbsweep.sweeps.changes import check_extends
from qbsweep.sweeps.spec import SweepSpec, dump_spec, parse_spec
from qbsweep.sweeps.variables import STEADY_SCALARS, VARIABLES, VERDICT
from qbsweep.text import command

_POINTS = 8  # per round and curve
_ROUNDS = 12
_OUTWARD = 4.0  # by which factor in J beyond the samples a round looks for a peak
_FINEST = 1e-6  # samples nearer to each other, in ln J or relative to the largest, differ by rounding only
_SAVE_SECONDS = 10.0  # so much work a crash can cost

Arrays = dict[str, np.ndarray[Any, Any]]


def open_refined(directory: Path) -> xr.Dataset | None:
    """Open the samples that `refine` has added to a run directory, or None.

    Raises
    ------
    QbsweepError
        If they are of another sweep than the dataset, or damaged.
    """
    run = existing(directory)
    path = standing(run.refined)
    if path is None:
        return None
    with readable(run.data if is_sealed(path) else path):
        _require_sound(path, run)
        with xr.open_zarr(path, chunks=None) as opened:
            samples: xr.Dataset = opened.load()
        spec = parse_spec(samples.attrs["spec"])
    now = open_run(directory)[1].spec
    try:
        check_extends(spec, now, directory)
    except QbsweepError as error:
        raise QbsweepError(
            f"{path} has samples of another sweep than {path.parent.name} ({error}); move it away"
        ) from None
    return _labelled_as(now, samples)


def _labelled_as(spec: SweepSpec, samples: xr.Dataset) -> xr.Dataset:
    """Write numbers of Fock levels as labels if 'auto' or levels by role have come to lie beside them since."""
    levels = samples.coords.get("fock_levels")
    if levels is None or spec.axis("fock_levels").array.dtype != object:
        return samples
    return samples.assign_coords(fock_levels=levels.astype(str).astype(object))


def _require_sound(path: Path, run: RunDirectory) -> None:
    try:
        require_unchanged(path)
    except DamagedError as error:
        aside = command("check", "--repair", run.path)
        raise UnreadableError(f"{path} is damaged: {error}; `{aside}` puts it aside") from error


def refine(
    directory: Path,
    tolerance: float = 1e-6,
    of: str = "energy_terminal",
    along: str | None = None,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> xr.Dataset:
    """Sample a run's curves around their maxima until J_op is known to a relative tolerance.

    A curve that is largest at an edge is followed outwards, one that saturates until its saturation value is
    known as well. Works in this process; each curve is given up after 12 rounds of 8 points.

    Parameters
    ----------
    directory : Path
        A run directory whose dataset has an axis J, or another one to optimise.
    tolerance : float
        Relative, of `J_op_error`, or of `saturation_error` on a plateau.
    of : str
        The steady-state variable to maximise.
    along : str, optional
        The axis of the curves; default: J, else gamma_ratio.
    track : callable
        Wraps the curves to iterate over: a progress bar.

    Returns
    -------
    Dataset
        What `optimal_coupling` says with the new samples; `J_op_error` tells what was reached.
    """
    if not 0 < tolerance < 1:
        raise QbsweepError(f"the tolerance of refine must lie between 0 and 1, but is {tolerance:g}")
    if of not in STEADY_SCALARS:
        raise QbsweepError(f"refine needs a steady-state variable of one value per point, not `{of}`")
    open_run(directory)  # before the lock makes a directory
    with locked(directory) as run:
        run.recover()
        _, store = open_run(directory)
        with readable(store.path), open_dataset(store.path) as data:
            along = optimised_axis(data, along)
            ds = in_memory(data, (of,), "refine").assign_attrs(data.attrs)
        samples = _Samples(store.spec, ds, of, along, _along(along, open_refined(directory), run.refined))
        try:
            _refine_all(samples, curves(ds, of, along, along), (tolerance, of), track, run.refined)
        finally:
            samples.save(run.refined)
        return optimal_coupling(ds, of, along, samples.dataset())


def _along(axis: str, earlier: xr.Dataset | None, path: Path) -> xr.Dataset | None:
    """Return earlier samples, if there are any; raises QbsweepError if they are along another axis."""
    if earlier is not None and axis_of(earlier) != axis:
        raise QbsweepError(f"{path} has samples along {axis_of(earlier)}; move it away to sample along {axis}")
    return earlier


class _Samples:
    """Samples per curve, the curves numbered by the axes of the dataset without the one that they are over."""

    def __init__(self, spec: SweepSpec, ds: xr.Dataset, of: str, along: str, earlier: xr.Dataset | None) -> None:
        self.spec, self.ds, self.along = spec, ds, along
        self._place = place_of(along)
        self.dims = [name for name in spec.axes if name != along]
        self.shape = tuple(len(spec.axes[name]) for name in self.dims)
        outputs = tuple(name for name in spec.outputs if name in (*STEADY_SCALARS, *VERDICT))
        self._steady = replace(spec, times=None, outputs=outputs)
        self._names = (self._place, *outputs, "solve_seconds", "status")
        self._of: dict[tuple[int, ...], Arrays] = {}
        self._fresh = False
        if earlier is not None:
            self._take(earlier)

    def _take(self, earlier: xr.Dataset) -> None:
        """Find the place of earlier samples on the axes of the dataset, which may have grown since."""
        earlier = with_dims(earlier, self.dims)
        places = [[self.spec.values(dim).index(value) for value in earlier[dim].values.tolist()] for dim in self.dims]
        arrays = {name: earlier[name].transpose(*self.dims, "sample").values for name in self._names}
        for index in np.ndindex(arrays[self._place].shape[:-1]):
            real = np.isfinite(arrays[self._place][index])
            if real.any():
                where = tuple(place[i] for place, i in zip(places, index, strict=True))
                self._of[where] = {name: array[index][real] for name, array in arrays.items()}

    def usable(self, curve: tuple[int, ...], of: str) -> tuple[FloatArray, FloatArray]:
        """Return couplings and energies of the samples of a curve that are ok."""
        arrays = self._of.get(curve)
        if arrays is None:
            return np.empty(0), np.empty(0)
        good = arrays["status"] == OK
        return arrays[self._place][good], arrays[of][good]

    def solve(self, curve: tuple[int, ...], new: FloatArray) -> None:
        """Add the solutions of a curve at new places: couplings in omega, else in the unit of the axis."""
        unit = "omega" if self.along == "J" else self._steady.axes[self.along].unit
        axes = {**self._steady.axes, self.along: Axis(self.along, new, unit, new.tolist())}
        at = dict(zip(self.dims, curve, strict=True))
        indices = tuple(np.arange(len(new)) if name == self.along else np.array([at[name]]) for name in axes)
        solved = solve_box(replace(self._steady, axes=axes), indices).arrays
        found = {self._place: new, **{name: solved[name].reshape(len(new)) for name in self._names[1:]}}
        old = self._of.get(curve)
        self._of[curve] = found if old is None else {n: np.concatenate([old[n], found[n]]) for n in self._names}
        self._fresh = True

    def dataset(self) -> xr.Dataset | None:
        """Return all samples as a labelled dataset, or None if there are none; curves with fewer end in NaN."""
        if not self._of:
            return None
        longest = max(len(arrays[self._place]) for arrays in self._of.values())
        variables = {}
        for name in self._names:
            fill, dtype = (np.nan, "float64") if name == self._place else (VARIABLES[name].fill, VARIABLES[name].dtype)
            values = np.full((*self.shape, longest), fill, dtype)
            for curve, arrays in self._of.items():
                values[curve][: len(arrays[name])] = arrays[name]
            variables[name] = ((*self.dims, "sample"), values, self._labels(name))
        coords = {name: c.variable for name, c in self.ds.coords.items() if self.along not in c.dims}
        coords["sample"] = xr.Variable(
            "sample", np.arange(longest), {"units": "1", "long_name": "number of the sample"}
        )
        return xr.Dataset(variables, coords, self._attributes()).set_coords(self._place)

    def _labels(self, name: str) -> dict[str, str]:
        if name == "J_abs":
            return {"units": "omega", "long_name": "coherent coupling"}
        if name == self._place:
            return dict(self.ds[self.along].attrs)
        return {
            "units": str(attributes_of(self.spec, VARIABLES[name])["units"]),
            "long_name": VARIABLES[name].long_name,
        }

    def _attributes(self) -> dict[str, Any]:
        return {
            "title": f"{self.spec.name}, refined samples",
            "dataset_id": uuid.uuid4().hex,
            "spec": dump_spec(self.spec),
            "spec_digest": self.spec.digest(),
            "source_dataset_id": self.ds.attrs["dataset_id"],
            **({} if self.along == "J" else {"along": self.along}),
            **provenance(),
        }

    def save(self, path: Path) -> None:
        """Write what has been added since the last time."""
        dataset = self.dataset()
        if self._fresh and dataset is not None:
            replace_tree(path, lambda new: to_zarr(xr.DataTree(dataset), new))
            self._fresh = False


def _refine_all(
    samples: _Samples,
    base: xr.Dataset,
    goal: tuple[float, str],
    track: Callable[[Iterable[Any]], Iterable[Any]],
    path: Path,
) -> None:
    tolerance, of = goal
    scale = scale_of(samples.along)
    base = base.transpose(*samples.dims, "point")
    J, energy = base["J_sample"].values, base["energy"].where(base["good"]).values
    saved = time.monotonic()
    for curve in track(list(np.ndindex(samples.shape))):
        for _ in range(_ROUNDS):
            more_J, more_energy = samples.usable(curve, of)
            J_all = np.concatenate([J[curve], more_J])
            new = next_couplings(J_all, np.concatenate([energy[curve], more_energy]), tolerance, scale)
            if not len(new):
                break
            samples.solve(curve, new)
            if len(samples.usable(curve, of)[0]) == len(more_J):
                break  # nothing there can be solved
        if time.monotonic() - saved > _SAVE_SECONDS:
            samples.save(path)
            saved = time.monotonic()


def next_couplings(J: FloatArray, energy: FloatArray, tolerance: float, scale: Scale = LN_J) -> FloatArray:
    """Return where to sample a curve next; nothing if its optimum is known, or cannot be known better."""
    found = find_optimum(J, energy, scale)
    J, energy = sorted_samples(J, energy, scale)
    if found.verdict in LOCATED and found.J_error <= tolerance * abs(found.J):
        return np.empty(0)
    if found.verdict == PLATEAU and found.saturation_error <= tolerance * found.saturation:
        return np.empty(0)
    x = scale.forward(J)
    reach = np.log(_OUTWARD) if scale.logarithmic else x[-1] - x[0] if len(x) > 1 else 1.0
    if found.verdict in (EDGE, PLATEAU):
        end, way = (x[0], -1) if found.J_best == J[0] else (x[-1], 1)
        return _within(scale, end + way * reach * np.arange(1, _POINTS + 1) / _POINTS, x)
    if found.verdict == TOO_FEW and len(J) < MIN_SAMPLES:
        return _within(scale, np.linspace(x[0] - reach, x[-1] + reach, _POINTS), x)
    if found.verdict == TOO_FEW or found.verdict in LOCATED:
        best = int(energy.argmax())
        low, high = x[best - 1], x[best + 1]
        finest = _FINEST if scale.logarithmic else _FINEST * np.abs(x).max()
        if high - low > _POINTS * finest:
            inside = np.linspace(low, high, _POINTS + 2)[1:-1]
            return scale.back(inside[np.abs(inside[:, None] - x).min(axis=1) > finest])
    return np.empty(0)


def _within(scale: Scale, new: FloatArray, x: FloatArray) -> FloatArray:
    """Return the places that the limits of the parameter allow, and that have no sample yet."""
    values = np.unique(np.clip(scale.back(new), scale.lowest, scale.highest))
    return values[~np.isin(values, scale.back(x))]
