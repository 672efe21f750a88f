"""Sweeps to runs: predict, run here, submit to a cluster, open what is there."""

import os
from pathlib import Path
from typing import Literal, get_args

from rich.console import Console

from qbsweep.api.result import Run
from qbsweep.errors import QbsweepError
from qbsweep.runs import executors, loop, opening
from qbsweep.runs.caller import main_hidden, single_threaded
from qbsweep.runs.events import note_unreported
from qbsweep.runs.plan import Plan, make_grid, make_plan, predicted_blocks
from qbsweep.runs.state import pending_blocks, progress_of
from qbsweep.runs.watch import Watcher
from qbsweep.store.belongings import refuse_place
from qbsweep.store.dataset import Store
from qbsweep.store.directory import AnyPath, RunDirectory, is_pack
from qbsweep.store.grid import BLOCK_SECONDS
from qbsweep.sweeps.given import Source
from qbsweep.sweeps.given import sweep as given
from qbsweep.sweeps.spec import SweepSpec
from qbsweep.text import aligned, duration

Durability = Literal["safe", "fast"]


def load(file: AnyPath) -> SweepSpec:
    """Read and check a sweep file.

    Parameters
    ----------
    file : str or path
        YAML, as `qbsweep.json_schema` describes it.

    Raises
    ------
    QbsweepError
        With the file, and a line and a sentence for every mistake.
    """
    return given(os.fspath(file))


def plan(sweep: Source, block_seconds: float = BLOCK_SECONDS) -> Plan:
    """Check a sweep and predict what it costs; nothing is solved.

    Parameters
    ----------
    sweep : SweepSpec, dict, str or path
        See `qbsweep.sweep`.
    block_seconds : float
        Longest predicted time of a block: what a crash can cost a worker.

    Returns
    -------
    Plan
        Points, blocks, time, memory and disk; prints as a table.
    """
    spec = given(sweep)
    require_positive(block_seconds=block_seconds)
    with single_threaded():
        return make_plan(spec, make_grid(spec, block_seconds))


def open(path: AnyPath) -> Run:
    """Open a run directory, or a pack of one.

    A pack is unpacked into a temporary directory, for as long as this process lives; its results are written beside it.

    Raises
    ------
    QbsweepError
        If there is none.
    """
    return Run(Path(path))


def run(
    sweep: Source,
    out: AnyPath | None = None,
    *,
    workers: int | None = None,
    executor: str = "auto",
    retry_failed: bool = False,
    block_seconds: float = BLOCK_SECONDS,
    durability: Durability = "safe",
    progress: bool | Watcher = True,
) -> Run:
    """Run a sweep on this machine, or go on with it; finished points are never computed again.

    Parameters
    ----------
    sweep : SweepSpec, dict, str or path
        See `qbsweep.sweep`. On a directory that holds a sweep it may add values to axes, and nothing else.
    out : str or path, optional
        The run directory; default ``runs/<name>``.
    workers : int, optional
        Worker processes; default one per core.
    executor : str
        'auto' (this process for short sweeps, else workers), 'local', 'serial', or the address of a Dask scheduler.
        All give the same numbers to the last bit.
    retry_failed : bool
        Solve failed points again.
    block_seconds : float
        Longest predicted time of a block: what a crash can cost a worker.
    durability : str
        'safe': what is finished is on the disk within a second of computing, and survives a power cut. 'fast': the
        operating system writes it when it likes, or the run at its end; a power cut then costs more, but nothing that
        was there before, and makes no number wrong.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Run
        Its `status` counts points that failed, or could not be written.

    Raises
    ------
    QbsweepError
        For a mistake in the sweep, a directory of another sweep, one that somebody else runs, or a bad executor.
    """
    spec = given(sweep)
    executors.check(executor)
    safe = is_safe(durability)
    require_positive(workers=workers, block_seconds=block_seconds)
    watch = watcher(progress, talks=False)
    path = run_path(spec, out)
    with opening.locked(path) as directory:
        store = opening.prepare(spec, directory, block_seconds, safe)
        opening.settle(store, watch.say)
        if retry_failed:
            watch.detail(f"{opening.reset_failed(directory, store):,} failed points will be solved again")
        if progress_of(store).complete:
            note_unreported(directory, store, pending=())
            watch.detail("all points are solved already")
        else:
            _run_pending(directory, store, watch, executor, workers)
    return Run(path)


def _run_pending(directory: RunDirectory, store: Store, watch: Watcher, executor: str, workers: int | None) -> None:
    plan = make_plan(store.spec, store.grid)
    write_plan(directory, plan)
    blocks, pending = predicted_blocks(store.spec, store.grid), pending_blocks(store)
    seconds = float(blocks[pending].sum())
    cores = executors.cores(executor, seconds, workers)
    watch.detail(aligned(plan.rows(cores)))
    with (
        single_threaded(),
        main_hidden(),
        executors.opened(executor, directory.path, seconds, workers, watch.detail) as execute,
        watch.showing(blocks, pending, cores),
    ):
        loop.run_blocks(directory, store, execute, watch)
    watch.detail(f"finished in {duration(watch.seconds)}")
    for error, count in watch.unwritten.items():
        watch.say(f"{count} blocks were not written: {error}")


def is_safe(durability: str) -> bool:
    """Return whether results have to be on the disk before anything says that they are there."""
    if durability not in get_args(Durability):
        raise QbsweepError(f"`durability` must be 'safe' or 'fast', but is '{durability}'")
    return durability == "safe"


def watcher(progress: bool | Watcher, talks: bool = True) -> Watcher:
    """Return what shows progress, if it is to be shown."""
    if isinstance(progress, Watcher):
        return progress
    return Watcher(Console(quiet=not progress, soft_wrap=True), talks)


def run_path(spec: SweepSpec, out: AnyPath | None) -> Path:
    """Return the directory of a run; raises QbsweepError if a new one must not be there."""
    path = Path("runs") / spec.name if out is None else Path(out)
    is_there = os.path.exists(RunDirectory(path).data)  # noqa: PTH110 - whose name may be too long
    if not is_there and not is_pack(path):  # of a pack it is said elsewhere why it cannot go on
        refuse_place(path)
    return path


def require_positive(**values: float | None) -> None:
    """Refuse a number of workers, or a time, that is none."""
    for name, value in values.items():
        if value is not None and not value > 0:
            raise QbsweepError(f"`{name}` must be above 0, but is {value}")


def write_plan(directory: RunDirectory, plan: Plan) -> None:
    """Write plan.json."""
    directory.write_plan(plan.to_json())
