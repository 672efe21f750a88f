"""The truncated solver in sweeps: both solvers side by side, verdicts, refusals, and a run that is killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from qbsweep.errors import QbsweepError
from qbsweep.runs import loop, opening
from qbsweep.runs.box import solve_box
from qbsweep.runs.plan import make_grid, make_plan
from qbsweep.solvers import moments
from qbsweep.solvers.interface import Points
from qbsweep.sweeps.spec import SweepSpec, load_spec, parse_spec

from ..command import qbsweep

BASE = "topology: cascaded, J: {value: 1, unit: J_op}, kappa: 0.003, epsilon: 0.001"


def load(folder: Path, parameters: str, rest: str) -> SweepSpec:
    path = folder / "sweep.yaml"
    path.write_text(f"name: test\nparameters: {{{BASE}, {parameters}}}\n{rest}\n")
    return load_spec(path)


def solve(folder: Path, parameters: str, rest: str) -> xr.Dataset:
    spec = load(folder, parameters, rest)
    with opening.locked(folder / "out") as directory:
        store = opening.prepare(spec, directory)
        loop.run_blocks(directory, store, loop.serial)
    with xr.open_zarr(directory.data) as ds:
        return ds.load()


def test_thermal_ergotropy_at_six_levels_is_wrong_and_says_so(tmp_path: Path) -> None:
    ds = solve(tmp_path, "solver: lindblad, N: 1, n_th: 0.3", "sweep: {frame: [lab, displaced], fock_levels: [6, 12]}")
    lab = ds.sel(frame="lab", fock_levels=6)
    assert lab.ergotropy_terminal.item() == pytest.approx(0.101281, abs=5e-7)
    assert lab.energy_terminal.item() == pytest.approx(0.4026, abs=5e-5)
    assert lab.status == 3
    assert lab.truncation_error > 1e-3
    assert lab.levels_used == 6
    # The exact value is 1/9; in the displaced frame a thermal bath leaves the ergotropy exact at any level.
    assert ds.sel(frame="displaced", fock_levels=6).ergotropy_terminal.item() == pytest.approx(1 / 9, abs=1e-9)
    assert ds.sel(frame="lab", fock_levels=12).ergotropy_terminal.item() == pytest.approx(0.111098, abs=5e-7)


def test_auto_climbs_until_the_tolerance_holds(tmp_path: Path) -> None:
    ds = solve(tmp_path, "solver: lindblad, N: 1, n_th: 0.3", "sweep: {frame: [lab, displaced]}")
    assert (ds.status == 1).all()
    assert (ds.truncation_error <= 1e-3).all()
    np.testing.assert_allclose(ds.ergotropy_terminal, 1 / 9, rtol=1e-3)
    assert ds.levels_used.sel(frame="lab") > 6


def test_auto_stops_at_its_memory_and_says_so(tmp_path: Path) -> None:
    ds = solve(tmp_path, "solver: lindblad, N: 1, n_th: 2, memory: 5e-5", "sweep: {frame: [lab]}")
    assert (ds.status == 3).all()
    assert (ds.truncation_error > 1e-3).all()


def test_levels_needed_are_enough(tmp_path: Path) -> None:
    parameters = "solver: lindblad, N: 1, n_th: 0.3"
    needed = solve(tmp_path, parameters, "sweep: {fock_levels: [8]}").levels_needed.item()
    assert 8 < needed < 30
    (tmp_path / "again").mkdir()
    assert solve(tmp_path / "again", parameters, f"sweep: {{fock_levels: [{needed}]}}").status == 1


def test_levels_needed_beyond_what_the_dataset_holds_are_unknown(tmp_path: Path) -> None:
    far = "J: 1e-4, kappa: 1, coupling: reciprocal, epsilon: 95, solver: lindblad, N: 1"  # 36,671 levels
    (tmp_path / "sweep.yaml").write_text(
        f"name: far\nparameters: {{topology: cascaded, {far}}}\nsweep: {{fock_levels: [{{charger: 8, battery: 2}}]}}\n"
    )
    code, out, _ = qbsweep("run", tmp_path / "sweep.yaml", "--out", tmp_path / "out")
    assert code == 0, out
    with xr.open_zarr(tmp_path / "out/data.zarr") as ds:
        assert ds.load().qb.words().item() == "suspect-branches"
        assert ds.levels_needed.item() == 0


def test_ergotropy_falls_with_temperature_at_low_truncation_only(tmp_path: Path) -> None:
    ds = solve(
        tmp_path,
        "N: 1",
        "sweep: {solver: [moments, lindblad], fock_levels: [4, 16], n_th: [0, 0.2, 0.4]}\n"
        "times: {linspace: [0, 10, 11], unit: 1/kappa}",
    )
    final = ds.ergotropy_t.isel(time=-1).sel(mode=1)
    low, high = (final.sel(solver="lindblad", fock_levels=d).values for d in (4, 16))
    assert low[0] > 1.05 * low[1] > 1.05**2 * low[2]
    np.testing.assert_allclose(high, final.sel(solver="moments", fock_levels=16), rtol=1e-3)
    exact = ds.sel(solver="moments").drop_vars("solve_seconds")
    xr.testing.assert_equal(exact.isel(fock_levels=0, drop=True), exact.isel(fock_levels=1, drop=True))
    assert exact.truncation_error.isnull().all()
    suspect = ds.status.sel(solver="lindblad") == 3
    assert suspect.sel(fock_levels=4, n_th=0.4)
    assert not suspect.sel(fock_levels=16).any()


def test_squeezed_bath_converges_to_the_exact_moments(tmp_path: Path) -> None:
    ds = solve(
        tmp_path,
        "N: 2, r: 0.3, theta_r: 0.7, frame: displaced, fock_levels: 8",
        "sweep: {solver: [moments, lindblad], realization: [phase-half-pi, phase-zero]}",
    )
    exact, truncated = ds.sel(solver="moments"), ds.sel(solver="lindblad")
    for name in ("energy_terminal", "ergotropy_terminal"):
        error = np.abs(truncated[name] / exact[name] - 1).max().item()
        assert 0 < error <= truncated.truncation_error.max().item() * (1 + 1e-9)


def test_engines_agree_on_qubits_and_kerr(tmp_path: Path) -> None:
    ds = solve(
        tmp_path,
        "solver: lindblad, N: 1, n_th: 0.1, fock_levels: {charger: 6, battery: 2}, kerr_charger: 0.001",
        "sweep: {engine: [fast, qutip], kerr: [0, 0.002]}\noutputs: [energy, ergotropy]",
    )
    assert (ds.status != 2).all()
    np.testing.assert_allclose(ds.energy.sel(engine="fast"), ds.energy.sel(engine="qutip"), rtol=1e-8)
    np.testing.assert_allclose(ds.ergotropy.sel(engine="fast"), ds.ergotropy.sel(engine="qutip"), rtol=1e-6)
    assert ds.fock_levels == "charger 6, battery 2"
    assert (ds.energy.sel(mode=1) < 1).all()  # a qubit holds at most one quantum


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ("N: 1, kerr: 0.001", r"`kerr` is 0.001, which needs `solver: lindblad`"),
        ("N: 1, solver: lindblad, frame: displaced, kerr: 0.1", r"`kerr` is 0.1, which needs `frame: lab`"),
        ("N: 1, fock_levels: {charger: 6, battery: 2}", r"makes qubits, which needs `solver: lindblad`"),
        ("N: 1, solver: lindblad, fock_levels: 1", r"`fock_levels` must be at least 2 .*but is 1"),
        ("N: 1, solver: lindblad, fock_levels: 2.5", r"`fock_levels` must be a whole number.*but is 2.5"),
        ("N: 1, solver: lindblad, fock_levels: aut", r"`fock_levels` must be a whole number, auto.*the text 'aut'"),
        ("N: 1, solver: lindblad, fock_levels: {charger: 4}", r"roles charger and battery, but lacks one"),
        ("N: 1, solver: lindblad, fock_levels: {charger: 4, batery: 3}", r"but names 'batery'"),
        ("N: 1, solver: lindblad, tolerance: 0", r"`tolerance` must be above 0, but is 0"),
        ("N: 1, solver: lindblad, memory: -1", r"`memory` must be above 0, but is -1"),
    ],
)
def test_bad_input(tmp_path: Path, parameters: str, sentence: str) -> None:
    with pytest.raises(QbsweepError, match=sentence):
        load(tmp_path, parameters, "sweep: {n_th: [0]}")


def test_bad_level_on_an_axis(tmp_path: Path) -> None:
    with pytest.raises(QbsweepError, match=r"`fock_levels` must be at least 2 .*but is 1 \(axis value 2\)"):
        load(tmp_path, "N: 1, solver: lindblad", "sweep: {fock_levels: [4, 1]}")


def test_a_point_that_cannot_fit_is_refused_in_the_plan(tmp_path: Path) -> None:
    spec = load(tmp_path, "solver: lindblad, fock_levels: 12", "sweep: {N: [1, 4]}")
    sentence = r"a point with N = 4 and Fock levels 12, 12, 12, 12, 12 needs [\d.e+]+ GB, but `memory` allows 2 GB"
    with pytest.raises(QbsweepError, match=sentence):
        make_grid(spec)


def test_plan_predicts_memory_and_time(tmp_path: Path) -> None:
    spec = load(tmp_path, "solver: lindblad, N: 2", "sweep: {fock_levels: {range: [4, 6, 2]}, n_th: [0, 1]}")
    plan = make_plan(spec, make_grid(spec))
    assert plan.seconds > 0
    assert 1e5 < plan.point_memory < 1e8


def test_levels_survive_the_way_through_the_dataset(tmp_path: Path) -> None:
    spec = load(tmp_path, "solver: lindblad, N: 1", "sweep: {fock_levels: [4, auto, {charger: 6, battery: 2}]}")
    assert spec.axes["fock_levels"].values == ["4", "auto", "charger 6, battery 2"]
    from qbsweep.sweeps.spec import dump_spec

    assert parse_spec(dump_spec(spec)).digest() == spec.digest()


@pytest.mark.slow
def test_two_hundred_points_of_both_solvers_survive_a_kill(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        f"name: both\nparameters: {{{BASE}, N: 1, fock_levels: 5}}\n"
        "sweep: {solver: [moments, lindblad], frame: [lab, displaced], n_th: {linspace: [0, 0.5, 25]}, r: [0, 0.3]}\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def options(out: str, executor: str) -> list[str]:
        return ["run", str(sweep), "--out", str(tmp_path / out), "--executor", executor, "--block-seconds", "0.02"]

    def events(out: str) -> list[dict]:
        file = tmp_path / out / "events.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    assert qbsweep(*options("whole", "serial")).code == 0
    command = [sys.executable, "-m", "qbsweep", *options("killed", "local"), "--workers", "2"]
    killed = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 60
    while len(events("killed")) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    assert qbsweep(*options("killed", "serial")).code == 0
    blocks = [event["block"] for event in events("killed")]
    assert len(blocks) == len(set(blocks)) == len(events("whole"))
    with xr.open_zarr(tmp_path / "whole/data.zarr") as a, xr.open_zarr(tmp_path / "killed/data.zarr") as b:
        assert a.status.size == 200
        xr.testing.assert_identical(*(ds.drop_vars("solve_seconds").drop_attrs(deep=False).load() for ds in (a, b)))


def test_the_exact_solver_is_called_once_for_all_that_it_does_not_depend_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []
    solve = moments._solved_moments

    def counted(points: Points, outputs: Sequence[str]) -> Any:
        calls.append(points)
        return solve(points, outputs)

    monkeypatch.setattr(moments, "_solved_moments", counted)
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "name: once\nparameters: {topology: cascaded, N: 1, J: 0.002, kappa: 0.003, epsilon: 0.01}\n"
        "sweep: {solver: [moments, lindblad], frame: [lab, displaced], fock_levels: [3, 4], n_th: [0, 0.1]}\n"
    )
    solution = solve_box(load_spec(path), tuple(np.arange(2) for _ in range(4)))
    assert len(calls) == 1
    exact, truncated = solution.arrays["energy_terminal"]
    assert (exact == exact[0, 0]).all()
    assert len(np.unique(truncated)) > 2
    assert (solution.arrays["levels_used"][1] > 0).all()


@pytest.mark.parametrize(
    "protocol",
    [
        "protocol: [{until: 100}, {until: 200, drive: [1, 0]}, {until: 600, drive: 0, coupling: 0}]",
        "protocol: [{until: 100}, {until: 200, drive: [1, 0.5]}, {drive: 0.5}]\ninitial: steady",
        "initial: {charger: {amplitude: 1}, battery: {squeezing: 0.3, angle: 0.4}}",
    ],
)
def test_both_solvers_follow_protocols_in_imperfect_networks(tmp_path: Path, protocol: str) -> None:
    faults = (
        "gamma_ratio: 0.6, phase_error: 0.3, detuning: 0.001, kappa_charger: 0.006, spread_J: 0.1, spread_kappa: 0.2"
    )
    names = ["energy_t", "ergotropy_t", "energy", "ergotropy", "drive_power_t", "energy_variance_t", "purity"]
    asked = f"outputs: [{', '.join(names)}]\ntimes: [0, 50, 150, 400, 600]"
    sweep = f"sweep: {{solver: [moments, lindblad], frame: [lab, displaced]}}\n{asked}\n{protocol}"
    ds = solve(tmp_path, f"N: 1, n_th: 0.2, spread_detuning: 0.001, seed: 3, {faults}", sweep)
    assert (ds.status == 1).all()
    exact, truncated = ds.sel(solver="moments"), ds.sel(solver="lindblad")
    for name in names:
        np.testing.assert_allclose(truncated[name], exact[name], rtol=1e-3, atol=1e-3 * float(exact.energy_t.max()))


def test_a_qubit_begins_with_an_occupation(tmp_path: Path) -> None:
    """Its two populations are 1 : n/(n + 1), and it decays alone as any mode does."""
    rest = "sweep: {full: [0.5, 2]}\ninitial: {battery: {occupation: full}}\nprotocol: [{drive: 0, coupling: 0}]"
    rest += "\ntimes: [0, 100]\noutputs: [energy_t]"
    ds = solve(tmp_path, "solver: lindblad, N: 1, fock_levels: {charger: 4, battery: 2}", rest)
    begin = ds.full / (2 * ds.full + 1)
    np.testing.assert_allclose(ds.energy_t.sel(mode=1, time=0).squeeze(), begin.squeeze(), rtol=1e-12)
    decayed = begin * np.exp(-float(ds.kappa) * 100)
    np.testing.assert_allclose(ds.energy_t.sel(mode=1, time=100).squeeze(), decayed.squeeze(), rtol=1e-8)


def test_a_draw_that_makes_a_loss_negative_fails_with_its_seed(tmp_path: Path) -> None:
    rest = "sweep: {seed: [0, 1, 2, 3, 4, 5]}\noutputs: [energy_terminal]"
    ds = solve(tmp_path, "solver: lindblad, N: 1, fock_levels: 4, spread_kappa: 1.5", rest)
    failed = ds.seed[ds.status == 2]
    assert 0 < len(failed) < 6
    said = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert {one["labels"]["seed"] for one in said} == set(failed.values.tolist())
    assert all("makes the kappa of mode" in one["error"] and "negative" in one["error"] for one in said)
