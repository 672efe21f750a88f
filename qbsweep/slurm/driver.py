"""What the driver job runs: the scheduler and the run loop, and the care for the worker jobs."""

import contextlib
import io
import logging
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from qbsweep.arrays import FloatArray
from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError
from qbsweep.runs import loop, opening
from qbsweep.runs.attempts import record_attempt
from qbsweep.runs.block import Report
from qbsweep.runs.dask import DaskExecutor
from qbsweep.runs.plan import predicted_blocks
from qbsweep.runs.state import Progress, pending_blocks, progress_of
from qbsweep.runs.watch import Watcher
from qbsweep.slurm.connection import listening_client, load_credentials
from qbsweep.slurm.files import AGAIN, JobFiles, Record
from qbsweep.slurm.pool import JobPool, StrandedError
from qbsweep.slurm.registry import SCHEDULERS
from qbsweep.store import mending
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.records import append_line, read_lines
from qbsweep.text import command, duration

_LOCK_SECONDS = 600.0  # a driver of the same job that the cluster believes dead may still be at work
_MAX_STARTS = 5  # drivers in a row that end without a farewell and without a finished block
_ROOM_SECONDS = 1800.0  # to wait for a full disk


class TimeIsUpError(BaseException):
    """The early warning that the walltime of the driver job is nearly over."""


def drive(path: Path, console: Console) -> int:
    """Run a submitted sweep to its end; returns an exit code, AGAIN if this job is to be requeued.

    Raises
    ------
    QbsweepError
        If nothing was submitted, somebody else runs the directory, no workers are left, or the disk stays full.
    """
    sys.stdout = _Unbreakable(sys.stdout)
    signal.signal(signal.SIGUSR1, _time_is_up)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it cries for every worker that goes
    files = JobFiles(path)
    record = files.record()
    if record is None:
        raise QbsweepError(f"{path} was not submitted; `qbsweep submit SWEEP` does")
    if not record.owns(JobContext.current()):
        print("this job is of an earlier submission, and ends", flush=True)
        return 0
    try:
        with _locked(path) as directory:
            directory.recover()
            store = Store(directory.data, record.safe)
            store.require_current()  # the package may be newer than the submission
            mending.remove_leftovers(store)
            opening.settle(store, print)
            for note in files.take_notes():  # of workers that ended while no driver was there
                if note.block is not None and (cause := note.cause(note.block)):
                    record_attempt(directory, store, Report(note.block, 1, error=note.text, cause=cause))
            _count_start(files, progress_of(store).blocks_done)
            try:
                progress = _run(directory, store, files, record, console)
            except BaseException as error:
                if not _is_fruitless(error, record):
                    _note_start(files, {"event": "stop"})
                raise
    except (TimeIsUpError, StrandedError) as error:
        why = "time is up" if isinstance(error, TimeIsUpError) else "no worker is left"
        print(f"{why}; the driver goes back into the queue", flush=True)
        return AGAIN
    print(f"{progress.points} in {directory.path}", flush=True)
    return progress.exit_code


def _run(directory: RunDirectory, store: Store, files: JobFiles, record: Record, console: Console) -> Progress:
    costs = predicted_blocks(store.spec, store.grid)
    with listening_client(record.interface, load_credentials(files.credentials)) as (client, address):
        identity = secrets.token_hex(8)
        try:
            _patiently(lambda: files.write_scheduler(address, identity))
            port, node = client.scheduler_info()["services"].get("dashboard"), socket.gethostname()
            print(f"scheduler at {address}; dashboard: ssh -L {port}:127.0.0.1:{port} {node}", flush=True)
            pool = JobPool(files, record, client, costs)
            progress = _run_to_the_end(
                directory, store, DaskExecutor(client, pool), pool, console, costs, record.workers
            )
            _patiently(files.finish)
            return progress
        finally:
            files.remove_scheduler(identity)
            if files.finished.exists() and record.layout == "jobs":
                with contextlib.suppress(QbsweepError):
                    SCHEDULERS[record.scheduler].cancel(record.worker_name, pending_only=True)


def _run_to_the_end(
    directory: RunDirectory,
    store: Store,
    executor: DaskExecutor,
    pool: JobPool,
    console: Console,
    costs: FloatArray,
    workers: int,
) -> Progress:
    """Run all blocks; what could not be written for want of room is tried again, for half an hour."""
    until = time.monotonic() + _ROOM_SECONDS
    while True:
        done = progress_of(store).blocks_done
        watcher = Watcher(console)

        def watch(report: Report, watcher: Watcher = watcher) -> None:
            pool.learn(report)
            watcher(report)

        with watcher.showing(costs, pending_blocks(store), workers):
            progress = loop.run_blocks(directory, store, executor, watch)
        if progress.complete:
            return progress
        if progress.blocks_done > done:
            until = time.monotonic() + _ROOM_SECONDS
        if time.monotonic() > until:
            raise QbsweepError(
                f"the disk of {directory.path} stayed full for {duration(_ROOM_SECONDS)}; make room, submit again"
            )
        print("the disk is full; waiting for room", flush=True)
        time.sleep(5)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[RunDirectory]:
    """Hold the run directory, after a predecessor that the cluster believes dead has left it."""
    until = time.monotonic() + _LOCK_SECONDS
    with contextlib.ExitStack() as stack:
        while True:
            try:
                directory = stack.enter_context(opening.locked(path))
                break
            except QbsweepError:
                if time.monotonic() > until:
                    raise
                time.sleep(1)
        yield directory


def _time_is_up(*_: object) -> None:
    raise TimeIsUpError


def _patiently(write: Callable[[], object]) -> None:
    """Write a small file, waiting for room if there is none."""
    until = time.monotonic() + _ROOM_SECONDS
    while True:
        try:
            write()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(5)


def _is_fruitless(error: BaseException, record: Record) -> bool:
    """Whether this end, again and again without a finished block, would mean that there is no way on.

    A driver of its own may well wait for workers until its time is up; an allocation has them from the beginning.
    """
    return isinstance(error, StrandedError) or (isinstance(error, TimeIsUpError) and record.layout == "allocation")


def _count_start(files: JobFiles, blocks_done: int) -> None:
    """Refuse to start again and again when every start ends before a block is finished."""
    fruitless = 0
    for line in reversed(read_lines(files.starts)):
        if line.get("event") != "start" or line.get("blocks_done") != blocks_done:
            break
        fruitless += 1
    if fruitless >= _MAX_STARTS:
        raise QbsweepError(
            f"{fruitless} drivers in a row ended before a block was finished; "
            f"`{command('logs', files.run)}` may say why, `qbsweep submit` begins anew"
        )
    _note_start(files, {"event": "start", "blocks_done": blocks_done, "job": JobContext.current().job})


def _note_start(files: JobFiles, record: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        append_line(files.starts, {**record, "time": round(time.time(), 3)})


class _Unbreakable(io.TextIOBase):
    """Standard output whose file may be on a full disk: what cannot be printed is lost, and nothing else."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._inner.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._inner.flush()
