"""The commands that keep a run: `check`, `compact`, `upgrade`."""

from typing import Annotated

import typer

from qbsweep.cli.options import AsJson, Directory, DirectoryOrPack, example, json_of

app = typer.Typer()


@app.command("check", epilog=example("check", "runs/fig1", "--recompute", "100"))
def check_command(
    directory: DirectoryOrPack,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Make the points of damaged files pending, so that `run` solves them; put damaged samples of "
            "`analyze --refine` aside, and remove damaged analyses.",
        ),
    ] = False,
    recompute: Annotated[int, typer.Option(min=0, help="Solve so many random points again, and compare.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say which files of a dataset are not what was written.

    Exit code 0 sound (or mended), 1 damaged, 3 a point that was solved again has other numbers.
    """
    from dataclasses import asdict

    import qbsweep

    found = qbsweep.open(directory).check(repair=repair, recompute=recompute)
    print(json_of({**asdict(found), "exit_code": found.exit_code}) if as_json else found)
    raise typer.Exit(found.exit_code)


@app.command("compact", epilog=example("compact", "runs/convergence"))
def compact_command(directory: Directory) -> None:
    """Make the many files of a run that was killed few.

    A run that ends does so itself.
    """
    import qbsweep
    from qbsweep.text import counted

    count = qbsweep.open(directory).compact()
    print(
        f"brought {counted(count, 'block')} into the dataset"
        if count
        else "nothing to do: all finished blocks are there"
    )


@app.command("upgrade", epilog=example("upgrade", "runs/fig1"))
def upgrade_command(directory: Directory) -> None:
    """Bring the dataset of an earlier version up to date.

    It keeps all results.
    """
    import qbsweep

    changed = qbsweep.open(directory).upgrade()
    print("the dataset has the current format now" if changed else "nothing to do: the dataset has the current format")
