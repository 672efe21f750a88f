"""Short tables of a dataset and of the state of its run, for the terminal."""

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from qbsweep.solvers.status import FAILED, PENDING
from qbsweep.text import duration, size_of

if TYPE_CHECKING:
    import xarray as xr

    from qbsweep.runs.plan import Plan


def analysis_table(result: "xr.Dataset") -> Table | str:
    """Tabulate the summary of an analysis for the terminal; see `analysis_rows`."""
    from qbsweep.analysis.rows import analysis_rows

    title, header, rows = analysis_rows(result)
    if not rows:
        return title
    table = plain_table(*header, title=title)
    for row in rows:
        table.add_row(*row)
    return table


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
    import numpy as np
    import xarray as xr

    from qbsweep.store.dataset import readable
    from qbsweep.sweep.parameters import CALLS
    from qbsweep.sweep.variables import STEADY_SCALARS

    with readable(path), xr.open_zarr(path, chunks=None) as ds:
        names = [name for name in ("energy_terminal", *STEADY_SCALARS) if name in ds]
        if not names:
            return None
        dims = [dim for dim in ds["status"].dims if dim in CALLS]
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
    import numpy as np

    labels = [ds[dim].values.tolist() for dim in dims]
    if labels:
        others = math.prod(len(values) for values in labels[:-1])
        shown = min(len(labels[-1]), max(2, _MAX_ROWS // others))
        picked = np.linspace(0, len(labels[-1]) - 1, shown).round().astype(int)
        labels[-1] = [labels[-1][i] for i in picked]
    return [dict(zip(dims, row, strict=True)) for row in itertools.product(*labels)]


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def plan_table(plan: "Plan", cores: int) -> Table:
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


def state_table(data: dict[str, Any]) -> Table:
    """Tabulate the state of a run."""
    from qbsweep.runs.state import suspect_text

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
