"""The commands that turn a dataset into physics."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from qbsweep.solvers.status import FAILED, PENDING, STATUS_NAMES, SUSPECT

if TYPE_CHECKING:
    import xarray as xr

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
console = Console(soft_wrap=True)
_WIDEST = 400


@app.command("analyze")
def analyze_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")],
    tolerance: Annotated[
        float | None,
        typer.Option("--refine", help="Sample around the maxima until J_op is known to this relative tolerance."),
    ] = None,
    window: Annotated[
        tuple[int, int] | None, typer.Option(help="Smallest and largest N of the scaling exponents; default: all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find optimal couplings, scaling exponents, ratios, windows and charging times; write DIR/analysis."""
    import xarray as xr

    from qbsweep.analysis import files as results
    from qbsweep.analysis import refine
    from qbsweep.analysis import registry as analysis
    from qbsweep.cli import tables
    from qbsweep.runs.opening import open_run
    from qbsweep.store.dataset import readable

    run_directory, _ = open_run(directory)
    if tolerance is not None:
        refine.refine(directory, tolerance, track=_with_bar)
    refined = refine.open_refined(directory)
    with readable(run_directory.data), xr.open_zarr(run_directory.data, chunks=None) as ds:
        found, left_out = analysis.analyze(ds, refined=refined, window=window)
        unused = _unused_points(ds)
    results.save(found, run_directory)
    if as_json:
        print(results.as_json(found, left_out))
        return
    for result in found.values():
        table = tables.analysis_table(result)
        width = console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
        console.width = max(console.width, width)  # a terminal folds a long row better than a table its cells
        console.print(table)
    if unused:
        console.print(f"left out of everything: {unused} points")
    for error in left_out.values():
        console.print(f"not done: {error}", highlight=False, markup=False)
    if refined is not None:
        count = int((refined["status"] != PENDING).sum())
        users = ", ".join(name for name, one in analysis.ANALYSES.items() if "refined" in one.options)
        console.print(f"{users}: {count:,} samples more, of {run_directory.refined}", highlight=False)
    console.print(f'xarray.open_datatree("{run_directory.analysis_data}"), tables as CSV beside it', highlight=False)


def _with_bar(curves: Iterable[Any]) -> Iterable[Any]:
    from rich.progress import track

    bar = Console(stderr=True)  # stdout is for results
    return track(curves, "refining", console=bar, transient=True, disable=not bar.is_terminal)


def _unused_points(ds: "xr.Dataset") -> str:
    counts = {name: int((ds["status"] == code).sum()) for code, name in STATUS_NAMES.items()}
    names = [STATUS_NAMES[code] for code in (PENDING, FAILED, SUSPECT)]
    return ", ".join(f"{counts[name]:,} {name}" for name in names if counts[name])
