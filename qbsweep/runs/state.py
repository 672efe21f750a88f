"""How far a run is, as plain data."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qbsweep.physics.verdicts import NUMERICAL_TOLERANCE, SUSPECT_BRANCHES, SUSPECT_NUMERICS, SUSPECT_TRUNCATION
from qbsweep.runs.pace import seconds_left
from qbsweep.solvers.status import NO_VERDICT, PENDING, STATUS_NAMES, SUSPECT, VERDICT_CODES, VERDICT_NAMES
from qbsweep.store.directory import RunDirectory
from qbsweep.store.lock import lock_holder
from qbsweep.store.metadata import read_metadata
from qbsweep.store.records import NUMBER, is_of, read_json
from qbsweep.store.status import StatusFiles
from qbsweep.text import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from qbsweep.store.dataset import Store


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of points by status, of blocks, of points by verdict; the numbers of blocks that are not done."""

    points: dict[str, int]
    blocks: int
    blocks_done: int
    pending: tuple[int, ...] = field(default=(), compare=False)
    verdicts: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def complete(self) -> bool:
        """No point is pending."""
        return not self.points["pending"]

    @property
    def exit_code(self) -> int:
        """Return 0 complete, 1 not complete, 3 complete with failed points."""
        if not self.complete:
            return 1
        return 3 if self.points["failed"] else 0


def progress_of(dataset: "Store | StatusFiles") -> Progress:
    """Count what `status` says; the verdicts are left out, which takes half the time."""
    return _summed(dataset, with_verdicts=False)


def judged_progress_of(dataset: "Store | StatusFiles") -> Progress:
    """Count what `status` says, and the verdicts of the same moment; none where an earlier version has solved."""
    return _summed(dataset, with_verdicts=True)


def _summed(dataset: "Store | StatusFiles", with_verdicts: bool) -> Progress:
    points, verdicts, pending = Counter[int](), Counter[int](), list[int]()
    for tally in dataset.tallies(with_verdicts):
        points.update(tally.points)
        verdicts.update(tally.verdicts)
        pending += tally.pending
    return Progress(
        points={name: points[code] for code, name in STATUS_NAMES.items()},
        blocks=dataset.grid.n_blocks,
        blocks_done=dataset.grid.n_blocks - len(pending),
        pending=tuple(sorted(pending)),
        verdicts={name: verdicts[code] for code, name in VERDICT_NAMES.items() if verdicts[code]},
    )


def progress_in(directory: RunDirectory) -> Progress:
    """Count what `status` says in a run directory; raises QbsweepError if its dataset is damaged."""
    return _counted(directory, progress_of)


def judged_progress_in(directory: RunDirectory) -> Progress:
    """Count what `status` says in a run directory, and the verdicts; raises QbsweepError if its dataset is damaged."""
    return _counted(directory, judged_progress_of)


def _counted(directory: RunDirectory, count: "Callable[[Store | StatusFiles], Progress]") -> Progress:
    try:
        return count(read_metadata(directory.data).status)
    except Exception:  # whatever it is: the store has a sentence for what is wrong
        return count(_store(directory))


def _store(directory: RunDirectory) -> "Store":
    from qbsweep.store.dataset import Store  # zarr and numpy, which a look at most runs need not wait for

    return Store(directory.data)


def pending_blocks(store: "Store") -> list[int]:
    """Numbers of the blocks with pending points."""
    return store.blocks_with(PENDING)


def state(directory: RunDirectory, queue: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the state of a run, and of its Slurm jobs if it has any, as plain data: what `status --json` prints."""
    progress = judged_progress_in(directory)
    holder = lock_holder(directory.lock_file)
    finished = sum(progress.points.values()) - progress.points["pending"]
    rate = recent_rate(directory)
    running = holder is not None
    needed, unknown = levels_needed(_store(directory)) if progress.points["suspect"] else (None, 0)
    return {
        "directory": str(directory.pack or directory.path),
        "state": _state_name(running, progress, queue),
        "points": sum(progress.points.values()),
        **progress.points,
        "finished": finished,
        "blocks": progress.blocks,
        "blocks_done": progress.blocks_done,
        "points_per_second": rate,
        "eta_seconds": _eta(directory, progress, rate) if running else None,
        "running": holder,
        "verdicts": progress.verdicts,
        "levels_needed": needed,
        "levels_unknown": min(unknown, progress.points["suspect"]),  # a run may have gone on between the two looks
        "exit_code": progress.exit_code,
        "slurm": queue,
    }


def _state_name(running: bool, progress: Progress, queue: dict[str, Any] | None) -> str:
    if running or progress.complete:
        return "running" if running else "complete"
    queued = queue is not None and any(job["active"] and job["role"] == "driver" for job in queue["jobs"])
    return "queued" if queued else "interrupted"


def levels_needed(store: "Store") -> tuple[int | None, int]:
    """Return the Fock levels that would have met the tolerance at all points truncated too early where that is known.

    And the number of those where it is not. What an earlier version solved, without a verdict, is one of them: that
    doubted nothing else. What misses a branch is none: levels that hold it are not known to meet the tolerance.
    """
    if "levels_needed" not in store.spec.outputs:
        return None, 0
    largest, unknown = 0, 0
    for chunk in range(store.grid.chunks.number):  # one at a time: a whole variable may not fit the memory
        needed = _needed_in(store, chunk)
        largest = max(largest, int(needed.max(initial=0)))
        unknown += int((needed <= 0).sum())
    return largest or None, unknown


def _needed_in(store: "Store", chunk: int) -> "NDArray[Any]":
    """Return the levels that the points of a chunk which were truncated too early would have needed."""
    suspect: NDArray[Any] = store.read_chunk(chunk, ["status"])["status"] == SUSPECT
    if suspect.any() and "verdict" in store.variables:
        verdict = store.read_chunk(chunk, ["verdict"])["verdict"]
        suspect &= (verdict == VERDICT_CODES[SUSPECT_TRUNCATION]) | (verdict == NO_VERDICT)
    if not suspect.any():
        return suspect[:0].ravel()
    needed: NDArray[Any] = store.read_chunk(chunk, ["levels_needed"])["levels_needed"][suspect]
    return needed


def suspect_text(data: dict[str, Any]) -> str:
    """Say what is wrong with the suspect points, and what would mend them."""
    parts, verdicts = [], data["verdicts"]
    if count := verdicts.get(SUSPECT_BRANCHES):
        one = "misses a classical branch, or cannot weigh its branches"
        many = "miss a classical branch, or cannot weigh their branches"
        parts.append(f"{_so_many(count, one, many)}: `fock_levels: auto` holds as many as `memory` allows")
    if count := verdicts.get(SUSPECT_NUMERICS):
        found = f"a `numerical_error` above {NUMERICAL_TOLERANCE:g}, or too large for an energy so small"
        parts.append(f"{_so_many(count, 'has', 'have')} {found}")
    if data["levels_needed"]:
        whose = " of the others" if parts else ""
        parts.append(f"`fock_levels: {data['levels_needed']}` should meet the tolerance{whose}")
    if count := data["levels_unknown"]:
        parts.append(f"{count:,} cannot tell how many levels {'it needs' if count == 1 else 'they need'}")
    return "; ".join(parts) or "nothing says why"


def _so_many(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _eta(directory: RunDirectory, progress: Progress, rate: float | None) -> float | None:
    """Return the seconds left by the plan and the pace of the blocks; without a plan, by points; None before any."""
    predicted = (read_json(directory.plan_file) or {}).get("block_seconds")
    if not isinstance(predicted, list) or not all(is_of(seconds, NUMBER) for seconds in predicted):
        predicted = []
    events = [event for event in _events_now(directory) if 0 <= event["block"] < progress.blocks]
    if len(predicted) != progress.blocks or not events:
        return progress.points["pending"] / rate if rate else None
    elapsed = time.time() - min(event["time"] - event.get("seconds", 0.0) for event in events)
    return seconds_left(
        left=sum(predicted[block] for block in progress.pending),
        spent=sum(predicted[event["block"]] for event in events),
        elapsed=elapsed,
        workers=len({(event.get("host"), event.get("pid")) for event in events}),
    )


def _events_now(directory: RunDirectory) -> list[dict[str, Any]]:
    """Return the events of the run that goes on, or of all: an earlier one says nothing about this."""
    holder = lock_holder(directory.lock_file)
    since = holder["started"] if holder else 0.0
    return [e for e in directory.events() if {"time", "points"} <= set(e) and e["time"] >= since]


def recent_rate(directory: RunDirectory, window: int = 50) -> float | None:
    """Return points per second over the last events, None if there are too few to tell."""
    events = _events_now(directory)[-window:]
    if len(events) < 2:
        return None
    now = time.time() if lock_holder(directory.lock_file) else events[-1]["time"]
    return float(sum(e["points"] for e in events[1:]) / max(now - events[0]["time"], 1e-3))


def state_rows(data: dict[str, Any]) -> dict[str, str]:
    """Return the state of a run as a table of two columns."""
    parts = ", ".join(f"{data[name]:,} {name}" for name in ("ok", "suspect", "failed", "pending"))
    rows = {"state": data["state"], "points": f"{data['points']:,}: {parts}"}
    if data["verdicts"]:
        rows["verdicts"] = ", ".join(f"{count:,} {word}" for word, count in data["verdicts"].items())
    rows["blocks"] = f"{data['blocks_done']:,} of {data['blocks']:,}"
    if data["points_per_second"]:
        rows["rate"] = f"{data['points_per_second']:,.0f} points/s"
    if data["eta_seconds"] is not None:
        rows["left"] = duration(data["eta_seconds"])
    if data["suspect"]:
        rows["suspect"] = suspect_text(data)
    if data["running"]:
        rows["run by"] = f"process {data['running']['pid']} on {data['running']['host']}"
    return rows | (_job_rows(data["slurm"]) if data["slurm"] else {})


def _job_rows(queue: dict[str, Any]) -> dict[str, str]:
    """Return what Slurm says of the jobs: the driver with its reason and time, workers by their state."""
    if not queue["answers"]:
        return {"jobs": f"driver {queue['driver_id']}; Slurm does not answer from here"}
    if not queue["jobs"]:
        return {"jobs": "none in the queue any more"}
    rows = {}
    drivers = [job for job in queue["jobs"] if job["role"] == "driver"]
    if drivers:
        rows["driver job"] = "\n".join(map(_driver_text, drivers))
    workers = [job for job in queue["jobs"] if job["role"] == "worker"]
    states = Counter(job["state"] + (f" ({job['reason']})" if job["state"] == "PENDING" else "") for job in workers)
    if states:
        counts = ", ".join(f"{count} {name}" for name, count in states.items())
        rows["worker jobs"] = f"{queue['worker_id']}: {counts}"
    return rows


def _driver_text(job: dict[str, Any]) -> str:
    left = f", {duration(job['seconds_left'])} left" if job["active"] and job["seconds_left"] else ""
    where = f" on {job['node']}" if job["node"] else f" ({job['reason']})" if job["reason"] else ""
    return f"{job['id']} {job['state']}{where}{left}"
