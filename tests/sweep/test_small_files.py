"""Every small file of a run directory with JSON of the wrong types: one sentence or the right answer, no traceback."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qbsweep.runs import state
from qbsweep.slurm.files import JobFiles, Record
from qbsweep.store.directory import RunDirectory

from ..command import Outcome, qbsweep

SWEEP = """
name: small
parameters: {topology: cascaded, kappa: 0.003, epsilon: 0.01, solver: lindblad, N: 1, fock_levels: 3}
sweep: {J: [0.001, 0.002, 0.003, 1.0e+308], kerr: [0, 0.001]}
"""
WRONG = [None, True, -1, 10**400, float("nan"), "text", [], {}, [None]]
RECORD = Record("a" * 8, "qb-d", "qb-w", "1", "2", "jobs", 2, 60, 100, "", 1.0)
LOOKS = {
    "events.jsonl": [("status",)],
    "plan.json": [("status",)],
    "failures.jsonl": [("failures",)],
    "slurm/jobs.json": [("status", "--json"), ("cancel",)],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with failed and suspect points, two of its blocks pending again, and files as of jobs."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "sweep.yaml").write_text(SWEEP)
    out = folder / "out"
    outcome = qbsweep("run", folder / "sweep.yaml", "--executor", "serial", "--block-seconds", "1e-4", "--out", out)
    assert outcome.code == 3, outcome
    files = JobFiles(out)
    files.folder.mkdir()
    files.start_anew()
    files.write_record(RECORD)
    (files.folder / "notes/w.json").write_text('{"why": "killed", "block": 1, "text": "gone"}')
    (files.folder / "scheduler.json").write_text('{"address": "tcp://1.2.3.4:5", "id": "a"}')
    (files.folder / "starts.jsonl").write_text('{"event": "start", "time": 1.0, "blocks": 0}\n')
    line = {
        "block": 1,
        "cause": "worker",
        "error": "gone",
        "spec": json.loads((out / "plan.json").read_text())["digest"],
    }
    RunDirectory(out).attempts_file.write_text(json.dumps(line) + "\n")
    return out


def mutants(text: str) -> Iterator[str]:
    """Yield a file with the wrong things in it: as a whole, in the place of a line, of a field, of what is in one."""
    lines = [json.loads(text)] if text.startswith("{\n") else [json.loads(line) for line in text.splitlines()]
    for line in lines:
        line.pop("crc", None)  # as an earlier version wrote it: a wrong checksum would hide all else
    for wrong in WRONG:
        yield json.dumps(wrong)
        yield "\n".join(json.dumps(one) for one in [*lines, wrong])
    *others, last = lines
    for name, value in last.items():
        yield "\n".join(json.dumps(one) for one in [*others, {k: v for k, v in last.items() if k != name}])
        for wrong in (*WRONG, *nested(value)):
            yield "\n".join(json.dumps(one) for one in [*others, last | {name: wrong}])


def nested(value: Any) -> Iterator[Any]:
    if isinstance(value, list) and value:
        yield from ([wrong, *value[1:]] for wrong in WRONG)
    if isinstance(value, dict):
        yield from (value | {name: wrong} for name in value for wrong in WRONG)


def judged(outcome: Outcome, what: str) -> None:
    assert "Traceback" not in outcome.out + outcome.err, what
    assert outcome.err.count("\n") == (outcome.code == 2), f"{what}\n{outcome.err}"
    assert "damaged or not a qbsweep dataset" not in outcome.err, what


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("is_live", [False, True])
def test_looks_survive(
    name: str, is_live: bool, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    if is_live:  # the time that is left is of a live run
        monkeypatch.setattr(state, "lock_holder", lambda path: {"started": 0.0, "pid": 1, "host": "here"})
    file = out / name
    for mutant in dict.fromkeys(mutants(file.read_text())):
        file.write_text(mutant)
        for look in LOOKS[name]:
            judged(qbsweep(look[0], out, *look[1:]), f"{look}: {mutant[:300]}")


@pytest.mark.parametrize("name", ["w.json", "scheduler.json"])
def test_jobs_survive(name: str, finished: Path, tmp_path: Path) -> None:
    files = JobFiles(tmp_path)
    shutil.copytree(finished / "slurm", files.folder)
    file = next(files.folder.rglob(name))
    for mutant in dict.fromkeys(mutants(file.read_text())):
        file.write_text(mutant)
        for note in files.take_notes():
            assert note.cause(1) in (None, "worker", "walltime")
        files.scheduler()


@pytest.mark.parametrize("name", ["events.jsonl", "attempts.jsonl", "failures.jsonl"])
def test_a_run_goes_on(name: str, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "slurm")
    file, before = out / name, (out / name).read_text()
    last = {name: value for name, value in json.loads(before.splitlines()[-1]).items() if name != "crc"}
    file.write_text("")
    for wrong in ([], {"a": 1}, float("nan")):
        with file.open("a") as stream:
            for field in last:
                stream.write(json.dumps(last | {field: wrong}) + "\n")
            stream.write(json.dumps(wrong) + "\n")
    outcome = qbsweep("run", out / "sweep.yaml", "--executor", "serial", "--out", out)
    judged(outcome, name)
    assert outcome.code == 3
    outcome = qbsweep("run", out / "sweep.yaml", "--executor", "serial", "--out", out, "--retry-failed")
    judged(outcome, name)
    assert outcome.code == 3
    judged(qbsweep("report", out), name)
