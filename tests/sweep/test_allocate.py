"""A new dataset, written with zarr alone, against the one that xarray writes."""

import json
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from qbsweep.runs.plan import make_grid
from qbsweep.store.allocate import allocate
from qbsweep.store.layout import coordinates
from qbsweep.sweeps.spec import parse_spec

SWEEPS = {
    "couplings": """
name: many
parameters: {topology: cascaded, N: 8, kappa: 0.003, epsilon: 0.01}
sweep: {J: {geomspace: [1.0e-4, 1.0e-1, 300000], unit: J_op}, n_th: [0, 1]}
""",
    "labels": """
name: labels
parameters: {topology: ring, kappa: 0.003, epsilon: 0.01, N: 2, coupling: reciprocal, omega: 1.2}
sweep: {solver: [moments, lindblad], fock_levels: [3, auto, {charger: 4, battery: 3}], J: [0.001, 0.1], r: [0, 0.2]}
times: {linspace: [0, 10, 5], unit: 1/kappa}
networks:
  ring:
    edges: [[0, 1], [1, 2], {modes: [2, 0], Gamma: 0.7}]
""",
    "point": "name: point\nparameters: {topology: parallel, N: 3, J: 0.1, kappa: 0.003, epsilon: 0.01}\nsweep: {}\n",
}


def metadata(array: Path) -> dict[str, Any]:
    """What is said of an array, but for how its chunks are called and encoded: ours have a checksum."""
    found = json.loads((array / "zarr.json").read_text())
    return {name: value for name, value in found.items() if name not in ("codecs", "chunk_key_encoding")}


@pytest.mark.filterwarnings("ignore:.*Zarr format 3 specification")  # of strings
@pytest.mark.parametrize("sweep", SWEEPS)
def test_coordinates_are_what_xarray_writes(tmp_path: Path, sweep: str) -> None:
    spec = parse_spec(SWEEPS[sweep])
    allocate(tmp_path / "ours", spec, make_grid(spec), {"host": "here"})
    labels = {name: xr.Variable(*coordinate) for name, coordinate in coordinates(spec).items()}
    xr.Dataset(coords=labels).to_zarr(tmp_path / "xarray", zarr_format=3, consolidated=False)
    for name in labels:
        assert metadata(tmp_path / "ours" / name) == metadata(tmp_path / "xarray" / name)
    with xr.open_zarr(tmp_path / "ours") as ours, xr.open_zarr(tmp_path / "xarray", consolidated=False) as theirs:
        assert set(ours.coords) == set(theirs.coords) == set(labels)
        xr.testing.assert_identical(ours.drop_vars(ours.data_vars).drop_attrs(deep=False), theirs)
        for name in labels:
            assert ours[name].dtype == theirs[name].dtype
            assert repr(ours[name].encoding.get("_FillValue")) == repr(theirs[name].encoding.get("_FillValue"))
