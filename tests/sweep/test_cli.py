"""The commands as a user meets them: what a run leaves behind, how it goes on, and how it grows."""

import json
import math
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from qbsweep.physics.topologies import optimal_coupling
from qbsweep.runs import loop
from qbsweep.runs.block import Report, Task, solve_block
from qbsweep.runs.plan import make_grid
from qbsweep.solvers.status import FAILED, OK
from qbsweep.sweeps.spec import load_spec, parse_spec

from ..command import Outcome, qbsweep

SMALL_BLOCKS = ("--block-seconds", "2e-5")
FULL_SECONDS = 1e-3


def start(sweep: Path, out: Path, *options: str) -> Outcome:
    return qbsweep("run", sweep, "--executor", "serial", "--out", out, *options)


def written(folder: Path, content: str, name: str = "given.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    return folder / name


def text(sweep: dict[str, str], extra: str = "") -> str:
    fixed = {"topology": "cascaded", "N": "2", "J": "0.1", "kappa": "0.003", "epsilon": "0.01", "n_th": "0.5"}

    def mapping(entries: dict[str, str]) -> str:
        return "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"

    left = {key: value for key, value in fixed.items() if key not in sweep}
    return f"name: test\nparameters: {mapping(left)}\nsweep: {mapping(sweep)}\n{extra}\n"


def opened(out: Path) -> xr.Dataset:
    """The dataset as a user opens it, in memory; warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(out / "data.zarr") as dataset:
            return dataset.load()


def contents(path: Path) -> dict[str, tuple[bytes, int]]:
    files = (p for p in sorted(path.rglob("*")) if p.is_file())
    return {str(p.relative_to(path)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


def points_in(records: Iterable[dict[str, Any]]) -> int:
    return sum(record.get("points", 0) for record in records)


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


# The dataset of a run

FULL = """
name: everything
parameters: {epsilon: 0.01}
sweep:
  kappa: [0.003, 0.01]
  J: {geomspace: [0.1, 10, 5], unit: J_op}
  N: [3, 1]
  topology: [cascaded, parallel]
  r: [0, 0.5]
times: {linspace: [0, 5, 6], unit: 1/kappa}
outputs:
  [energy_terminal, ergotropy_terminal, energy_batteries, energy_charger, energy, ergotropy, energy_t, ergotropy_t]
"""
FULL_DIMS = ("topology", "N", "J", "kappa", "r")
FULL_SHAPE = (2, 2, 5, 2, 2)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    outcome = start(written(folder, FULL), folder / "out", "--block-seconds", str(FULL_SECONDS))
    assert (outcome.code, outcome.err) == (0, "")
    return folder / "out"


@pytest.fixture(scope="module")
def dataset(full: Path) -> xr.Dataset:
    return opened(full)


def test_dims_are_the_axes_then_mode_and_time(dataset: xr.Dataset) -> None:
    for name in ("energy_terminal", "ergotropy_terminal", "energy_batteries", "energy_charger"):
        assert dataset[name].dims == FULL_DIMS
        assert dataset[name].shape == FULL_SHAPE
    for name in ("status", "solve_seconds"):
        assert dataset[name].dims == FULL_DIMS
    for name in ("energy", "ergotropy"):
        assert dataset[name].dims == (*FULL_DIMS, "mode")
    for name in ("energy_t", "ergotropy_t"):
        assert dataset[name].dims == (*FULL_DIMS, "mode", "time")
    assert dataset.sizes["mode"] == 4
    assert dataset.sizes["time"] == 6


def test_coordinates_are_the_values_of_the_file(dataset: xr.Dataset) -> None:
    assert dataset.topology.values.tolist() == ["cascaded", "parallel"]
    assert dataset.N.values.tolist() == [3, 1]
    assert dataset.N.dtype == np.int64
    np.testing.assert_array_equal(dataset.J, np.geomspace(0.1, 10, 5))
    assert dataset.kappa.values.tolist() == [0.003, 0.01]
    assert dataset.r.values.tolist() == [0.0, 0.5]
    assert dataset.mode.values.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(dataset.time, np.linspace(0, 5, 6))
    # Fixed parameters are scalar coordinates, so nothing that decides a number is missing.
    for name, value in {"epsilon": 0.01, "n_th": 0.0, "omega": 1.0, "theta_r": 0.0}.items():
        assert dataset[name].dims == ()
        assert dataset[name].item() == value
    assert dataset.coupling.item() == "nonreciprocal"
    assert dataset.solver.item() == "moments"
    # What only the other solver depends on decides none.
    assert not {"fock_levels", "frame", "engine", "tolerance", "memory", "kerr", "kerr_charger"} & set(dataset.coords)


def test_everything_has_units_and_a_long_name(dataset: xr.Dataset) -> None:
    assert set(dataset.data_vars) >= {"energy_terminal", "energy", "energy_t", "status", "solve_seconds"}
    for name, variable in dataset.variables.items():
        assert variable.attrs.get("long_name"), name
        assert variable.attrs.get("units"), name
    assert dataset.J.attrs["units"] == "J_op"
    assert dataset.J_abs.attrs["units"] == "omega"
    assert dataset.kappa.attrs["units"] == "omega"
    assert dataset.time.attrs["units"] == "1/kappa"
    assert dataset.energy_terminal.attrs["units"] == "omega"
    assert dataset.solve_seconds.attrs["units"] == "s"


def test_attributes_say_where_it_comes_from(dataset: xr.Dataset, full: Path) -> None:
    spec = parse_spec(dataset.attrs["spec"])
    assert dataset.attrs["spec_digest"] == spec.digest() == load_spec(full / "sweep.yaml").digest()
    assert dataset.attrs["title"] == "everything"
    assert {"python", "qbsweep", "numpy", "scipy", "xarray", "zarr"} <= set(json.loads(dataset.attrs["versions"]))
    assert dataset.attrs["git_commit"]
    assert dataset.attrs["host"]
    assert dataset.attrs["created"].startswith("20")


def test_absolute_couplings(dataset: xr.Dataset) -> None:
    assert dataset.J_abs.dims == ("topology", "N", "J", "kappa")
    for topology in ("cascaded", "parallel"):
        for N in (1, 3):
            for kappa in (0.003, 0.01):
                expected = dataset.J.values * optimal_coupling(topology, N, np.array([kappa]))
                found = dataset.J_abs.sel(topology=topology, N=N, kappa=kappa)
                np.testing.assert_allclose(found, expected.ravel(), rtol=1e-15)


def test_modes_beyond_a_points_own_are_nan_and_no_others(dataset: xr.Dataset) -> None:
    for name in ("energy", "ergotropy", "energy_t", "ergotropy_t"):
        array = dataset[name]
        assert array.sel(N=1).isel(mode=slice(2, None)).isnull().all()
        assert array.sel(N=1).isel(mode=slice(0, 2)).notnull().all()
        assert array.sel(N=3).notnull().all()
    assert (dataset.status == OK).all()
    assert dataset.status.dtype == np.int8


def test_variables_agree_with_each_other(dataset: xr.Dataset) -> None:
    for N in (1, 3):
        one = dataset.sel(N=N)
        np.testing.assert_allclose(one.energy.sel(mode=0), one.energy_charger, rtol=1e-13)
        np.testing.assert_allclose(one.energy.sel(mode=N), one.energy_terminal, rtol=1e-13)
        np.testing.assert_allclose(one.ergotropy.sel(mode=N), one.ergotropy_terminal, rtol=1e-13)
        np.testing.assert_allclose(one.energy.sel(mode=slice(1, N)).sum("mode"), one.energy_batteries, rtol=1e-13)
        np.testing.assert_array_equal(one.energy_t.sel(time=0, mode=slice(0, N)), 0)


def test_the_optimum_lies_at_one_times_j_op(dataset: xr.Dataset) -> None:
    best = dataset.energy_terminal.sel(r=0).idxmax("J")
    assert (best == 1).all()


def test_chunks_are_whole_blocks(full: Path) -> None:
    grid = make_grid(load_spec(full / "sweep.yaml"), FULL_SECONDS)
    assert grid.n_blocks > 1
    with xr.open_zarr(full / "data.zarr") as lazy:
        for name in lazy.data_vars:
            chunks = lazy[name].encoding["chunks"]
            assert chunks[: len(grid.chunk_shape)] == grid.chunk_shape
            assert chunks[len(grid.chunk_shape) :] == lazy[name].shape[len(grid.chunk_shape) :]
    chunks = [set(grid.blocks_of(chunk)) for chunk in range(grid.chunks.number)]
    assert sorted(block for blocks in chunks for block in blocks) == list(range(grid.n_blocks))


# The small files


def test_sweep_yaml_is_a_sweep_file(full: Path, tmp_path: Path) -> None:
    spec = load_spec(full / "sweep.yaml")
    assert tuple(spec.axes) == FULL_DIMS
    assert spec.name == "everything"
    out = tmp_path / "again"
    assert start(full / "sweep.yaml", out).code == 0
    again = opened(out)
    for name, variable in opened(full).variables.items():
        if name != "solve_seconds":
            assert same_bits(variable.values, again[name].values), name


def test_plan_json(full: Path) -> None:
    plan = json.loads((full / "plan.json").read_text())
    spec = load_spec(full / "sweep.yaml")
    grid = make_grid(spec, FULL_SECONDS)
    assert tuple(plan["dims"]) == FULL_DIMS
    assert tuple(plan["shape"]) == FULL_SHAPE
    assert tuple(plan["block_shape"]) == grid.block_shape
    assert plan["points"] == math.prod(FULL_SHAPE)
    assert plan["blocks"] == grid.n_blocks
    assert plan["digest"] == spec.digest()


def test_events_name_every_block_once(full: Path) -> None:
    records = events(full)
    plan = json.loads((full / "plan.json").read_text())
    assert sorted(record["block"] for record in records) == list(range(plan["blocks"]))
    assert points_in(records) == plan["points"]
    for record in records:
        assert record["seconds"] >= 0
        assert record["rss"] > 0
        assert record["host"]
        assert record["attempt"] == 1
        assert record["ok"] == record["points"]
        assert {"job", "pid", "time"} <= set(record)
    assert not (full / "failures.jsonl").exists() or not (full / "failures.jsonl").read_text()
    assert not (full / "lock").exists()


# run, again, status, failures


def test_a_finished_run_is_not_run_again(full: Path) -> None:
    kept = ("data.zarr", "events.jsonl", "sweep.yaml")
    before = {name: value for name, value in contents(full).items() if name.startswith(kept)}
    for options in ((), SMALL_BLOCKS, ("--retry-failed",)):
        outcome = start(full / "sweep.yaml", full, *options)
        assert (outcome.code, outcome.err) == (0, "")
        assert "all points are solved already" in outcome.out
        assert {name: value for name, value in contents(full).items() if name.startswith(kept)} == before


def test_status_as_json(full: Path) -> None:
    outcome = qbsweep("status", full, "--json")
    state = json.loads(outcome.out)
    points = math.prod(FULL_SHAPE)
    assert outcome.code == state["exit_code"] == 0
    assert state["state"] == "complete"
    assert (state["points"], state["ok"], state["finished"]) == (points, points, points)
    assert (state["pending"], state["failed"], state["suspect"]) == (0, 0, 0)
    assert state["blocks"] == state["blocks_done"] == json.loads((full / "plan.json").read_text())["blocks"]
    assert state["running"] is None
    assert state["eta_seconds"] is None
    assert state["points_per_second"] is None or state["points_per_second"] > 0
    assert state["directory"] == str(full)


def test_status_for_people(full: Path) -> None:
    outcome = qbsweep("status", full)
    assert outcome.code == 0
    assert "complete" in outcome.out
    assert "80 ok, 0 suspect, 0 failed, 0 pending" in outcome.out


def test_the_real_command(tmp_path: Path) -> None:
    written(tmp_path, text({"J": "[0.1, 0.2]"}))
    command = [sys.executable, "-W", "error", "-m", "qbsweep", "run", "given.yaml", "--executor", "serial"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert opened(tmp_path / "runs" / "test").sizes["J"] == 2  # the default of --out
    assert 'xarray.open_zarr("runs/test/data.zarr")' in done.stdout
    assert "2 ok, 0 suspect, 0 failed, 0 pending" in done.stdout


def test_an_interrupt_in_a_finalizer_is_not_lost() -> None:
    """Python prints an exception raised there, and goes on."""
    code = """
import os, signal, time
import qbsweep.__main__, qbsweep.cli.main

class Ended:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def command():
    Ended()
    time.sleep(50)

qbsweep.cli.main.main = command
qbsweep.__main__.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40)
    assert done.returncode == 1
    assert done.stderr == "qbsweep: interrupted; the same command goes on where this one stopped\n"


def test_one_point_is_a_sweep(tmp_path: Path) -> None:
    assert start(written(tmp_path, text({})), tmp_path / "out").code == 0
    dataset = opened(tmp_path / "out")
    assert dataset.energy_terminal.dims == ()
    assert dataset.energy_terminal.item() > 0
    assert dataset.J.item() == 0.1


@pytest.fixture
def three_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An executor that stops after three blocks."""

    def stopping(tasks: Iterable[Task]) -> Iterator[Report]:
        return map(solve_block, islice(tasks, 3))

    monkeypatch.setattr(loop, "serial", stopping)


def test_an_interrupted_run_goes_on(tmp_path: Path, three_blocks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = written(tmp_path, text({"J": "{geomspace: [0.01, 1, 500]}", "r": "[0, 0.5]"}))
    out = tmp_path / "out"
    assert start(sweep, out, *SMALL_BLOCKS).code == 1
    outcome = qbsweep("status", out, "--json")
    state = json.loads(outcome.out)
    assert outcome.code == state["exit_code"] == 1
    assert state["state"] == "interrupted"
    assert state["blocks_done"] == 3
    assert 0 < state["ok"] == state["finished"] == points_in(events(out)) < state["points"]
    assert state["pending"] == state["points"] - state["ok"]
    early = events(out)
    monkeypatch.undo()
    assert start(sweep, out, *SMALL_BLOCKS).code == 0
    assert events(out)[:3] == early
    assert points_in(events(out)) == 1000
    assert len({record["block"] for record in events(out)}) == len(events(out))
    assert qbsweep("status", out).code == 0


def test_failed_points_are_told_and_kept_apart(tmp_path: Path) -> None:
    sweep = written(tmp_path, text({"J": "[0.1, 0.2]", "epsilon": "[0.01, 1e200, 1e300]"}))
    out = tmp_path / "out"
    outcome = start(sweep, out)
    assert (outcome.code, outcome.err) == (3, "")
    assert "2 ok, 0 suspect, 4 failed, 0 pending" in outcome.out
    assert "qbsweep failures" in outcome.out
    dataset = opened(out)
    assert (dataset.status.sel(epsilon=0.01) == OK).all()
    assert (dataset.status.isel(epsilon=slice(1, None)) == FAILED).all()
    assert dataset.energy_terminal.sel(epsilon=0.01).notnull().all()

    status = qbsweep("status", out, "--json")
    state = json.loads(status.out)
    assert status.code == state["exit_code"] == 3
    assert (state["state"], state["failed"], state["ok"]) == ("complete", 4, 2)

    told = qbsweep("failures", out)
    assert told.code == 0
    assert "epsilon 1e+200" in told.out
    assert "J 0.1" in told.out
    assert "not finite" in told.out
    assert "4 points are failed now" in told.out
    records = [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]
    assert sum(record["points"] for record in records) == 4
    assert all({"block", "attempt", "labels", "error", "traceback"} <= set(record) for record in records)

    assert start(sweep, out).code == 3  # not tried again by itself
    assert points_in(events(out)) == 6
    again = start(sweep, out, "--retry-failed")
    assert again.code == 3
    assert "4 failed points will be solved again" in again.out
    assert points_in(events(out)) == 10  # only the failed ones


def test_failures_of_a_clean_run(full: Path) -> None:
    outcome = qbsweep("failures", full)
    assert outcome.code == 0
    assert "0 points are failed now" in outcome.out


def test_a_directory_made_anew_holds_the_new_sweep(tmp_path: Path) -> None:
    # A long-lived worker must not write the sweep that it met at this path before.
    out = tmp_path / "out"
    sweeps = [
        written(tmp_path, text({"J": "[0.1, 0.2]", "kappa": f"[{kappa}]"}), f"{kappa}.yaml") for kappa in (0.003, 0.03)
    ]
    assert start(sweeps[0], out).code == 0
    shutil.rmtree(out)
    assert start(sweeps[1], out).code == 0
    assert start(sweeps[1], tmp_path / "reference").code == 0
    assert same_bits(opened(out).energy_terminal.values, opened(tmp_path / "reference").energy_terminal.values)


# plan, schema


def test_plan_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, FULL)
    monkeypatch.chdir(tmp_path)
    outcome = qbsweep("plan", "given.yaml", "--workers", "2")
    assert (outcome.code, outcome.err) == (0, "")
    assert "80 (topology 2 x N 2 x J 5 x kappa 2 x r 2)" in outcome.out
    for word in ("points", "blocks", "memory", "files", "2 cores"):
        assert word in outcome.out
    assert [path.name for path in tmp_path.iterdir()] == ["given.yaml"]


def test_schema_is_json() -> None:
    outcome = qbsweep("schema")
    assert (outcome.code, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert document["title"]
    assert {"name", "parameters", "sweep", "times", "outputs", "networks", "protocol", "initial"} == set(
        document["properties"]
    )


@pytest.mark.parametrize("command", ["plan", "run", "status", "failures", "schema"])
def test_help(command: str) -> None:
    outcome = qbsweep(command, "--help")
    assert outcome.code == 0
    assert "Usage:" in outcome.out


# Extension

TIMES = "times: {linspace: [0, 2, 3], unit: 1/kappa}"
MODES = "outputs: [energy_terminal, ergotropy_terminal, energy, energy_t, ergotropy_t]"
GROWTH: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "at the end": (
        {"J": "{range: [0.1, 4, 0.1]}", "r": "[0, 0.5]"},
        {"J": "{range: [0.1, 6, 0.1]}", "r": "[0, 0.5]"},
        "",
    ),
    "in the middle": (
        {"N": "[1, 3]", "J": "{range: [1, 15]}", "n_th": "[0, 1]"},
        {"N": "[1, 3]", "J": "{range: [0.5, 15, 0.5]}", "n_th": "[0, 0.5, 1]"},
        "",
    ),
    "two axes at once": (
        {"topology": "[cascaded]", "J": "{range: [1, 15]}", "r": "[0, 1]"},
        {"topology": "[parallel, cascaded]", "J": "{range: [0, 20]}", "r": "[0, 0.5, 1]"},
        "",
    ),
    "another order": (
        {"J": "{range: [1, 20]}", "r": "[0, 1]"},
        {"J": "{range: [21, 0, -1]}", "r": "[1, 0]"},
        "",
    ),
    "larger N with modes and times": (
        {"N": "[2, 1]", "J": "[0.1, 0.2, 0.3]"},
        {"N": "[5, 2, 1, 3]", "J": "[0.1, 0.2, 0.3, 0.4]"},
        f"{TIMES}\n{MODES}",
    ),
    "a fixed parameter becomes an axis": (
        {"J": "[0.1, 0.2, 0.3]", "r": "[0, 0.5]"},
        {"J": "[0.1, 0.2, 0.3]", "r": "[0, 0.5]", "n_th": "[0, 0.5, 1]", "N": "[1, 2]"},
        f"{TIMES}\n{MODES}",
    ),
    "one point becomes a grid": (
        {},
        {"J": "{range: [0.1, 3, 0.1]}", "coupling": "[reciprocal, nonreciprocal]"},
        "",
    ),
    "in units of the optimum": (
        {"J": "{range: [1, 30], unit: J_op}", "topology": "[cascaded]", "kappa": "[0.003]"},
        {"J": "{range: [0.5, 30, 0.5], unit: J_op}", "topology": "[cascaded, parallel]", "kappa": "[0.001, 0.003]"},
        "",
    ),
    "an axis of the one value it had": (
        {"J": "{range: [1, 40]}"},
        {"J": "{range: [1, 40]}", "n_th": "[0.5]"},
        "",
    ),
}


IN_ONE_BLOCK = ("in the middle", "larger N with modes and times")


@pytest.mark.parametrize(
    ("case", "small"), [*((case, True) for case in GROWTH), *((case, False) for case in IN_ONE_BLOCK)]
)
def test_extension(tmp_path: Path, case: str, small: bool) -> None:
    before, after, extra = GROWTH[case]
    blocks = ("--block-seconds", "4e-4" if extra else "1e-4") if small else ()
    sweep = written(tmp_path, text(before, extra), "small.yaml")
    large = written(tmp_path, text(after, extra), "large.yaml")
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    assert start(sweep, out, *blocks).code == 0
    old, early = opened(out), events(out)
    assert (len(early) > 1) == (small and old.status.size > 1)
    outcome = start(large, out, *blocks)
    assert (outcome.code, outcome.err) == (0, "")
    new = opened(out)

    # Old values keep their bits, the time that they took included.
    for name in old.data_vars:
        part = new[name]
        for dim in old[name].dims:
            if dim not in ("mode", "time"):
                part = part.sel({dim: old[dim].values})
        for dim in set(new[name].dims) - set(old[name].dims):
            part = part.sel({dim: old[dim].item()})
        if "mode" in part.dims:
            part = part.isel(mode=slice(0, old.sizes["mode"]))
        assert same_bits(part.transpose(*old[name].dims).values, old[name].values), name

    # Only new points were computed.
    assert events(out)[: len(early)] == early
    assert points_in(early) == old.status.size
    assert points_in(events(out)) == new.status.size
    assert points_in(events(out)[len(early) :]) == new.status.size - old.status.size

    # The result is what a fresh run gives.
    assert start(large, fresh, *blocks).code == 0
    reference = opened(fresh)
    assert set(new.variables) == set(reference.variables)
    for name, variable in reference.variables.items():
        assert new[name].dims == variable.dims
        assert new[name].attrs == variable.attrs
        if name != "solve_seconds":
            if variable.dtype.kind in "OTU":
                assert new[name].values.tolist() == variable.values.tolist()
            else:
                assert same_bits(new[name].values, variable.values), name
    assert new.attrs["spec"] == reference.attrs["spec"]
    assert new.attrs["spec_digest"] == reference.attrs["spec_digest"]

    # The directory tells of the sweep that it holds now, and nothing is left over.
    assert load_spec(out / "sweep.yaml").digest() == load_spec(large).digest() == new.attrs["spec_digest"]
    assert json.loads((out / "plan.json").read_text())["points"] == new.status.size
    assert not list(out.glob("data.zarr.*"))
    assert "all points are solved already" in start(large, out, *blocks).out


def test_growing_step_by_step_ends_where_one_run_does(tmp_path: Path) -> None:
    steps = ["[0.2]", "[0.2, 0.4]", "[0.1, 0.2, 0.4]", "[0.1, 0.2, 0.3, 0.4]", "[0.1, 0.2, 0.3, 0.4, 0.5]"]
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    for count, values in enumerate(steps, start=1):
        assert start(written(tmp_path, text({"J": values, "r": "[0, 1]"})), out).code == 0
        assert points_in(events(out)) == 2 * count
    assert start(tmp_path / "given.yaml", fresh).code == 0
    grown, reference = opened(out), opened(fresh)
    for name in ("energy_terminal", "ergotropy_terminal", "J", "r", "status"):
        assert same_bits(grown[name].values, reference[name].values)


def test_an_interrupted_run_can_be_extended(
    tmp_path: Path, three_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = written(tmp_path, text({"J": "{range: [1, 500]}", "r": "[0, 0.5]"}), "small.yaml")
    large = written(tmp_path, text({"J": "{range: [1, 600]}", "r": "[0, 0.25, 0.5]"}), "large.yaml")
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    assert start(small, out, *SMALL_BLOCKS).code == 1
    monkeypatch.undo()
    assert start(large, out, *SMALL_BLOCKS).code == 0
    assert points_in(events(out)) == 1800
    assert start(large, fresh, *SMALL_BLOCKS).code == 0
    assert same_bits(opened(out).ergotropy_terminal.values, opened(fresh).ergotropy_terminal.values)


def test_failed_points_stay_failed_when_the_grid_grows(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert start(written(tmp_path, text({"epsilon": "[0.01, 1e300]"})), out).code == 3
    assert start(written(tmp_path, text({"epsilon": "[0.01, 0.02, 1e300]"})), out).code == 3
    assert opened(out).status.values.tolist() == [OK, OK, FAILED]
    assert points_in(events(out)) == 3


def test_a_new_name_alone_keeps_the_results(tmp_path: Path) -> None:
    sweep = written(tmp_path, text({"J": "[0.1, 0.2]"}))
    out = tmp_path / "out"
    assert start(sweep, out).code == 0
    before = opened(out)
    assert start(written(tmp_path, text({"J": "[0.1, 0.2]"}).replace("name: test", "name: other")), out).code == 0
    assert points_in(events(out)) == 2
    assert same_bits(opened(out).energy_terminal.values, before.energy_terminal.values)
