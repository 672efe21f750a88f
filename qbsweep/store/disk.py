"""Files that are there whole or not at all, and on the disk when they have to be.

What is written gets a name of its own that nobody can have put there before, and is renamed into its place. A rename
is on the disk once its directory is: a power cut before may leave the old file, the new one, or an empty one if its
content was not synced first.
"""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

Bytes: TypeAlias = bytes | bytearray | memoryview
PARTIAL = ".partial"
"""Ends the names of files on their way; `remove_partial` removes those of writers that were killed."""


def stage(path: Path, content: Iterable[Bytes], safe: bool) -> Path:
    """Write a file beside `path`, for a rename into its place, and return it; on the disk if `safe`."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            if safe:
                os.fdatasync(file.fileno())
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    return scratch


def replace_file(path: Path, content: Bytes, safe: bool) -> None:
    """Replace a file, or make it."""
    stage(path, [content], safe).replace(path)
    if safe:
        sync_folder(path.parent)


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
            sync_file(Path(folder, name))
        sync_folder(Path(folder))


def remove_partial(path: Path) -> None:
    """Remove the files that writers were at when they were killed."""
    for leftover in path.rglob(f"*{PARTIAL}"):
        leftover.unlink(missing_ok=True)
