"""Where this process runs: on which machine, and in which job of a cluster, if in any."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Variables:
    """Names of the environment variables in which a scheduler tells a job about itself."""

    job: str
    array: str
    index: str
    name: str
    restarts: str
    node: str


_KNOWN = (
    Variables(
        job="SLURM_JOB_ID",
        array="SLURM_ARRAY_JOB_ID",
        index="SLURM_ARRAY_TASK_ID",
        name="SLURM_JOB_NAME",
        restarts="SLURM_RESTART_COUNT",
        node="SLURMD_NODENAME",
    ),
)


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a process knows of the job that it is in.

    Attributes
    ----------
    job : str or None
        Its id, None outside of jobs.
    identity : str or None
        By which this very job is requeued and asked for: ``15_2`` if it is of an array, since the bare id of the one
        that starts last is that of the whole array.
    name : str or None
    restarts : int
        How often it was requeued.
    node : str
        Name of the machine; within a job the scheduler's, since several nodes of a test cluster share a host.
    """

    job: str | None
    identity: str | None
    name: str | None
    restarts: int
    node: str

    @classmethod
    def current(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read what the scheduler has told this process."""
        told = environment.get
        variables = next((known for known in _KNOWN if known.job in environment), _KNOWN[0])
        job, array = told(variables.job), told(variables.array)
        return cls(
            job=job,
            identity=f"{array}_{told(variables.index)}" if array else job,
            name=told(variables.name),
            restarts=int(told(variables.restarts) or 0),
            node=told(variables.node) or socket.gethostname(),
        )
