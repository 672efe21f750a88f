"""Workers that die at the worst moments."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, Future, LocalCluster

from qbsweep.errors import QbsweepError
from qbsweep.runs.block import Report, Task
from qbsweep.runs.dask import CONFIG, DaskExecutor, Loss

# A report that kills its worker when it is sent for: the block is finished, and its report will never arrive.
DEADLY = """
import os
from pathlib import Path
from qbsweep.runs.block import Report

class Deadly:
    def __reduce__(self):
        os._exit(1)

def solve(times):
    tried = Path(times)
    count = int(tried.read_text()) if tried.exists() else 0
    tried.write_text(str(count + 1))
    return Deadly() if count == 0 else Report(0, 1, ok=1)
"""
WORKER = "import sys, asyncio, distributed as d\nasync def main(): await (await d.Worker(sys.argv[1])).finished()\n"


class Pool:
    """Solves each block by a deadly function, and starts as many workers as it may when none is left."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder, self.left = folder, workers
        self.started: list[subprocess.Popen[bytes]] = []
        self.since = time.monotonic()
        (folder / "deadly.py").write_text(DEADLY)

    def send(self, client: Client, task: Task) -> Future[Any]:
        expression = f"__import__('deadly').solve({str(self.folder / 'times')!r})"
        return client.submit(eval, expression, pure=False, retries=0)

    def judge(self, loss: Loss) -> Report:
        raise AssertionError(f"{loss} was lost")

    def watch(self, workers: int, waiting: bool) -> None:
        running = [process for process in self.started if process.poll() is None]
        if workers or running:
            self.since = time.monotonic()
        elif self.left:
            self.left -= 1
            command = [sys.executable, "-c", f"{WORKER}asyncio.run(main())", self.address]
            self.started.append(subprocess.Popen(command, cwd=self.folder))
        elif time.monotonic() - self.since > 1:
            raise QbsweepError("no worker is left")

    address = ""


@pytest.fixture
def client() -> Iterator[Client]:
    options = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}  # without one it takes port 8787
    with (
        dask.config.set(CONFIG | {"distributed.worker.preload": []}),
        LocalCluster(n_workers=0, **options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_with_a_report(client: Client, tmp_path: Path, workers: int) -> None:
    """The driver goes on looking after its workers: another one solves the block again, or the run ends."""
    pool = Pool(tmp_path, workers)
    pool.address = client.scheduler.address
    try:
        if workers == 1:
            with pytest.raises(QbsweepError, match="no worker is left"):
                list(DaskExecutor(client, pool)([Task("", "", 0)]))
        else:
            assert list(DaskExecutor(client, pool)([Task("", "", 0)])) == [Report(0, 1, ok=1)]
    finally:
        for process in pool.started:
            process.kill()
            process.wait()
    assert (tmp_path / "times").read_text() == str(workers)


def test_an_interrupt_reaches_no_worker() -> None:
    """From its first moment on, before Dask has set up anything in it; the terminal sends it to all processes."""
    code = """
import multiprocessing, os, signal
from qbsweep.runs import template

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job of a shell ignores
    template.start()
    worker = multiprocessing.get_context(template.METHOD).Process(target=signal.raise_signal, args=(signal.SIGINT,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0, worker.exitcode
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("the driver is interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the driver is interrupted\n", "")
