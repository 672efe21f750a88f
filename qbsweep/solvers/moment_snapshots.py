"""What a run has come to at one time, in all baths: amplitudes, fluctuations, and the outputs that follow."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics import register
from qbsweep.physics.gaussian import bath_anomaly, bath_occupation, ergotropy
from qbsweep.physics.moments.protocols import Moments
from qbsweep.physics.protocol import Template
from qbsweep.solvers.interface import Points

BATH = ("epsilon", "omega", "n_th", "r", "theta_r")
"""Axes that share a run."""
_ROUNDING = 2 * float(np.finfo(float).eps)
_SMALL = 1e-4  # of a bath's photons, and of the modulus of an amplitude: no error is relative to less
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
        alpha = self.epsilon * _beside_bath(moments.driven)
        if moments.begun is not None:
            alpha = alpha + _beside_bath(moments.begun)
        self.alpha = np.asarray(alpha, dtype=complex)

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

    @cached_property
    def correlations(self) -> tuple[Array, Array]:
        """``C_jk`` and ``S_jk``: a row and a column for the mode."""
        U, pairs, one = self.moments.U, self.moments.pairs, np.eye(self.alpha.shape[-1])
        C, S = self.P[..., None] * one, np.zeros((*(1,) * self.alpha.ndim, 1), dtype=complex) * one
        if U is not None and self.kind != "steady":
            left = U.conj() @ np.swapaxes(U, 1, 2)
            begun = (self.n_th if self.kind == "thermal" else 0.0 * self.n_th)[..., None] * _beside_bath(left)
            if self.kind == "modes":
                begun = _beside_bath((U.conj() * self.beginning.occupation[:, None]) @ np.swapaxes(U, 1, 2))
            C = self.P[..., None] * _beside_bath(one - left) + begun
        if pairs is not None:
            S = self.conjugate_Q[..., None] * _beside_bath(pairs)
        if U is not None and self.kind == "modes":
            S = S + _beside_bath((U * self.beginning.anomaly[:, None]) @ np.swapaxes(U, 1, 2))
        return C + 0j, S

    @property
    def _register(self) -> tuple[Array, Array]:
        C, S = self.correlations
        return C[..., 1:, 1:], S[..., 1:, 1:]

    def ergotropy_register(self) -> FloatArray:
        """Of all batteries."""
        work = register.register_ergotropy(self.alpha[..., 1:], *self._register)
        return np.asarray(self.omega[..., 0] * work)

    def log_negativity(self) -> FloatArray:
        """Of the charger against the batteries."""
        return register.log_negativity(*self.correlations)

    def energy_variance(self) -> FloatArray:
        """Of every mode."""
        return np.asarray(self.omega**2 * register.energy_variance(self.alpha, self.occupation, self.anomaly))

    def drive_power(self) -> FloatArray:
        """Of the drive as it is now."""
        now = self.epsilon[..., 0] * _beside_bath(self.moments.level)
        return np.asarray(self.omega[..., 0] * register.drive_power(now, self.alpha[..., 0]))


class Errors:
    """Estimates of the largest relative error of an output by rounding, shape (runs, *BATH)."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot, moments = snapshot, snapshot.moments
        of_alpha = np.abs(snapshot.epsilon) * _beside_bath(_ROUNDING * moments.of_driven.each)
        if moments.of_begun is not None:
            of_alpha = of_alpha + _beside_bath(_ROUNDING * moments.of_begun.each)
        self.of_alpha: FloatArray = np.asarray(of_alpha + _ROUNDING * np.abs(snapshot.alpha))
        self.turned = _ROUNDING * (1 + _beside_bath(moments.turned[:, None]))
        self.least = _SMALL * snapshot.P + _NOTHING
        coherent, C, b = snapshot.coherent, snapshot.occupation, np.abs(snapshot.anomaly)
        self.of_coherent = 2 * np.sqrt(coherent) * self.of_alpha + _ROUNDING * coherent
        self.of_C = self.turned * (C + (0 if snapshot.kind == "steady" else snapshot.P))
        self.of_b = self.turned * (b + np.abs(snapshot.conjugate_Q))

    def energy(self) -> FloatArray:
        """Of all modes, which tend to the bath's photons: relative to a small part of them at least."""
        snapshot = self.snapshot
        of_energy = self.of_coherent + self.of_C
        return _largest(of_energy / np.maximum(snapshot.coherent + snapshot.occupation, self.least))

    def ergotropy(self) -> FloatArray:
        """As that of the energy."""
        coherent, a, b = self.snapshot.coherent, self.snapshot.occupation + 0.5, np.abs(self.snapshot.anomaly)
        nu = np.sqrt(np.maximum((a - b) * (a + b), 0.25))
        of_nu = (a * self.of_C + b * self.of_b) / nu
        of_share = 2 * self.of_b * b / (a + nu) + b**2 / (a + nu) ** 2 * (self.of_C + of_nu)
        return _largest((self.of_coherent + of_share) / np.maximum(coherent + b**2 / (a + nu), self.least))

    def ergotropy_register(self) -> FloatArray:
        """As that of the energy."""
        C, S = self.snapshot.correlations
        V = register.covariance(C[..., 1:, 1:], S[..., 1:, 1:])
        worth = register.register_ergotropy(self.snapshot.alpha[..., 1:], C[..., 1:, 1:], S[..., 1:, 1:])
        coherent = self.snapshot.coherent[..., 1:].sum(axis=-1)
        passive = np.trace(V, axis1=-2, axis2=-1) / 2 - (worth - coherent)
        error = self.of_coherent[..., 1:].sum(axis=-1) + self._of_spectrum(V) * passive * S.any(axis=(-2, -1))
        return np.asarray(error / np.maximum(worth, self.least[..., 0]))

    def log_negativity(self) -> FloatArray:
        """Absolute, as it is a logarithm."""
        C, S = self.snapshot.correlations
        return np.asarray(self._of_spectrum(register.covariance(C, S)) * S.any(axis=(-2, -1)))

    def _of_spectrum(self, V: FloatArray) -> FloatArray:
        """Return the relative error of a symplectic eigenvalue: at most that of the smallest variance."""
        return np.asarray(self.turned[..., 0] * register.condition(V))

    def energy_variance(self) -> FloatArray:
        """Where it is squeezed it is what is left of larger terms."""
        coherent, C, b = self.snapshot.coherent, self.snapshot.occupation, np.abs(self.snapshot.anomaly)
        variance = register.energy_variance(self.snapshot.alpha, C, self.snapshot.anomaly)
        beat = 2 * C + 1 + 2 * b
        error = self.of_coherent * beat + self.of_C * (2 * C + 1 + 2 * coherent) + 2 * self.of_b * (b + coherent)
        return _largest(error / np.maximum(variance, self.least))

    def drive_power(self) -> FloatArray:
        """None of a drive that is off."""
        alpha = self.snapshot.alpha[..., 0]
        least = np.maximum(np.abs(alpha.imag), _SMALL * np.abs(alpha)) + _NOTHING
        return np.asarray(np.where(_beside_bath(self.snapshot.moments.level) != 0, self.of_alpha[..., 0] / least, 0.0))


def _largest(errors: FloatArray) -> FloatArray:
    """Return the largest error of the modes."""
    return np.asarray(errors.max(axis=-1))


def _beside_bath(values: Array) -> Array:
    """Put the axes of `BATH` behind that of the runs."""
    return values[(slice(None), *(None,) * len(BATH))]
