"""Links in the place of what a run writes: somebody else may have put them there, and a dataset may be one."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qbsweep.runs import opening
from qbsweep.slurm.files import JobFiles, Note
from qbsweep.store.directory import RunDirectory
from qbsweep.store.scratch import replace_tree

from ..command import Outcome
from ..command import qbsweep as in_this_process

SMALL = (
    "name: a\nparameters: {topology: cascaded, N: 2, kappa: 0.003, epsilon: 0.01}\nsweep: {J: [0.001, 0.002, 0.004]}\n"
)
LARGE = SMALL.replace("[0.001, ", "[0.0005, 0.001, ")
PREPARED = (".data.zarr.replacement", ".data.zarr.replacement.new")
Command = Callable[..., Outcome]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run directory, never to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.yaml").write_text(SMALL)
    outcome = in_this_process("run", folder / "small.yaml", "--executor", "serial", "--out", folder / "run")
    assert (outcome.code, outcome.err) == (0, "")
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run directory of one's own."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """Somebody's file, which nothing may change."""
    path = tmp_path / "precious"
    path.write_text("precious")
    yield path
    assert path.read_text() == "precious"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.yaml"
    path.write_text(LARGE)
    return path


def put_link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", [".lock.held", "events.jsonl", "failures.jsonl", "attempts.jsonl", "blocks"])
def test_a_link_is_refused(qbsweep: Command, run: Path, target: Path, large: Path, name: str) -> None:
    put_link(run / name, target)
    outcome = qbsweep("run", large, "--executor", "serial", "--out", run)
    assert f"{name} is a link or a pipe, and nothing is written through one; remove it" in outcome.sentence(run)


@pytest.mark.parametrize("name", ["sweep.yaml", "plan.json", ".plan.json.new", ".lock.new", "lock", *PREPARED])
def test_a_link_is_replaced(qbsweep: Command, run: Path, large: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    if (run / name).is_file():
        shutil.copy(run / name, elsewhere)
    before = elsewhere.read_bytes() if elsewhere.exists() else None
    put_link(run / name, elsewhere)
    assert qbsweep("run", large, "--executor", "serial", "--out", run).code == 0
    assert (elsewhere.read_bytes() if elsewhere.exists() else None) == before
    assert name in (".plan.json.new", ".lock.new") or not (run / name).is_symlink()


def test_a_pipe_is_refused(qbsweep: Command, run: Path, large: Path) -> None:
    (run / "events.jsonl").unlink()
    os.mkfifo(run / "events.jsonl")
    outcome = qbsweep("run", large, "--executor", "serial", "--out", run)
    assert "events.jsonl is a link or a pipe" in outcome.sentence(run)


def test_links_in_the_place_of_results(qbsweep: Command, run: Path, target: Path, tmp_path: Path) -> None:
    (run / "analysis").mkdir()
    put_link(run / "analysis" / ".optimal_coupling.csv.new", target)
    put_link(run / "analysis" / "optimal_coupling.csv", target)
    assert qbsweep("analyze", run).code == 0
    assert "J_op" in (run / "analysis" / "optimal_coupling.csv").read_text()
    put_link(run / ".report.html.new", target)
    put_link(run / "report.html", target)
    assert qbsweep("report", run).code == 0
    shutil.rmtree(run / "analysis")
    put_link(run / "analysis", tmp_path)
    assert "analysis is a link or a pipe" in qbsweep("analyze", run).sentence(run)


def test_a_folder_in_the_place_of_a_link(tmp_path: Path, target: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for place in (target, tmp_path / "full", tmp_path / "nowhere"):
        for name in ("figures", ".figures.previous"):
            put_link(tmp_path / name, place)
        replace_tree(tmp_path / "figures", lambda path: path.mkdir())
        assert (tmp_path / "figures").is_dir()
        assert not (tmp_path / "figures").is_symlink()
        assert not (tmp_path / ".figures.previous").is_symlink()
        (tmp_path / "figures").rmdir()
    assert (tmp_path / "full" / "file").exists()


def test_links_in_the_folder_of_the_jobs(tmp_path: Path, target: Path) -> None:
    files = JobFiles(tmp_path)
    files.start_anew()
    for name in ("finished", "notes/block-3", "notes/w.json", "scheduler.json", f".scheduler.json.{os.getpid()}"):
        put_link(files.folder / name, target)
    with pytest.raises(Exception, match="finished is a link"):
        files.finish()
    with pytest.raises(Exception, match="block-3 is a link"):
        files.keep_busy(3)
    files.write_note("w", Note("left", 3, ""))
    files.write_scheduler("tcp://127.0.0.1:1", "ab")
    assert files.scheduler() == ("tcp://127.0.0.1:1", "ab")
    shutil.rmtree(files.folder / "notes")
    put_link(files.folder / "notes", tmp_path)
    files.start_anew()
    assert not (files.folder / "notes").is_symlink()
    shutil.rmtree(files.folder)
    put_link(files.folder, tmp_path)
    with pytest.raises(Exception, match="slurm is a link"):
        files.start_anew()


# A dataset on another disk.


@pytest.fixture
def linked(run: Path, tmp_path: Path) -> Path:
    """A run directory whose dataset is elsewhere."""
    (tmp_path / "scratch").mkdir()
    shutil.move(run / "data.zarr", tmp_path / "scratch" / "big.zarr")
    (run / "data.zarr").symlink_to(tmp_path / "scratch" / "big.zarr")
    return run


def test_a_linked_dataset_is_extended_where_it_is(qbsweep: Command, linked: Path, large: Path, tmp_path: Path) -> None:
    assert qbsweep("run", large, "--executor", "serial", "--out", linked).code == 0
    assert (linked / "data.zarr").readlink() == tmp_path / "scratch" / "big.zarr"
    assert opening.open_run(linked)[1].grid.shape == (4,)
    assert names(tmp_path / "scratch") == [".big.zarr.lock.held", "big.zarr"]
    assert not [name for name in names(linked) if name.startswith(".data")]
    assert qbsweep("run", large, "--executor", "serial", "--out", linked).code == 0


@pytest.mark.parametrize("stage", ["before", "between", "after"])
def test_a_killed_extension_of_a_linked_dataset(
    qbsweep: Command, linked: Path, large: Path, tmp_path: Path, stage: str
) -> None:
    big = tmp_path / "scratch" / "big.zarr"
    previous, replacement = big.with_name(".big.zarr.previous"), big.with_name(".big.zarr.replacement")
    if stage == "before":
        shutil.copytree(big, replacement)
    elif stage == "between":
        big.rename(previous)
        replacement.mkdir()
    else:
        shutil.copytree(big, previous)
    assert qbsweep("run", large, "--executor", "serial", "--out", linked).code == 0
    assert names(tmp_path / "scratch") == [".big.zarr.lock.held", "big.zarr"]


def test_one_dataset_is_run_once_whatever_leads_to_it(qbsweep: Command, linked: Path, large: Path) -> None:
    other = linked.with_name("other")
    other.mkdir()
    (other / "data.zarr").symlink_to(linked / "data.zarr")
    with opening.locked(other):
        assert "is being run by process" in qbsweep("run", large, "--executor", "serial", "--out", linked).sentence()
    (other / "data.zarr").unlink()
    shutil.move((linked / "data.zarr").resolve(), other / "data.zarr")
    put_link(linked / "data.zarr", other / "data.zarr")
    for first, second in ((linked, other), (other, linked)):
        with opening.locked(first):
            outcome = qbsweep("run", large, "--executor", "serial", "--out", second)
            assert "is being run by process" in outcome.sentence()


def test_a_link_to_nowhere(qbsweep: Command, linked: Path, large: Path) -> None:
    shutil.rmtree((linked / "data.zarr").resolve())
    sentence = qbsweep("run", large, "--executor", "serial", "--out", linked).sentence(linked)
    assert "data.zarr is a link to nowhere" in sentence


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file somebody else's")
def test_a_link_that_another_user_has_made(qbsweep: Command, linked: Path, large: Path) -> None:
    os.lchown(linked / "data.zarr", 12345, 12345)
    sentence = qbsweep("run", large, "--executor", "serial", "--out", linked).sentence(linked)
    assert "data.zarr is a link that another user has made; give another --out" in sentence
    assert RunDirectory(linked).home.exists()
