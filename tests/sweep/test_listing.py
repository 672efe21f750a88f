"""`ls`: which runs there are, whatever state they are in."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import qbsweep as qb
from qbsweep.runs import opening

from ..command import qbsweep
from .test_imports import HEAVY, loaded

SWEEP = {
    "name": "small",
    "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01},
    "sweep": {"N": [1, 3], "J": [1e-3, 1e-2]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder")
    qb.run(SWEEP, folder / "a" / "done", executor="serial", progress=False).pack(folder / "done.qbz")
    with opening.locked(folder / "begun") as directory:
        opening.prepare(qb.sweep(SWEEP), directory)
    shutil.copytree(folder / "begun", folder / "wrong")
    (folder / "wrong" / "data.zarr" / "zarr.json").write_text("{")
    (folder / ".hidden").mkdir()
    shutil.copytree(folder / "begun", folder / ".hidden" / "begun")
    (folder / "wrong.qbz").write_text("no zip")
    (folder / "loop").symlink_to(folder)
    return folder


def test_every_run_is_listed_once(folder: Path) -> None:
    found = {run.path.relative_to(folder).as_posix(): run for run in qb.ls(folder)}
    assert list(found) == ["a/done", "begun", "done.qbz", "wrong", "wrong.qbz"]
    assert [run.state for run in found.values()] == ["complete", "interrupted", "complete", "unreadable", "unreadable"]
    assert [(run.points, run.done) for run in found.values()] == [(4, 4), (4, 0), (4, 4), (0, 0), (0, 0)]
    assert found["a/done"].name == found["done.qbz"].name == "small"
    assert found["a/done"].bytes > found["done.qbz"].bytes > 0
    assert "is not a whole pack" in found["wrong.qbz"].note


def test_links_and_closed_folders(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.qbz").symlink_to(folder / "done.qbz")
    (tmp_path / "b.qbz").symlink_to(folder / "none.qbz")
    (tmp_path / "c").mkdir()
    scan = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "c":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    a, b, c = qb.ls(tmp_path)
    assert (a.state, a.bytes) == ("complete", (folder / "done.qbz").stat().st_size)
    assert (b.state, b.note) == ("unreadable", f"{tmp_path}/b.qbz is a link to nothing")
    assert (c.state, c.note) == ("unreadable", f"{tmp_path}/c cannot be looked into: Permission denied")


def test_folders_that_cannot_be_entered(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Path(shutil.copytree(folder / "a" / "done", tmp_path / "out"))
    (tmp_path / "c" / "d").mkdir(parents=True)
    (out / "figures").mkdir()
    (out / "figures" / "mine.png").touch()
    closed = (tmp_path / "c", out / "figures")

    def refusing(look: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def looked(path: Path, **options: bool) -> os.stat_result:
            if path.parent in closed:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return look(path, **options)

        return looked

    for name in ("stat", "lstat"):
        monkeypatch.setattr(Path, name, refusing(getattr(Path, name)))
    c, there = qb.ls(tmp_path)
    assert (c.path, c.state, c.note) == (
        tmp_path / "c",
        "unreadable",
        f"{tmp_path}/c cannot be looked into: Permission denied",
    )
    assert there.state == "complete"


def test_the_command(folder: Path) -> None:
    code, text, _ = qbsweep("ls", folder)
    assert code == 0
    assert "begun" in text
    assert "  0%" in text
    found = json.loads(qbsweep("ls", folder, "--json")[1])
    assert found[0]["path"] == str(folder / "a" / "done")
    assert qbsweep("ls", folder / ".hidden" / "begun" / "blocks")[2].endswith(
        "is not a directory: there are no runs in it\n"
    )


def test_without_a_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert qbsweep("ls")[1] == "no runs\n"
    shutil.copytree(folder / "begun", tmp_path / "runs" / "begun")
    assert qb.ls()[0].path == Path("runs/begun")


def test_a_run_that_goes_on(folder: Path) -> None:
    with opening.locked(folder / "begun"):
        assert qb.ls(folder / "begun")[0].state == "running"


def test_the_age_is_that_of_the_last_change(folder: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(folder / "a" / "done", tmp_path / "out"))
    for file in out.rglob("*"):
        os.utime(file, (1e9, 1e9))
    qb.open(out).pack()
    assert qb.ls(out)[0].changed == 1e9
    with opening.locked(out):
        assert qb.ls(out)[0].changed == 1e9


def test_names_do_not_command_a_terminal(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "begun", tmp_path / "x\x1b[2Jy")
    assert "x?[2Jy" in qbsweep("ls", tmp_path)[1]


def test_it_is_quick(folder: Path) -> None:
    assert not loaded("ls", folder / "a") & HEAVY
