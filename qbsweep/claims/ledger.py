"""A ledger of claims: what was measured, and the verdict that follows from it.

A claim is measured as it is printed. If that fails, a correction of it may be measured, and if there is none the
reason for its failure: a claim that fails for another reason than the one beside it is undecided.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

HOLDS = "holds"
CORRECTED = "holds with a correction"
FAILS = "does not hold"
UNDECIDED = "undecided"
VERDICTS = (HOLDS, CORRECTED, FAILS, UNDECIDED)


@dataclass(frozen=True, slots=True)
class Measure:
    """A number and the bound that it has to keep.

    Attributes
    ----------
    value, bound : float
    at_least : bool
        Whether the value must be at least `bound`; otherwise at most.
    name : str
        What the number is, where that is not plain.
    """

    value: float
    bound: float
    at_least: bool = False
    name: str = ""

    @property
    def passes(self) -> bool:
        """Whether the bound is kept; NaN keeps none."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        relations = ("≥", "<") if self.at_least else ("≤", ">")
        digits = 3 if abs(self.value - self.bound) > 0.01 * abs(self.bound) else 7
        if abs(self.value) < 1e-9:  # rounding, which differs from one machine to the next
            digits = 1
        text = f"{self.value:.{digits}g} {relations[not self.passes]} {self.bound:.3g}"
        return f"{self.name} {text}" if self.name else text

    def to_json(self) -> dict[str, Any]:
        """Return the measure as plain data; a number that is none is null."""
        number = self.value if math.isfinite(self.value) else None
        return {"number": number, "bound": self.bound, "bound_is": "least" if self.at_least else "most"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the test of a claim measured.

    Attributes
    ----------
    computed : str
        What was computed, with numbers worth knowing.
    printed : Measure
        The claim as it is printed.
    corrected : tuple of Measure
        The claim with its correction, which holds if all of them pass; empty if there is none.
    explained : tuple of Measure
        The reason why no correction saves the claim, which is right if all of them pass.
    reason : str
        The correction, or the reason, in words.
    """

    computed: str
    printed: Measure
    corrected: tuple[Measure, ...] = ()
    explained: tuple[Measure, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement, where it is printed, and the function that tests it."""

    statement: str
    equation: str
    test: Callable[[], Finding]


@dataclass(frozen=True, slots=True)
class Row:
    """A claim with its verdict and the number that decides it.

    Attributes
    ----------
    claim, equation, computed, verdict : str
    printed : Measure
        The claim as it is printed.
    reason : str
        The correction, or why there is none; empty if the claim holds.
    tested : tuple of Measure
        What the reason rests on.
    """

    claim: str
    equation: str
    computed: str
    verdict: str
    printed: Measure
    reason: str = ""
    tested: tuple[Measure, ...] = ()

    @property
    def explanation(self) -> str:
        """The reason with the numbers that it rests on; empty if the claim holds."""
        numbers = "; ".join(map(str, self.tested))
        return f"{self.reason} [{numbers}]" if numbers else self.reason

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {
            "claim": self.claim,
            "equation": self.equation,
            "computed": self.computed,
            "verdict": self.verdict,
            **self.printed.to_json(),
            "reason": self.reason,
            "tested": [{"name": measure.name, **measure.to_json()} for measure in self.tested],
        }


def verdict(finding: Finding) -> str:
    """Judge a finding: by the claim as printed, then by its correction, then by the reason for its failure."""
    if finding.printed.passes:
        return HOLDS
    for measures, word in ((finding.corrected, CORRECTED), (finding.explained, FAILS)):
        if measures and all(measure.passes for measure in measures):
            return word
    return UNDECIDED


def check(claim: Claim) -> Row:
    """Test a claim; a test that breaks leaves it undecided."""
    try:
        finding = claim.test()
    except Exception as error:  # one broken test is one undecided row, not the end of the ledger
        broken = f"the test broke: {type(error).__name__}: {error}"
        return Row(claim.statement, claim.equation, "nothing", UNDECIDED, Measure(math.nan, 0.0), broken)
    word = verdict(finding)
    told = {
        HOLDS: ("", ()),
        CORRECTED: (finding.reason, finding.corrected),
        FAILS: (finding.reason, finding.explained),
        UNDECIDED: (f"it fails, and not for this reason: {finding.reason}", finding.corrected + finding.explained),
    }
    return Row(claim.statement, claim.equation, finding.computed, word, finding.printed, *told[word])


def markdown(rows: Iterable[Row]) -> str:
    """Write the ledger as a table in Markdown."""
    lines = ["| claim | where | verdict | as printed | computed, and why |", "|---|---|---|---|---|"]
    for row in rows:
        told = f"{row.computed} → {row.explanation}" if row.reason else row.computed
        cells = (row.claim, row.equation, row.verdict, str(row.printed), told)
        lines.append("| " + " | ".join(cell.replace("|", r"\|").replace("*", r"\*") for cell in cells) + " |")
    return "\n".join(lines)
