"""From datasets to physics: every analysis takes the dataset of a sweep and gives a labelled one.

What is pending, failed or suspect is left out and counted in `masked_points`. A dataset that lacks the axis an
analysis is about raises QbsweepError.
"""

from collections.abc import Callable

import xarray as xr

from qbsweep.analysis.advantage import nonreciprocal_advantage
from qbsweep.analysis.baths import enhancement, ergotropy_fraction
from qbsweep.analysis.charging import charging_power, settling_time
from qbsweep.analysis.inputs import MissingAxisError
from qbsweep.analysis.odd_even import odd_even_ratio
from qbsweep.analysis.optimal_coupling import optimal_coupling
from qbsweep.analysis.scaling import scaling_exponent
from qbsweep.errors import QbsweepError

__all__ = [
    "ANALYSES",
    "MissingAxisError",
    "analyze",
    "charging_power",
    "enhancement",
    "ergotropy_fraction",
    "nonreciprocal_advantage",
    "odd_even_ratio",
    "optimal_coupling",
    "scaling_exponent",
    "settling_time",
]

ANALYSES: dict[str, Callable[..., xr.Dataset]] = {
    function.__name__: function
    for function in (
        optimal_coupling,
        scaling_exponent,
        odd_even_ratio,
        nonreciprocal_advantage,
        enhancement,
        ergotropy_fraction,
        settling_time,
        charging_power,
    )
}


def analyze(
    ds: xr.Dataset, refined: xr.Dataset | None = None, window: tuple[int, int] | None = None
) -> tuple[dict[str, xr.Dataset], dict[str, QbsweepError]]:
    """Do every analysis that a dataset has the axes for.

    Parameters
    ----------
    ds : Dataset
        Of a sweep.
    refined : Dataset, optional
        Of `optimal_coupling`.
    window : (int, int), optional
        Of `scaling_exponent`.

    Returns
    -------
    results : dict of Dataset
        By the name of the analysis.
    left_out : dict of QbsweepError
        Why an analysis was not done.
    """
    results: dict[str, xr.Dataset] = {}
    left_out: dict[str, QbsweepError] = {}
    for name, function in ANALYSES.items():
        try:
            if name == "optimal_coupling":
                results[name] = function(ds, refined=refined)
            elif name == "scaling_exponent" and "optimal_coupling" in results:
                results[name] = function(results["optimal_coupling"], window)
            else:
                results[name] = function(ds)
        except QbsweepError as error:
            left_out[name] = error
    return results, left_out
