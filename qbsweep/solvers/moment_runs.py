"""The runs of a product of points with a protocol: members of the network in the variants of the protocol."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.gaussian import bath_anomaly, bath_occupation
from qbsweep.physics.members import OF_MEMBERS, Members
from qbsweep.physics.moments.flows import Matrices, extended_drift, matrices_of
from qbsweep.physics.moments.protocols import Leg, Moments, at_rest, moments_along, settled, with_amplitudes
from qbsweep.physics.protocol import ModeState, Value
from qbsweep.solvers.interface import Points
from qbsweep.solvers.moment_snapshots import BATH, Beginning, Snapshot, template_of


class Runs:
    """The runs of a product of points."""

    def __init__(self, points: Points) -> None:
        self.points, template = points, template_of(points)
        self.dims = (*OF_MEMBERS, *template.names)
        self.shape = tuple(points.sizes[name] for name in self.dims)
        self.count = math.prod(self.shape)
        begin, kappa = np.zeros(self.count), self._over("kappa")
        self.legs: list[Leg] = []
        for segment in template.segments:
            until = segment.until
            end = self._over(until) if isinstance(until, str) else self._full(template.in_omega(until, kappa))
            levels = self._over(segment.drive[0]), self._over(segment.drive[1])
            self.legs.append(Leg(begin, end, levels, self._over(segment.coupling)))
            begin = end
        assert points.times is not None
        along = points.times.along((*self.dims, "time"))
        self.times = np.broadcast_to(along, (*self.shape, points.n_times)).reshape(self.count, -1)

    def snapshots(self, runs: Array, *, is_extended: bool = False) -> tuple[Array, Iterator[Snapshot]]:
        """Return some runs at all times, and which of them have a beginning, shape (R,).

        In extended precision are the amplitudes only, if at all.
        """
        points, kind = self.points, template_of(self.points).kind
        legs, matrices = [leg.of(runs) for leg in self.legs], self.matrices(runs)
        r = points.over("r", BATH)
        is_noisy = bool(bath_occupation(points.over("n_th", BATH), r).any())
        amplitudes, beginning = self.beginning(runs)
        fluctuations = kind != "steady" and (is_noisy or bool(beginning.occupation.any()))
        begins = np.ones(len(runs), dtype=bool)
        start = at_rest(amplitudes, legs[0].levels[0], fluctuations=fluctuations, squeezing=bool(r.any()))
        if kind == "steady":
            start, begins = settled(matrices, start)
        along = moments_along(matrices, legs, self.times[runs], start)
        if is_extended:
            along = map(with_amplitudes, along, self._amplitudes(runs, legs, matrices, amplitudes))
        return begins, (Snapshot(moments, beginning, points) for moments in along)

    def _amplitudes(self, runs: Array, legs: list[Leg], matrices: Matrices, begun: Array) -> Iterator[Moments]:
        """Return what some runs have come to without fluctuations, in extended precision."""
        exact = replace(matrices, drift=extended_drift(self.points.network, *self._rates(runs)))
        begun = begun.astype(np.clongdouble)
        start = at_rest(begun, legs[0].levels[0].astype(np.longdouble), fluctuations=False, squeezing=False)
        if template_of(self.points).kind == "steady":
            start, _ = settled(exact, start)
        return moments_along(exact, legs, self.times[runs].astype(np.longdouble), start)

    def _full(self, values: Array) -> FloatArray:
        return np.array(np.broadcast_to(values, self.count), dtype=float)

    def _over(self, value: Value) -> FloatArray:
        """Return a number of every run."""
        if not isinstance(value, str):
            return np.full(self.count, value)
        return np.broadcast_to(self.points.over(value, self.dims), self.shape).astype(float).ravel()

    @cached_property
    def members(self) -> Members:
        """The networks of all runs."""
        some = {name: self._over(name) for name in OF_MEMBERS}
        some["seed"] = some["seed"].astype(np.int64)
        return Members(**some, distribution=str(self.points.settings["spread_distribution"]))

    def matrices(self, runs: Array) -> Matrices:
        """Return the drift and the pair noise of some runs."""
        return matrices_of(self.points.network, *self._rates(runs))

    def _rates(self, runs: Array) -> tuple[FloatArray, FloatArray, FloatArray]:
        members, network = self.members.of(runs), self.points.network
        return members.couplings(network), members.losses(network), members.detunings(network)

    def beginning(self, runs: Array) -> tuple[Array, Beginning]:
        """Return the amplitudes and fluctuations of states by mode, shape (R, n)."""
        n, states = self.points.network.n_modes, template_of(self.points)
        found = {key: np.zeros((len(self.times[runs]), n)) for key in ModeState.__slots__}
        for mode in range(n):
            for key, value in states.state(mode).items():
                found[key][:, mode] = self._over(value)[runs]
        squeezed = found["occupation"], found["squeezing"]
        anomaly = bath_anomaly(*squeezed) * np.exp(1j * found["angle"])
        return found["amplitude"].astype(complex), Beginning(bath_occupation(*squeezed), anomaly)
