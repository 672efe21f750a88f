"""`check`, `compact` and `upgrade`: what is damaged is named and mended, what is old is read and brought up to date."""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.runs import loop, opening
from qbsweep.runs.block import Task, solve_block
from qbsweep.runs.plan import make_grid
from qbsweep.runs.state import progress_in
from qbsweep.solvers.status import VERDICT_CODES
from qbsweep.store.allocate import allocate
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.sweeps.spec import parse_spec

from ..command import qbsweep
from ..datasets import put

SWEEP = """name: small
parameters: {topology: cascaded, kappa: 0.003, epsilon: 0.01}
sweep: {N: [1, 3], J: {geomspace: [1e-3, 1e-2, 6]}, n_th: [0, 1]}
times: {linspace: [0, 10, 5], unit: 1/kappa}
"""
STORED = Path(__file__).parents[1] / "data" / "format2.zip"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "sweep.yaml").write_text(SWEEP)
    assert qbsweep("run", folder / "sweep.yaml", "--out", folder / "out", "--block-seconds", "2e-5")[0] == 0
    return folder / "out"


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def numbers(out: Path) -> xr.Dataset:
    return qb.open(out).dataset.drop_vars("solve_seconds").drop_attrs(deep=False).load()


def again(out: Path) -> None:
    assert qbsweep("run", out / "sweep.yaml", "--out", out)[0] == 0


def flip(file: Path, bit: int = 4) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1 << bit
    file.write_bytes(content)


def test_a_sound_run(out: Path) -> None:
    code, text, _ = qbsweep("check", out, "--recompute", 10)
    assert code == 0
    assert text.startswith("0 damaged files")
    assert "10 points solved again: the largest difference is 0.0e+00" in text
    found = json.loads(qbsweep("check", out, "--json")[1])
    assert (found["damages"], found["exit_code"]) == ([], 0)


def test_every_flipped_file_is_named_and_mended(out: Path, finished: Path) -> None:
    expected = numbers(finished)
    for file in sorted(path for path in (out / "data.zarr").rglob("*") if path.is_file()):
        flip(file)
        found = qb.open(out).check()
        assert any(str(file) in damage for damage in found.damages), (file, found.damages)
        mended = qb.open(out).check(repair=True)
        assert mended.exit_code == 0
        assert not qb.open(out).check().damages
        if mended.blocks:
            assert not progress_in(RunDirectory(out)).complete
            again(out)
        xr.testing.assert_identical(numbers(out), expected)


MUTATIONS: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "deleted": Path.unlink,
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "another": lambda file: shutil.copy(next(f for f in file.parents[1].rglob("*") if f.is_file() and f != file), file),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutated_files_are_named_and_mended(out: Path, finished: Path, mutation: str) -> None:
    expected = numbers(finished)
    data = out / "data.zarr"
    chosen = [data / "zarr.json", data / "J/c.0", data / "seals/rest.json", next((data / "seals").glob("*-0.json"))]
    chosen += [data / "status/c.0.0.0", data / "energy_t/c.0.0.0.0.0", data / "verdict/zarr.json"]
    for file in chosen:
        MUTATIONS[mutation](file)
        found = qb.open(out).check()
        if mutation == "deleted" and file.parent.name == "status":  # as before it was written: its points are pending
            assert (found.exit_code, found.notes[-1]) == (0, f"{file} is missing")
        else:
            assert found.exit_code == 1, file
            assert any(str(file) in damage for damage in found.damages), (file, found.damages)
        assert qb.open(out).check(repair=True).exit_code == 0
        assert not qb.open(out).check().damages
        again(out)
        xr.testing.assert_identical(numbers(out), expected)


def test_what_was_mended_is_not_missing(out: Path) -> None:
    for file in ("status/c.0.0.0", "zarr.json"):
        (out / "data.zarr" / file).write_bytes(b"")
        assert " 0 B" not in str(qb.open(out).check())
        mended = qb.open(out).check(repair=True)
        assert mended.damages
        assert not any("is missing" in note for note in mended.notes)


@pytest.mark.parametrize("folder", ["seals", "N", "energy_t", "status"])
@pytest.mark.parametrize("is_file", [False, True])
def test_folders_that_are_gone_or_files_are_mended(out: Path, finished: Path, folder: str, is_file: bool) -> None:
    path = out / "data.zarr" / folder
    shutil.rmtree(path)
    if is_file:
        path.write_text("not ours")
    found = qb.open(out).check()
    assert found.exit_code == 1
    assert any(str(path) in damage for damage in found.damages)
    assert qb.open(out).check(repair=True).exit_code == 0
    again(out)
    assert not qb.open(out).check().damages
    xr.testing.assert_identical(numbers(out), numbers(finished))


@pytest.mark.parametrize("is_repaired", [True, False])
def test_a_file_in_the_place_of_the_blocks_of_a_dataset(tmp_path: Path, finished: Path, is_repaired: bool) -> None:
    out, store = in_the_way(tmp_path, "")
    told = [f"{store.blocks.folder} is a file, where the folder of finished blocks is to be"]
    assert qb.open(out).check().damages == told
    if is_repaired:
        assert qb.open(out).check(repair=True).exit_code == 0
        assert not store.blocks.folder.exists()
    again(out)
    xr.testing.assert_identical(numbers(out), numbers(finished))


def test_a_file_in_the_place_of_all_blocks_may_be_somebodys(tmp_path: Path, finished: Path) -> None:
    out, store = in_the_way(tmp_path, "..")
    assert qb.open(out).check(repair=True).exit_code == 0
    told = qbsweep("run", out / "sweep.yaml", "--out", out).sentence(out)
    assert told == "out/blocks is not from a run and in the way; move it away, or give another --out"
    store.blocks.folder.parent.unlink()
    again(out)
    xr.testing.assert_identical(numbers(out), numbers(finished))


def in_the_way(folder: Path, where: str) -> tuple[Path, Store]:
    """A run that is to begin, with a file in the place of its blocks."""
    with opening.locked(folder / "out") as directory:
        store = opening.prepare(parse_spec(SWEEP), directory, block_seconds=2e-5)
    path = Path(os.path.normpath(store.blocks.folder / where))
    path.parent.mkdir(exist_ok=True)
    path.write_text("not ours")
    assert qb.open(directory.path).status()["pending"] == 24
    return directory.path, store


def test_chunks_of_the_same_variable_are_not_taken_for_each_other(tmp_path: Path) -> None:
    spec = parse_spec(SWEEP)
    grid = make_grid(spec, 2e-5)
    allocate(tmp_path / "data.zarr", spec, replace(grid, chunk_shape=grid.block_shape), {})
    store = Store(tmp_path / "data.zarr", safe=False)
    loop.run_blocks(RunDirectory(tmp_path), store, loop.serial)
    shutil.copy(store.chunks.file("energy_terminal", 1), store.chunks.file("energy_terminal", 0))
    (damage,) = qb.open(tmp_path).check().damages
    assert "is whole, but not what was written there" in damage
    with pytest.raises(qb.QbsweepError, match="not what was written there"):
        qb.open(tmp_path).dataset.energy_terminal.load()


def test_other_numbers_are_found_by_solving_again(out: Path) -> None:
    put(out, "energy_terminal", (slice(None), 2, 1), 0.5)
    assert qbsweep("check", out)[0] == 0
    code, text, _ = qbsweep("check", out, "--recompute", 24)
    assert code == 3
    assert text.count("other numbers: energy_terminal at N ") == 2
    assert text.count("n_th 1 is 0.5, and ") == 2


def test_a_sweep_without_axes(tmp_path: Path) -> None:
    parameters = {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01, "N": 1, "J": 1e-3}
    sweep = {"name": "one", "parameters": parameters, "outputs": ["energy_terminal", "energy"]}
    run = qb.run(sweep, tmp_path / "out", executor="serial", progress=False)
    assert run.check(recompute=1).recomputed == 1
    put(run.path, "energy_terminal", (), 0.5)
    (other,) = run.check(recompute=1).differ
    assert (other["labels"], other["before"]) == ({}, 0.5)


def test_numbers_that_json_has_no_word_for(out: Path) -> None:
    put(out, "energy_t", (slice(None), slice(None), slice(None), 1, 2), np.nan)
    code, text, _ = qbsweep("check", out, "--recompute", 24, "--json")
    found = json.loads(text, parse_constant=pytest.fail)
    assert (code, found["worst"]) == (3, None)
    first = found["differ"][0]
    assert (first["variable"], first["difference"], first["before"]) == ("energy_t", None, None)
    assert first["labels"].keys() == {"N", "J", "n_th", "mode", "time"}
    assert (first["labels"]["mode"], first["labels"]["time"]) == (1, 5.0)
    assert first["now"] > 0


def test_another_word_is_found_by_solving_again(out: Path) -> None:
    put(out, "verdict", (0, 2, 1), VERDICT_CODES["converged"])
    assert qbsweep("check", out)[0] == 0
    code, text, _ = qbsweep("check", out, "--recompute", 24)
    assert code == 3
    assert text.count("other numbers: ") == 1
    assert " is 'converged', and 'exact' when solved again" in text


def test_what_was_not_solved_again_is_said(out: Path) -> None:
    put(out, "status", ..., 2)
    code, text, _ = qbsweep("check", out, "--recompute", 5)
    assert (code, text.splitlines()[-1]) == (0, "0 of 5 points were solved again: no more are solved")
    put(out, "status", (0, 2, 1), 3)  # suspect, which has numbers as well
    code, text, _ = qbsweep("check", out, "--recompute", 5)
    assert re.search(r"other numbers: status at N 1, .* is 'suspect', and 'ok' when solved again", text)
    assert (code, text.splitlines()[-1]) == (3, "1 of 5 points were solved again: no more are solved")
    flip(out / "data.zarr/energy_t/c.0.0.0.0.0")
    assert "no point was solved again, since files are damaged" in qbsweep("check", out, "--recompute", 5)[1]


def test_what_is_no_file_of_the_dataset_is_removed(out: Path) -> None:
    """A worker that outlived an extension may leave it."""
    strangers = [out / "data.zarr/status/0.0.0", out / "data.zarr/energy_t/a folder"]
    strangers[0].write_bytes(b"x")
    (strangers[1] / "b").mkdir(parents=True)
    (out / "data.zarr/status/.nfs0001").write_bytes(b"of a file server")
    assert qb.open(out).check().damages == [f"{file} is no file of this dataset" for file in reversed(strangers)]
    code, text, _ = qbsweep("check", out, "--repair")
    assert (code, "mended; no point has to be solved again" in text) == (0, True)
    assert not any(file.exists() for file in strangers)
    assert qb.open(out).check().damages == []


def test_what_cannot_be_mended_is_not_called_mended(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = out / "data.zarr"
    monkeypatch.setattr(Store, "digest", "0" * 64)
    flip(data / "energy_t/c.0.0.0.0.0")
    for _ in range(2):
        code, text, _ = qbsweep("check", out, "--repair")
        assert code == 1
        assert f"cannot be mended: {data}: its sweep has the digest" in text
        assert "makes their points pending" not in text
    assert json.loads(qbsweep("check", out, "--repair", "--json")[1])["repaired"] is False


def test_a_writer_at_work_is_no_damage(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files on their way are there for a moment, half written, and gone when they are to be read."""
    partial = ".x.0123456789abcdef.partial"
    seal = next((out / "data.zarr" / "seals").glob("*-0.json"))
    seal.with_name(partial).write_bytes(seal.read_bytes()[: seal.stat().st_size // 2])
    assert qb.open(out).check().damages == []
    passing = out / "data.zarr" / "status" / partial
    passing.touch()
    stat = Path.stat

    def going(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = stat(self, follow_symlinks=follow_symlinks)
        if self == passing:
            passing.unlink()
        return found

    monkeypatch.setattr(Path, "stat", going)
    assert qb.open(out).check().damages == []


def test_blocks_of_a_killed_run(tmp_path: Path) -> None:
    """A kill leaves no time to bring blocks into their chunks; they are read where they are."""
    spec = parse_spec(SWEEP)
    with opening.locked(tmp_path / "out") as directory:
        store = opening.prepare(spec, directory, block_seconds=2e-5)
        for block in range(5):
            assert not solve_block(Task(str(directory.path), store.id, block)).error
    out = tmp_path / "out"
    before = numbers(out)
    with xr.open_zarr(out / "data.zarr") as plain:
        assert not (plain.status != 0).any()
    assert int((before.status == 1).sum()) == sum(
        np.prod([s.stop - s.start for s in store.grid.block(b)]) for b in range(5)
    )
    assert "5 blocks" in qbsweep("compact", out)[1]
    assert "nothing to do" in qbsweep("compact", out)[1]
    assert not (out / "blocks").exists()
    xr.testing.assert_identical(numbers(out), before)
    with xr.open_zarr(out / "data.zarr") as plain:
        np.testing.assert_array_equal(plain.energy_t, before.energy_t)


def test_a_log_that_lacks_blocks_gets_them(out: Path) -> None:
    for command in (["run", out / "sweep.yaml", "--out", out], ["compact", out]):
        (out / "events.jsonl").unlink()
        assert re.search(r"events.jsonl lacks \d+ finished blocks, which the next `run` adds", qbsweep("check", out)[1])
        with opening.locked(out):
            assert qb.open(out).check().notes == []
        assert qbsweep(*command)[0] == 0
        assert qb.open(out).check().notes == []


def test_torn_chunks_are_solved_again(out: Path, finished: Path) -> None:
    for file in ("energy_t/c.0.0.0.0.0", "status/c.0.0.0"):
        (out / "data.zarr" / file).write_bytes(b"")
        code, text, _ = qbsweep("run", out / "sweep.yaml", "--out", out)
        assert code == 0
        assert re.search(r"blocks? (was|were) torn", text)
        xr.testing.assert_identical(numbers(out), numbers(finished))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Runs of an earlier version: finished, half finished, refined, extended."""
    zipfile.ZipFile(STORED).extractall(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["finished", "half", "moments", "extended"])
def test_a_run_of_format_2_is_read_and_upgraded(stored: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = stored / name
    status = json.loads(qbsweep("status", out, "--json")[1])
    with xr.open_zarr(out / "data.zarr") as plain:
        expected = plain.drop_attrs(deep=False).load()
    xr.testing.assert_identical(qb.open(out).dataset.drop_attrs(deep=False).load(), expected)
    if name in ("half", "moments"):
        assert qbsweep("analyze", out)[0] == 0
    for command in (["run", out / "sweep.yaml", "--out", out], ["compact", out], ["check", out]):
        assert "qbsweep upgrade" in qbsweep(*command).sentence(out)
    refined = (out / "data.zarr/refined").exists()
    assert refined == (name == "moments")
    assert "has the current format now" in qbsweep("upgrade", out)[1]
    assert "nothing to do" in qbsweep("upgrade", out)[1]
    assert qb.open(out).check().notes == []
    xr.testing.assert_identical(qb.open(out).dataset.drop_attrs(deep=False).load(), expected)
    assert (out / "data.zarr/refined").exists() == refined
    after = json.loads(qbsweep("status", out, "--json")[1])
    assert [after[key] for key in ("ok", "pending", "verdicts")] == [
        status[key] for key in ("ok", "pending", "verdicts")
    ]
    more = ["--recompute", 5] if name == "moments" else []  # the truncated points of the others take seconds
    assert qbsweep("check", out, *more)[0] == 0
    pending = qb.open(out).status()["pending"]
    monkeypatch.setattr(loop, "serial", lambda tasks: map(solve_block, islice(tasks, 2)))
    assert qbsweep("run", out / "sweep.yaml", "--out", out, "--executor", "serial")[0] == (1 if pending else 0)
    assert qb.open(out).status()["pending"] < pending or not pending
    assert qbsweep("check", out)[0] == 0


def test_damaged_samples_are_put_aside_and_analyses_removed(out: Path) -> None:
    qb.open(out).refine(tolerance=0.1, progress=False)
    qb.open(out).analyze()
    refined, analysis = out / "data.zarr/refined", out / "analysis/analysis.zarr"
    for tree in (refined, analysis):
        flip(next(file for file in tree.rglob("0") if file.is_file()))
    assert len(qb.open(out).check().damages) == 2
    said = qbsweep("analyze", out).sentence(out)
    assert said.startswith("out/data.zarr/refined is damaged: out/data.zarr/refined/")
    assert said.endswith("`qbsweep check --repair out` puts it aside")
    code, text, _ = qbsweep("check", out, "--repair")
    assert code == 0
    assert f"{refined} is put aside as refined.damaged; `qbsweep analyze {out} --refine 1e-9` makes it again" in text
    assert f"{analysis} is removed; `qbsweep analyze {out}` makes it again" in text
    assert (out / "data.zarr/refined.damaged/energy_terminal").exists()
    assert not refined.exists()
    assert not analysis.exists()
    assert not qb.open(out).check().damages
