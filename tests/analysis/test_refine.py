"""More samples from the solver: how accurate, where they are kept, and that nothing is lost or solved twice."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from qbsweep.analysis import refine as refine_module
from qbsweep.analysis.optimal_coupling import optimal_coupling
from qbsweep.analysis.peaks import find_optimum
from qbsweep.analysis.refine import next_couplings, open_refined, refine
from qbsweep.errors import QbsweepError
from qbsweep.physics import closed_forms, topologies
from qbsweep.runs.box import solve_box
from qbsweep.store.directory import RunDirectory

Sweep = Callable[..., Path]
KAPPA = 0.003

COARSE = """
name: run
parameters: {{kappa: 0.003, epsilon: 0.01, coupling: nonreciprocal}}
sweep:
  topology: [cascaded, parallel]
  N: {N}
  J: {{geomspace: [1e-4, 3e-2, {count}]}}
  {more}
"""


def coarse(N: str = "[1, 2, 4]", count: int = 12, more: str = "") -> str:
    return COARSE.format(N=N, count=count, more=more)


def exact(best: xr.Dataset) -> xr.DataArray:
    """J_op of (10) at every curve."""
    return xr.concat(
        [xr.DataArray(topologies.optimal_coupling(t, best["N"], KAPPA), dims="N") for t in best["topology"].values],
        best["topology"],
    )


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of points that the solver is asked for."""
    counts: list[int] = []

    def spy(spec: Any, indices: Any) -> Any:
        counts.append(int(np.prod([len(i) for i in indices])))
        return solve_box(spec, indices)

    monkeypatch.setattr(refine_module, "solve_box", spy)
    return counts


def test_fig1_before_and_after(runs: Callable[[str], Path], tmp_path: Path) -> None:
    out = tmp_path / "fig1"
    shutil.copytree(runs("fig1"), out)
    best = refine(out, 1e-9)
    for topology in ("cascaded", "parallel"):
        one = best.sel(topology=topology)
        J_op = topologies.optimal_coupling(topology, one["N"].values, KAPPA)
        np.testing.assert_allclose(one["J_op"], J_op, rtol=1e-11)  # 2e-10 before
        assert (one["J_op_error"] <= 1e-9 * J_op).all()


def test_fig3_odd_optima_and_even_saturation(runs: Callable[[str], Path], tmp_path: Path) -> None:
    out = tmp_path / "fig3"
    shutil.copytree(runs("fig3"), out)
    chains = refine(out, 1e-9).sel(topology="cascaded", coupling="reciprocal")
    for N in chains["N"].values:
        one = chains.sel(N=N)
        if N % 2:
            expected = closed_forms.reciprocal_cascaded_optimum(int(N), KAPPA)
            assert one["J_op"].item() == pytest.approx(expected, rel=1e-11)
        else:
            expected = float(closed_forms.reciprocal_cascaded_saturation(int(N), KAPPA, 0.01))
            assert one["saturation"].item() == pytest.approx(expected, rel=1e-12)
            assert one["verdict"].item() == "plateau"


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_a_coarse_common_axis_is_refined_per_curve(sweep: Sweep, counted: list[int], tolerance: float) -> None:
    out = sweep(coarse())
    before = contents(out / "data.zarr")
    with xr.open_zarr(out / "data.zarr") as ds:
        first = optimal_coupling(ds)
    error = np.abs(first["J_op"] / exact(first) - 1)
    assert error.max() > 1e-4  # 12 samples over 2.5 decades
    best = refine(out, tolerance)
    assert (best["verdict"] == "peak").all()
    error = np.abs(best["J_op"] / exact(best) - 1)
    assert (error <= best["J_op_error"] / best["J_op"] + 1e-14).all()
    assert (best["J_op_error"] <= tolerance * best["J_op"]).all()
    assert sum(counted) <= 6 * 32  # not 6 curves x 6 x 8 points, as a common axis would take
    assert before.items() <= contents(out / "data.zarr").items()  # what is on the grid stays as it is
    samples = open_refined(out)
    assert samples is not None
    assert int(np.isfinite(samples["J_abs"]).sum()) == sum(counted)


def test_nothing_is_solved_twice(sweep: Sweep, counted: list[int]) -> None:
    out = sweep(coarse())
    best = refine(out, 1e-6)
    assert counted
    counted.clear()
    before = contents(RunDirectory(out).refined)
    xr.testing.assert_identical(refine(out, 1e-6), best)
    assert (counted, contents(RunDirectory(out).refined)) == ([], before)
    finer = refine(out, 1e-9)
    samples = open_refined(out)
    assert samples is not None
    assert (finer["J_op_error"] < best["J_op_error"]).any()
    with xr.open_zarr(out / "data.zarr") as ds:
        xr.testing.assert_identical(optimal_coupling(ds, refined=samples), finer)


def test_samples_are_labelled_and_the_solver_s_own(sweep: Sweep) -> None:
    out = sweep(coarse(more="n_th: [0, 0.5]"))
    refine(out, 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(out / "data.zarr" / "refined") as samples:
            samples.load()
    with xr.open_zarr(out / "data.zarr") as ds:
        for name in ("energy_terminal", "ergotropy_terminal", "energy_charger", "energy_batteries", "status"):
            assert samples[name].attrs["units"] == ds[name].attrs["units"]
            assert samples[name].attrs["long_name"] == ds[name].attrs["long_name"]
        assert samples.attrs["source_dataset_id"] == ds.attrs["dataset_id"]
    assert samples["energy_terminal"].dims == ("topology", "N", "n_th", "sample")
    one = samples.sel(topology="cascaded", N=4, n_th=0.5)
    real = np.isfinite(one["J_abs"].values)
    energy = closed_forms.nonreciprocal_cascaded_energy(4, 4, one["J_abs"].values[real], KAPPA, 0.01) + 0.5
    np.testing.assert_allclose(one["energy_terminal"].values[real], energy, rtol=1e-12)
    assert (one["status"].values == np.where(real, 1, 0)).all()


@pytest.mark.parametrize("killed", [False, True])
def test_samples_survive_an_extended_sweep(sweep: Sweep, counted: list[int], killed: bool) -> None:
    out = sweep(coarse())
    refine(out, 1e-6)
    old = open_refined(out)
    assert old is not None
    if killed:  # between the two renames of a later save
        RunDirectory(out).refined.rename(RunDirectory(out).refined.with_name(".refined.previous"))
    counted.clear()
    sweep(coarse(N="[3, 1, 2, 4]", more="n_th: [0.5, 0]"))
    best = refine(out, 1e-6)
    assert 0 < sum(counted) <= 10 * 32  # the 10 new curves
    new = open_refined(out)
    assert new is not None
    assert (best["J_op_error"] <= 1e-6 * best["J_op"]).all()
    for topology in ("cascaded", "parallel"):
        for N in (1, 2, 4):
            one, other = old.sel(topology=topology, N=N), new.sel(topology=topology, N=N, n_th=0)
            count = int(np.isfinite(one["J_abs"]).sum())
            np.testing.assert_array_equal(one["J_abs"][:count], other["J_abs"][:count])
            np.testing.assert_array_equal(one["energy_terminal"][:count], other["energy_terminal"][:count])


def test_samples_of_a_curve_are_not_used_for_an_axis_added_later(sweep: Sweep) -> None:
    out = sweep(coarse())
    refine(out, 1e-6)
    sweep(coarse(more="n_th: [0, 0.5]"))
    with xr.open_zarr(out / "data.zarr") as ds:
        plain, refined = optimal_coupling(ds), optimal_coupling(ds, refined=open_refined(out))
        xr.testing.assert_equal(plain.sel(n_th=0.5), refined.sel(n_th=0.5))
        assert (refined["J_op_error"].sel(n_th=0) < 1e-6 * refined["J_op"].sel(n_th=0)).all()
        one = ds.sel(topology="cascaded", N=[4, 1], n_th=0)
        selected = optimal_coupling(one, refined=open_refined(out))
    xr.testing.assert_equal(selected, refined.sel(topology="cascaded", N=[4, 1], n_th=0))


def test_what_was_solved_before_an_interrupt_is_kept(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    out = sweep(coarse())
    calls: list[int] = []

    def interrupted(spec: Any, indices: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return solve_box(spec, indices)

    monkeypatch.setattr(refine_module, "solve_box", interrupted)
    with pytest.raises(KeyboardInterrupt):
        refine(out, 1e-6)
    samples = open_refined(out)
    assert samples is not None
    assert int(np.isfinite(samples["J_abs"]).sum()) == 24
    monkeypatch.undo()
    best = refine(out, 1e-6)
    assert (best["J_op_error"] <= 1e-6 * best["J_op"]).all()


def test_an_edge_is_followed_outwards_and_a_plateau_to_its_height(sweep: Sweep) -> None:
    out = sweep(
        "name: run\nparameters: {kappa: 0.003, epsilon: 0.01, coupling: reciprocal, topology: cascaded}\n"
        "sweep: {N: [2, 3], J: {geomspace: [1e-4, 1e-3, 8]}}\n"
    )
    with xr.open_zarr(out / "data.zarr") as ds:
        assert (optimal_coupling(ds)["verdict"] == "edge").all()
    best = refine(out, 1e-8)
    assert best["verdict"].values.tolist() == ["plateau", "peak"]
    assert best["saturation"].values[0] == pytest.approx((4 * 0.01 / (4 * KAPPA)) ** 2, rel=1e-8)
    assert best["J_op"].values[1] == pytest.approx(closed_forms.reciprocal_cascaded_optimum(3, KAPPA), rel=1e-8)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_few_points_are_enough_to_start_from(sweep: Sweep, count: int) -> None:
    J = [0.002] if count == 1 else np.geomspace(1e-3, 5e-3, count).tolist()
    out = sweep(
        "name: run\nparameters: {kappa: 0.003, epsilon: 0.01, topology: cascaded, N: 2}\n"
        f"sweep: {{J: {J}}}\noutputs: [energy_terminal]\n"
    )
    best = refine(out, 1e-8)
    assert best["verdict"].item() == "peak"
    assert best["J_op"].item() == pytest.approx(float(closed_forms.cascaded_optimal_coupling(2, KAPPA)), rel=1e-8)


def test_what_cannot_be_refined_is_given_up(sweep: Sweep, counted: list[int]) -> None:
    out = sweep(
        "name: run\nparameters: {kappa: 0.003, epsilon: 0, topology: cascaded, N: 2}\n"
        "sweep: {J: {geomspace: [1e-4, 1e-2, 20]}}\n"
    )
    assert refine(out, 1e-6)["verdict"].item() == "flat"
    assert counted == []
    assert open_refined(out) is None


def test_a_tolerance_beyond_double_precision_ends(sweep: Sweep, counted: list[int]) -> None:
    best = refine(sweep(coarse(N="[2]")), 1e-15)
    assert len(counted) <= 24
    assert (best["J_op_error"] > 0).all()
    np.testing.assert_allclose(best["J_op"], exact(best), rtol=1e-8)


def test_samples_of_another_sweep_are_refused(sweep: Sweep) -> None:
    out = sweep(coarse())
    refine(out, 1e-6)
    other = sweep(coarse().replace("epsilon: 0.01", "epsilon: 0.02").replace("name: run", "name: other"), "other")
    shutil.copytree(RunDirectory(out).refined, RunDirectory(other).refined)
    for command in (open_refined, refine):
        with pytest.raises(QbsweepError, match="samples of another sweep"):
            command(other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": 0}, "between 0 and 1"),
        ({"tolerance": 2}, "between 0 and 1"),
        ({"of": "energy_t"}, "steady-state variable"),
        ({"of": "ergotropy_terminal"}, "`ergotropy_terminal`"),
    ],
)
def test_mistakes(sweep: Sweep, arguments: dict[str, Any], message: str) -> None:
    out = sweep(coarse() + "outputs: [energy_terminal]\n")
    with pytest.raises(QbsweepError, match=message):
        refine(out, **arguments)


def test_no_axis_and_no_directory(sweep: Sweep, tmp_path: Path) -> None:
    out = sweep("name: run\nparameters: {kappa: 0.003, epsilon: 0.01, topology: cascaded, J: 0.001}\nsweep: {N: [1]}\n")
    with pytest.raises(QbsweepError, match="`J`"):
        refine(out)
    with pytest.raises(QbsweepError, match="not a run directory"):
        refine(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_new_samples_lie_between_the_neighbours_of_the_largest() -> None:
    J = np.geomspace(0.1, 10, 9)
    energy = 1 / (1 + np.log(J / 1.3) ** 2)
    new = next_couplings(J, energy, 1e-6)
    assert len(new) == 8
    assert J[3] < new.min() < new.max() < J[5]
    assert not len(next_couplings(J, np.ones(9), 1e-6))
    assert find_optimum(np.concatenate([J, new]), np.ones(17)).verdict == "flat"
