"""The commands that show a dataset: a page to keep, and a page to explore."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from qbsweep.cli.options import Directory, console
from qbsweep.errors import QbsweepError
from qbsweep.runs.opening import open_run

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def _require(*modules: str) -> None:
    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise QbsweepError(f"this command needs {name}; install it with pip install 'qbsweep[notebooks]'")


@app.command("report")
def report_command(
    directory: Directory,
    out: Annotated[Path | None, typer.Option("--out", help="The page; default DIR/report.html.")] = None,
    png: Annotated[
        bool, typer.Option("--png", help="Write figures for print, 86 mm wide, to DIR/figures too.")
    ] = False,
) -> None:
    """Write one HTML page with figures, tables and provenance; it opens without a network."""
    open_run(directory)
    _require("hvplot", "matplotlib")
    from qbsweep.figures import print as printed  # a second of imports that no other command should pay
    from qbsweep.figures import report

    target = out or directory / "report.html"
    text, charts = report.write(directory)
    scratch = target.with_name(f".{target.name}.new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(target)
    console.print(f"{target}: {len(text) / 1e6:.1f} MB, open it in a browser", highlight=False)
    if png:
        written = printed.save_all(charts, directory / "figures")
        console.print(f"{directory / 'figures'}: {len(written)} figures", highlight=False)


@app.command("explore")
def explore_command(
    directory: Directory,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Explore a dataset in the browser: choose variable, axes and values. For this machine only; Ctrl-C ends it."""
    run_directory, _ = open_run(directory)
    _require("hvplot", "panel")
    from qbsweep.figures import explore

    explore.serve(run_directory.data, port, not no_browser, console.print)
