"""Workers that are stopped for good: their connections stay, and nothing comes over them."""

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
import xarray as xr
from distributed import Client, Future, LocalCluster

from qbsweep.errors import QbsweepError
from qbsweep.runs import dask as executors
from qbsweep.runs import loop, opening
from qbsweep.runs.block import Task
from qbsweep.runs.dask import CONFIG, DaskExecutor, GivenPool, ask, local_executor
from qbsweep.runs.state import progress_of
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.records import read_lines
from qbsweep.sweeps.spec import load_spec

SWEEP = """
name: small
parameters: {topology: cascaded, N: 2, kappa: 0.003, epsilon: 0.01}
sweep: {J: {geomspace: [1e-3, 1e-2, 24]}}
"""
SHORT = {"distributed.scheduler.worker-ttl": "15s"}  # a machine with a lot to do is silent for seconds, too
PATIENCE = 120.0

# Who solves block 3 is stopped, the first time: before it begins, or when its report is sent for.
STOPPING = """
import os, signal
from pathlib import Path
from qbsweep.runs.block import solve_block

class Stopping:
    def __init__(self, report):
        self.report = report
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGSTOP)
        return self.report.__reduce__()

def solve(task, folder, when):
    stopped = Path(folder, "stopped")
    is_time = task.block == 3 and not stopped.exists()
    if is_time:
        stopped.write_text(str(os.getpid()))
    if is_time and when == "before":
        os.kill(os.getpid(), signal.SIGSTOP)
    report = solve_block(task)
    return Stopping(report) if is_time and when == "after" else report
"""
# As in jobs: without anybody who would start it again.
WORKER = """
import asyncio, distributed, logging, sys
async def main():
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    await (await distributed.Worker(sys.argv[1], nthreads=1, dashboard_address="127.0.0.1:0")).finished()
asyncio.run(main())
"""


class Pool(GivenPool):
    """Workers one of which is stopped."""

    def __init__(self, folder: Path, when: str) -> None:
        super().__init__()
        self._folder, self._when = folder, when
        (folder / "stopping.py").write_text(STOPPING)

    def send(self, client: Client, task: Task) -> Future[Any]:
        return client.submit(_solve, task, str(self._folder), self._when, pure=False, retries=0)


def _solve(task: Task, folder: str, when: str) -> Any:
    scope: dict[str, Any] = {}
    exec(Path(folder, "stopping.py").read_text(), scope)
    return scope["solve"](task, folder, when)


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SHORT.items():
        monkeypatch.setitem(CONFIG, name, value)


@pytest.fixture
def client() -> Iterator[Client]:
    options = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}  # without one it takes port 8787
    with (
        dask.config.set(CONFIG | SHORT | {"distributed.worker.preload": []}),
        LocalCluster(n_workers=0, **options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def workers(client: Client) -> Iterator[list[psutil.Popen]]:
    command = [sys.executable, "-c", WORKER, str(client.scheduler_info()["address"])]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    started = [psutil.Popen(command, env=environment, stderr=subprocess.DEVNULL) for _ in range(2)]
    client.wait_for_workers(2, timeout=PATIENCE)
    yield started
    for worker in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
        worker.wait()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[RunDirectory, Store]]:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    with opening.locked(tmp_path / "out") as directory:
        yield directory, opening.prepare(load_spec(tmp_path / "sweep.yaml"), directory, block_seconds=2e-5)


def values(directory: RunDirectory) -> xr.Dataset:
    with xr.open_zarr(directory.data) as ds:
        return ds.drop_vars("solve_seconds").load()


@pytest.mark.slow
@pytest.mark.usefixtures("_short")
def test_a_stopped_local_worker_is_given_up(opened: tuple[RunDirectory, Store], tmp_path: Path) -> None:
    directory, store = opened
    with local_executor(2) as execute:
        execute._pool = Pool(tmp_path, "before")
        assert loop.run_blocks(directory, store, execute).exit_code == 0
    assert not psutil.pid_exists(int((tmp_path / "stopped").read_text()))
    assert [line["cause"] for line in read_lines(directory.attempts_file) if line["block"] == 3] == ["worker"]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_wakes_up_later_does_no_harm(
    opened: tuple[RunDirectory, Store], tmp_path: Path, client: Client, workers: list[psutil.Popen], when: str
) -> None:
    directory, store = opened
    progress = loop.run_blocks(directory, store, DaskExecutor(client, Pool(tmp_path, when)))
    assert progress.exit_code == 0
    before = values(directory)
    stopped = next(worker for worker in workers if worker.pid == int((tmp_path / "stopped").read_text()))
    assert stopped.status() == psutil.STATUS_STOPPED
    stopped.send_signal(signal.SIGCONT)
    assert stopped.wait(PATIENCE) == 0  # it was told to go, and solves its block before it does
    xr.testing.assert_identical(values(directory), before)
    store = opening.prepare(store.spec, directory)
    store.fold_all()
    assert progress_of(store) == progress
    xr.testing.assert_identical(values(directory), before)


def test_nobody_waits_for_the_answer_of_a_stopped_worker(
    client: Client, workers: list[psutil.Popen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.zarr").mkdir()
    executor = DaskExecutor(client)
    executor.require_files(tmp_path)
    monkeypatch.setattr(concurrent.futures, "wait", partial(concurrent.futures.wait, return_when="FIRST_COMPLETED"))
    workers[0].suspend()
    executor.require_files(tmp_path)
    with pytest.raises(QbsweepError, match="does not see"):
        executor.require_files(tmp_path / "nowhere")
    assert not ask(client, list(client.scheduler_info(n_workers=-1)["workers"]), os.getpid).done()
    workers[1].suspend()
    monkeypatch.setattr(executors, "_CONNECT_SECONDS", 1)
    with pytest.raises(QbsweepError, match="no Dask worker answers within 1 s; start some and run again"):
        executor.require_files(tmp_path)


def test_what_a_run_may_wait_for_is_bounded() -> None:
    """Whatever the user's own configuration of Dask says."""
    assert CONFIG["distributed.scheduler.worker-ttl"] == f"{executors._SILENCE_SECONDS}s"
    assert executors._SILENCE_SECONDS <= 600
