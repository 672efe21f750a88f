"""Single damaged files: a few of the flips and mutations that `tests/benchmarks` tries by the thousand."""

from pathlib import Path

import pytest

from ..benchmarks import flips, mutations
from .damage import WRONG, Table, files, kind, subject
from .judging import solving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# What plain xarray cannot know: to Zarr a chunk that is missing, or is that of another place, is right.
BEYOND_ZARR = {("xarray", WRONG)}


def assert_nothing_passes_for_right(table: Table) -> None:
    bad = {key: example for key, example in table.bad.items() if key[1:] not in BEYOND_ZARR}
    assert not bad


@pytest.mark.parametrize("state", ["lindblad, finished"])
def test_flipped_bits(state: str) -> None:
    table = flips.table(state, count=2, seed=1)
    assert not table.bad


@pytest.mark.parametrize("state", ["moments, half"])
def test_damaged_files(state: str) -> None:
    by_file, _ = mutations.tables(state, every=400, analyze=5)
    assert_nothing_passes_for_right(by_file)


def test_a_folder_in_the_place_of_a_block(tmp_path: Path) -> None:
    one = subject("moments, half", tmp_path)
    block = next(file for file in files(one.out) if kind(file) == "block")
    with solving(per_chunk=2):
        found = one.damaged(mutations.made_a_folder, block, analyze=False)
    words = {way: word for way, (word, _) in found.items()}
    assert words == {
        "status": "pending",
        "read": "pending",
        "xarray": "right",
        "check": "told",
        "run": "right",
        "read after": "right",
        "repair, run": "right",
    }
