"""What the commands share: options, and how a result is shown. Nothing is imported that `--help` can do without."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from qbsweep.text import command

if TYPE_CHECKING:
    from qbsweep.api.result import Run

SweepFile = Annotated[Path, typer.Argument(metavar="SWEEP", help="The sweep file (YAML).", show_default=False)]
Directory = Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.", show_default=False)]
DirectoryOrPack = Annotated[Path, typer.Argument(metavar="DIR", help="A run directory, or a pack.", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", help="The run directory; default runs/<name>.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes; default: one per core.")]
BlockSeconds = Annotated[
    float, typer.Option(min=1e-6, help="Longest predicted seconds of a block: what a crash can cost a worker.")
]
Durability = Annotated[
    Literal["safe", "fast"],
    typer.Option(help="safe: on the disk within a second of computing; fast: when the operating system likes."),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Solve failed points again.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def example(*words: str) -> str:
    """Return the end of a command's help."""
    return f"Example: qbsweep {' '.join(words)}"


def json_of(value: object) -> str:
    """Write plain data as JSON, which has no word for what is infinite or not a number: null."""
    return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def finish(run: "Run") -> None:
    """Print what came out of a run and what to do with it, and exit with the code of its state."""
    best, state = run.best(), run.status()
    if best is not None:
        print(best)
    print(", ".join(f"{state[name]:,} {name}" for name in ("ok", "suspect", "failed", "pending")))
    if state["suspect"]:
        print(f"suspect: {state.rows()['suspect']}")
    if state["failed"]:
        print(f"why: {command('failures', run.path)}; again: the same command with --retry-failed")
    print(f'in Python: qbsweep.open("{run.path}").dataset, or xarray.open_zarr("{run.data}")')
    print(f"next: {command('analyze', run.path)}; {command('report', run.path)}")
    raise typer.Exit(state["exit_code"])
