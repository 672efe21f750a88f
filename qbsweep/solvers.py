"""The solvers, by the name that a sweep file gives them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qbsweep.moments import moments_cost, solve_moments
from qbsweep.physics.network import FloatArray
from qbsweep.points import Points


@dataclass(frozen=True, slots=True)
class Solver:
    """A solver and its cost.

    Attributes
    ----------
    solve : callable
        ``(points, outputs) -> {name: array}``, arrays of shape ``points.shape`` and then mode, time.
    cost : callable
        ``(n_modes, n_times, n_scalars) -> (seconds per drift matrix, seconds per point)``.
    """

    solve: Callable[[Points, Sequence[str]], dict[str, FloatArray]]
    cost: Callable[[int, int, int], tuple[float, float]]


SOLVERS = {"moments": Solver(solve_moments, moments_cost)}
