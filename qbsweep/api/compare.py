"""Runs beside each other: made one, or compared."""

from pathlib import Path
from typing import TypeAlias

from qbsweep.api.move import new_place
from qbsweep.api.result import Run
from qbsweep.errors import QbsweepError
from qbsweep.runs import comparing, merging
from qbsweep.runs.comparing import Difference
from qbsweep.runs.opening import open_run
from qbsweep.store.directory import AnyPath

AnyRun: TypeAlias = "AnyPath | Run"


def merge(*runs: AnyRun, out: AnyPath) -> Run:
    """Make one run of several: axes have the values of all, and what was fixed to different values becomes an axis.

    Where several have a point, what is ok counts more than what is suspect, then failed, then pending. Points that
    none of them has are pending: running the new sweep solves them. Prints which values are taken as one, though they
    differ in the last digits, and what the new run will lack.

    Parameters
    ----------
    *runs : Run, str or path
        Two or more; directories or packs.
    out : str or path
        The new run directory.

    Returns
    -------
    Run

    Raises
    ------
    QbsweepError
        If they differ in what no axis can hold, or contradict each other where they have the same points; then
        nothing is written.
    """
    if len(runs) < 2:
        raise QbsweepError("`merge` needs two runs or more")
    merging.merge([_path(run) for run in runs], new_place(out), Path(out), print)
    return Run(Path(out))


def diff(first: AnyRun, second: AnyRun) -> Difference:
    """Compare two runs: their sweeps, where they come from, and their numbers where they have the same points.

    Parameters
    ----------
    first, second : Run, str or path
        Directories or packs.

    Returns
    -------
    Difference
        Prints as what differs; `equal` if nothing that counts does.
    """
    return comparing.compare(open_run(_path(first))[1], open_run(_path(second))[1])


def _path(run: AnyRun) -> Path:
    return run.path if isinstance(run, Run) else Path(run)
