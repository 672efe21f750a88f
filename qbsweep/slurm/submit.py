"""Submit a sweep to a cluster: decide, write the scripts, hand them over."""

import contextlib
import re
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qbsweep.errors import QbsweepError
from qbsweep.runs.plan import Plan, make_grid, make_plan, predicted_blocks
from qbsweep.slurm.files import JobFiles, Record
from qbsweep.slurm.profile import Profile
from qbsweep.slurm.resources import resources
from qbsweep.slurm.scripts import Submission, scripts
from qbsweep.solvers.status import FAILED, PENDING
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.disk import replace_file
from qbsweep.store.grid import Grid
from qbsweep.sweeps.spec import SweepSpec


@dataclass(frozen=True, slots=True)
class Prepared:
    """A submission that is decided on but not made.

    Attributes
    ----------
    plan : Plan
    job : Submission
    longest_block : float
        Predicted seconds of the longest block.
    token : str
    """

    plan: Plan
    job: Submission
    longest_block: float
    token: str

    @property
    def scripts(self) -> dict[str, str]:
        """Texts of the job scripts by the names of their files."""
        return scripts(self.job)

    @property
    def doubt(self) -> str | None:
        """Say so if a block is not likely to fit its walltime."""
        seconds = 60 * self.job.resources.minutes
        if self.longest_block < 0.5 * seconds:
            return None
        return (
            f"the longest block is predicted to take {self.longest_block / 60:.0f} min, but a worker job lasts "
            f"{seconds / 60:.0f} min; one that does not fit ends as failed: give more --time or less --block-seconds"
        )


def decide(
    spec: SweepSpec,
    path: Path,
    profile: Profile,
    *,
    workers: int | None,
    minutes: int | None,
    retry_failed: bool,
    block_seconds: float,
) -> Prepared:
    """Decide what to submit; changes nothing, and asks nobody but how large a large array may be."""
    where = path.absolute()
    if not re.fullmatch(r"[^\"\\\x00-\x1f]+", str(where)):
        raise QbsweepError(
            f"{where} must not have quotes, backslashes or control characters in its path; give an --out"
        )
    grid, pending = _pending(spec, where, retry_failed, block_seconds)
    plan, todo = make_plan(spec, grid), predicted_blocks(spec, grid)[pending].tolist()
    wanted = resources(profile, plan, todo, workers, minutes)
    token = secrets.token_hex(4)
    name = f"qb-{spec.name}-{token}"
    suffix = "" if profile.layout == "allocation" else "-workers"
    job = Submission(name, name + suffix, where, sys.executable, profile, wanted)
    return Prepared(plan, job, max(todo, default=0.0), token)


def _pending(spec: SweepSpec, path: Path, retry_failed: bool, block_seconds: float) -> tuple[Grid, Sequence[int]]:
    """Return the grid, and the numbers of the blocks that are to be solved."""
    data = RunDirectory(path).data
    if data.exists():
        store = Store(data)
        if store.spec.digest() == spec.digest():
            return store.grid, store.blocks_with(PENDING, *((FAILED,) if retry_failed else ()))
    grid = make_grid(spec, block_seconds)
    return grid, range(grid.n_blocks)


def check(prepared: Prepared) -> None:
    """Ask the scheduler whether it would take the jobs, before anything is written."""
    scheduler = prepared.job.scheduler
    scheduler.require()
    for name, text in prepared.scripts.items():
        scheduler.check(text, f"the {name.removesuffix('.sh')} job")


def send(prepared: Prepared, directory: RunDirectory, safe: bool) -> Record:
    """Write scripts and credentials and submit; the caller holds the lock. What is refused leaves no job behind."""
    if directory.path.stat().st_mode & 0o002:
        raise QbsweepError(f"{directory.path} is writable by everybody; `chmod o-w {directory.path}` mends that")
    from qbsweep.slurm.connection import create_credentials  # loading Dask costs time that other commands need not pay

    files, job = JobFiles(directory.path.absolute()), prepared.job
    files.start_anew()
    create_credentials(files.credentials)
    for name, text in prepared.scripts.items():
        replace_file(files.folder / name, text.encode(), safe=False)
    record = Record(
        token=prepared.token,
        driver_name=job.driver_name,
        worker_name=job.worker_name,
        driver_id="",
        worker_id="",
        layout="allocation" if job.profile.layout == "allocation" else "jobs",
        workers=job.resources.workers,
        seconds=60 * job.resources.minutes,
        memory=job.resources.memory,
        interface=job.profile.interface or "",
        submitted=time.time(),
        scheduler=job.profile.scheduler,
        safe=safe,
    )
    files.write_record(record)  # first: whatever happens now, the names lead to the jobs
    try:
        texts = prepared.scripts
        record = replace(record, driver_id=job.scheduler.submit(texts["driver.sh"], "the driver job"))
        if "workers.sh" in texts:
            # Workers without a driver would only wait.
            worker_id = job.scheduler.submit(texts["workers.sh"], "the worker jobs", after=record.driver_id)
            record = replace(record, worker_id=worker_id)
    except BaseException:
        with contextlib.suppress(QbsweepError):
            job.scheduler.cancel(record.driver_name, record.worker_name)
            files.remove_record()  # not before: by its names a job that is left can still be cancelled
        raise
    files.write_record(record)
    return record
