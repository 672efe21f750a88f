"""What a worker job runs: keep worker processes on the driver's scheduler, replace those that die, leave in time.

`python -m qbsweep.slurm.supervisor DIR` imports next to nothing, so that it costs a job little beside its workers.
"""

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError
from qbsweep.slurm.files import AGAIN, BROKEN, DISMISSED, HOLD, JobFiles, Marker, Note, Record
from qbsweep.slurm.registry import SCHEDULERS
from qbsweep.store.directory import RunDirectory

PATIENCE = 60.0
"""Seconds to wait for a driver, if the scheduler does not know of one that is queued."""
_QUEUED_PATIENCE = 300.0  # for a driver that is queued; longer, and this job would only burn its allocation
_ASK_SECONDS = 10.0
_FRESH = 0.8  # of what was left when the job began: a process that has so much will not have more after a requeue
_KILL_SECONDS = 30.0  # after SIGTERM; a worker process takes half of it at most
_MAX_CRASHES = 5  # deaths in a row of a process that never lived for a minute


@dataclass(slots=True)
class _Seat:
    """One worker process, or its place."""

    number: int
    marker: Marker
    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    started: float = 0.0
    crashes: int = 0


class Supervisor:
    """What keeps the worker processes of one job (or of one task of it).

    Parameters
    ----------
    files : JobFiles
    record : Record
    processes : int
        Worker processes to keep.
    folder : Path
        For temporary files, on the node's own disk.
    """

    def __init__(self, files: JobFiles, record: Record, processes: int, folder: Path) -> None:
        self._files, self._record, self._folder = files, record, folder
        left = SCHEDULERS[record.scheduler].seconds_left(JobContext.current())
        self._ends = time.time() + (record.seconds if left is None else left)
        self._seats = [_Seat(number, Marker(folder / f"{number}.block")) for number in range(processes)]
        self._began = time.time()
        self._is_driver_queued = False
        self._leaving: int | None = None  # the signal that asks for it
        self._kill_at = math.inf
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, self._leave)

    def _leave(self, number: int, _: object = None) -> None:
        """Pass on the scheduler's word that the job is about to end."""
        self._leaving = number
        if number == signal.SIGTERM:
            self._kill_at = min(self._kill_at, time.monotonic() + _KILL_SECONDS)
        for seat in self._seats:
            if seat.process is not None:
                seat.process.send_signal(number)

    def run(self) -> int:
        """Serve one scheduler after the other, until there is none or the time is up; returns the exit code."""
        lost = ""
        while not self._leaving and (found := self._find_scheduler(lost)):
            address, lost = found
            codes = self._serve(address, lost)
            if codes == {DISMISSED}:
                return 0
            if codes == {BROKEN}:
                return BROKEN
            if AGAIN in codes:
                break
        else:
            codes = {AGAIN} if self._leaving == signal.SIGUSR1 else set()
            if not self._leaving and not self._files.finished.exists() and self._is_driver_queued:
                return HOLD
        # SIGTERM comes from `cancel`, which is to be obeyed, or from a preemption, after which the scheduler requeues.
        again = AGAIN in codes and self._leaving != signal.SIGTERM and not self._files.finished.exists()
        return AGAIN if again else 0

    def _find_scheduler(self, lost: str) -> tuple[str, str] | None:
        """Wait for a driver; None if there is none to be expected."""
        started, hope = time.monotonic(), _Hope(self._record)
        while not self._leaving and not self._files.finished.exists() and hope.holds(_QUEUED_PATIENCE):
            found = self._files.scheduler()
            if found and (found[1] != lost or time.monotonic() - started > 3) and _answers(found[0]):
                return found
            time.sleep(0.2)
        self._is_driver_queued = hope.is_queued
        return None

    def _serve(self, address: str, driver: str) -> set[int]:
        """Keep the worker processes running until all have ended for good; returns their exit codes."""
        codes: set[int] = set()
        hope: _Hope | None = None
        for seat in self._seats:
            seat.crashes = 0
            self._start(seat, address)
        while working := [seat for seat in self._seats if seat.process is not None]:
            time.sleep(0.1)
            is_there = (self._files.scheduler() or ("", ""))[1] == driver
            for seat in working:
                code = seat.process.poll() if seat.process else 0
                if code is None:
                    if seat.process and time.monotonic() > self._kill_at:
                        seat.process.kill()
                    continue
                seat.process = None
                if code in (0, AGAIN, DISMISSED) or self._leaving:
                    codes.add(code)
                elif not self._bury(seat, code):
                    codes.add(BROKEN)
                elif is_there:
                    self._start(seat, address)
            # Without a driver a worker still finishes its block, unless none is to come back.
            hope = None if is_there else hope or _Hope(self._record)
            if hope and self._leaving != signal.SIGTERM and (self._files.finished.exists() or not hope.holds(math.inf)):
                self._leave(signal.SIGTERM)
        return codes

    def _bury(self, seat: _Seat, code: int) -> bool:
        """Say why a process died and on which block; returns whether another one has better prospects."""
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        text = f"the worker process died while it solved this block ({how}; out of memory, or killed?)"
        self._files.write_note(seat.name, Note("killed", seat.marker.read(), text))
        print(f"worker {seat.name} died with {how}", flush=True)
        seat.crashes = seat.crashes + 1 if time.monotonic() - seat.started < 60 else 1
        return seat.crashes < _MAX_CRASHES

    def _start(self, seat: _Seat, address: str) -> None:
        here = JobContext.current()
        seat.started = time.monotonic()
        seat.name = f"{here.node}-{here.job or 0}-{here.restarts}-{os.getpid()}-{seat.number}-{int(time.time() * 1000)}"
        seat.marker.write(None)
        command = [sys.executable, "-P", "-m", "qbsweep", "work", str(self._files.run), address, seat.name]
        command += ["--marker", str(seat.marker.path), "--ends", repr(self._ends), "--folder", str(self._folder)]
        if self._ends - time.time() > _FRESH * (self._ends - self._began):
            command.append("--fresh")
        seat.process = subprocess.Popen(command)
        if self._leaving:
            seat.process.terminate()


class _Hope:
    """Whether a driver that is not there may be expected."""

    def __init__(self, record: Record) -> None:
        self._scheduler, self._name = SCHEDULERS[record.scheduler], record.driver_name
        self._since = self._asked = time.monotonic()
        self.is_queued = self._ended = False

    def holds(self, patience: float) -> bool:
        """Whether to wait on: so many seconds for one that is queued, a minute if the scheduler does not say."""
        now = time.monotonic()
        if now - self._asked > _ASK_SECONDS and not self._ended:
            self._asked = now
            jobs = self._scheduler.queue(self._name)
            self._ended = jobs is not None and not any(job.active for job in jobs)
            # One that is completing may be about to be requeued, or has been cancelled.
            self.is_queued = any(job.alive for job in jobs or ())
            if self._ended:
                print("the driver job has ended; so does this one", flush=True)
        return not self._ended and now - self._since <= (patience if self.is_queued else PATIENCE)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except (OSError, ValueError):
        return False
    return True


def main() -> int:
    """Run a supervisor; the arguments are the run directory and the number of worker processes."""
    try:
        return _supervise(JobFiles(Path(sys.argv[1])), int(sys.argv[2]))
    except OSError as error:  # its worker processes notice that it is gone, and leave
        print(f"qbsweep: this node cannot reach its files: {error}", file=sys.stderr)
        return BROKEN


def _supervise(files: JobFiles, processes: int) -> int:
    try:
        record = files.record()
    except QbsweepError as error:
        print(f"qbsweep: {error}", file=sys.stderr)
        return 2
    if record is None or not RunDirectory(files.run).data.is_dir():
        print(f"qbsweep: {files.run} is not a submitted run, seen from {socket.gethostname()}", file=sys.stderr)
        return 2
    if not record.owns(JobContext.current()):
        print("this job is of an earlier submission, and ends")
        return 0
    with tempfile.TemporaryDirectory(prefix="qbsweep-") as folder:
        return Supervisor(files, record, processes, Path(folder)).run()


if __name__ == "__main__":
    sys.exit(main())
