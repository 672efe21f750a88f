"""`export`: the dataset in files of other programs, with its units and nothing left out."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import qbsweep as qb

from ..command import qbsweep
from ..datasets import put

SWEEP = {
    "name": "small",
    "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01},
    "sweep": {"N": [1, 2], "J": [1e-3, 2e-3, 4e-3]},
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    qb.run(SWEEP, tmp_path / "out", executor="serial", progress=False)
    return tmp_path / "out"


def test_a_row_for_every_point(out: Path, tmp_path: Path) -> None:
    put(out, "status", np.s_[0, 1], 2)
    put(out, "energy_terminal", np.s_[0, 1], np.nan)
    file = tmp_path / "x.csv"
    assert qbsweep("export", out, "--csv", file)[0] == 0
    table = pd.read_csv(file)
    ds = qb.open(out).dataset
    assert list(table.columns[:2]) == ["N", "J (omega)"]
    assert {"energy_terminal (omega)", "status", "verdict", "solve_seconds (s)"} <= {*table.columns}
    assert "kappa (omega)" not in table.columns
    assert table["status"].tolist() == ["ok", "failed", "ok", "ok", "ok", "ok"]
    assert set(table["verdict"]) == {"exact"}
    np.testing.assert_array_equal(table["energy_terminal (omega)"], ds.energy_terminal.values.ravel())
    assert qbsweep("export", out, "--csv", file, "--all")[0] == 0
    assert set(pd.read_csv(file)["kappa (omega)"]) == {0.003}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x.csv"]


def test_a_row_for_every_mode_and_time(tmp_path: Path) -> None:
    sweep = {
        **SWEEP,
        "outputs": ["energy_terminal", "energy", "energy_t"],
        "times": {"linspace": [0, 10, 3], "unit": "1/kappa"},
    }
    sweep["sweep"] = {"N": [1, 3], "J": {"linspace": [0.5, 2, 4], "unit": "J_op"}}
    run = qb.run(sweep, tmp_path / "out", executor="serial", progress=False, block_seconds=1e-4)
    table = pd.read_csv(run.export(tmp_path / "x.csv"))
    assert len(table) == 4 * 3 * (2 + 4)
    assert list(table.columns[:5]) == ["N", "J (J_op)", "mode", "time (1/kappa)", "J_abs (omega)"]
    ds = run.dataset.load()
    for row in table.sample(20, random_state=1).to_dict("records"):
        point = ds.sel(N=row["N"], J=row["J (J_op)"], mode=row["mode"], time=row["time (1/kappa)"])
        for name in ("energy", "energy_t", "energy_terminal"):
            assert float(point[name]) == row[f"{name} (omega)"]


@pytest.mark.parametrize(("kind", "package"), [("parquet", "pyarrow"), ("netcdf", "h5netcdf")])
def test_what_needs_a_package_says_which(
    kind: str, package: str, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qbsweep.runs.exporting.importlib.util.find_spec", lambda _: None)
    said = qbsweep("export", out, f"--{kind}", tmp_path / "x").sentence(out)
    assert said.endswith(f": pip install {package}")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(not importlib.util.find_spec("pyarrow"), reason="needs pyarrow")
def test_parquet(out: Path, tmp_path: Path) -> None:
    run = qb.open(out)
    table = pd.read_parquet(run.export(tmp_path / "x.parquet"))
    pd.testing.assert_frame_equal(table, pd.read_csv(run.export(tmp_path / "x.csv")), check_dtype=False)


@pytest.mark.skipif(
    not (importlib.util.find_spec("netCDF4") or importlib.util.find_spec("h5netcdf")),
    reason="needs netCDF4 or h5netcdf",
)
def test_netcdf(out: Path, tmp_path: Path) -> None:
    run = qb.open(out)
    with xr.open_dataset(run.export(tmp_path / "x.nc")) as ds:
        xr.testing.assert_equal(ds.load(), run.dataset.load())
        assert ds.attrs["spec_digest"] == run.spec.digest()


def test_what_is_refused(out: Path, tmp_path: Path) -> None:
    assert "needs one of" in qbsweep("export", out).sentence(out)
    assert "is a directory" in qbsweep("export", out, "--csv", tmp_path).sentence(tmp_path)
    assert "is not a directory" in qbsweep("export", out, "--csv", tmp_path / "a" / "b").sentence(tmp_path)
    with pytest.raises(qb.QbsweepError, match="not to 'txt'"):
        qb.open(out).export(tmp_path / "x.txt")


def test_a_pack_is_exported(out: Path, tmp_path: Path) -> None:
    pack = qb.open(out).pack()
    assert qb.open(pack).export(tmp_path / "a.csv").read_bytes() == qb.open(out).export(tmp_path / "b.csv").read_bytes()
