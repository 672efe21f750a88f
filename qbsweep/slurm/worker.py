"""What a Dask worker process does besides solving blocks: mind its time, and say why it ends.

`solve_within` runs in worker processes of jobs only.
"""

import asyncio
import logging
import math
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import dask
from distributed import Status, Worker

from qbsweep.errors import QbsweepError
from qbsweep.runs.block import Report, Task, solve_block
from qbsweep.runs.dask import CONFIG, RETURNED
from qbsweep.slurm.connection import address_of, load_credentials
from qbsweep.slurm.files import AGAIN, BROKEN, DISMISSED, JobFiles, Marker, Note

_CONNECT_SECONDS = 60
_LAST_SECONDS = 10.0  # before the walltime: what is still being solved then is left behind
_TERM_SECONDS = 5.0  # after SIGTERM, which is followed up with SIGKILL
_BEAT_SECONDS = 5.0  # so often does a worker without a driver say that it is still on its block
_STALE_SECONDS = 30.0
_MOST = 0.7  # of its walltime: the warning, and the end of one's driver, may come so much earlier
_MAX_REFUSALS = 3
_FETCH_SECONDS = 5.0


@dataclass(slots=True)
class Job:
    """What a worker process knows of the job that it is in.

    Attributes
    ----------
    files : JobFiles
    name : str
        Of this worker.
    marker : Marker
    ends : float
        When the walltime is over, in seconds since the epoch.
    is_fresh : bool
        Nothing was solved yet, and (nearly) the whole walltime lies ahead: there is no better moment for a long block.
    leaving : int
        Exit code once this process takes no more blocks, 0 before.
    leave_by : float
        When it has to be gone, finished or not.
    why : str
        For the block that it leaves behind.
    running : Task or None
    gave_all : bool
        The running block has the whole walltime.
    began : float
        When it was begun, in seconds since the epoch.
    refusals : int
        Blocks in a row that were handed back for want of time.
    """

    files: JobFiles
    name: str
    marker: Marker
    ends: float
    is_fresh: bool
    leaving: int = 0
    leave_by: float = float("inf")
    why: str = ""
    running: Task | None = None
    gave_all: bool = False
    began: float = 0.0
    refusals: int = 0

    def leave(self, code: int, by: float, why: str) -> None:
        """Take no more blocks and be gone by then."""
        self.leaving = code
        self.leave_by = min(self.leave_by, by)
        self.why = why

    def takes(self, predicted: float, now: float) -> bool:
        """Whether a block of so many predicted seconds is begun now."""
        return not self.leaving and (self.is_fresh or now + predicted < self.ends - _LAST_SECONDS)

    def note(self) -> Note:
        """Say of what is left behind whether it is the block's fault: it is if it had a whole walltime."""
        block = self.running.block if self.running else None
        had_it = time.time() - self.began >= _MOST * (self.ends - self.began)  # and was not preempted, say, before
        if self.leaving == AGAIN and self.gave_all and had_it:
            return Note("walltime", block, f"the block does not fit the walltime of its job: {self.why}")
        return Note("left", block, self.why)


_job: Job | None = None


def solve_within(task: Task, predicted: float) -> Report:
    """Solve a block if it can be finished within the walltime; otherwise hand it back and leave.

    Parameters
    ----------
    task : Task
    predicted : float
        Seconds that the block should take.
    """
    job = _job
    if job is None:
        raise RuntimeError("solve_within runs in a worker process of a job only")
    _wait_for_orphan(job, task.block)
    if not job.takes(predicted, time.time()):
        job.refusals += 1
        if not job.leaving and job.refusals >= _MAX_REFUSALS:
            job.leave(AGAIN, job.ends, "no block is left that fits the rest of the walltime")
        return Report(task.block, task.attempt, error="handed back: too little time is left", cause=RETURNED)
    job.gave_all, job.is_fresh, job.began, job.refusals = job.is_fresh, False, time.time(), 0
    job.running = task
    job.marker.write(task.block)
    try:
        report = solve_block(task)
    finally:
        job.running = None
        job.marker.write(None)
    if report.cause in ("write", "error"):
        # Block or node? A broken one, quick as it fails, must not get at the other blocks, nor at the same one again.
        job.leave(BROKEN, job.ends, report.error)
        if trouble := job.files.trouble():
            return Report(task.block, task.attempt, error=f"handed back by a broken node: {trouble}", cause=RETURNED)
    return report


def _wait_for_orphan(job: Job, block: int) -> None:
    """Wait while a worker that has lost its driver is still on this block: what it finishes need not be solved."""
    seen, since = None, time.monotonic()
    while not job.leaving and (beat := job.files.busy_since(block)) is not None:
        if beat != seen:
            seen, since = beat, time.monotonic()
        elif time.monotonic() - since > _STALE_SECONDS:
            return
        time.sleep(0.2)


def dismiss() -> None:
    """End this worker: the driver has no more blocks for it."""
    if _job is not None:
        _job.leave(DISMISSED, _job.ends, "the driver dismissed this worker")


def work(job: Job, address: str, folder: str) -> NoReturn:
    """Serve a scheduler as a worker with one thread until it is gone, or until this process has to leave.

    Exits with 0 if the scheduler is gone, AGAIN if the time is up, DISMISSED if there is nothing left to do.
    """
    global _job  # blocks are solved in a thread of this process, called by Dask with their task and nothing else
    _job = job
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, partial(_on_signal, job))
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it cries for every connection that ends
    with dask.config.set(CONFIG):
        asyncio.run(_serve(job, address, folder))


def _exit(code: int) -> NoReturn:
    """End at once: the thread that solves a block cannot be interrupted and would be waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _on_signal(job: Job, number: int, _: object) -> None:
    if number == signal.SIGUSR1:  # the early warning
        job.leave(AGAIN, job.ends - _LAST_SECONDS, "the walltime is over")
    else:
        job.leave(AGAIN, time.time() + _TERM_SECONDS, "its job was ended (cancelled, preempted, or out of time)")


async def _serve(job: Job, address: str, folder: str) -> NoReturn:
    parent = os.getppid()
    record = job.files.record()
    if record is None:
        raise QbsweepError(f"{job.files.run} was not submitted")
    # A block that wants more gets a MemoryError and is reported, instead of the job being killed with all that it runs.
    if record.memory:
        resource.setrlimit(resource.RLIMIT_DATA, (record.memory * 10**6, resource.RLIM_INFINITY))
    worker = Worker(
        address,
        name=job.name,
        nthreads=1,
        security=load_credentials(job.files.credentials),
        host=address_of(record.interface),
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        death_timeout=_CONNECT_SECONDS,
        local_directory=folder,
    )
    if not await _connected(worker, job.files, address):
        _exit(0)
    print(f"worker {job.name} works for {address}", flush=True)
    while worker.status == Status.running:
        await asyncio.sleep(0.05)
        if os.getppid() != parent:
            job.leave(AGAIN, time.time() + _TERM_SECONDS, "its job's supervisor died")
        if job.leaving:
            worker.status = Status.paused  # the scheduler sends no more blocks; what it sent goes to others
            await _leave(job, worker)
    print(f"worker {job.name} has lost its driver", flush=True)
    await _finish_alone(job)
    _exit(0)


async def _finish_alone(job: Job) -> None:
    """Finish and write the running block without a driver, and let a new driver's workers know of it."""
    job.leave(AGAIN, job.ends - _LAST_SECONDS, "the driver was gone, and did not come back in time")
    if (task := job.running) is None:
        return
    beaten = -math.inf
    while job.running is not None and time.time() < job.leave_by:
        if time.monotonic() - beaten > _BEAT_SECONDS:
            beaten = time.monotonic()
            job.files.keep_busy(task.block)
        await asyncio.sleep(0.05)
    if job.running is not None:
        job.files.write_note(job.name, job.note())
    job.files.end_busy(task.block)


async def _connected(worker: Worker, files: JobFiles, address: str) -> bool:
    """Start a worker; gives up on a scheduler that the driver does not name any more."""
    starting = asyncio.ensure_future(worker.start())
    while not starting.done():
        await asyncio.wait([starting], timeout=0.5)
        if not starting.done() and (files.scheduler() or ("",))[0] != address:
            _exit(0)
    return not isinstance(starting.exception(), (OSError, TimeoutError)) and worker.status == Status.running


async def _finish(job: Job) -> None:
    """Wait for the running block while there is time."""
    while job.running is not None and time.time() < job.leave_by:
        await asyncio.sleep(0.02)


async def _leave(job: Job, worker: Worker) -> NoReturn:
    """Finish the running block if there is time, let its report be fetched, and go, whatever Dask still waits for."""
    await _finish(job)
    print(f"worker {job.name} leaves: {job.why}", flush=True)
    if job.running is not None:
        # Without a farewell the scheduler reports the block as lost, and the driver looks for this note.
        job.files.write_note(job.name, job.note())
        _exit(job.leaving)
    until = time.time() + _FETCH_SECONDS
    while worker.data and time.time() < until:
        await asyncio.sleep(0.02)
    farewell = asyncio.ensure_future(worker.close(executor_wait=False))
    await asyncio.wait([farewell], timeout=_FETCH_SECONDS)  # not `wait_for`, which would wait for its end after all
    _exit(job.leaving)
