"""One run at a time per directory, safe against crashes."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Self

from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError
from qbsweep.store.records import read_json

_HEARTBEAT_SECONDS = 10.0
_STALE_SECONDS = 120.0  # a lock of another host without a heartbeat for so long is taken over


_LOCK_KEYS: dict[str, Any] = {"host": str, "pid": int, "started": float, "job": (str, type(None))}


def _read_lock(path: Path) -> dict[str, Any] | None:
    """Return the owner that a lock names; a file that names none is no lock, since locks appear whole."""
    holder = read_json(path)
    if holder and all(isinstance(holder.get(key, 0), kind) for key, kind in _LOCK_KEYS.items()):
        return holder
    return None


def lock_holder(path: Path) -> dict[str, Any] | None:
    """Return who holds a lock now, or None; a lock whose owner is dead does not count."""
    holder = _read_lock(path)
    return holder if holder and _is_alive(path, holder) else None


class Lock:
    """One run at a time per directory, safe against crashes.

    The lock is a file in the directory that names its owner, and a kernel lock that lives as long as the owner does.
    On the same host the owner's pid and start time tell whether it lives; on another one, its heartbeat (the file's
    modification time) does.
    """

    def __init__(self, path: Path) -> None:
        import psutil

        self._path = path
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._me = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
            "job": JobContext.current().job,
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
    import psutil  # here: of a directory that nobody runs there is nothing to ask

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
