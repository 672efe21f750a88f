"""The command that holds the paper's claims against the exact solution."""

import json
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qbsweep.claims import ledger
from qbsweep.cli.tables import plain_table
from qbsweep.errors import QbsweepError

app = typer.Typer()
_COLOURS = {ledger.HOLDS: "green", ledger.CORRECTED: "yellow", ledger.FAILS: "red", ledger.UNDECIDED: "bold magenta"}


@app.command("verify")
def verify_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a claim.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
) -> None:
    """Test the paper's claims against the exact solution; exit code 0 if every one of them could be decided.

    A claim holds as printed, holds with a correction that is tested as well, or does not hold for a reason that is
    tested. One that fails for any other reason is undecided, and the exit code is 1.
    """
    from qbsweep.claims import paper as claims  # QuTiP and scipy cost seconds that other commands need not pay

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


def verdict_table(rows: list[ledger.Row]) -> Table:
    """Tabulate the ledger; the numbers of a claim and their bound say how it did as printed."""
    table = plain_table("claim", "verdict, as printed", "computed, and why")
    table.show_lines = True
    for column, width in zip(table.columns, (26, 22), strict=False):
        column.width = width
    for row in rows:
        told = f"{row.computed}\n→ {row.explanation}" if row.reason else row.computed
        judged = Text(row.verdict, _COLOURS[row.verdict]).append(f"\n{row.printed}", "default")
        table.add_row(Text(f"{row.claim}\n{row.equation}"), judged, Text(told))
    return table


def totals(rows: list[ledger.Row]) -> str:
    """Count the verdicts."""
    count = Counter(row.verdict for row in rows)
    words = {ledger.HOLDS: "hold", ledger.CORRECTED: "hold with a correction", ledger.FAILS: "do not hold"}
    return f"{len(rows)} claims: " + ", ".join(f"{count[word]} {words.get(word, word)}" for word in _COLOURS)
