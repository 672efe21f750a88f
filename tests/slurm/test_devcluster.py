"""slurm/devcluster starts, breaks and stops a real Slurm and touches nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from conftest import Cluster

DEVCLUSTER = Path(__file__).parents[2] / "slurm" / "devcluster"
DAEMONS = ("slurmctld", "slurmd", "munged")

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


def processes(folder: Path, *names: str) -> list[psutil.Process]:
    """Return the processes that have this directory in their command line or its slurm.conf in their environment.

    By name, if names are given. One that ends, or becomes another, while it is looked at is none of them.
    """
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.environ().get("SLURM_CONF", "")]
            if any(f"{folder}/" in word for word in words) and (not names or process.name() in names):
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds; False when it still does not after this time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def sleepers(cluster: Cluster) -> dict[str, psutil.Process]:
    """Return the processes `sleep` of the cluster's jobs by job id."""
    found = {}
    for process in processes(cluster.dir, "sleep"):
        with contextlib.suppress(psutil.NoSuchProcess):
            found[process.environ()["SLURM_JOB_ID"]] = process
    return found


def is_up(cluster: Cluster) -> bool:
    return subprocess.run([DEVCLUSTER, "status", cluster.dir], capture_output=True, timeout=30).returncode == 0


def state(cluster: Cluster, job: str) -> str:
    return cluster.run("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}").stdout.strip()


def submit(cluster: Cluster, script: str, *options: str) -> str:
    """Submit a job that sleeps and wait until it does; return its id."""
    argv = ("--parsable", "--output=/dev/null", "--ntasks=1", "--mem=100", *options, f"--wrap={script}")
    done = cluster.run("sbatch", *argv)
    assert done.returncode == 0, done.stderr
    job = done.stdout.strip()
    assert until(lambda: job in sleepers(cluster), 20)
    return job


def test_shellcheck_finds_nothing() -> None:
    if shutil.which("shellcheck") is None:
        assert not os.environ.get("CI"), "shellcheck is not installed"
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", DEVCLUSTER], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["start", "/tmp/" + "x" * 80], 1, "is longer than 70 characters"),
        (["start", "/tmp/a b"], 1, "has characters that slurm.conf cannot hold"),
        (["start", str(DEVCLUSTER.parent)], 1, "holds other files"),
        (["status", "/tmp/qbsweep-none"], 1, "no cluster in /tmp/qbsweep-none"),
        (["begin"], 2, "unknown command begin"),
        (["kill-node"], 2, "needs the name of a node"),
        (["stop", "here", "there"], 2, "too many arguments"),
    ],
)
@pytest.mark.usefixtures("cluster")  # which skips without Slurm
def test_a_mistake_is_one_sentence(arguments: list[str], code: int, sentence: str) -> None:
    done = subprocess.run([DEVCLUSTER, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("devcluster: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_all_ports_are_on_loopback(cluster: Cluster) -> None:
    ports = [
        connection.laddr
        for process in processes(cluster.dir, *DAEMONS)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(ports) == 4
    assert {port.ip for port in ports} == {"127.0.0.1"}


def test_a_second_start_changes_nothing(cluster: Cluster) -> None:
    before = {process.pid for process in processes(cluster.dir, *DAEMONS)}
    assert f"env {cluster.dir}" in cluster.devcluster("start", NODES=1)
    after = {process.pid for process in processes(cluster.dir)}
    assert len(before) == 5
    assert before <= after
    assert cluster.devcluster("env") == f"export SLURM_CONF={cluster.dir}/slurm.conf\n"
    assert "slurmd node3: up" in cluster.devcluster("status")


def test_stop_ends_its_own_processes_only(cluster: Cluster, start_cluster: Callable[..., Cluster]) -> None:
    second = start_cluster(NODES=1)
    ours = submit(cluster, "exec sleep 300")
    # This one ignores SIGTERM and has a child in a session of its own without the environment of a job.
    submit(second, "trap '' TERM; setsid env -i sleep 299 & sleep 298")

    def children() -> list[psutil.Process]:
        return [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ["sleep", "299"]]

    assert until(lambda: bool(children()), 20)
    (hidden,) = children()
    second.devcluster("stop")
    assert not processes(second.dir)
    assert not alive(hidden)
    second.devcluster("stop")
    assert alive(sleepers(cluster)[ours])
    assert is_up(cluster)
    cluster.run("scancel", ours)


def test_a_crashed_node_loses_its_job_and_comes_back(cluster: Cluster) -> None:
    job = submit(cluster, "exec sleep 300", "--nodelist=node2", "--requeue")
    other = submit(cluster, "exec sleep 300", "--nodelist=node3")
    crashed = sleepers(cluster)[job]
    cluster.kill_node("node2")
    assert not alive(crashed)
    assert alive(sleepers(cluster)[other])
    assert not is_up(cluster)
    assert until(lambda: state(cluster, job) == "PENDING", 60)
    assert "Restarts=1" in cluster.run("scontrol", "show", "job", job).stdout
    cluster.start_node("node2")
    assert until(lambda: is_up(cluster), 30)
    cluster.run("scancel", job, other)


def test_a_job_outlives_its_slurmd(cluster: Cluster) -> None:
    job = submit(cluster, "exec sleep 300", "--nodelist=node1")
    process = sleepers(cluster)[job]
    cluster.kill_slurmd("node1")
    assert not is_up(cluster)
    assert alive(process)
    cluster.start_node("node1")
    assert until(lambda: is_up(cluster), 30)
    assert alive(process)
    cluster.run("scancel", job)
    assert until(lambda: not alive(process), 30)
