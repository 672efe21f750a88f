"""Text of the job scripts: pure functions of a submission."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qbsweep.slurm.files import AGAIN, HOLD, JobFiles
from qbsweep.slurm.interface import Demand, Scheduler
from qbsweep.slurm.profile import Profile
from qbsweep.slurm.registry import SCHEDULERS
from qbsweep.slurm.resources import Resources

_WARNING_SECONDS = 60  # the early signal, which Slurm may send up to a minute earlier
_SPARE_SECONDS = 5  # before the walltime: a job that has not asked for its requeue by then would end for good
_KILLED = "13[4-9]|143"  # by a signal that was not the scheduler's own: crashed, out of memory, kill -9


@dataclass(frozen=True, slots=True)
class Submission:
    """All that the scripts depend on.

    Attributes
    ----------
    driver_name, worker_name : str
        Names of the jobs.
    directory : Path
        The run directory, absolute.
    python : str
        The interpreter that has qbsweep.
    profile : Profile
    resources : Resources
    """

    driver_name: str
    worker_name: str
    directory: Path
    python: str
    profile: Profile
    resources: Resources

    @property
    def scheduler(self) -> Scheduler:
        """Who is to run the jobs."""
        return SCHEDULERS[self.profile.scheduler]


def driver_script(job: Submission) -> str:
    """Return the script of the job that runs the scheduler and the run loop."""
    driver, res = job.profile.driver, job.resources
    demand = replace(
        _demand(job, job.driver_name, "driver", res.driver_minutes),
        memory=res.driver_memory,
        partition=driver.partition or job.profile.partition,
        qos=driver.qos or job.profile.qos,
        directives=(*job.profile.directives, *driver.directives),
    )
    return _script(job, demand, _command(job, "-m", "qbsweep", "driver"))


def worker_script(job: Submission) -> str:
    """Return the script of the array of worker jobs."""
    res = job.resources
    demand = replace(
        _demand(job, job.worker_name, "worker", res.minutes), jobs=res.jobs, cpus=res.cpus, memory=res.cpus * res.memory
    )
    return _script(job, demand, _command(job, "-m", "qbsweep.slurm.supervisor", last=str(res.cpus)))


def allocation_script(job: Submission) -> str:
    """Return the script of one job that runs driver and workers side by side."""
    res = job.resources
    demand = replace(
        _demand(job, job.driver_name, "driver", res.minutes),
        tasks=res.workers + 1,
        memory=max(res.memory, res.driver_memory),
    )
    workers = _command(job, "-m", "qbsweep.slurm.supervisor", last="1")
    step = job.scheduler.step(workers, res.workers, JobFiles(job.directory).log("worker"))
    return _script(job, demand, _command(job, "-m", "qbsweep", "driver"), beside=step)


def scripts(job: Submission) -> dict[str, str]:
    """Return the scripts of a submission by the names of their files."""
    if job.profile.layout == "allocation":
        return {"driver.sh": allocation_script(job)}
    return {"driver.sh": driver_script(job), "workers.sh": worker_script(job)}


def _command(job: Submission, *words: str, last: str = "") -> str:
    # -P: what lies in the working directory is not to be imported.
    return shlex.join([job.python, "-P", *words, str(job.directory), *([last] if last else [])])


def _demand(job: Submission, name: str, role: str, minutes: int) -> Demand:
    """Return what every job of a submission asks for; one task with one core."""
    return Demand(
        name=name,
        log=JobFiles(job.directory).log(role),
        folder=job.directory,
        minutes=minutes,
        warning=min(_WARNING_SECONDS, 15 * minutes),
        jobs=0,
        tasks=1,
        cpus=1,
        memory=0,
        partition=job.profile.partition,
        qos=job.profile.qos,
        account=job.profile.account,
        constraint=job.profile.constraint,
        directives=job.profile.directives,
    )


def _script(job: Submission, demand: Demand, command: str, beside: str = "") -> str:
    lines = ["#!/bin/bash", *job.scheduler.head(demand), "# Written by `qbsweep submit`.", *job.profile.setup]
    if job.profile.scratch:
        lines.append(f'export TMPDIR="{job.profile.scratch}"')
    requeue = [job.scheduler.requeue_command(bool(demand.jobs), held) for held in (False, True)]
    return "\n".join([*lines, _supervised(command, requeue, beside, 60 * demand.minutes)])


def _supervised(command: str, requeue: Sequence[str], beside: str, seconds: int) -> str:
    """Run a command, pass the scheduler's signals on to it, and requeue this job if it is to run again.

    Parameters
    ----------
    command : str
    requeue : sequence of str
        Commands that put this job back into the queue, and into it to wait.
    beside : str
        Command of a job step that runs at the same time, or empty. It hears of the end of the walltime as well, and
        has until then: a requeue would kill it.
    seconds : int
        Walltime of this job.
    """
    flags, warn, start, wait = "stopped=", 'kill -USR1 "$child" 2>/dev/null', "", ""
    if beside:
        flags = "stopped=\nwarned="
        warn = 'warned=yes; kill -USR1 "$child" "$beside" 2>/dev/null'
        start = f"{beside} &\nbeside=$!\n"
        wait = f"""\
while [ -n "$warned" ] && [ -z "$stopped" ] && [ "$SECONDS" -lt {seconds - _SPARE_SECONDS} ] \\
    && kill -0 "$beside" 2>/dev/null; do sleep 1; done
"""
    return f"""\
{flags}
trap '{warn}' USR1
trap 'stopped=yes; kill -TERM "$child" 2>/dev/null' TERM
{start}{command} &
child=$!
wait "$child"
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
code=$?
{wait}case "$code$stopped" in
    {AGAIN}|{_KILLED})
        echo "exit code $code: back into the queue"
        {requeue[0]} ;;
    {HOLD})
        echo "the driver is queued: back into the queue, held until it calls"
        {requeue[1]} ;;
esac
exit "$code"
"""
