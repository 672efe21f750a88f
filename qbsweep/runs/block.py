"""The unit of work: solve one block of a run directory and write it. What every executor executes."""

import os
import time
import traceback
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError
from qbsweep.runs.box import Failure, solve_box
from qbsweep.solvers.status import FAILED, OK, PENDING, SUSPECT
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.disk import NO_ROOM
from qbsweep.store.grid import boxes

_OF_FAILURES = ("failures", "error", "cause", "traceback")


@dataclass(frozen=True, slots=True)
class Task:
    """A block to solve: of which dataset, which, for the how manieth time; and whether it must be on the disk."""

    directory: str
    dataset: str
    block: int
    attempt: int = 1
    safe: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a block.

    Attributes
    ----------
    block, attempt : int
    ok, failed, suspect : int
        Points solved now, by outcome; all 0 if the block as a whole did not come to be written.
    seconds, rss : float
        Wall time in s, resident memory of the process in MB.
    host, pid, job : str, int, str or None
    failures : list of Failure
        Points that could not be solved.
    error, cause : str
        Why the block was not written, and the kind of reason: 'full' (no room), 'write', 'memory', 'error', 'worker'
        (it died), 'vanished' (with its whole job), 'walltime', or 'returned' (not tried: no attempt).
    """

    block: int
    attempt: int
    ok: int = 0
    failed: int = 0
    suspect: int = 0
    seconds: float = 0.0
    rss: float = 0.0
    host: str = ""
    pid: int = 0
    job: str | None = None
    failures: list[Failure] = field(default_factory=list)
    error: str = ""
    cause: str = ""
    traceback: str = ""

    @property
    def points(self) -> int:
        """Points of the block that were solved now."""
        return self.ok + self.failed + self.suspect

    def event(self) -> dict[str, Any]:
        """Return the line for events.jsonl."""
        record = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _OF_FAILURES}
        return {**record, "points": self.points, "time": round(time.time(), 3)}


def solve_block(task: Task) -> Report:
    """Solve what is pending in a block and write it; never raises."""
    started = time.perf_counter()
    try:
        store = _open(task.directory, task.dataset, task.safe)
        arrays, fresh, failures = _solve_pending(store, task.block)
        if fresh.any():
            store.write(task.block, arrays, time.perf_counter() - started)
    except OSError as error:
        return _broken(task, "full" if error.errno in NO_ROOM else "write", error)
    except MemoryError as error:
        return _broken(task, "memory", error)
    except Exception as error:
        return _broken(task, "error", error)
    status, here = arrays["status"][fresh], JobContext.current()
    return Report(
        block=task.block,
        attempt=task.attempt,
        ok=int((status == OK).sum()),
        failed=int((status == FAILED).sum()),
        suspect=int((status == SUSPECT).sum()),
        seconds=round(time.perf_counter() - started, 4),
        rss=round(psutil.Process().memory_info().rss / 1e6, 1),
        host=here.node,
        pid=os.getpid(),
        job=here.job,
        failures=failures,
    )


@lru_cache(maxsize=2)
def _open(directory: str, dataset: str, safe: bool) -> Store:
    """Open a dataset once per process."""
    store = Store(RunDirectory(Path(directory)).data, safe)
    if store.id != dataset:
        raise QbsweepError(f"{store.path} was replaced while it was being run; nothing was written to it")
    return store


def _solve_pending(store: Store, block: int) -> tuple[dict[str, Any], np.ndarray[Any, Any], list[Failure]]:
    """Return the block's arrays, which of its points were solved now, and the failures among them."""
    region = store.grid.block(block)
    status = store.block_status(block)
    pending = status == PENDING
    if pending.all():
        solution = solve_box(store.spec, tuple(np.arange(s.start, s.stop) for s in region))
        return solution.arrays, pending, solution.failures
    arrays = store.read(block)
    failures: list[Failure] = []
    for box in boxes(pending):
        inside = np.ix_(*box)
        solution = solve_box(store.spec, tuple(i + s.start for i, s in zip(box, region, strict=True)))
        for name, values in solution.arrays.items():
            arrays[name][inside] = values
        failures += solution.failures
    return arrays, pending, failures


def _broken(task: Task, cause: str, error: Exception) -> Report:
    text = f"{type(error).__name__}: {error}"
    return Report(task.block, task.attempt, error=text, cause=cause, traceback=traceback.format_exc())
