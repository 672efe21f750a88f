"""What keeps a run: checked, in few files, in the current format."""

import time
from pathlib import Path

from qbsweep.runs import opening
from qbsweep.runs.caller import single_threaded
from qbsweep.runs.check import Findings, check_files, recompute
from qbsweep.store.dataset import Store
from qbsweep.store.directory import existing


def check(path: Path, repair: bool, points: int) -> Findings:
    """Read everything, and solve some points again; see `Run.check`."""
    directory = existing(path)
    started = time.perf_counter()
    if repair:
        with opening.locked(path) as directory:
            directory.recover()
            found = check_files(directory, mend=True)
    else:
        found = check_files(directory, mend=False)
    found.seconds = time.perf_counter() - started
    if points and found.damages and not repair:
        found.notes.append("no point was solved again, since files are damaged")
    elif points:
        with single_threaded():
            recompute(Store(directory.data), points, found)
    return found


def compact(path: Path) -> int:
    """Bring finished blocks into the dataset; returns how many there were."""
    existing(path)
    with opening.locked(path) as directory:
        return opening.compacted(directory)[1]


def upgrade(path: Path) -> bool:
    """Bring the dataset to the current format; returns whether it was of another."""
    existing(path)
    with opening.locked(path) as directory:
        return opening.upgrade(directory)
