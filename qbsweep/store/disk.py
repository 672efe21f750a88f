"""Files that are there whole or not at all, and on the disk when they have to be.

What is written gets a name of its own that nobody can have put there before, and is renamed into its place. A rename
is on the disk once its directory is: a power cut before may leave the old file, the new one, or an empty one if its
content was not synced first.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from qbsweep.errors import QbsweepError

Bytes: TypeAlias = bytes | bytearray | memoryview
_NOT_A_FILE = "{} is a link or a pipe, and nothing is written through one; remove it, or take another directory"
PARTIAL = ".partial"
"""Ends the names of files on their way; `remove_partial` removes those of writers that were killed."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What the system says of a disk that is full, or takes nothing more."""


@contextlib.contextmanager
def surviving_a_full_disk() -> Iterator[None]:
    """Ignore that there is no room for what can be done later; whatever else goes wrong is raised."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise


def stage(path: Path, content: Iterable[Bytes], safe: bool) -> Path:
    """Write a file beside `path`, for a rename into its place, and return it; on the disk if `safe`."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL}")
    _write_new(scratch, content, safe)
    return scratch


def write_new(path: Path, content: Bytes) -> None:
    """Write a file that is not there, on the disk; half of it is there until then.

    Raises
    ------
    FileExistsError
        If it is: of many who try, one succeeds, on a file server too.
    """
    _write_new(path, [content], safe=True)
    sync_folder(path.parent)


def _write_new(path: Path, content: Iterable[Bytes], safe: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            if safe:
                getattr(os, "fdatasync", os.fsync)(file.fileno())  # macOS has only the latter
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, content: Bytes, safe: bool) -> None:
    """Replace a file, or make it."""
    stage(path, [content], safe).replace(path)
    if safe:
        sync_folder(path.parent)


def open_own(path: Path, flags: int) -> int:
    """Open a file that is written to where it is, or make it, and return its descriptor.

    Raises
    ------
    QbsweepError
        If a link, or a pipe, is in its place: in a directory of several people somebody else may have put it there.
    """
    try:
        found = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise QbsweepError(_NOT_A_FILE.format(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise QbsweepError(_NOT_A_FILE.format(path))
    return found


def own_folder(path: Path) -> None:
    """Make a folder if there is none; raises QbsweepError if a link is in its place."""
    path.mkdir(exist_ok=True)
    refuse_link(path)


def is_writable(folder: Path) -> bool:
    """Whether a folder takes new files."""
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def require_writable(folder: Path, right: str) -> None:
    """Refuse a folder that takes no new files, before anything is done; `right` says what to do."""
    if not is_writable(folder):
        raise QbsweepError(f"{folder} cannot be written to; {right}")


def refuse_link(path: Path) -> None:
    """Raise QbsweepError if a link is in the place of a file or folder that is written to where it is."""
    if path.is_symlink():
        raise QbsweepError(_NOT_A_FILE.format(path))


def touch(path: Path) -> None:
    """Make a file, or give it the time of now by the clock of whoever keeps it; follows no link."""
    descriptor = open_own(path, os.O_WRONLY)
    try:
        os.utime(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove whatever is at a path, if anything is: of a link, the link."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)


def sync_file(path: Path) -> None:
    """Bring the content of a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Bring what a directory says to the disk: renames, new files, removals."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not every file system can; those have no need to
            raise
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a directory with those above it, unless it is there; on the disk, or all that comes into it may be lost."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_tree(path: Path) -> None:
    """Bring a directory with all that is in it to the disk."""
    for folder, _, names in os.walk(path):
        for name in names:
            if stat.S_ISREG(Path(folder, name).lstat().st_mode):  # a link, or what no disk keeps, is in its folder
                sync_file(Path(folder, name))
        sync_folder(Path(folder))


def remove_partial(path: Path) -> None:
    """Remove the files that writers were at when they were killed."""
    for leftover in path.rglob(f"*{PARTIAL}"):
        if not leftover.is_dir():  # of somebody who is at work there, or to be cleared
            leftover.unlink(missing_ok=True)


def remove_partial_of(path: Path, seconds: float) -> None:
    """Remove what writers of one file were at when they were killed, if it is older than so many seconds."""
    own = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}{re.escape(PARTIAL)}")
    for leftover in path.parent.iterdir():
        if own.fullmatch(leftover.name):
            with contextlib.suppress(OSError):  # gone, or somebody else's
                if time.time() - leftover.lstat().st_mtime >= seconds:
                    leftover.unlink()
