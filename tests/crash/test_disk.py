"""The disk that power cuts are replayed on, and what is told to be on it."""

import os
import random
from collections.abc import Callable
from pathlib import Path

from qbsweep.api import keep
from qbsweep.runs import opening
from qbsweep.runs.block import Task, solve_block
from qbsweep.store.disk import PARTIAL, replace_file

from .disk import Cut
from .judging import BLOCK_SECONDS, SOLVED, load, load_plainly, points, run, solving
from .recording import recorded
from .sweeps import moments


def outcomes(tmp_path: Path, act: Callable[[Path], object], count: int = 200) -> set[tuple[tuple[str, bytes], ...]]:
    """All that may be on the disk when the power is cut after `act`, beside a synced file `old`."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "old").write_bytes(b"old")
    with recorded(root) as recording:
        act(root)
    chance, found = random.Random(1), set()
    for number in range(count):
        place = tmp_path / f"{number}"
        Cut(recording, len(recording.log)).some(place, chance)
        found.add(tuple((file.name, file.read_bytes()) for file in sorted(place.iterdir())))
    return found


def test_what_was_not_synced_may_be_missing_or_torn(tmp_path: Path) -> None:
    found = outcomes(tmp_path, lambda root: (root / "new").write_bytes(b"new"))
    files = {dict(files).get("new") for files in found}
    assert {None, b"", b"new", bytes(3)} < files
    assert {dict(files)["old"] for files in found} == {b"old"}


def test_a_rename_before_its_content_may_leave_an_empty_file(tmp_path: Path) -> None:
    def replace(root: Path) -> None:
        (root / "new").write_bytes(b"new")
        (root / "new").replace(root / "old")

    files = {dict(files).get("old") for files in outcomes(tmp_path, replace)}
    assert {b"", b"old", b"new"} < files
    assert None not in files, "a replacement is one step"


def test_a_safe_replacement_is_there(tmp_path: Path) -> None:
    found = outcomes(tmp_path, lambda root: replace_file(root / "old", b"new", safe=True))
    assert found == {(("old", b"new"),)}


def test_a_synced_file_in_a_directory_that_was_not_may_be_missing(tmp_path: Path) -> None:
    def write(root: Path) -> None:
        with (root / "new").open("wb") as file:
            file.write(b"new")
            file.flush()
            os.fsync(file.fileno())

    assert {dict(files).get("new") for files in outcomes(tmp_path, write)} == {None, b"new"}


def stopped_before_the_last_fold(out: Path) -> str:
    """Solve every block, and fold none; returns the id of the dataset."""
    from qbsweep.api.running import given

    with opening.locked(out) as directory:
        store = opening.prepare(given(moments()), directory, BLOCK_SECONDS)
        for number in range(store.grid.n_blocks):
            assert not solve_block(Task(str(out), store.id, number)).error
    return store.id


def test_a_block_is_on_the_disk_once_it_is_written(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with solving(per_chunk=4), recorded(root) as recording:
        stopped_before_the_last_fold(root / "runs" / "out")
    Cut(recording, len(recording.log)).least(tmp_path / "least")
    assert len(points(load(tmp_path / "least" / "runs" / "out"), *SOLVED)) == 16


def test_blocks_of_a_complete_run_come_into_the_dataset(tmp_path: Path) -> None:
    with solving(per_chunk=4):
        stopped_before_the_last_fold(tmp_path)
        assert not points(load_plainly(tmp_path), *SOLVED)
        run(moments(), tmp_path)
        assert len(points(load_plainly(tmp_path), *SOLVED)) == 16
        assert not (tmp_path / "blocks").exists()


def test_what_a_power_cut_leaves_is_no_damage(tmp_path: Path) -> None:
    with solving(per_chunk=1):
        run(moments(), tmp_path)
    data = tmp_path / "data.zarr"
    (data / "verdict" / f".c.0.0.0.0.0.0123456789abcdef{PARTIAL}").write_bytes(b"")
    status = sorted((data / "status").glob("c.*"))[0]
    status.unlink()
    found = keep.check(tmp_path, repair=False, points=0)
    assert found.damages == []
    assert found.notes == [
        "events.jsonl has 1 block as finished that `run` has to solve again",
        f"{status} is missing",
    ]
