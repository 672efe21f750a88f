"""Commands on a run directory and its Slurm jobs."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from qbsweep.cli.options import (
    AsJson,
    BlockSeconds,
    Directory,
    DirectoryOrPack,
    Durability,
    Out,
    RetryFailed,
    SweepFile,
    example,
    finish,
)
from qbsweep.slurm.interface import MAX_WORKERS
from qbsweep.store.grid import BLOCK_SECONDS

app = typer.Typer()
_WATCH_SECONDS = 5.0


@app.command("submit", epilog=example("submit", "workflows/fig3.yaml", "--profile", "mysite", "--time", "2h"))
def submit_command(
    sweep: SweepFile,
    out: Out = None,
    profile: Annotated[str | None, typer.Option(help="Site profile: a file, or a name in slurm/.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=MAX_WORKERS, help="Worker processes in all.")] = None,
    walltime: Annotated[
        str | None, typer.Option("--time", help="Walltime of the jobs: 90min, 12h, 1-00:00:00.")
    ] = None,
    retry_failed: RetryFailed = False,
    block_seconds: BlockSeconds = BLOCK_SECONDS,
    durability: Durability = "safe",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the job scripts, change nothing.")] = False,
) -> None:
    """Run a sweep on a Slurm cluster, or go on with it.

    Submits jobs and returns; nothing stays on the login node.
    """
    from qbsweep.api.jobs import job_scripts, submit

    options: Any = {"profile": profile, "workers": workers, "time": walltime}
    options |= {"retry_failed": retry_failed, "block_seconds": block_seconds}
    if dry_run:
        for path, text in job_scripts(sweep, out, **options).items():
            print(f"# ---- {path}\n{text}")
        return
    options["durability"] = durability
    run = submit(sweep, out, **options)
    if run.complete:
        finish(run)


@app.command("status", epilog=example("status", "runs/fig3", "--watch"))
def status_command(
    directory: DirectoryOrPack,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until the run has ended.")] = False,
) -> None:
    """Show how far a run is.

    Exit code 0 complete, 1 not complete, 3 complete with failed points.
    """
    from qbsweep.api.result import Run

    run = Run(directory)
    while True:
        state = run.status()
        print(json.dumps(state) if as_json else state, flush=True)
        if not watch or state["state"] not in ("running", "queued"):
            raise typer.Exit(state["exit_code"])
        time.sleep(_WATCH_SECONDS)


@app.command("failures", epilog=example("failures", "runs/fig5"))
def failures_command(directory: DirectoryOrPack) -> None:
    """Show which points failed, and why."""
    from qbsweep.api.result import Run

    run = Run(directory)
    records = run.failures()
    for record in records:
        labels = ", ".join(f"{name} {_label(value)}" for name, value in record["labels"].items())
        count = f"{record['points']} points: " if record["points"] > 1 else ""
        print(f"{count}{labels or 'the point'}\n    {record['error']}")
    print(f"{run.status()['failed']:,} points are failed now; {len(records)} failures are on record")


def _label(value: Any) -> str:
    return f"{value[0]} to {value[-1]} ({len(value)} values)" if isinstance(value, list) and value else str(value)


@app.command("logs", epilog=example("logs", "runs/fig3", "--lines", "50"))
def logs_command(
    directory: DirectoryOrPack,
    lines: Annotated[int, typer.Option(min=1, help="Lines of each log, from its end.")] = 10,
) -> None:
    """Show the end of the logs of a run's Slurm jobs."""
    from qbsweep.api.result import Run

    for file, text in Run(directory).logs(lines).items():
        print(f"==> {file} <==\n{text}")


@app.command("cancel", epilog=example("cancel", "runs/fig3"))
def cancel_command(directory: Directory) -> None:
    """Cancel the Slurm jobs of a run.

    What is finished stays, and `submit` goes on from there.
    """
    from qbsweep.api.result import Run

    cancelled = Run(directory).cancel()
    print(f"cancelled: {', '.join(cancelled)}" if cancelled else "no job of this run is running or waiting")


@app.command("driver", hidden=True)
def driver_command(directory: Directory) -> None:
    """Run a submitted sweep; the driver job calls this."""
    from rich.console import Console

    from qbsweep.slurm.driver import drive

    raise typer.Exit(drive(directory, Console(soft_wrap=True)))


@app.command("work", hidden=True)
def work_command(
    directory: Directory,
    address: Annotated[str, typer.Argument()],
    name: Annotated[str, typer.Argument()],
    marker: Annotated[Path, typer.Option()],
    ends: Annotated[float, typer.Option()],
    folder: Annotated[str, typer.Option()],
    fresh: Annotated[bool, typer.Option("--fresh")] = False,
) -> None:
    """Work for a scheduler; the worker jobs call this."""
    from qbsweep.slurm import worker
    from qbsweep.slurm.files import JobFiles, Marker

    worker.work(worker.Job(JobFiles(directory), name, Marker(marker), ends, fresh), address, folder)
