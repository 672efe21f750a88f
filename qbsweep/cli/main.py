"""The command line.

Here and in its other modules a command imports what it needs when it is called: a user waits for all that is loaded.
"""

import json
import sys
from typing import Annotated

import typer

from qbsweep.cli import analyze as cli_analysis
from qbsweep.cli import jobs as cli_jobs
from qbsweep.cli import show as cli_report
from qbsweep.cli import verify as cli_verify
from qbsweep.cli.options import BlockSeconds, Out, RetryFailed, SweepFile, Workers, console, show_result
from qbsweep.errors import QbsweepError
from qbsweep.store.grid import BLOCK_SECONDS

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _group in (cli_jobs, cli_analysis, cli_report, cli_verify):
    app.add_typer(_group.app)


@app.callback(invoke_without_command=True)
def show_help(context: typer.Context) -> None:
    """Parameter sweeps of quantum-battery networks."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("plan")
def plan_command(sweep: SweepFile, workers: Workers = None, block_seconds: BlockSeconds = BLOCK_SECONDS) -> None:
    """Check a sweep file and predict what it costs; runs nothing but a few timed pilot points."""
    from qbsweep.cli import tables
    from qbsweep.runs import executors
    from qbsweep.runs.plan import make_grid, make_plan
    from qbsweep.sweep.spec import load_spec

    spec = load_spec(sweep)
    console.print(
        tables.plan_table(make_plan(spec, make_grid(spec, block_seconds)), workers or executors.available_cores())
    )


@app.command("run")
def run_command(
    sweep: SweepFile,
    out: Out = None,
    workers: Workers = None,
    executor: Annotated[str, typer.Option(help="auto, local, serial, or the address of a Dask scheduler.")] = "auto",
    retry_failed: RetryFailed = False,
    block_seconds: BlockSeconds = BLOCK_SECONDS,
) -> None:
    """Run a sweep on this machine, or resume it; finished points are never computed again."""
    from qbsweep.api import running
    from qbsweep.runs import opening
    from qbsweep.runs.state import progress_of
    from qbsweep.runs.watch import Watcher

    done = running.run(
        sweep,
        out,
        workers=workers,
        executor=executor,
        retry_failed=retry_failed,
        block_seconds=block_seconds,
        progress=Watcher(console),
    )
    directory, store = opening.open_run(done.path)
    progress = progress_of(store)
    show_result(directory, store, progress)
    raise typer.Exit(progress.exit_code)


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of the sweep file, for editors."""
    from qbsweep.sweep import syntax

    print(json.dumps(syntax.json_schema(), indent=1))


def main() -> None:
    """Run a command; a user's mistake is one sentence and exit code 2, a refusal of the system one and exit code 1."""
    try:
        code = app(standalone_mode=False)
    except (QbsweepError, typer.TyperException) as error:
        sentence = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        print(f"qbsweep: {sentence}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"qbsweep: the system refused: {error.strerror or error}{where}; nothing is lost", file=sys.stderr)
        sys.exit(1)
    except MemoryError as error:
        print(f"qbsweep: out of memory: {error or 'the sweep is too large for this machine'}", file=sys.stderr)
        sys.exit(1)
    sys.exit(code)
