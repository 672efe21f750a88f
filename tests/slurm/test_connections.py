"""Many workers on one scheduler."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, Future

from qbsweep.runs.block import Report, Task
from qbsweep.runs.dask import DaskExecutor, Loss
from qbsweep.slurm.connection import create_credentials, listening_client, load_credentials

WORKERS = 100
BLOCKS = 2000

# Workers without threads of their own: all in one process, each with its own connection.
MANY_WORKERS = """
import asyncio, logging, sys
from pathlib import Path
from distributed import Worker
from qbsweep.slurm.connection import load_credentials

async def main():
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    options = dict(nthreads=1, security=load_credentials(Path(sys.argv[2])), memory_limit=0, host="127.0.0.1",
                   dashboard_address="127.0.0.1:0")
    workers = [Worker(sys.argv[1], name=str(number), **options) for number in range(int(sys.argv[3]))]
    await asyncio.gather(*workers)
    await asyncio.gather(*(worker.finished() for worker in workers))

asyncio.run(main())
"""

pytestmark = [pytest.mark.slow, pytest.mark.slurm]  # needs none, but belongs to these tests


class IdlePool:
    """Blocks that cost nothing, so that the scheduler is all there is to wait for."""

    most = 0

    def send(self, client: Client, task: Task) -> Future[Any]:
        return client.submit(Report, task.block, task.attempt, ok=1, pure=False)

    def judge(self, loss: Loss) -> Report:
        raise AssertionError(f"{loss} was lost")

    def watch(self, workers: int, waiting: bool) -> None:
        self.most = max(self.most, workers)


@pytest.mark.timeout(500)
def test_a_hundred_workers_on_one_scheduler(tmp_path: Path) -> None:
    create_credentials(tmp_path / "tls")
    pool = IdlePool()
    with listening_client("", load_credentials(tmp_path / "tls")) as (client, address):
        command = [sys.executable, "-c", MANY_WORKERS, address, str(tmp_path / "tls"), str(WORKERS)]
        workers = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            client.wait_for_workers(WORKERS, timeout=300)
            started, before = time.monotonic(), psutil.Process().memory_info().rss
            tasks = (Task("", "", block) for block in range(BLOCKS))
            blocks = sorted(report.block for report in DaskExecutor(client, pool)(tasks))
            seconds, grown = time.monotonic() - started, (psutil.Process().memory_info().rss - before) / 1e6
            assert workers.poll() is None
        finally:
            workers.kill()
            workers.wait()
    assert blocks == list(range(BLOCKS))
    assert pool.most == WORKERS
    assert grown < 60, "a scheduler that keeps what is finished grows without bound"
    print(f"{1e3 * seconds / BLOCKS:.1f} ms a block on {WORKERS} workers, {grown:.0f} MB grown")
