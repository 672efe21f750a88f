"""The commands that take several runs: `merge`, `diff`."""

from pathlib import Path
from typing import Annotated

import typer

from qbsweep.cli.options import AsJson, example, json_of
from qbsweep.store.directory import RunDirectory
from qbsweep.text import command

app = typer.Typer()


@app.command("merge", epilog=example("merge", "runs/a", "runs/b", "--out", "runs/both"))
def merge_command(
    runs: Annotated[list[Path], typer.Argument(metavar="DIR DIR...", help="Runs, or packs.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The new run directory.", show_default=False)],
) -> None:
    """Make one run of several, with the points of all.

    Points that none of them has are pending. Runs that contradict each other are not merged.
    """
    import qbsweep

    merged = qbsweep.merge(*runs, out=out)
    state = merged.status()
    print(", ".join(f"{state[name]:,} {name}" for name in ("ok", "suspect", "failed", "pending")))
    if state["pending"]:
        print(f"the rest: {command('run', RunDirectory(merged.path).sweep_file, '--out', merged.path)}")


@app.command("diff", epilog=example("diff", "runs/a", "runs/b"))
def diff_command(
    first: Annotated[Path, typer.Argument(metavar="A", help="A run, or a pack.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Say in what two runs differ.

    Compares sweeps, versions, and the numbers of points that both have. Exit code 0 the same, 1 not.
    """
    from dataclasses import asdict

    import qbsweep

    found = qbsweep.diff(first, second)
    print(json_of({**asdict(found), "equal": found.equal}) if as_json else found)
    raise typer.Exit(0 if found.equal else 1)
