"""The run directory: its files, its lock, its log of events and failures."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from qbsweep.errors import QbsweepError
from qbsweep.replacement import put_in_place, recover_tree

SWEEP_HEADER = "# The sweep as it was run. "
_HEARTBEAT_SECONDS = 10.0
_STALE_SECONDS = 120.0  # a lock of another host without a heartbeat for so long is taken over


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of a run directory, and the small files in it."""

    path: Path

    @property
    def data(self) -> Path:
        """The dataset."""
        return self.path / "data.zarr"

    @property
    def events_file(self) -> Path:
        """One line per finished block."""
        return self.path / "events.jsonl"

    @property
    def failures_file(self) -> Path:
        """One line per failed point, or per group of points that failed together."""
        return self.path / "failures.jsonl"

    @property
    def attempts_file(self) -> Path:
        """One line per attempt at a block that came to nothing."""
        return self.path / "attempts.jsonl"

    def attempts(self) -> list[dict[str, Any]]:
        """Return all attempts that came to nothing, oldest first."""
        lines = read_lines(self.attempts_file)
        return [line for line in lines if isinstance(line.get("block"), int) and isinstance(line.get("cause"), str)]

    def events(self) -> list[dict[str, Any]]:
        """Return all events, oldest first; a line that is none (cut short by a crash, say) is skipped."""
        return [record for record in read_lines(self.events_file) if "block" in record]

    def failures(self) -> list[dict[str, Any]]:
        """Return all failures, oldest first; a line that is none is skipped."""
        return [record for record in read_lines(self.failures_file) if {"labels", "points", "error"} <= set(record)]

    def write_text(self, name: str, text: str) -> None:
        """Replace a file atomically."""
        scratch = self.path / f".{name}.new"
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(self.path / name)

    def lock_holder(self) -> dict[str, Any] | None:
        """Return who runs this directory now, or None; a lock whose owner is dead does not count."""
        holder = _read_lock(self.path / "lock")
        return holder if holder and _is_alive(self.path / "lock", holder) else None

    @property
    def replacement(self) -> Path:
        """Where a dataset is prepared that will take the place of `data`."""
        return self.path / ".data.zarr.replacement"

    def recover(self) -> None:
        """Finish or undo what a killed run was doing to the dataset as a whole."""
        recover_tree(self.data)
        shutil.rmtree(self.replacement, ignore_errors=True)

    def swap(self) -> None:
        """Put `replacement` in the place of `data`; `recover` repairs it if this is interrupted."""
        put_in_place(self.replacement, self.data)

    def check_own(self) -> None:
        """Refuse a directory with files that are named like those of a run but are somebody's own."""
        sweep, plan = self.path / "sweep.yaml", self.path / "plan.json"
        if self.data.is_symlink() and not self.data.exists():
            raise QbsweepError(f"{self.data} is a link to nowhere; mend or remove it, or give another --out")
        for path, own in ((sweep, _starts_with(sweep, SWEEP_HEADER)), (plan, "digest" in (_read_json(plan) or {}))):
            if path.exists() and not own:
                raise QbsweepError(f"{path} is not from a run and would be overwritten; give another --out")


def _starts_with(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8", errors="replace").startswith(text)
    except OSError:
        return False


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line; a line that was cut short by a crash before it is closed off first."""
    data = json.dumps(record).encode() + b"\n"
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                data = b"\n" + data
        file.write(data)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file, one a line; a line that is none (cut short by a crash, say) is skipped."""
    records = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            records.append(json.loads(line))
    return [record for record in records if isinstance(record, dict)]


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


_LOCK_KEYS: dict[str, Any] = {"host": str, "pid": int, "started": float, "job": (str, type(None))}


def _read_lock(path: Path) -> dict[str, Any] | None:
    """Return the owner that a lock names; a file that names none is no lock, since locks appear whole."""
    holder = _read_json(path)
    if holder and all(isinstance(holder.get(key, 0), kind) for key, kind in _LOCK_KEYS.items()):
        return holder
    return None


class Lock:
    """One run at a time per directory, safe against crashes.

    The lock is a file that names its owner, and a kernel lock that lives as long as the owner does. On the same
    host the owner's pid and start time tell whether it lives; on another one, its heartbeat (the file's
    modification time) does.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._path = directory.path / "lock"
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._me = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
            "job": os.environ.get("SLURM_JOB_ID"),
        }

    def __enter__(self) -> Self:
        self._held = self._path.with_name(".lock.held").open("w")
        try:
            # The kernel drops this lock with its owner, whatever clocks and process numbers say.
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._held.close()
            raise QbsweepError(self._refusal(_read_lock(self._path))) from None
        except OSError:  # not every network file system has flock: the heartbeat below is then all there is
            pass
        holder = _read_lock(self._path)
        if holder is not None and _is_alive(self._path, holder):
            self._held.close()
            raise QbsweepError(self._refusal(holder))
        scratch = self._path.with_name(".lock.new")
        scratch.write_text(json.dumps(self._me), encoding="utf-8")
        scratch.replace(self._path)
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._heart.join()
        if _read_lock(self._path) == self._me:
            self._path.unlink(missing_ok=True)
        self._held.close()

    def _refusal(self, holder: dict[str, Any] | None) -> str:
        owner = "another process"
        if holder is not None:
            job = f", job {holder['job']}" if holder.get("job") else ""
            owner = f"process {holder['pid']} on {holder['host']}{job}"
        return f"{self._path.parent} is being run by {owner}; wait for it, stop it, or give another --out"

    def _beat(self) -> None:
        while not self._stop.wait(_HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                if _read_lock(self._path) not in (self._me, None):
                    # This process was suspended for so long that another host took over: leave the field.
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                os.utime(self._path)


def _is_alive(path: Path, holder: dict[str, Any]) -> bool:
    if holder["host"] == socket.gethostname():
        try:
            owner = psutil.Process(holder["pid"])
            if owner.status() == psutil.STATUS_ZOMBIE:
                return False
            started = owner.create_time()
        except (psutil.Error, OverflowError):
            return False
        return bool(abs(started - holder["started"]) < 1.0)
    try:
        return time.time() - path.stat().st_mtime < _STALE_SECONDS
    except OSError:
        return False
