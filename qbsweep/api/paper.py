"""The paper's claims against the exact solution."""

from collections import Counter

from qbsweep.claims import ledger, paper


class Verdicts(list[ledger.Row]):
    """The verdict on every claim, which shows as the table of the ledger."""

    def __repr__(self) -> str:
        counted = ", ".join(f"{count} {verdict}" for verdict, count in Counter(row.verdict for row in self).items())
        return f"{len(self)} claims: {counted}"

    def _repr_markdown_(self) -> str:
        return ledger.markdown(self)


def verify() -> Verdicts:
    """Test the paper's claims against the exact solution; takes some seconds.

    Returns
    -------
    list of Row
        `claim`, `equation`, `verdict` ('holds', ...), `computed`, `explanation` of each.
    """
    return Verdicts(paper.check_all())
