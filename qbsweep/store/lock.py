"""One run at a time per directory, safe against crashes, on file systems of one host and of many.

A lock is a folder with one empty file whose name says who holds it. Three things that a file server does at once and
for one of many only are all that it needs: a folder that is not empty is not replaced, a name that is gone is not
renamed, and an empty folder only is removed.

- Who finds no lock prepares a folder with his name in it and renames it into the place.
- Who finds one whose holder is dead renames the dead one's name to his own: of many who judge the same name, one
  succeeds, and if its holder was replaced meanwhile, none.
- Who leaves removes his own name, then the folder.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self
from urllib.parse import quote, unquote

from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError
from qbsweep.store.disk import open_own, remove
from qbsweep.store.records import read_json

_HEARTBEAT_SECONDS = 10.0
_STALE_SECONDS = 120.0  # a lock of another host without a heartbeat for so long is taken over
_PROCESSES, _OF_THE_HOST = Path("/proc/self/ns/pid"), 0xEFFFFFFC  # as Linux fixes it
_TRIES = 100  # to find out who has it, while others take it and leave it
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT)


@dataclass(frozen=True, slots=True)
class _Owner:
    """Who holds a lock, or did."""

    host: str
    pid: int
    started: float
    job: str | None
    token: str = field(default_factory=lambda: secrets.token_hex(4), compare=False)

    @classmethod
    def me(cls) -> Self:
        import psutil

        return cls(_host(), os.getpid(), psutil.Process().create_time(), JobContext.current().job)

    @classmethod
    def named(cls, name: str) -> Self | None:
        """Read the name of a file in a lock; None if it is another file's."""
        try:
            host, pid, started, job, token = name.split(",")
            return cls(unquote(host), int(pid), float(started), unquote(job) or None, token)
        except ValueError:
            return None

    @property
    def name(self) -> str:
        return ",".join(
            (quote(self.host, ""), str(self.pid), f"{self.started:.2f}", quote(self.job or "", ""), self.token)
        )

    @property
    def plain(self) -> dict[str, Any]:
        data = asdict(self)
        del data["token"]
        return data

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f", job {self.job}" if self.job else "")


def _host() -> str:
    """Return what has the numbers of processes in common: a host, or a container with numbers of its own.

    Containers may have one name.
    """
    with contextlib.suppress(OSError):
        numbers = _PROCESSES.stat().st_ino
        if numbers != _OF_THE_HOST:
            return f"{socket.gethostname()} (container {numbers})"
    return socket.gethostname()


def lock_holder(path: Path) -> dict[str, Any] | None:
    """Return who holds a lock now, or None; a lock whose owner is dead does not count."""
    with contextlib.suppress(OSError):
        for file, owner in _owners(path):
            if _is_alive(path, file, owner):
                return owner.plain
    return None


def is_of_lock(lock: Path, path: Path) -> bool:
    """Whether a path is that of a lock, or of what lies beside it for its sake."""
    is_scratch = re.fullmatch(rf"\.{re.escape(lock.name)}\.[0-9a-f]{{16}}", path.name)
    return path in (lock, _clock(lock)) or (path.parent == lock.parent and bool(is_scratch))


def _owners(path: Path) -> list[tuple[Path, _Owner]]:
    """Return the files of those who hold a lock, or died with it; one in a healthy lock."""
    try:
        if path.is_symlink():
            return []
        found = [(file, _Owner.named(file.name)) for file in path.iterdir()]
    except FileNotFoundError:
        return []
    except NotADirectoryError:  # of an earlier version
        found = [(path, _old_owner(path))]
    return [(file, owner) for file, owner in found if owner is not None]


def _old_owner(path: Path) -> _Owner | None:
    content = read_json(path) or {}
    host, pid, started, job = (content.get(key) for key in ("host", "pid", "started", "job"))
    if isinstance(host, str) and isinstance(pid, int) and isinstance(started, float) and isinstance(job, str | None):
        return _Owner(host, pid, started, job, "")
    return None


class Lock:
    """One run at a time per directory, safe against crashes.

    The lock names its owner, and beside it a kernel lock lives as long as the owner does, where the file system has
    such. On the same host the owner's pid and start time tell whether it lives; on another one, its heartbeat does
    (the modification time of its name, by the clock of the file system, whatever those of the hosts say).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._me = _Owner.me()

    def __enter__(self) -> Self:
        self._held = open_own(_clock(self._path), os.O_RDWR)
        try:
            self._take_kernel_lock()
            self._take()
        except BaseException:
            os.close(self._held)
            raise
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._heart.join()
        self._mine.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._path.rmdir()
        os.close(self._held)

    def carry(self, path: Path, rename: Callable[[], object]) -> None:
        """Rename what the lock lies in, and hold it on where it is then; for a moment, since its heart stops."""
        self._stop.set()
        self._heart.join()
        rename()
        self._path = path

    @property
    def _mine(self) -> Path:
        return self._path / self._me.name

    def _take_kernel_lock(self) -> None:
        """Take what the kernel drops with its owner, whatever clocks and process numbers say."""
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owners = _owners(self._path)
            self._refuse(owners[0][1] if owners else None)
        except OSError:  # not every network file system has flock: the heartbeat below is then all there is
            pass

    def _take(self) -> None:
        for _ in range(_TRIES):
            if not (self._made() or self._taken_over()):
                continue
            with contextlib.suppress(FileNotFoundError):
                if abs(_age(self._path, self._mine)) < _STALE_SECONDS / 2:  # nobody has called this name a dead one's
                    self._tidy_up()
                    return
        self._refuse(None)

    def _made(self) -> bool:
        """Make the lock; returns whether there was none."""
        scratch = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        scratch.mkdir()
        try:
            os.close(open_own(scratch / self._me.name, os.O_WRONLY | os.O_EXCL))
            scratch.rename(self._path)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise
            return False
        finally:
            remove(scratch)  # if it is still there
        return True

    def _taken_over(self) -> bool:
        """Put our name in the place of that of a dead owner; returns whether it was us who did."""
        owners = _owners(self._path)
        for file, owner in owners:
            if file != self._mine and _is_alive(self._path, file, owner):
                self._refuse(owner)
        files = [file for file, _ in owners]
        if not files or files == [self._path]:
            self._clear_away()
            return False
        was, self._me = self._mine if self._mine in files else files[0], _Owner.me()
        try:
            os.utime(was)  # the name that we give it must not look like a dead one's for a moment
            was.rename(self._mine)
        except FileNotFoundError:  # somebody else's by now
            return False
        return True

    def _tidy_up(self) -> None:
        """Remove what was prepared by those who were killed before they had the lock."""
        for scratch in self._path.parent.glob(f".{self._path.name}.{'[0-9a-f]' * 16}"):
            with contextlib.suppress(OSError):
                if _now(self._path) - scratch.lstat().st_mtime > _STALE_SECONDS:
                    remove(scratch)

    def _clear_away(self) -> None:
        """Remove what is no lock: an empty folder, a file of an earlier version, a link."""
        with contextlib.suppress(FileNotFoundError):
            if self._path.is_symlink() or not self._path.is_dir():
                with contextlib.suppress(IsADirectoryError, PermissionError):  # a lock by now
                    self._path.unlink()
            elif strangers := [file for file in self._path.iterdir() if _Owner.named(file.name) is None]:
                raise QbsweepError(f"{strangers[0]} does not belong to a lock; remove it")
            else:
                with contextlib.suppress(OSError):
                    self._path.rmdir()

    def _refuse(self, owner: _Owner | None) -> NoReturn:
        raise QbsweepError(
            f"{self._path.parent} is being run by {owner or 'another process'}; wait until it has ended, or stop it"
        )

    def _beat(self) -> None:
        while not self._stop.wait(_HEARTBEAT_SECONDS):
            try:
                os.utime(self._mine)
            except FileNotFoundError:
                # This process was suspended for so long that another host took over: leave the field.
                os.kill(os.getpid(), signal.SIGTERM)
                return
            except OSError:  # a file server that does not answer now
                pass


@contextlib.contextmanager
def held(paths: Iterable[Path]) -> Iterator[list[Lock]]:
    """Hold several locks."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Lock(path)) for path in paths]


def _clock(lock: Path) -> Path:
    """Return the file that bears the kernel's lock, and tells the time; it stays."""
    return lock.with_name(f".{lock.name.lstrip('.')}.held")


def _is_alive(lock: Path, file: Path, owner: _Owner) -> bool:
    import psutil  # here: of a directory that nobody runs there is nothing to ask

    if owner.host == _host():
        try:
            process = psutil.Process(owner.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            started = process.create_time()
        except (psutil.Error, OverflowError, ValueError):
            return False
        return bool(abs(started - owner.started) < 1.0)
    try:
        return abs(_age(lock, file)) < _STALE_SECONDS
    except FileNotFoundError:
        return False
    except OSError:  # who cannot look at it cannot call it dead
        return True


def _age(lock: Path, file: Path) -> float:
    """Return the seconds since a file was touched, by the clock of the file system: those of hosts differ."""
    # Opened, not asked for by name: a network file system then asks its server, and not its memory.
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        touched = os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
    return _now(lock) - touched


def _now(lock: Path) -> float:
    """Return what time it is where a lock is kept; here, for who may look only."""
    try:
        descriptor = os.open(_clock(lock), os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return time.time()
    try:
        os.utime(descriptor)
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
