"""Something large on its way into its place, or out of it: in a folder beside it that no run is ever looked for in.

Whoever works there holds a lock beside what he makes, so what a killed one has left is known, and goes next time.
"""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from qbsweep.errors import QbsweepError
from qbsweep.store.directory import RunDirectory
from qbsweep.store.disk import PARTIAL, sync_folder, sync_tree
from qbsweep.store.lock import Lock
from qbsweep.store.replace import put_in_place, recover_tree

_FRESH_SECONDS = 600.0  # a folder without a lock may just have been made, by a host with another clock


@contextlib.contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Make an empty folder near `target`, on the same file system; it goes with whatever is in it at the end."""
    clear(target)
    outer = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=PARTIAL, dir=target.parent))
    try:
        with Lock(_lock(outer)):
            try:
                _content(outer).mkdir()
                yield _content(outer)
            finally:
                shutil.rmtree(_content(outer), ignore_errors=True)  # large, and ours until it is gone
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def replace_tree(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a directory, and put it in the place of `path`, or of a link there, once it is complete."""
    recover_tree(path)
    with scratch(path) as folder:
        new = folder / path.name
        write(new)
        sync_tree(new)
        try:
            put_in_place(new, path)
        finally:
            recover_tree(path)


@contextlib.contextmanager
def placed(target: Path) -> Iterator[Path]:
    """Give a path for a new file or directory that is at `target` in the end, whole and on the disk, or not at all."""
    with scratch(target) as folder:
        yield folder / target.name
        sync_tree(folder)
        put(folder / target.name, target)


def put(new: Path, target: Path) -> None:
    """Rename a file or directory to where nothing is, nor has come just now."""
    refuse_existing(target)
    try:
        if new.is_dir():
            new.rename(target)
        else:
            _rename_file(new, target)
    except OSError:
        refuse_existing(target)
        raise
    sync_folder(target.parent)


def refuse_existing(target: Path) -> None:
    """Refuse to write where something is."""
    if os.path.lexists(target):
        raise QbsweepError(f"{target} exists already; move it away, or give another name")


def _rename_file(new: Path, target: Path) -> None:
    try:
        target.hardlink_to(new)  # replaces nothing
    except FileExistsError:
        raise
    except OSError:  # not every file system has links
        new.rename(target)
    else:
        new.unlink()


def clear(target: Path) -> None:
    """Remove the folders near `target` of those who were killed."""
    name = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}{re.escape(PARTIAL)}")
    for outer in target.parent.iterdir():
        if name.fullmatch(outer.name) and not outer.is_symlink():
            with contextlib.suppress(OSError, QbsweepError):  # in use, or somebody else's, or already gone
                _require_left(outer)
                shutil.rmtree(outer, ignore_errors=True)


def _require_left(outer: Path) -> None:
    """Raise QbsweepError if somebody works in a folder."""
    if not _lock(outer).exists() and time.time() - outer.stat().st_mtime < _FRESH_SECONDS:
        raise QbsweepError(f"{outer} has just been made")
    with Lock(_lock(outer)):
        pass


def _lock(outer: Path) -> Path:
    return RunDirectory(outer).lock_file


def _content(outer: Path) -> Path:
    return outer / "new"
