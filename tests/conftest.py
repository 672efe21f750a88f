"""Fixtures of all tests."""

import os
from collections.abc import Callable

import hypothesis
import pytest

from . import command

# Every process of the tests is single-threaded, as the workers are.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

hypothesis.settings.register_profile("qbsweep", deadline=None, max_examples=40, derandomize=True)
hypothesis.settings.load_profile("qbsweep")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of slow tests, so that no core idles while the last of them ends."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def qbsweep() -> Callable[..., command.Outcome]:
    """The command line, called in this process."""
    return command.qbsweep
