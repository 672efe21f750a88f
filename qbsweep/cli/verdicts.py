"""The table of the paper's claims, for the terminal."""

from collections import Counter

from rich.table import Table
from rich.text import Text

from qbsweep.claims import ledger
from qbsweep.cli.tables import plain_table

_COLOURS = {ledger.HOLDS: "green", ledger.CORRECTED: "yellow", ledger.FAILS: "red", ledger.UNDECIDED: "bold magenta"}


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
