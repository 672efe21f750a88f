"""The commands that show a dataset: a page to keep, and a page to explore."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from qbsweep.cli.options import Directory, console
from qbsweep.errors import QbsweepError
from qbsweep.store.directory import RunDirectory

_DIR = RunDirectory(Path("DIR"))
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def _require(*modules: str) -> None:
    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise QbsweepError(f"this command needs {name}; install it with pip install 'qbsweep[notebooks]'")


@app.command("report")
def report_command(
    directory: Directory,
    out: Annotated[Path | None, typer.Option("--out", help=f"The page; default {_DIR.report}.")] = None,
    png: Annotated[
        bool, typer.Option("--png", help=f"Write figures for print, 86 mm wide, to {_DIR.figures} too.")
    ] = False,
) -> None:
    """Write one HTML page with figures, tables and provenance; it opens without a network."""
    from qbsweep.runs.opening import open_run
    from qbsweep.store.replace import replace_text

    run_directory, _ = open_run(directory)
    _require("hvplot", "matplotlib")
    from qbsweep.figures import print as printed
    from qbsweep.figures import report

    target = out or run_directory.report
    text, charts = report.write(directory)
    replace_text(target, text)
    console.print(f"{target}: {len(text) / 1e6:.1f} MB, open it in a browser", highlight=False)
    if png:
        written = printed.save_all(charts, run_directory.figures)
        console.print(f"{run_directory.figures}: {len(written)} figures", highlight=False)


@app.command("explore")
def explore_command(
    directory: Directory,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Explore a dataset in the browser: choose variable, axes and values. For this machine only; Ctrl-C ends it."""
    from qbsweep.runs.opening import open_run

    run_directory, _ = open_run(directory)
    _require("hvplot", "panel")
    from qbsweep.figures import explore

    explore.serve(run_directory.data, port, not no_browser, console.print)
