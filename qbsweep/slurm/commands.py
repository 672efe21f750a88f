"""Slurm's commands: submit, list, requeue and cancel jobs. Jobs are told apart by name, never by id alone."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError

_SECONDS = 30  # no Slurm command may hang longer: controllers restart, networks break
_KEPT = ("SLURM_CONF", "SBATCH_ACCOUNT", "SBATCH_PARTITION", "SBATCH_QOS", "SBATCH_RESERVATION")  # the user's defaults
_FORMAT = "%i|%j|%T|%r|%N|%L"
ACTIVE = {
    "PENDING",
    "RUNNING",
    "CONFIGURING",
    "COMPLETING",
    "SUSPENDED",
    "REQUEUED",
    "REQUEUE_HOLD",
    "RESIZING",
    "SIGNALING",
    "STAGE_OUT",
    "STOPPED",
    "REQUEUE_FED",
    "SPECIAL_EXIT",
}
"""States of jobs that have not ended."""


@dataclass(frozen=True, slots=True)
class Job:
    """A line of squeue.

    Attributes
    ----------
    id : str
        With its index if it is of an array, 17_3: the bare number of one of them is that of the whole array.
    name, state, reason, node : str
    seconds_left : int or None
        Until the walltime; None if there is none, or it has not begun.
    """

    id: str
    name: str
    state: str
    reason: str
    node: str
    seconds_left: int | None

    @property
    def active(self) -> bool:
        """It runs, or will, or is still being cleared away."""
        return self.state in ACTIVE

    @property
    def held(self) -> bool:
        """It waits until it is released."""
        reason = self.reason.replace(" ", "_")  # squeue has spaces or underscores there, by version and format
        return self.state == "REQUEUE_HOLD" or reason.startswith(("JobHeld", "job_requeued_in_held"))

    @property
    def alive(self) -> bool:
        """It runs, or will."""
        return self.active and self.state != "COMPLETING"


def require() -> None:
    """Refuse a machine without Slurm."""
    for command in ("sbatch", "squeue", "scancel", "scontrol"):
        if shutil.which(command) is None:
            raise QbsweepError(
                f"`{command}` is not on the PATH of this machine; submit from a login node of a Slurm cluster "
                "(`module load slurm`?), or use `qbsweep run`"
            )


def check(script: str, what: str) -> None:
    """Ask Slurm whether it would take a job; submits nothing."""
    _accepted(_call("sbatch", "--test-only", text=script), what)


def submit(script: str, what: str, *options: str) -> str:
    """Submit a job and return its id.

    Raises
    ------
    QbsweepError
        With Slurm's reason, if it refuses.
    """
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
