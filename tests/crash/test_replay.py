"""Power cuts, replayed from what an operation does to files.

A few: `tests/benchmarks/powercuts.py` cuts by the hundred.
"""

import pytest

from .operations import OPERATIONS
from .replay import cuts

pytestmark = pytest.mark.timeout(600)
NAMED = {operation.name: operation for operation in OPERATIONS}
FEW = [
    ("resume", 4),
    ("extension of a half", 4),
    ("retry", 1),
    ("upgrade", 4),
    ("first run, fast", 1),
    ("resume, fast", 4),
    ("retry, fast", 4),
    ("first run, in pieces", 4),
]


@pytest.mark.parametrize(("name", "per_chunk"), FEW)
def test_power_cuts(name: str, per_chunk: int) -> None:
    verdicts = list(cuts(NAMED[name], per_chunk, count=2, seed=1))
    assert [(one.at, one.problems) for one in verdicts if one.problems] == []
