"""Which runs there are."""

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qbsweep.errors import QbsweepError
from qbsweep.runs.state import progress_in
from qbsweep.slurm.files import JobFiles
from qbsweep.store import packs
from qbsweep.store.directory import PACK, AnyPath, RunDirectory, run_at
from qbsweep.store.lock import is_of_lock, lock_holder
from qbsweep.store.metadata import read_metadata
from qbsweep.text import Table, duration, printable, size_of

_HEADER = ("run", "name", "state", "points", "done", "size", "age")


@dataclass(frozen=True, slots=True)
class Listed:
    """A run, as `qbsweep.ls` finds it.

    Attributes
    ----------
    path : Path
        The directory, or the pack.
    name : str
        Of its sweep.
    state : str
        'complete', 'running', 'submitted', 'interrupted', 'packed' (before it was complete), or 'unreadable'.
    points, done : int
        How many there are, and how many are not pending.
    failed : int
        How many of them have failed.
    bytes : int
        Of all its files, as long as they are.
    changed : float
        When it was changed last, in seconds since the epoch; that somebody held its lock is no change.
    note : str
        Why it is unreadable.
    """

    path: Path
    name: str
    state: str
    points: int
    done: int
    failed: int
    bytes: int
    changed: float
    note: str = ""


class Runs(list[Listed]):
    """Runs; shows as a table."""

    def table(self) -> Table:
        """Return the table."""
        rows = [
            (
                printable(str(run.path)),
                printable(run.name),
                run.state + (f", {run.failed:,} failed" if run.failed else ""),
                f"{run.points:,}",
                f"{run.done / run.points:.0%}" if run.points else "",
                size_of(run.bytes),
                duration(max(time.time() - run.changed, 0.0)),
            )
            for run in self
        ]
        return Table(
            _HEADER,
            rows,
            note="\n".join(printable(run.note) for run in self if run.note) or ("" if rows else "no runs"),
        )

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def ls(folder: AnyPath | None = None) -> Runs:
    """List the runs below a directory, those in packs included.

    Parameters
    ----------
    folder : str or path, optional
        Default ``runs``, or where there is none, here. Links are not followed.

    Returns
    -------
    list of Listed
        By path. Of submitted runs no scheduler is asked: `Run.status` does.
    """
    top = Path(folder) if folder is not None else Path("runs") if Path("runs").is_dir() else Path()
    if not top.is_dir():
        raise QbsweepError(f"{top} is not a directory: there are no runs in it")
    return Runs(sorted(_found(top), key=lambda run: run.path))


def _found(top: Path) -> Iterator[Listed]:
    closed: list[OSError] = []
    for where, folders, names in os.walk(top, onerror=closed.append):
        try:
            directory = run_at(Path(where))
        except PermissionError as error:  # the names in it can be read, and nothing else
            folders.clear()
            yield _closed(Path(where), error)
            continue
        yield from (_of_pack(Path(where, name)) for name in names if name.endswith(PACK) and not name.startswith("."))
        if directory is not None and os.path.lexists(directory.data / "zarr.json"):
            folders.clear()
            yield _of_directory(directory)
        else:
            folders[:] = [name for name in folders if not name.startswith(".")]
    yield from (_closed(Path(error.filename), error) for error in closed if error.errno == errno.EACCES)


def _closed(path: Path, error: OSError) -> Listed:
    found = path.lstat()
    return Listed(path, "", "unreadable", 0, 0, 0, 0, found.st_mtime, f"{path} cannot be looked into: {error.strerror}")


def _of_pack(path: Path) -> Listed:
    if not path.exists():
        return Listed(path, "", "unreadable", 0, 0, 0, 0, path.lstat().st_mtime, f"{path} is a link to nothing")
    found = path.stat()
    try:
        said = packs.summary(path)
        points = {str(name): int(count) for name, count in said["points"].items()}
        name = str(said["name"])
    except (QbsweepError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        return Listed(path, "", "unreadable", 0, 0, 0, found.st_size, found.st_mtime, str(error))
    state = "packed" if points["pending"] else "complete"
    return _listed(path, name, state, points, found.st_size, found.st_mtime)


def _of_directory(directory: RunDirectory) -> Listed:
    size, changed = _measured(directory)
    try:
        progress = progress_in(directory)
        name = str(read_metadata(directory.data).attributes["title"])
    except (QbsweepError, OSError, ValueError, KeyError) as error:
        return Listed(directory.path, "", "unreadable", 0, 0, 0, size, changed, str(error))
    state = "complete" if progress.complete else "submitted" if _is_submitted(directory) else "interrupted"
    state = "running" if lock_holder(directory.lock_file) else state
    return _listed(directory.path, name, state, progress.points, size, changed)


def _listed(path: Path, name: str, state: str, points: dict[str, int], size: int, changed: float) -> Listed:
    total = sum(points.values())
    return Listed(path, name, state, total, total - points["pending"], points["failed"], size, changed)


def _is_submitted(directory: RunDirectory) -> bool:
    try:
        return JobFiles(directory.path).record() is not None
    except QbsweepError:
        return False


def _measured(directory: RunDirectory) -> tuple[int, float]:
    """Return the bytes of all files, and the time of the one that was changed last."""
    size, changed = 0, 0.0
    for root in (directory.path, directory.home) if directory.data.is_symlink() else (directory.path,):
        for where, _, names in os.walk(root):
            for name in names:
                try:
                    found = Path(where, name).lstat()
                except (FileNotFoundError, PermissionError):  # a run goes on; a folder that cannot be entered
                    continue
                size += found.st_size
                if Path(where) != directory.lock_file and not is_of_lock(directory.lock_file, Path(where, name)):
                    changed = max(changed, found.st_mtime)
    return size, changed
