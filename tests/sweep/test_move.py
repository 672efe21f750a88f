"""`pack`, `unpack`, `mv` and `rm`: a run is whole at one place, and a stranger's file does no harm."""

import errno
import fcntl
import json
import os
import random
import re
import shutil
import socket
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.runs import opening
from qbsweep.runs.block import Task, solve_block
from qbsweep.store import packs
from qbsweep.store import scratch as scratches
from qbsweep.store.directory import RunDirectory
from qbsweep.store.lock import lock_holder
from qbsweep.store.scratch import scratch

from ..command import qbsweep
from ..datasets import to_format_2

SWEEP = {
    "name": "small",
    "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01},
    "sweep": {"N": [1, 3], "J": {"geomspace": [1e-3, 1e-2, 6]}, "n_th": [0, 1]},
    "times": {"linspace": [0, 10, 5], "unit": "1/kappa"},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "out"
    qb.run(SWEEP, out, executor="serial", block_seconds=1e-4, progress=False)
    (out / "slurm" / "logs").mkdir(parents=True)
    (out / "slurm" / "logs" / "driver.log").write_text("a log")
    for secret in ("tls-key.pem", "jobs.json", "scheduler.json"):
        (out / "slurm" / secret).write_text("{}")
    (out / "slurm" / "logs" / "leak.log").symlink_to(out / "slurm" / "tls-key.pem")
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "out", symlinks=True)
    shutil.rmtree(tmp_path / "out" / "slurm")
    return tmp_path / "out"


@pytest.fixture(scope="module")
def packed(finished: Path) -> Path:
    return qb.open(finished).pack()


def same(one: xr.Dataset, other: xr.Dataset) -> bool:
    return one.load().identical(other.load())


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def left(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_pack_is_what_was_packed(finished: Path, packed: Path, tmp_path: Path) -> None:
    assert packed == finished.with_name("out.qbz")
    names = set(zipfile.ZipFile(packed).namelist())
    assert {"sweep.yaml", "plan.json", "events.jsonl", "slurm/logs/driver.log", "data.zarr/zarr.json"} <= names
    assert not {name for name in names if "tls" in name or "leak" in name or "jobs" in name or "lock" in name}
    again = qb.unpack(packed, tmp_path / "again")
    assert files(again.path / "data.zarr") == files(finished / "data.zarr")
    assert again.check(recompute=5).exit_code == 0
    assert again.status()["state"] == "complete"
    assert qbsweep("run", again.path / "sweep.yaml", "--out", again.path)[0] == 0
    assert left(tmp_path) == ["again"]


def test_a_pack_is_opened_like_a_directory(finished: Path, packed: Path) -> None:
    run, directory = qb.open(packed), qb.open(finished)
    assert same(run.dataset, directory.dataset)
    assert run.status() == {**directory.status(), "directory": str(packed), "slurm": None}
    assert run.complete
    assert str(run.best()) == str(directory.best())
    assert run.failures() == []
    assert run.spec.digest() == directory.spec.digest()
    assert json.loads(qbsweep("status", packed, "--json")[1])["points"] == 24
    assert qbsweep("check", packed)[0] == 0
    assert f"run {packed}" in " ".join(str(run).split())


def test_results_of_a_pack_are_written_beside_it(packed: Path, tmp_path: Path) -> None:
    pack = Path(shutil.copy(packed, tmp_path / "x.qbz"))
    assert "optimal_coupling" in qb.open(pack).analyze()
    assert left(tmp_path) == ["x.analysis", "x.qbz"]


def test_logs_are_read_in_a_pack(packed: Path, out: Path) -> None:
    assert qb.open(packed).logs() == {packed / "slurm" / "logs" / "driver.log": "a log"}
    assert "out has no logs of jobs" in qbsweep("logs", out).sentence(out)


def test_xarray_reads_a_pack_without_us(finished: Path, packed: Path) -> None:
    with xr.open_zarr(f"zip://data.zarr::{packed}") as ds:
        assert same(ds, xr.open_zarr(finished / "data.zarr"))


@pytest.mark.parametrize("command", ["compact", "upgrade", "check --repair", "analyze --refine 1e-6"])
def test_a_pack_does_not_change(command: str, packed: Path) -> None:
    name, *options = command.split()
    said = qbsweep(name, packed, *options).sentence(packed)
    assert said == f"out.qbz is a pack, which does not change; `qbsweep unpack {packed.name}` makes a directory of it"


def not_ours(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `path` be a directory that we cannot write to; a superuser can write to all."""
    monkeypatch.setattr(os, "access", lambda asked, mode, **_: asked != path or mode != os.W_OK)


def test_what_is_finished_but_in_no_chunk_yet_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with opening.locked(out) as directory:
        store = opening.prepare(qb.sweep(SWEEP), directory, 1e-4)
        assert store.grid.is_grouped
        assert not solve_block(Task(str(out), store.id, 1)).error
    assert list((out / "blocks").rglob("*.block"))
    with monkeypatch.context() as patch:
        not_ours(out, patch)
        assert "ask its owner to pack it" in qbsweep("pack", out).sentence(out)
    run = qb.open(qb.open(out).pack())
    assert run.status()["blocks_done"] == 1
    assert run.status()["state"] == "interrupted"


def test_a_run_that_goes_on_is_not_packed_moved_or_removed(out: Path) -> None:
    with opening.locked(out):
        for command in (["pack", out], ["mv", out, out.with_name("b")], ["rm", out, "--yes"]):
            assert qbsweep(*command).sentence(out).startswith("out is being run by process")
    assert left(out.parent) == ["out"]


def test_damage_is_not_packed(out: Path) -> None:
    file = next((out / "data.zarr" / "energy_terminal").glob("c.*"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    said = qbsweep("pack", out).sentence(out)
    assert "its checksum is wrong" in said
    assert "`qbsweep check --repair" in said
    assert left(out.parent) == ["out"]


def test_an_earlier_format_is_not_packed(out: Path) -> None:
    to_format_2(out)
    assert "`qbsweep upgrade" in qbsweep("pack", out).sentence(out)


def test_nothing_is_overwritten(out: Path, packed: Path) -> None:
    there = out.with_name("there.qbz")
    there.write_text("mine")
    assert "exists already" in qbsweep("pack", out, there).sentence(there)
    assert "exists already" in qbsweep("unpack", packed, out).sentence(out)
    assert "exists already" in qbsweep("mv", out, there).sentence(there)
    assert there.read_text() == "mine"
    assert "must end in .qbz" in qbsweep("pack", out, out.with_name("x.zip")).sentence(out)
    assert "is not a directory" in qbsweep("unpack", packed, out / "a" / "b").sentence(out)
    assert "is not a directory; make it first" in qbsweep("pack", out, out / "a" / "b.qbz").sentence(out)
    assert "out is a directory; `qbsweep pack DIR`" in qbsweep("unpack", out).sentence(out)
    assert "does not exist" in qbsweep("unpack", out.with_name("none.qbz")).sentence(out.parent)


@pytest.mark.parametrize("links", [True, False])
def test_what_has_come_meanwhile_is_not_overwritten(
    links: bool, out: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = scratches.refuse_existing
    there = out.with_name("there.qbz")

    def late(target: Path) -> None:
        if target == there and links and not there.exists():
            there.write_text("mine")
        else:
            refuse(target)

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(scratches, "refuse_existing", late)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
        assert qb.open(out).pack(there).is_file()
        assert qbsweep("mv", there, out.with_name("b.qbz"))[0] == 0
        return
    mine = shutil.copy(packed, out.with_name("a.qbz"))
    for command in (["pack", out, there], ["mv", mine, there]):
        assert "exists already" in qbsweep(*command).sentence(there)
        assert there.read_text() == "mine"
        there.unlink()
    assert left(out.parent) == ["a.qbz", "out"]


def test_a_run_that_is_not_ours_is_packed(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    not_ours(out, monkeypatch)
    before = files(out)
    assert same(qb.open(qb.open(out).pack()).dataset, qb.open(out).dataset)
    assert (files(out), left(out.parent)) == (before, ["out", "out.qbz"])
    with opening.locked(out):
        assert "is being run by its owner" in qbsweep("pack", out, out.with_name("b.qbz")).sentence(out)


def test_a_run_that_is_not_ours_may_change_meanwhile(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = packs.write

    def late(directory: RunDirectory, *rest: Any) -> None:
        next((out / "data.zarr" / "energy_terminal").glob("c.*")).unlink()
        write(directory, *rest)

    monkeypatch.setattr(packs, "write", late)
    not_ours(out, monkeypatch)
    assert "somebody has changed it meanwhile; pack it again" in qbsweep("pack", out).sentence(out)
    assert left(out.parent) == ["out"]


def evil(folder: Path, name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Path:
    """A file that somebody has made to harm who unpacks it."""
    pack = folder / "evil.qbz"
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr("data.zarr/zarr.json", "{}")
        archive.writestr(info, content)
    return pack


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "/etc/x", "data.zarr/../../x", "data.zarr/./x", "data.zarr//x", "lock/x", ".lock.held"),
        *("data.zarr/.x", "slurm/jobs.json", "data.zarr/a\\..\\x", "data.zarr/\x1b[0m", "data.zarr/zarr.json/x"),
        "data.zarr/",
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_strangers_names_lead_nowhere(name: str, tmp_path: Path) -> None:
    pack = evil(tmp_path, name)
    assert "is not a whole pack of a run" in qbsweep("unpack", pack, tmp_path / "a").sentence(tmp_path)
    assert "is not a whole pack of a run" in qbsweep("status", pack).sentence(tmp_path)
    assert left(tmp_path) == ["evil.qbz"]


def test_links_are_not_unpacked(tmp_path: Path) -> None:
    pack = evil(tmp_path, "data.zarr/x", b"/etc/passwd", stat.S_IFLNK | 0o777)
    assert "is no file of a run" in qbsweep("unpack", pack, tmp_path / "a").sentence(tmp_path)


def test_what_does_not_fit_is_not_begun(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 0, 100))  # type: ignore[attr-defined]
    assert "which has 100 B" in qbsweep("unpack", packed, tmp_path / "a").sentence(packed.parent, tmp_path)
    assert left(tmp_path) == []


def test_a_changed_pack_is_refused_or_right(finished: Path, packed: Path, tmp_path: Path) -> None:
    content, chance = packed.read_bytes(), random.Random(1)
    expected = files(finished / "data.zarr")
    pack, refused = tmp_path / "x.qbz", 0
    for number in range(150):
        changed = bytearray(content)
        if number % 5:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        else:
            changed = changed[: chance.randrange(len(changed))]
        pack.write_bytes(changed)
        folder = tmp_path / f"{number}"
        folder.mkdir()
        try:
            packs.extract(pack, folder)
        except qb.QbsweepError:
            refused += 1
        else:
            assert files(folder / "data.zarr") == expected
        shutil.rmtree(folder)
    assert refused > 100


def test_a_missing_chunk_is_found_by_unpack(packed: Path, tmp_path: Path) -> None:
    pack = tmp_path / "x.qbz"
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(pack, "w") as new:
        for info in old.infolist():
            if "energy_terminal/c" not in info.filename:
                new.writestr(info, old.read(info))
    assert re.search(r"it has \d+ files instead of", qbsweep("unpack", pack, tmp_path / "a").sentence(tmp_path))
    assert left(tmp_path) == ["x.qbz"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_another_compression_is_refused(method: int, packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    for start, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(start) + place] = method
    (tmp_path / "x.qbz").write_bytes(content)
    with pytest.raises(qb.QbsweepError, match=r"'pack\.json' in it is not compressed as we do"):
        packs.summary(tmp_path / "x.qbz")
    assert "is not a whole pack" in qbsweep("status", tmp_path / "x.qbz").sentence(tmp_path)


def test_a_table_of_contents_that_ends_too_early_is_found(packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02"))
    content[entry + 33] ^= 0x40  # 16,384 more bytes of a comment, which is all the rest
    (tmp_path / "x.qbz").write_bytes(content)
    assert "files instead of" in qbsweep("status", tmp_path / "x.qbz").sentence(tmp_path)


def test_a_run_moves(out: Path, finished: Path) -> None:
    target = out.with_name("b")
    assert qbsweep("mv", out, target)[:2] == (0, f"{target}\n")
    assert left(out.parent) == ["b"]
    assert lock_holder(target / "lock") is None
    assert same(qb.open(target).dataset, qb.open(finished).dataset)
    assert qb.run(SWEEP, target, progress=False).complete
    assert "moved into itself" in qbsweep("mv", target, target / "c").sentence(target)
    assert qb.open(target).mv(out).path == out


def far(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let `folder` be another file system."""
    rename, link = Path.rename, Path.hardlink_to

    def refuse(one: Path, other: Path) -> None:
        if one.is_relative_to(folder) != other.is_relative_to(folder):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    def renaming(self: Path, target: Path) -> Path:
        refuse(self, target)
        return rename(self, target)

    def linking(self: Path, target: Path) -> None:
        refuse(self, target)
        link(self, target)

    monkeypatch.setattr(Path, "rename", renaming)
    monkeypatch.setattr(Path, "hardlink_to", linking)


def test_a_run_moves_to_another_file_system(out: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = out.parent / "other"
    other.mkdir()
    before = files(out / "data.zarr")
    (out / "notes").symlink_to("/etc/hostname")
    far(monkeypatch, other)
    assert qb.open(out).mv(other / "b").path == other / "b"
    assert files(other / "b" / "data.zarr") == before
    assert (left(out.parent), left(other)) == (["other"], ["b"])
    assert not list((other / "b").glob("*lock*"))
    assert (other / "b" / "notes").is_symlink()
    pack = Path(shutil.copy(packed, out.with_name("p.qbz")))
    assert qbsweep("mv", pack, other / "p.qbz")[0] == 0
    assert (left(out.parent), left(other)) == (["other"], ["b", "p.qbz"])


def test_a_users_own_files_move_too(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = out.parent / "other"
    other.mkdir()
    far(monkeypatch, other)
    mine = ["lock.txt", ".lockfile", "lock-in.csv", "figures/lock", "figures/.lock.held", "slurm/lock.csv"]
    for name in mine:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    (out / f".lock.{'0' * 16}").mkdir()  # by a killed one
    qb.open(out).mv(other / "b")
    there = {str(path.relative_to(other / "b")) for path in (other / "b").rglob("*lock*")}
    assert there == {*mine}


def test_an_earlier_format_stays_on_its_file_system(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = out.parent / "other"
    other.mkdir()
    far(monkeypatch, other)
    to_format_2(out)
    said = qbsweep("mv", out, other / "b").sentence(out)
    assert f"`qbsweep upgrade {out.name}`" in said
    assert "partial" not in said
    assert (left(out.parent), left(other)) == (["other", "out"], [])


def test_damage_does_not_move_to_another_file_system(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = out.parent / "other"
    other.mkdir()
    far(monkeypatch, other)
    next((out / "data.zarr" / "energy_terminal").glob("c.*")).unlink()
    assert "stays where it is" in qbsweep("mv", out, other / "b").sentence(out)
    assert (left(out.parent), left(other)) == (["other", "out"], [])


def test_a_relative_link_is_not_moved(out: Path) -> None:
    (out / "data.zarr").rename(out.parent / "data.zarr")
    (out / "data.zarr").symlink_to("../data.zarr")
    assert "would lead elsewhere" in qbsweep("mv", out, out.with_name("b")).sentence(out)
    out.with_name("link").symlink_to(out)
    assert "is a link to" in qbsweep("rm", out.with_name("link"), "--yes").sentence(out)


def test_runs_are_removed(out: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = Path(shutil.copy(packed, out.with_name("p.qbz")))
    assert "`--yes`" in qbsweep("rm", out).sentence(out)
    assert qbsweep("rm", out, pack, "--yes")[0] == 0
    assert left(out.parent) == []
    assert "does not exist" in qbsweep("rm", out, "--yes").sentence(out)


def test_what_a_killed_one_left_goes_with_the_next(out: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = out.with_name("other")
    killed = out.parent / ".other.abcdefgh.partial"
    for folder in ("lock", "new/other"):
        (killed / folder).mkdir(parents=True)
    (killed / "lock" / f"{socket.gethostname()},1,1.00,,0").touch()
    early, just_made = (out.parent / f".other.abcdefg{n}.partial" for n in range(2))
    for folder in (early, just_made):
        folder.mkdir()
    os.utime(early, (0, 0))
    qb.unpack(packed, other)
    assert left(out.parent) == [just_made.name, "other", "out"]


def no_flock(*_: object) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def test_file_systems_without_flock(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", no_flock)
    run = qb.open(out)
    pack = run.pack()
    run.export(tmp_path / "x.csv")
    assert qb.unpack(pack, tmp_path / "again").mv(tmp_path / "b").complete
    run.rm()
    assert left(tmp_path) == ["b", "out.qbz", "x.csv"]


@pytest.mark.parametrize("flock", [fcntl.flock, no_flock])
def test_who_works_beside_another_is_left_alone(flock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", flock)
    with scratch(tmp_path / "run") as one, scratch(tmp_path / "run.qbz") as pack:
        (one / "run").mkdir()
        (pack / "run.qbz").touch()
        with scratch(tmp_path / "run"):
            assert (one / "run").is_dir()
            assert (pack / "run.qbz").is_file()
    assert left(tmp_path) == []


def test_jobs_that_wait_are_not_left_without_their_run(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise qb.QbsweepError(f"{path} is submitted already")

    monkeypatch.setattr("qbsweep.api.move.refuse_if_awaited", refuse)
    for command in (["mv", out, out.with_name("b")], ["rm", out, "--yes"]):
        assert "is submitted already" in qbsweep(*command).sentence(out)
    assert left(out.parent) == ["out"]


def test_summary(packed: Path) -> None:
    found = packs.summary(packed)
    assert (found["name"], found["points"]["ok"]) == ("small", 24)


def test_a_strangers_summary_is_not_read_whole(tmp_path: Path) -> None:
    with pytest.raises(qb.QbsweepError, match="is not a whole pack of a run"):
        packs.summary(evil(tmp_path, packs.SUMMARY, b"{" + b" " * (1 << 20) + b"}"))
