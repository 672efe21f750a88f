"""``ds.qb``: the analyses as methods of a dataset, once this module is imported."""

import functools
from typing import Any

import xarray as xr

from qbsweep.analysis import registry as analysis


@xr.register_dataset_accessor("qb")  # type: ignore[no-untyped-call]
class Analyses:
    """The analyses of a dataset: ``ds.qb.optimal_coupling()``, ``ds.qb.settling_time(tolerance=0.02)``, ..."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def __getattr__(self, name: str) -> Any:
        if name not in analysis.ANALYSES:
            raise AttributeError(f"there is no analysis '{name}'; there are {', '.join(analysis.ANALYSES)}")
        return functools.wraps(analysis.ANALYSES[name])(functools.partial(analysis.ANALYSES[name], self._ds))

    def __dir__(self) -> list[str]:
        return sorted(analysis.ANALYSES)
