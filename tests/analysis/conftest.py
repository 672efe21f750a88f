"""Datasets to analyse: real runs of the workflows, and synthetic ones with known answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from qbsweep.physics import closed_forms
from qbsweep.runs import loop, opening
from qbsweep.sweeps.spec import load_spec

WORKFLOWS = Path(__file__).parents[2] / "workflows"


def solve(sweep: Path, out: Path) -> Path:
    """Run a sweep serially."""
    with opening.locked(out) as directory:
        loop.run_blocks(directory, opening.prepare(load_spec(sweep), directory), loop.serial)
    return out


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run directory of a workflow, solved once."""
    folder = tmp_path_factory.mktemp("runs")

    def get(name: str) -> Path:
        out = folder / name
        return out if out.exists() else solve(WORKFLOWS / f"{name}.yaml", out)

    return get


@pytest.fixture(scope="session")
def dataset(runs: Callable[[str], Path]) -> Callable[[str], xr.Dataset]:
    def get(name: str) -> xr.Dataset:
        with xr.open_zarr(runs(name) / "data.zarr") as ds:
            return ds.load()

    return get


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., Path]:
    """Run the text of a sweep file in `tmp_path`; again, if it is called again with the same name."""

    def get(text: str, name: str = "run") -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return solve(path, tmp_path / name)

    return get


@pytest.fixture(scope="session")
def synthetic() -> Callable[..., xr.Dataset]:
    """Make a dataset of given energies with the dimensions of `dims`, every point ok."""

    def make(energy: Any, dims: dict[str, Any], **variables: Any) -> xr.Dataset:
        energy = np.asarray(energy, dtype=float)
        coords = {
            "topology": "cascaded",
            "coupling": "nonreciprocal",
            "N": 3,
            "kappa": 1.0,
            "r": 0.0,
            "J": 1.0,
        } | {dim: (dim, np.asarray(values), {"units": "1", "long_name": dim}) for dim, values in dims.items()}
        own = {"energy_terminal": energy, "status": np.ones(energy.shape, np.int8), **variables}
        ds = xr.Dataset({name: (tuple(dims), np.asarray(values)) for name, values in own.items()}, coords)
        ds["energy_terminal"].attrs = {"units": "omega", "long_name": "steady-state energy of the terminal battery"}
        ds.attrs = {"title": "synthetic", "dataset_id": "abc", "spec_digest": "def"}
        return ds

    return make


def chain(J: np.ndarray, N: int = 3) -> np.ndarray:
    """E(J) of the nonreciprocal chain, kappa = epsilon = 1."""
    return closed_forms.nonreciprocal_cascaded_energy(N, N, J, 1.0, 1.0)


@pytest.fixture(scope="session")
def chain_energy() -> Callable[..., np.ndarray]:
    return chain
