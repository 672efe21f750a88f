"""The command that turns a dataset into physics."""

import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from qbsweep.cli.options import AsJson, DirectoryOrPack, example
from qbsweep.errors import QbsweepError

app = typer.Typer()


class _Command(TyperCommand):
    """Takes the window as one word, 10,50, or as two, 10 50."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--window" in args[:-2]:
            at = args.index("--window") + 1
            if all(word.isdecimal() for word in args[at : at + 2]):
                args = [*args[:at], ",".join(args[at : at + 2]), *args[at + 2 :]]
        return super().parse_args(ctx, args)


def _window(text: str) -> tuple[int, int]:
    numbers = re.fullmatch(r"\s*(\d{1,9})\s*[, :]\s*(\d{1,9})\s*", text)
    if numbers is None:
        raise QbsweepError(f"`--window` must be the smallest and the largest N, like 10,50, but is '{text}'")
    return int(numbers[1]), int(numbers[2])


@app.command("analyze", cls=_Command, epilog=example("analyze", "runs/fig1", "--refine", "1e-9", "--window", "10,50"))
def analyze_command(
    directory: DirectoryOrPack,
    tolerance: Annotated[
        float | None,
        typer.Option("--refine", help="Sample around the maxima until J_op is known to this relative tolerance."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="N,N", help="Smallest and largest N of the scaling exponents; default: all."),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(metavar="OUTPUT", help="What is maximised, compared, averaged; default: energy_terminal."),
    ] = None,
    along: Annotated[
        str | None,
        typer.Option(metavar="AXIS", help="What is optimised and differentiated by; default: J, or an imperfection."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find optima, exponents, ratios, times and means over seeds.

    Tables are printed, and written with all the rest to the folder `analysis` of the run.
    """
    from qbsweep.api.result import Run

    limits = None if window is None else _window(window)
    run = Run(directory)
    if tolerance is not None:
        run.refine(tolerance, of or "energy_terminal", along)
    results = run.analyze(limits, of=of, along=along)
    print(results.to_json() if as_json else results)
