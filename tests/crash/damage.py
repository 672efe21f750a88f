"""Damage single files of a run directory, and tell what every way to read it makes of that."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

import qbsweep as qb
from qbsweep.api.running import given
from qbsweep.errors import QbsweepError
from qbsweep.runs import opening
from qbsweep.runs.block import Task, solve_block
from qbsweep.runs.state import pending_blocks
from qbsweep.store.records import append_line
from qbsweep.sweeps.variables import VARIABLES

from ..command import qbsweep
from .judging import BLOCK_SECONDS, SOLVED, load, load_plainly, points, run, solving, truth, wrong
from .sweeps import moments

Sweep = dict[str, Any]


def lindblad() -> Sweep:
    """A Lindblad sweep with all that its solver has, of as few levels as its points need."""
    return {
        "name": "crash",
        "parameters": {"solver": "lindblad", "kappa": 0.05, "epsilon": 0.01, "N": 1, "topology": "cascaded"},
        "sweep": {"J": [0.02, 0.05, 0.1], "fock_levels": [4, 5]},
    }


def finished(sweep: Sweep, out: Path) -> None:
    """Run a sweep to its end."""
    run(sweep, out)


def half_finished(sweep: Sweep, out: Path) -> None:
    """Solve the first chunk of a sweep, and some blocks that stay outside of chunks."""
    with opening.locked(out) as directory:
        store = opening.prepare(given(sweep), directory, BLOCK_SECONDS)
        blocks = pending_blocks(store)
        first = len(store.grid.blocks_of(0))
        for number in blocks[: first + len(blocks) // 3]:
            report = solve_block(Task(str(out), store.id, number))
            append_line(directory.events_file, {**report.event(), "spec": store.digest})
        store.fold(0)


STATES: dict[str, tuple[Sweep, Callable[[Sweep, Path], None]]] = {
    "moments, finished": (moments(), finished),
    "moments, half": (moments(), half_finished),
    "lindblad, finished": (lindblad(), finished),
    "lindblad, half": (lindblad(), half_finished),
}


def files(out: Path) -> list[Path]:
    """Return the files of a run directory, relative to it."""
    return sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())


def kind(file: Path) -> str:
    """Return what a file of a run directory is."""
    if file.parts[0] == "blocks":
        return "block"
    if file.parts[0] != "data.zarr":
        return file.name
    folder = file.parts[1] if len(file.parts) > 2 else ""
    if file.name == "zarr.json":
        return "metadata of an array" if folder else "metadata"
    if folder == "seals":
        return "seal of the labels" if file.name == "rest.json" else "seal"
    if folder in VARIABLES:
        return folder if folder in ("status", "verdict") else "values"
    return "labels"


class Found(NamedTuple):
    """What a way to read says after a damage: a word for the table, and the details."""

    word: str
    details: str = ""


RIGHT, PENDING, TOLD, WRONG, TRACEBACK = "right", "pending", "told", "WRONG", "TRACEBACK"


@dataclass(slots=True)
class Subject:
    """A run directory to be damaged, copy by copy."""

    out: Path
    sweep: Sweep
    before: xr.Dataset = field(init=False)
    plain: xr.Dataset = field(init=False)
    counts: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.before, self.plain = load(self.out), load_plainly(self.out)
        self.counts = _counts(self.out)

    def damaged(self, damage: Callable[[Path], None], file: Path, analyze: bool) -> dict[str, Found]:
        """Damage a file of a copy, and return what every way to read it finds."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, self.out.name)
            shutil.copytree(self.out, copy)
            damage(copy / file)
            found = {
                "status": _told(lambda: self._judge_counts(_counts(copy))),
                "read": _told(lambda: self._judge(load(copy), self.before, ("status",))),
                "xarray": self._plainly(copy),
                "check": _told(lambda: self._check(copy)),
            }
            if analyze:
                found["analyze"] = _command("analyze", copy)
                found["report"] = _command("report", copy)
            found["run"] = _told(lambda: self._run(copy))
            if found["run"].word != TOLD:
                found["read after"] = _told(lambda: self._finished(copy))
            found["repair, run"] = _told(lambda: self._repaired(copy))
            if found["check"].word == RIGHT and TOLD in (found["status"].word, found["read"].word):
                found["check"] = Found(WRONG, "check finds nothing")
            return found

    def _judge_counts(self, counts: dict[str, Any]) -> Found:
        if counts == self.counts:
            return Found(RIGHT)
        fewer = all(counts[name] <= self.counts[name] for name in ("ok", "suspect", "failed"))
        return Found(PENDING if fewer and counts["points"] == self.counts["points"] else WRONG, str(counts))

    def _judge(self, ds: xr.Dataset, right: xr.Dataset, ignored: tuple[str, ...]) -> Found:
        if problems := wrong(ds, right, ignored):
            return Found(WRONG, "; ".join(problems))
        if ds.attrs != right.attrs or any(ds[name].attrs != right[name].attrs for name in right.variables):
            return Found(WRONG, "attributes")
        for codes in ((1,), (2,), (3,)):
            if points(ds, *codes) - points(right, *codes):
                return Found(WRONG, f"points have status {codes}")
        return Found(RIGHT if points(ds, 0) == points(right, 0) else PENDING)

    def _plainly(self, copy: Path) -> Found:
        try:
            ds = load_plainly(copy)
        except Exception as error:
            return Found(TOLD, f"{type(error).__name__}: {error}")
        return self._judge(ds, self.plain, ("status",))

    def _run(self, copy: Path) -> Found:
        done = run(self.sweep, copy)
        status = done.status()
        return Found(RIGHT if status["state"] == "complete" and not status["failed"] else WRONG, str(dict(status)))

    def _check(self, copy: Path) -> Found:
        found = qb.open(copy).check()
        return Found(TOLD if found.damages else RIGHT, "; ".join(found.damages))

    def _repaired(self, copy: Path) -> Found:
        qb.open(copy).check(repair=True)
        run(self.sweep, copy)
        if left := qb.open(copy).check().damages:
            return Found(WRONG, f"after repair and run: {left}")
        return self._finished(copy)

    def _finished(self, copy: Path) -> Found:
        ds, right = load(copy), truth(self.sweep)
        if problems := wrong(ds, right):
            return Found(WRONG, "; ".join(problems))
        return Found(RIGHT if points(ds, *SOLVED) == points(right, *SOLVED) else PENDING)


def _counts(out: Path) -> dict[str, Any]:
    status = qb.open(out).status()
    names = ("points", "ok", "suspect", "failed", "pending", "blocks", "blocks_done", "verdicts")
    return {name: status[name] for name in names}


def _told(look: Callable[[], Found]) -> Found:
    try:
        return look()
    except (QbsweepError, OSError) as error:  # of both a command makes a sentence
        return Found(TOLD, str(error))
    except Exception as error:
        return Found(TRACEBACK, f"{type(error).__name__}: {error}")


def _command(*words: object) -> Found:
    try:
        outcome = qbsweep(*words)
    except Exception as error:
        return Found(TRACEBACK, f"{type(error).__name__}: {error}")
    return Found(RIGHT if outcome.code == 0 else TOLD, outcome.err)


def subject(name: str, folder: Path) -> Subject:
    """Make one of `STATES`."""
    sweep, make = STATES[name]
    with solving(per_chunk=2):
        make(sweep, folder / "run")
        return Subject(folder / "run", sweep)


@dataclass(slots=True)
class Table:
    """How often which way to read found what, by kind of file; and an example of everything that must not be."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    bad: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, kind: str, file: object, found: dict[str, Found]) -> None:
        """Count what was found after a damage."""
        for way, (word, details) in found.items():
            self.counts[kind, way, word] += 1
            if word in (WRONG, TRACEBACK):
                self.bad.setdefault((kind, way, word), f"{file}: {details}")

    def lines(self) -> Iterator[str]:
        """Return the table as text."""
        ways = [way for way in WAYS if any(way == key[1] for key in self.counts)]
        yield f"{'':28}" + "".join(f"{way:>32}" for way in ways)
        for kind in sorted({key[0] for key in self.counts}):
            cells = []
            for way in ways:
                words = [(word, self.counts[kind, way, word]) for word in WORDS]
                cells.append(", ".join(f"{count} {word}" for word, count in words if count))
            yield f"{kind:28}" + "".join(f"{cell:>32}" for cell in cells)
        for (kind, way, word), example in sorted(self.bad.items()):
            yield f"{word} ({kind}, {way}): {example[:300]}"


WORDS = (RIGHT, PENDING, TOLD, WRONG, TRACEBACK)
WAYS = ("status", "read", "xarray", "check", "analyze", "report", "run", "read after", "repair, run")
