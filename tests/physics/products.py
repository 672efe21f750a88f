"""Products of points for the moment solver, and its results as plain arrays over all of their axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from qbsweep.physics.network import Network
from qbsweep.solvers.interface import Labelled, Points, values_of
from qbsweep.solvers.moments import solve_moments

AXES = ("J", "kappa", "epsilon", "omega", "n_th", "r", "theta_r")


def product(
    network: Network,
    J: Any = 1.0,
    kappa: Any = 1.0,
    epsilon: Any = 1.0,
    omega: Any = 1.0,
    n_th: Any = 0.0,
    r: Any = 0.0,
    theta_r: Any = 0.0,
    times: Any = None,
) -> Points:
    """A product of values; J may be per (J, kappa), and times per (kappa, time)."""
    values = dict(zip(AXES, (J, kappa, epsilon, omega, n_th, r, theta_r), strict=True))
    if np.ndim(J) == 2:
        values["J"] = Labelled(("J", "kappa"), np.asarray(J, dtype=float))
    if times is not None:
        grid = np.asarray(times, dtype=float)
        times = Labelled(("kappa", "time")[-grid.ndim :], grid)
    return Points(network, values_of(values), times=times)


def moments(points: Points, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """What the moment solver says, by output: shape (J, kappa, epsilon, omega, n_th, r, theta_r, ...)."""
    shape = tuple(points.sizes[name] for name in AXES)
    arrays = {}
    solved = solve_moments(points, outputs)
    for name in outputs:
        found = solved[name]
        extra = tuple(dim for dim in ("mode", "time") if dim in found.dims)
        values = found.along((*AXES, *extra))
        arrays[name] = np.broadcast_to(values, (*shape, *values.shape[len(AXES) :]))
    return arrays
