"""The dataset of a run as netCDF, in every way that is installed."""

import importlib.util
import json
import zipfile
from pathlib import Path

import pytest
import xarray as xr

import qbsweep as qb

ENGINES = {"scipy": ("scipy",), "h5netcdf": ("h5netcdf", "h5py"), "netcdf4": ("netCDF4",)}
STORED = Path(__file__).parents[1] / "data" / "format2.zip"


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("netcdf") / "run"
    sweep = {"name": "x", "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01, "N": 2}}
    sweep |= {"times": {"linspace": [0, 5, 3], "unit": "1/kappa"}}
    for values in ([0.1, 1.0], [0.1, 1.0, 10.0]):
        axes = {"coupling": ["nonreciprocal", "reciprocal"], "J": {"values": values, "unit": "J_op"}}
        qb.run({**sweep, "sweep": axes}, out, executor="serial", progress=False)
    return out


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_written_is_what_is_read(engine: str, extended: Path, tmp_path: Path) -> None:
    if not all(map(importlib.util.find_spec, ENGINES[engine])):
        pytest.skip(f"{engine} is not installed")
    with qb.open(extended).dataset as ds:
        ds.to_netcdf(tmp_path / "x.nc", engine=engine)
        with xr.open_dataset(tmp_path / "x.nc", engine=engine) as read:
            xr.testing.assert_equal(read.load(), ds.load())
            assert read.attrs["spec"] == ds.attrs["spec"]
            assert json.loads(read.attrs["versions"])["qbsweep"] == qb.__version__
            assert len(json.loads(read.attrs["extends"])) == 1
            assert list(read.status.attrs["flag_values"]) == [0, 1, 2, 3]


def test_analyses_and_earlier_formats_can_be_written_too(extended: Path, tmp_path: Path) -> None:
    for name, ds in qb.open(extended).analyze().items():
        ds.to_netcdf(tmp_path / f"{name}.nc", engine="scipy")
    with zipfile.ZipFile(STORED) as stored:
        stored.extractall(tmp_path)
    runs = {path.parent for path in tmp_path.rglob("data.zarr")}
    assert runs
    for run in runs:
        with qb.open(run).dataset as ds:
            ds.to_netcdf(tmp_path / "old.nc", engine="scipy")
        with xr.open_dataset(tmp_path / "old.nc", engine="scipy") as read:
            assert "python" in json.loads(read.attrs["versions"])
