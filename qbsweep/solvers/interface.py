"""What a solver is given, a product of named values for one network, and what it gives back: arrays with named axes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.network import Network
from qbsweep.physics.protocol import Protocol, Template
from qbsweep.text import unknown

Setting = str | int | float


@dataclass(frozen=True, slots=True)
class Labelled:
    """An array whose axes have names.

    Attributes
    ----------
    dims : tuple of str
    values : ndarray
        One axis per name.
    """

    dims: tuple[str, ...]
    values: Array

    def along(self, dims: Sequence[str]) -> Array:
        """Return a view with exactly these axes, in this order; what does not depend on one has length 1 there.

        Raises
        ------
        ValueError
            If an axis that is not asked for has more than one value.
        """
        values, own = self.values, self.dims
        if own == tuple(dims):
            return values
        kept = tuple(name for name in own if name in dims)
        if kept != own:
            for name, size in zip(own, values.shape, strict=True):
                if name not in kept and size != 1:
                    raise ValueError(f"there are {size} values along {name}")
            values = values[tuple(slice(None) if name in kept else 0 for name in own)]
        order = [kept.index(name) for name in dims if name in kept]
        if order != sorted(order):
            values = values.transpose(order)
        return values[tuple(slice(None) if name in kept else None for name in dims)]


def values_of(quantities: Mapping[str, Any]) -> dict[str, Labelled]:
    """Give every quantity an axis of its own name; what is labelled already stays as it is."""
    return {
        name: given if isinstance(given, Labelled) else Labelled((name,), np.atleast_1d(np.asarray(given, dtype=float)))
        for name, given in quantities.items()
    }


@dataclass(frozen=True, slots=True)
class Points:
    """A product of parameter values for one network.

    Attributes
    ----------
    network : Network
        With unit J and kappa; the values of these two scale it.
    values : dict of Labelled
        By the name of the parameter, in the order of the dataset's dimensions, in units of omega where they have one.
        Each is an axis of the product, and may depend on others: J on (J, kappa) where it is given in units of J_op.
    settings : dict
        What else a solver is told: Fock levels, frame, engine, ...
    times : Labelled or None
        Times in 1/omega, over `time` and maybe (kappa, time).
    protocol : Template or None
        What changes in time and what the network starts from, None if it starts from vacuum and nothing changes. Steady
        outputs are those of its last segment. Its names are among `values`.
    """

    network: Network
    values: Mapping[str, Labelled]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    times: Labelled | None = None
    protocol: Template | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of the axes of the product, in their order."""
        return {name: given.values.shape[given.dims.index(name)] for name, given in self.values.items()}

    @property
    def n_times(self) -> int:
        """Number of times, 0 if none are given."""
        return 0 if self.times is None else self.times.values.shape[self.times.dims.index("time")]

    def over(self, name: str, dims: Sequence[str]) -> FloatArray:
        """Return the values of a parameter along some axes."""
        return self.values[name].along(dims)

    def at(self, where: Mapping[str, int]) -> dict[str, float]:
        """Return all values at one point of the product, by its place along every axis."""
        return {
            name: float(given.values[tuple(where[dim] for dim in given.dims)]) for name, given in self.values.items()
        }

    def times_at(self, where: Mapping[str, int]) -> FloatArray | None:
        """Return the times at one point of the product, None if none are given."""
        if self.times is None:
            return None
        place = tuple(slice(None) if dim == "time" else where[dim] for dim in self.times.dims)
        return np.asarray(self.times.values[place])

    def protocol_at(self, where: Mapping[str, int]) -> Protocol | None:
        """Return the protocol of one point of the product, times in 1/omega; None if none is given."""
        return None if self.protocol is None else self.protocol.at(self.at(where), self.network.n_modes)


@dataclass(frozen=True, slots=True)
class Solved:
    """Results of a product of points.

    Attributes
    ----------
    arrays : dict of Labelled
        By the name of the variable, over those axes of the product that it depends on, then `mode` (N + 1) and `time`
        where it has them.
    status : Labelled or None
        `status.OK`, `FAILED` or `SUSPECT` of every point; None if all are ok.
    reasons : dict
        Why a point failed, by its place along the axes of the product.
    """

    arrays: Mapping[str, Labelled]
    status: Labelled | None = None
    reasons: Mapping[tuple[int, ...], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a product of points takes.

    Attributes
    ----------
    seconds : Labelled
        Of a point, on one core of 2023, over those axes of the product that it depends on.
    memory : float
        Bytes of the largest point.
    """

    seconds: Labelled
    memory: float


@dataclass(frozen=True, slots=True)
class Solver:
    """A solver and its cost.

    Attributes
    ----------
    outputs : collection of str
        Names of the variables that it computes.
    solve : callable
        ``(points, names of variables) -> Solved``.
    cost : callable
        ``(points, names of variables, sizes) -> Cost`` without solving anything. The points are a sample of a product
        with axes of these sizes. Raises QbsweepError if one cannot be solved at all.
    """

    outputs: Collection[str]
    solve: Callable[[Points, Sequence[str]], Solved]
    cost: Callable[[Points, Sequence[str], Mapping[str, int]], Cost]


def require_outputs(solver: str, names: Sequence[str], known: Collection[str]) -> None:
    """Refuse the name of a variable that a solver does not compute."""
    for name in names:
        if name not in known:
            raise QbsweepError(unknown(f"output of solver {solver}", name, known))
