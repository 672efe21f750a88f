"""Measure the accuracy of the moment solver on random points, for docs/benchmarks/accuracy.json: `make accuracy`.

python -m tests.accuracy.record [COUNT]

Exact values are kept in build/accuracy: a run that was ended goes on where it was.
"""

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from qbsweep.physics.verdicts import NUMERICAL_TOLERANCE

from ..benchmarks.record import machine
from .judge import IN_TIME, OF_BATH, STEADY, Verdict, judge
from .points import COUNT, SEED, Point, described, drawn
from .truths import Truths

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "benchmarks" / "accuracy.json"
Judged = list[tuple[Point, Verdict]]


def measured(count: int) -> Judged:
    """Judge the first points, and say now and then how far it is."""
    truths, judged, begun = Truths(ROOT / "build" / "accuracy" / "truths.jsonl"), [], time.monotonic()
    for number in range(count):
        point = drawn(number)
        judged.append((point, judge(point, truths.of(point))))
        if time.monotonic() - begun > 60:
            begun = time.monotonic()
            print(f"{number + 1} of {count} points, {sum(not v.is_kept for _, v in judged)} outside", flush=True)
    return judged


def summary(judged: Judged) -> dict[str, Any]:
    """What the table in the documentation says."""
    kinds = sorted({point.kind for point, _ in judged})
    groups = {
        f"{kind}, {when}": [(p, v) for p, v in judged if p.kind == kind and bool(p.times) == (when == "in time")]
        for when in ("steady", "in time")
        for kind in kinds
    }
    worst = sorted((one for one in judged if not one[1].is_marked), key=lambda one: -one[1].ratio)[:10]
    return {
        "measured": "; ".join(machine().splitlines()),
        "seed": SEED,
        "points": len(judged),
        "promised": promised(),
        "groups": {name: _counts(v for _, v in group) for name, group in groups.items() if group},
        "all": _counts(v for _, v in judged),
        "worst": [
            {"point": p.number, "words": described(p), "ratio": _rounded(v.ratio), "error": _rounded(v.error)}
            | {"numerical_error": _rounded(v.estimate)}
            for p, v in worst
        ],
    }


def promised() -> dict[str, float]:
    """Relative errors, the share of the bath's photon number on top, and where a point is marked."""
    return {"steady": STEADY, "in time": IN_TIME, "of the bath": OF_BATH, "marked above": NUMERICAL_TOLERANCE}


def _counts(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    everything = list(verdicts)
    unmarked = [v for v in everything if not v.is_marked]
    errors = [v.error for v in unmarked] or [0.0]
    return {
        "points": len(everything),
        "outside": sum(not v.is_kept for v in everything),
        "marked": len(everything) - len(unmarked),
        "marked_needlessly": sum(v.is_marked and v.ratio <= 1 for v in everything),
        "worst_ratio": _rounded(max((v.ratio for v in unmarked), default=0.0)),
        "median_error": _rounded(float(np.median(errors))),
        "error_of_99_percent": _rounded(float(np.quantile(errors, 0.99))),
        "underestimated": sum(v.error > v.estimate and v.ratio > 1 for v in everything),
    }


def claim(table: dict[str, Any]) -> str:
    """Say what the pages say of it; a test holds their text against the record."""
    every, promise = table["all"], {name: _short(value) for name, value in table["promised"].items()}
    return (
        f"Of {table['points']:,} random points held against 900-bit arithmetic, {every['outside'] or 'none'} is off by "
        f"more than {promise['steady']} of its value ({promise['in time']} in time) plus {promise['of the bath']} of "
        f"the bath's photon number without being marked, and {every['marked']} are marked; half of the others are "
        f"within {_short(every['median_error'])}, 99 % within {_short(every['error_of_99_percent'])}."
    )


def _short(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-")


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def main(count: str = str(COUNT)) -> int:
    """Write the table; the exit status says whether every point is within the promise or marked."""
    table = summary(measured(int(count)))
    text = json.dumps(table, indent=1) + "\n"
    print(text, claim(table), sep="")
    if int(count) == COUNT:
        TABLE.write_text(text)
    return min(table["all"]["outside"], 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
