"""Power cuts for real, where root may make file systems."""

import random

import pytest

from ..benchmarks import powercuts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_copies_of_a_disk() -> None:
    if not powercuts.is_possible():
        pytest.skip("making a file system needs root and loop devices")
    found = powercuts.real_cut(random.Random(1), "extension", cuts_per_run=2)
    assert [problems for problems in found if problems] == []
