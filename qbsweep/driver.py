"""What the driver job runs: the scheduler and the run loop, and the care for the worker jobs."""

import contextlib
import io
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from distributed import Client, Future
from rich.console import Console

from qbsweep import run, slurm
from qbsweep.arrays import FloatArray
from qbsweep.blocks import Report, Task
from qbsweep.cluster import RETURNED, DaskExecutor, Loss, listening_client, load_credentials
from qbsweep.errors import QbsweepError
from qbsweep.jobfiles import AGAIN, JobFiles, Note, Record
from qbsweep.plan import block_costs
from qbsweep.progress import Watcher
from qbsweep.rundir import RunDirectory, append_line, read_lines
from qbsweep.store import Store
from qbsweep.text import duration
from qbsweep.worker import dismiss, solve_within

_LOCK_SECONDS = 600.0  # a driver of the same job that Slurm believes dead may still be at work
_POLL_SECONDS = 15.0  # between looks at the queue
_NOTE_SECONDS = 5.0  # a worker's host writes its note right after the worker's death
_MAX_REVIVALS = 8  # of a worker job, while no block at all is finished: more than a block may take jobs down
_STRANDED_SECONDS = 120.0  # without a worker, and without a job that could become one
_SILENCE_SECONDS = 900.0  # the same if Slurm does not answer
_MAX_STARTS = 5  # drivers in a row that end without a farewell and without a finished block
_ROOM_SECONDS = 1800.0  # to wait for a full disk
_MARGIN = 1.5  # predicted times are multiplied by it


class TimeIsUpError(BaseException):
    """Slurm's early warning that the walltime of the driver job is nearly over."""


class StrandedError(BaseException):
    """No worker of this allocation is left."""


class SlurmPool:
    """Workers in Slurm jobs: they come and go, and those that go are called back while there is work for them.

    Parameters
    ----------
    files : JobFiles
    record : Record
    client : Client
    costs : ndarray
        Modelled seconds of every block.
    """

    def __init__(self, files: JobFiles, record: Record, client: Client, costs: FloatArray) -> None:
        self._files, self._record, self._client, self._costs = files, record, client, costs
        self._recent: deque[tuple[float, float]] = deque(maxlen=50)
        self._notes: dict[str, Note] = {}
        self._revived: Counter[str] = Counter()
        self._polled = self._peopled = time.monotonic()
        self._idle: set[str] = set()

    def learn(self, report: Report) -> None:
        """Note how long a block took, against its prediction."""
        if not report.error:
            self._recent.append((report.seconds, float(self._costs[report.block])))
            self._revived.clear()

    def send(self, client: Client, task: Task) -> Future[Any]:
        """Hand a block to the scheduler, with the seconds it should take at most."""
        return client.submit(solve_within, task, self._predict(task.block), pure=False, retries=0)

    def _predict(self, block: int) -> float:
        modelled = sum(cost for _, cost in self._recent)
        ratio = sum(seconds for seconds, _ in self._recent) / modelled if modelled else 1.0
        return float(self._costs[block]) * ratio * _MARGIN

    def judge(self, loss: Loss) -> Report | None:
        """Blame a block only on evidence: its worker's note says that it was on this block, and why it ended."""
        if loss.worker not in self._notes and (note := self._files.take_note(loss.worker)):
            self._notes[loss.worker] = note
        said = self._notes.get(loss.worker)
        if said is None and time.monotonic() - loss.noticed < _NOTE_SECONDS:
            return None
        if said is None:
            return loss.report("the whole job that solved this block vanished (out of memory? its node?)", "vanished")
        if cause := said.cause(loss.task.block):
            return loss.report(said.text, cause)
        return loss.report("its worker left", RETURNED)

    def watch(self, workers: int, waiting: bool) -> None:
        """Call back worker jobs that ended while blocks wait; send away workers that have nothing left to do."""
        now = time.monotonic()
        self._peopled = now if workers else self._peopled
        if now - self._polled < _POLL_SECONDS:
            return
        self._polled = now
        if not waiting:
            self._dismiss_idle()
        elif self._record.layout == "jobs":
            jobs = slurm.queue(self._record.worker_name)
            patience = _SILENCE_SECONDS if jobs is None else _STRANDED_SECONDS
            if not self._revive(jobs or []) and now - self._peopled > patience:
                why = "and Slurm does not answer" if jobs is None else "and none can be called back"
                raise QbsweepError(f"no worker is left, {why}; `qbsweep logs` may say more, `qbsweep submit` goes on")
        elif now - self._peopled > _STRANDED_SECONDS:
            raise StrandedError  # the workers' job step is gone: begin again with the whole job

    def _revive(self, jobs: list[slurm.Job]) -> bool:
        """Requeue what ended, what was cancelled only if nothing else is left; returns whether any job runs or will."""
        alive = [job for job in jobs if job.active]
        ended = [job for job in jobs if not job.active]
        uncancelled = [job for job in ended if job.state != "CANCELLED"]
        revived = False
        for job in alive:
            if job.held:  # since a time when the driver was queued
                slurm.release(job)
        for job in uncancelled if alive or uncancelled else ended:
            if self._revived[job.id] < _MAX_REVIVALS:
                self._revived[job.id] += 1
                done = slurm.requeue(job)
                revived |= done
                print(f"worker job {job.id} ended as {job.state}: {'' if done else 'not '}requeued", flush=True)
        return bool(alive) or revived

    def _dismiss_idle(self) -> None:
        """Send away who had nothing to do twice in a row; a last long block needs no company."""
        idle = {address for address, tasks in self._client.processing().items() if not tasks}
        if gone := sorted(idle & self._idle):
            print(f"{len(gone)} idle workers are dismissed", flush=True)
            self._client.run(dismiss, workers=gone, on_error="ignore")
        self._idle = idle


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
    if not record.is_ours:
        print("this job is of an earlier submission, and ends", flush=True)
        return 0
    try:
        with _locked(path) as directory:
            directory.recover()
            store = Store(directory.data)
            store.remove_leftovers()
            for note in files.take_notes():  # of workers that ended while no driver was there
                if note.block is not None and (cause := note.cause(note.block)):
                    run.record_attempt(directory, store, Report(note.block, 1, error=note.text, cause=cause))
            _count_start(files, run.progress_of(store).blocks_done)
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


def _run(directory: RunDirectory, store: Store, files: JobFiles, record: Record, console: Console) -> run.Progress:
    costs = block_costs(store.spec, store.grid)
    with listening_client(record.interface, load_credentials(files.credentials)) as (client, address):
        identity = secrets.token_hex(8)
        try:
            _patiently(lambda: files.write_scheduler(address, identity))
            port, node = client.scheduler_info()["services"].get("dashboard"), socket.gethostname()
            print(f"scheduler at {address}; dashboard: ssh -L {port}:127.0.0.1:{port} {node}", flush=True)
            pool = SlurmPool(files, record, client, costs)
            progress = _run_to_the_end(directory, store, DaskExecutor(client, pool), pool, console, costs)
            _patiently(files.finished.touch)
            return progress
        finally:
            files.remove_scheduler(identity)
            if files.finished.exists() and record.layout == "jobs":
                with contextlib.suppress(QbsweepError):
                    slurm.cancel(record.worker_name, pending_only=True)


def _run_to_the_end(
    directory: RunDirectory, store: Store, executor: DaskExecutor, pool: SlurmPool, console: Console, costs: FloatArray
) -> run.Progress:
    """Run all blocks; what could not be written for want of room is tried again, for half an hour."""
    until = time.monotonic() + _ROOM_SECONDS
    while True:
        done = run.progress_of(store).blocks_done
        watcher = Watcher(console, costs, run.pending_blocks(store, store.status()))

        def watch(report: Report, watcher: Watcher = watcher) -> None:
            pool.learn(report)
            watcher(report)

        with watcher.showing():
            progress = run.run_blocks(directory, store, executor, watch)
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
    """Hold the run directory, after a predecessor that Slurm believes dead has left it."""
    until = time.monotonic() + _LOCK_SECONDS
    with contextlib.ExitStack() as stack:
        while True:
            try:
                directory = stack.enter_context(run.locked(path))
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
            f"{fruitless} drivers in a row ended before a block was finished; `qbsweep logs {files.run}` may say why, "
            "`qbsweep submit` begins anew"
        )
    _note_start(files, {"event": "start", "blocks_done": blocks_done, "job": os.environ.get("SLURM_JOB_ID")})


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
