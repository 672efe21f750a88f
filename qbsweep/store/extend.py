"""What changed between the sweep of a run directory and a new one, and how the old results move over."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qbsweep.errors import QbsweepError
from qbsweep.solvers.status import FAILED, OK, PENDING, STATUS_NAMES, SUSPECT
from qbsweep.store.dataset import Store
from qbsweep.store.directory import REFINED
from qbsweep.store.disk import sync_tree
from qbsweep.store.grid import Grid
from qbsweep.store.provenance import structured
from qbsweep.store.replace import recover_tree
from qbsweep.sweeps.joining import places
from qbsweep.sweeps.spec import SweepSpec

_RANK = np.zeros(1 + max(STATUS_NAMES), dtype=np.int8)
_RANK[[PENDING, FAILED, SUSPECT, OK]] = range(4)


def extended(store: Store, spec: SweepSpec, grid: Grid, path: Path, provenance: Mapping[str, Any]) -> None:
    """Allocate the dataset of `spec` at `path` and copy all results of `store` into it.

    A copy, not a resize: the new axes keep the order of the sweep file, wherever values were added, and
    until the copy is complete the old dataset is untouched.
    """
    from qbsweep.store.allocate import allocate

    latest = dict(store.provenance)
    before = [*structured(latest.pop("extends", None), []), latest]
    allocate(path, spec, grid, {**provenance, "extends": json.dumps(before)}, store.generation + 1)
    fill(Store(path), [store])
    recover_tree(store.path / REFINED)
    if (store.path / REFINED).exists():  # its samples know their own labels
        shutil.copytree(store.path / REFINED, path / REFINED)
    sync_tree(path)


def fill(target: Store, sources: Sequence[Store]) -> None:
    """Copy all results of datasets into a new one that has their points.

    Where several have a point, what is ok counts more than what is suspect, then failed, then pending; of equals, the
    first.

    Raises
    ------
    QbsweepError
        If a dataset has points that the new one has no place for; nothing is dropped silently.
    """
    origins = [_origins(source.spec, target.spec) for source in sources]
    for chunk in range(target.grid.chunks.number):
        found: dict[str, np.ndarray[Any, Any]] = {}
        for source, origin in zip(sources, origins, strict=True):
            here = [index[s] for index, s in zip(origin, target.grid.chunks.region(chunk), strict=True)]
            kept = [np.flatnonzero(index >= 0) for index in here]
            if all(len(index) for index in kept):
                found = _better(found, _copied(source, target, chunk, here, kept))
        if found:
            target.write_chunk(chunk, found)


def _better(
    found: dict[str, np.ndarray[Any, Any]], more: dict[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    """Return at every point the better of two results."""
    if not found:
        return more
    take = _RANK[more["status"]] > _RANK[found["status"]]
    for name, values in more.items():
        found[name][take] = values[take]
    return found


def _origins(old: SweepSpec, new: SweepSpec) -> list[np.ndarray[Any, Any]]:
    """For every axis of the new grid, the index of each value in the old one, or -1."""
    found = {name: _origin(old, new, name) for name in new.parameters}
    return [found[name] for name in new.axes]


def _origin(old: SweepSpec, new: SweepSpec, name: str) -> np.ndarray[Any, Any]:
    """Return the index of each new value of a parameter in the old sweep, or -1; every old value has its place."""
    if old.ignores(name):
        return np.zeros(len(new.axis(name)), dtype=np.intp)
    place = places(old, new, name)
    if len(lost := np.flatnonzero(place < 0)):
        raise QbsweepError(
            f"the results at `{name}` {old.values(name)[lost[0]]} have no place in the new dataset; nothing was written"
        )
    origin = np.full(len(new.axis(name)), -1, dtype=np.intp)
    origin[place] = np.arange(len(place))
    return origin


def _copied(
    store: Store,
    target: Store,
    chunk: int,
    origins: list[np.ndarray[Any, Any]],
    kept: list[np.ndarray[Any, Any]],
) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of a chunk of the target, filled with what the old dataset has of it."""
    arrays = target.read_chunk(chunk)
    inside = np.ix_(*kept)
    swept = [
        origin[index]
        for name, origin, index in zip(target.spec.axes, origins, kept, strict=True)
        if name in store.spec.axes
    ]
    for name, values in store.select(swept).items():
        # Of what was fixed there is one value, for all of the new axis.
        lengths = [len(i) if name in store.spec.axes else 1 for name, i in zip(target.spec.axes, kept, strict=True)]
        part = values.reshape((*lengths, *values.shape[len(swept) :]))
        box = np.asarray(arrays[name][inside])
        # An added, larger N makes the mode dimension longer; the old rows end earlier.
        ends: tuple[Any, ...] = (..., *(slice(0, n) for n in part.shape[len(lengths) :]))
        box[ends] = part
        arrays[name][inside] = box
    return arrays
