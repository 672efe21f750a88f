"""What the commands share: options, the console, and how a result is shown."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from qbsweep.runs.state import Progress
    from qbsweep.store.dataset import Store
    from qbsweep.store.directory import RunDirectory

console = Console(soft_wrap=True)

SweepFile = Annotated[Path, typer.Argument(metavar="SWEEP", help="The sweep file (YAML).")]
Directory = Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run directory; default runs/<name>.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes; default: one per core.")]
BlockSeconds = Annotated[
    float, typer.Option(min=1e-6, help="Longest predicted time of a block: what a crash can cost a worker.")
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Solve failed points again.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show_result(directory: "RunDirectory", store: "Store", progress: "Progress") -> None:
    """Print what came out of a run, and what to do with it."""
    from qbsweep.cli import tables
    from qbsweep.runs.state import levels_needed, suspect_text

    table = tables.best_points(directory.data)
    if table is not None and table.row_count:
        console.print(table)
    points = progress.points
    console.print(", ".join(f"{points[name]:,} {name}" for name in ("ok", "suspect", "failed", "pending")))
    if points["suspect"]:
        console.print(f"suspect: {suspect_text(*levels_needed(store))}")
    if points["failed"]:
        console.print(f"why: qbsweep failures {directory.path}; again: the same command with --retry-failed")
    console.print(f'xarray.open_zarr("{directory.data}")', highlight=False)
