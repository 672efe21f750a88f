"""Several runs made one: their points in one grid, as a run directory that goes on like any other."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from qbsweep.errors import QbsweepError
from qbsweep.runs.comparing import conflicts
from qbsweep.runs.events import note_unreported
from qbsweep.runs.opening import open_run
from qbsweep.runs.plan import make_grid
from qbsweep.runs.state import pending_blocks, progress_of
from qbsweep.solvers.status import FAILED, OK, SUSPECT
from qbsweep.store.allocate import allocate
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.extend import fill
from qbsweep.store.overlap import Overlap
from qbsweep.store.provenance import provenance
from qbsweep.store.records import append_lines
from qbsweep.store.scratch import placed
from qbsweep.sweeps.axes import keys_of
from qbsweep.sweeps.joining import joined, matched, nearly_same
from qbsweep.sweeps.spec import dump_spec
from qbsweep.text import command, counted, labelled


def merge(paths: Sequence[Path], target: Path, named: Path, tell: Callable[[str], object]) -> None:
    """Make a run directory with the points of several; nothing is written if they contradict each other.

    `named` is what its user calls `target`.
    """
    opened = [open_run(path) for path in paths]
    stores = [store for _, store in opened]
    spec = reduce(joined, (store.spec for store in stores))
    for (one, first), (other, second) in itertools.combinations(zip(paths, stores, strict=True), 2):
        _require_agreement(one, first, other, second)
    for path, store in zip(paths, stores, strict=True):
        for note in nearly_same(store.spec, spec):
            tell(f"{path}: {note}")
    sources = [
        {"path": str(path), "digest": s.digest, "dataset_id": s.id, **s.provenance}
        for path, s in zip(paths, stores, strict=True)
    ]
    grid = make_grid(spec)
    for note in _left_behind(opened, named):
        tell(note)
    with placed(target) as folder:
        new = RunDirectory(folder)
        new.path.mkdir()
        allocate(new.data, spec, grid, {**provenance(), "merges": json.dumps(sources)})
        merged = Store(new.data)
        fill(merged, stores)
        for path, store in zip(paths, stores, strict=True):
            _require_all(merged, store)
            _require_agreement(named, merged, path, store)
        points = progress_of(merged).points
        if points["pending"]:
            of_all = f"{points['pending']:,} of the {grid.n_points:,} points of the merged run"
            tell(f"{of_all} {'is' if points['pending'] == 1 else 'are'} solved in none of these runs, and pending")
        new.write_sweep(spec.digest(), dump_spec(spec))
        note_unreported(new, merged, pending_blocks(merged))
        if points["failed"]:
            append_lines(new.failures_file, itertools.chain(*(_failures(*one, merged) for one in opened)))


def _require_all(merged: Store, store: Store) -> None:
    """Raise QbsweepError if what a dataset has solved is not solved in the merged one."""
    lost = 0
    for part in Overlap(merged, store).parts(["status"]):
        here, there = (np.isin(arrays["status"], (OK, SUSPECT)) for arrays in (part.one, part.other))
        lost += int((there & ~here).sum())
    if lost:
        raise QbsweepError(f"{counted(lost, 'solved point')} would be lost; nothing was written")


def _left_behind(opened: Sequence[tuple[RunDirectory, Store]], named: Path) -> Iterator[str]:
    """Say what of the runs the merged one will not have."""
    if refined := [str(run.pack or run.path) for run, _ in opened if run.refined.exists()]:
        again = command("analyze", named, "--refine", "1e-9")
        yield (
            f"the samples that `analyze --refine` has added to {', '.join(refined)} are not merged; "
            f"`{again}` adds some to the new run"
        )


def _failures(directory: RunDirectory, store: Store, merged: Store) -> Iterator[dict[str, Any]]:
    """Return the failures of a run of whose points some are failed in the merged one too, with labels of its axes."""
    mine = store.spec
    fixed = {name: mine.values(name)[0] for name in merged.spec.axes if name in mine.fixed and not mine.ignores(name)}
    for failure in directory.failures():
        labels = {**fixed, **failure["labels"]}
        if _has_failed(merged, labels):
            yield {**{name: value for name, value in failure.items() if name != "block"}, "labels": labels}


def _has_failed(store: Store, labels: Mapping[str, Any]) -> bool:
    """Whether a point with these labels is failed, as far as they are understood."""
    at = []
    for name, axis in store.spec.axes.items():
        here = labels.get(name, axis.values)
        values = here if isinstance(here, list) else [here]
        if not all(isinstance(value, str | int | float) for value in values):
            return True
        at.append(matched(keys_of(name, values), axis.keys))
    if any((place < 0).any() for place in at):
        return True
    return bool((store.select(at, ["status"])["status"] == FAILED).any())


def _require_agreement(one: Path, first: Store, other: Path, second: Store) -> None:
    count, worst = 0, ("", 0.0)
    for labels, name, apart in conflicts(first, second):
        count += 1
        if apart > worst[1]:
            where = f" at {labelled(labels)}" if labels else ""
            worst = f"`{name}`{where}", apart
    if count:
        raise QbsweepError(
            f"{one} and {other} contradict each other in {counted(count, 'number')}: {worst[0]} differs by "
            f"{worst[1]:.1e}, relative to the energies there; nothing was written"
        )
