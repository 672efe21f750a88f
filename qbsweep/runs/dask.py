"""Run blocks on Dask: local workers, or any scheduler that is already there."""

import asyncio
import concurrent.futures
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import dask
import distributed.utils
from distributed import Client, Future, LocalCluster, as_completed
from distributed.scheduler import KilledWorker
from distributed.security import Security

from qbsweep.errors import QbsweepError
from qbsweep.runs import template
from qbsweep.runs.block import Report, Task, solve_block
from qbsweep.store.directory import RunDirectory

_WINDOW = 4  # blocks in flight per worker; the rest stays in the driver, so the scheduler stays small
_CONNECT_SECONDS = 30
_WORKERLESS_SECONDS = 60
_WATCH_SECONDS = 0.5
_SILENCE_SECONDS = 300  # a block of 100 s keeps its worker from answering for half a second at most, measured

CONFIG = {
    # A death counts at once: attempts are counted per block, by cause, in `loop.run_blocks`.
    "distributed.scheduler.allowed-failures": 0,
    # A worker that hangs keeps its connections; noticed after one to two times as long, its blocks go to others.
    "distributed.scheduler.worker-ttl": f"{_SILENCE_SECONDS}s",
    # Blocks wait in the scheduler, not on workers: a dying worker takes down only what it was running.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    # A block's results leave through the store; nothing profits from stealing or from the profiler.
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.preload": ["qbsweep.runs.dask_preload"],
}
Answer: TypeAlias = concurrent.futures.Future
RETURNED = "returned"
"""Cause of a report that is none: the block goes back to the queue, and its attempt does not count."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A block whose worker is gone: the worker's name, and when (`time.monotonic`) that was noticed."""

    task: Task
    worker: str
    noticed: float

    def report(self, error: str, cause: str) -> Report:
        """Return the report that its worker did not live to send."""
        return Report(self.task.block, self.task.attempt, error=error, cause=cause)


class Pool(Protocol):
    """What an executor has to know of the workers it runs on."""

    def send(self, client: Client, task: Task) -> Future[Any]:
        """Hand a block to the scheduler."""

    def judge(self, loss: Loss) -> Report | None:
        """Return what to make of a lost block, or None if that cannot be told yet."""

    def watch(self, workers: int, waiting: bool) -> None:
        """Look after the workers, about twice a second; told whether blocks wait for one. May raise to end the run."""


class GivenPool:
    """Workers that somebody else starts and stops; a block that was on one that died is to blame."""

    def __init__(self) -> None:
        self._seen = time.monotonic()

    def send(self, client: Client, task: Task) -> Future[Any]:
        """Hand a block to the scheduler."""
        return client.submit(solve_block, task, pure=False, retries=0)

    def judge(self, loss: Loss) -> Report:
        """Blame the block."""
        return loss.report(
            "the worker process died while it solved this block (killed, out of memory, crashed, or hung)", "worker"
        )

    def watch(self, workers: int, waiting: bool) -> None:
        """Wait for workers, but not for those that do not come back."""
        del waiting
        now = time.monotonic()
        self._seen = now if workers else self._seen
        if now - self._seen > _WORKERLESS_SECONDS:
            raise QbsweepError("all Dask workers are gone and none came back; start some and run again")


class _Queue:
    """Blocks that wait in the driver; those that came back go last, so that none holds up the others."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = iter(tasks)
        self._next: Task | None = None
        self._returned: deque[Task] = deque()

    def put_back(self, task: Task) -> None:
        self._returned.append(task)

    def peek(self) -> Task | None:
        if self._next is None:
            self._next = next(self._tasks, None)
        if self._next is None and self._returned:
            self._next = self._returned.popleft()
        return self._next

    def take(self) -> Task | None:
        task, self._next = self.peek(), None
        return task


class DaskExecutor:
    """Executor on the workers of a Dask scheduler."""

    def __init__(self, client: Client, pool: Pool | None = None) -> None:
        self._client = client
        self._pool = pool or GivenPool()
        self._workers, self._watched = 0, -math.inf

    @property
    def dashboard(self) -> str:
        """Address of the dashboard."""
        return str(self._client.dashboard_link or "")

    @property
    def n_workers(self) -> int:
        """Number of workers connected now."""
        return len(self._addresses())

    def __call__(self, tasks: Iterable[Task]) -> Iterator[Report]:
        """Run blocks with a bounded number in flight; yield their reports as they finish.

        A block that a worker hands back, or leaves behind through no fault of the block, is sent again.
        """
        queue = _Queue(tasks)
        flying: dict[Future[Any], Task] = {}
        losses: list[Loss] = []
        finished = as_completed(loop=self._client.loop)
        arriving: dict[Future[Any], Answer[list[Report]]] = {}
        try:
            while flying or losses or queue.peek():
                self._watch(queue, len(flying) + len(losses))
                self._fill(queue, flying, finished)
                landed = self._landed(finished, flying, arriving, losses)
                for task, report in [*landed, *self._judged(losses)]:
                    if report.cause == RETURNED:
                        queue.put_back(task)
                    else:
                        yield report
        finally:
            self._client.cancel(list(flying))  # an interrupted run leaves nothing behind on a shared scheduler
            for answer in arriving.values():
                answer.cancel()

    def _watch(self, queue: _Queue, in_flight: int) -> None:
        now = time.monotonic()
        if now - self._watched > _WATCH_SECONDS:
            self._watched = now
            self._workers = self.n_workers
            self._pool.watch(self._workers, queue.peek() is not None or in_flight > self._workers)

    def _fill(self, queue: _Queue, flying: dict[Future[Any], Task], finished: Any) -> None:
        """Send blocks; those that are tried again one per worker: if that dies, no other block is to blame."""
        while (task := queue.peek()) and len(flying) < self._workers * (_WINDOW if task.attempt == 1 else 1):
            queue.take()
            future = self._pool.send(self._client, task)
            flying[future] = task
            finished.add(future)

    def _landed(
        self,
        finished: Any,
        flying: dict[Future[Any], Task],
        arriving: dict[Future[Any], Answer[list[Report]]],
        losses: list[Loss],
    ) -> Iterator[tuple[Task, Report]]:
        """Wait a moment for finished blocks; yields those whose reports are here."""
        until = time.monotonic() + _WATCH_SECONDS
        while True:
            if finished.has_ready():
                arriving |= {future: self._ask(future) for future in finished.next_batch(block=False)}
            here = [future for future, answer in arriving.items() if answer.done()]
            if here or not flying or time.monotonic() > until:
                break
            time.sleep(0.002)
        for future in here:
            reports, task = arriving.pop(future).result(), flying.pop(future)
            error = future.exception() if future.status == "error" else None
            if isinstance(error, KilledWorker):
                losses.append(Loss(task, str(error.last_worker.name), time.monotonic()))
            elif reports:
                yield task, reports[0]
            else:
                text = f"{type(error).__name__}: {error}" if error else f"the task was {future.status}"
                yield task, Report(task.block, task.attempt, error=text, cause="error" if error else RETURNED)
            future.release()

    def _ask(self, future: Future[Any]) -> Answer[list[Report]]:
        """Ask for the report of a finished block, without waiting for it; the answer is empty if there is none.

        A worker that dies with a report takes the answer along until another one has solved the block again, and
        there may be none: whoever waited would not notice. What is asked for at once is one round trip all the same.
        """
        loop: Any = self._client.loop
        answer = self._client.gather([future], errors="skip", asynchronous=True)
        return asyncio.run_coroutine_threadsafe(answer, loop.asyncio_loop)

    def _judged(self, losses: list[Loss]) -> list[tuple[Task, Report]]:
        judged = [(loss, report) for loss in losses if (report := self._pool.judge(loss)) is not None]
        losses[:] = [loss for loss in losses if loss not in [known for known, _ in judged]]
        return [(loss.task, report) for loss, report in judged]

    def require_files(self, directory: Path) -> None:
        """Refuse workers that do not see the run directory, before they fail every block; those that hang do not count.

        Raises
        ------
        QbsweepError
            If one does not, or none answers.
        """
        data = str(RunDirectory(directory.resolve()).data)
        asked = {ask(self._client, [address], _sees, data): address for address in self._addresses()}
        concurrent.futures.wait(asked, timeout=_CONNECT_SECONDS)
        answers = {
            address: answer.result() for answer, address in asked.items() if answer.done() and not answer.exception()
        }
        sees = {address: answer[address] for address, answer in answers.items() if address in answer}
        for answer in asked:
            answer.cancel()
        if not sees:
            raise QbsweepError(f"no Dask worker answers within {_CONNECT_SECONDS} s; start some and run again")
        if blind := [address for address, does in sees.items() if not does]:
            raise QbsweepError(f"the Dask worker {blind[0]} does not see {directory}; it needs the same file system")

    def _addresses(self) -> list[str]:
        return list(self._client.ncores())  # the smallest of the answers that name all of them


def ask(client: Client, workers: list[str], function: Callable[..., Any], *arguments: Any) -> Answer[dict[str, Any]]:
    """Call a function in workers; the answer of each is there once all have answered, and never if one hangs."""
    loop: Any = client.loop
    call: Any = client.run(function, *arguments, workers=workers, on_error="ignore", asynchronous=True)
    return asyncio.run_coroutine_threadsafe(call, loop.asyncio_loop)


def _sees(path: str) -> bool:
    return Path(path).is_dir()


@contextlib.contextmanager
def local_executor(workers: int) -> Iterator[DaskExecutor]:
    """Start local worker processes, one thread each, behind TLS with credentials of this run only."""
    template.start()
    distributed.utils._forkserver_preload_set = True  # else it preloads pandas, and loads it here
    with dask.config.set({**CONFIG, "distributed.worker.multiprocessing-method": template.METHOD}):
        cluster = LocalCluster(
            n_workers=workers,
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
            "`--executor` must be 'auto', 'serial', 'local' or the address of one"
        ) from None
    with client:
        yield DaskExecutor(client)
