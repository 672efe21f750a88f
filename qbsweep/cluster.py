"""Run blocks on Dask: local workers, or any scheduler that is already there."""

import contextlib
import itertools
import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Future, LocalCluster, as_completed
from distributed.scheduler import KilledWorker
from distributed.security import Security

from qbsweep.blocks import Report, Task, solve_block
from qbsweep.errors import QbsweepError
from qbsweep.plan import available_cores

_WINDOW = 4  # blocks in flight per worker; the rest stays in the driver, so the scheduler stays small
_CONNECT_SECONDS = 30
_WORKERLESS_SECONDS = 60

_CONFIG = {
    # A death counts at once: attempts are counted per block, by cause, in `run.run_blocks`.
    "distributed.scheduler.allowed-failures": 0,
    # Blocks wait in the scheduler, not on workers: a dying worker takes down only what it was running.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    # A block's results leave through the store; nothing profits from stealing or from the profiler.
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.preload": ["qbsweep.worker"],
}


class DaskExecutor:
    """Executor on the workers of a Dask scheduler."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def dashboard(self) -> str:
        """Address of the dashboard."""
        return str(self._client.dashboard_link or "")

    @property
    def n_workers(self) -> int:
        """Number of workers connected now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def __call__(self, tasks: Iterable[Task]) -> Iterator[Report]:
        """Run blocks with a bounded number in flight; yield their reports as they finish.

        Blocks that are tried again run one per worker: if that dies, no other block is to blame.
        """
        waiting = iter(tasks)
        first = next(waiting, None)
        if first is None:
            return
        per_worker = _WINDOW if first.attempt == 1 else 1
        waiting = itertools.chain([first], waiting)
        flying: dict[Future[Any], Task] = {}
        finished = as_completed(loop=self._client.loop)
        try:
            yield from self._run(waiting, per_worker, flying, finished)
        finally:
            self._client.cancel(list(flying))  # an interrupted run leaves nothing behind on a shared scheduler

    def _run(
        self, waiting: Iterator[Task], per_worker: int, flying: dict[Future[Any], Task], finished: Any
    ) -> Iterator[Report]:
        while True:
            room = max(1, self.n_workers * per_worker) - len(flying)
            for task in itertools.islice(waiting, max(0, room)):
                future = self._client.submit(solve_block, task, pure=False, retries=0)
                flying[future] = task
                finished.add(future)
            if not flying:
                return
            self._wait_for(finished)
            future = next(finished)
            yield _report(future, flying.pop(future))
            future.release()

    def _wait_for(self, finished: Any) -> None:
        """Wait for the next block, but not for workers that do not come back."""
        alone = time.monotonic()
        checked = alone
        while not finished.has_ready():
            time.sleep(0.002)
            now = time.monotonic()
            if now - checked > 2:
                checked = now
                alone = now if self.n_workers else alone
                if now - alone > _WORKERLESS_SECONDS:
                    raise QbsweepError("all Dask workers are gone and none came back; start some and run again")

    def require_files(self, directory: Path) -> None:
        """Refuse workers that do not see the run directory, before they fail every block."""
        blind = [
            address
            for address, sees in self._client.run(_sees, str(directory.resolve() / "data.zarr")).items()
            if not sees
        ]
        if blind:
            raise QbsweepError(f"the Dask worker {blind[0]} does not see {directory}; it needs the same file system")


def _sees(path: str) -> bool:
    return Path(path).is_dir()


def _report(future: Future[Any], task: Task) -> Report:
    if future.status == "finished":
        report: Report = future.result()
        return report
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            text = "the worker process died while it solved this block (killed, out of memory, or crashed)"
            return Report(task.block, task.attempt, error=text, cause="worker")
        return Report(task.block, task.attempt, error=f"{type(error).__name__}: {error}", cause="error")
    return Report(task.block, task.attempt, error=f"the task was {future.status}", cause="worker")


@contextlib.contextmanager
def local_executor(workers: int | None) -> Iterator[DaskExecutor]:
    """Start local worker processes, one thread each, behind TLS with credentials of this run only."""
    with dask.config.set(_CONFIG):
        cluster = LocalCluster(
            n_workers=workers or available_cores(),
            threads_per_worker=1,
            processes=True,
            security=Security.temporary(),
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        with cluster, Client(cluster, set_as_default=False) as client:
            yield DaskExecutor(client)


@contextlib.contextmanager
def remote_executor(address: str) -> Iterator[DaskExecutor]:
    """Use the workers of a scheduler that is already running; they must see the run directory."""
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise QbsweepError(
            f"no Dask scheduler with workers answers at '{address}' ({error}); "
            "`--executor` must be 'serial', 'local' or the address of one"
        ) from None
    with client:
        yield DaskExecutor(client)
