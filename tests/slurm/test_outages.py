"""Sweeps on a real Slurm of which a part does not do its work: the files of a node, the queue, the memory of jobs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from qbsweep.runs.dask import CONFIG

WORKERS = 3
Sweep = Any  # the class is in conftest.py, which tests cannot import

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


def ended(sweep: Sweep, node: str, code: int) -> bool:
    """Whether a worker job ended on this node with this exit code, requeued since or not."""
    words = {f"Name={sweep.record['worker_name']}", f"NodeList={node}", f"ExitCode={code}:0"}
    return any(words <= set(line.split()) for line in (sweep.cluster.dir / "log/jobcomp.txt").read_text().splitlines())


def blamed(sweep: Sweep) -> set[str]:
    """Return the causes of the failed attempts on record."""
    record = sweep.out / "attempts.jsonl"
    return {json.loads(line)["cause"] for line in record.read_text().splitlines()} if record.exists() else set()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("folder", ["out", "out/data.zarr"], ids=["everything", "dataset"])
def test_a_node_that_cannot_reach_the_files(
    make_sweep: Callable[..., Sweep], clean: xr.Dataset, tmp_path: Path, folder: str
) -> None:
    """Its workers leave, and no block is the worse for having been there."""
    sweep = make_sweep(stale=str(tmp_path / folder), sleep=1.5, seconds_of={"qbsweep.slurm.supervisor._MAX_CRASHES": 2})
    sweep.submit()
    sweep.wait(lambda: len({event["host"] for event in sweep.events()}) == WORKERS, "a block from every node")
    (driver,) = sweep.running("driver")
    node = next(job["node"] for job in sweep.running("worker") if job["node"] != driver["node"])
    sweep.armed.write_text(node)
    sweep.wait(lambda: ended(sweep, node, 77), f"a worker job that gives up on {node}", 60)
    sweep.wait_for_the_end()
    sweep.assert_complete(clean, faults=1)
    # A worker whose host is gone before it has handed its block back can leave no note there: that attempt counts as
    # "vanished", of which six are allowed. Nothing is held against the block itself.
    assert blamed(sweep) <= ({"vanished"} if folder == "out" else set()), sweep.story()
    assert not (sweep.out / "failures.jsonl").exists(), sweep.story()


@pytest.mark.timeout(300)
def test_a_worker_that_is_stopped_for_good(make_sweep: Callable[..., Sweep], clean: xr.Dataset) -> None:
    """Its block goes to another one, and it does not outlive the sweep. (After 15 s here, in the place of 5 min.)"""
    short = {**CONFIG, "distributed.scheduler.worker-ttl": "15s"}
    sweep = make_sweep(seconds_of={"qbsweep.slurm.connection.CONFIG": short})
    sweep.submit()
    sweep.wait_for_events(5)
    stopped = sweep.processes("work")[0]
    stopped.suspend()
    sweep.wait(lambda: (sweep.out / "slurm" / "finished").exists(), "the end of the sweep", 150)
    assert stopped.is_running()
    sweep.wait_for_the_end()
    sweep.assert_complete(clean, faults=1)
    assert blamed(sweep) <= {"vanished"}, sweep.story()


def held(sweep: Sweep) -> list[bool]:
    """Whether each of the jobs waits, held; Slurm's words for it vary."""
    return [job["state"] == "PENDING" and "held" in job["reason"].lower() for job in sweep.jobs()]


@pytest.mark.timeout(200)
def test_workers_wait_held_for_a_driver_that_stays_queued(make_sweep: Callable[..., Sweep], clean: xr.Dataset) -> None:
    """They do not burn their allocation, and are back when it is. (After 12 s here, in the place of 5 min.)"""
    sweep = make_sweep(seconds_of={"qbsweep.slurm.supervisor._QUEUED_PATIENCE": 12})
    sweep.submit()
    sweep.wait_for_events(5)
    (driver,) = sweep.running("driver")
    sweep.cluster.run("scontrol", "requeuehold", driver["id"])
    sweep.wait(lambda: all(held(sweep)), "all jobs to wait, held", 60)
    assert len(held(sweep)) == 1 + WORKERS
    for number in range(WORKERS):
        log = (sweep.out / "slurm" / "logs" / f"worker-{number}.log").read_text()
        assert "the driver is queued: back into the queue, held until it calls" in log
    sweep.cluster.run("scontrol", "release", driver["id"])
    sweep.wait_for_the_end()
    sweep.assert_complete(clean, faults=1)


@pytest.mark.timeout(300)
def test_a_slurm_that_forgets_what_has_ended(
    start_cluster: Callable[..., Any], make_sweep: Callable[..., Sweep], clean: xr.Dataset
) -> None:
    """Nobody can be called back, but nobody is lost either: `submit` goes on."""
    forgetful = start_cluster(NODES=3, CPUS=8, MEM=16000, AGE=2)
    # Looked at so seldom that what ended is forgotten by then: else it would be called back, and that is another test.
    seconds_of = {"qbsweep.slurm.pool._STRANDED_SECONDS": 1, "qbsweep.slurm.pool._POLL_SECONDS": 50}
    sweep = make_sweep(forgetful, sleep=0.8, seconds_of=seconds_of)

    def known() -> list[dict[str, str]]:
        return sweep.jobs("-t", "all")

    def kill(workers: list[dict[str, str]]) -> None:
        """End these jobs as a lack of memory does: they are not requeued."""
        for job in workers:
            sweep.cluster.run("scancel", "--signal=KILL", "--full", job["id"])
        ids = {job["id"] for job in workers}
        sweep.wait(lambda: not ids & {job["id"] for job in known()}, "Slurm to forget them", 30)

    def state() -> dict[str, Any]:
        return json.loads(sweep.qbsweep("status", str(sweep.out), "--json").stdout)

    sweep.submit()
    sweep.wait_for_events(WORKERS)
    sweep.wait(lambda: len(sweep.running("worker")) == WORKERS, "all workers")
    kill(sweep.running("worker"))
    sweep.wait(lambda: not known(), "the driver to give up", 90)
    assert "no worker is left, and none can be called back" in (sweep.out / "slurm/logs/driver.log").read_text()
    found = state()
    assert (found["state"], found["slurm"]["answers"], found["slurm"]["jobs"]) == ("interrupted", True, [])
    cancelled = sweep.qbsweep("cancel", str(sweep.out))
    assert cancelled.returncode == 0
    assert "no job of this run" in cancelled.stdout

    done = len(sweep.events())
    sweep.submit()
    sweep.wait_for_events(done + WORKERS)
    kill(sweep.running("worker")[:1])
    sweep.wait_for_the_end()
    sweep.wait(lambda: not known(), "Slurm to forget all", 30)
    sweep.assert_complete(clean, faults=2)
    assert state()["state"] == "complete"
    again = sweep.qbsweep("submit", str(sweep.sweep), "--out", str(sweep.out))
    assert again.returncode == 0
    assert "nothing was submitted" in again.stdout
    assert not known()
