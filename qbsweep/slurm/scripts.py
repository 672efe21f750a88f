"""Text of the job scripts: pure functions of a submission."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from qbsweep.slurm.files import AGAIN, HOLD, JobFiles
from qbsweep.slurm.profile import Profile
from qbsweep.slurm.resources import Resources

_WARNING_SECONDS = 60  # Slurm's early signal, which Slurm itself may send up to a minute earlier
_SPARE_SECONDS = 5  # before the walltime: a job that has not asked for its requeue by then would end for good
_KILLED = "13[4-9]|143"  # by a signal that was not Slurm's own: crashed, out of memory, kill -9


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


def driver_script(job: Submission) -> str:
    """Return the script of the job that runs the scheduler and the run loop."""
    driver, res = job.profile.driver, job.resources
    options = {
        "job-name": job.driver_name,
        "output": _log(job, "driver"),
        "ntasks": 1,
        "cpus-per-task": 1,
        "mem": _memory(res.driver_memory),
        "partition": driver.partition or job.profile.partition,
        "qos": driver.qos or job.profile.qos,
    }
    return _script(
        job, res.driver_minutes, options, driver.directives, _supervised(_command(job, "-m", "qbsweep", "driver"))
    )


def worker_script(job: Submission) -> str:
    """Return the script of the array of worker jobs."""
    res = job.resources
    options = {
        "job-name": job.worker_name,
        "array": f"0-{res.jobs - 1}",
        "output": _log(job, "worker-%a"),
        "ntasks": 1,
        "cpus-per-task": res.cpus,
        "mem": _memory(res.cpus * res.memory),
        "partition": job.profile.partition,
        "qos": job.profile.qos,
    }
    # The bare id of the last job of an array is that of the whole array.
    identity = "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    body = _supervised(_command(job, "-m", "qbsweep.slurm.supervisor", last=str(res.cpus)), identity)
    return _script(job, res.minutes, options, (), body)


def allocation_script(job: Submission) -> str:
    """Return the script of one job that runs driver and workers side by side."""
    res = job.resources
    options = {
        "job-name": job.driver_name,
        "output": _log(job, "driver"),
        "ntasks": res.workers + 1,
        "cpus-per-task": 1,
        "mem-per-cpu": _memory(max(res.memory, res.driver_memory)),
        "partition": job.profile.partition,
        "qos": job.profile.qos,
    }
    # --overlap: the steps share the allocation with this script; a worker that dies must not take the others along.
    step = f"srun --overlap --kill-on-bad-exit=0 --ntasks={res.workers} --output={shlex.quote(_log(job, 'worker-%t'))}"
    workers = f"{step} --open-mode=append {_command(job, '-m', 'qbsweep.slurm.supervisor', last='1')}"
    body = _supervised(_command(job, "-m", "qbsweep", "driver"), beside=workers, seconds=60 * res.minutes)
    return _script(job, res.minutes, options, (), body)


def scripts(job: Submission) -> dict[str, str]:
    """Return the scripts of a submission by the names of their files."""
    if job.profile.layout == "allocation":
        return {"driver.sh": allocation_script(job)}
    return {"driver.sh": driver_script(job), "workers.sh": worker_script(job)}


def _command(job: Submission, *words: str, last: str = "") -> str:
    # -P: what lies in the working directory is not to be imported.
    return shlex.join([job.python, "-P", *words, str(job.directory), *([last] if last else [])])


def _log(job: Submission, name: str) -> str:
    # Slurm expands % in the names of its log files.
    return str(JobFiles(job.directory).logs).replace("%", "%%") + f"/{name}.log"


def _memory(megabytes: int) -> str | None:
    return f"{megabytes}M" if megabytes else None


def _time(minutes: int) -> str:
    return f"{minutes // 1440}-{minutes // 60 % 24:02}:{minutes % 60:02}:00"


def _script(job: Submission, minutes: int, options: dict[str, object], directives: tuple[str, ...], body: str) -> str:
    common = {"chdir": str(job.directory), "account": job.profile.account, "constraint": job.profile.constraint}
    given = {name: value for name, value in {**options, "time": _time(minutes), **common}.items() if value is not None}
    # Of two directives Slurm takes the last: the profile's own must not rename a job, or it could not be found again.
    lines = ["#!/bin/bash", *(f"#SBATCH {directive}" for directive in (*job.profile.directives, *directives))]
    lines += [f"#SBATCH --{name}={_quoted(str(value))}" for name, value in given.items()]
    warning = min(_WARNING_SECONDS, 15 * minutes)
    lines += ["#SBATCH --open-mode=append", "#SBATCH --requeue", f"#SBATCH --signal=B:USR1@{warning}"]
    lines += ["# Written by `qbsweep submit`.", *job.profile.setup]
    if job.profile.scratch:
        lines.append(f'export TMPDIR="{job.profile.scratch}"')
    return "\n".join([*lines, body])


def _quoted(value: str) -> str:
    return f'"{value}"' if set(value) & set(" #'") else value


def _supervised(command: str, identity: str = "$SLURM_JOB_ID", beside: str = "", seconds: int = 0) -> str:
    """Run a command, pass Slurm's signals on to it, and requeue this job if it is to run again.

    Parameters
    ----------
    command : str
    identity : str
        By which this job is requeued.
    beside : str
        Command of a job step that runs at the same time. It hears of the end of the walltime as well, and has until
        then: a requeue would kill it.
    seconds : int
        Walltime of this job, if something runs beside.
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
        scontrol requeue "{identity}" ;;
    {HOLD})
        echo "the driver is queued: back into the queue, held until it calls"
        scontrol requeuehold "{identity}" ;;
esac
exit "$code"
"""
