"""What qbsweep asks of the scheduler of a cluster. Nothing but one module a scheduler knows its commands."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qbsweep.context import JobContext

MAX_WORKERS = 10_000
"""Worker processes in all; more would be too many for one Dask scheduler."""
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
    """A job in the queue.

    Attributes
    ----------
    id : str
        With its index if it is of an array, 17_3: the bare number of one of them is that of the whole array.
    name, state, reason, node : str
        State and reason in Slurm's words; the module of another scheduler translates its own.
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


@dataclass(frozen=True, slots=True)
class Demand:
    """What a job asks for.

    Attributes
    ----------
    name : str
    log, folder : Path
        Its output, and where it works. The log of job 3 of an array is ``worker-3.log`` if this is ``worker.log``.
    minutes : int
        Walltime.
    warning : int
        Seconds before its end at which the script, not what it has started, is to get USR1.
    jobs : int
        In an array, 0 for a job of its own.
    tasks, cpus : int
        Processes that are started side by side, and cores of each.
    memory : int
        MB of each task; 0 leaves it to the site.
    partition, qos, account, constraint : str or None
    directives : tuple of str
        The user's own lines.
    """

    name: str
    log: Path
    folder: Path
    minutes: int
    warning: int
    jobs: int
    tasks: int
    cpus: int
    memory: int
    partition: str | None
    qos: str | None
    account: str | None
    constraint: str | None
    directives: tuple[str, ...]


class Scheduler(Protocol):
    """A scheduler: a module with these functions, or anything else that has them. `slurm.commands` is the first.

    Attributes
    ----------
    TITLE : str
        What people call it.
    """

    TITLE: str

    def require(self) -> None:
        """Refuse a machine from which no jobs can be submitted."""

    def max_jobs(self) -> int:
        """Return how many jobs an array may have."""

    def check_directive(self, line: str) -> None:
        """Raise a ValueError, which says what is wrong, if a user must not have this line in a profile."""

    def head(self, demand: Demand) -> list[str]:
        """Return the lines of a job script that say what the job asks for; what was printed before a requeue stays."""

    def step(self, command: str, count: int, log: Path) -> str:
        """Return the command by which a job script starts `count` tasks; the log of task 3 is ``worker-3.log``."""

    def requeue_command(self, is_array: bool, held: bool) -> str:
        """Return the command by which a job script puts its job back into the queue, where it may have to wait."""

    def check(self, script: str, what: str) -> None:
        """Raise a QbsweepError with the reason if a job would be refused; submits nothing."""

    def submit(self, script: str, what: str, after: str = "") -> str:
        """Submit a job, which begins `after` another has begun, and return its id; raises as `check` does."""

    def queue(self, *names: str) -> list[Job] | None:
        """Return the jobs of these names, those that ended lately included; None if the scheduler does not answer."""

    def requeue(self, job: Job) -> bool:
        """Put a job that runs or ended back into the queue; returns whether the scheduler took it."""

    def release(self, job: Job) -> bool:
        """Let a job that was requeued and held go; returns whether the scheduler did."""

    def cancel(self, *names: str, pending_only: bool = False) -> None:
        """Cancel the jobs of these names."""

    def seconds_left(self, here: JobContext) -> int | None:
        """Return the seconds until the walltime of the job that a process is in, None if the scheduler does not say."""
