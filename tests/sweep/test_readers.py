"""Who reads a dataset while others write, extend, move or upgrade it: never a number that is not there as ok."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import qbsweep as qb
from qbsweep.errors import UnreadableError
from qbsweep.runs import opening
from qbsweep.runs.block import Task, solve_block
from qbsweep.runs.state import progress_of
from qbsweep.store import metadata, replace
from qbsweep.store.chunks import Chunks
from qbsweep.store.dataset import Store
from qbsweep.store.seals import Seals
from qbsweep.sweeps.spec import parse_spec

from ..datasets import to_format_2

SWEEP: dict[str, Any] = {
    "name": "small",
    "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01},
    "sweep": {"N": [1, 2], "J": {"values": [0.5, 1.0, 2.0], "unit": "J_op"}},
}
LARGER = {**SWEEP, "sweep": {"N": [1, 2], "J": {"values": [0.25, 0.5, 1.0, 2.0], "unit": "J_op"}}}
TEXT = """name: small
parameters: {topology: cascaded, kappa: 0.003, epsilon: 0.01}
sweep: {N: [1, 2, 3], J: {geomspace: [1e-3, 1e-2, 6]}}
"""
GONE = "was moved or replaced since it was opened"


def run(sweep: dict[str, Any], out: Path) -> qb.Run:
    return qb.run(sweep, out, executor="serial", progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(SWEEP, tmp_path_factory.mktemp("finished") / "out").path


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def started(path: Path, per_chunk: int, block_seconds: float = 2e-5) -> Store:
    with opening.locked(path) as directory, mock.patch("qbsweep.runs.plan._CHUNK_BLOCKS", per_chunk):
        store = opening.prepare(parse_spec(TEXT), directory, block_seconds)
    assert store.grid.n_blocks > 1
    assert store.grid.is_grouped == (per_chunk > 1)
    return store


@pytest.mark.parametrize("per_chunk", [1, 4096])
@pytest.mark.parametrize("read", ["chunk", "block", "selection", "dataset"])
def test_what_is_ok_has_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_chunk: int, read: Callable[..., Any]
) -> None:
    """A run finishes between the first file that a reader opens and the second."""
    writer, reader = started(tmp_path / "out", per_chunk), Store(tmp_path / "out" / "data.zarr")
    dataset = qb.open(tmp_path / "out").dataset
    content, is_read = Chunks.content, []

    def finishing(self: Chunks, variable: str, chunk: int) -> bytes | None:
        found = content(self, variable, chunk)
        if not is_read:
            is_read.append(variable)
            for number in range(writer.grid.n_blocks):
                assert not solve_block(Task(str(tmp_path / "out"), writer.id, number)).error
            writer.fold_all()
        return found

    monkeypatch.setattr(Chunks, "content", finishing)
    everything = [np.arange(length) for length in reader.grid.shape]
    arrays: Any = {
        "chunk": lambda: reader.read_chunk(0),
        "block": lambda: reader.read(0),
        "selection": lambda: reader.select(everything, ["energy_terminal"]),
        "dataset": lambda: dataset.load(),
    }[str(read)]()
    assert is_read == ["status"]
    is_ok = np.asarray(arrays["status"]) == 1
    assert np.isfinite(np.asarray(arrays["energy_terminal"])[is_ok]).all()


def test_a_chunk_that_is_made_pending_while_it_is_read(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, content = Store(out / "data.zarr"), Chunks.content

    def clearing(self: Chunks, variable: str, chunk: int) -> bytes | None:
        found = content(self, variable, chunk)
        if variable == "status":
            self.clear(chunk)
        return found

    monkeypatch.setattr(Chunks, "content", clearing)
    assert not store.read_chunk(0)["status"].any()


def extend(out: Path) -> None:
    run(LARGER, out)


def once_after(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, act: Callable[[], object]) -> list[bool]:
    """Do something after the first call of a function; returns whether it was done."""
    function, done = getattr(owner, name), list[bool]()

    def acting(*arguments: Any) -> Any:
        found = function(*arguments)
        if not done:
            done.append(True)
            act()
        return found

    monkeypatch.setattr(owner, name, acting)
    return done


@pytest.mark.parametrize(("owner", "name"), [(Seals, "_rest_read"), (Seals, "recorded"), (metadata, "_read")])
def test_a_dataset_that_is_replaced_while_it_is_opened(
    out: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """What is read first is of the old one, what is read then of the new one, if anything is."""
    done = once_after(monkeypatch, owner, name, lambda: extend(out))
    ds = qb.open(out).dataset.load()
    assert done
    assert dict(ds.sizes)["J"] == 4
    assert (ds.status == 1).all()


def test_a_dataset_that_is_opened_between_two_renames(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, previous = out / "data.zarr", out / ".data.zarr.previous"
    away = once_after(monkeypatch, metadata, "exists", lambda: data.rename(previous))
    monkeypatch.setattr(replace.time, "sleep", lambda _: previous.rename(data))
    assert (Store(data).status() == 1).all()
    assert away


def test_a_chunk_that_is_not_on_the_disk_yet_and_replaced_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that does not wait for the disk solves the failed point of a chunk while the others are read."""
    store = started(tmp_path / "out", per_chunk=1, block_seconds=2e-4)
    store.safe = False
    task = Task(str(tmp_path / "out"), store.id, 0, safe=False)
    assert not solve_block(task).error
    status = store.block_status(0)
    status.flat[0] = 0
    store.set_status(0, status)
    assert status.any()
    assert not store.chunks.seals.sealed(0).is_synced
    reader = Store(store.path)
    done = once_after(monkeypatch, Seals, "read", lambda: solve_block(task))
    assert (reader.block_status(0).flat[1:] == 1).all()
    assert done
    assert (reader.block_status(0) == 1).all()


def move(out: Path) -> None:
    qb.open(out).mv(out.with_name("moved"))


@pytest.mark.parametrize("replace", [extend, move])
def test_readers_of_a_dataset_that_is_gone(out: Path, replace: Callable[[Path], None]) -> None:
    store, ds = Store(out / "data.zarr"), qb.open(out).dataset
    everything = [np.arange(length) for length in store.grid.shape]
    replace(out)
    reads: list[Callable[[], Any]] = [
        lambda: store.read_chunk(0),
        lambda: store.read_chunk(0, ["energy_terminal"]),
        lambda: store.read(0),
        lambda: store.select(everything),
        lambda: progress_of(store),
        lambda: ds.energy_terminal.load(),
        lambda: ds.J_abs.load(),
        lambda: ds.epsilon.load(),
    ]
    for read in reads:
        with pytest.raises(UnreadableError, match=GONE):
            read()


def test_a_reader_of_format_2_beside_an_upgrade(out: Path) -> None:
    to_format_2(out)
    ds = qb.open(out).dataset
    expected = ds.status.load().copy()
    assert (expected == 1).all()
    qb.open(out).upgrade()
    with pytest.raises(UnreadableError, match=GONE):
        ds.energy_terminal.load()


def test_a_merge_beside_an_extension_writes_nothing(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qbsweep.runs import merging

    fill = merging.fill

    def late(target: Store, sources: list[Store]) -> None:
        extend(out)
        fill(target, sources)

    monkeypatch.setattr(merging, "fill", late)
    other = run({**SWEEP, "sweep": {"N": [3], "J": SWEEP["sweep"]["J"]}}, tmp_path / "other").path
    with pytest.raises(UnreadableError, match=GONE):
        qb.merge(out, other, out=tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_one_flipped_bit_does_not_make_it_an_earlier_format(out: Path) -> None:
    file = out / "data.zarr/zarr.json"
    content = file.read_text()
    flipped = content.replace('"qbsweep_format": 3', '"qbsweep_format": 2')
    assert flipped != content
    file.write_text(flipped)
    for look in (qb.open(out).status, qb.open(out).upgrade):
        with pytest.raises(UnreadableError, match=r"is damaged: .*zarr\.json is not what was written there"):
            look()
    assert qb.open(out).check(repair=True).exit_code == 0
    assert file.read_text() == content
    assert qb.open(out).complete
