"""Workers in cluster jobs: blamed on evidence only, and called back while there is work for them."""

import time
from collections import Counter, deque
from typing import Any

from distributed import Client, Future

from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.runs.block import Report, Task
from qbsweep.runs.dask import RETURNED, Loss, ask
from qbsweep.slurm.files import JobFiles, Note, Record
from qbsweep.slurm.interface import Job
from qbsweep.slurm.registry import SCHEDULERS
from qbsweep.slurm.worker import dismiss, solve_within

_POLL_SECONDS = 15.0  # between looks at the queue
_NOTE_SECONDS = 5.0  # a worker's supervisor writes its note right after the worker's death
_MAX_REVIVALS = 8  # of a worker job, while no block at all is finished: more than a block may take jobs down
_STRANDED_SECONDS = 120.0  # without a worker, and without a job that could become one
_SILENCE_SECONDS = 900.0  # the same if the scheduler does not answer
_MARGIN = 1.5  # predicted times are multiplied by it


class StrandedError(BaseException):
    """No worker of this allocation is left."""


class JobPool:
    """Workers in jobs: they come and go, and those that go are called back while there is work for them.

    Parameters
    ----------
    files : JobFiles
    record : Record
    client : Client
    costs : ndarray
        Modelled seconds of every block.
    """

    def __init__(self, files: JobFiles, record: Record, client: Client, costs: FloatArray) -> None:
        self._files, self._record, self._client, self._costs = files, record, client, costs
        self._scheduler = SCHEDULERS[record.scheduler]
        self._recent: deque[tuple[float, float]] = deque(maxlen=50)
        self._notes: dict[str, Note] = {}
        self._revived: Counter[str] = Counter()
        self._polled = self._peopled = time.monotonic()
        self._idle: set[str] = set()

    def learn(self, report: Report) -> None:
        """Note how long a block took, against its prediction."""
        if not report.error:
            self._recent.append((report.seconds, float(self._costs[report.block])))
            self._revived.clear()

    def send(self, client: Client, task: Task) -> Future[Any]:
        """Hand a block to the scheduler, with the seconds it should take at most."""
        return client.submit(solve_within, task, self._predict(task.block), pure=False, retries=0)

    def _predict(self, block: int) -> float:
        modelled = sum(cost for _, cost in self._recent)
        ratio = sum(seconds for seconds, _ in self._recent) / modelled if modelled else 1.0
        return float(self._costs[block]) * ratio * _MARGIN

    def judge(self, loss: Loss) -> Report | None:
        """Blame a block only on evidence: its worker's note says that it was on this block, and why it ended."""
        if loss.worker not in self._notes and (note := self._files.take_note(loss.worker)):
            self._notes[loss.worker] = note
        said = self._notes.get(loss.worker)
        if said is None and time.monotonic() - loss.noticed < _NOTE_SECONDS:
            return None
        if said is None:
            return loss.report(
                "the whole job that solved this block vanished (out of memory? its node?) or hung", "vanished"
            )
        if cause := said.cause(loss.task.block):
            return loss.report(said.text, cause)
        return loss.report("its worker left", RETURNED)

    def watch(self, workers: int, waiting: bool) -> None:
        """Call back worker jobs that ended while blocks wait; send away workers that have nothing left to do."""
        now = time.monotonic()
        self._peopled = now if workers else self._peopled
        if now - self._polled < _POLL_SECONDS:
            return
        self._polled = now
        if not waiting:
            self._dismiss_idle()
        elif self._record.layout == "jobs":
            jobs = self._scheduler.queue(self._record.worker_name)
            patience = _SILENCE_SECONDS if jobs is None else _STRANDED_SECONDS
            if not self._revive(jobs or []) and now - self._peopled > patience:
                why = f"and {self._scheduler.TITLE} does not answer" if jobs is None else "and none can be called back"
                raise QbsweepError(f"no worker is left, {why}; `qbsweep logs` may say more, `qbsweep submit` goes on")
        elif now - self._peopled > _STRANDED_SECONDS:
            raise StrandedError  # the workers' job step is gone: begin again with the whole job

    def _revive(self, jobs: list[Job]) -> bool:
        """Requeue what ended, what was cancelled only if nothing else is left; returns whether any job runs or will."""
        alive = [job for job in jobs if job.active]
        ended = [job for job in jobs if not job.active]
        uncancelled = [job for job in ended if job.state != "CANCELLED"]
        revived = False
        for job in alive:
            if job.held:  # since a time when the driver was queued
                self._scheduler.release(job)
        for job in uncancelled if alive or uncancelled else ended:
            if self._revived[job.id] < _MAX_REVIVALS:
                self._revived[job.id] += 1
                done = self._scheduler.requeue(job)
                revived |= done
                print(f"worker job {job.id} ended as {job.state}: {'' if done else 'not '}requeued", flush=True)
        return bool(alive) or revived

    def _dismiss_idle(self) -> None:
        """Send away who had nothing to do twice in a row; a last long block needs no company."""
        idle = {address for address, tasks in self._client.processing().items() if not tasks}
        if gone := sorted(idle & self._idle):
            print(f"{len(gone)} idle workers are dismissed", flush=True)
            ask(self._client, gone, dismiss)  # one that hangs may not even answer this: nobody waits for it
        self._idle = idle
