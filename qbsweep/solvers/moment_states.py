"""What a product of points has in the moment solver: drive and bath, and the states of members of a family in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.gaussian import bath_ergotropy, bath_occupation
from qbsweep.physics.moments.anomaly import anomaly_deficits
from qbsweep.physics.moments.dynamics import Evolution, evolved_populations
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.steady import coherent_populations
from qbsweep.solvers.interface import Points

BATH = ("epsilon", "omega", "n_th", "r")
"""Axes that share drift matrices."""


class Bath:
    """Drive and bath of a product of points, with the axes of `BATH` and some of length 1 behind them."""

    def __init__(self, points: Points, trailing: int = 0) -> None:
        def axis(name: str) -> FloatArray:
            values = points.over(name, BATH)
            return values.reshape(values.shape + (1,) * trailing)

        self.epsilon, self.omega, self.n_th, self.r = (axis(name) for name in BATH)
        self.occupation = bath_occupation(self.n_th, self.r)
        self.is_vacuum = not self.occupation.any()
        self.is_squeezed = bool(self.r.any())

    def energy(self, coherent: Array, filling: Array | float = 1.0) -> FloatArray:
        """``omega (epsilon^2 |alpha|^2 + P c)``; the arguments broadcast against the axes."""
        return np.asarray(self.omega * (self.driven(coherent) + self.occupation * filling))

    def ergotropy(self, coherent: Array, filling: Array | float, deficit: Array | float) -> FloatArray:
        """``omega (epsilon^2 |alpha|^2 + C + 1/2 - nu)``."""
        share = bath_ergotropy(self.n_th, self.r, filling, deficit) if self.is_squeezed else 0.0
        return np.asarray(self.omega * (self.driven(coherent) + share))

    def driven(self, coherent: Array) -> FloatArray:
        """``epsilon^2 |alpha|^2``."""
        # Not epsilon^2, which may underflow where the energy does not.
        return np.asarray(self.epsilon * (self.epsilon * coherent))


def _beside_bath(values: FloatArray) -> FloatArray:
    """Put the axes of `BATH` behind that of the members."""
    return values[(slice(None), *(None,) * len(BATH))]


@dataclass(frozen=True)
class Steady:
    """The steady state of some members of a family."""

    net: Family
    rates: Rates
    bath: Bath

    @cached_property
    def _coherent(self) -> tuple[FloatArray, FloatArray]:
        return coherent_populations(self.net, self.rates)

    @cached_property
    def _deficits(self) -> tuple[FloatArray | None, FloatArray]:
        return anomaly_deficits(self.net, self.rates)

    def energy(self, mode: int) -> FloatArray:
        """Of one mode, shape (members, *bath)."""
        return self.bath.energy(_beside_bath(self._coherent[0][mode]))

    def ergotropy(self, mode: int) -> FloatArray:
        """Of one mode, shape (members, *bath)."""
        deficits = self._deficits[0] if self.bath.is_squeezed else None
        deficit = 0.0 if deficits is None else _beside_bath(deficits[mode])
        return self.bath.ergotropy(_beside_bath(self._coherent[0][mode]), 1.0, deficit)

    def of_modes(self, quantity: Callable[[int], FloatArray]) -> Iterator[FloatArray]:
        """Yield a quantity mode by mode: all of them at once would not stay in the cache."""
        return (quantity(mode) for mode in range(self.net.n_modes))

    @property
    def numerical_error(self) -> FloatArray:
        """Estimate of the largest relative error over the modes of what has been asked for, shape (members,) or ()."""
        solved = [vars(self)[name][1] for name in ("_coherent", "_deficits") if name in vars(self)]
        return reduce(np.maximum, solved, np.zeros(()))

    def energy_of_batteries(self) -> FloatArray:
        """Energy of all modes but the charger, shape (members, *bath)."""
        batteries = self._coherent[0][1:]
        # `sum` adds those of a member alone in pairs. Of disordered ones no result may depend on which are beside it.
        total = batteries.sum(axis=0) if self.rates.is_uniform else reduce(np.add, batteries)
        return self.bath.energy(_beside_bath(total), float(self.net.n_modes - 1))

    def ergotropy_of_batteries(self) -> FloatArray:
        """Ergotropies of all modes but the charger, each its own, shape (members, *bath)."""
        return reduce(np.add, map(self.ergotropy, range(1, self.net.n_modes)))


@dataclass(frozen=True)
class Evolved:
    """Some members of a family in time; the bath has two axes of length 1 behind its own."""

    net: Family
    rates: Rates
    bath: Bath
    times: FloatArray

    @cached_property
    def _moments(self) -> Evolution:
        return evolved_populations(
            self.net,
            self.rates,
            self.times,
            fluctuations=not self.bath.is_vacuum,
            squeezing=self.bath.is_squeezed,
        )

    @property
    def numerical_error(self) -> FloatArray:
        """Estimate of the largest relative error over modes and times, for any bath, at most 1, shape (members,)."""
        return np.minimum(self._moments.error, 1.0)

    @cached_property
    def _coherent(self) -> FloatArray:
        """What both outputs have in common."""
        return np.asarray(self.bath.omega * self.bath.driven(_beside_bath(self._moments.populations)))

    def energy(self) -> FloatArray:
        """Of every mode and time, shape (members, *bath, mode, time)."""
        if self._moments.filling is None:
            return self._coherent
        return np.asarray(self._coherent + self.bath.omega * self.bath.occupation * _beside_bath(self._moments.filling))

    def ergotropy(self) -> FloatArray:
        """Of every mode and time, shape (members, *bath, mode, time)."""
        filling, deficit = self._moments.filling, self._moments.deficit
        if filling is None or not self.bath.is_squeezed:
            return self._coherent
        lost = 0.0 if deficit is None else _beside_bath(deficit)
        share = bath_ergotropy(self.bath.n_th, self.bath.r, _beside_bath(filling), lost)
        return np.asarray(self._coherent + self.bath.omega * share)
