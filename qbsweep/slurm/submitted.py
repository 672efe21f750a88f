"""What was submitted for a run: look at its jobs, refuse to do it twice, cancel them.

Light, so that `status` answers at once.
"""

import contextlib
from pathlib import Path
from typing import Any

from qbsweep.errors import QbsweepError
from qbsweep.runs.state import progress_in
from qbsweep.slurm.files import JobFiles
from qbsweep.slurm.registry import SCHEDULERS
from qbsweep.store.directory import RunDirectory
from qbsweep.text import command


def refuse_if_queued(path: Path) -> None:
    """Refuse a run directory whose driver job runs, waits, or is just ending."""
    record = JobFiles(path).record()
    if record is None:
        return
    scheduler = SCHEDULERS[record.scheduler]
    jobs = scheduler.queue(record.driver_name, record.worker_name)
    if jobs is None:
        raise QbsweepError(
            f"{scheduler.TITLE} does not answer, and jobs of {path} may be waiting in it; try again later, "
            f"or remove {JobFiles(path).folder} if that cluster is gone for good"
        )
    for job in jobs:
        if job.active and job.name == record.driver_name:
            why = f" ({job.reason})" if job.reason else ""
            raise QbsweepError(
                f"{path} is submitted already: job {job.id} is {job.state}{why}; "
                f"`{command('status', path)}` follows it, `{command('cancel', path)}` stops it"
            )


def refuse_if_awaited(path: Path) -> None:
    """Refuse to take a run away from its jobs; where none has anything left to do, no scheduler has to answer."""
    files = JobFiles(path)
    if files.finished.exists() or files.record() is None:
        return
    with contextlib.suppress(QbsweepError):  # damaged: nobody knows whether jobs have to come
        if progress_in(RunDirectory(path)).complete:
            return
    refuse_if_queued(path)


def clear_away(path: Path) -> None:
    """Cancel workers that a driver of the past has left waiting; the caller holds the lock."""
    record = JobFiles(path).record()
    if record is None:
        return
    scheduler = SCHEDULERS[record.scheduler]
    if any(job.active for job in scheduler.queue(record.worker_name) or ()):
        scheduler.cancel(record.worker_name)


def queue_state(path: Path) -> dict[str, Any] | None:
    """Return the state of the jobs of a run as plain data, None if it was never submitted."""
    try:
        record = JobFiles(path).record()
    except QbsweepError:
        return None  # `submit` and `cancel` say what is wrong; a look at the dataset needs no jobs
    if record is None:
        return None
    jobs = SCHEDULERS[record.scheduler].queue(record.driver_name, record.worker_name)
    return {
        "layout": record.layout,
        "driver_id": record.driver_id,
        "worker_id": record.worker_id,
        "submitted": record.submitted,
        "workers": record.workers,
        "answers": jobs is not None,
        "jobs": [
            {
                "id": job.id,
                "role": "driver" if job.name == record.driver_name else "worker",
                "state": job.state,
                "active": job.active,
                "reason": job.reason,
                "node": job.node,
                "seconds_left": job.seconds_left,
            }
            for job in jobs or ()
        ],
    }


def cancel(path: Path) -> list[str]:
    """Cancel the jobs of a run; returns the ids of those that ran or waited."""
    record = JobFiles(path).record()
    if record is None:
        raise QbsweepError(f"{path} was not submitted: there are no jobs to cancel")
    scheduler = SCHEDULERS[record.scheduler]
    scheduler.require()
    names = (record.driver_name, record.worker_name)
    jobs = scheduler.queue(*names)
    if jobs is None:
        raise QbsweepError(f"{scheduler.TITLE} does not answer; nothing was cancelled, try again later")
    active = [job.id for job in jobs if job.active]
    if active:
        # The driver first: left alone it would call back the workers that go.
        scheduler.cancel(*names)
    return active


def ends_of_logs(path: Path, lines: int) -> dict[Path, str]:
    """Return the last lines of the logs of a run's jobs, the driver's first, by their places in the run directory."""
    files = JobFiles(path)
    found = sorted(files.logs.glob("*.log"), key=lambda file: (file != files.log("driver"), len(file.name), file.name))
    texts = {file.relative_to(path): file.read_text(encoding="utf-8", errors="replace") for file in found}
    return {file: "\n".join(text.splitlines()[-lines:]) for file, text in texts.items()}
