"""What a product of points with a protocol has in the moment solver: its runs, and their states at one time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.gaussian import bath_anomaly, bath_occupation, ergotropy
from qbsweep.physics.members import OF_MEMBERS, Members
from qbsweep.physics.moments.flows import Matrices, matrices_of
from qbsweep.physics.moments.protocols import Leg, Moments, at_rest, moments_along, settled
from qbsweep.physics.protocol import ModeState, Template, Value
from qbsweep.solvers.interface import Points

BATH = ("epsilon", "omega", "n_th", "r", "theta_r")
"""Axes that share a run."""
_ROUNDING = 2 * float(np.finfo(float).eps)
_SMALL = 1e-4  # of a bath's photons: no error is relative to less
_NOTHING = 1e-290


def template_of(points: Points) -> Template:
    """Return the protocol of points that have one."""
    assert points.protocol is not None
    return points.protocol


@dataclass(frozen=True)
class Beginning:
    """Fluctuations at t = 0 beside those of a steady state, of every run and mode."""

    occupation: FloatArray
    anomaly: Array


class Snapshot:
    """Some runs at one time, in all baths: arrays have the axes (runs, *BATH), and modes behind them."""

    def __init__(self, moments: Moments, beginning: Beginning, points: Points) -> None:
        self.moments, self.beginning, self.kind = moments, beginning, template_of(points).kind

        def axis(name: str) -> FloatArray:
            return np.asarray(points.over(name, BATH)[None, ..., None])

        self.epsilon, self.omega, self.n_th, self.r, theta_r = (axis(name) for name in BATH)
        self.P = bath_occupation(self.n_th, self.r)
        self.conjugate_Q = bath_anomaly(self.n_th, self.r) * np.exp(1j * theta_r)
        self.alpha = self.epsilon * _beside_bath(moments.driven)
        if moments.begun is not None:
            self.alpha = self.alpha + _beside_bath(moments.begun)

    @cached_property
    def occupation(self) -> FloatArray:
        """``C_mm``."""
        if self.kind == "steady":
            return self.P
        if self.moments.U is None:
            return np.zeros((1,) * self.alpha.ndim)
        kept = self.moments.U.real**2 + self.moments.U.imag**2
        left = _beside_bath(kept.sum(axis=-1))
        begun = self.n_th * left if self.kind == "thermal" else 0.0
        if self.kind == "modes":
            begun = _beside_bath((kept @ self.beginning.occupation[..., None])[..., 0])
        return np.asarray(self.P * np.maximum(1 - left, 0.0) + begun)

    @cached_property
    def anomaly(self) -> Array:
        """``S_mm``."""
        result = np.zeros((1,) * self.alpha.ndim, dtype=complex)
        if self.moments.pairs is not None:
            result = self.conjugate_Q * _beside_bath(np.diagonal(self.moments.pairs, axis1=1, axis2=2))
        if self.moments.U is not None and self.kind == "modes":
            result = result + _beside_bath((self.moments.U**2 @ self.beginning.anomaly[..., None])[..., 0])
        return np.asarray(result)

    @property
    def coherent(self) -> FloatArray:
        """``|alpha_m|^2``."""
        return np.asarray(self.alpha.real**2 + self.alpha.imag**2)

    def energy(self) -> FloatArray:
        """Of every mode."""
        return np.asarray(self.omega * (self.coherent + self.occupation))

    def ergotropy(self) -> FloatArray:
        """Of every mode."""
        return np.asarray(self.omega * ergotropy(self.coherent, self.occupation, self.anomaly))

    def error(self, *, of_ergotropy: bool) -> FloatArray:
        """Estimate the largest relative error of the modes' energies, and ergotropies, by rounding; at most 1."""
        moments = self.moments
        of_alpha = np.abs(self.epsilon) * _beside_bath(_ROUNDING * moments.of_driven.each)
        if moments.of_begun is not None:
            of_alpha = of_alpha + _beside_bath(_ROUNDING * moments.of_begun.each)
        turned = _ROUNDING * (1 + _beside_bath(moments.turned[:, None]))
        coherent, C = self.coherent, self.occupation
        of_coherent = 2 * np.sqrt(coherent) * of_alpha + _ROUNDING * coherent
        of_C = turned * (C + (0 if self.kind == "steady" else self.P)) if C.any() else 0.0
        least = _SMALL * self.P + _NOTHING
        worst = ((of_coherent + of_C) / np.maximum(coherent + C, least)).max(axis=-1)
        if of_ergotropy and self.anomaly.any():
            a, b = C + 0.5, np.abs(self.anomaly)
            nu = np.sqrt(np.maximum((a - b) * (a + b), 0.25))
            of_b = turned * (b + np.abs(self.conjugate_Q))
            of_nu = (a * of_C + b * of_b) / nu
            of_share = 2 * of_b * b / (a + nu) + b**2 / (a + nu) ** 2 * (of_C + of_nu)
            share = (of_coherent + of_share) / np.maximum(coherent + b**2 / (a + nu), least)
            worst = np.maximum(worst, share.max(axis=-1))
        elif of_ergotropy:
            worst = np.maximum(worst, (of_coherent / np.maximum(coherent, least)).max(axis=-1))
        return np.asarray(np.minimum(worst, 1.0))


def _beside_bath(values: Array) -> Array:
    """Put the axes of `BATH` behind that of the runs."""
    return values[(slice(None), *(None,) * len(BATH))]


class Runs:
    """The runs of a product of points."""

    def __init__(self, points: Points) -> None:
        self.points, template = points, template_of(points)
        self.dims = (*OF_MEMBERS, *template.names)
        self.shape = tuple(points.sizes[name] for name in self.dims)
        self.count = math.prod(self.shape)
        unit: FloatArray = 1 / self._over("kappa") if template.per_kappa else np.ones(1)
        begin = np.zeros(self.count)
        self.legs: list[Leg] = []
        for segment in template.segments:
            end = self._over(segment.until) if isinstance(segment.until, str) else self._full(segment.until * unit)
            levels = self._over(segment.drive[0]), self._over(segment.drive[1])
            self.legs.append(Leg(begin, end, levels, self._over(segment.coupling)))
            begin = end
        assert points.times is not None
        along = points.times.along((*self.dims, "time"))
        self.times = np.broadcast_to(along, (*self.shape, points.n_times)).reshape(self.count, -1)

    def snapshots(self, runs: Array) -> tuple[Array, Iterator[Snapshot]]:
        """Return some runs at all times, and which of them have a beginning, shape (R,)."""
        points, kind = self.points, template_of(self.points).kind
        legs, matrices = [leg.of(runs) for leg in self.legs], self.matrices(runs)
        r = points.over("r", BATH)
        is_noisy = bool(bath_occupation(points.over("n_th", BATH), r).any())
        amplitudes, beginning = self.beginning(runs)
        fluctuations = kind != "steady" and (is_noisy or bool(beginning.occupation.any()))
        begins = np.ones(len(runs), dtype=bool)
        start = at_rest(amplitudes, fluctuations=fluctuations, squeezing=bool(r.any()))
        if kind == "steady":
            start, begins = settled(matrices, legs[0], start)
        along = moments_along(matrices, legs, self.times[runs], start)
        return begins, (Snapshot(moments, beginning, points) for moments in along)

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
        members, network = self.members.of(runs), self.points.network
        couplings, losses = members.couplings(network), members.losses(network)
        return matrices_of(network, couplings, losses, members.detunings(network))

    def beginning(self, runs: Array) -> tuple[Array, Beginning]:
        """Return the amplitudes and fluctuations of states by mode, shape (R, n)."""
        n, states = self.points.network.n_modes, template_of(self.points)
        found = {key: np.zeros((len(self.times[runs]), n)) for key in ModeState.__slots__}
        for mode in range(n):
            for key, value in states.state(mode).items():
                found[key][:, mode] = self._over(value)[runs]
        quanta = 2 * found["occupation"] + 1
        r = found["squeezing"]
        occupation = found["occupation"] * np.cosh(2 * r) + np.sinh(r) ** 2
        anomaly = quanta * np.sinh(r) * np.cosh(r) * np.exp(1j * found["angle"])
        return found["amplitude"].astype(complex), Beginning(occupation, anomaly)
