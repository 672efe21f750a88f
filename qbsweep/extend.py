"""What changed between the sweep of a run directory and a new one, and how the old results move over."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qbsweep.axes import Scalar
from qbsweep.errors import QbsweepError
from qbsweep.grid import Grid
from qbsweep.replacement import recover_tree
from qbsweep.spec import SweepSpec
from qbsweep.store import REFINED, Store

_SHOWN = 3


def check_extends(old: SweepSpec, new: SweepSpec, where: Path) -> None:
    """Raise QbsweepError with what changed, unless `new` only adds axis values to `old`."""
    changes = [*_axis_changes(old, new), *_other_changes(old, new)]
    if changes:
        raise QbsweepError(
            f"{where} holds another sweep: {'; '.join(changes)}. Only axis values may be added; "
            "undo the change or give another --out"
        )


def _axis_changes(old: SweepSpec, new: SweepSpec) -> list[str]:
    changes = []
    for name in (*old.axes, *old.fixed):
        before = old.axes.get(name) or old.fixed[name]
        after = new.axes.get(name) or new.fixed[name]
        kept = set(after.values)
        missing = [value for value in before.values if value not in kept]
        if before.unit != after.unit:
            changes.append(f"the unit of `{name}` was {before.unit} and is {after.unit}")
        elif name in old.axes and name not in new.axes:
            changes.append(f"`{name}` was an axis and is fixed")
        elif missing and name in new.fixed:
            changes.append(f"`{name}` was {before.values[0]} and is {after.values[0]}")
        elif missing:
            changes.append(f"`{name}` no longer has {_listed(missing)}")
    return changes


def _listed(values: list[Scalar]) -> str:
    more = f" and {len(values) - _SHOWN} more values" if len(values) > _SHOWN else ""
    return ", ".join(str(value) for value in values[:_SHOWN]) + more


def _other_changes(old: SweepSpec, new: SweepSpec) -> list[str]:
    changes = []
    if old.outputs != new.outputs:
        changes.append(f"`outputs` were {', '.join(old.outputs)} and are {', '.join(new.outputs)}")
    if (old.times and old.times.digest) != (new.times and new.times.digest):
        changes.append("`times` changed")
    changes += [f"network `{name}` changed" for name, form in old.networks.items() if new.networks.get(name) != form]
    return changes


def extended(store: Store, spec: SweepSpec, grid: Grid, path: Path, provenance: Mapping[str, Any]) -> None:
    """Allocate the dataset of `spec` at `path` and copy all results of `store` into it.

    A copy, not a resize: the new axes keep the order of the sweep file, wherever values were added, and
    until the copy is complete the old dataset is untouched.
    """
    from qbsweep.dataset import allocate  # see `run.prepare`

    latest = dict(store.provenance)
    before = [*(latest.pop("extends") or ()), latest]
    allocate(path, spec, grid, {**provenance, "extends": before})
    target = Store(path)
    origins = _origins(store.spec, spec)
    for number in range(grid.n_blocks):
        region = grid.block(number)
        here = [origin[s] for origin, s in zip(origins, region, strict=True)]
        kept = [np.flatnonzero(origin >= 0) for origin in here]
        if all(len(index) for index in kept):
            target.write(region, _copied(store, target, region, here, kept))
    recover_tree(store.path / REFINED)
    if (store.path / REFINED).exists():  # its samples know their own labels
        shutil.copytree(store.path / REFINED, path / REFINED)


def _origins(old: SweepSpec, new: SweepSpec) -> list[np.ndarray[Any, Any]]:
    """For every axis of the new grid, the index of each value in the old one, or -1."""
    origins = []
    for name, axis in new.axes.items():
        positions = {value: i for i, value in enumerate(old.values(name))}
        origins.append(np.array([positions.get(value, -1) for value in axis.values]))
    return origins


def _copied(
    store: Store,
    target: Store,
    region: tuple[slice, ...],
    origins: list[np.ndarray[Any, Any]],
    kept: list[np.ndarray[Any, Any]],
) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of a block of the target, filled with what the old dataset has of it."""
    arrays = target.read(region)
    inside = np.ix_(*kept)
    swept = [
        origin[index]
        for name, origin, index in zip(target.spec.axes, origins, kept, strict=True)
        if name in store.spec.axes
    ]
    for name, values in store.select(swept).items():
        lengths = tuple(len(index) for index in kept)
        part = values.reshape(*lengths, *values.shape[len(swept) :])
        box = arrays[name][inside]
        # An added, larger N makes the mode dimension longer; the old rows end earlier.
        box[(..., *(slice(0, n) for n in part.shape[len(lengths) :]))] = part
        arrays[name][inside] = box
    return arrays
