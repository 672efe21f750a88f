"""Another scheduler than Slurm, kept in memory: what a new one has to bring, and that it is enough."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError
from qbsweep.slurm import registry, resources
from qbsweep.slurm import supervisor as module
from qbsweep.slurm.files import JobFiles, Record
from qbsweep.slurm.interface import Demand, Job
from qbsweep.slurm.pool import JobPool

from ..command import Outcome

SWEEP = """\
name: test
parameters: {topology: cascaded, N: 2, kappa: 0.003, epsilon: 0.01}
sweep: {J: [0.1, 0.2], n_th: [0, 1]}
times: {linspace: [0, 10, 100], unit: 1/kappa}
"""


class Memory:
    """A scheduler that keeps its jobs in memory, and whose directives begin with #MEM."""

    TITLE = "Memory"

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.scripts: dict[str, str] = {}
        self.afters: list[str] = []
        self.answers = True

    def require(self) -> None:
        pass

    def max_jobs(self) -> int:
        return 3

    def check_directive(self, line: str) -> None:
        if line != "fast":
            raise ValueError(f"must be 'fast', but is '{line}'")

    def head(self, demand: Demand) -> list[str]:
        wanted = f"{demand.jobs} {demand.tasks} {demand.cpus} {demand.memory} {demand.minutes}"
        return [f"#MEM {line}" for line in (*demand.directives, demand.name, wanted)]

    def step(self, command: str, count: int, log: Path) -> str:
        return f"memrun {count} {command}"

    def requeue_command(self, is_array: bool, held: bool) -> str:
        return f"memagain{' --array' * is_array}{' --hold' * held}"

    def check(self, script: str, what: str) -> None:
        if "#MEM" not in script:
            raise QbsweepError(f"Memory refused {what}")

    def submit(self, script: str, what: str, after: str = "") -> str:
        name = next(word for line in script.splitlines() for word in line.split() if word.startswith("qb-"))
        identity = f"m{len(self.jobs)}"
        self.jobs.append(Job(identity, name, "PENDING", "", "", None))
        self.scripts[what] = script
        self.afters.append(after)
        return identity

    def queue(self, *names: str) -> list[Job] | None:
        return [job for job in self.jobs if job.name in names] if self.answers else None

    def requeue(self, job: Job) -> bool:
        self.set_state("PENDING", job.id)
        return True

    release = requeue

    def cancel(self, *names: str, pending_only: bool = False) -> None:
        self.set_state("CANCELLED", *(job.id for job in self.jobs if job.name in names))

    def seconds_left(self, here: JobContext) -> int | None:
        return 77

    def set_state(self, state: str, *ids: str) -> None:
        self.jobs = [replace(job, state=state) if job.id in ids else job for job in self.jobs]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """The scheduler, with its line in the registry."""
    memory = Memory()
    monkeypatch.setitem(registry.SCHEDULERS, "memory", memory)  # type: ignore[call-overload]
    monkeypatch.setenv("PATH", "/nowhere")  # whoever asks Slurm finds none
    return memory


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def submit(qbsweep: Callable[..., Outcome], tmp_path: Path, out: Path) -> Callable[..., Outcome]:
    """Submit a sweep of four blocks with a profile that names the scheduler and says this."""

    def submit(text: str = "") -> Outcome:
        (tmp_path / "sweep.yaml").write_text(SWEEP)
        (tmp_path / "site.yaml").write_text(f"scheduler: memory\n{text}")
        options = ("--block-seconds", "1e-6", "--profile", tmp_path / "site.yaml")
        return qbsweep("submit", tmp_path / "sweep.yaml", "--out", out, *options)

    return submit


def test_from_submit_to_cancel(
    memory: Memory, submit: Callable[..., Outcome], qbsweep: Callable[..., Outcome], out: Path
) -> None:
    outcome = submit("directives: [fast]\nworkers: 2\n")
    assert (outcome.code, outcome.err) == (0, "")
    assert "submitted: driver m0, workers m1 (2 processes" in outcome.out
    assert memory.afters == ["", "m0"], "workers wait for their driver"
    for what, script in memory.scripts.items():
        assert script.startswith("#!/bin/bash\n#MEM fast\n#MEM qb-test-"), what
        assert not {"SBATCH", "scontrol", "srun"} & set(script.replace("#", " ").split())
        subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=True, timeout=60)
    assert "\n        memagain ;;" in memory.scripts["the driver job"]
    assert "\n        memagain --array --hold ;;" in memory.scripts["the worker jobs"]

    again = submit("workers: 2\n")
    assert again.code == 2
    assert f"{out} is submitted already: job m0 is PENDING" in again.err

    memory.set_state("RUNNING", "m1")
    state = json.loads(qbsweep("status", out, "--json").out)
    assert (state["state"], state["slurm"]["answers"]) == ("queued", True)
    assert [(job["id"], job["role"], job["state"]) for job in state["slurm"]["jobs"]] == [
        ("m0", "driver", "PENDING"),
        ("m1", "worker", "RUNNING"),
    ]

    memory.answers = False
    assert json.loads(qbsweep("status", out, "--json").out)["slurm"]["answers"] is False
    assert qbsweep("cancel", out).err == "qbsweep: Memory does not answer; nothing was cancelled, try again later\n"
    memory.answers = True

    assert qbsweep("cancel", out).out == "cancelled: m0, m1\n"
    assert {job.state for job in memory.jobs} == {"CANCELLED"}
    assert json.loads(qbsweep("status", out, "--json").out)["state"] == "interrupted"


def test_all_in_one_job(memory: Memory, submit: Callable[..., Outcome]) -> None:
    assert submit("layout: allocation\nworkers: 2\n").code == 0
    assert "\nmemrun 2 " in memory.scripts["the driver job"]


def test_its_limits_and_its_directives(
    memory: Memory, submit: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_MANY", 2)
    assert "would be 4 jobs, but arrays of Memory have at most 3; put" in submit("workers: 4\n").err
    path = tmp_path / "site.yaml"
    for text in ("directives: [slow]\n", "driver: {directives: [slow]}\n"):
        owner = " of `driver`" if "driver" in text else ""
        assert submit(text).err == f"qbsweep: {path}:2: `directives`{owner} must be 'fast', but is 'slow'\n"


def test_a_scheduler_that_is_not_known(submit: Callable[..., Outcome], tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    assert submit().err == f"qbsweep: {path}:1: `scheduler` must be 'slurm', but is the text 'memory'\n"


@pytest.fixture
def record(memory: Memory, submit: Callable[..., Outcome], out: Path) -> Record:
    assert submit("workers: 2\n").code == 0
    record = JobFiles(out).record()
    assert record is not None
    assert record.scheduler == "memory"
    return record


@pytest.fixture
def supervisor(record: Record, out: Path, tmp_path: Path) -> Iterator[module.Supervisor]:
    handlers = {number: module.signal.getsignal(number) for number in (module.signal.SIGUSR1, module.signal.SIGTERM)}
    yield module.Supervisor(JobFiles(out), record, 1, tmp_path)
    for number, handler in handlers.items():
        module.signal.signal(number, handler)


def test_its_jobs_ask_it(memory: Memory, record: Record, supervisor: module.Supervisor) -> None:
    """How long they have, and whether their driver is queued."""
    assert 70 < supervisor._ends - module.time.time() <= 77
    hope = module._Hope(record)
    hope._asked -= 100
    assert hope.holds(1000)
    assert hope.is_queued
    memory.set_state("CANCELLED", "m0")
    hope._asked -= 100
    assert not hope.holds(1000)


def test_its_driver_calls_jobs_back(memory: Memory, record: Record, out: Path) -> None:
    pool = JobPool(JobFiles(out), record, SimpleNamespace(), np.ones(4))  # type: ignore[arg-type]
    memory.set_state("FAILED", "m1")
    pool._polled -= 100
    pool.watch(0, waiting=True)
    assert memory.jobs[1].state == "PENDING"
    memory.set_state("REQUEUE_HOLD", "m1")
    pool._polled -= 100
    pool.watch(0, waiting=True)
    assert memory.jobs[1].state == "PENDING"
