"""Run a sweep: open or resume its directory, hand the pending blocks to an executor, keep the books.

An executor has one method, "run these blocks, yield reports as they finish". `serial` below is the
reference; whatever else executes must give the same dataset.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from qbsweep.errors import QbsweepError
from qbsweep.runs.attempts import _Attempts, best_effort
from qbsweep.runs.block import Report, Task, solve_block
from qbsweep.runs.box import Failure
from qbsweep.runs.events import note_unreported
from qbsweep.runs.state import Progress, pending_blocks, progress_of
from qbsweep.solvers.status import FAILED, PENDING
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.disk import surviving_a_full_disk
from qbsweep.store.records import append_line, append_lines

Executor = Callable[[Iterable[Task]], Iterator[Report]]


def serial(tasks: Iterable[Task]) -> Iterator[Report]:
    """Solve blocks one after the other, in this process."""
    return map(solve_block, tasks)


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
    todo = pending_blocks(store)
    note_unreported(directory, store, todo)
    attempts = _Attempts(directory, store, todo)
    exhausted = attempts.exhausted()  # that failed for good while no driver was there to give them up
    for report in exhausted:
        _give_up(directory, store, report)
        watch(report)
    lost = {report.block for report in exhausted}
    todo = sorted((block for block in todo if block not in lost), key=lambda block: attempts.at(block) > 0)
    filling, path = _Filling(store, todo), str(directory.path.resolve())
    try:
        while todo:
            unwritten: list[int] = []
            for report in executor(Task(path, store.id, block, attempts.at(block) + 1, store.safe) for block in todo):
                if not report.error:
                    _record(directory, store, report)
                elif attempts.may_try_again(report):
                    unwritten.append(report.block)
                    continue
                else:
                    _give_up(directory, store, report)
                filling.note(report.block)
                watch(report)
            todo = unwritten
    except BaseException:
        with contextlib.suppress(OSError, QbsweepError):  # why the run ends is what matters
            store.fold_all()
        raise
    with surviving_a_full_disk():
        store.fold_all()
    return progress_of(store)


class _Filling:
    """Writes every chunk once its last block is there."""

    def __init__(self, store: Store, todo: list[int]) -> None:
        self._store = store
        self._missing = Counter(map(store.grid.chunk_of, todo))

    def note(self, block: int) -> None:
        """Note that a block is done."""
        if not self._missing:
            return
        chunk = self._store.grid.chunk_of(block)
        self._missing[chunk] -= 1
        if not self._missing[chunk]:
            del self._missing[chunk]
            with contextlib.suppress(OSError, QbsweepError):  # all are tried again in the end
                self._store.fold(chunk)


def _record(directory: RunDirectory, store: Store, report: Report) -> None:
    with best_effort():
        append_line(directory.events_file, {**report.event(), "dataset": store.id})
        append_lines(directory.failures_file, (_failure_line(report, failure) for failure in report.failures))


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
    with best_effort():
        append_line(directory.failures_file, _failure_line(report, failure))
    if report.cause != "full":
        with surviving_a_full_disk():
            store.set_status(report.block, np.where(pending, np.int8(FAILED), status))
