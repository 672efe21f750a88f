"""Whether a run directory still is what was written, and whether its numbers are those that its sweep gives."""

import json
import shutil
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qbsweep.arrays import Array
from qbsweep.runs.box import solve_box
from qbsweep.runs.state import pending_blocks
from qbsweep.solvers.status import OK
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.examine import examine, examine_digest, examine_rest, examine_tree, repair, repair_rest
from qbsweep.store.seals import Seals
from qbsweep.sweeps.variables import VARIABLES
from qbsweep.text import duration, size_of

AGREE = 1e-9
"""So much may a number differ, relative to the largest of its variable at the point, when it is computed again."""


@dataclass(slots=True)
class Findings:
    """What a check has found.

    Attributes
    ----------
    damages : list of str
        Files that are not what was written, a sentence each.
    repaired : bool
        Whether what they held was made pending, or written again.
    blocks : int
        Blocks that are pending for it.
    bytes, seconds : int, float
        Read, and how long it took.
    recomputed : int
        Points that were solved again.
    worst : float
        The largest difference among them, relative.
    differ : list of dict
        Labels of the points whose numbers differ by more than `AGREE`, with the variable and both values.
    notes : list of str
        What is no damage, but worth knowing.
    """

    damages: list[str] = field(default_factory=list)
    repaired: bool = False
    blocks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    recomputed: int = 0
    worst: float = 0.0
    differ: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rate = f", {size_of(self.bytes / self.seconds)}/s" if self.seconds else ""
        lines = [f"{len(self.damages):,} damaged files; {size_of(self.bytes)} read in {duration(self.seconds)}{rate}"]
        lines += self.damages
        if self.damages and self.repaired:
            lines.append(f"mended; {self.blocks:,} blocks are pending, `qbsweep run` solves them again")
        elif self.damages:
            lines.append("`--repair` makes their points pending")
        if self.recomputed:
            lines.append(f"{self.recomputed:,} points solved again: the largest difference is {self.worst:.1e}")
        lines += [f"other numbers: {json.dumps(one)}" for one in self.differ]
        return "\n".join([*lines, *self.notes])

    @property
    def exit_code(self) -> int:
        """Return 0 sound (or mended), 1 damaged, 3 other numbers than before."""
        if self.differ:
            return 3
        return 1 if self.damages and not self.repaired else 0


def check_files(directory: RunDirectory, mend: bool) -> Findings:
    """Read every file of a dataset; with `mend`, for which the caller holds the lock, mend what is damaged.

    Raises
    ------
    QbsweepError
        If the dataset is of an earlier format, or nothing says any more what it is.
    """
    found = Findings(repaired=mend)
    if not Seals(directory.data).folder.is_dir():
        Store(directory.data).require_current()
    rest = examine_rest(directory.data)
    found.damages += [damage.what for damage in rest]
    if rest and not mend:
        found.notes.append("the numbers were not looked at, since it is not known what they are")
        return found
    if rest:
        repair_rest(directory.data)
    store = Store(directory.data)
    store.require_current()
    damages = [*examine(store), *examine_digest(store)]
    found.damages += dict.fromkeys(damage.what for damage in damages)
    found.bytes = sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file())
    if mend:
        found.blocks = len(repair(store, damages))
    found.notes += _books(directory, store, found)
    for tree, again in ((directory.refined, "qbsweep analyze --refine"), (directory.analysis_data, "qbsweep analyze")):
        if changed := examine_tree(tree):
            found.damages += changed
            found.notes.append(f"`{again}` makes {tree.name} again")
            if mend:
                shutil.rmtree(tree)
    return found


def _books(directory: RunDirectory, store: Store, found: Findings) -> list[str]:
    """Compare the log with `status`; the log is for people, so nothing depends on what it lacks."""
    events = {event["block"] for event in directory.events() if event.get("dataset") == store.id}
    pending = set(pending_blocks(store)) if not found.damages or found.repaired else set()
    notes = []
    log = directory.events_file.name
    if unsaid := store.grid.n_blocks - len(pending | events):
        notes.append(f"{unsaid:,} finished blocks have no line in {log}; the next `run` adds it")
    if again := events & pending:
        notes.append(f"{len(again):,} blocks that {log} calls finished are pending, to be solved again")
        files = {store.chunks.file("status", store.grid.chunk_of(block)) for block in again}
        notes += [f"{file} is missing" for file in sorted(files) if not file.exists()]
    return notes


def recompute(store: Store, count: int, found: Findings, seed: int | None = None) -> None:
    """Solve a random sample of the points that are ok again, and compare."""
    random = np.random.default_rng(seed)
    for place in _sample(store, count, random):
        fresh = solve_box(store.spec, tuple(np.array([i]) for i in place)).arrays
        kept = store.select([np.array([i]) for i in place])
        found.recomputed += 1
        names = [name for name in store.spec.outputs if VARIABLES[name].units == "omega"]
        scale = max((float(np.nanmax(np.abs(kept[name]), initial=0.0)) for name in names), default=0.0) or 1.0
        for name in names:
            difference = _difference(kept[name], fresh[name]) / scale
            found.worst = max(found.worst, difference)
            if difference > AGREE:
                labels = {name: axis.values[i] for (name, axis), i in zip(store.spec.axes.items(), place, strict=True)}
                found.differ.append({"labels": labels, "variable": name, "difference": difference})


def _difference(kept: Array, fresh: Array) -> float:
    """Return the largest difference; infinite if only one of two numbers is one."""
    if (np.isnan(kept) != np.isnan(fresh)).any():
        return np.inf
    return float(np.nanmax(np.abs(kept - fresh), initial=0.0))


def _sample(store: Store, count: int, random: np.random.Generator) -> list[tuple[int, ...]]:
    """Draw points that are ok, each at most once; fewer if there are not so many."""
    good = np.array([tally.points[OK] for tally in store.tallies(with_verdicts=False)])
    drawn = random.multivariate_hypergeometric(good, min(count, int(good.sum())), method="marginals")
    places: list[tuple[int, ...]] = []
    for chunk in np.flatnonzero(drawn):
        start = [s.start for s in store.grid.chunks.region(int(chunk))]
        here = np.argwhere(store.read_chunk(int(chunk), ["status"])["status"] == OK)
        rows = random.choice(here, int(drawn[chunk]), replace=False) if here.shape[1] else here
        places += [tuple(int(i) + s for i, s in zip(row, start, strict=True)) for row in rows]
    return places
