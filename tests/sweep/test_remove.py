"""`rm` and `mv` take a run and nothing else, and `--out` makes none where they would."""

import io
import shutil
import sys
from pathlib import Path

import pytest

import qbsweep as qb
from qbsweep.runs import opening
from qbsweep.slurm.files import JobFiles, Record
from qbsweep.slurm.registry import SCHEDULERS

from ..command import qbsweep

SWEEP = {
    "name": "small",
    "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01},
    "sweep": {"N": [1, 3], "J": [1e-3, 1e-2]},
}
RECORD = Record("0" * 8, "qb", "qb-workers", "1", "2", "jobs", 1, 60, 0, "", 0.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qb.run(SWEEP, tmp_path_factory.mktemp("finished") / "out", executor="serial", progress=False).path


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "out"))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def stays(folder: Path, *commands: str, says: str) -> None:
    before = files(folder.parent)
    for command in commands or ("rm",):
        options = ["--yes"] if command == "rm" else [folder.with_name("moved")]
        assert says in qbsweep(command, folder, *options).sentence(folder.parent, folder)
        assert files(folder.parent) == before


@pytest.mark.parametrize("content", [None, "{}", '{"zarr_format": 3, "attributes": {"title": "mine"}}'])
def test_a_directory_that_is_no_run(content: str | None, tmp_path: Path) -> None:
    (tmp_path / "mine" / "data.zarr" / "energy").mkdir(parents=True)
    (tmp_path / "mine" / "thesis.tex").touch()
    if content is not None:
        (tmp_path / "mine" / "data.zarr" / "zarr.json").write_text(content)
    stays(tmp_path / "mine", "rm", "mv", says="data.zarr in it is not from qbsweep")


def test_a_file_that_is_no_pack(tmp_path: Path) -> None:
    (tmp_path / "mine.qbz").write_text("hi")
    stays(tmp_path / "mine.qbz", says="is not a whole pack of a run")


def test_what_somebody_has_put_beside_a_run(out: Path) -> None:
    for name in ("notes.txt", "zoo"):
        (out / name).touch()
    stays(out, says="has 'notes.txt' and 1 more, which is not the run's; move it away first")
    for name in ("notes.txt", "zoo"):
        (out / name).unlink()
    for name in ("figures/thesis.pdf", "analysis/notes"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).touch()
        stays(out, says=f"has '{name}', which is not the run's; move it away first")
        if name.startswith("figures"):  # `report` replaces the folder as a whole
            assert "is not the run's and would be lost" in qbsweep("report", out, "--png").sentence(out)
        (out / name).unlink()
    assert qb.open(out).mv(out.with_name("moved")).complete


def test_a_run_in_a_run(out: Path) -> None:
    inner = Path(shutil.copytree(out, out / "figures" / "inner"))
    with opening.locked(inner):
        stays(out, "rm", "mv", says="has another run in it, ")
    assert qbsweep("rm", inner, "--yes")[0] == 0
    assert qbsweep("rm", out, "--yes")[0] == 0


def test_no_run_is_made_in_a_run(out: Path) -> None:
    other, pack, before = shutil.copytree(out, out.with_name("other")), qb.open(out).pack(), files(out)
    for command in (
        ["unpack", pack],
        ["merge", out, other, "--out"],
        ["mv", other],
        ["run", out / "sweep.yaml", "--out"],
    ):
        said = qbsweep(*command, out / "figures" / ".." / "inner").sentence(out.parent)
        assert "is in the directory of a run, " in said
        assert "as the name of a pack does" in qbsweep(*command, out.with_name("b.qbz")).sentence(out.parent)
    assert files(out) == before


def test_a_run_with_all_that_it_may_have_goes(out: Path) -> None:
    run = qb.open(out)
    for name in ("analysis/analysis.zarr", "figures", "slurm/logs", "blocks/x", ".data.zarr.previous"):
        (out / name).mkdir(parents=True)
    results = ("analysis/.baths.csv.0123456789abcdef.partial", "analysis/baths.csv", "figures/overview.png")
    for name in ("failures.jsonl", "attempts.jsonl", "report.html", ".plan.json.0123456789abcdef.partial", *results):
        (out / name).touch()
    (out / "data.zarr" / "zarr.json").write_text("")  # damaged, but ours
    run.rm()
    assert files(out.parent) == []


def test_all_are_looked_at_before_the_first_goes(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = out.with_name("none")
    assert "none is not a run directory: it does not exist" in qbsweep("rm", out, missing, "--yes").sentence(missing)
    assert out.is_dir()


def test_a_question_that_is_not_answered(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert "there was no answer, and nothing more was done" in qbsweep("rm", out).sentence()
    assert out.is_dir()


def test_a_scheduler_that_is_gone(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SCHEDULERS[RECORD.scheduler], "queue", lambda *_: None)
    with opening.locked(out.with_name("begun")) as directory:
        opening.prepare(qb.sweep(SWEEP), directory)
    for path in (out, out.with_name("begun")):
        JobFiles(path).folder.mkdir()
        JobFiles(path).write_record(RECORD)
    assert qbsweep("rm", out, "--yes")[0] == 0  # nothing of it is pending
    assert "Slurm does not answer" in qbsweep("rm", directory.path, "--yes").sentence(directory.path.parent)
    JobFiles(directory.path).finish()
    assert qbsweep("mv", directory.path, out)[0] == 0


def test_jobs_that_are_submitted_meanwhile(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        if (out / "lock").exists():
            raise qb.QbsweepError(f"{path} is submitted already")

    monkeypatch.setattr("qbsweep.api.move.refuse_if_awaited", refuse)
    stays(out, "rm", "mv", says="is submitted already")


def test_paths_are_said_as_they_were_typed(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(out.parent)
    (out / "notes.txt").touch()
    for command in (["pack", "none"], ["mv", "none", "b"], ["rm", "none", "--yes"]):
        assert qbsweep(*command).sentence().startswith("none is not a run directory: it does not exist")
    assert qbsweep("rm", "out", "--yes").sentence().startswith("out has 'notes.txt', which is not the run's")
    assert qbsweep("mv", "out", "a/b").sentence().startswith("a is not a directory")
    assert qbsweep("mv", "out", "./out").sentence() == "out is there already; give another place"


def test_one_that_is_named_twice(out: Path) -> None:
    assert qbsweep("rm", out, f"{out}/", "--yes")[:2] == (0, f"{out} is removed\n")
