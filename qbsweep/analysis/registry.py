"""From datasets to physics: every analysis takes the dataset of a sweep and gives a labelled one.

What is pending, failed or suspect is left out and counted in `masked_points`. A dataset that lacks the axis an
analysis is about raises QbsweepError.
"""

from typing import Any

import xarray as xr

from qbsweep.analysis import (
    advantage,
    baths,
    charging,
    ensemble,
    odd_even,
    optimal_coupling,
    scaling,
    sensitivity,
    storage,
)
from qbsweep.analysis.declaration import Analysis
from qbsweep.errors import QbsweepError, UnreadableError

ANALYSES: dict[str, Analysis] = {
    analysis.name: analysis
    for module in (optimal_coupling, scaling, odd_even, advantage, baths, charging, ensemble, sensitivity, storage)
    for analysis in module.ANALYSES
}
"""By name, in the order in which they are done and shown."""


def analyze(
    ds: xr.Dataset, quick: bool = False, **options: Any
) -> tuple[dict[str, xr.Dataset], dict[str, QbsweepError]]:
    """Do every analysis that a dataset has the axes for.

    Parameters
    ----------
    ds : Dataset
        Of a sweep.
    quick : bool
        Leave out what would take long, see `Analysis.quick_part`.
    **options
        Each goes to the analyses that have it, unless it is None.

    Returns
    -------
    results : dict of Dataset
        By the name of the analysis.
    left_out : dict of QbsweepError
        Why an analysis was not done.
    """
    given = {name: value for name, value in options.items() if value is not None}
    unknown = [name for name in given if not any(name in analysis.options for analysis in ANALYSES.values())]
    if unknown:
        raise TypeError(f"no analysis has an option {unknown[0]}")
    results: dict[str, xr.Dataset] = {}
    left_out: dict[str, QbsweepError] = {}
    for name, analysis in ANALYSES.items():
        try:
            part = analysis.quick_part(ds) if quick else ds
            results[name] = analysis.apply(part, results, given)
        except UnreadableError:
            raise
        except QbsweepError as error:
            left_out[name] = error
    return results, left_out
