"""Runs that were killed while they put something in the place of something else: read as it was, and gone on with."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

import qbsweep as qb
from qbsweep.analysis.refine import open_refined
from qbsweep.errors import UnreadableError
from qbsweep.store import replace

SWEEP: dict[str, Any] = {
    "name": "small",
    "parameters": {"topology": "cascaded", "N": 2, "kappa": 0.003, "epsilon": 0.01},
    "sweep": {"J": {"geomspace": [1e-3, 1e-2, 12]}},
}


def run(out: Path) -> qb.Run:
    return qb.run(SWEEP, out, executor="serial", progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "out"
    run(out).refine(1e-4, progress=False)
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(replace, "_SWAP_SECONDS", 0.0)
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def killed(out: Path) -> Path:
    """One that was killed between the two renames."""
    (out / "data.zarr").rename(out / ".data.zarr.previous")
    (out / ".data.zarr.replacement").mkdir()
    return out


def test_it_is_read_where_it_was_left(killed: Path) -> None:
    assert qb.open(killed).complete
    assert (qb.open(killed).dataset.load().status == 1).all()
    assert qb.open(killed).check().exit_code == 0
    assert [(listed.path, listed.state) for listed in qb.ls(killed.parent)] == [(killed, "complete")]
    assert open_refined(killed) is not None
    assert (killed / ".data.zarr.previous").is_dir()


GO_ON: dict[str, Callable[[Path], object]] = {
    "run": run,
    "check": lambda out: qb.open(out).check(repair=True),
    "compact": lambda out: qb.open(out).compact(),
    "upgrade": lambda out: qb.open(out).upgrade(),
    "pack": lambda out: qb.open(out).pack(),
    "refine": lambda out: qb.open(out).refine(1e-4, progress=False),
}


@pytest.mark.parametrize("go_on", GO_ON)
def test_whoever_writes_puts_it_back(killed: Path, go_on: str) -> None:
    GO_ON[go_on](killed)
    assert not [path for path in killed.iterdir() if path.name.startswith(".data")]
    assert qb.open(killed).data == killed / "data.zarr"
    assert qb.open(killed).complete


def test_it_is_moved_and_removed(killed: Path) -> None:
    moved = qb.open(killed).mv(killed.with_name("moved"))
    assert moved.complete
    moved.rm()
    assert not moved.path.exists()


def test_a_linked_dataset(out: Path, tmp_path: Path) -> None:
    (out / "data.zarr").rename(tmp_path / "large")
    (out / "data.zarr").symlink_to(tmp_path / "large")
    (tmp_path / "large").rename(tmp_path / ".large.previous")
    assert qb.open(out).complete
    assert run(out).data == out / "data.zarr"
    assert (tmp_path / "large/zarr.json").is_file()


def test_samples_of_a_refinement(out: Path) -> None:
    data = out / "data.zarr"
    before = open_refined(out)
    assert before is not None
    (data / "refined").rename(data / ".refined.previous")
    found = open_refined(out)
    assert found is not None
    assert found.identical(before)
    with ZipFile(qb.open(out).pack()) as packed:
        assert any(name.startswith("data.zarr/refined/") for name in packed.namelist())
    assert (data / "refined").is_dir()


def test_what_a_killed_one_was_making_goes(out: Path) -> None:
    leftovers = [out / ".data.zarr.new", out / ".data.zarr.replacement", out / ".data.zarr.replacement.new"]
    leftovers += [out / ".data.zarr.abcdefgh.partial", out / "data.zarr/.refined.abcdefgh.partial"]
    for leftover in leftovers:
        leftover.mkdir()
        (leftover / "lock").touch()
    own = out / ".data.zarr.mine"
    own.mkdir()
    run(out)
    assert not [leftover for leftover in leftovers if leftover.exists()]
    assert own.is_dir()


def test_what_a_killed_one_was_writing_beside_the_dataset_goes(out: Path) -> None:
    def leftover(name: str) -> Path:
        file = out / f".{name}.0123456789abcdef.partial"
        file.touch()
        return file

    plan, sweep, page = map(leftover, ("plan.json", "sweep.yaml", "report.html"))
    own = [leftover("mine"), out / ".plan.json.mine.partial"]
    own[1].touch()
    run(out)
    assert not plan.exists()
    assert not sweep.exists()
    assert page.exists()  # it is written without a lock: by now, perhaps
    os.utime(page, (0, 0))
    run(out)
    assert not page.exists()
    assert all(file.exists() for file in own)


def test_samples_without_their_seals(out: Path) -> None:
    refined = out / "data.zarr/refined"
    shutil.rmtree(refined / "seals")
    chunk = next(
        file for file in (refined / "energy_terminal").rglob("*") if file.is_file() and file.name != "zarr.json"
    )
    chunk.unlink()
    with pytest.raises(UnreadableError, match=rf"refined/seals/rest\.json is missing; `qbsweep check --repair {out}`"):
        open_refined(out)
    assert qb.open(out).check().damages
    assert qb.open(out).check(repair=True).exit_code == 0
    assert open_refined(out) is None


def test_samples_of_an_earlier_version_have_no_seals(out: Path) -> None:
    refined = out / "data.zarr/refined"
    metadata = refined / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"sealed": 1', '"other": 1'))
    shutil.rmtree(refined / "seals")
    samples = open_refined(out)
    assert samples is not None
    assert np.isfinite(samples.energy_terminal.values).any()
    assert qb.open(out).check().exit_code == 0
