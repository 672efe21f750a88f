"""Who takes a block, who is to blame for a lost one, when a job goes on: decisions of worker, supervisor and driver."""

import contextlib
import errno
import json
import operator
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from distributed import Client
from distributed.scheduler import KilledWorker
from rich.console import Console

from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError
from qbsweep.runs import events, loop, opening
from qbsweep.runs.attempts import record_attempt
from qbsweep.runs.block import Report, Task, solve_block
from qbsweep.runs.dask import CONFIG, RETURNED, DaskExecutor, Loss, _Queue
from qbsweep.runs.state import pending_blocks
from qbsweep.slurm import commands as slurm
from qbsweep.slurm import driver, supervisor, worker
from qbsweep.slurm import pool as pool_module
from qbsweep.slurm.connection import create_credentials, load_credentials
from qbsweep.slurm.files import AGAIN, BROKEN, DISMISSED, HOLD, JobFiles, Marker, Note, Record
from qbsweep.slurm.interface import Job
from qbsweep.slurm.pool import JobPool, StrandedError
from qbsweep.solvers.status import FAILED, OK, PENDING
from qbsweep.store.blocks import BlockFiles
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.records import append_line
from qbsweep.sweeps.given import sweep
from qbsweep.sweeps.spec import load_spec

from ..datasets import to_format_2

RECORD = Record(
    token="01234567",
    driver_name="qb-test-01234567",
    worker_name="qb-test-01234567-workers",
    driver_id="101",
    worker_id="102",
    layout="jobs",
    workers=3,
    seconds=1000,
    memory=1000,
    interface="",
    submitted=1.5,
)
TASK = Task("/nowhere", "id", 5)


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    files = JobFiles(tmp_path)
    files.start_anew()
    return files


# a worker process in its job


@pytest.fixture
def job(files: JobFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[worker.Job]:
    """A job with 100 s left, in which something was solved already."""
    job = worker.Job(files, "w1", Marker(tmp_path / "marker"), time.time() + 100, is_fresh=False)
    monkeypatch.setattr(worker, "_job", job)
    return job


@pytest.mark.parametrize(
    ("predicted", "left", "is_fresh", "taken"),
    [
        (50, 100, False, True),
        (89, 100, False, True),
        (90, 100, False, False),  # a margin of 10 s
        (1000, 100, False, False),
        (1000, 100, True, True),  # there is no better moment
        (0, 10, False, False),
    ],
)
def test_a_block_is_taken_if_it_fits(
    job: worker.Job, predicted: float, left: float, is_fresh: bool, taken: bool
) -> None:
    job.is_fresh = is_fresh
    assert job.takes(predicted, job.ends - left) == taken


@pytest.mark.parametrize("code", [AGAIN, DISMISSED])
def test_who_leaves_takes_no_block(job: worker.Job, code: int) -> None:
    job.is_fresh = True
    job.leave(code, job.ends, "because")
    assert not job.takes(0, 0)


def test_the_earliest_end_counts(job: worker.Job) -> None:
    job.leave(AGAIN, 50, "one")
    job.leave(AGAIN, 70, "two")
    assert (job.leave_by, job.why) == (50, "two")
    job.leave(DISMISSED, 20, "three")
    assert (job.leave_by, job.leaving) == (20, DISMISSED)


@pytest.mark.parametrize("gave_all", [True, False])
@pytest.mark.parametrize("code", [AGAIN, DISMISSED])
def test_the_walltime_is_blamed_on_a_block_that_had_all_of_it(job: worker.Job, gave_all: bool, code: int) -> None:
    job.ends = time.time() + 9
    job.running, job.gave_all, job.began = TASK, gave_all, time.time() - 91
    job.leave(code, job.ends - 10, "the walltime is over")
    note = job.note()
    assert note.block == 5
    assert note.why == ("walltime" if gave_all and code == AGAIN else "left")
    assert "the walltime is over" in note.text


def test_a_job_that_is_preempted_does_not_blame_its_first_block(job: worker.Job) -> None:
    job.running, job.gave_all, job.began = TASK, True, time.time() - 100  # a half of what there was
    worker._on_signal(job, signal.SIGTERM, None)
    assert job.note().why == "left"
    job.began -= 200  # three quarters
    assert job.note() == Note("walltime", 5, f"the block does not fit the walltime of its job: {job.why}")


def test_leaving_without_a_block(job: worker.Job) -> None:
    job.leave(AGAIN, job.ends, "because")
    assert job.note() == Note("left", None, "because")


def test_signals_of_slurm(job: worker.Job) -> None:
    worker._on_signal(job, signal.SIGUSR1, None)
    assert (job.leaving, job.leave_by) == (AGAIN, job.ends - 10)
    before = time.time()
    worker._on_signal(job, signal.SIGTERM, None)
    assert before + 4.9 < job.leave_by < time.time() + 5.1


BAD = {20: "write", 21: "error", 22: "memory", 23: "full"}


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """The blocks that were solved, and the block on the marker meanwhile."""
    solved: list[tuple[int, int | None]] = []

    def solve(task: Task) -> Report:
        assert worker._job is not None
        assert worker._job.running == task
        solved.append((task.block, worker._job.marker.read()))
        if task.block == 13:
            raise MemoryError
        if task.block in BAD:
            return Report(task.block, task.attempt, error="it is bad", cause=BAD[task.block])
        return Report(task.block, task.attempt, ok=1)

    monkeypatch.setattr(worker, "solve_block", solve)
    return solved


def test_a_worker_solves_what_fits(job: worker.Job, solved: list[tuple[int, int | None]]) -> None:
    job.is_fresh = True
    assert worker.solve_within(TASK, 1e6) == Report(5, 1, ok=1)
    assert (job.gave_all, job.is_fresh, job.running) == (True, False, None)
    assert worker.solve_within(replace(TASK, block=6), 10) == Report(6, 1, ok=1)
    assert not job.gave_all
    assert solved == [(5, 5), (6, 6)]
    assert job.marker.read() is None
    assert job.leaving == 0


def test_a_worker_hands_back_what_does_not_fit(job: worker.Job, solved: list[tuple[int, int | None]]) -> None:
    report = worker.solve_within(replace(TASK, attempt=2), 95)
    assert (report.block, report.attempt, report.cause) == (5, 2, RETURNED)
    assert report.error
    assert (solved, job.leaving) == ([], 0), "another block may fit"
    worker.solve_within(TASK, 95)
    worker.solve_within(TASK, 10)
    assert (solved, job.leaving) == ([(5, 5)], 0)
    for leaving in (0, 0, AGAIN):
        assert worker.solve_within(TASK, 95).cause == RETURNED
        assert job.leaving == leaving, "three in a row"
    assert job.running is None
    assert solved == [(5, 5)]
    # and, since it leaves, whatever else comes
    assert worker.solve_within(replace(TASK, block=6), 0).cause == RETURNED


def test_a_block_that_raises_is_not_marked_any_more(job: worker.Job, solved: list[tuple[int, int | None]]) -> None:
    with pytest.raises(MemoryError):
        worker.solve_within(replace(TASK, block=13), 1)
    assert (job.running, job.marker.read(), solved) == (None, None, [(13, 13)])


@pytest.mark.parametrize(("block", "code"), [(20, BROKEN), (21, BROKEN), (22, 0), (23, 0)])
def test_who_cannot_write_leaves(job: worker.Job, solved: list[tuple[int, int | None]], block: int, code: int) -> None:
    (job.files.run / "data.zarr").mkdir()
    (job.files.run / "data.zarr" / "zarr.json").touch()
    report = worker.solve_within(replace(TASK, block=block), 1)
    assert (report.block, report.cause) == (block, BAD[block])
    assert (job.leaving, job.running, job.marker.read()) == (code, None, None)
    assert (job.why == "it is bad") == bool(code)
    assert (worker.solve_within(replace(TASK, block=6), 1).cause == RETURNED) == bool(code)


@pytest.mark.parametrize("missing", ["data.zarr/zarr.json", "slurm/notes"])
def test_a_block_is_not_to_blame_for_a_broken_node(
    job: worker.Job, solved: list[tuple[int, int | None]], missing: str
) -> None:
    (job.files.run / "data.zarr").mkdir()
    (job.files.run / "data.zarr" / "zarr.json").touch()
    assert job.files.trouble() == ""
    assert not list((job.files.run / "slurm/notes").iterdir())
    (job.files.run / missing).rename(job.files.run / "elsewhere")
    report = worker.solve_within(replace(TASK, block=20), 1)
    assert (report.block, report.attempt, report.cause) == (20, 1, RETURNED)
    assert missing in report.error
    assert (job.leaving, job.why) == (BROKEN, "it is bad")


def test_a_dismissed_worker_may_finish_its_block(job: worker.Job) -> None:
    worker.dismiss()
    assert (job.leaving, job.leave_by) == (DISMISSED, job.ends)


def test_a_block_without_a_driver_is_waited_for(
    job: worker.Job, files: JobFiles, solved: list[tuple[int, int | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    files.keep_busy(5)
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        assert solved == []
        naps.append(seconds)
        if len(naps) == 3:
            files.end_busy(5)

    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=time.monotonic, time=time.time, sleep=sleep))
    worker.solve_within(TASK, 1)
    assert len(naps) == 3
    assert solved == [(5, 5)]


def test_a_block_is_not_waited_for_in_vain(
    job: worker.Job, files: JobFiles, solved: list[tuple[int, int | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_STALE_SECONDS", 0.3)
    files.keep_busy(5)
    worker.solve_within(TASK, 1)
    assert solved == [(5, 5)]


# the supervisor of a job's workers


@pytest.fixture
def make_supervisor(
    files: JobFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., supervisor.Supervisor]]:
    """Make an impatient supervisor: a tenth of a second to ask, 0.4 s to wait, 1.5 s for a driver in the queue."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)}
    monkeypatch.setattr(supervisor, "_ASK_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "PATIENCE", 0.4)
    monkeypatch.setattr(supervisor, "_QUEUED_PATIENCE", 1.5)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    yield lambda processes=1: supervisor.Supervisor(files, RECORD, processes, tmp_path)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def address() -> Iterator[str]:
    """The address of something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tls://127.0.0.1:{server.getsockname()[1]}"


def in_queue(monkeypatch: pytest.MonkeyPatch, *states: str, answers: bool = True) -> list[tuple[str, ...]]:
    """Have Slurm answer so; returns the names that are asked for."""
    asked: list[tuple[str, ...]] = []

    def queue(*names: str) -> list[Job] | None:
        asked.append(names)
        jobs = [Job(str(i), names[0], state, "", "", None) for i, state in enumerate(states)]
        return jobs if answers else None

    monkeypatch.setattr(slurm, "queue", queue)
    return asked


def test_a_driver_that_is_there(
    make_supervisor: Callable[..., supervisor.Supervisor],
    files: JobFiles,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = in_queue(monkeypatch)
    files.write_scheduler(address, "a")
    assert make_supervisor()._find_scheduler("") == (address, "a")
    assert make_supervisor()._find_scheduler("another") == (address, "a")
    assert asked == []


@pytest.fixture
def supervisor_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the supervisor sees, in s; it goes on when that sleeps."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += 0.05

    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep, time=time.time))
    return clock


def test_the_driver_that_was_lost_is_not_believed_at_once(
    make_supervisor: Callable[..., supervisor.Supervisor],
    files: JobFiles,
    address: str,
    supervisor_clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_queue(monkeypatch, answers=False)
    files.write_scheduler(address, "a")
    assert make_supervisor()._find_scheduler("a") is None
    assert 0.4 < supervisor_clock[0] < 1
    monkeypatch.setattr(supervisor, "PATIENCE", 60)
    assert make_supervisor()._find_scheduler("a") == (address, "a")


def test_a_driver_that_comes_late(
    make_supervisor: Callable[..., supervisor.Supervisor],
    files: JobFiles,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "_QUEUED_PATIENCE", 60)
    asked: list[tuple[str, ...]] = []

    def queue(*names: str) -> list[Job]:
        asked.append(names)
        if len(asked) == 2:
            files.write_scheduler(address, "a")
        return [Job("1", names[0], "PENDING", "", "", None)]

    monkeypatch.setattr(slurm, "queue", queue)
    assert make_supervisor()._find_scheduler("") == (address, "a")
    assert asked == [(RECORD.driver_name,)] * 2


@pytest.mark.parametrize(
    ("states", "answers", "least", "most"),
    [
        (["FAILED"], True, 0.1, 0.4),  # nobody will come
        ([], True, 0.1, 0.4),
        ([], False, 0.4, 1.5),
        (["COMPLETING"], True, 0.4, 1.5),
        (["PENDING"], True, 1.5, 20),
        (["FAILED", "RUNNING"], True, 1.5, 20),
    ],
)
def test_how_long_a_driver_is_waited_for(
    make_supervisor: Callable[..., supervisor.Supervisor],
    files: JobFiles,
    supervisor_clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
    states: list[str],
    answers: bool,
    least: float,
    most: float,
) -> None:
    in_queue(monkeypatch, *states, answers=answers)
    files.write_scheduler("tls://127.0.0.1:1", "dead")  # which nobody listens to
    assert make_supervisor()._find_scheduler("") is None
    assert least < supervisor_clock[0] < most


def test_nobody_is_waited_for_when_all_is_done(
    make_supervisor: Callable[..., supervisor.Supervisor],
    files: JobFiles,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = in_queue(monkeypatch, "RUNNING")
    files.write_scheduler(address, "a")
    files.finished.touch()
    assert make_supervisor()._find_scheduler("") is None
    files.finished.unlink()
    leaving = make_supervisor()
    leaving._leave(signal.SIGUSR1)
    assert leaving._find_scheduler("") is None
    assert asked == []


@pytest.mark.parametrize(
    ("codes", "leaving", "finished", "expected"),
    [
        ([{DISMISSED}], None, False, 0),
        ([{AGAIN}], None, False, AGAIN),
        ([{AGAIN, DISMISSED}], None, False, AGAIN),
        ([{AGAIN, 0}], None, False, AGAIN),
        ([{AGAIN}], signal.SIGUSR1, False, AGAIN),
        ([{AGAIN}], signal.SIGTERM, False, 0),
        ([{AGAIN}], None, True, 0),
        ([{0}], None, False, 0),  # lost, and no other driver comes
        ([{0}, {AGAIN}], None, False, AGAIN),
        ([{0, DISMISSED}, {DISMISSED}], None, False, 0),
        ([{BROKEN}], None, False, BROKEN),
        ([{BROKEN, AGAIN}], None, False, AGAIN),
        ([{0, BROKEN}], None, False, 0),
        ([set()], signal.SIGUSR1, False, AGAIN),
        ([], None, False, 0),
        ([], signal.SIGUSR1, False, AGAIN),
        ([], signal.SIGTERM, False, 0),
    ],
)
def test_whether_the_job_goes_back_into_the_queue(
    make_supervisor: Callable[..., supervisor.Supervisor],
    files: JobFiles,
    monkeypatch: pytest.MonkeyPatch,
    codes: list[set[int]],
    leaving: int | None,
    finished: bool,
    expected: int,
) -> None:
    one = make_supervisor()
    rounds = iter(codes)
    drivers = iter(str(i) for i in range(len(codes)))
    lost: list[str] = []

    def find(known: str) -> tuple[str, str] | None:
        lost.append(known)
        identity = next(drivers, None)
        if identity is None:
            one._leaving = leaving
            return None
        return "address", identity

    def serve(address: str, identity: str) -> set[int]:
        one._leaving = leaving
        return next(rounds)

    monkeypatch.setattr(one, "_find_scheduler", find)
    monkeypatch.setattr(one, "_serve", serve)
    if finished:
        files.finished.touch()
    assert one.run() == expected
    assert lost == ["", "0", "1"][: len(lost)]


@pytest.mark.parametrize(
    ("states", "leaving", "finished", "expected"),
    [
        (["PENDING"], None, False, HOLD),
        (["PENDING"], signal.SIGUSR1, False, AGAIN),
        (["PENDING"], signal.SIGTERM, False, 0),
        (["PENDING"], None, True, 0),
        (["COMPLETING"], None, False, 0),
        (["FAILED"], None, False, 0),
        ([], None, False, 0),
    ],
)
def test_a_job_without_its_driver_waits_held(
    make_supervisor: Callable[..., supervisor.Supervisor],
    files: JobFiles,
    supervisor_clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
    states: list[str],
    leaving: int | None,
    finished: bool,
    expected: int,
) -> None:
    one = make_supervisor()

    def queue(*names: str) -> list[Job]:
        if leaving:
            one._leave(leaving)
        if finished:
            files.finished.touch()
        return [Job("1", names[0], state, "", "", None) for state in states]

    monkeypatch.setattr(slurm, "queue", queue)
    assert one.run() == expected


@pytest.mark.parametrize(("crashes", "expected"), [(4, BROKEN), (0, 0)])
def test_a_supervisor_that_cannot_keep_workers_alive(
    make_supervisor: Callable[..., supervisor.Supervisor],
    files: JobFiles,
    monkeypatch: pytest.MonkeyPatch,
    crashes: int,
    expected: int,
) -> None:
    one = make_supervisor(2)
    ends = {0: [BROKEN] * 9, 1: [BROKEN] * 9 if crashes else [0]}
    starts: list[int] = []

    def start(seat: Any, address: str) -> None:
        seat.started, seat.name = time.monotonic(), f"w{seat.number}"
        starts.append(seat.number)
        code = ends[seat.number].pop(0)
        seat.process = SimpleNamespace(poll=lambda: code, send_signal=lambda number: None)

    monkeypatch.setattr(one, "_start", start)
    monkeypatch.setattr(supervisor.time, "sleep", lambda seconds: None)
    drivers = iter([("address", "a")])
    monkeypatch.setattr(one, "_find_scheduler", lambda lost: next(drivers, None))
    files.write_scheduler("address", "a")
    assert one.run() == expected
    assert (starts.count(0), starts.count(1)) == (5, crashes + 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_worker_that_does_not_leave_is_killed(
    make_supervisor: Callable[..., supervisor.Supervisor], files: JobFiles, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What hangs in its farewell must not hold the job; before the walltime it has until then."""
    monkeypatch.setattr(supervisor, "_KILL_SECONDS", 0.1)
    one = make_supervisor()
    # Whoever ignores a signal hands that down to what it becomes.
    deaf = "import os, signal as s; s.signal(s.SIGTERM, s.SIG_IGN); s.signal(s.SIGUSR1, s.SIG_IGN); print(flush=True)"
    seconds = "100" if number == signal.SIGTERM else "1"
    command = [sys.executable, "-c", f"{deaf}; os.execlp('sleep', 'sleep', '{seconds}')"]

    def start(seat: Any, address: str) -> None:
        seat.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        with seat.process.stdout as said:
            said.readline()
        one._leave(number)

    monkeypatch.setattr(one, "_start", start)
    files.write_scheduler("address", "a")
    assert one._serve("address", "a") == {-signal.SIGKILL if number == signal.SIGTERM else 0}


@pytest.mark.parametrize(("gone", "fresh"), [(0, True), (150, True), (250, False)])
def test_what_counts_as_fresh(
    make_supervisor: Callable[..., supervisor.Supervisor], monkeypatch: pytest.MonkeyPatch, gone: float, fresh: bool
) -> None:
    """Of the 1000 s that were left when the supervisor began, not of the walltime."""
    one = make_supervisor()
    commands: list[list[str]] = []
    monkeypatch.setattr(supervisor.subprocess, "Popen", commands.append)
    one._record = replace(RECORD, seconds=9000)
    now = one._began + gone
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=time.monotonic, time=lambda: now))
    one._start(one._seats[0], "address")
    assert commands[0][1:4] == ["-P", "-m", "qbsweep"]
    assert ("--fresh" in commands[0]) == fresh


@pytest.mark.parametrize(
    ("name", "ours"),
    [(None, True), (RECORD.driver_name, True), (RECORD.worker_name, True), ("qb-test-76543210", False), ("", False)],
)
def test_a_job_of_an_earlier_submission_ends(
    files: JobFiles,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str | None,
    ours: bool,
) -> None:
    monkeypatch.delenv("SLURM_JOB_NAME", raising=False)
    if name is not None:
        monkeypatch.setenv("SLURM_JOB_NAME", name)
    assert RECORD.owns(JobContext.current()) == ours
    files.write_record(RECORD)
    (files.run / "data.zarr").mkdir()
    monkeypatch.setattr(supervisor.sys, "argv", ["supervisor", str(files.run), "1"])
    monkeypatch.setattr(supervisor, "Supervisor", lambda *_: SimpleNamespace(run=lambda: 42))
    assert supervisor.main() == (42 if ours else 0)

    def locked(path: Path) -> Any:
        raise Interrupted

    monkeypatch.setattr(driver, "_locked", locked)
    monkeypatch.setattr(driver.sys, "stdout", sys.stdout)  # both are replaced
    monkeypatch.setattr(driver.signal, "signal", lambda *_: None)
    if ours:
        with pytest.raises(Interrupted):
            driver.drive(files.run, Console())
    else:
        assert driver.drive(files.run, Console()) == 0
    assert ("an earlier submission" in capsys.readouterr().out) != ours


def test_a_supervisor_without_a_record_it_can_read(
    files: JobFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (files.folder / "jobs.json").write_text("{")
    monkeypatch.setattr(supervisor.sys, "argv", ["supervisor", str(files.run), "1"])
    assert supervisor.main() == 2
    assert re.fullmatch(r"qbsweep: .*jobs\.json is damaged .*\n", capsys.readouterr().err)


def test_a_supervisor_that_cannot_reach_its_files(
    files: JobFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SLURM_JOB_NAME", raising=False)
    files.write_record(RECORD)
    (files.run / "data.zarr").mkdir()

    def run() -> int:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(supervisor.sys, "argv", ["supervisor", str(files.run), "1"])
    monkeypatch.setattr(supervisor, "Supervisor", lambda *_: SimpleNamespace(run=run))
    assert supervisor.main() == BROKEN
    assert re.fullmatch(r"qbsweep: .* cannot reach its files: .*Stale file handle\n", capsys.readouterr().err)


def test_a_dead_process_leaves_a_note(make_supervisor: Callable[..., supervisor.Supervisor], files: JobFiles) -> None:
    one = make_supervisor(2)
    seat, other = one._seats
    seat.name, other.name = "w1", "w2"
    seat.started = other.started = time.monotonic()
    seat.marker.write(7)
    assert one._bury(seat, -9)
    assert one._bury(other, 3)
    note = files.take_note("w1")
    assert note is not None
    assert (note.why, note.block, note.cause(7), note.cause(8)) == ("killed", 7, "worker", None)
    assert "signal 9" in note.text
    note = files.take_note("w2")
    assert note is not None
    assert (note.block, note.cause(None)) == (None, None)
    assert "exit code 3" in note.text


def test_a_process_that_dies_again_and_again_is_given_up(make_supervisor: Callable[..., supervisor.Supervisor]) -> None:
    one = make_supervisor()
    seat = one._seats[0]
    seat.started = time.monotonic()
    assert [one._bury(seat, 1) for _ in range(5)] == [True] * 4 + [False]
    seat.started = time.monotonic() - 61  # it lived for a while
    assert one._bury(seat, 1)


# the driver's care for its workers


@pytest.fixture
def pool(files: JobFiles) -> JobPool:
    """A pool without workers; block n should take n seconds."""
    return JobPool(files, RECORD, SimpleNamespace(), np.arange(20.0))  # type: ignore[arg-type]


def loss(ago: float = 0.0, name: str = "w1") -> Loss:
    return Loss(replace(TASK, attempt=2), name, time.monotonic() - ago)


@pytest.mark.parametrize(
    ("note", "cause"),
    [
        (Note("killed", 5, "died"), "worker"),
        (Note("walltime", 5, "too long"), "walltime"),
        (Note("killed", 6, "died"), RETURNED),
        (Note("walltime", 6, "too long"), RETURNED),
        (Note("left", 5, "preempted"), RETURNED),
        (Note("killed", None, "died"), RETURNED),
    ],
)
def test_who_is_to_blame(pool: JobPool, files: JobFiles, note: Note, cause: str) -> None:
    files.write_note("w1", note)
    report = pool.judge(loss())
    assert report is not None
    assert (report.block, report.attempt, report.cause) == (5, 2, cause)
    assert (report.error == note.text) == (cause != RETURNED)
    # One worker may have lost several blocks: what it said holds for all of them.
    other = pool.judge(Loss(replace(TASK, block=6), "w1", time.monotonic()))
    assert other is not None
    assert (other.cause != RETURNED) == (note.block == 6)


def test_a_note_is_waited_for(pool: JobPool, files: JobFiles) -> None:
    lost = loss()
    assert pool.judge(lost) is None
    files.write_note("w1", Note("killed", 5, "died"))
    report = pool.judge(lost)
    assert report is not None
    assert report.cause == "worker"


def test_a_worker_that_vanishes_without_a_word(pool: JobPool) -> None:
    assert pool.judge(loss(4)) is None
    report = pool.judge(loss(6))
    assert report is not None
    assert (report.block, report.attempt, report.cause) == (5, 2, "vanished")
    assert "vanished" in report.error


def test_predictions_learn_from_reports(pool: JobPool) -> None:
    assert pool._predict(10) == 15.0  # half as much again, for safety
    pool.learn(Report(5, 1, seconds=20.0))
    assert pool._predict(10) == 60.0
    pool.learn(Report(10, 1, seconds=100.0, error="died", cause="worker"))
    assert pool._predict(10) == 60.0, "what failed says nothing"
    pool.learn(Report(15, 1, seconds=20.0))
    assert pool._predict(10) == 30.0
    for _ in range(50):
        pool.learn(Report(1, 1, seconds=1.0))
    assert pool._predict(10) == 15.0, "what is long ago is forgotten"


def jobs(*states: str) -> list[Job]:
    return [Job(f"102_{i}", RECORD.worker_name, state, "", "", None) for i, state in enumerate(states)]


@pytest.fixture
def requeued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    requeued: list[str] = []
    monkeypatch.setattr(slurm, "requeue", lambda job: requeued.append(job.id) or True)
    return requeued


@pytest.mark.parametrize(
    ("states", "called", "hope"),
    [
        (["RUNNING", "PENDING"], [], True),
        (["RUNNING", "FAILED", "TIMEOUT", "COMPLETED"], ["102_1", "102_2", "102_3"], True),
        (["RUNNING", "CANCELLED"], [], True),
        (["CANCELLED", "NODE_FAIL"], ["102_1"], True),
        (["CANCELLED", "CANCELLED"], ["102_0", "102_1"], True),
        (["COMPLETING", "CANCELLED"], [], True),
        ([], [], False),
    ],
)
def test_which_jobs_are_called_back(
    pool: JobPool, requeued: list[str], states: list[str], called: list[str], hope: bool
) -> None:
    assert pool._revive(jobs(*states)) == hope
    assert requeued == called


def test_nobody_is_called_back_for_ever(pool: JobPool, requeued: list[str]) -> None:
    assert [pool._revive(jobs("FAILED")) for _ in range(10)] == [True] * 8 + [False] * 2
    assert requeued == ["102_0"] * 8
    pool.learn(Report(5, 1, error="died", cause="worker"))
    assert not pool._revive(jobs("FAILED")), "a failed attempt is no progress"
    pool.learn(Report(5, 1, seconds=1.0))
    assert pool._revive(jobs("FAILED"))
    assert requeued == ["102_0"] * 9


def test_who_is_held_is_released(pool: JobPool, requeued: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[str] = []
    monkeypatch.setattr(slurm, "release", lambda job: released.append(job.id) or True)
    waiting = jobs("RUNNING", "PENDING", "REQUEUE_HOLD", "PENDING")
    waiting[3] = replace(waiting[3], reason="JobHeldUser")
    assert pool._revive(waiting)
    assert (released, requeued) == (["102_2", "102_3"], [])


def test_a_requeue_that_slurm_refuses_is_no_hope(pool: JobPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "requeue", lambda job: False)
    assert not pool._revive(jobs("FAILED"))
    assert pool._revive(jobs("FAILED", "RUNNING"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the driver sees, in s."""
    clock = [1000.0]
    monkeypatch.setattr(pool_module, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))
    return clock


def test_a_driver_without_workers_gives_up(
    clock: list[float], files: JobFiles, requeued: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = JobPool(files, RECORD, SimpleNamespace(), np.ones(9))  # type: ignore[arg-type]
    asked: list[tuple[str, ...]] = []
    answers: list[list[Job] | None] = [None]

    def queue(*names: str) -> list[Job] | None:
        asked.append(names)
        return answers[0]

    monkeypatch.setattr(slurm, "queue", queue)
    pool.watch(0, waiting=True)
    assert asked == [], "not at every turn"
    clock[0] += 200
    pool.watch(0, waiting=True)  # Slurm does not answer: that says nothing
    assert asked == [(RECORD.worker_name,)]
    answers[0] = jobs("PENDING")
    clock[0] += 200
    pool.watch(0, waiting=True)
    answers[0] = []
    clock[0] += 200
    pool.watch(1, waiting=True)
    clock[0] += 100
    pool.watch(0, waiting=True)
    clock[0] += 100
    with pytest.raises(QbsweepError, match=r"^no worker is left, and none can be called back; `qbsweep logs`"):
        pool.watch(0, waiting=True)


def test_a_slurm_that_is_silent_for_long(clock: list[float], files: JobFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = JobPool(files, RECORD, SimpleNamespace(), np.ones(9))  # type: ignore[arg-type]
    monkeypatch.setattr(slurm, "queue", lambda *_: None)
    clock[0] += 2000
    pool.watch(1, waiting=True)  # as long as there are workers, that does not matter
    clock[0] += 890
    pool.watch(0, waiting=True)
    clock[0] += 20
    with pytest.raises(QbsweepError, match=r"^no worker is left, and Slurm does not answer; `qbsweep logs`"):
        pool.watch(0, waiting=True)


def test_an_allocation_without_workers_begins_again(clock: list[float], files: JobFiles) -> None:
    record = replace(RECORD, layout="allocation")
    pool = JobPool(files, record, SimpleNamespace(), np.ones(9))  # type: ignore[arg-type]
    clock[0] += 100
    pool.watch(0, waiting=True)
    clock[0] += 100
    with pytest.raises(StrandedError):
        pool.watch(0, waiting=True)


def test_who_is_idle_twice_is_dismissed(clock: list[float], files: JobFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    processing: dict[str, list[str]] = {"a": [], "b": ["x"], "c": []}
    dismissed: list[list[str]] = []
    client = SimpleNamespace(processing=lambda: processing)
    monkeypatch.setattr(pool_module, "ask", lambda client, workers, function: dismissed.append(workers))
    pool = JobPool(files, RECORD, client, np.ones(9))  # type: ignore[arg-type]
    for _ in range(2):
        clock[0] += 20
        pool.watch(3, waiting=False)
        processing |= {"c": ["y"], "b": []}
    assert dismissed == [["a"]]


# drivers that die


def test_fruitless_drivers_are_not_started_for_ever(files: JobFiles) -> None:
    for _ in range(5):
        driver._count_start(files, 3)
    with pytest.raises(QbsweepError, match=r"^5 drivers in a row ended before a block was finished; `qbsweep logs"):
        driver._count_start(files, 3)
    driver._count_start(files, 4)  # a block was finished
    for _ in range(4):
        driver._count_start(files, 4)
    with pytest.raises(QbsweepError):
        driver._count_start(files, 4)


def test_a_farewell_makes_a_start_no_death(files: JobFiles) -> None:
    for _ in range(4):
        driver._count_start(files, 3)
    driver._note_start(files, {"event": "stop"})
    for _ in range(5):
        driver._count_start(files, 3)
    with pytest.raises(QbsweepError):
        driver._count_start(files, 3)
    files.start_anew()  # as `submit` does
    driver._count_start(files, 3)


# files between jobs


def test_what_is_written_can_be_read(files: JobFiles) -> None:
    assert (files.record(), files.scheduler(), files.take_note("w1"), files.take_notes()) == (None, None, None, [])
    files.write_record(RECORD)
    assert files.record() == RECORD
    files.write_scheduler("tls://1.2.3.4:5", "a")
    assert files.scheduler() == ("tls://1.2.3.4:5", "a")
    note = Note("walltime", 3, "it's\n\N{SNOWMAN}")
    files.write_note("node1-17-0-1-2", note)
    assert files.take_note("node1-17-0-1-2") == note
    assert files.take_note("node1-17-0-1-2") is None
    files.write_note("a", note)
    files.write_note("b", replace(note, block=None))
    assert files.take_notes() == [note, replace(note, block=None)]
    assert files.take_notes() == []
    files.remove_record()
    assert files.record() is None
    assert not [path.name for path in files.folder.rglob(".*")], "scratch files stay behind"


def test_a_scheduler_that_has_taken_over_stays(files: JobFiles) -> None:
    files.write_scheduler("address", "b")
    files.remove_scheduler("a")
    assert files.scheduler() == ("address", "b")
    files.remove_scheduler("b")
    assert files.scheduler() is None
    files.remove_scheduler("b")


GARBAGE = ["", "{", "3", "null", "[1]", '"text"', "{}", '{"token": "1"}', '{"why": "left"}', "\x00", '{"address": "a"}']


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_damaged_file_says_nothing(files: JobFiles, garbage: str) -> None:
    for content in (garbage.encode(), b"\xff\xfe"):
        for name in ("jobs.json", "scheduler.json", "notes/w1.json"):
            (files.folder / name).write_bytes(content)
        assert (files.scheduler(), files.take_note("w1"), files.take_notes()) == (None, None, [])
        refuse_record(files)


def refuse_record(files: JobFiles) -> None:
    """Its jobs may be alive: a record that is there but cannot be read is not taken for none."""
    path = re.escape(str(files.folder / "jobs.json"))
    with pytest.raises(QbsweepError, match=rf"^{path} is damaged or from another version; see with `squeue --me` "):
        files.record()


def test_a_record_that_cannot_be_read(files: JobFiles) -> None:
    """Nothing is wrong with it, and nobody is told to remove it."""
    path = files.folder / "jobs.json"
    path.mkdir()
    with pytest.raises(QbsweepError, match=rf"^{path} cannot be read: Is a directory$"):
        files.record()


def test_a_record_of_another_version(files: JobFiles) -> None:
    files.write_record(RECORD)
    path = files.folder / "jobs.json"
    content = json.loads(path.read_text())
    del content["crc"]
    path.write_text(json.dumps(content | {"new": 1}))
    refuse_record(files)
    path.write_text(json.dumps(content | {"workers": True}))
    refuse_record(files)
    path.write_text(json.dumps(content))
    assert files.record() == RECORD
    del content["memory"]
    path.write_text(json.dumps(content))
    refuse_record(files)
    path.write_text("[" * 100_000)
    refuse_record(files)


def test_no_flipped_bit_makes_another_record(files: JobFiles) -> None:
    """With other names the jobs that are alive would not be found."""
    files.write_record(RECORD)
    path = files.folder / "jobs.json"
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 7):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with contextlib.suppress(QbsweepError):
            assert files.record() == RECORD


def test_a_record_is_on_the_disk_before_any_job_is_submitted(files: JobFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    fsync, fdatasync = os.fsync, os.fdatasync
    for name, sync in (("fsync", fsync), ("fdatasync", fdatasync)):
        monkeypatch.setattr(
            os, name, lambda fd, sync=sync: (synced.append(Path(f"/proc/self/fd/{fd}").readlink()), sync(fd))
        )
    files.write_record(RECORD)
    assert [path.parent if path.name.startswith(".jobs.json") else path for path in synced] == [
        files.folder,  # the file in it
        files.folder,
        files.run,
    ]


def test_a_new_submission_begins_anew(files: JobFiles) -> None:
    files.write_scheduler("address", "a")
    files.write_note("w1", Note("left", None, ""))
    files.keep_busy(3)
    files.credentials.mkdir()
    for path in (files.finished, files.starts, files.logs / "driver.log", files.folder / "driver.sh"):
        path.touch()
    files.start_anew()
    found = sorted(str(path.relative_to(files.folder)) for path in files.folder.rglob("*"))
    assert found == ["driver.sh", "logs", "logs/driver.log", "notes"]


def test_notes_are_best_effort(tmp_path: Path) -> None:
    files = JobFiles(tmp_path / "gone")
    files.write_note("w1", Note("left", None, ""))
    files.keep_busy(3)
    files.end_busy(3)
    assert files.busy_since(3) is None


def test_a_busy_block(files: JobFiles) -> None:
    files.keep_busy(3)
    assert files.busy_since(3) == pytest.approx(time.time(), abs=5)
    assert files.busy_since(4) is None
    files.end_busy(3)
    assert files.busy_since(3) is None


@pytest.mark.parametrize("content", ["", "x", "3 4"])
def test_marker(tmp_path: Path, content: str) -> None:
    marker = Marker(tmp_path / "marker")
    assert marker.read() is None
    marker.write(12)
    assert marker.read() == 12
    marker.write(None)
    assert marker.read() is None
    marker.path.write_text(content)
    assert marker.read() is None
    gone = Marker(tmp_path / "gone/marker")
    gone.write(12)
    assert gone.read() is None


# attempts beyond the life of a driver


class Interrupted(BaseException):
    pass


class Executor:
    """Solves blocks one after the other, but fails one of them for these causes; may be interrupted after a failure."""

    def __init__(self, bad: int, *causes: str, interrupted: bool = False) -> None:
        self.bad, self.causes, self.interrupted = bad, iter(causes), interrupted
        self.attempts: list[int] = []
        self.order: list[int] = []

    def __call__(self, tasks: Iterable[Task]) -> Iterator[Report]:
        for task in tasks:
            self.order.append(task.block)
            if task.block != self.bad:
                yield solve_block(task)
                continue
            self.attempts.append(task.attempt)
            if cause := next(self.causes, ""):
                yield Report(task.block, task.attempt, error=f"it failed ({cause})", cause=cause)
                if self.interrupted:
                    raise Interrupted
            else:
                yield solve_block(task)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[RunDirectory, Store]]:
    """A new run directory of 6 blocks."""
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "name: small\nparameters: {topology: cascaded, N: 2, kappa: 0.003, epsilon: 0.01}\n"
        "sweep: {J: {geomspace: [1e-3, 1e-2, 6]}}\ntimes: {linspace: [0, 10, 100], unit: 1/kappa}\n"
    )
    with opening.locked(tmp_path / "out") as directory:
        store = opening.prepare(load_spec(path), directory, block_seconds=1e-6)
        assert store.grid.n_blocks == 6
        yield directory, store


def interrupt(directory: RunDirectory, store: Store, executor: Executor) -> None:
    executor.interrupted = True
    with pytest.raises(Interrupted):
        loop.run_blocks(directory, store, executor)
    assert len(executor.attempts) == 1
    assert pending_blocks(store)


def test_attempts_are_counted_beyond_a_driver(opened: tuple[RunDirectory, Store]) -> None:
    directory, store = opened
    interrupt(directory, store, Executor(2, "worker"))
    assert [(one["block"], one["cause"]) for one in directory.attempts()] == [(2, "worker")]
    executor = Executor(2, *["worker"] * 9)
    seen: list[Report] = []
    progress = loop.run_blocks(directory, store, executor, seen.append)
    assert executor.attempts == [2, 3]
    assert executor.order == [3, 4, 5, 2, 2], "who failed before goes last"
    assert (progress.points["failed"], progress.points["ok"]) == (1, 5)
    assert (store.block_status(2) == FAILED).all()
    assert [failure["error"] for failure in directory.failures()] == ["it failed (worker) (3 attempts)"]
    assert [report.block for report in seen] == [3, 4, 5, 2]


@pytest.mark.parametrize(
    ("cause", "allowed"), [("worker", 3), ("memory", 3), ("write", 3), ("error", 3), ("walltime", 1), ("vanished", 6)]
)
def test_how_often_a_block_is_tried(opened: tuple[RunDirectory, Store], cause: str, allowed: int) -> None:
    directory, store = opened
    executor = Executor(2, *[cause] * 9)
    assert loop.run_blocks(directory, store, executor).points["failed"] == 1
    assert executor.attempts == list(range(1, allowed + 1))
    assert len(directory.attempts()) == allowed


def test_every_cause_has_its_own_count(opened: tuple[RunDirectory, Store]) -> None:
    directory, store = opened
    executor = Executor(2, "worker", "memory", "worker", "memory")
    assert loop.run_blocks(directory, store, executor).points["ok"] == 6
    assert executor.attempts == [1, 2, 3, 4, 5]


def test_a_full_disk_is_nobodys_fault(opened: tuple[RunDirectory, Store]) -> None:
    directory, store = opened
    executor = Executor(2, *["full"] * 9)
    progress = loop.run_blocks(directory, store, executor)
    assert (progress.points["pending"], progress.points["failed"]) == (1, 0)
    assert (store.block_status(2) == PENDING).all()
    assert not directory.attempts_file.exists()
    assert executor.attempts == [1, 2, 3]
    executor = Executor(2)
    assert loop.run_blocks(directory, store, executor).points["ok"] == 6
    assert executor.attempts == [1]


def test_a_full_disk_that_takes_no_line(opened: tuple[RunDirectory, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    directory, store = opened
    loop.run_blocks(directory, store, loop.serial)
    directory.events_file.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(events, "append_lines", failing(errno.ENOSPC))
        assert loop.run_blocks(directory, store, loop.serial).complete
    calls: list[Path] = []
    write = events.append_lines
    monkeypatch.setattr(events, "append_lines", lambda path, lines: (calls.append(path), write(path, lines)))
    loop.run_blocks(directory, store, loop.serial)
    assert calls == [directory.events_file]  # all at once
    assert sorted(event["block"] for event in directory.events()) == list(range(6))


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_only_a_full_disk_is_survived(opened: tuple[RunDirectory, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    directory, store = opened
    monkeypatch.setattr(Store, "fold_all", failing(errno.ENOSPC))
    opening.settle(store, print)
    assert loop.run_blocks(directory, store, loop.serial).complete
    monkeypatch.setattr(Store, "fold_all", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        opening.settle(store, print)
    with pytest.raises(OSError, match="Input/output error"):
        loop.run_blocks(directory, store, loop.serial)


def test_an_end_is_told_for_its_own_reason(opened: tuple[RunDirectory, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver whose time is up goes back into the queue, whatever else goes wrong then."""

    def damaged(store: Store) -> None:
        raise QbsweepError(f"{store.path} is damaged")

    monkeypatch.setattr(Store, "fold_all", damaged)
    interrupt(*opened, Executor(2, "worker"))


def test_an_end_looks_for_no_block_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be a million, and Slurm kills a driver a minute after the warning."""
    monkeypatch.setattr("qbsweep.runs.plan._CHUNK_BLOCKS", 2)
    read, asked = BlockFiles.read, list[int]()
    with opening.locked(tmp_path / "out") as directory:
        spec = sweep(
            name="small",
            parameters={"topology": "cascaded", "N": 2, "kappa": 0.003, "epsilon": 0.01},
            sweep={"J": {"geomspace": [1e-3, 1e-2, 40]}},
        )
        store = opening.prepare(spec, directory, block_seconds=1e-6)
        assert store.grid.chunks.number == 20

        def stopped(tasks: Iterable[Task]) -> Iterator[Report]:
            yield solve_block(next(iter(tasks)))
            monkeypatch.setattr(BlockFiles, "read", lambda self, number: (asked.append(number), read(self, number))[1])
            raise Interrupted

        with pytest.raises(Interrupted):
            loop.run_blocks(directory, store, stopped)
    assert set(asked) == {0, 1}
    assert not store.blocks.numbers()
    assert (store.block_status(0) == OK).all()


def test_failed_points_that_are_reset_have_all_their_attempts(opened: tuple[RunDirectory, Store]) -> None:
    directory, store = opened
    loop.run_blocks(directory, store, Executor(2, *["worker"] * 9))
    assert opening.reset_failed(directory, store) == 1
    assert directory.attempts() == []
    executor = Executor(2, *["worker"] * 9)
    loop.run_blocks(directory, store, executor)
    assert executor.attempts == [1, 2, 3]


def test_attempts_of_another_sweep_do_not_count(opened: tuple[RunDirectory, Store]) -> None:
    directory, store = opened
    for _ in range(5):
        append_line(directory.attempts_file, {"block": 2, "cause": "worker", "error": "", "dataset": "another"})
    with directory.attempts_file.open("a") as file:
        file.write('3\n{"block": 2}\n{"block": "x", "cause": 3}\nnonsense\n{"bl')
    executor = Executor(2, "worker")
    assert loop.run_blocks(directory, store, executor).points["ok"] == 6
    assert executor.attempts == [1, 2]


def test_a_block_that_failed_for_good_while_no_driver_was_there(opened: tuple[RunDirectory, Store]) -> None:
    directory, store = opened
    record_attempt(directory, store, Report(2, 1, error="too long", cause="walltime"))
    record_attempt(directory, store, Report(3, 1, error="died", cause="worker"))
    executor = Executor(3)
    progress = loop.run_blocks(directory, store, executor)
    assert (progress.points["failed"], progress.points["ok"]) == (1, 5)
    assert executor.attempts == [2]
    assert 2 not in executor.order
    assert [failure["error"] for failure in directory.failures()] == ["too long (1 attempts)"]


@pytest.mark.parametrize(
    ("layout", "error", "stops"),
    [
        ("jobs", StrandedError, 0),
        ("jobs", driver.TimeIsUpError, 1),
        ("allocation", StrandedError, 0),
        ("allocation", driver.TimeIsUpError, 0),
    ],
)
def test_what_is_no_farewell(
    opened: tuple[RunDirectory, Store],
    monkeypatch: pytest.MonkeyPatch,
    layout: str,
    error: type[BaseException],
    stops: int,
) -> None:
    files = JobFiles(opened[0].path)
    files.start_anew()
    files.write_record(replace(RECORD, layout=layout))
    monkeypatch.delenv("SLURM_JOB_NAME", raising=False)
    monkeypatch.setattr(driver, "_locked", lambda path: contextlib.nullcontext(opened[0]))

    def stop(*_: Any) -> None:
        raise error

    monkeypatch.setattr(driver, "_run", stop)
    monkeypatch.setattr(driver.sys, "stdout", sys.stdout)  # both are replaced
    monkeypatch.setattr(driver.signal, "signal", lambda *_: None)
    assert driver.drive(opened[0].path, Console()) == AGAIN
    assert [json.loads(line)["event"] for line in files.starts.read_text().splitlines()] == ["start"] + ["stop"] * stops


def test_a_dataset_of_an_earlier_format_is_left_as_it_is(
    opened: tuple[RunDirectory, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of an earlier version is requeued, and finds this one."""
    path = opened[0].path
    to_format_2(path)
    files = JobFiles(path)
    files.start_anew()
    files.write_record(RECORD)
    before = sorted((path / "data.zarr").rglob("*"))
    monkeypatch.delenv("SLURM_JOB_NAME", raising=False)
    monkeypatch.setattr(driver, "_locked", lambda path: contextlib.nullcontext(opened[0]))
    monkeypatch.setattr(driver, "_run", lambda *_: pytest.fail("it runs"))
    monkeypatch.setattr(driver.sys, "stdout", sys.stdout)  # both are replaced
    monkeypatch.setattr(driver.signal, "signal", lambda *_: None)
    with pytest.raises(QbsweepError, match="`qbsweep upgrade "):
        driver.drive(path, Console())
    assert sorted((path / "data.zarr").rglob("*")) == before


# blocks that come back


def test_who_comes_back_goes_last() -> None:
    first, second, third = tasks = [replace(TASK, block=block) for block in range(3)]
    queue = _Queue(tasks)
    assert queue.take() == first
    queue.put_back(first)
    assert queue.peek() == queue.peek() == second
    assert [queue.take(), queue.take()] == [second, third]
    queue.put_back(third)
    assert [queue.take(), queue.take(), queue.take(), queue.peek()] == [first, third, None, None]
    queue.put_back(second)
    assert queue.take() == second


# secrets


@pytest.mark.parametrize("name", ["", "tls_client_key.pem", "tls_client_cert.pem"])
def test_credentials_are_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = tmp_path / "tls"
    create_credentials(folder)
    path = folder / name
    assert load_credentials(folder).require_encryption
    sentence = rf"^{re.escape(str(path))} is not yours alone: .*; submit again$"
    mode = path.stat().st_mode
    for bit in (0o040, 0o020, 0o004, 0o002):
        path.chmod(mode | bit)
        with pytest.raises(QbsweepError, match=sentence):
            load_credentials(folder)
    path.chmod(mode)
    load_credentials(folder)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(QbsweepError, match=r" is not yours alone: "):
        load_credentials(folder)


# the executor


def die(name: str) -> None:
    raise KilledWorker("task", SimpleNamespace(name=name, address="somewhere"), 0)


class Pool:
    """Returns or loses blocks as told: a list of outcomes for every block, then success."""

    def __init__(self, **outcomes: str) -> None:
        self.outcomes = {int(name.removeprefix("block")): text.split() for name, text in outcomes.items()}
        self.sent: list[Task] = []
        self.judged: list[str] = []

    def send(self, client: Client, task: Task) -> Any:
        self.sent.append(task)
        left = self.outcomes.get(task.block, [])
        outcome = left.pop(0) if left else "ok"
        if outcome == "lost":
            return client.submit(die, f"w{task.block}", pure=False, retries=0)
        report = Report(task.block, task.attempt, ok=1)
        if outcome != "ok":
            report = Report(task.block, task.attempt, error=outcome, cause=outcome)
        return client.submit(operator.itemgetter(0), [report], pure=False, retries=0)

    def judge(self, loss: Loss) -> Report | None:
        self.judged.append(loss.worker)
        if self.judged.count(loss.worker) < 3:
            return None
        return loss.report("its worker left", RETURNED if loss.task.block == 4 else "worker")

    def watch(self, workers: int, waiting: bool) -> None:
        pass


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    import dask

    with (
        dask.config.set(CONFIG | {"distributed.worker.preload": []}),
        Client(
            processes=False,
            n_workers=1,
            threads_per_worker=1,
            dashboard_address=None,
            worker_dashboard_address=None,
            set_as_default=False,
        ) as client,
    ):
        yield client


def test_what_comes_back_is_sent_again_and_does_not_count(client: Client) -> None:
    pool = Pool(block2=f"{RETURNED} {RETURNED}", block4="lost", block6="lost", block7="memory")
    tasks = [replace(TASK, block=block) for block in range(9)]
    reports = list(DaskExecutor(client, pool)(tasks))
    assert sorted((report.block, report.cause) for report in reports) == sorted(
        (block, {6: "worker", 7: "memory"}.get(block, "")) for block in range(9)
    )
    assert {report.attempt for report in reports} == {1}
    assert sorted(task.block for task in pool.sent) == [0, 1, 2, 2, 2, 3, 4, 4, 5, 6, 7, 8]
    assert set(pool.sent) == set(tasks)
    assert pool.judged.count("w4") == pool.judged.count("w6") == 3
