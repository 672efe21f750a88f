"""Outputs of the whole network in the moment solver: joint work, entanglement, purity, variances, power of the drive.

They need whole matrices of correlations, one solve of a member for all its baths, and some of them the phase of an
amplitude and the bath's angle theta_r. Each has only those axes of the product that it depends on.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.physics import register
from qbsweep.physics.gaussian import bath_anomaly, bath_ergotropy, bath_occupation
from qbsweep.physics.moments.refined import ergotropy_error
from qbsweep.physics.moments.whole import Evolved, Whole
from qbsweep.physics.network import Network, phase_factor
from qbsweep.solvers.interface import Labelled, Points
from qbsweep.solvers.moment_members import FAMILY, Product, Where

_ENERGY = ("epsilon", "omega", "n_th", "r")
_STATE = ("n_th", "r")
_BEAT = (*_ENERGY, "theta_r")
_DRIVE = ("epsilon", "omega")
_TILE = 1024  # members whose eigenvalues are sought at once
_TILE_BYTES = 8_000_000  # working set of some members
_EPS = float(np.finfo(float).eps)
_NOTHING, _LARGE = 1e-300, 1e150
# Seconds on one core of 2023, of a thing whatever its size and of (N+1)^3: a member, its step in time, eigenvalues.
_A_NUMBER = 1e-8
_A_MEMBER, _A_STEP, _A_SPECTRUM = (16e-6, 6e-8), (2e-6, 2e-8), (5e-6, 1.6e-7)


@dataclass(frozen=True, slots=True)
class _Output:
    """How an output follows from a state, with its error; its axes of drive and bath, and those behind them.

    The error has the shape (P,) or (P, *bath), with length 1 where all baths have the same.

    `spectra` are the axes along which it takes the eigenvalues of whole covariances in squeezed baths.
    """

    of: Callable[[Any], tuple[Array, FloatArray]]
    bath: tuple[str, ...]
    behind: tuple[str, ...] = ()
    spectra: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Drive:
    """Drive and bath of a product of points, as arrays along chosen axes, some of length 1 behind them."""

    points: Points

    def over(self, name: str, bath: tuple[str, ...], behind: int) -> FloatArray:
        """Return a parameter, shape (1, *bath, 1...): the first axis is that of the members."""
        values = self.points.over(name, bath)
        return values.reshape(1, *values.shape, *(1,) * behind)

    def moments(self, bath: tuple[str, ...], behind: int) -> tuple[FloatArray, FloatArray]:
        """Return P and |Q|."""
        n_th, r = (self.over(name, bath, behind) for name in _STATE)
        return bath_occupation(n_th, r), bath_anomaly(n_th, r)

    @property
    def r(self) -> FloatArray:
        """All values of r."""
        return np.asarray(self.points.values["r"].values, dtype=float)

    def anomaly(self, bath: tuple[str, ...], behind: int) -> ComplexArray:
        """Return conj(Q), whose angle is theta_r."""
        angles = self.over("theta_r", bath, behind)
        turns = np.array([phase_factor(float(angle)) for angle in angles.ravel()]).reshape(angles.shape)
        return np.asarray(self.moments(bath, behind)[1] * turns)


def _beside(values: Array, bath: tuple[str, ...]) -> Array:
    """Put the axes of drive and bath behind that of the members."""
    return values[(slice(None), *(None,) * len(bath))]


def _variance(alpha: Array, C: Array, S: Array, relative: Array) -> tuple[FloatArray, FloatArray]:
    """Return a variance of energy, and its error: where it is squeezed it is what is left of larger terms."""
    variance = register.energy_variance(alpha, C, S)
    terms = C * (C + 1) + np.abs(S) ** 2 + np.abs(alpha) ** 2 * (2 * C + 1 + 2 * np.abs(S))
    return variance, np.asarray(relative * terms / np.maximum(variance, _NOTHING))


@dataclass(frozen=True)
class _Steady:
    """The steady state of some members."""

    whole: Whole
    drive: _Drive

    @cached_property
    def _lost(self) -> FloatArray:
        """What the batteries' register has lost of the squeezing, shape (P, N)."""
        return register.lost_squeezing(self.whole.pairs[0][:, 1:, 1:])

    def register_ergotropy(self) -> tuple[Array, FloatArray]:
        alpha, of_alpha = (values[:, 1:] for values in self.whole.amplitudes)
        epsilon, omega, n_th, r = (self.drive.over(name, _ENERGY, 0) for name in _ENERGY)
        size = np.maximum(np.linalg.norm(alpha, axis=1), _NOTHING)
        coherent, error = _beside(size**2, _ENERGY), 2 * np.linalg.norm(of_alpha, axis=1) / size
        work = epsilon * (epsilon * coherent)
        if not r.any():
            return omega * work, error
        w = _beside(self._lost, _ENERGY)
        share = bath_ergotropy(n_th[..., None], r[..., None], 1.0, w / (1 + np.sqrt(1 - w))).sum(axis=-1)
        moved = ergotropy_error(self._lost, self.whole.pairs[1][:, None]).max(axis=1)
        return omega * (work + share), np.maximum(error, moved)

    def log_negativity(self) -> tuple[Array, FloatArray]:
        n_th, r = (self.drive.over(name, _STATE, 0) for name in _STATE)
        if not r.any():
            return np.zeros((len(self.whole.rates), *n_th.shape[1:2], *r.shape[2:])), np.zeros(1)
        Y, of_Y = self.whole.pairs
        V = register.bath_covariance(r, _beside(Y, _STATE))
        nu = register.transposed_eigenvalues(V) * (n_th[..., None] + 0.5)
        loses: Array = np.asarray(Y.any(axis=(-2, -1)))  # else V is diagonal, and no digit is lost
        grown = np.where(_beside(loses, _STATE), register.condition(V), 1.0)
        return register.negativity_of(nu, r != 0), (_beside(of_Y, _STATE) + 4 * _EPS) * grown

    def purity(self) -> tuple[Array, FloatArray]:
        n_th, r = (self.drive.over(name, _STATE, 0) for name in _STATE)
        Y, of_Y = self.whole.pairs
        w, spread = _beside(register.lost_squeezing(Y), _STATE), np.minimum(np.sinh(2 * r), _LARGE)[..., None] ** 2
        error = (spread * _beside(of_Y[:, None], _STATE) / (1 + spread * w)).sum(axis=-1)
        return register.bath_purity(n_th, r, w), error

    def energy_variance(self) -> tuple[Array, FloatArray]:
        (alpha, of_alpha), (Y, of_Y) = self.whole.amplitudes, self.whole.pairs
        epsilon, omega = (self.drive.over(name, _BEAT, 0) for name in _DRIVE)
        C, _ = self.drive.moments(_BEAT, 0)
        S = self.drive.anomaly(_BEAT, 0) * _beside(1 + Y[:, -1, -1], _BEAT)
        relative = 2 * of_alpha[:, -1] / np.maximum(np.abs(alpha[:, -1]), _NOTHING) + 2 * of_Y + 2 * _EPS
        found, error = _variance(epsilon * _beside(alpha[:, -1], _BEAT), C, S, _beside(relative, _BEAT))
        return omega**2 * found, error

    def drive_power(self) -> tuple[Array, FloatArray]:
        alpha, of_alpha = (values[:, 0] for values in self.whole.amplitudes)
        epsilon, omega = (self.drive.over(name, _DRIVE, 0) for name in _DRIVE)
        power = omega * register.drive_power(epsilon, epsilon * _beside(alpha, _DRIVE))
        return power, np.asarray(of_alpha / np.maximum(np.abs(alpha.imag), _NOTHING))


@dataclass(frozen=True)
class _InTime:
    """Some members in time."""

    whole: Whole
    drive: _Drive
    times: FloatArray

    @cached_property
    def _moments(self) -> Evolved:
        return self.whole.evolved(self.times)

    def _state(self, of: slice) -> tuple[FloatArray, Array, Array]:
        """Return V, C and S of some modes in every bath, shape (P, n_th, r, T, ...)."""
        P, Q = self.drive.moments(_STATE, 3)
        C = P * _beside(self._moments.C[..., of, of], _STATE)
        S = Q * _beside(self._moments.S[..., of, of], _STATE)
        return register.covariance(C, S), C, S

    def register_ergotropy(self) -> tuple[Array, FloatArray]:
        epsilon, omega, _, r = (self.drive.over(name, _ENERGY, 1) for name in _ENERGY)
        coherent = _beside((np.abs(self._moments.alpha[..., 1:]) ** 2).sum(axis=-1), _ENERGY)
        work, error = epsilon * (epsilon * coherent), self._moments.error
        if not r.any():
            return omega * work, error
        V, C, S = self._state(slice(1, None))
        share = register.register_ergotropy(np.zeros(C.shape[:-1]), C, S)
        # A difference of energies, of which little squeezing, and in a pure state much, leave few digits.
        passive = np.trace(V, axis1=-2, axis2=-1) / 2 - share
        lost = 4 * _EPS * (register.condition(V) * passive).max(axis=-1) * (share.max(axis=-1) > 0)
        worth = work.max(axis=-1) + share.max(axis=-1)[:, None, None]
        return omega * (work + share[:, None, None]), 4 * _beside(error, _ENERGY) + lost[:, None, None] / (
            worth + _NOTHING
        )

    def log_negativity(self) -> tuple[Array, FloatArray]:
        if not self.drive.r.any():
            sizes = self.drive.points.sizes
            return np.zeros((len(self.times), sizes["n_th"], sizes["r"], self.times.shape[1])), np.zeros(1)
        V, _, S = self._state(slice(None))
        nu = register.transposed_eigenvalues(V)
        error = _beside(self._moments.error, _STATE) * register.condition(V).max(axis=-1)
        return register.negativity_of(nu, (S != 0).any(axis=(-2, -1))), error

    def energy_variance(self) -> tuple[Array, FloatArray]:
        epsilon, omega = (self.drive.over(name, _BEAT, 2) for name in _DRIVE)
        alpha, C, S = (
            _beside(values.swapaxes(1, 2), _BEAT)
            for values in (
                self._moments.alpha,
                np.diagonal(self._moments.C, axis1=-2, axis2=-1).real,
                np.diagonal(self._moments.S, axis1=-2, axis2=-1),
            )
        )
        P, _ = self.drive.moments(_BEAT, 2)
        relative = self._moments.error.reshape(-1, *(1,) * (len(_BEAT) + 2))
        found, error = _variance(epsilon * alpha, P * C, self.drive.anomaly(_BEAT, 2) * S, relative)
        return omega**2 * found, np.where(found.any(axis=(-2, -1)), error.max(axis=(-2, -1)), 0.0)

    def drive_power(self) -> tuple[Array, FloatArray]:
        epsilon, omega = (self.drive.over(name, _DRIVE, 1) for name in _DRIVE)
        alpha = _beside(self._moments.alpha[..., 0], _DRIVE)
        return omega * register.drive_power(epsilon, epsilon * alpha), self._moments.error


STEADY = {
    "ergotropy_register": _Output(_Steady.register_ergotropy, _ENERGY),
    "log_negativity": _Output(_Steady.log_negativity, _STATE, spectra=("r",)),
    "purity": _Output(_Steady.purity, _STATE),
    "energy_variance_terminal": _Output(_Steady.energy_variance, _BEAT),
    "drive_power": _Output(_Steady.drive_power, _DRIVE),
}
IN_TIME = {
    "ergotropy_register_t": _Output(_InTime.register_ergotropy, _ENERGY, ("time",), _STATE),
    "log_negativity_t": _Output(_InTime.log_negativity, _STATE, ("time",), _STATE),
    "energy_variance_t": _Output(_InTime.energy_variance, _BEAT, ("mode", "time")),
    "drive_power_t": _Output(_InTime.drive_power, _DRIVE, ("time",)),
}
OUTPUTS = STEADY | IN_TIME


def require_stable(network: Network, members: Product) -> None:
    """Refuse members of which some have no steady state: only where a mode has no loss of its own can there be any."""
    for group in members.groups:
        if not group.has_losses:
            for rates in (rates for _, rates, _ in group.tiles(_TILE) if len(rates)):
                Whole(network, rates).require_stable()


def solve(
    points: Points, members: Product, outputs: Sequence[str]
) -> tuple[dict[str, Labelled], Labelled, dict[int, str]]:
    """Solve a product of points for outputs of the whole network.

    Returns
    -------
    arrays : dict of Labelled
        By output, over the axes of the members and of the bath that it depends on, then `mode` and `time`.
    error : Labelled
        Estimate of the largest relative error of a member in a bath; of a logarithmic negativity the absolute one.
    faults : dict of str
        What is wrong with members that have no numbers.
    """
    drive, count = _Drive(points), math.prod(members.shape)
    lengths = points.sizes | {"mode": points.network.n_modes, "time": points.n_times}
    dims = {name: (*OUTPUTS[name].bath, *OUTPUTS[name].behind) for name in outputs}
    arrays = {name: np.full((count, *(lengths[dim] for dim in dims[name])), np.nan) for name in outputs}
    errors, faults = dict[str, FloatArray](), dict[int, str]()
    for table in (STEADY, IN_TIME):
        asked = [name for name in outputs if name in table]
        size = max(1, int(_TILE_BYTES / bytes_of_member(points, asked, points.sizes)))
        for group in members.groups if asked else ():
            for where, rates, wrong in group.tiles(size):
                faults |= wrong
                if not len(rates):
                    continue
                whole = Whole(points.network, rates)
                state = (
                    _Steady(whole, drive) if table is STEADY else _InTime(whole, drive, _times(points, members, where))
                )
                for name in asked:
                    arrays[name][where], error = table[name].of(state)
                    errors.setdefault(name, np.zeros((count, *error.shape[1:])))[where] = np.fmin(error, 1.0)
    labelled = {
        name: Labelled((*members.dims, *dims[name]), array.reshape(*members.shape, *array.shape[1:]))
        for name, array in arrays.items()
    }
    return labelled, _largest(errors, members), faults


def _largest(errors: Mapping[str, FloatArray], members: Product) -> Labelled:
    """Join the errors of outputs, over the axes of the members and of those baths in which they differ."""
    found = [Labelled(members.dims, np.zeros(members.shape))]
    for name, error in errors.items():
        baths = [dim for dim, size in zip(OUTPUTS[name].bath, error.shape[1:], strict=False) if size > 1]
        lengths = (size for size in error.shape[1:] if size > 1)
        found.append(Labelled((*members.dims, *baths), error.reshape(*members.shape, *lengths)))
    dims = tuple(dict.fromkeys(dim for error in found for dim in error.dims))
    return Labelled(dims, np.asarray(reduce(np.maximum, (error.along(dims) for error in found))))


def _times(points: Points, members: Product, where: Where) -> FloatArray:
    """Return the times of some members, shape (P, T)."""
    assert points.times is not None
    shape = (*members.shape, points.n_times)
    times = np.broadcast_to(points.times.along((*members.dims, "time")), shape)
    return np.asarray(times.reshape(-1, points.n_times)[where])


def bytes_of_member(points: Points, outputs: Sequence[str], sizes: Mapping[str, int]) -> float:
    """Return the bytes that one member takes at once: its matrices, in every bath where eigenvalues are sought."""
    states = math.prod(sizes[name] for name in _STATE)
    times = points.n_times if any(name in IN_TIME for name in outputs) else 1
    results = (math.prod(sizes[name] for name in OUTPUTS[output].bath) for output in outputs)
    matrices = 4 * points.network.n_modes**2 * (4 + 6 * states)
    return 8.0 * times * (matrices + 4 * points.network.n_modes * max(results, default=0))


def seconds(points: Points, outputs: Sequence[str], sizes: Mapping[str, int]) -> float:
    """Predict the seconds of a whole product."""
    cube, members = (1, points.network.n_modes**3), math.prod(sizes.get(name, 1) for name in FAMILY)
    is_squeezed, found = bool(np.any(points.values["r"].values)), 0.0
    for table, of_member, times in ((STEADY, _A_MEMBER, 1), (IN_TIME, _A_STEP, points.n_times)):
        asked = [table[name] for name in outputs if name in table]
        spectra = sum(math.prod(sizes[dim] for dim in one.spectra) for one in asked if one.spectra and is_squeezed)
        numbers = sum(math.prod(sizes[dim] for dim in one.bath) for one in asked)
        one = bool(asked) * np.dot(of_member, cube) + spectra * np.dot(_A_SPECTRUM, cube) + numbers * _A_NUMBER
        found += members * times * float(one)
    return found
