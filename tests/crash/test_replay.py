"""Power cuts, replayed from what an operation does to files."""

import pytest

from .operations import OPERATIONS, Operation
from .replay import cuts

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("per_chunk", [1, 4])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_power_cuts(operation: Operation, per_chunk: int) -> None:
    verdicts = list(cuts(operation, per_chunk, count=6, seed=1))
    assert [(one.at, one.problems) for one in verdicts if one.problems] == []
