"""Commands on a run directory and its Slurm jobs."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from qbsweep.cli.options import AsJson, BlockSeconds, Directory, Out, RetryFailed, SweepFile, console, show_result
from qbsweep.errors import QbsweepError
from qbsweep.slurm.commands import MAX_WORKERS
from qbsweep.store.grid import BLOCK_SECONDS

app = typer.Typer()
_WATCH_SECONDS = 5.0


@app.command("submit")
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the job scripts, change nothing.")] = False,
) -> None:
    """Run a sweep on a Slurm cluster, or go on with it: submits jobs and returns."""
    from qbsweep.cli import tables
    from qbsweep.runs import opening
    from qbsweep.runs.state import progress_of
    from qbsweep.slurm import submit, submitted
    from qbsweep.slurm.profile import load_profile
    from qbsweep.store.directory import RunDirectory
    from qbsweep.store.replace import replace_text
    from qbsweep.sweep.spec import load_spec

    spec = load_spec(sweep)
    site = load_profile(profile)
    path = out or Path("runs") / spec.name
    prepared = submit.decide(
        spec,
        path,
        site,
        workers=workers,
        minutes=_minutes(walltime),
        retry_failed=retry_failed,
        block_seconds=block_seconds,
    )
    if prepared.doubt:
        console.print(prepared.doubt)
    if dry_run:
        for name, text in prepared.scripts.items():
            print(f"# ---- {RunDirectory(path).slurm / name}\n{text}")
        return
    submitted.refuse_if_queued(path)
    submit.check(prepared)
    with opening.locked(path) as directory:
        submitted.refuse_if_queued(path)  # again: another `submit` may have been quicker
        submitted.clear_away(path)
        store = opening.prepare(spec, directory, block_seconds)
        if retry_failed:
            console.print(f"{opening.reset_failed(directory, store):,} failed points will be solved again")
        progress = progress_of(store)
        if progress.complete:
            console.print("all points are solved already; nothing was submitted")
            show_result(directory, store, progress)
            raise typer.Exit(progress.exit_code)
        replace_text(directory.plan_file, json.dumps(prepared.plan.to_json(), indent=1))
        record = submit.send(prepared, directory)
    resources = prepared.job.resources
    console.print(tables.plan_table(prepared.plan, resources.workers))
    memory = f", {resources.memory} MB each" if resources.memory else ""
    workers_text = f", workers {record.worker_id}" if record.worker_id else ""
    console.print(
        f"submitted: driver {record.driver_id}{workers_text} ({resources.workers} processes"
        f"{memory}, up to {resources.minutes} min a job)\n"
        f"you may log out; next: qbsweep status {path} [--watch], logs {path}, cancel {path}",
        highlight=False,
    )


def _minutes(text: str | None) -> int | None:
    from qbsweep.slurm.profile import parse_minutes

    try:
        return None if text is None else parse_minutes(text)
    except ValueError as error:
        raise QbsweepError(f"`--time` {error}") from None


@app.command("status")
def status_command(
    directory: Directory,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until the run has ended.")] = False,
) -> None:
    """Show how far a run is; exit code 0 complete, 1 not complete, 3 complete with failed points."""
    from qbsweep.cli import tables

    while True:
        state = _state(directory)
        if as_json:
            print(json.dumps(state), flush=True)
        else:
            console.print(tables.state_table(state))
        if not watch or state["state"] not in ("running", "queued"):
            raise typer.Exit(state["exit_code"])
        time.sleep(_WATCH_SECONDS)


def _state(path: Path) -> dict[str, Any]:
    from qbsweep.runs.state import state
    from qbsweep.store.directory import existing

    directory = existing(path)
    if not directory.slurm.exists():
        return state(directory)
    from qbsweep.slurm import submitted

    return state(directory, submitted.queue_state(path))


@app.command("failures")
def failures_command(directory: Directory) -> None:
    """Show which points failed, and why."""
    from qbsweep.runs.state import progress_in
    from qbsweep.store.directory import existing

    run_directory = existing(directory)
    progress = progress_in(run_directory)
    records = run_directory.failures()
    for record in records:
        labels = ", ".join(f"{name} {_label(value)}" for name, value in record["labels"].items())
        count = f"{record['points']} points: " if record["points"] > 1 else ""
        console.print(f"{count}{labels or 'the point'}\n    {record['error']}", highlight=False)
    failed = progress.points["failed"]
    name = run_directory.failures_file.name
    console.print(f"{failed:,} points are failed now; {len(records)} failures are on record in {name}")


def _label(value: Any) -> str:
    return f"{value[0]} to {value[-1]} ({len(value)} values)" if isinstance(value, list) else str(value)


@app.command("logs")
def logs_command(
    directory: Directory,
    lines: Annotated[int, typer.Option(min=1, help="Lines of each log, from its end.")] = 10,
) -> None:
    """Show the end of the logs of a run's Slurm jobs."""
    from qbsweep.runs.state import progress_in
    from qbsweep.slurm import submitted
    from qbsweep.store.directory import existing

    progress_in(existing(directory))
    for file in submitted.log_files(directory):
        console.print(f"==> {file} <==", highlight=False)
        text = file.read_text(encoding="utf-8", errors="replace")
        print("\n".join(text.splitlines()[-lines:]))


@app.command("cancel")
def cancel_command(directory: Directory) -> None:
    """Cancel the Slurm jobs of a run; what is finished stays, and `submit` goes on from there."""
    from qbsweep.runs.state import progress_in
    from qbsweep.slurm import submitted
    from qbsweep.store.directory import existing

    progress_in(existing(directory))
    cancelled = submitted.cancel(directory)
    console.print(f"cancelled: {', '.join(cancelled)}" if cancelled else "no job of this run is running or waiting")


@app.command("driver", hidden=True)
def driver_command(directory: Directory) -> None:
    """Run a submitted sweep; the driver job calls this."""
    from qbsweep.slurm.driver import drive

    raise typer.Exit(drive(directory, console))


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
