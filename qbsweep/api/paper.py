"""The paper's claims against the exact solution."""

from collections import Counter
from typing import Any

from qbsweep.claims import ledger, paper


class Verdicts(list[ledger.Row]):
    """The verdict on every claim, which shows as the table of the ledger."""

    @property
    def undecided(self) -> int:
        """Number of claims that could not be decided."""
        return sum(row.verdict == ledger.UNDECIDED for row in self)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the verdicts as plain data, what ``qbsweep verify --json`` prints."""
        return [row.to_json() for row in self]

    def to_markdown(self) -> str:
        """Return a table in Markdown."""
        return ledger.markdown(self)

    def __repr__(self) -> str:
        count = Counter(row.verdict for row in self)
        words = {ledger.HOLDS: "hold", ledger.CORRECTED: "hold with a correction", ledger.FAILS: "do not hold"}
        return f"{len(self)} claims: " + ", ".join(f"{count[v]} {words.get(v, v)}" for v in ledger.VERDICTS)

    _repr_markdown_ = to_markdown


def verify() -> Verdicts:
    """Test the paper's claims against the exact solution; takes some seconds.

    Returns
    -------
    list of Row
        `claim`, `equation`, `verdict`, `printed`, `computed` and `reason` of each; shows as a table.
    """
    return Verdicts(paper.check_all())
