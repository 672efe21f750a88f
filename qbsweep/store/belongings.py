"""What in a directory is a run's own: what removes a run must not take anything else with it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from qbsweep.errors import QbsweepError
from qbsweep.store.directory import PACK, RunDirectory, run_at
from qbsweep.store.disk import PARTIAL
from qbsweep.store.records import read_json
from qbsweep.store.seals import METADATA, Seals
from qbsweep.text import shown

_HERE = RunDirectory(Path())
_OWN = tuple(
    path.name
    for path in (
        *(_HERE.data, _HERE.blocks, _HERE.sweep_file, _HERE.plan_file, _HERE.lock_file, _HERE.slurm),
        *(_HERE.events_file, _HERE.failures_file, _HERE.attempts_file, _HERE.analysis, _HERE.figures, _HERE.report),
    )
)
_ON_THEIR_WAY = (PARTIAL, ".previous")
_RESULTS = {_HERE.analysis.name: (".zarr", ".csv", *_ON_THEIR_WAY), _HERE.figures.name: (".png", *_ON_THEIR_WAY)}
"""How the names end of what is written to the folders of results."""


def is_run(path: Path) -> bool:
    """Whether a directory has a dataset of ours, damaged or not; somebody else's may have its name."""
    directory = run_at(path)
    if directory is None:
        return False
    data = directory.data
    attributes = (read_json(data / METADATA) or {}).get("attributes")
    return (isinstance(attributes, dict) and "qbsweep_format" in attributes) or Seals(data).folder.is_dir()


def require_run(path: Path) -> None:
    """Refuse a directory that is none of ours, or has another run in it, which somebody may be running."""
    data = RunDirectory(path).data
    if not is_run(path):
        raise QbsweepError(f"{path} is not a run directory: {data.name} in it is not from qbsweep; nothing was changed")
    for where, folders, _ in os.walk(path):
        if data.name in folders and Path(where) != path and is_run(Path(where)):
            raise QbsweepError(f"{path} has another run in it, {where}; move that away first")


def refuse_strangers(path: Path) -> None:
    """Refuse a directory of a run in which somebody has put something else."""
    names = sorted(str(file.relative_to(path)) for file in _strangers(path))
    if names:
        more = f" and {len(names) - 1:,} more" if names[1:] else ""
        name = shown(names[0]).removeprefix("the text ")
        raise QbsweepError(f"{path} has {name}{more}, which is not the run's; move it away first")


def _strangers(path: Path) -> Iterator[Path]:
    """Find what is not the run's, also in the folders where people put figures and tables of their own."""
    yield from (file for file in path.iterdir() if not _is_own(file.name))
    for name in _RESULTS:
        yield from _others(path / name, name)


def _others(folder: Path, name: str) -> Iterator[Path]:
    if folder.is_dir() and not folder.is_symlink():
        yield from (file for file in folder.iterdir() if not file.name.endswith(_RESULTS[name]))


def refuse_to_replace(figures: Path) -> None:
    """Refuse to replace a folder of figures in which somebody has put something else."""
    for file in _others(figures, _HERE.figures.name):
        raise QbsweepError(f"{file} is not the run's and would be lost; move it away first")


def _is_own(name: str) -> bool:
    return name in _OWN or name.startswith(tuple(f".{own}." for own in _OWN))  # these on their way, or a lock's clock


def refuse_place(path: Path) -> None:
    """Refuse a place where no new run directory should be."""
    if path.suffix == PACK:
        raise QbsweepError(f"{path} ends in {PACK}, as the name of a pack does; give a run directory another name")
    refuse_within(path)


def refuse_within(path: Path) -> None:
    """Refuse a place in the directory of a run: what moves or removes that would take along what is there."""
    parent = path.parent.resolve()
    for folder in (parent, *parent.parents):
        with contextlib.suppress(OSError):  # what cannot be looked at is made by nobody, and the one who tries is told
            if is_run(folder) and RunDirectory(folder).sweep_file.exists():  # not where a dataset is that is linked to
                raise QbsweepError(f"{path} is in the directory of a run, {folder}; give a place outside it")
