"""Processes that are killed in the middle of what they do to a run directory."""

import pytest

from .kills import kills
from .operations import OPERATIONS, Operation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("per_chunk", [1, 4])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_kills(operation: Operation, per_chunk: int) -> None:
    found = list(kills(operation, per_chunk, count=5, seed=1))
    assert [(at, problems) for at, problems in found if problems] == []
