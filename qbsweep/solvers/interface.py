"""What a solver is given, a product of parameter values for one network, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.network import Network

NONE = np.zeros(1)


@dataclass(frozen=True, slots=True)
class Numerics:
    """How the Lindblad solver is to work; see `qbsweep.sweep.parameters`.

    Attributes
    ----------
    fock_levels : int or str
        A number, 'auto', or a label 'charger 12, battery 2'.
    frame, engine : str
    tolerance : float
    memory : float
        In GB.
    """

    fock_levels: int | str = "auto"
    frame: str = "lab"
    engine: str = "auto"
    tolerance: float = 1e-3
    memory: float = 2.0


@dataclass(frozen=True, slots=True)
class Points:
    """A product of parameter values for one network.

    Attributes
    ----------
    network : Network
        With unit J and kappa; the values below scale it.
    J : ndarray, shape (n_J, n_kappa)
        Couplings in units of omega; a matrix, because J_op depends on kappa.
    kappa, epsilon, omega, n_th, r, theta_r, kerr, kerr_charger : ndarray, 1-d
    times : ndarray, shape (n_kappa, T), or None
        Times in 1/omega.
    numerics : Numerics
    """

    network: Network
    J: FloatArray
    kappa: FloatArray
    epsilon: FloatArray
    omega: FloatArray
    n_th: FloatArray
    r: FloatArray
    theta_r: FloatArray
    times: FloatArray | None = None
    kerr: FloatArray = field(default_factory=lambda: NONE)
    kerr_charger: FloatArray = field(default_factory=lambda: NONE)
    numerics: Numerics = Numerics()

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of (J, kappa, epsilon, omega, n_th, r, theta_r, kerr, kerr_charger)."""
        rest = (self.epsilon, self.omega, self.n_th, self.r, self.theta_r, self.kerr, self.kerr_charger)
        return (*self.J.shape, *(len(values) for values in rest))


@dataclass(frozen=True, slots=True)
class Solved:
    """Results of a product of points.

    Attributes
    ----------
    arrays : dict of ndarray
        Shape ``points.shape``, with the dimensions mode (N+1) and time appended where the variable has them.
    status : ndarray of int8 or None
        `status.OK`, `FAILED` or `SUSPECT` of every point; None if all are ok.
    reasons : dict
        Why a point failed, by its index.
    """

    arrays: dict[str, Array]
    status: NDArray[np.int8] | None = None
    reasons: dict[tuple[int, ...], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """What the cost of a point depends on.

    Attributes
    ----------
    n_modes, n_times, n_scalars : int
        Modes, times (0 without evolution), and numbers to compute at every point.
    baths : int
        Points that share a drift matrix.
    steady : bool
        Whether the steady state is asked for.
    is_tree, is_squeezed, is_uniform : bool
        Whether the graph has no loops, some bath squeezes, and the times are equally spaced from 0.
    points : callable
        Makes representative `Points`: the largest bath and drive, a median coupling. Not cheap at large N.
    """

    n_modes: int
    n_times: int
    n_scalars: int
    baths: int
    steady: bool
    is_tree: bool
    is_squeezed: bool
    is_uniform: bool
    points: Callable[[], Points]


@dataclass(frozen=True, slots=True)
class Solver:
    """A solver and its cost.

    Attributes
    ----------
    solve : callable
        ``(points, names of variables) -> Solved``.
    cost : callable
        ``problem -> (seconds, bytes)`` of a point on one core; raises QbsweepError if it cannot be solved at all.
    """

    solve: Callable[[Points, tuple[str, ...]], Solved]
    cost: Callable[[Problem], tuple[float, float]]
