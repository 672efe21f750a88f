"""The `slurm` folder of a run directory: what submit, driver and worker jobs tell each other through files.

Light on purpose: the supervisor of every worker job imports it, and it should start at once.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal

from qbsweep.context import JobContext
from qbsweep.errors import QbsweepError
from qbsweep.slurm.registry import SCHEDULERS, SLURM
from qbsweep.store.directory import RunDirectory
from qbsweep.store.disk import own_folder, remove, replace_file, stage, sync_folder, touch
from qbsweep.store.records import NUMBER, has_types, parsed, sealed

AGAIN = 75
"""Exit code of a driver or worker whose time is up while there is work left: its job is to be requeued."""
DISMISSED = 76
"""Exit code of a worker that the driver has no more blocks for."""
BROKEN = 77
"""Exit code of a worker that could not read or write, or whose supervisor could not keep workers alive."""
HOLD = 78
"""Exit code of a worker job whose driver is queued: it is to wait, held, in the queue as well."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was submitted: `jobs.json`.

    Attributes
    ----------
    token : str
        8 hex digits, new with every submission. Job names contain it, so a job is never taken for another one, also
        when a controller that lost its memory gives a job id away again.
    driver_name, worker_name : str
        Names of the driver job and of the array of worker jobs; the same in one allocation.
    driver_id, worker_id : str
        Their ids, for people; empty until submitted.
    layout : {'jobs', 'allocation'}
    seconds : int
        Walltime of a worker job.
    memory : int
        MB of a worker process.
    interface : str
        Network interface to listen on; may be empty.
    submitted : float
        Seconds since the epoch.
    scheduler : str
        Who has the jobs.
    safe : bool
        Whether results have to be on the disk before anything says that they are there.
    """

    token: str
    driver_name: str
    worker_name: str
    driver_id: str
    worker_id: str
    layout: Literal["jobs", "allocation"]
    workers: int
    seconds: int
    memory: int
    interface: str
    submitted: float
    scheduler: str = SLURM
    safe: bool = True

    def owns(self, here: JobContext) -> bool:
        """Whether the job that a process is in, if in any, belongs to this submission and no earlier one."""
        return here.name in (None, self.driver_name, self.worker_name)


_OF_A_RECORD: dict[str, Any] = {
    **dict.fromkeys(("token", "driver_name", "worker_name", "driver_id", "worker_id", "layout", "interface"), str),
    **dict.fromkeys(("workers", "seconds", "memory"), int),
    "submitted": NUMBER,
}
_OF_A_NOTE: dict[str, Any] = {"why": str, "block": (int, NoneType), "text": str}


def _is_sound(record: Record) -> bool:
    return has_types(asdict(record), _OF_A_RECORD) and record.scheduler in tuple(SCHEDULERS)


@dataclass(frozen=True, slots=True)
class Note:
    """Why a worker process ended: 'killed', 'walltime' or 'left', and on which block it was, if on any."""

    why: Literal["killed", "walltime", "left"]
    block: int | None
    text: str

    def cause(self, block: int | None) -> str | None:
        """Return the cause of a failed attempt at this block, None if the block is not to blame."""
        blamed = {"killed": "worker", "walltime": "walltime"}
        return blamed.get(self.why) if self.block is not None and self.block == block else None


@dataclass(frozen=True, slots=True)
class JobFiles:
    """Paths in the `slurm` folder of a run directory."""

    run: Path

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return RunDirectory(self.run).slurm

    @property
    def logs(self) -> Path:
        """Output of the jobs."""
        return self.folder / "logs"

    def log(self, role: str) -> Path:
        """Output of the driver job, and of the first of several worker jobs without its number."""
        return self.logs / f"{role}.log"

    @property
    def credentials(self) -> Path:
        """Key and certificate of this submission, readable by its user only."""
        return self.folder / "tls"

    @property
    def starts(self) -> Path:
        """One line per start and clean stop of a driver."""
        return self.folder / "starts.jsonl"

    @property
    def finished(self) -> Path:
        """Exists when no worker is needed any more."""
        return self.folder / "finished"

    def finish(self) -> None:
        """Say that no worker is needed any more."""
        touch(self.finished)

    @property
    def _scheduler(self) -> Path:
        return self.folder / "scheduler.json"

    def start_anew(self) -> None:
        """Make the folder ready for a submission; scripts and logs of earlier ones stay."""
        for name in ("notes", "tls"):
            remove(self.folder / name)
        for path in (self.finished, self.starts, self._scheduler):
            path.unlink(missing_ok=True)
        for path in (self.folder, self.logs, self._notes):
            own_folder(path)

    def record(self) -> Record | None:
        """Return what was submitted last, None if nothing was.

        Raises
        ------
        QbsweepError
            If that cannot be read: its jobs may be alive.
        """
        path = self.folder / "jobs.json"
        try:
            record = Record(**(parsed(path.read_bytes()) or {}))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise QbsweepError(f"{path} cannot be read: {error.strerror}") from None
        except TypeError:
            record = None
        if record is None or not _is_sound(record):
            raise QbsweepError(
                f"{path} is damaged or from another version; see with `squeue --me` whether its jobs are alive, "
                "then remove it"
            )
        return record

    def write_record(self, record: Record) -> None:
        """Write down what is submitted: on the disk, for without it nobody finds the jobs any more."""
        replace_file(self.folder / "jobs.json", sealed(asdict(record), indent=1).encode(), safe=True)
        sync_folder(self.run)

    def remove_record(self) -> None:
        """Forget a submission that was refused."""
        (self.folder / "jobs.json").unlink(missing_ok=True)

    def scheduler(self) -> tuple[str, str] | None:
        """Return address and id of the driver's scheduler, None if no driver runs."""
        try:
            content = json.loads(self._scheduler.read_text(encoding="utf-8"))
            return str(content["address"]), str(content["id"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def write_scheduler(self, address: str, identity: str) -> None:
        """Tell workers where the scheduler is."""
        _write(self._scheduler, {"address": address, "id": identity})

    def remove_scheduler(self, identity: str) -> None:
        """Tell workers that the scheduler is gone; one that has taken over stays."""
        known = self.scheduler()
        if known and known[1] == identity:
            self._scheduler.unlink(missing_ok=True)

    def take_note(self, worker: str) -> Note | None:
        """Return why a worker process ended, None if it did not say, and remove what it said."""
        path = self._note(worker)
        try:
            note = Note(**json.loads(path.read_text(encoding="utf-8")))
            path.unlink()
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return note if has_types(asdict(note), _OF_A_NOTE) else None

    def take_notes(self) -> list[Note]:
        """Return, and remove, the notes of all workers."""
        notes = [self.take_note(path.stem) for path in sorted(self._notes.glob("*.json"))]
        return [note for note in notes if note is not None]

    def write_note(self, worker: str, note: Note) -> None:
        """Say why a worker process ends; best effort, for the disk may be full."""
        with contextlib.suppress(OSError):
            _write(self._note(worker), asdict(note))

    def _note(self, worker: str) -> Path:
        return self._notes / f"{worker}.json"

    @property
    def _notes(self) -> Path:
        return self.folder / "notes"

    def trouble(self) -> str:
        """Say why this node cannot read the dataset, or cannot write here; empty if it can."""
        probe = self._notes / f"probe.{JobContext.current().node}"
        try:
            (RunDirectory(self.run).data / "zarr.json").read_bytes()
            stage(probe, [], safe=False).unlink()
        except OSError as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def keep_busy(self, block: int) -> None:
        """Say, again and again, that a worker without a driver is still on this block."""
        with contextlib.suppress(OSError):
            touch(self._notes / f"block-{block}")

    def end_busy(self, block: int) -> None:
        """Say that it is not any more."""
        (self._notes / f"block-{block}").unlink(missing_ok=True)

    def busy_since(self, block: int) -> float | None:
        """Return when `keep_busy` was last called for this block, by the file system's clock; None if it is free."""
        try:
            return (self._notes / f"block-{block}").stat().st_mtime
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class Marker:
    """A file on the node's own disk that says on which block a worker process is; it outlives the process."""

    path: Path

    def write(self, block: int | None) -> None:
        """Say which block is being solved now; best effort, for cleaners of temporary folders are everywhere."""
        with contextlib.suppress(OSError):
            self.path.write_text("" if block is None else str(block), encoding="ascii")

    def read(self) -> int | None:
        """Return the block that was being solved."""
        try:
            return int(self.path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def _write(path: Path, content: dict[str, Any]) -> None:
    replace_file(path, json.dumps(content, indent=1).encode(), safe=False)
