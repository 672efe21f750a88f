"""`export`: the dataset in files of other programs, with its units and nothing left out."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.runs.tables import Tables
from qbsweep.store.dataset import Store
from qbsweep.text import in_brackets

from ..command import qbsweep
from ..datasets import put

SWEEP: dict[str, Any] = {
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


def test_units_of_powers_of_a_given_omega() -> None:
    written = {"[omega]": "omega", "[omega]^2": "omega^2", "[omega] omega": "omega omega", "1": ""}
    assert {unit: in_brackets(unit).strip(" ()") for unit in written} == written


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


def test_parts_of_a_chunk_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = {
        "name": "small",
        "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01},
        "sweep": {"J": {"linspace": [0.5, 2, 3], "unit": "J_op"}, "N": [1, 3]},
        "outputs": ["energy_terminal", "energy_t"],
        "times": {"linspace": [0, 10, 3], "unit": "1/kappa"},
    }
    run = qb.run(sweep, tmp_path / "out", executor="serial", progress=False)
    whole = run.export(tmp_path / "whole.csv", everything=True).read_bytes()
    monkeypatch.setattr("qbsweep.runs.tables._ROWS", 30)
    assert max(map(len, Tables(Store(run.data), everything=False).parts())) <= 30
    assert run.export(tmp_path / "parts.csv", everything=True).read_bytes() == whole


@pytest.mark.parametrize(("outputs", "rows"), [(["energy_terminal"], 1), (["energy"], 3)])
def test_a_sweep_without_axes(outputs: list[str], rows: int, tmp_path: Path) -> None:
    parameters = {**SWEEP["parameters"], "N": 2, "J": 1e-3}
    sweep = {"name": "one", "parameters": parameters, "outputs": outputs}
    run = qb.run(sweep, tmp_path / "out", executor="serial", progress=False)
    table = pd.read_csv(run.export(tmp_path / "x.csv", everything=True))
    assert table["J (omega)"].tolist() == [1e-3] * rows
    assert table["status"].tolist() == ["ok"] * rows
    np.testing.assert_array_equal(table[f"{outputs[0]} (omega)"], run.dataset[outputs[0]].values.ravel())


def test_parquet(out: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    run = qb.open(out)
    table = pd.read_parquet(run.export(tmp_path / "x.parquet"))
    pd.testing.assert_frame_equal(table, pd.read_csv(run.export(tmp_path / "x.csv")), check_dtype=False)


def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qbsweep.runs.exporting._has", lambda _: False)


def test_parquet_says_what_it_needs(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_packages(monkeypatch)
    said = qbsweep("export", out, "--parquet", tmp_path / "x").sentence(out)
    assert said == "export to parquet needs pyarrow: pip install pyarrow"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("alone", [True, False])
def test_netcdf(alone: bool, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if alone:  # scipy is always there
        without_packages(monkeypatch)
    run = qb.open(out)
    with xr.open_dataset(run.export(tmp_path / "x.nc")) as ds:
        xr.testing.assert_equal(ds.load(), run.dataset.load())
        assert ds.attrs["spec_digest"] == run.spec.digest()
    if alone:
        monkeypatch.setattr("qbsweep.runs.exporting._CLASSIC", 10)
        said = qbsweep("export", out, "--netcdf", tmp_path / "y.nc").sentence(out)
        assert said.endswith(" to netcdf needs h5netcdf: pip install h5netcdf h5py")


def test_nothing_but_a_file_is_replaced(out: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "x.csv")
    os.mkfifo(tmp_path / "pipe")
    for name, what in (("link", "a link"), ("pipe", "a pipe or a device"), ("out", "a directory")):
        said = qbsweep("export", out, "--csv", tmp_path / name).sentence(tmp_path)
        assert f"{name} is {what}; name a file" in said
    assert (tmp_path / "x.csv").read_text() == "old"
    qb.open(out).export(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().startswith("N,")


def test_runs_and_packs_are_not_replaced_by_tables(out: Path, tmp_path: Path) -> None:
    pack = qb.open(out).pack()
    before = pack.read_bytes()
    assert "ends in .qbz" in qbsweep("export", out, "--csv", pack).sentence(out, pack)
    for inside in (out / "sweep.yaml", out / "data.zarr" / "zarr.json", out / "analysis.csv"):
        assert "is in the directory of a run" in qbsweep("export", out, "--csv", inside).sentence(out)
    assert "is in the directory of a run" in qbsweep("pack", out, out / "data.zarr" / "x.qbz").sentence(out)
    assert "is in the directory of a run" in qbsweep("mv", pack, out / "x.qbz").sentence(out)
    assert pack.read_bytes() == before
    assert qbsweep("check", out)[0] == 0


def test_what_is_refused(out: Path, tmp_path: Path) -> None:
    assert "needs one of" in qbsweep("export", out).sentence(out)
    assert "is a directory" in qbsweep("export", out, "--csv", tmp_path).sentence(tmp_path)
    assert "is not a directory" in qbsweep("export", out, "--csv", tmp_path / "a" / "b").sentence(tmp_path)
    with pytest.raises(qb.QbsweepError, match="not to 'txt'"):
        qb.open(out).export(tmp_path / "x.txt")


def test_a_pack_is_exported(out: Path, tmp_path: Path) -> None:
    pack = qb.open(out).pack()
    assert qb.open(pack).export(tmp_path / "a.csv").read_bytes() == qb.open(out).export(tmp_path / "b.csv").read_bytes()
