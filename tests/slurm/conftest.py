"""A real Slurm cluster for the tests, started by slurm/devcluster, and sweeps that are submitted to it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import xarray as xr

DEVCLUSTER = Path(__file__).parents[2] / "slurm" / "devcluster"
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")


FAULTS = Path(__file__).parents[1] / "sweep" / "faults"
COUPLINGS = 120
POISON = 60  # index of the coupling that a fault may poison
BLOCKS = 40
WORKERS = 3


def clean_environment() -> dict[str, str]:
    """Return this environment without what a job of another cluster would have in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH_"))}


def need(*programs: str) -> None:
    """Skip without these programs; in CI, where all of them must be, fail."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; Slurm comes with 'slurm/devcluster install'")


@dataclass(frozen=True)
class Cluster:
    """A running cluster in its directory; `env` is the environment in which Slurm's commands find it."""

    dir: Path
    env: dict[str, str]

    def run(self, *argv: str | Path, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command that uses this cluster."""
        return subprocess.run(
            argv, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )

    def devcluster(self, action: str, *arguments: str, **knobs: int) -> str:
        """Run slurm/devcluster on this cluster, which must succeed, and return what it prints."""
        env = clean_environment() | {f"DEVCLUSTER_{name}": str(value) for name, value in knobs.items()}
        done = subprocess.run(
            [DEVCLUSTER, action, *arguments, self.dir],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, f"devcluster {action}: {done.stdout}{done.stderr}"
        return done.stdout

    def kill_node(self, name: str) -> None:
        """Crash a node with all that runs on it."""
        self.devcluster("kill-node", name)

    def kill_slurmd(self, name: str) -> None:
        """Kill a node's slurmd; its jobs keep running."""
        self.devcluster("kill-slurmd", name)

    def start_node(self, name: str) -> None:
        """Start a node's slurmd again."""
        self.devcluster("start-node", name)


@pytest.fixture(scope="session")
def start_cluster() -> Iterator[Callable[..., Cluster]]:
    """Start clusters with `NODES`, `CPUS`, `MEM` and `AGE` as asked; all end with the session."""
    need(*PROGRAMS)
    clusters: list[Cluster] = []

    def start(**knobs: int) -> Cluster:
        # The temporary directory of pytest is too long a path for Slurm.
        folder = Path(tempfile.mkdtemp(prefix="devcluster-"))
        cluster = Cluster(folder, clean_environment() | {"SLURM_CONF": str(folder / "slurm.conf")})
        clusters.append(cluster)
        cluster.devcluster("start", **knobs)
        return cluster

    yield start
    for cluster in clusters:
        cluster.devcluster("stop")
        shutil.rmtree(cluster.dir)


@pytest.fixture(scope="session")
def cluster(start_cluster: Callable[..., Cluster]) -> Cluster:
    """Return a cluster of node1, node2 and node3 with 8 CPUs and 16 GB each."""
    return start_cluster(NODES=3, CPUS=8, MEM=16000)


class Sweep:
    """A sweep that is submitted by the real command."""

    def __init__(self, cluster: Cluster | None, folder: Path, out: Path | None = None, **fault: object) -> None:
        self.cluster = cluster
        self.sweep = folder / "sweep.yaml"
        self.out = out or folder / "out"
        self.armed = folder / "armed"
        self.armed.touch()
        self.solved_file = folder / "solved"
        J = np.geomspace(1e-4, 1e-1, COUPLINGS)
        self.sweep.write_text(
            "name: faults\nparameters: {topology: cascaded, coupling: reciprocal, N: 3, kappa: 0.003, epsilon: 0.01}\n"
            f"sweep: {{J: {{geomspace: [1e-4, 1e-1, {COUPLINGS}]}}, n_th: [0, 1], r: [0, 0.5]}}\n"
            "times: {linspace: [0, 10, 41], unit: 1/kappa}\n"
        )
        self.fault = {
            "armed": str(self.armed),
            "solved": str(self.solved_file),
            "J": float(J[POISON]),
            "kind": "none",
            "sleep": 0.5,
            **fault,
        }
        self.faults: list[str] = []
        self.profile = folder / "profile.yaml"
        self.profile.write_text("memory: 9GB\n")  # so that a node has room for one worker

    def qbsweep(self, *arguments: str, timeout: float = 100) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "qbsweep", *arguments]
        variables = (f"PYTHONPATH={FAULTS}", f"FAULT={json.dumps(self.fault)}")
        return self.cluster.run("env", *variables, *command, timeout=timeout)

    def submit(self, *options: str) -> str:
        options = ("--out", str(self.out), "--profile", str(self.profile), "--block-seconds", "2.3e-4", *options)
        answer = self.qbsweep("submit", str(self.sweep), "--workers", str(WORKERS), *options)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    @property
    def record(self) -> dict:
        return json.loads((self.out / "slurm" / "jobs.json").read_text())

    def jobs(self, *options: str) -> list[dict[str, str]]:
        names = f"{self.record['driver_name']},{self.record['worker_name']}"
        answer = self.cluster.run("squeue", "-h", "-r", "-n", names, "-o", "%i|%j|%T|%r|%N", *options)
        keys = ("id", "name", "state", "reason", "node")
        return [dict(zip(keys, line.split("|"), strict=True)) for line in answer.stdout.splitlines()]

    def running(self, role: str) -> list[dict[str, str]]:
        name = self.record[f"{role}_name"]
        return [job for job in self.jobs() if job["name"] == name and job["state"] == "RUNNING"]

    def processes(self, *words: str) -> list[psutil.Process]:
        lines = {p.pid: p.info for p in psutil.process_iter(["cmdline", "ppid"]) if p.info["cmdline"]}
        found = []
        for pid, info in lines.items():
            line, parent = info["cmdline"], lines.get(info["ppid"])
            starting = parent and parent["cmdline"] == line  # a fork, on its way to become squeue, say
            if str(self.out) in line and all(word in line for word in words) and not starting:
                with contextlib.suppress(psutil.NoSuchProcess):
                    found.append(psutil.Process(pid))
        return found

    def events(self) -> list[dict]:
        file = self.out / "events.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def n_events(self) -> int:
        """The number of events, without reading what they say."""
        file = self.out / "events.jsonl"
        return file.read_bytes().count(b"\n") if file.exists() else 0

    def wait_for_events(self, count: int, seconds: float = 90) -> None:
        self.wait(lambda: self.n_events() >= count, f"{count} events", seconds)

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"waited in vain for {what}\n{self.story()}"
            time.sleep(0.2)

    def wait_for_the_end(self, seconds: float = 150) -> None:
        self.wait(lambda: (self.out / "slurm" / "finished").exists(), "the end of the sweep", seconds)
        self.wait(lambda: not self.jobs(), "the end of all jobs", 60)
        self.wait(lambda: not self.processes(), "the end of all processes", 30)

    def dataset(self) -> xr.Dataset:
        with xr.open_zarr(self.out / "data.zarr") as ds:
            return ds.drop_vars("solve_seconds").load()

    def story(self) -> str:
        """Everything one wants to know when a test has failed."""
        logs = "".join(f"==> {p.name}\n{p.read_text()[-3000:]}\n" for p in sorted((self.out / "slurm/logs").glob("*")))
        jobs = self.jobs("-t", "all")
        return f"faults: {self.faults}\nevents: {len(self.events())}\njobs: {jobs}\n{logs}"

    def assert_complete(self, clean: xr.Dataset, faults: int, events: bool = True) -> None:
        xr.testing.assert_identical(self.dataset().drop_attrs(deep=False), clean.drop_attrs(deep=False))
        reported = Counter(event["block"] for event in self.events())
        # What a full disk does not take is lost from the log, never from the dataset.
        assert set(reported) == set(range(BLOCKS)) or not events, self.story()
        solved = self.solved_file.read_text().split()
        assert len(set(solved)) == BLOCKS
        # Nothing is computed twice but what was in flight when something was taken away.
        assert len(solved) <= BLOCKS + WORKERS * faults, self.story()
        assert not list(self.out.rglob("*.partial"))


@pytest.fixture
def make_sweep(cluster: Cluster, tmp_path: Path) -> Callable[..., Sweep]:
    """Make sweeps with 40 blocks of half a second; the arguments say what goes wrong in them, and on which cluster."""
    return lambda cluster=cluster, **fault: Sweep(cluster, tmp_path, **fault)


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """The dataset of an undisturbed serial run."""
    sweep = Sweep(None, tmp_path_factory.mktemp("clean"))
    command = [sys.executable, "-m", "qbsweep", "run", str(sweep.sweep), "--out", str(sweep.out)]
    subprocess.run([*command, "--executor", "serial", "--block-seconds", "2.3e-4"], check=True, capture_output=True)
    return sweep.dataset()
