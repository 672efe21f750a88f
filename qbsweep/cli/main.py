"""The command line: options parsed, the API called, its answer printed.

Here and in its other modules a command imports what it needs when it is called: a user waits for all that is loaded.
"""

import contextlib
import json
import sys
import traceback
from typing import Annotated, Any

import typer

import qbsweep
from qbsweep.cli import analyze, compare, jobs, keep, move, show, verify
from qbsweep.cli.options import BlockSeconds, Durability, Out, RetryFailed, SweepFile, Workers, example, finish
from qbsweep.errors import QbsweepError
from qbsweep.store.grid import BLOCK_SECONDS

_REFUSED = 4
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"qbsweep {qbsweep.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True, epilog=example("run", "workflows/quickstart.yaml"))
def show_help(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Parameter sweeps of quantum-battery networks."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("plan", epilog=example("plan", "workflows/fig1.yaml"))
def plan_command(sweep: SweepFile, workers: Workers = None, block_seconds: BlockSeconds = BLOCK_SECONDS) -> None:
    """Check a sweep file and predict what it costs.

    Solves nothing, and takes a second or two at most.
    """
    from qbsweep.api.running import plan
    from qbsweep.text import aligned

    print(aligned(plan(sweep, block_seconds).rows(workers)))


@app.command("run", epilog=example("run", "workflows/fig1.yaml", "--workers", "4"))
def run_command(
    sweep: SweepFile,
    out: Out = None,
    workers: Workers = None,
    executor: Annotated[str, typer.Option(help="auto, local, serial, or the address of a Dask scheduler.")] = "auto",
    retry_failed: RetryFailed = False,
    block_seconds: BlockSeconds = BLOCK_SECONDS,
    durability: Durability = "safe",
) -> None:
    """Run a sweep on this machine, or go on with it.

    Finished points are never computed again. Exit code 0 complete, 1 not complete, 3 complete with failed points.
    """
    from rich.console import Console

    from qbsweep.api.running import run
    from qbsweep.runs.watch import Watcher

    finish(
        run(
            sweep,
            out,
            workers=workers,
            executor=executor,
            retry_failed=retry_failed,
            block_seconds=block_seconds,
            durability=durability,
            progress=Watcher(Console(soft_wrap=True)),
        )
    )


@app.command("schema", epilog=example("schema", "> sweep.schema.json"))
def schema_command() -> None:
    """Print the JSON Schema of the sweep file, for editors."""
    print(json.dumps(qbsweep.json_schema(), indent=1))


for _room in (jobs, analyze, show, keep, move, compare, verify):
    app.add_typer(_room.app)


def main() -> None:
    """Run a command; a user's mistake is one sentence and exit code 2, a refusal of the system one and exit code 4."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a terminal that lacks a character is no reason to stop
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        code: Any = app(standalone_mode=False)
    except (QbsweepError, typer.TyperException) as error:
        sentence = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        print(f"qbsweep: {sentence}", file=sys.stderr)
        sys.exit(2)
    except typer.Abort:  # a question that was not answered
        print()
        print("qbsweep: there was no answer, and nothing more was done", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"qbsweep: the system refused: {error.strerror or error}{where}; nothing is lost", file=sys.stderr)
        sys.exit(_REFUSED)
    except MemoryError as error:
        print(f"qbsweep: out of memory: {error or 'the sweep is too large for this machine'}", file=sys.stderr)
        sys.exit(_REFUSED)
    except Exception:  # a fault of ours: 1 would mean that two runs differ, say
        traceback.print_exc()
        sys.exit(_REFUSED)
    sys.exit(code)
