"""The table of the paper's claims, for the terminal."""

from rich import box
from rich.table import Table
from rich.text import Text

from qbsweep.claims import ledger

_COLOURS = dict(zip(ledger.VERDICTS, ("green", "yellow", "red", "bold magenta"), strict=True))


def verdict_table(rows: list[ledger.Row]) -> Table:
    """Tabulate the ledger; the numbers of a claim and their bound say how it did as printed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    for name, width in (("claim", 26), ("verdict, as printed", 22), ("computed, and why", None)):
        table.add_column(name, width=width)
    for row in rows:
        told = f"{row.computed}\n→ {row.explanation}" if row.reason else row.computed
        judged = Text(row.verdict, _COLOURS[row.verdict]).append(f"\n{row.printed}", "default")
        table.add_row(Text(f"{row.claim}\n{row.equation}"), judged, Text(told))
    return table
