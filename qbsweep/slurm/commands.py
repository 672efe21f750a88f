"""Slurm: its commands, and the dialect of its job scripts. Jobs are told apart by name, never by id alone."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError
from qbsweep.slurm.interface import Demand, Job
from qbsweep.text import shown

TITLE = "Slurm"
_MAX_JOBS = 1000  # in an array, where the site has said nothing else
_SECONDS = 30  # no Slurm command may hang longer: controllers restart, networks break
_KEPT = ("SLURM_CONF", "SBATCH_ACCOUNT", "SBATCH_PARTITION", "SBATCH_QOS", "SBATCH_RESERVATION")  # the user's defaults
_FORMAT = "%i|%j|%T|%r|%N|%L"
_RESERVED = (
    *("--job-name", "-J", "--array", "-a", "--output", "-o", "--error", "-e", "--open-mode", "--requeue"),
    *("--no-requeue", "--signal", "--time", "-t", "--time-min", "--ntasks", "-n", "--cpus-per-task", "-c", "--mem"),
    *("--mem-per-cpu", "--dependency", "-d", "--chdir", "-D", "--clusters", "-M", "--wrap", "--test-only"),
    *("--parsable", "--hold", "-H", "--export", "--wait", "-W"),
)


def require() -> None:
    """Refuse a machine without Slurm."""
    for command in ("sbatch", "squeue", "scancel", "scontrol"):
        if shutil.which(command) is None:
            raise QbsweepError(
                f"`{command}` is not on the PATH of this machine; submit from a login node of a Slurm cluster "
                "(`module load slurm`?), or use `qbsweep run`"
            )


def max_jobs() -> int:
    """Return how many jobs an array may have at this site; what Slurm comes with, if it does not answer."""
    answer = _call("scontrol", "show", "config")
    found = re.search(r"(?m)^MaxArraySize\s*=\s*(\d+)", answer.stdout) if answer else None
    return int(found[1]) if found else _MAX_JOBS


def check_directive(line: str) -> None:
    """Refuse what is no option of sbatch, and what qbsweep sets itself."""
    if not line.startswith("-"):
        raise ValueError(f"must be options of sbatch like --exclusive, but one is {shown(line)}")
    for word in line.split():
        option = word.partition("=")[0] if word.startswith("--") else word[:2]
        # sbatch also takes the beginning of an option's name for it
        if any(name.startswith(option) for name in _RESERVED) and option.startswith("-"):
            raise ValueError(f"must not have {option}: qbsweep sets it itself, by `time`, `memory`, `cpus` and so on")


def head(demand: Demand) -> list[str]:
    """Return the directives of a job script."""
    options = {
        "job-name": demand.name,
        "array": f"0-{demand.jobs - 1}" if demand.jobs else None,
        "output": _pattern(demand.log, "%a" if demand.jobs else None),
        "ntasks": demand.tasks,
        "cpus-per-task": demand.cpus,
        "mem" if demand.tasks == 1 else "mem-per-cpu": f"{demand.memory}M" if demand.memory else None,
        "partition": demand.partition,
        "qos": demand.qos,
        "time": f"{demand.minutes // 1440}-{demand.minutes // 60 % 24:02}:{demand.minutes % 60:02}:00",
        "chdir": demand.folder,
        "account": demand.account,
        "constraint": demand.constraint,
        "open-mode": "append",
    }
    # Of two directives Slurm takes the last: the profile's own must not rename a job, or it could not be found again.
    lines = [*demand.directives, *(f"--{name}={_quoted(str(it))}" for name, it in options.items() if it is not None)]
    return [f"#SBATCH {line}" for line in (*lines, "--requeue", f"--signal=B:USR1@{demand.warning}")]


def step(command: str, count: int, log: Path) -> str:
    """Return the command of a job step."""
    # --overlap: the steps share the allocation with the script; a worker that dies must not take the others along.
    output = f"--output={shlex.quote(_pattern(log, '%t'))} --open-mode=append"
    return f"srun --overlap --kill-on-bad-exit=0 --ntasks={count} {output} {command}"


def requeue_command(is_array: bool, held: bool) -> str:
    """Return the command by which a job puts itself back into the queue."""
    # The bare id of the last job of an array is that of the whole array.
    identity = "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" if is_array else "$SLURM_JOB_ID"
    return f'scontrol {"requeuehold" if held else "requeue"} "{identity}"'


def _pattern(log: Path, number: str | None) -> str:
    """Return how a log file is named in a directive, where Slurm expands %, with a place for a number in its name."""
    escaped = str(log.parent).replace("%", "%%")
    return f"{escaped}/{log.stem}{'' if number is None else f'-{number}'}{log.suffix}"


def _quoted(value: str) -> str:
    return f'"{value}"' if set(value) & set(" #'") else value


def check(script: str, what: str) -> None:
    """Ask Slurm whether it would take a job; submits nothing."""
    _accepted(_call("sbatch", "--test-only", text=script), what)


def submit(script: str, what: str, after: str = "") -> str:
    """Submit a job, which waits until `after` has begun, and return its id.

    Raises
    ------
    QbsweepError
        With Slurm's reason, if it refuses.
    """
    options = [f"--dependency=after:{after}"] if after else []
    answer = _accepted(_call("sbatch", "--parsable", *options, text=script), what)
    return answer.strip().rpartition("\n")[2].partition(";")[0]


def _accepted(answer: subprocess.CompletedProcess[str] | None, what: str) -> str:
    if answer is None:
        raise QbsweepError(f"Slurm did not answer within {_SECONDS} s; nothing was submitted, try again later")
    if answer.returncode:
        reasons = re.findall(r"(?:error|fatal|failure): (.*)", answer.stderr)
        reason = "; ".join(dict.fromkeys(r.removeprefix("Batch job submission failed: ") for r in reasons))
        raise QbsweepError(
            f"Slurm refused {what}: {reason or ' '.join(answer.stderr.split())}; mend the profile or its options"
        )
    return answer.stdout


def queue(*names: str) -> list[Job] | None:
    """Return the jobs of these names, those that ended lately included; None if Slurm does not answer."""
    answer = _call(
        "squeue",
        "--noheader",
        "--array",
        "--states=all",
        f"--user={os.getuid()}",
        f"--name={','.join(dict.fromkeys(names))}",
        f"--format={_FORMAT}",
    )
    if answer is None or answer.returncode:
        return None
    return [parse_job(line) for line in answer.stdout.splitlines() if line.count("|") == _FORMAT.count("|")]


def parse_job(line: str) -> Job:
    """Read a line of `queue`."""
    identity, name, state, reason, node, left = line.split("|")
    return Job(identity, name, state, "" if reason == "None" else reason, node, parse_left(left))


def parse_left(text: str) -> int | None:
    """Return the seconds of squeue's ``[days-][[hours:]minutes:]seconds``, None for UNLIMITED, INVALID and the like."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(?:(\d+):)?(\d+)", text.strip())
    if found is None:
        return None
    days, *clock = found.groups(default="0")
    # Two fields are minutes and seconds: the pattern gives the first of them to the hours.
    hours, minutes, seconds = (0, int(clock[0]), int(clock[2])) if found[3] is None else map(int, clock)
    return ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds


def seconds_left(here: JobContext) -> int | None:
    """Return the seconds until the walltime of the job that a process is in, None if Slurm does not say."""
    job = here.identity
    answer = _call("squeue", "--noheader", f"--jobs={job}", "--format=%L") if job else None
    return None if answer is None or answer.returncode else parse_left(answer.stdout)


def requeue(job: Job) -> bool:
    """Put a job that runs or ended back into the queue; returns whether Slurm took it."""
    answer = _call("scontrol", "requeue", job.id)
    return answer is not None and answer.returncode == 0


def release(job: Job) -> bool:
    """Let a job that was requeued and held go; returns whether Slurm did."""
    answer = _call("scontrol", "release", job.id)
    return answer is not None and answer.returncode == 0


def cancel(*names: str, pending_only: bool = False) -> None:
    """Cancel the jobs of these names."""
    states = ["--state=PENDING"] if pending_only else []
    for name in dict.fromkeys(names):
        answer = _call("scancel", "--quiet", f"--user={os.getuid()}", f"--name={name}", *states)
        if answer is None or answer.returncode:
            why = answer.stderr.strip() if answer else f"no answer within {_SECONDS} s"
            raise QbsweepError(f"Slurm did not cancel the jobs named {name}: {why}; try again later")


def _call(*argv: str, text: str | None = None) -> subprocess.CompletedProcess[str] | None:
    """Run a Slurm command, outside of any job that we are in ourselves; None if it cannot run or does not end."""
    inherited = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_")
    environment = {k: v for k, v in os.environ.items() if k in _KEPT or not k.startswith(inherited)}
    for option in re.findall(r"^#SBATCH --([a-z]+)=", text or "", re.MULTILINE):
        environment.pop(f"SBATCH_{option.upper()}", None)  # sbatch would let it win over the script's own
    try:
        return subprocess.run(
            argv, input=text, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
