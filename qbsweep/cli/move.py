"""The commands that list runs and take them elsewhere: `ls`, `pack`, `unpack`, `export`, `mv`, `rm`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from qbsweep.cli.options import AsJson, Directory, DirectoryOrPack, example
from qbsweep.errors import QbsweepError
from qbsweep.text import command, size_of

app = typer.Typer()


@app.command("ls", epilog=example("ls", "runs"))
def ls_command(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to look; default runs, or here.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List runs with their states, points, sizes and ages."""
    from dataclasses import asdict

    from qbsweep.api.listing import ls

    found = ls(directory)
    listed = [{**asdict(run), "path": str(run.path)} for run in found]
    print(json.dumps(listed) if as_json else found)


@app.command("pack", epilog=example("pack", "runs/fig1"))
def pack_command(
    directory: Directory,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The file; default DIR.qbz.", show_default=False)
    ] = None,
) -> None:
    """Write a run into one file, for a move or an archive.

    Every command that only reads a run takes the file as well.
    """
    from qbsweep.api.move import pack

    packed = pack(directory, file)
    print(f"{packed}: {size_of(packed.stat().st_size)}; `{command('unpack', packed)}` makes a directory of it again")


@app.command("unpack", epilog=example("unpack", "runs/fig1.qbz"))
def unpack_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `pack` has written.", show_default=False)],
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="The run directory; default FILE without .qbz.", show_default=False),
    ] = None,
) -> None:
    """Make a run directory of a pack, every byte of it checked."""
    from qbsweep.api.move import unpack

    print(unpack(file, directory).path)


@app.command("export", epilog=example("export", "runs/fig1", "--csv", "fig1.csv"))
def export_command(
    directory: DirectoryOrPack,
    csv: Annotated[Path | None, typer.Option("--csv", help="A table as text.", show_default=False)] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="A table; needs pyarrow.", show_default=False)
    ] = None,
    netcdf: Annotated[Path | None, typer.Option("--netcdf", help="The whole dataset.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Columns for fixed parameters too.")] = False,
) -> None:
    """Write a dataset for other programs.

    A table has a row for every point, or for every mode and time of it, and units in the names of its columns.
    """
    from qbsweep.api.move import export

    wanted = [(kind, file) for kind, file in (("csv", csv), ("parquet", parquet), ("netcdf", netcdf)) if file]
    if not wanted:
        raise QbsweepError("`export` needs one of --csv, --parquet or --netcdf, with the name of a file")
    for kind, file in wanted:
        written = export(directory, file, kind, everything)
        print(f"{written}: {size_of(written.stat().st_size)}")


@app.command("mv", epilog=example("mv", "runs/fig1", "/scratch/fig1"))
def mv_command(
    directory: DirectoryOrPack,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Its new name.", show_default=False)],
) -> None:
    """Move a run, to another file system too.

    Refuses one that somebody runs.
    """
    from qbsweep.api.move import mv

    print(mv(directory, target))


@app.command("rm", epilog=example("rm", "runs/quickstart", "--yes"))
def rm_command(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories, or packs.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove runs with all their results.

    Refuses one that somebody runs.
    """
    from qbsweep.api.move import require_removable, rm

    directories = list(dict.fromkeys(directories))
    for path in directories:  # all, before the first is gone
        require_removable(path)
    if not yes and not sys.stdin.isatty():
        raise QbsweepError("`rm` removes all results; `--yes` says that it may")
    for path in directories:
        if yes or typer.confirm(f"remove {path} with all its results?"):
            rm(path)
            print(f"{path} is removed")
