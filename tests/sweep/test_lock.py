"""The lock of a run directory: on one host, on many, with clocks that disagree, and with a pause wherever it hurts."""

import contextlib
import errno
import fcntl
import json
import multiprocessing
import os
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import pytest

from qbsweep.errors import QbsweepError
from qbsweep.store import lock as lock_module
from qbsweep.store.lock import Lock, lock_holder


def no_flock(*_: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.fixture(params=["flock", "no flock"])
def _flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no flock":
        monkeypatch.setattr(fcntl, "flock", no_flock)


def entry(directory: Path, host: str = "", pid: int = 0, started: float = 0.0, job: str = "", age: float = 0.0) -> Path:
    """Write a lock."""
    path = directory / "lock"
    path.mkdir(exist_ok=True)
    name = f"{quote(host or lock_module._host(), '')},{pid or os.getpid()},{started:.2f},{job},{secrets.token_hex(4)}"
    (path / name).touch()
    os.utime(path / name, (time.time() - age, time.time() - age))
    return path / name


def is_free(directory: Path) -> bool:
    return not (directory / "lock").exists()


@pytest.mark.usefixtures("_flock")
def test_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    entry(tmp_path, pid=2**22 - 3)
    with Lock(tmp_path / "lock"):
        assert (lock_holder(tmp_path / "lock") or {})["pid"] == os.getpid()
    assert is_free(tmp_path)


@pytest.mark.usefixtures("_flock")
def test_lock_of_a_process_that_reused_the_pid_is_taken_over(tmp_path: Path) -> None:
    entry(tmp_path, started=1.0)
    with Lock(tmp_path / "lock"):
        pass
    assert is_free(tmp_path)


@pytest.mark.usefixtures("_flock")
def test_lock_of_another_host_holds_while_its_heart_beats(tmp_path: Path) -> None:
    beating = entry(tmp_path, host="elsewhere", job="77")
    with pytest.raises(QbsweepError, match=r"process \d+ on elsewhere, job 77"), Lock(tmp_path / "lock"):
        pass
    os.utime(beating, (time.time() - 600, time.time() - 600))
    with Lock(tmp_path / "lock"):
        pass


@pytest.mark.usefixtures("_flock")
def test_lock_is_held_once(tmp_path: Path) -> None:
    with Lock(tmp_path / "lock"):
        with pytest.raises(QbsweepError, match=f"process {os.getpid()}"), Lock(tmp_path / "lock"):
            pass
        assert lock_holder(tmp_path / "lock") is not None
    assert lock_holder(tmp_path / "lock") is None


@pytest.mark.usefixtures("_flock")
@pytest.mark.parametrize("hours", [-5, -0.05, 0.05, 5])
def test_the_clock_of_this_host_does_not_matter(tmp_path: Path, hours: float, monkeypatch: pytest.MonkeyPatch) -> None:
    right = time.time
    monkeypatch.setattr(lock_module, "time", type("Skewed", (), {"time": staticmethod(lambda: right() + 3600 * hours)}))
    with Lock(tmp_path / "lock"):  # makes the file that tells the time
        pass
    beating = entry(tmp_path, host="elsewhere")
    assert lock_holder(tmp_path / "lock") is not None
    with pytest.raises(QbsweepError, match="elsewhere"), Lock(tmp_path / "lock"):
        pass
    os.utime(beating, (right() - 150, right() - 150))
    assert lock_holder(tmp_path / "lock") is None
    with Lock(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("age", [0.0, 600.0])
def test_lock_of_an_earlier_version(tmp_path: Path, age: float) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 5, "started": 1.0, "job": None}))
    os.utime(path, (time.time() - age, time.time() - age))
    if age:
        with Lock(path):
            assert path.is_dir()
        return
    with pytest.raises(QbsweepError, match="process 5 on elsewhere"), Lock(path):
        pass


def test_containers_of_one_name_are_hosts_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of a process means nothing in another one, where it looks dead; its heartbeat is all there is."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.touch(), other.touch()
    monkeypatch.setattr(lock_module, "_PROCESSES", one)
    entry(tmp_path, host=lock_module._host(), pid=2**22 + 1)
    monkeypatch.setattr(lock_module, "_PROCESSES", other)
    with pytest.raises(QbsweepError, match=r"is being run by process 4194305 on .*container"), Lock(tmp_path / "lock"):
        pass


def test_who_lost_the_lock_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr(lock_module, "_HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(pid))
    with Lock(tmp_path / "lock") as lock:
        lock._mine.rename(lock._mine.with_name("elsewhere,5,1.00,,abcd"))
        lock._heart.join()
        assert killed == [os.getpid()]
    assert [file.name for file in (tmp_path / "lock").iterdir()] == ["elsewhere,5,1.00,,abcd"]


def test_what_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with Lock(tmp_path / "lock"):
        pass
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with Lock(tmp_path / "lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "lock").mkdir()
    (tmp_path / "lock" / "letter").touch()
    with pytest.raises(QbsweepError, match="lock/letter does not belong to a lock; remove it"), Lock(tmp_path / "lock"):
        pass


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / ".lock.held").symlink_to(target)
    with pytest.raises(QbsweepError, match="held is a link or a pipe, and nothing is written through one; remove it"):
        Lock(tmp_path / "lock").__enter__()
    assert target.read_text() == "precious"


def test_a_killed_taker_leaves_nothing_for_good(tmp_path: Path) -> None:
    for age in (0, 600):
        scratch = tmp_path / f".lock.{age:016x}"
        scratch.mkdir()
        os.utime(scratch, (time.time() - age, time.time() - age))
    with Lock(tmp_path / "lock"):
        pass
    assert [path.name for path in tmp_path.glob(".lock.0*")] == [f".lock.{0:016x}"]


# Every gap.


def age_all(directory: Path) -> None:
    """Let ten minutes pass without a heartbeat."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for file in (directory / "lock").iterdir():
            os.utime(file, (time.time() - 600, time.time() - 600))


class Hosts:
    """Takers on several hosts, one of which is at work at a time."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory, self.held = directory, dict[str, Lock]()
        self._here = threading.local()  # every host has a thread, or all share one
        monkeypatch.setattr(socket, "gethostname", lambda: getattr(self._here, "name", "nowhere"))
        monkeypatch.setattr(fcntl, "flock", no_flock)
        self.sure: set[str] = set()  # who has seen that its own heartbeat is a young one; from then on it has to beat
        monkeypatch.setattr(os, "fstat", partial(self._fstat, os.fstat))

    def _fstat(self, look: Callable[[int], os.stat_result], descriptor: int) -> os.stat_result:
        found = look(descriptor)
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        if file.parent.name == "lock" and file.name.startswith(f"{socket.gethostname()},"):
            self.sure.add(socket.gethostname())
        return found

    def take(self, host: str) -> bool:
        before, self._here.name = getattr(self._here, "name", ""), host
        try:
            self.held[host] = Lock(self.directory / "lock").__enter__()
        except QbsweepError:
            return False
        finally:
            self._here.name = before
        return True

    def comes(self, host: str) -> None:
        self.take(host)

    def leave(self, host: str) -> None:
        self.held.pop(host).__exit__()

    def holders(self) -> list[str]:
        """Who believes to hold the lock, and will not find out at the next heartbeat that it is lost."""
        return [host for host, lock in self.held.items() if lock._mine.exists()]

    def take_with(self, host: str, at: int, event: Callable[[], None]) -> bool:
        """Take the lock, with an event before the `at`-th line of the module; returns whether there are as many."""
        lines = 0

        def trace(frame: FrameType, what: str, _: Any) -> Any:
            nonlocal lines
            if frame.f_code.co_filename != lock_module.__file__:
                return None
            if what == "line":
                lines += 1
                if lines == at:
                    event()
            return trace

        sys.settrace(trace)
        try:
            self.take(host)
        finally:
            sys.settrace(None)
        return lines >= at


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    hosts = Hosts(tmp_path / "run", monkeypatch)
    yield hosts
    for host in list(hosts.held):
        hosts.leave(host)


def nothing(directory: Path) -> None:
    del directory


def stale(directory: Path) -> None:
    entry(directory, host="dead", age=600)


def empty(directory: Path) -> None:
    (directory / "lock").mkdir()


def old_stale(directory: Path) -> None:
    path = directory / "lock"
    path.write_text(json.dumps({"host": "dead", "pid": 5, "started": 1.0, "job": None}))
    os.utime(path, (time.time() - 600, time.time() - 600))


def scenes(hosts: Hosts, start: Callable[[Path], None], event: Callable[[], None]) -> Iterator[int]:
    """Let alpha take the lock once for every line of the module, with an event before that line."""
    at, more = 0, True
    while more:
        at += 1
        hosts.directory.mkdir()
        start(hosts.directory)
        more = hosts.take_with("alpha", at, event)
        yield at
        for host in list(hosts.held):
            hosts.leave(host)
        shutil.rmtree(hosts.directory)
    assert at > 20


@pytest.mark.parametrize("start", [nothing, stale, empty, old_stale])
def test_two_takers_one_wins(hosts: Hosts, start: Callable[[Path], None]) -> None:
    for at in scenes(hosts, start, lambda: hosts.comes("beta")):
        assert len(hosts.holders()) == 1, at
        assert sorted(hosts.holders()) == sorted(hosts.held), at


@pytest.mark.parametrize("start", [nothing, stale])
def test_one_comes_and_goes_while_another_takes(hosts: Hosts, start: Callable[[Path], None]) -> None:
    came: list[bool] = []

    def event() -> None:
        came.append(hosts.take("beta"))
        if came[-1]:
            hosts.leave("beta")

    for at in scenes(hosts, start, event):
        assert hosts.holders() == list(hosts.held), at
        assert hosts.held or came[-1], at


@pytest.mark.parametrize("start", [nothing, stale])
def test_a_taker_that_sleeps_for_ten_minutes(hosts: Hosts, start: Callable[[Path], None]) -> None:
    """Before whatever line: another one takes the lock, dies, is replaced by a third."""

    def event() -> None:
        age_all(hosts.directory)
        if hosts.take("beta"):
            age_all(hosts.directory)
        hosts.take("gamma")

    for at in scenes(hosts, start, event):
        assert len(hosts.holders()) == 1, at


@pytest.mark.parametrize("depth", range(35, 75, 4))
def test_a_judge_that_sleeps(hosts: Hosts, depth: int) -> None:
    """Alpha sleeps, beta judges what it left and sleeps before some line, alpha goes on, then beta: one has it."""
    asleep, awake = threading.Event(), threading.Event()

    def sleep() -> None:
        asleep.set()
        awake.wait()

    def beta() -> None:
        hosts.take_with("beta", depth, sleep)
        asleep.set()  # if it never came to that line

    late = False

    def event() -> None:
        nonlocal late
        late = "alpha" in hosts.sure
        age_all(hosts.directory)
        thread.start()
        asleep.wait()

    at, more = 0, True
    while more:
        at += 1
        asleep.clear()
        awake.clear()
        thread = threading.Thread(target=beta)
        hosts.directory.mkdir()
        stale(hosts.directory)
        more = hosts.take_with("alpha", at, event)
        awake.set()
        if more:
            thread.join()
        assert len(hosts.holders()) == 1, at
        assert len(hosts.held) == 1 or late, at
        for host in list(hosts.held):
            hosts.leave(host)
        shutil.rmtree(hosts.directory)
        hosts.sure.clear()
    assert at > 20


@pytest.mark.parametrize("start", [nothing, stale])
def test_one_leaves_while_another_takes(hosts: Hosts, start: Callable[[Path], None]) -> None:
    """Beta has it when alpha begins, and leaves before whatever line."""

    def begin(directory: Path) -> None:
        start(directory)
        assert hosts.take("beta")

    for at in scenes(hosts, begin, lambda: hosts.leave("beta")):
        assert hosts.holders() == list(hosts.held), at


def race(directory: Path, seed: int, rounds: int) -> None:
    fcntl.flock = no_flock
    won = 0
    for turn in range(rounds):
        try:
            with Lock(directory / "lock"):
                os.close(os.open(directory / "inside", os.O_CREAT | os.O_EXCL))
                won += 1
                (directory / "inside").unlink()
                if turn % 7 == 6 and multiprocessing.parent_process() and seed % 2:
                    (directory / f"won-{seed}").write_text(str(won))
                    os._exit(0)  # dies with the lock
        except QbsweepError:
            pass
        except FileExistsError:
            (directory / "violated").touch()
    (directory / f"won-{seed}").write_text(str(won))


def test_many_processes_without_flock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    racers = [context.Process(target=race, args=(tmp_path, seed, 60)) for seed in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0] * 8
    assert not (tmp_path / "violated").exists()
    assert sum(int(file.read_text()) for file in tmp_path.glob("won-*")) > 8
    with Lock(tmp_path / "lock"):
        pass
    assert is_free(tmp_path)
