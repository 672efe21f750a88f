"""Processes that are killed in the middle of what they do to a run directory.

A few: `tests/benchmarks/powercuts.py` kills by the hundred.
"""

import pytest

from .kills import kills
from .operations import OPERATIONS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NAMED = {operation.name: operation for operation in OPERATIONS}


@pytest.mark.parametrize(("name", "per_chunk"), [("extension of a half", 4), ("merge", 1)])
def test_kills(name: str, per_chunk: int) -> None:
    found = list(kills(NAMED[name], per_chunk, count=2, seed=1))
    assert [(at, problems) for at, problems in found if problems] == []
