"""Writers that sleep, come late, or find no room: what they do to a dataset that others go on with."""

import errno
import itertools
import random
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qbsweep as qb
from qbsweep.api.running import given
from qbsweep.errors import QbsweepError
from qbsweep.runs import opening
from qbsweep.runs.block import Task, solve_block
from qbsweep.runs.box import Solution
from qbsweep.solvers.status import FAILED, OK
from qbsweep.store import blocks, chunks, mending, seals
from qbsweep.store.chunks import LAST, Chunks
from qbsweep.store.dataset import Store
from qbsweep.store.disk import PARTIAL
from qbsweep.store.grid import Indices
from qbsweep.sweeps.spec import SweepSpec

from .judging import BLOCK_SECONDS, SOLVED, failing, judge, load, points, remembered, run, solving
from .sweeps import COUPLINGS, larger, moments

VALUES = ("energy_t", "energy_terminal", LAST)


def started(out: Path, blocks: tuple[int, ...] = ()) -> Store:
    """Allocate the dataset, and solve some blocks."""
    with opening.locked(out) as directory:
        store = opening.prepare(given(moments()), directory, BLOCK_SECONDS)
    for number in blocks:
        written(out, store, number)
    return store


def written(out: Path, store: Store, number: int) -> None:
    assert not solve_block(Task(str(out), store.id, number)).error


def goes_on(out: Path, promised: int) -> None:
    there = points(load(out), *SOLVED)
    assert len(there) >= promised
    assert judge(out, moments(), there, random.Random(1)) == []


def at(monkeypatch: pytest.MonkeyPatch, variable: str, act: Callable[[], Any]) -> None:
    """Do something once, after a file of a variable was renamed into its place."""
    rename, acted = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        done = rename(self, target)
        if Path(target).parent.name == variable and not acted:
            acted.append(True)
            act()
        return done

    monkeypatch.setattr(Path, "replace", replace)


def test_a_driver_that_slept_while_another_finished_undoes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, slept = chunks.stage, []

    def sleepy(path: Path, content: Any, safe: bool) -> Path:
        staged = stage(path, content, safe)
        if not slept:
            slept.append(True)
            run(moments(), tmp_path)
        return staged

    with solving(per_chunk=4):
        store = started(tmp_path, (0, 1))
        monkeypatch.setattr(chunks, "stage", sleepy)
        store.fold(0)
        assert slept
        goes_on(tmp_path, 16)


def test_a_driver_that_slept_while_the_dataset_was_replaced_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Chunks.commit
    with solving(per_chunk=4):
        store = started(tmp_path, (0, 1))

        def sleepy(*arguments: Any) -> bool:
            monkeypatch.undo()
            run(larger(), tmp_path)
            return commit(*arguments)

        monkeypatch.setattr(Chunks, "commit", sleepy)
        with solving(per_chunk=4), pytest.raises(QbsweepError, match="was replaced"):
            store.fold(0)
        assert qb.open(tmp_path).check().damages == []


def test_a_driver_that_slept_removes_no_file_that_it_has_not_read(tmp_path: Path) -> None:
    with solving(per_chunk=4):
        store = started(tmp_path, (0,))
        read = store.blocks.read(0)
        assert read is not None
        path = store.blocks.path(0)
        content = path.read_bytes()
        path.rename(tmp_path / "old")
        path.write_bytes(content)  # of another driver
        store.blocks.remove_read({0: read})
        assert path.exists()


def test_a_new_driver_leaves_a_worker_alone_that_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> None:
        with opening.locked(tmp_path) as directory:
            store = Store(directory.data)
            mending.remove_leftovers(store)
            opening.settle(store, pytest.fail)

    with solving(per_chunk=1):
        store = started(tmp_path)
        at(monkeypatch, "numerical_error", start)
        written(tmp_path, store, 0)
        assert (store.block_status(0) == OK).all()
        goes_on(tmp_path, 2)


def timed() -> Callable[[SweepSpec, Indices], Solution]:
    """A solver of which no two solutions are the same file."""
    clock = itertools.count()

    def solve(spec: SweepSpec, indices: Indices) -> Solution:
        found = remembered(spec, indices)
        found.arrays["solve_seconds"][...] = next(clock)
        return found

    return solve


@pytest.mark.parametrize("variable", ["energy_t", "solve_seconds", LAST])
def test_two_workers_at_a_new_chunk_leave_it_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with solving(timed(), per_chunk=1):
        store = started(tmp_path)
        at(monkeypatch, variable, lambda: Store(store.path).write(0, solution_of(store, 0), 2.0))
        written(tmp_path, store, 0)
        assert store.blocks.numbers() == {0}  # of the second
        goes_on(tmp_path, 2)


def solution_of(store: Store, number: int) -> dict[str, Any]:
    """What a worker finds that saw a block pending."""
    region = store.grid.block(number)
    return timed()(store.spec, tuple(np.arange(s.start, s.stop) for s in region)).arrays


def test_a_worker_replaces_no_chunk(tmp_path: Path) -> None:
    with solving(timed(), per_chunk=1):
        store = started(tmp_path, (0,))
        store.set_status(0, np.zeros_like(store.block_status(0)))
        seal, files = store.chunks.seals.sealed(0), {name: store.chunks.file(name, 0).read_bytes() for name in VALUES}
        written(tmp_path, store, 0)
        assert store.blocks.numbers() == {0}
        assert store.chunks.seals.sealed(0) == seal
        assert {name: store.chunks.file(name, 0).read_bytes() for name in VALUES} == files
        assert (Store(store.path).block_status(0) == OK).all()
        goes_on(tmp_path, 2)


@pytest.mark.parametrize("per_chunk", [1, 4])
def test_a_worker_whose_files_were_removed_as_a_killed_ones_writes_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_chunk: int
) -> None:
    with solving(per_chunk=per_chunk):
        store = started(tmp_path)
        module = chunks if per_chunk == 1 else blocks
        once(monkeypatch, module, "stage", lambda: mending.remove_leftovers(store))
        written(tmp_path, store, 0)
        assert store.blocks.numbers() == {0}
        goes_on(tmp_path, 2)


@pytest.mark.parametrize("extensions", [1, 2])
def test_a_worker_that_slept_while_the_dataset_was_replaced_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extensions: int
) -> None:
    def extend() -> None:
        for sweep in (larger(), largest())[:extensions]:
            run(sweep, tmp_path)

    with solving(per_chunk=1):
        store = started(tmp_path, (0, 1))
        once(monkeypatch, chunks, "stage", extend)
        report = solve_block(Task(str(tmp_path), store.id, 5))
        assert "was replaced while it was being run" in report.error
        assert qb.open(tmp_path).check().damages == []
        assert qb.open(tmp_path).status()["pending"] == 0


def once(monkeypatch: pytest.MonkeyPatch, module: Any, function: str, act: Callable[[], Any]) -> None:
    """Do something after the first call of a function."""
    call, acted = getattr(module, function), []

    def then(*arguments: Any, **named: Any) -> Any:
        done = call(*arguments, **named)
        if not acted:
            acted.append(True)
            act()
        return done

    monkeypatch.setattr(module, function, then)


def largest() -> dict[str, Any]:
    return moments([2.5e-4, 5e-4, 1e-3, 1.5e-3, *COUPLINGS[1:], 1.6e-2, 3.2e-2], (2, 3, 4))


def test_a_seal_is_exchanged_only_for_the_one_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with solving(per_chunk=1):
        store = started(tmp_path, (0,))
        known = store.chunks.seals.sealed(0)
        newer = known._replace(is_synced=False)
        once(monkeypatch, seals, "stage", lambda: store.chunks.seals.exchange(0, known, newer))
        assert not store.chunks.seals.exchange(0, known, known._replace(checks={}))
        assert store.chunks.seals.sealed(0) == newer
        assert not list(store.path.rglob(f"*{PARTIAL}"))


def test_a_point_without_axes_that_failed_is_solved_again(tmp_path: Path) -> None:
    sweep = moments()
    fixed = {"topology": "cascaded", "coupling": "nonreciprocal", "N": 2, "J": 0.01, "n_th": 0}
    sweep |= {"sweep": {}, "parameters": sweep["parameters"] | fixed}
    store = Store(run(sweep, tmp_path).path / "data.zarr")
    first = store.read(0)
    store.set_status(0, np.array(FAILED, np.int8))
    run(sweep, tmp_path, retry_failed=True)
    again = Store(store.path)
    assert again.block_status(0) == OK
    for name, values in again.read(0).items():
        if name != "solve_seconds":
            np.testing.assert_array_equal(values, first[name])


def test_a_block_that_comes_back_counts_for_nothing(tmp_path: Path) -> None:
    with solving(failing, per_chunk=4):
        store = started(tmp_path, (0, 1, 2, 3))
    shutil.copytree(store.blocks.folder, tmp_path / "before")
    store.fold(0)
    store.fold(1)
    with solving(per_chunk=4):
        run(moments(), tmp_path, retry_failed=True)
        shutil.copytree(tmp_path / "before", store.blocks.folder)
        assert qb.open(tmp_path).status()["ok"] == 16
        assert (Store(store.path).block_status(3) == OK).all()
        np.testing.assert_array_equal(Store(store.path).read(3)[LAST], OK)
        goes_on(tmp_path, 16)


def test_failed_points_of_a_chunk_are_reset_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with solving(failing, per_chunk=8):
        run(moments(), tmp_path)
    commit, commits = Chunks.commit, []

    def counted(self: Chunks, chunk: int, contents: dict[str, bytes], *rest: Any) -> bool:
        commits.append((chunk, [*contents]))
        return commit(self, chunk, contents, *rest)

    monkeypatch.setattr(Chunks, "commit", counted)
    store = Store(tmp_path / "data.zarr")
    failed = len(store.blocks_with(FAILED))
    assert failed > 1
    assert mending.reset_failed(store) == 4
    assert commits == [(0, [LAST])]
    assert not store.blocks_with(FAILED)


def test_a_full_disk_leaves_nothing_of_what_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = chunks.stage

    def full(path: Path, content: Any, safe: bool) -> Path:
        if path.parent.name == "solve_seconds":
            raise OSError(errno.ENOSPC, "No space left on device")
        return stage(path, content, safe)

    with solving(per_chunk=1):
        store = started(tmp_path)
        monkeypatch.setattr(chunks, "stage", full)
        assert solve_block(Task(str(tmp_path), store.id, 0)).cause == "full"
    assert not list(tmp_path.rglob(f"*{PARTIAL}"))


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_seal_that_a_power_cut_tore_before_its_chunk_is_no_damage(tmp_path: Path, left: int) -> None:
    with solving(per_chunk=1):
        store = started(tmp_path, (0,))
        first = store.chunks.seals.path(0).read_bytes().replace(b'"chunk": 0', b'"chunk": 1')
        line = b" ".join((b"%08x" % zlib.crc32(text := first.splitlines()[0].partition(b" ")[2]), text)) + b"\n"
        store.chunks.seals.path(1).write_bytes((b"", line, line + line[:20])[left])
        assert qb.open(tmp_path).check().damages == []
        goes_on(tmp_path, 2)


@pytest.mark.parametrize("variable", ["energy_t", "verdict"])
def test_a_worker_that_comes_late_leaves_what_a_driver_has_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    def others_go_on() -> None:
        Store(store.path).write(0, solution_of(store, 0), 2.0)
        Store(store.path).fold_all()
        kept.update(files(store))

    kept: dict[str, bytes] = {}
    with solving(timed(), per_chunk=1):
        store = started(tmp_path)
        at(monkeypatch, variable, others_go_on)
        written(tmp_path, store, 0)
        assert kept
        assert files(store) == kept
        assert store.chunks.seals.sealed(0).is_synced
        assert qb.open(tmp_path).check().damages == []
        goes_on(tmp_path, 2)


def files(store: Store) -> dict[str, bytes]:
    return {name: store.chunks.file(name, 0).read_bytes() for name in store.variables}


def test_a_block_that_is_brought_in_as_it_is_synced_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with solving(per_chunk=4):
        store = started(tmp_path)
        monkeypatch.setattr(blocks, "_AT_RISK", 0.0)
        at(monkeypatch, store.id, lambda: Store(store.path).fold_all())
        written(tmp_path, store, 0)
        assert not store.blocks.folder.exists()
        goes_on(tmp_path, 2)


def test_blocks_of_chunks_that_were_begun_are_brought_in_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[int] = []

    def solve(spec: SweepSpec, indices: Indices) -> Solution:
        waiting.append(len(store.blocks.numbers()))
        return remembered(spec, indices)

    with solving(failing, per_chunk=1):
        run(moments(), tmp_path)
        store = Store(tmp_path / "data.zarr")
    with solving(solve, per_chunk=1):
        run(moments(), tmp_path, retry_failed=True)
    assert waiting == [0, 0]  # when each of the two that had failed is begun


def test_a_folder_in_the_place_of_a_seal_keeps_nobody_from_going_on(tmp_path: Path) -> None:
    with solving(per_chunk=1):
        store = started(tmp_path, (0,))
        store.chunks.seals.path(1).mkdir()
        goes_on(tmp_path, 2)
        assert qb.open(tmp_path).check().damages == []
