"""Short tables of a dataset and of the state of its run, for the terminal."""

import itertools
import math
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.table import Table

from qbsweep.evaluate import NETWORK_PARAMETERS
from qbsweep.plan import Plan
from qbsweep.run import Progress
from qbsweep.rundir import RunDirectory
from qbsweep.solvers.interface import FAILED, PENDING, SUSPECT
from qbsweep.store import Store, readable
from qbsweep.sweep.variables import STEADY_SCALARS
from qbsweep.text import duration

if TYPE_CHECKING:
    import xarray as xr

from qbsweep.text import size_of

_MAX_ROWS = 16
_MAX_POINTS = 20_000_000  # of one network; more would take memory for a table that is a courtesy


def plain_table(*columns: str, title: str | None = None) -> Table:
    """Return a table that also reads well in a log file."""
    table = Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def best_points(path: Path) -> Table | None:
    """Tabulate, for every network of a dataset, the point of the largest terminal energy."""
    import xarray as xr  # here, because worker processes need not pay for it

    with readable(path), xr.open_zarr(path, chunks=None) as ds:
        names = [name for name in ("energy_terminal", *STEADY_SCALARS) if name in ds]
        if not names:
            return None
        dims = [dim for dim in ds["status"].dims if dim in NETWORK_PARAMETERS]
        rest = [dim for dim in ds["status"].dims if dim not in dims]
        if math.prod(ds.sizes[dim] for dim in rest) > _MAX_POINTS:
            return None
        where = [str(dim) + _unit(ds[dim]) for dim in rest]
        table = plain_table(*map(str, dims), f"max {names[0]}", *(f"at {label}" for label in where))
        for labels in _some_rows(ds, dims):
            one = ds[[names[0], "status"]].sel(labels)
            values = one[names[0]].values
            values[np.isin(one["status"].values, [PENDING, FAILED])] = -np.inf
            best = np.unravel_index(int(np.argmax(values)), values.shape)
            if values[best] > -np.inf:
                shown = [_number(ds[dim].values[i].item()) for dim, i in zip(rest, best, strict=True)]
                table.add_row(*(str(v) for v in labels.values()), _number(float(values[best])), *shown)
        return table


def _unit(coordinate: "xr.DataArray") -> str:
    unit = coordinate.attrs.get("units", "1")
    return "" if unit == "1" else f" [{unit}]".replace("[", "(").replace("]", ")")


def _some_rows(ds: "xr.Dataset", dims: Sequence[Hashable]) -> list[dict[Hashable, Any]]:
    """All combinations of labels; of a long last dimension (N) as many, evenly spaced, as fit a screen."""
    labels = [ds[dim].values.tolist() for dim in dims]
    if labels:
        others = math.prod(len(values) for values in labels[:-1])
        shown = min(len(labels[-1]), max(2, _MAX_ROWS // others))
        picked = np.linspace(0, len(labels[-1]) - 1, shown).round().astype(int)
        labels[-1] = [labels[-1][i] for i in picked]
    return [dict(zip(dims, row, strict=True)) for row in itertools.product(*labels)]


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def plan_table(plan: Plan, cores: int) -> Table:
    """Tabulate a plan."""
    table = Table(box=None, show_header=False, pad_edge=False)
    shape = " x ".join(f"{dim} {size}" for dim, size in zip(plan.dims, plan.shape, strict=True)) or "one point"
    rows = {
        "points": f"{plan.points:,} ({shape})",
        "blocks": f"{plan.blocks:,} of up to {' x '.join(map(str, plan.block_shape)) or '1'} points",
        "time": f"{duration(plan.seconds)} of computing, {duration(plan.seconds / cores)} on {cores} cores",
        "memory": f"{size_of(plan.block_bytes)} of results per block, {size_of(plan.point_memory)} for a point",
        "disk": f"{size_of(plan.bytes)} before compression, {plan.files:,} files",
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def state(
    directory: RunDirectory, store: Store, progress: Progress, queue: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the state of a run, and of its Slurm jobs if it has any, as plain data: what `status --json` prints."""
    holder = directory.lock_holder()
    finished = sum(progress.points.values()) - progress.points["pending"]
    rate = recent_rate(directory)
    running = holder is not None
    needed, unknown = levels_needed(store) if progress.points["suspect"] else (None, 0)
    return {
        "directory": str(directory.path),
        "state": _state_name(running, progress, queue),
        "points": sum(progress.points.values()),
        **progress.points,
        "finished": finished,
        "blocks": progress.blocks,
        "blocks_done": progress.blocks_done,
        "points_per_second": rate,
        "eta_seconds": progress.points["pending"] / rate if rate and running else None,
        "running": holder,
        "levels_needed": needed,
        "levels_unknown": unknown,
        "exit_code": progress.exit_code,
        "slurm": queue,
    }


def _state_name(running: bool, progress: Progress, queue: dict[str, Any] | None) -> str:
    if running or progress.complete:
        return "running" if running else "complete"
    queued = queue is not None and any(job["active"] and job["role"] == "driver" for job in queue["jobs"])
    return "queued" if queued else "interrupted"


def levels_needed(store: Store) -> tuple[int | None, int]:
    """Return the Fock levels that would have met the tolerance at all suspect points where that is known.

    And the number of suspect points where it is not.
    """
    if "levels_needed" not in store.spec.outputs:
        return None, int((store.status() == SUSPECT).sum())
    needed = store.read_one("levels_needed")[store.status() == SUSPECT]
    known = needed[needed > 0]
    return (int(known.max()) if len(known) else None), int(len(needed) - len(known))


def suspect_text(needed: int | None, unknown: int) -> str:
    """Say what would mend the suspect points."""
    parts = [f"`fock_levels: {needed}` should meet the tolerance"] if needed else []
    if unknown:
        parts.append(f"{unknown:,} of them cannot tell how many levels they need")
    return "; ".join(parts)


def recent_rate(directory: RunDirectory, window: int = 50) -> float | None:
    """Return points per second over the last events, None if there are too few to tell."""
    holder = directory.lock_holder()
    since = holder["started"] if holder else 0.0  # an earlier run says nothing about this one
    events = [e for e in directory.events() if {"time", "points"} <= set(e) and e["time"] >= since][-window:]
    if len(events) < 2:
        return None
    now = time.time() if holder else events[-1]["time"]
    return float(sum(e["points"] for e in events[1:]) / max(now - events[0]["time"], 1e-3))


def state_table(data: dict[str, Any]) -> Table:
    """Tabulate the state of a run."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("state", data["state"])
    parts = ", ".join(f"{data[name]:,} {name}" for name in ("ok", "suspect", "failed", "pending"))
    table.add_row("points", f"{data['points']:,}: {parts}")
    table.add_row("blocks", f"{data['blocks_done']:,} of {data['blocks']:,}")
    if data["points_per_second"]:
        table.add_row("rate", f"{data['points_per_second']:,.0f} points/s")
    if data["eta_seconds"] is not None:
        table.add_row("left", duration(data["eta_seconds"]))
    if data["suspect"]:
        table.add_row("suspect", suspect_text(data["levels_needed"], data["levels_unknown"]))
    if data["running"]:
        table.add_row("run by", f"process {data['running']['pid']} on {data['running']['host']}")
    if data["slurm"]:
        _add_jobs(table, data["slurm"])
    return table


def _add_jobs(table: Table, queue: dict[str, Any]) -> None:
    """Add what Slurm says of the jobs: the driver with its reason and time, workers by their state."""
    if not queue["answers"]:
        table.add_row("jobs", f"driver {queue['driver_id']}; Slurm does not answer from here")
        return
    for job in queue["jobs"]:
        if job["role"] == "driver":
            left = f", {duration(job['seconds_left'])} left" if job["active"] and job["seconds_left"] else ""
            where = f" on {job['node']}" if job["node"] else f" ({job['reason']})" if job["reason"] else ""
            table.add_row("driver job", f"{job['id']} {job['state']}{where}{left}")
    workers = [job for job in queue["jobs"] if job["role"] == "worker"]
    states = Counter(job["state"] + (f" ({job['reason']})" if job["state"] == "PENDING" else "") for job in workers)
    if states:
        counts = ", ".join(f"{count} {name}" for name, count in states.items())
        table.add_row("worker jobs", f"{queue['worker_id']}: {counts}")
    if not queue["jobs"]:
        table.add_row("jobs", "none in the queue any more")
