"""Ensembles over seeds: against numpy, what is left out, and that a dataset is never in memory as a whole."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.analysis import ensemble as module
from qbsweep.errors import QbsweepError
from qbsweep.figures.gallery import of_result

Make = Callable[..., xr.Dataset]
RNG = np.random.default_rng(5)
VALUES = np.exp(RNG.standard_normal((4, 60, 3)))
DIMS = {"N": [1, 2, 3, 4], "seed": np.arange(60), "J": [0.5, 1.0, 2.0]}


@pytest.mark.parametrize("most", [1, 150, 10**6])
def test_statistics(synthetic: Make, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(module, "_MOST_VALUES", most)
    found = synthetic(VALUES, DIMS).qb.ensemble(quantiles=(0.1, 0.75))
    assert found["mean"].dims == ("N", "J")
    logs = np.log(VALUES)
    expected = {
        "mean": VALUES.mean(1),
        "mean_error": VALUES.std(1, ddof=1) / np.sqrt(60),
        "median": np.median(VALUES, 1),
        "lower": np.quantile(VALUES, 0.1, 1),
        "upper": np.quantile(VALUES, 0.75, 1),
        "mean_log": logs.mean(1),
        "mean_log_error": logs.std(1, ddof=1) / np.sqrt(60),
        "n_seeds": np.full((4, 3), 60),
        "masked_points": np.zeros((4, 3)),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-13)
        assert {"units", "long_name"} <= set(found[name].attrs)
    assert found["mean"].attrs["units"] == "omega"
    assert found["mean_log"].attrs["units"] == "1"
    assert found["lower"].attrs["long_name"].startswith("10 % quantile")


def test_what_is_not_ok_is_left_out_counted_and_said(synthetic: Make) -> None:
    status = np.ones(VALUES.shape, np.int8)
    status[0, :5, 0], status[1, :3, 1], status[2, :2, 2] = 2, 3, 0
    status[3, :, 0] = 2
    status[3, 1:, 1] = 0
    found = synthetic(VALUES, DIMS, status=status).qb.ensemble()
    assert found["failed_points"].values.tolist() == [[5, 0, 0], [0, 0, 0], [0, 0, 0], [60, 0, 0]]
    assert found["suspect_points"].sum() == 3
    assert found["masked_points"].sum() == 5 + 3 + 2 + 60 + 59
    assert found["n_seeds"].values[3].tolist() == [0, 1, 60]
    np.testing.assert_allclose(found["mean"][0, 0], VALUES[0, 5:, 0].mean(), rtol=1e-14)
    np.testing.assert_allclose(found["upper"][1, 1], np.quantile(VALUES[1, 3:, 1], 0.95), rtol=1e-14)
    assert found["mean"][3, 1] == found["median"][3, 1] == VALUES[3, 0, 1]
    assert np.isnan(found["mean_error"][3, 1])  # of one seed
    assert found[["mean", "median", "lower", "mean_log"]].isel(N=3, J=0).isnull().all().to_array().all()


def test_the_logarithm_of_an_empty_battery_is_none(synthetic: Make) -> None:
    found = synthetic([[1.0, 0.0, 2.0]], {"N": [1], "seed": [0, 1, 2]}).qb.ensemble()
    assert found["mean"].item() == 1
    assert found["mean_log"].isnull().item()


def test_variables_in_time(synthetic: Make) -> None:
    ds = synthetic(VALUES, DIMS)
    times = np.linspace(0, 1, 5)
    ds["energy_t"] = ds["energy_terminal"] * xr.DataArray(times, {"time": times}, "time")
    ds["energy_t"].attrs = {"units": "omega", "long_name": "energy"}
    found = ds.qb.ensemble(of="energy_t")
    assert found["median"].dims == ("N", "J", "time")
    np.testing.assert_allclose(found["median"], np.median(VALUES, 1)[..., None] * times)


def test_the_memory_does_not_grow_with_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    J, seeds = 2000, 1000
    values = np.random.default_rng(1).standard_normal((J, seeds)).astype("float64")  # 16 MB
    ds = xr.Dataset(
        {"energy_terminal": (("J", "seed"), values), "status": (("J", "seed"), np.ones((J, seeds), np.int8))},
        {"J": np.arange(J), "seed": np.arange(seeds)},
    )
    chunks = {name: {"chunks": (40, seeds)} for name in ds.data_vars}
    ds.to_zarr(tmp_path / "data.zarr", zarr_format=3, consolidated=False, encoding=chunks)
    monkeypatch.setattr(module, "_MOST_VALUES", 100_000)
    with xr.open_zarr(tmp_path / "data.zarr", chunks=None, consolidated=False) as opened:
        module.ensemble(opened.isel(J=slice(0, 40)))  # loads what it imports
        tracemalloc.start()
        found = opened.qb.ensemble()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8e6
    np.testing.assert_allclose(found["mean"], values.mean(1), rtol=1e-12, atol=1e-15)


def test_boxes_are_whole_chunks() -> None:
    array = xr.DataArray(np.empty((7, 10, 90, 64)), dims=("N", "seed", "J", "n_th"))
    array.encoding["chunks"] = (1, 5, 30, 64)
    module_most = module._MOST_VALUES
    assert len(list(module._boxes(array))) == 1
    try:
        module._MOST_VALUES = 10 * 30 * 64 * 2
        boxes = list(module._boxes(array))
    finally:
        module._MOST_VALUES = module_most
    assert all(box["J"].start % 30 == 0 for box in boxes)
    covered = np.zeros((7, 90, 64), int)
    for box in boxes:
        covered[box["N"], box["J"], box["n_th"]] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("quantiles", [(0.5, 0.5), (-0.1, 0.5), (0.9, 1.1), (0.9, 0.1)])
def test_quantiles_without_sense(synthetic: Make, quantiles: tuple[float, float]) -> None:
    with pytest.raises(QbsweepError, match="two ascending numbers from 0 to 1"):
        synthetic(VALUES, DIMS).qb.ensemble(quantiles=quantiles)


def test_what_it_needs(synthetic: Make) -> None:
    with pytest.raises(QbsweepError, match="ensemble needs an axis `seed`"):
        synthetic([1.0], {"J": [1.0]}).qb.ensemble()
    with pytest.raises(QbsweepError, match="needs `energy` among the `outputs`"):
        synthetic(VALUES, DIMS).qb.ensemble(of="energy")


def test_a_sweep_over_disorder(sweep: Callable[[str], Path]) -> None:
    out = sweep(
        "name: run\nparameters: {topology: cascaded, N: 1, J: {value: 1, unit: J_op}, kappa: 0.003, epsilon: 1e-5, "
        "solver: lindblad, fock_levels: 3, frame: displaced}\n"
        "sweep: {spread_detuning: {values: [0, 1], unit: kappa}, seed: {range: [0, 39]}}\n"
    )
    found = qb.open(out).analyze()["ensemble"]
    energy = qb.open(out).dataset["energy_terminal"]
    assert float(found["mean_error"].sel(spread_detuning=0)) == pytest.approx(0, abs=1e-12)
    assert float(found["mean"].sel(spread_detuning=1)) == pytest.approx(float(energy.sel(spread_detuning=1).mean()))
    clean = float(found["mean_log"].sel(spread_detuning=0))
    assert float(found["mean_log"].sel(spread_detuning=1)) < clean  # it costs energy
    assert "ensemble, of energy_terminal" in repr(qb.open(out).analyze())


def test_a_picture_says_that_some_failed(synthetic: Make) -> None:
    (chart,) = of_result(synthetic(VALUES, DIMS).qb.ensemble())
    assert "failed" not in chart.caption
    status = np.ones(VALUES.shape, np.int8)
    status[0, :18, 1] = 2
    (chart,) = of_result(synthetic(VALUES, DIMS, status=status).qb.ensemble())
    assert "only of the seeds that are solved: up to 30% of them failed or are suspect" in chart.caption
    assert chart.caption.startswith("median over the seeds")
