"""The command that holds the paper's claims against the exact solution."""

import json
from typing import Annotated

import typer

from qbsweep.cli.options import example
from qbsweep.errors import QbsweepError

app = typer.Typer()


@app.command("verify", epilog=example("verify"))
def verify_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a claim.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
) -> None:
    """Test the paper's claims against the exact solution.

    A claim holds as printed, holds with a correction that is tested as well, or does not hold for a reason that is
    tested. One that fails for any other reason is undecided, and the exit code is 1; else it is 0.
    """
    from rich.console import Console

    from qbsweep.api.paper import verify
    from qbsweep.cli.verdicts import verdict_table

    if as_json and as_markdown:
        raise QbsweepError("`--json` and `--markdown` are two formats of the same table; choose one")
    verdicts = verify()
    if as_json:
        print(json.dumps(verdicts.to_json(), indent=1, ensure_ascii=False))
    elif as_markdown:
        print(verdicts.to_markdown())
    else:
        Console().print(verdict_table(verdicts))
        print(verdicts)
    raise typer.Exit(int(verdicts.undecided > 0))
