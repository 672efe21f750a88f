"""What `submit` promises, on a real Slurm: the same dataset, its own jobs only, credentials, walltimes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from distributed import Client
from distributed.security import Security

ROOT = Path(__file__).parents[2]
POISON = 60
Sweep = Any  # the class is in conftest.py, which tests cannot import

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


@pytest.mark.timeout(200)
def test_fig1_equals_the_local_serial_dataset(make_sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    sweep = make_sweep(sleep=0)
    sweep.sweep = ROOT / "workflows" / "fig1.yaml"
    printed = sweep.submit("--block-seconds", "2e-2")
    assert "submitted: driver" in printed
    assert f"qbsweep status {sweep.out}" in printed
    local = ["run", str(sweep.sweep), "--out", str(tmp_path / "local"), "--executor", "serial"]
    assert sweep.qbsweep(*local, "--block-seconds", "2e-2").returncode == 0
    sweep.wait_for_the_end()
    with xr.open_zarr(tmp_path / "local" / "data.zarr") as ds:
        expected = ds.drop_vars("solve_seconds").load()
    xr.testing.assert_identical(sweep.dataset().drop_attrs(deep=False), expected.drop_attrs(deep=False))
    jobs = sweep.jobs("-t", "all")
    assert {job["node"] for job in jobs if job["name"].endswith("-workers")} == {"node1", "node2", "node3"}

    again = sweep.qbsweep("submit", str(sweep.sweep), "--out", str(sweep.out))
    assert again.returncode == 0
    assert "all points are solved already; nothing was submitted" in again.stdout
    assert sweep.jobs("-t", "all") == jobs
    status = sweep.qbsweep("status", str(sweep.out), "--json")
    state = json.loads(status.stdout)
    assert (status.returncode, state["state"], state["pending"]) == (0, "complete", 0)
    assert {job["state"] for job in state["slurm"]["jobs"]} == {"COMPLETED"}
    assert "40/40" not in status.stdout


@pytest.mark.timeout(200)
def test_disorder_that_is_interrupted_goes_on_to_the_same_dataset(
    make_sweep: Callable[..., Sweep], tmp_path: Path
) -> None:
    """A worker dies, then all jobs are cancelled; what is submitted again draws what the first would have drawn."""
    sweep = make_sweep(sleep=0.3)
    sweep.sweep = ROOT / "workflows" / "disorder.yaml"
    local = ["run", str(sweep.sweep), "--out", str(tmp_path / "local"), "--executor", "serial"]
    assert sweep.qbsweep(*local).returncode == 0
    sweep.submit("--block-seconds", "2e-4")
    assert json.loads((sweep.out / "plan.json").read_text())["blocks"] > 30
    sweep.wait_for_events(3)
    sweep.processes("work")[0].kill()
    sweep.wait_for_events(8)
    assert sweep.qbsweep("cancel", str(sweep.out)).returncode == 0
    sweep.wait(lambda: not sweep.jobs() and not sweep.processes(), "the end of all jobs")
    assert (sweep.dataset()["status"] == 0).any()
    sweep.submit("--block-seconds", "2e-4")
    sweep.wait_for_the_end()
    with xr.open_zarr(tmp_path / "local" / "data.zarr") as ds:
        expected = ds.drop_vars("solve_seconds").load()
    xr.testing.assert_identical(sweep.dataset().drop_attrs(deep=False), expected.drop_attrs(deep=False))


@pytest.mark.timeout(200)
def test_one_allocation_survives_its_driver(make_sweep: Callable[..., Sweep], clean: xr.Dataset) -> None:
    sweep = make_sweep()
    sweep.profile.write_text("layout: allocation\nmemory: 2GB\n")
    sweep.submit()
    sweep.wait_for_events(5)
    assert len(sweep.jobs()) == 1
    (driver,) = sweep.processes("driver")
    driver.kill()
    sweep.wait_for_the_end()
    sweep.assert_complete(clean, faults=1)


@pytest.mark.timeout(200)
def test_several_workers_in_one_job(make_sweep: Callable[..., Sweep], clean: xr.Dataset) -> None:
    """One process that keeps dying on one block does not hurt its neighbours, nor the blocks it had before."""
    sweep = make_sweep(kind="kill", sleep=0.2)
    sweep.profile.write_text("cpus: 3\nmemory: 2GB\n")
    sweep.submit()
    sweep.wait_for_the_end()
    assert len(sweep.jobs("-t", "all")) == 2
    failed = (sweep.dataset()["status"] == 2).any(["n_th", "r"])
    assert failed.sum() == 3
    assert failed[POISON]
    (record,) = [json.loads(line) for line in (sweep.out / "failures.jsonl").read_text().splitlines()]
    assert "the worker process died while it solved this block (signal 9" in record["error"]
    assert record["attempt"] == 3
    status = sweep.qbsweep("status", str(sweep.out))
    assert status.returncode == 3

    sweep.armed.unlink()
    sweep.submit("--retry-failed")
    sweep.wait_for_the_end()
    sweep.assert_complete(clean, faults=1)


@pytest.mark.timeout(200)
def test_credentials_keep_others_out(make_sweep: Callable[..., Sweep]) -> None:
    sweep = make_sweep(sleep=3)
    sweep.submit()
    sweep.wait_for_events(2)
    address = json.loads((sweep.out / "slurm" / "scheduler.json").read_text())["address"]
    assert address.startswith("tls://")
    for url, security in ((address, Security.temporary()), (address.replace("tls", "tcp"), None)):
        with pytest.raises((OSError, TypeError)):
            Client(url, security=security, timeout=3, set_as_default=False)
    folder = sweep.out / "slurm" / "tls"
    assert folder.stat().st_mode & 0o777 == 0o700
    keys = list(folder.iterdir())
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    if os.geteuid() == 0:
        # Open the way to the folder itself: pytest's own directories are private already.
        public = Path(shutil.copytree(folder, f"{sweep.cluster.dir}-tls"))
        try:
            public.chmod(folder.stat().st_mode & 0o777)
            for key in keys:
                read = subprocess.run(["cat", public / key.name], user="nobody", capture_output=True, check=False)
                assert read.returncode
                assert b"Permission denied" in read.stderr
        finally:
            shutil.rmtree(public)
    secret = (folder / "tls_client_key.pem").read_text().splitlines()[1]
    for file in sweep.out.rglob("*"):
        assert file.parent == folder or not file.is_file() or secret not in file.read_text(errors="replace")
    for process in sweep.processes("driver") + sweep.processes("work"):
        listening = [c.laddr.ip for c in process.net_connections("tcp") if c.status == "LISTEN"]
        assert len(listening) == 2
        assert "127.0.0.1" in listening, "the dashboard is for this machine only"
        assert "0.0.0.0" not in listening
    cancelled = sweep.qbsweep("cancel", str(sweep.out))
    assert cancelled.returncode == 0
    sweep.wait(lambda: not sweep.jobs(), "the end of all jobs", 60)
    sweep.wait(lambda: not sweep.processes(), "the end of all processes", 30)
    status = sweep.qbsweep("status", str(sweep.out))
    assert "interrupted" in status.stdout


@pytest.mark.timeout(100)
def test_live_run_is_refused_and_a_rejected_one_leaves_nothing(make_sweep: Callable[..., Sweep]) -> None:
    sweep = make_sweep(sleep=3)
    for profile, reason in (("partition: nowhere\n", "partition"), ("constraint: nosuch\n", "feature")):
        sweep.profile.write_text(profile)
        options = ("--out", str(sweep.out), "--profile", str(sweep.profile))
        refused = sweep.qbsweep("submit", str(sweep.sweep), *options)
        assert refused.returncode == 2
        assert refused.stderr.startswith("qbsweep: Slurm refused the driver job: ")
        assert reason in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert not sweep.out.exists()
    sweep.profile.write_text("memory: 9GB\n")
    sweep.submit()
    second = sweep.qbsweep("submit", str(sweep.sweep), "--out", str(sweep.out))
    assert second.returncode == 2
    assert "is submitted already: job" in second.stderr
    sweep.wait_for_events(1)
    local = sweep.qbsweep("run", str(sweep.sweep), "--out", str(sweep.out))
    assert local.returncode == 2
    assert "is being run by process" in local.stderr
    assert sweep.qbsweep("cancel", str(sweep.out)).returncode == 0
    sweep.wait(lambda: not sweep.jobs(), "the end of all jobs", 60)


@pytest.mark.timeout(100)
def test_a_job_id_that_now_belongs_to_somebody_else(make_sweep: Callable[..., Sweep]) -> None:
    """A controller that lost its memory gives ids away again; ours must not lead us to that job."""
    sweep = make_sweep(sleep=3)
    sweep.submit()
    sweep.wait_for_events(1)
    assert sweep.qbsweep("cancel", str(sweep.out)).returncode == 0
    sweep.wait(lambda: not sweep.jobs(), "the end of all jobs", 60)
    other = sweep.cluster.run("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 100").stdout.strip()
    record = sweep.record | {"driver_id": other, "worker_id": other}
    del record["crc"]
    (sweep.out / "slurm" / "jobs.json").write_text(json.dumps(record))
    state = json.loads(sweep.qbsweep("status", str(sweep.out), "--json").stdout)
    assert other not in {job["id"] for job in state["slurm"]["jobs"]}
    assert state["state"] == "interrupted"
    assert "no job of this run" in sweep.qbsweep("cancel", str(sweep.out)).stdout
    assert sweep.cluster.run("squeue", "-h", "-j", other, "-o", "%T").stdout.strip() in ("PENDING", "RUNNING")
    sweep.cluster.run("scancel", other)


def test_python_is_the_one_that_submitted(make_sweep: Callable[..., Sweep]) -> None:
    dry = make_sweep().qbsweep("submit", str(ROOT / "workflows/fig1.yaml"), "--dry-run")
    assert dry.returncode == 0
    assert f"{sys.executable} -P -m qbsweep driver" in dry.stdout
