"""Runs that are really killed, starved and poisoned, and what is left of them."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import xarray as xr

from qbsweep.store.reading import open_dataset

FAULTS = Path(__file__).parent / "faults"
COUPLINGS = 120
POISON = 60  # index of the poisoned coupling
BLOCKS = 40

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Run:
    """A sweep in a directory of its own, run by the real command in a process of its own."""

    def __init__(self, folder: Path, out: Path | None = None, **fault: object) -> None:
        self.sweep = folder / "sweep.yaml"
        self.out = out or folder / "out"
        self.armed = folder / "armed"
        self.armed.touch()
        J = np.geomspace(1e-4, 1e-1, COUPLINGS)
        self.sweep.write_text(
            "name: faults\nparameters: {topology: cascaded, coupling: reciprocal, N: 3, kappa: 0.003, epsilon: 0.01}\n"
            f"sweep: {{J: {{geomspace: [1e-4, 1e-1, {COUPLINGS}]}}, n_th: [0, 1], r: [0, 0.5]}}\n"
            "times: {linspace: [0, 10, 41], unit: 1/kappa}\n"
        )
        self.solved = folder / "solved"
        self.hold = folder / "hold"
        self.allow(BLOCKS * 9)
        self.fault = {
            "armed": str(self.armed),
            "solved": str(self.solved),
            "hold": str(self.hold),
            "J": float(J[POISON]),
            "kind": "none",
            **fault,
        }

    def allow(self, count: int) -> None:
        """Let the workers solve so many blocks in all, and then wait: so no test has to be quicker than they are."""
        scratch = self.hold.with_name("hold.new")
        scratch.write_text(str(count))
        scratch.replace(self.hold)

    def start(self, *options: str, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(FAULTS), "FAULT": json.dumps(self.fault)}
        command = [sys.executable, "-m", "qbsweep", "run", str(self.sweep), "--out", str(self.out)]
        command += ["--workers", "2", "--block-seconds", "2.3e-4", *options]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)

    def finish(self, *options: str) -> tuple[int, str]:
        process = self.start(*options)
        output, _ = process.communicate(timeout=200)
        return process.returncode, output

    def wait_for_events(self, process: subprocess.Popen[str], count: int) -> None:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline and process.poll() is None:
            if len(self.events()) >= count:
                return
            time.sleep(0.02)
        pytest.fail(f"{count} events did not come: {process.communicate()[0] if process.poll() is not None else ''}")

    def events(self) -> list[dict]:
        file = self.out / "events.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def failures(self) -> list[dict]:
        return [json.loads(line) for line in (self.out / "failures.jsonl").read_text().splitlines()]

    def dataset(self) -> xr.Dataset:
        with open_dataset(self.out / "data.zarr") as ds:
            return ds.drop_vars("solve_seconds").load()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """The dataset of an undisturbed serial run."""
    run = Run(tmp_path_factory.mktemp("clean"))
    code, output = run.finish("--executor", "serial")
    assert code == 0, output
    return run.dataset()


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a run that are alive."""
    found = []
    for child in descendants(process):
        with contextlib.suppress(psutil.Error):
            # They are forked from a template, which is a child of the driver itself.
            if "multiprocessing.forkserver" in " ".join(child.cmdline()) and child.ppid() != process.pid:
                found.append(child)
    return found


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive, f"orphans: {[p.cmdline() for p in alive]}"


def assert_identical(ds: xr.Dataset, other: xr.Dataset) -> None:
    """Equal to the last bit, labels included; when and where it was computed may differ."""
    xr.testing.assert_identical(ds.drop_attrs(deep=False), other.drop_attrs(deep=False))


def assert_no_block_twice(events: list[dict]) -> None:
    blocks = [event["block"] for event in events]
    assert len(blocks) == len(set(blocks)) == BLOCKS


def test_dask_gives_the_serial_dataset(tmp_path: Path, clean: xr.Dataset) -> None:
    run = Run(tmp_path)
    code, output = run.finish()
    assert code == 0, output
    assert "dashboard http://127.0.0.1" in output
    assert_identical(run.dataset(), clean)
    assert_no_block_twice(run.events())


def test_driver_killed_again_and_again(tmp_path: Path, clean: xr.Dataset) -> None:
    run = Run(tmp_path, sleep=0.03)
    for count in (1, 15):
        run.allow(count + 5)
        process = run.start()
        run.wait_for_events(process, count)
        children = descendants(process)
        assert len(children) >= 2
        process.kill()
        process.communicate()
        assert_gone(children)
        assert (run.dataset()["status"] == 0).any()
    run.allow(BLOCKS * 9)
    code, output = run.finish()
    assert code == 0, output
    assert_identical(run.dataset(), clean)
    assert_no_block_twice(run.events())
    solved = run.solved.read_text().split()
    assert len(set(solved)) == BLOCKS
    # Beyond that only what each of the two workers was solving when one of the two drivers was killed.
    assert len(solved) <= BLOCKS + 2 * 2
    assert not list(run.out.rglob("*.partial"))


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_killed_at_random(tmp_path: Path, clean: xr.Dataset, seed: int) -> None:
    chance = random.Random(seed)
    run = Run(tmp_path, sleep=0.05)
    counts = sorted(chance.sample(range(1, BLOCKS - 5), 2))
    run.allow(counts[0] + 5)
    process = run.start()
    for count in counts:
        run.allow(count + 5)
        run.wait_for_events(process, count)
        chance.choice(workers_of(process)).send_signal(signal.SIGKILL)
        time.sleep(chance.random())
    run.allow(BLOCKS * 9)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert_identical(run.dataset(), clean)
    assert_no_block_twice(run.events())


def test_interrupted_run_says_so_and_resumes(tmp_path: Path, clean: xr.Dataset) -> None:
    run = Run(tmp_path, sleep=0.05)
    run.allow(8)
    process = run.start()
    run.wait_for_events(process, 3)
    children = descendants(process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 1
    assert "interrupted; the same command goes on where this one stopped" in output
    assert "Traceback" not in output
    assert_gone(children)
    assert not (run.out / "lock").exists()
    assert run.finish("--executor", "serial")[0] == 0
    assert_identical(run.dataset(), clean)
    assert_no_block_twice(run.events())


def test_a_run_that_is_interrupted_says_one_sentence(tmp_path: Path) -> None:
    """Also if workers have to be killed, since they are in the middle of a block: no warning of what they leave."""
    run = Run(tmp_path)
    run.allow(5)
    process = run.start("--executor", "local", stderr=subprocess.PIPE)
    run.wait_for_events(process, 3)  # they have written by now
    for one in (*workers_of(process), process):  # as the terminal does
        one.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=200)
    assert (process.returncode, errors) == (
        1,
        "qbsweep: interrupted; the same command goes on where this one stopped\n",
    )


def test_second_run_on_a_live_directory_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.allow(5)
    process = run.start()
    run.wait_for_events(process, 1)
    code, output = run.finish("--executor", "serial")
    assert code == 2
    assert f"is being run by process {process.pid}" in output
    process.kill()
    process.communicate()


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_point_that_raises_costs_only_itself(tmp_path: Path, clean: xr.Dataset, executor: str) -> None:
    run = Run(tmp_path, kind="raise")
    code, output = run.finish("--executor", executor)
    assert code == 3, output
    failed = run.dataset()["status"] == 2
    assert failed.sum() == 4
    assert failed.isel(J=POISON).all()
    assert {record["labels"]["J"] for record in run.failures()} == {clean["J"].values[POISON]}
    assert all("the poisoned coupling" in record["error"] for record in run.failures())
    others = np.arange(COUPLINGS) != POISON
    assert_identical(run.dataset().isel(J=others), clean.isel(J=others))

    run.armed.unlink()
    code, output = run.finish("--executor", "serial")
    assert code == 3, "without --retry-failed a failure stays"
    code, output = run.finish("--executor", "serial", "--retry-failed")
    assert code == 0, output
    assert_identical(run.dataset(), clean)


def test_block_that_kills_its_worker_is_given_up_alone(tmp_path: Path, clean: xr.Dataset) -> None:
    run = Run(tmp_path, kind="kill")
    code, output = run.finish()
    assert code == 3, output
    failed = (run.dataset()["status"] == 2).any(["n_th", "r"])
    block = failed.sum().item()
    assert block == COUPLINGS // BLOCKS
    assert failed[POISON]
    (record,) = run.failures()
    assert "the worker process died" in record["error"]
    assert record["attempt"] == 3
    assert record["points"] == 4 * block

    run.armed.unlink()
    code, output = run.finish("--retry-failed", "--executor", "serial")
    assert code == 0, output
    assert_identical(run.dataset(), clean)


def test_block_that_cannot_be_written(tmp_path: Path, clean: xr.Dataset) -> None:
    run = Run(tmp_path, kind="full")
    code, output = run.finish()
    assert code == 3, output
    (record,) = run.failures()
    assert "File too large" in record["error"]
    assert "File too large" in output
    assert (run.dataset()["status"] == 1).sum() == clean["status"].size - record["points"]

    run.armed.unlink()
    code, output = run.finish("--retry-failed", "--executor", "serial")
    assert code == 0, output
    assert_identical(run.dataset(), clean)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_full_disk(tmp_path: Path, clean: xr.Dataset) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        run = Run(tmp_path, out=disk / "out", sleep=0.05)
        run.allow(10)
        process = run.start()
        run.wait_for_events(process, 5)
        fill(disk / "ballast")
        run.allow(BLOCKS * 9)
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 1, output
        assert "No space left on device" in output
        assert "Traceback" not in output
        done = run.dataset()["status"] == 1
        assert 0 < done.sum() < done.size
        (disk / "ballast").unlink()
        code, output = run.finish("--executor", "serial")
        assert code == 0, output
        assert_identical(run.dataset(), clean)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
