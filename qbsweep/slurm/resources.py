"""What is asked of the cluster for one sweep."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qbsweep.errors import QbsweepError
from qbsweep.runs.plan import Plan
from qbsweep.slurm.profile import Profile
from qbsweep.slurm.registry import SCHEDULERS

_BASE_MB = 700  # what a process holds before it solves anything, rounded up
_DRIVER_MB = 1500
_WORKERS = 8
_MANY = 100  # jobs in an array: so many may be anywhere, and nobody need be asked


@dataclass(frozen=True, slots=True)
class Resources:
    """What is asked of a scheduler for one sweep.

    Attributes
    ----------
    workers, jobs, cpus : int
        Worker processes in all, worker jobs, and worker processes in each.
    minutes, driver_minutes : int
        Walltimes.
    memory, driver_memory : int
        MB of a worker process, and of the driver.
    """

    workers: int
    jobs: int
    cpus: int
    minutes: int
    driver_minutes: int
    memory: int
    driver_memory: int


def resources(
    profile: Profile, plan: Plan, pending: Sequence[float], workers: int | None, minutes: int | None
) -> Resources:
    """Decide what to ask for: what the user says, else the profile, else what the plan predicts, with a margin.

    Parameters
    ----------
    pending : sequence of float
        Predicted seconds of every block that is to be solved.
    """
    count = min(workers or profile.workers or _WORKERS, max(len(pending), 1))
    cpus = 1 if profile.layout == "allocation" else min(profile.cpus, count)
    jobs = math.ceil(count / cpus)
    scheduler = SCHEDULERS[profile.scheduler]
    if profile.layout == "jobs" and jobs > _MANY and jobs > (most := scheduler.max_jobs()):
        raise QbsweepError(
            f"{count} workers with `cpus: {cpus}` would be {jobs} jobs, but arrays of {scheduler.TITLE} have at most "
            f"{most}; put more workers into one job with `cpus` in the profile"
        )
    driver_memory = profile.driver.memory
    if driver_memory is None:
        driver_memory = 0 if profile.memory == 0 else _DRIVER_MB + plan.blocks // 1000
    # Predictions are good to a factor of two or so; half an hour costs nothing in a queue.
    predicted = 2 * max(sum(pending) / count, 2 * max(pending, default=0.0)) / 60 + 10
    walltime = minutes or profile.time or int(min(max(30, 10 * math.ceil(predicted / 10)), 1440))
    measured = _BASE_MB + 2 * (plan.point_memory + 4 * plan.block_bytes) / 1e6
    return Resources(
        workers=jobs * cpus,
        jobs=jobs,
        cpus=cpus,
        minutes=walltime,
        driver_minutes=profile.driver.time or minutes or profile.time or min(4 * walltime, 1440),
        memory=100 * math.ceil(max(measured, 1000) / 100) if profile.memory is None else profile.memory,
        driver_memory=driver_memory,
    )
