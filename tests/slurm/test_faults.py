"""Sweeps on a real Slurm whose jobs, processes, nodes and disk are taken away while they run."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import xarray as xr

SEEDS = int(os.environ.get("QBSWEEP_FAULT_SEEDS", "5"))
FIRST_SEED = int(os.environ.get("QBSWEEP_FIRST_SEED", "1"))
Sweep = Any  # the class is in conftest.py, which tests cannot import

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


def cancel_worker(sweep: Sweep, chance: random.Random) -> None:
    if jobs := sweep.running("worker"):
        sweep.cluster.run("scancel", chance.choice(jobs)["id"])


def cancel_driver(sweep: Sweep, chance: random.Random) -> None:
    """The user's stop: everybody leaves within a minute, and `submit` finishes the sweep."""
    if not (jobs := sweep.running("driver")):
        return
    sweep.cluster.run("scancel", jobs[0]["id"])
    sweep.wait(lambda: not sweep.processes("driver"), "the driver to leave", 60)
    sweep.wait(lambda: not sweep.jobs(), "the workers to leave", 60)
    if not (sweep.out / "slurm" / "finished").exists():
        sweep.submit()


def kill(sweep: Sweep, chance: random.Random, *words: str) -> None:
    if processes := sweep.processes(*words):
        with contextlib.suppress(psutil.NoSuchProcess):
            chance.choice(processes).send_signal(signal.SIGKILL)


def kill_worker_process(sweep: Sweep, chance: random.Random) -> None:
    kill(sweep, chance, "work")


def kill_supervisor(sweep: Sweep, chance: random.Random) -> None:
    kill(sweep, chance, "qbsweep.slurm.supervisor")


def kill_driver_process(sweep: Sweep, chance: random.Random) -> None:
    kill(sweep, chance, "driver")


def kill_node(sweep: Sweep, chance: random.Random) -> None:
    """A node with its jobs dies, and is back after a while."""
    node = chance.choice(["node1", "node2", "node3"])
    sweep.cluster.kill_node(node)
    time.sleep(2)
    sweep.cluster.start_node(node)


def kill_slurmd(sweep: Sweep, chance: random.Random) -> None:
    """Slurm loses sight of a node whose jobs go on: soon there are two copies of each."""
    node = chance.choice(["node1", "node2", "node3"])
    sweep.cluster.kill_slurmd(node)
    time.sleep(12)
    sweep.cluster.start_node(node)


def requeue_worker(sweep: Sweep, chance: random.Random) -> None:
    if jobs := sweep.running("worker"):
        sweep.cluster.run("scontrol", "requeue", chance.choice(jobs)["id"])


def requeue_driver(sweep: Sweep, chance: random.Random) -> None:
    if jobs := sweep.running("driver"):
        sweep.cluster.run("scontrol", "requeue", jobs[0]["id"])


def warn_worker(sweep: Sweep, chance: random.Random) -> None:
    """What Slurm does shortly before the walltime."""
    if jobs := sweep.running("worker"):
        sweep.cluster.run("scancel", "--signal=USR1", "--batch", chance.choice(jobs)["id"])


def warn_driver(sweep: Sweep, chance: random.Random) -> None:
    if jobs := sweep.running("driver"):
        sweep.cluster.run("scancel", "--signal=USR1", "--batch", jobs[0]["id"])


def preempt(sweep: Sweep, chance: random.Random) -> None:
    """A job of a higher partition takes a whole node."""
    node = chance.choice(["node1", "node2", "node3"])
    options = ("--partition=urgent", "--exclusive", f"--nodelist={node}", "--output=/dev/null")
    sweep.cluster.run("sbatch", *options, "--wrap=sleep 2")


def kill_worker_job(sweep: Sweep, chance: random.Random) -> None:
    """What the memory limit of a job does: everything in it is gone at once, and nobody requeues it."""
    if jobs := sweep.running("worker"):
        sweep.cluster.run("scancel", "--signal=KILL", "--full", chance.choice(jobs)["id"])


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


ALL = [
    cancel_worker,
    cancel_driver,
    kill_worker_process,
    kill_supervisor,
    kill_worker_job,
    kill_driver_process,
    kill_node,
    kill_slurmd,
    requeue_worker,
    requeue_driver,
    warn_worker,
    warn_driver,
    preempt,
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.__name__)
def test_one_fault(make_sweep: Callable[..., Sweep], clean: xr.Dataset, fault: Callable[..., None]) -> None:
    sweep = make_sweep()
    sweep.submit()
    sweep.wait_for_events(5)
    fault(sweep, random.Random(1))
    sweep.wait_for_the_end()
    sweep.assert_complete(clean, faults=1)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_faults_at_random(make_sweep: Callable[..., Sweep], clean: xr.Dataset, seed: int) -> None:
    chance = random.Random(seed)
    sweep = make_sweep()
    sweep.submit()
    faults = chance.sample(ALL, 3)
    for number, fault in enumerate(faults):
        sweep.wait_for_events(chance.randrange(1 + 10 * number, 10 + 10 * number), 150)
        sweep.faults.append(f"{fault.__name__} at {len(sweep.events())} events")
        fault(sweep, chance)
    sweep.wait_for_the_end()
    sweep.assert_complete(clean, faults=len(faults))


@pytest.mark.timeout(300)
def test_full_disk_for_a_while(make_sweep: Callable[..., Sweep], clean: xr.Dataset, tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        sweep = make_sweep(out=disk / "out")
        sweep.submit()
        sweep.wait_for_events(5)
        with (disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        time.sleep(8)
        (disk / "ballast").unlink()
        sweep.wait_for_the_end()
        sweep.assert_complete(clean, faults=20, events=False)
