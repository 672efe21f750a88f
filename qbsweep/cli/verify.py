"""The command that holds the paper's claims against the exact solution."""

import json
from typing import Annotated

import typer

from qbsweep.errors import QbsweepError

app = typer.Typer()


@app.command("verify")
def verify_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a claim.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
) -> None:
    """Test the paper's claims against the exact solution; exit code 0 if every one of them could be decided.

    A claim holds as printed, holds with a correction that is tested as well, or does not hold for a reason that is
    tested. One that fails for any other reason is undecided, and the exit code is 1.
    """
    from rich.console import Console

    from qbsweep.claims import ledger
    from qbsweep.claims import paper as claims
    from qbsweep.cli.verdicts import totals, verdict_table

    if as_json and as_markdown:
        raise QbsweepError("`--json` and `--markdown` are two formats of the same table; choose one")
    rows = claims.check_all()
    if as_json:
        print(json.dumps([row.to_json() for row in rows], indent=1, ensure_ascii=False))
    elif as_markdown:
        print(ledger.markdown(rows))
    else:
        console = Console()
        console.print(verdict_table(rows))
        console.print(totals(rows))
    raise typer.Exit(int(any(row.verdict == ledger.UNDECIDED for row in rows)))
