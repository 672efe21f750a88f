"""Sweeps to the jobs of a cluster."""

import shlex
from pathlib import Path

from qbsweep.api.result import Run
from qbsweep.api.running import Durability, is_safe, require_positive, run_path, watcher, write_plan
from qbsweep.errors import QbsweepError
from qbsweep.runs import opening
from qbsweep.runs.state import progress_of
from qbsweep.runs.watch import Watcher
from qbsweep.slurm import submit as jobs
from qbsweep.slurm import submitted
from qbsweep.slurm.files import Record
from qbsweep.slurm.interface import MAX_WORKERS
from qbsweep.slurm.profile import load_profile, parse_minutes
from qbsweep.store.directory import AnyPath, RunDirectory
from qbsweep.store.grid import BLOCK_SECONDS
from qbsweep.sweeps.given import Source
from qbsweep.sweeps.given import sweep as given
from qbsweep.sweeps.spec import SweepSpec
from qbsweep.text import aligned


def submit(
    sweep: Source,
    out: AnyPath | None = None,
    *,
    profile: str | None = None,
    workers: int | None = None,
    time: str | int | None = None,
    retry_failed: bool = False,
    block_seconds: float = BLOCK_SECONDS,
    durability: Durability = "safe",
    progress: bool | Watcher = True,
) -> Run:
    """Run a sweep on a Slurm cluster, or go on with it: submits jobs and returns.

    Parameters
    ----------
    sweep : SweepSpec, dict, str or path
        See `qbsweep.sweep`.
    out : str or path, optional
        The run directory, on a file system that the nodes share; default ``runs/<name>``.
    profile : str, optional
        Site profile: a file, or a name in ``slurm/``.
    workers : int, optional
        Worker processes in all; default from the predicted time and the profile.
    time : str or int, optional
        Walltime of the jobs: ``"90min"``, ``"12h"``, ``"1-00:00:00"``, or minutes.
    retry_failed, block_seconds, durability
        See `run`.
    progress : bool
        Whether to say what was submitted.

    Returns
    -------
    Run
        Its `status` follows the jobs, its `cancel` stops them.

    Raises
    ------
    QbsweepError
        For a mistake in the sweep or the profile, a run that is submitted already, or a refusal of Slurm's.
    """
    watch = watcher(progress)
    spec, safe = given(sweep), is_safe(durability)
    path = run_path(spec, out)
    prepared = _decided(spec, path, profile, workers, time, retry_failed, block_seconds)
    if prepared.doubt:
        watch.say(prepared.doubt)
    submitted.refuse_if_queued(path)
    jobs.check(prepared)
    with opening.locked(path) as directory:
        submitted.refuse_if_queued(path)  # again: another `submit` may have been quicker
        submitted.clear_away(path)
        store = opening.prepare(spec, directory, block_seconds, safe)
        opening.settle(store, watch.say)
        if retry_failed:
            watch.say(f"{opening.reset_failed(directory, store):,} failed points will be solved again")
        if progress_of(store).complete:
            watch.say("all points are solved already; nothing was submitted")
            return Run(path)
        write_plan(directory, prepared.plan)
        record = jobs.send(prepared, directory, safe)
    watch.say(_submitted(prepared, record, path))
    return Run(path)


def job_scripts(
    sweep: Source,
    out: AnyPath | None = None,
    *,
    profile: str | None = None,
    workers: int | None = None,
    time: str | int | None = None,
    retry_failed: bool = False,
    block_seconds: float = BLOCK_SECONDS,
) -> dict[Path, str]:
    """Return the scripts that `submit` would hand to Slurm, by their files; changes nothing."""
    spec = given(sweep)
    path = run_path(spec, out)
    scripts = _decided(spec, path, profile, workers, time, retry_failed, block_seconds).scripts
    return {RunDirectory(path).slurm / name: text for name, text in scripts.items()}


def _decided(
    spec: SweepSpec,
    path: Path,
    profile: str | None,
    workers: int | None,
    time: str | int | None,
    retry_failed: bool,
    block_seconds: float,
) -> jobs.Prepared:
    require_positive(workers=workers, block_seconds=block_seconds)
    if workers is not None and workers > MAX_WORKERS:
        raise QbsweepError(f"`workers` must be at most {MAX_WORKERS}, but is {workers}")
    try:
        minutes = None if time is None else parse_minutes(time)
    except ValueError as error:
        raise QbsweepError(f"`--time` {error}") from None
    site = load_profile(profile)
    return jobs.decide(
        spec,
        path,
        site,
        workers=workers,
        minutes=minutes,
        retry_failed=retry_failed,
        block_seconds=block_seconds,
    )


def _submitted(prepared: jobs.Prepared, record: Record, path: Path) -> str:
    resources = prepared.job.resources
    memory = f", {resources.memory} MB each" if resources.memory else ""
    workers = f", workers {record.worker_id}" if record.worker_id else ""
    where = shlex.quote(str(path))
    return (
        f"{aligned(prepared.plan.rows(resources.workers))}\n"
        f"submitted: driver {record.driver_id}{workers} ({resources.workers} processes{memory}, "
        f"up to {resources.minutes} min a job)\n"
        f"you may log out; next: qbsweep status {where} [--watch], logs {where}, cancel {where}"
    )
