"""The datasets of `workflows/` for notebooks: opened, and solved first where they are not there yet."""

import os
from pathlib import Path

import xarray as xr

from qbsweep.errors import QbsweepError
from qbsweep.runs import loop, opening
from qbsweep.runs.state import progress_of
from qbsweep.sweep.spec import load_spec

SMALL = "QBSWEEP_SMALL"
"""Environment variable: use the small variant of a sweep that takes long, of `notebooks/small`, if it has one."""


def solve(name: str) -> Path:
    """Return the run directory of a workflow, complete; what is solved already is not solved again.

    Parameters
    ----------
    name : str
        Of a file in `workflows/`, which is looked for in the working directory and its parents.
    """
    root = _root(name)
    small = root / "notebooks" / "small" / f"{name}.yaml"
    use_small = bool(os.environ.get(SMALL)) and small.exists()
    sweep = small if use_small else root / "workflows" / f"{name}.yaml"
    path = root / "runs" / (f"small-{name}" if use_small else name)
    with opening.locked(path) as directory:
        store = opening.prepare(load_spec(sweep), directory)
        if not progress_of(store).complete:
            print(f"solving {sweep.relative_to(root)} into {path.relative_to(root)} ...")
            loop.run_blocks(directory, store, loop.serial)
    return path


def dataset(name: str) -> xr.Dataset:
    """Return the dataset of a workflow, in memory."""
    with xr.open_zarr(solve(name) / "data.zarr", chunks=None) as ds:
        loaded: xr.Dataset = ds.load()
        return loaded


def _root(name: str) -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "workflows" / f"{name}.yaml").exists():
            return folder
    raise QbsweepError(f"there is no workflows/{name}.yaml in {here} or above; start in a clone of qbsweep")
