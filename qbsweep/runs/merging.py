"""Several runs made one: their points in one grid, as a run directory that goes on like any other."""

import itertools
import json
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path

from qbsweep.errors import QbsweepError
from qbsweep.runs.comparing import conflicts
from qbsweep.runs.opening import open_run
from qbsweep.runs.plan import make_grid
from qbsweep.store.allocate import allocate
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.disk import sync_folder, sync_tree
from qbsweep.store.extend import fill
from qbsweep.store.provenance import provenance
from qbsweep.store.records import append_line
from qbsweep.store.scratch import refuse_existing, scratch
from qbsweep.sweeps.joining import joined, nearly_same
from qbsweep.sweeps.spec import dump_spec
from qbsweep.text import labelled


def merge(paths: Sequence[Path], target: Path, tell: Callable[[str], object]) -> None:
    """Make a run directory with the points of several; nothing is written if they contradict each other."""
    opened = [open_run(path) for path in paths]
    stores = [store for _, store in opened]
    spec = reduce(joined, (store.spec for store in stores))
    for (one, first), (other, second) in itertools.combinations(zip(paths, stores, strict=True), 2):
        for note in nearly_same(first.spec, second.spec):
            tell(note)
        _require_agreement(one, first, other, second)
    sources = [
        {"path": str(path), "digest": s.digest, "dataset_id": s.id, **s.provenance}
        for path, s in zip(paths, stores, strict=True)
    ]
    with scratch(target) as folder:
        new = RunDirectory(folder / target.name)
        new.path.mkdir()
        allocate(new.data, spec, make_grid(spec), {**provenance(), "merges": json.dumps(sources)})
        fill(Store(new.data, safe=False), stores)
        new.write_sweep(spec.digest(), dump_spec(spec))
        for directory, _ in opened:
            for failure in directory.failures():
                append_line(new.failures_file, failure)
        sync_tree(new.path)
        refuse_existing(target)
        new.path.rename(target)
        sync_folder(target.parent)


def _require_agreement(one: Path, first: Store, other: Path, second: Store) -> None:
    count, worst = 0, ("", 0.0)
    for labels, name, apart in conflicts(first, second):
        count += 1
        if apart > worst[1]:
            where = f" at {labelled(labels)}" if labels else ""
            worst = f"`{name}`{where}", apart
    if count:
        raise QbsweepError(
            f"{one} and {other} contradict each other in {count:,} numbers: {worst[0]} differs by {worst[1]:.1e}, "
            "relative to the energies there; nothing was written"
        )
