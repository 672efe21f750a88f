"""Whether a run directory still is what was written, and whether its numbers are those that its sweep gives."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qbsweep.arrays import Array
from qbsweep.errors import UnreadableError
from qbsweep.runs.agreement import AGREE, apart, per_point
from qbsweep.runs.box import solve_box
from qbsweep.runs.events import reported
from qbsweep.runs.state import pending_blocks
from qbsweep.solvers.status import OK, STATUS_NAMES, SUSPECT, VERDICT_NAMES
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.disk import remove
from qbsweep.store.examine import examine, examine_digest, examine_rest, examine_tree, repair, repair_rest
from qbsweep.store.layout import labels_behind
from qbsweep.store.lock import lock_holder
from qbsweep.store.seals import DamagedError, Seals
from qbsweep.sweeps.variables import OUTPUTS, VARIABLES
from qbsweep.text import command, counted, duration, labelled, size_of


@dataclass(slots=True, repr=False)
class Findings:
    """What a check has found.

    Attributes
    ----------
    damages : list of str
        Files that are not what was written, a sentence each.
    repaired : bool
        Whether what they held was made pending, or written again: all of it.
    unmended : list of str
        Those of which nothing could be made any more.
    blocks : int
        Blocks that are pending for it.
    bytes, seconds : int, float
        Read, and how long it took.
    recomputed : int
        Points that were solved again.
    worst : float
        The largest difference among them, relative.
    differ : list of dict
        Numbers that differ by more than 1e-9, relative to the largest energy of their point: of every variable and
        point the largest, with the `variable`, its `labels`, the relative `difference`, and both numbers (`before`,
        `now`); or points of which `status` or `verdict` says something else than before, with both words.
    notes : list of str
        What is no damage, but worth knowing.
    """

    damages: list[str] = field(default_factory=list)
    repaired: bool = False
    unmended: list[str] = field(default_factory=list)
    blocks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    recomputed: int = 0
    worst: float = 0.0
    differ: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        read = f"; {size_of(self.bytes)} read in {duration(self.seconds)}" if self.bytes else ""
        rate = f", {size_of(self.bytes / self.seconds)}/s" if self.bytes and self.seconds else ""
        lines = [f"{counted(len(self.damages), 'damaged file')}{read}{rate}"]
        lines += self.damages
        lines += [f"cannot be mended: {what}; run the sweep anew, in another directory" for what in self.unmended]
        if self.damages and self.repaired:
            again = f"`qbsweep run` has {counted(self.blocks, 'block')} to solve again"
            lines.append(f"mended; {again if self.blocks else 'no point has to be solved again'}")
        elif self.damages and not self.unmended:
            lines.append("`--repair` mends that; what it cannot write again is pending then, and `run` solves it")
        if self.recomputed:
            lines.append(
                f"{counted(self.recomputed, 'point')} solved again: the largest difference is {self.worst:.1e}"
            )
        lines += map(_other, self.differ)
        return "\n".join([*lines, *self.notes])

    def __repr__(self) -> str:
        return str(self)

    @property
    def exit_code(self) -> int:
        """Return 0 sound (or mended), 1 damaged, 3 other numbers than before."""
        if self.differ:
            return 3
        return 1 if self.damages and not self.repaired else 0


def _other(one: dict[str, Any]) -> str:
    where = f" at {labelled(one['labels'])}" if one["labels"] else ""
    return f"other numbers: {one['variable']}{where} is {one['before']!r}, and {one['now']!r} when solved again"


def check_files(directory: RunDirectory, mend: bool) -> Findings:
    """Read every file of a dataset; with `mend`, for which the caller holds the lock, mend what is damaged.

    Raises
    ------
    QbsweepError
        If the dataset is of an earlier format, or nothing says any more what it is.
    """
    found = Findings(repaired=mend)
    if not Seals(directory.data).folder.is_dir():
        _require_current(directory.data)
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
    found.bytes = _size(store.path)
    if mend:
        found.blocks = len(repair(store, damages))
        found.unmended = [damage.what for damage in damages if not damage.can_be_mended]
        found.repaired = not found.unmended
    if mend or not (found.damages or lock_holder(directory.lock_file)):  # of a run that goes on it lags behind
        found.notes += _books(directory, store, mend)
    _check_results(directory, found, mend)
    return found


def _require_current(data: Path) -> None:
    """Refuse a dataset of an earlier format, which has no seals; one that has lost them is to be examined."""
    try:
        Store(data).require_current()
    except UnreadableError as error:
        if not isinstance(error.__cause__, DamagedError):
            raise


def _check_results(directory: RunDirectory, found: Findings, mend: bool) -> None:
    """Examine what `analyze` has written; samples, which take long to solve, are put aside rather than removed."""
    analyze = ("analyze", directory.pack or directory.path)
    for tree, again in (
        (directory.refined, command(*analyze, "--refine", "1e-9")),
        (directory.analysis_data, command(*analyze)),
    ):
        changed = examine_tree(tree)
        found.damages += changed
        if changed:
            what = _moved_away(directory, tree) if mend else f"{tree.name} is damaged"
            found.notes.append(f"{what}; `{again}` makes it again")


def _moved_away(directory: RunDirectory, tree: Path) -> str:
    if tree != directory.refined:
        remove(tree)
        return f"{tree} is removed"
    aside = tree.with_name(f"{tree.name}.damaged")
    remove(aside)
    tree.rename(aside)
    return f"{tree} is put aside as {aside.name}"


def _size(data: Path) -> int:
    """Return the bytes of all files that are there, and are not just going: a run may go on."""
    size = 0
    for where, _, names in os.walk(data):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                size += Path(where, name).stat().st_size
    return size


def _books(directory: RunDirectory, store: Store, mend: bool) -> list[str]:
    """Compare the log with `status`; what was made pending just now has no files, which is no news."""
    events, pending = reported(directory, store), set(pending_blocks(store))
    notes = []
    log = directory.events_file.name
    if unsaid := store.grid.n_blocks - len(pending | events):
        lacking = counted(unsaid, "finished block")
        notes.append(f"{log} lacks {lacking}, which the next `run` adds; no number depends on it")
    if again := events & pending:
        notes.append(f"{log} has {counted(len(again), 'block')} as finished that `run` has to solve again")
        files = {store.chunks.file("status", store.grid.chunk_of(block)) for block in again}
        notes += [f"{file} is missing" for file in sorted(files) if not (mend or file.exists())]
    return notes


def recompute(store: Store, count: int, found: Findings) -> None:
    """Solve a random sample of the points that have numbers again, and compare."""
    for place in _sample(store, count, np.random.default_rng()):
        indices = tuple(np.array([i]) for i in place)
        kept, again = store.select(indices), solve_box(store.spec, indices).arrays
        labels = {name: axis.values[i] for (name, axis), i in zip(store.spec.axes.items(), place, strict=True)}
        found.recomputed += 1
        names = [name for name in store.spec.outputs if name in OUTPUTS]
        scales: dict[str, float] = {}
        for name in names:
            units = VARIABLES[name].units
            scales[units] = max(scales.get(units, 0.0), float(per_point(kept[name], 0)))
        for name in names:
            relative = apart(kept[name], again[name]) / (scales[VARIABLES[name].units] or 1.0)
            at = tuple(int(i) for i in np.unravel_index(int(relative.argmax()), relative.shape))
            difference = float(relative[at])
            found.worst = max(found.worst, difference)
            if difference > AGREE:
                where = {**labels, **labels_behind(store.spec, name, at[len(place) :])}
                values = {"before": float(kept[name][at]), "now": float(again[name][at])}
                found.differ.append({"labels": where, "variable": name, "difference": difference, **values})
        found.differ += [{"labels": labels, **other} for other in _other_words(kept, again)]
    if found.recomputed < count:
        found.notes.append(f"{found.recomputed:,} of {count:,} points were solved again: no more are solved")


def _other_words(kept: Mapping[str, Array], again: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Say what is said of a point in another word than before."""
    words = {
        name: (names[int(kept[name].item())], names[int(again[name].item())])
        for name, names in (("status", STATUS_NAMES), ("verdict", VERDICT_NAMES))
        if name in kept  # not every earlier version had verdicts
    }
    return [{"variable": name, "before": was, "now": now} for name, (was, now) in words.items() if was != now]


def _sample(store: Store, count: int, random: np.random.Generator) -> list[tuple[int, ...]]:
    """Draw points that are ok or suspect, each at most once; fewer if there are not so many."""
    tallies = store.tallies(with_verdicts=False)
    solved = np.array([tally.points[OK] + tally.points[SUSPECT] for tally in tallies])
    drawn = random.multivariate_hypergeometric(solved, min(count, int(solved.sum())), method="marginals")
    places: list[tuple[int, ...]] = []
    for chunk in np.flatnonzero(drawn):
        start = [s.start for s in store.grid.chunks.region(int(chunk))]
        here = np.argwhere(np.isin(store.read_chunk(int(chunk), ["status"])["status"], (OK, SUSPECT)))
        rows = random.choice(here, int(drawn[chunk]), replace=False) if here.shape[1] else here
        places += [tuple(int(i) + s for i, s in zip(row, start, strict=True)) for row in rows]
    return places
