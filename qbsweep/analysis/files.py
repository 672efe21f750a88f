"""Results on disk: `analysis.zarr` and tables in a run directory, replaced as a whole or not at all."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from qbsweep.analysis.registry import ANALYSES
from qbsweep.store.directory import RunDirectory
from qbsweep.store.disk import own_folder
from qbsweep.store.replace import replace_text
from qbsweep.store.scratch import replace_tree
from qbsweep.store.seals import SEALED, Seals


def to_zarr(tree: xr.DataTree, path: Path) -> None:
    """Write datasets as groups that open without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's notes on parts of the format that are young
        tree.attrs = {**tree.attrs, SEALED: 1}
        tree.to_zarr(path, zarr_format=3, consolidated=True)
    Seals(path).seal_rest()


def save(results: Mapping[str, xr.Dataset], directory: RunDirectory) -> None:
    """Write `analysis.zarr`, one group per analysis, and one CSV file per analysis with its summary.

    Files of the same names are replaced; those of analyses that were not done now are removed, everything else stays.
    """
    folder = directory.analysis
    own_folder(folder)
    replace_tree(directory.analysis_data, lambda path: to_zarr(xr.DataTree.from_dict(dict(results)), path))
    for name in ANALYSES:
        target = folder / f"{name}.csv"
        if name in results:
            replace_text(target, summary(results[name]).to_csv(index=False))
        else:
            target.unlink(missing_ok=True)


def summary(result: xr.Dataset) -> pd.DataFrame:
    """Return the variables of an analysis with the fewest dimensions, one row a point.

    What depends on J as well (curves of ratios) or on N (local exponents) is left to `analysis.zarr`.
    """
    names = [name for name in result.data_vars if name != "masked_points"]
    fewest = min((set(result[name].dims) for name in names), key=len)
    kept = result[[n for n, array in result.items() if set(array.dims) <= fewest and (array.ndim or not fewest)]]
    kept = kept.drop_vars([name for name, c in kept.coords.items() if c.ndim == 0])
    dims = next(list(array.dims) for array in kept.values() if set(array.dims) == fewest)
    if not dims:
        return pd.DataFrame({name: [array.item()] for name, array in kept.items()})
    return kept.to_dataframe(dim_order=dims).reset_index()


def as_json(results: Mapping[str, xr.Dataset], left_out: Mapping[str, Exception]) -> str:
    """Return the summaries as JSON; what is not known is null."""
    records: dict[str, Any] = {
        name: json.loads(summary(result).to_json(orient="records", double_precision=15))
        for name, result in results.items()
    }
    return json.dumps({"results": records, "left_out": {name: str(error) for name, error in left_out.items()}})
