"""The commands that show a dataset: a page to keep, and a page to explore."""

from pathlib import Path
from typing import Annotated

import typer

from qbsweep.cli.options import DirectoryOrPack, example
from qbsweep.store.directory import RunDirectory, existing

app = typer.Typer()
_DIR = RunDirectory(Path("DIR"))


@app.command("report", epilog=example("report", "runs/fig1", "--png"))
def report_command(
    directory: DirectoryOrPack,
    out: Annotated[Path | None, typer.Option("--out", help=f"The page; default {_DIR.report}.")] = None,
    png: Annotated[
        bool, typer.Option("--png", help=f"Write figures for print, 86 mm wide, to {_DIR.figures} too.")
    ] = False,
) -> None:
    """Write one HTML page with figures, tables and provenance.

    It opens without a network.
    """
    from qbsweep.api.result import Run

    page = Run(directory).report(out, png)
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB, open it in a browser")
    if png:
        figures = existing(directory).figures
        print(f"{figures}: {len(list(figures.glob('*.png')))} figures")


@app.command("explore", epilog=example("explore", "runs/quickstart", "--port", "5006"))
def explore_command(
    directory: DirectoryOrPack,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Explore a dataset in the browser; Ctrl-C ends it.

    Choose variable, axes and values. For this machine only.
    """
    from qbsweep.api.result import Run

    Run(directory).serve(port, browser=not no_browser)
