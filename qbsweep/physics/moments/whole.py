"""Amplitudes and whole correlation matrices of members of a network, where more than single modes is asked for.

For a unit drive and a uniform bath, in the phases of the network itself::

    M alpha - i e_0 = 0                          C = P 1         S = conj(Q) (1 + Y),   M Y + Y M^T + R = 0
    R = M + M^T + K_sq

The local losses cancel from R, and all of it does in the `phase-half-pi` realization. In time, from vacuum, V of
quadratures is a sum of squares (see `qbsweep.physics.moments.noise`), and so nothing cancels either.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from qbsweep.arrays import ComplexArray, FloatArray
from qbsweep.physics.matrices import edge_entries, require_stable
from qbsweep.physics.moments.exponential import congruent
from qbsweep.physics.moments.problem import NOTHING, ROUNDING
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.steps import norms, steps_of
from qbsweep.physics.network import Network


class Evolved(NamedTuple):
    """Moments in time from vacuum: amplitudes (P, T, N+1) per unit drive, matrices (P, T, N+1, N+1) over P and conj(Q).

    `error` (P,) estimates the rounding of the matrices, relative to their largest entry.
    """

    alpha: ComplexArray
    C: ComplexArray
    S: ComplexArray
    error: FloatArray


@dataclass(frozen=True)
class Whole:
    """Members of a network."""

    network: Network
    rates: Rates

    @cached_property
    def drift(self) -> ComplexArray:
        """M, shape (P, N+1, N+1)."""
        M = self._of_edges(lambda e, t: -1j * e.h - e.K / 2)
        modes = np.arange(self.network.n_modes)
        M[:, modes, modes] -= (self._losses / 2 + 1j * self._detunings).T
        return M

    @cached_property
    def _losses(self) -> FloatArray:
        """Loss rate of every mode, shape (N+1, P)."""
        return np.array([rate * self.rates.loss(mode) for mode, rate in enumerate(self.network.kappa)])

    @property
    def _detunings(self) -> FloatArray:
        """Detuning of every mode, shape (N+1, P) or (N+1, 1)."""
        own = np.array(self.network.detuning)[:, None]
        return own if self.rates.detuning is None else self.rates.detuning

    def require_stable(self) -> None:
        """Refuse members without a steady state: only a mode without a loss of its own can have none."""
        doubtful = ~(self._losses > 0).all(axis=0)
        if doubtful.any():
            require_stable(self.drift[doubtful])

    @cached_property
    def amplitudes(self) -> tuple[ComplexArray, FloatArray]:
        """Steady alpha per unit drive, shape (P, N+1), and an estimate of the error of every one."""
        source = np.zeros((len(self.drift), self.network.n_modes, 1), dtype=complex)
        source[:, 0] = 1j
        alpha = np.linalg.solve(self.drift, source)
        correction = np.linalg.solve(self.drift, source - self.drift @ alpha)
        return (alpha + correction)[..., 0], np.abs(correction[..., 0])

    @cached_property
    def pairs(self) -> tuple[ComplexArray, FloatArray]:
        """Y of the steady ``S = conj(Q) (1 + Y)``, shape (P, N+1, N+1), and an estimate of its largest error (P,)."""
        R = self._of_edges(lambda e, t: -1j * (e.h + t.h) - (e.K + t.K) / 2 + e.K_sq)
        modes = np.arange(self.network.n_modes)
        R[:, modes, modes] -= 2j * self._detunings.T
        if not R.any():
            return R, np.zeros(len(R))
        solve, M = _pair_solver(self.drift), self.drift
        Y = solve(-R)
        half = M @ Y
        correction = solve(-(half + half.swapaxes(1, 2) + R))
        return Y + correction, np.abs(correction).max(axis=(1, 2))

    def evolved(self, times: FloatArray) -> Evolved:
        """Moments at times (P, T), in 1/omega, ascending from 0 or later."""
        n, M = self.network.n_modes, self.drift
        F = np.block([[M.real, -M.imag], [M.imag, M.real]])
        steps = steps_of(F, self._noise[:, None], times)
        z = np.moveaxis(steps.driven(), -1, 1)
        alpha = -1j * (z[..., :n] + 1j * z[..., n:])
        V = np.zeros((*times.shape, 2 * n, 2 * n))
        for at in range(times.shape[1]):
            one = steps.each[0 if steps.is_uniform else at]
            assert one.noise is not None
            if at or not steps.is_uniform:  # the first time of a uniform grid is 0
                V[:, at] = one.noise[:, 0] + (congruent(one.flow, V[:, at - 1]) if at else 0.0)
        xx, pp, xp = V[..., :n, :n], V[..., n:, n:], V[..., :n, n:]
        px = xp.swapaxes(-1, -2)
        slowest = 2 / np.maximum(self._losses.min(axis=0), NOTHING)
        error = ROUNDING * (1 + times.shape[1] + norms(F) * np.minimum(times[:, -1], slowest))
        return Evolved(alpha, xx + pp + 1j * (xp - px), xx - pp + 1j * (xp + px), error)

    @cached_property
    def _noise(self) -> FloatArray:
        """What the jumps let into quadratures, ``sum_L (Re l, Im l) (Re l, Im l)^T`` with l = conj(L), (P, 2n, 2n)."""
        n = self.network.n_modes
        D = np.zeros((len(self.rates), 2 * n, 2 * n))
        modes = np.arange(n)
        D[:, modes, modes] = self._losses.T
        for number, edge in enumerate(self.network.edges):
            jump = np.zeros(2 * n)
            for mode, p in ((edge.u, edge.p_u), (edge.v, edge.p_v)):
                jump[[mode, n + mode]] += complex(p).real, -complex(p).imag
            D += (edge.Gamma * self.rates.coupling(number))[:, None, None] * np.outer(jump, jump)
        return D

    def _of_edges(self, entry: Any) -> ComplexArray:
        """Sum what edges add, by a function of an entry and its transpose: what cancels in an edge does so exactly."""
        n = self.network.n_modes
        matrices = np.zeros((len(self.rates), n, n), dtype=complex)
        for number, edge in enumerate(self.network.edges):
            entries = {(one.j, one.k): one for one in edge_entries(edge)}
            for (j, k), one in entries.items():
                if value := entry(one, entries[k, j]):
                    matrices[:, j, k] += value * self.rates.coupling(number)
        return matrices


def _pair_solver(M: ComplexArray) -> Any:
    """Return the function that solves ``M Y + Y M^T = B`` for symmetric B, by the Schur form of every M."""
    from scipy.linalg import get_lapack_funcs  # half a second, which sweeps without these outputs need not wait for

    lapack: Any = get_lapack_funcs(("gees", "trsyl"), (M,))
    gees, trsyl = lapack
    forms = []
    for one in M:
        factors = gees(lambda *_: None, one)
        forms.append((factors[0], factors[-3]))
    U = np.array([form[1] for form in forms])

    def solve(right: ComplexArray) -> ComplexArray:
        B = U.conj().swapaxes(1, 2) @ right @ U.conj()
        for place, (T, _) in enumerate(forms):
            solution, scale, _ = trsyl(T, T.conj(), B[place], trana="N", tranb="C")
            B[place] = solution / scale
        Y = U @ B @ U.swapaxes(1, 2)
        return np.asarray((Y + Y.swapaxes(1, 2)) / 2)

    return solve
