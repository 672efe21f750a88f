"""Run a sweep: open or resume its directory, hand the pending blocks to an executor, keep the books.

An executor has one method, "run these blocks, yield reports as they finish". `serial` below is the
reference; whatever else executes must give the same dataset.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qbsweep.blocks import Report, Task, solve_block
from qbsweep.errors import QbsweepError
from qbsweep.evaluate import Failure
from qbsweep.extend import extended
from qbsweep.plan import BLOCK_SECONDS, make_grid
from qbsweep.provenance import provenance
from qbsweep.rundir import SWEEP_HEADER, Lock, RunDirectory, append_line
from qbsweep.solvers.interface import FAILED, PENDING, STATUS_NAMES
from qbsweep.store import Store
from qbsweep.sweep.changes import check_extends
from qbsweep.sweep.spec import SweepSpec, dump_spec

Executor = Callable[[Iterable[Task]], Iterator[Report]]
MAX_ATTEMPTS = 3
"""So often is a block tried, per cause, that dies or cannot be written; what raises in a solver is not tried again."""


def serial(tasks: Iterable[Task]) -> Iterator[Report]:
    """Solve blocks one after the other, in this process."""
    return map(solve_block, tasks)


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of points by status, and of blocks."""

    points: dict[str, int]
    blocks: int
    blocks_done: int

    @property
    def complete(self) -> bool:
        """No point is pending."""
        return not self.points["pending"]

    @property
    def exit_code(self) -> int:
        """Return 0 complete, 1 not complete, 3 complete with failed points."""
        if not self.complete:
            return 1
        return 3 if self.points["failed"] else 0


def progress_of(store: Store) -> Progress:
    """Count what `status` says."""
    status = store.status()
    return Progress(
        points={name: int(np.count_nonzero(status == code)) for code, name in STATUS_NAMES.items()},
        blocks=store.grid.n_blocks,
        blocks_done=store.grid.n_blocks - len(pending_blocks(store, status)),
    )


def pending_blocks(store: Store, status: np.ndarray[tuple[int, ...], np.dtype[np.int8]]) -> list[int]:
    """Numbers of the blocks with pending points."""
    return [n for n in range(store.grid.n_blocks) if (status[store.grid.block(n)] == PENDING).any()]


def open_run(path: Path) -> tuple[RunDirectory, Store]:
    """Open an existing run directory for reading.

    Raises
    ------
    QbsweepError
        If there is none, or its dataset is damaged.
    """
    directory = RunDirectory(path)
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise QbsweepError(f"{path} is not a run directory: it {what}; `qbsweep run SWEEP` makes one")
    if not directory.data.exists():
        raise QbsweepError(f"{path} is not a run directory: it has no data.zarr; `qbsweep run SWEEP` makes one")
    return directory, Store(directory.data)


def prepare(spec: SweepSpec, directory: RunDirectory, block_seconds: float = BLOCK_SECONDS) -> Store:
    """Allocate the dataset of a new run, or open, and if need be extend, that of an old one.

    The caller holds the lock.
    """
    from qbsweep.dataset import allocate  # xarray costs 0.7 s and 40 MB that worker processes need not pay

    directory.check_own()
    directory.recover()
    if not directory.data.exists():
        allocate(directory.data, spec, make_grid(spec, block_seconds), provenance())
        _write_sweep(directory, spec)
        return Store(directory.data)
    store = Store(directory.data)
    store.remove_leftovers()
    if store.spec.digest() != spec.digest():
        check_extends(store.spec, spec, directory.path)
        try:
            extended(store, spec, make_grid(spec, block_seconds), directory.replacement, provenance())
        except BaseException:
            directory.recover()  # no room for two datasets, say: do not leave half of one
            raise
        directory.swap()
        store = Store(directory.data)
    _write_sweep(directory, spec)  # a killed run may have left an older one, or none
    return store


def _write_sweep(directory: RunDirectory, spec: SweepSpec) -> None:
    text = f"{SWEEP_HEADER}Digest {spec.digest()}.\n{dump_spec(spec)}"
    path = directory.path / "sweep.yaml"
    if not path.exists() or path.read_text(encoding="utf-8", errors="replace") != text:
        directory.write_text("sweep.yaml", text)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[RunDirectory]:
    """Create the run directory if there is none, and hold its lock."""
    with contextlib.ExitStack() as stack:
        try:
            path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(Lock(RunDirectory(path)))
        except (FileExistsError, NotADirectoryError):
            raise QbsweepError(f"{path} is or lies in a file, not a directory; give another --out") from None
        except OSError as error:
            raise QbsweepError(f"{path} cannot be written: {error.strerror}; give another --out") from None
        yield RunDirectory(path)


def reset_failed(directory: RunDirectory, store: Store) -> int:
    """Make failed points pending again, with all their attempts; returns how many. The caller holds the lock."""
    directory.attempts_file.unlink(missing_ok=True)
    return store.reset_failed()


def run_blocks(
    directory: RunDirectory,
    store: Store,
    executor: Executor,
    watch: Callable[[Report], None] = lambda report: None,
) -> Progress:
    """Run every pending block and record events and failures; the caller holds the lock.

    A block that was not written (its worker died, the disk was full) is tried again after all others, until its
    attempts for one cause, those of earlier runs included, reach the limit of `attempts_allowed`; then it is
    marked as failed with the reason. For want of room it stays pending instead.
    """
    todo = pending_blocks(store, store.status())
    _note_unreported(directory, store, todo)
    attempts = _Attempts(directory, store, todo)
    for report in attempts.exhausted():  # that failed for good while no driver was there to give them up
        _give_up(directory, store, report)
        watch(report)
        todo.remove(report.block)
    todo.sort(key=lambda block: attempts.at(block) > 0)
    while todo:
        unwritten: list[int] = []
        for report in executor(
            Task(str(directory.path.resolve()), store.id, block, attempts.at(block) + 1) for block in todo
        ):
            if not report.error:
                _record(directory, store, report)
            elif attempts.may_try_again(report):
                unwritten.append(report.block)
                continue
            else:
                _give_up(directory, store, report)
            watch(report)
        todo = unwritten
    return progress_of(store)


class _Attempts:
    """Failed attempts at the pending blocks by cause, those of earlier runs included."""

    def __init__(self, directory: RunDirectory, store: Store, pending: list[int]) -> None:
        self._directory, self._store = directory, store
        self._by_cause: Counter[tuple[int, str]] = Counter()
        self._last: dict[int, Report] = {}
        blocks, digest = set(pending), store.digest
        for old in directory.attempts():
            if old["block"] in blocks and old.get("spec") == digest:
                self._count(Report(old["block"], 0, error=str(old.get("error")), cause=str(old["cause"])))

    def _count(self, report: Report) -> None:
        self._by_cause[report.block, report.cause] += 1
        self._last[report.block] = replace(report, attempt=self.at(report.block) + 1)

    def _is_spent(self, report: Report) -> bool:
        return self._by_cause[report.block, report.cause] >= attempts_allowed(report.cause)

    def at(self, block: int) -> int:
        """How often this block was tried in vain."""
        return self._last[block].attempt if block in self._last else 0

    def exhausted(self) -> list[Report]:
        """Last reports of the blocks that are not to be tried again."""
        return [report for report in self._last.values() if self._is_spent(report)]

    def may_try_again(self, report: Report) -> bool:
        """Count a failed attempt; returns whether another one is allowed."""
        self._count(report)
        record_attempt(self._directory, self._store, report)
        return not self._is_spent(report)


def attempts_allowed(cause: str) -> int:
    """Return how often a block is tried.

    One that had a whole walltime to itself gains nothing from another; one whose job vanished may well be innocent.
    """
    return {"walltime": 1, "vanished": 6}.get(cause, MAX_ATTEMPTS)


def record_attempt(directory: RunDirectory, store: Store, report: Report) -> None:
    """Remember a failed attempt beyond this driver's life; one for want of room is nobody's fault."""
    if report.cause != "full":
        record = {"block": report.block, "cause": report.cause, "error": report.error, "spec": store.digest}
        with _surviving_a_full_disk():
            append_line(directory.attempts_file, {**record, "time": round(time.time(), 3)})


def _record(directory: RunDirectory, store: Store, report: Report) -> None:
    with _surviving_a_full_disk():
        append_line(directory.events_file, {**report.event(), "spec": store.digest})
        for failure in report.failures:
            append_line(directory.failures_file, _failure_line(report, failure))


def _failure_line(report: Report, failure: Failure) -> dict[str, Any]:
    return {"block": report.block, "attempt": report.attempt, **asdict(failure)}


def _give_up(directory: RunDirectory, store: Store, report: Report) -> None:
    """Mark a block that could not be written as failed, unless for want of room."""
    region = store.grid.block(report.block)
    status = store.block_status(report.block)
    pending = status == PENDING
    labels = {name: axis.array[s].tolist() for (name, axis), s in zip(store.spec.axes.items(), region, strict=True)}
    failure = Failure(
        labels={name: v[0] if len(v) == 1 else v for name, v in labels.items()},
        points=int(pending.sum()),
        error=f"{report.error} ({report.attempt} attempts)",
        traceback=report.traceback,
    )
    with _surviving_a_full_disk():
        append_line(directory.failures_file, _failure_line(report, failure))
    if report.cause != "full":
        with _surviving_a_full_disk():
            store.set_status(region, np.where(pending, np.int8(FAILED), status))


def _surviving_a_full_disk() -> contextlib.AbstractContextManager[None]:
    """Ignore errors of the log: it is for people, and a full disk must not end a run that `status` records."""
    return contextlib.suppress(OSError)


def _note_unreported(directory: RunDirectory, store: Store, todo: list[int]) -> None:
    """Give every finished block its event, also those whose driver died between the two."""
    digest = store.digest
    reported = {event["block"] for event in directory.events() if event.get("spec") == digest}
    for block in sorted(set(range(store.grid.n_blocks)) - set(todo) - reported):
        append_line(directory.events_file, {"block": block, "recovered": True, "spec": digest})
