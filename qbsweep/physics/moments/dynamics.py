"""Time evolution of the moments from vacuum, for whole families of networks at once.

With the equations of `qbsweep.physics.moments.noise`, for a unit drive and a unit bath::

    z(t) = int_0^t U(s) e_0 ds = z_ss - U(t) z_ss              U(t) = exp(F t)
    V(t) = int_0^t U(s) D U(s)^dag ds = V_ss - U(t) V_ss U(t)^dag

What has *entered*, the integrals, is accumulated by doubling. Nothing cancels in it, so it keeps its digits at any
time, however early. It carries the phase error of fast oscillations, of order eps |F| t, which no algorithm avoids
that is given F in double precision. What *remains* of the beginning carries it too, but fades with U(t), so the
steady state less that is right at late times. Both come with an error estimate, and the smaller one decides.

No eigenvectors appear, so defective drift matrices (every uniform nonreciprocal cascade) are as good as
any other. Arrays carry the members of the family first: J and kappa (P,), times (P, T).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.anomaly import anomaly_deficits
from qbsweep.physics.moments.exponential import congruent
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.noise import blocks, equations, factors, gram
from qbsweep.physics.moments.refined import refined_amplitudes
from qbsweep.physics.moments.sparse import drift_of
from qbsweep.physics.moments.steps import Steps, limit, norms, steps_of, uniform_step

_FLOOR = 1e-4  # of the bath's photon number: errors of less are counted relative to it
_ROUNDING = 2 * float(np.finfo(float).eps)  # of a number, and of the phase of an oscillation per radian
_EXTENDED = 2 * max(1e-19, float(np.finfo(np.longdouble).eps))  # the same in extended precision
_POOR = 5e-10  # estimate from which on the other route is worth its time
_UNDAMPED = 1e15  # radians within a lifetime of which no steady state is computed
_NOTHING = 1e-300  # a population, or a share of the bath's photons, that is none


class Evolution(NamedTuple):
    """Moments in time from vacuum.

    Attributes
    ----------
    populations : ndarray, shape (P, N+1, T)
        ``|alpha_m(t)|^2 / epsilon^2``.
    filling : ndarray or None
        ``C_mm(t) / P``; None if not asked for.
    deficit : ndarray or None
        ``(C_mm/P - |S_mm|/|Q|)(t)``; None stands for 0 everywhere, as in the `phase-half-pi` realization.
    error : ndarray, shape (P,)
        Estimate of the largest rounding error of energies and ergotropies over modes and times, relative to
        ``max(value, 1e-4 P)``, whatever the drive and the bath.
    """

    populations: FloatArray
    filling: FloatArray | None
    deficit: FloatArray | None
    error: FloatArray


@dataclass(frozen=True)
class _Problem:
    """Some members of a family at their times.

    Attributes
    ----------
    F : ndarray, shape (P, q, q)
    D : ndarray, shape (P, k, q, q), or None
    """

    net: Family
    J: Array
    kappa: Array
    times: FloatArray
    F: Array
    D: Array | None

    def of(self, members: Array) -> "_Problem":
        """Return a part of the members."""
        J, kappa, times, F = (array[members] for array in (self.J, self.kappa, self.times, self.F))
        return _Problem(self.net, J, kappa, times, F, None if self.D is None else self.D[members])

    def entered_error(self, at: Array | slice = slice(None)) -> FloatArray:
        """Relative error of what has entered at some times, (P, T): it remembers no more than the slowest mode does."""
        return self._error(at, np.minimum(self.times[:, at], self._lifetime))

    def remaining_error(self, at: Array | slice = slice(None)) -> FloatArray:
        """Relative error of U(t) at some times, shape (P, T)."""
        return self._error(at, self.times[:, at])

    def _error(self, at: Array | slice, spans: FloatArray) -> FloatArray:
        """Count a rounding, and one per radian of the fastest oscillation and per step of the grid."""
        times = self.times[:, at]
        rate = self._norm + np.arange(self.times.shape[1])[at] / np.maximum(times, _NOTHING)
        return np.asarray(_ROUNDING * (1 + rate * spans))

    @cached_property
    def _norm(self) -> FloatArray:
        """Of F, shape (P, 1)."""
        return np.asarray(norms(self.F))[:, None]

    @cached_property
    def _lifetime(self) -> FloatArray:
        """Of the amplitude of the slowest mode, shape (P, 1); without end if it has no loss of its own."""
        return np.asarray(1 / np.maximum(self.kappa * -self.net.B.max(), _NOTHING))[:, None]

    @property
    def relaxes(self) -> FloatArray:
        """Members whose decay double precision can tell from none beside their oscillations, shape (P,)."""
        return np.asarray((self._norm * self._lifetime)[:, 0] < _UNDAMPED)


def evolved_populations(
    net: Family, J: Array, kappa: Array, times: FloatArray, *, fluctuations: bool, squeezing: bool
) -> Evolution:
    """Moments of every mode and time from vacuum at t = 0.

    Parameters
    ----------
    net : Family
    J, kappa : ndarray, shape (P,)
        Members, in units of omega.
    times : ndarray, shape (P, T)
        Times in 1/omega, ascending, at least 0.
    fluctuations, squeezing : bool
        Whether the second moments, and among them the anomalous ones, are wanted.
    """
    pairs = fluctuations and squeezing and not net.keeps_squeezing
    form = equations(net, pairs=pairs)
    D = form.noise(J, kappa) if fluctuations else None
    problem = _Problem(net, J, kappa, times, form.flow(J, kappa), D)
    steps = steps_of(problem.F, problem.D if pairs else None, times)
    populations, error = _populations(problem, steps)
    if not fluctuations:
        return Evolution(populations, None, None, error)
    if not pairs:
        filling, of_filling = _filling(problem, steps)
        return Evolution(populations, filling, None, np.maximum(error, of_filling))
    filling, deficit, of_pairs = _pairs(problem, steps)
    return Evolution(populations, filling, deficit, np.maximum(error, of_pairs))


# ---------------------------------------------------------------------------- amplitudes


def _populations(problem: _Problem, steps: Steps) -> tuple[FloatArray, FloatArray]:
    """Return ``|alpha_m(t)|^2 / epsilon^2``, shape (P, N+1, T), and the largest relative error of each member."""
    populations = _moduli(steps.driven(), problem.net.n_modes)
    share = _shares(populations, steps, problem).min(axis=1)
    error = (2 * problem.entered_error() / np.sqrt(share)).max(axis=1)
    poor = np.flatnonzero(error > _POOR)
    if len(poor):
        populations[poor], error[poor] = _better_populations(populations[poor], problem.of(poor), steps.of(poor))
    return populations, np.asarray(error)


def _shares(populations: FloatArray, steps: Steps, problem: _Problem) -> FloatArray:
    """Return what populations are of the largest so far, shape (P, N+1, T); 1 for what nothing reaches.

    The rounding of an amplitude is relative to that: it may be what interference left.
    """
    largest = populations.copy()
    for index, one in enumerate(steps.each, start=int(steps.is_uniform)):
        reached = _moduli(one.reached, problem.net.n_modes)
        np.maximum(largest[..., index], reached, out=largest[..., index])
    np.maximum.accumulate(largest, axis=-1, out=largest)
    largest += _NOTHING
    shares = populations + _NOTHING
    shares /= largest
    return shares


def _moduli(z: Array, n: int) -> FloatArray:
    """``|alpha|^2`` of amplitudes or quadratures along the second axis."""
    squares = z * z if z.dtype.kind == "f" else z.real**2 + z.imag**2
    return np.asarray(squares if z.shape[1] == n else squares[:, :n] + squares[:, n:])


def _better_populations(populations: FloatArray, problem: _Problem, steps: Steps) -> tuple[FloatArray, FloatArray]:
    """Return the best of what entered, what does not remain, and what entered in extended precision; and its error."""
    errors = 2 * problem.entered_error()[:, None] / np.sqrt(_shares(populations, steps, problem))
    for other, can in ((_late_populations, problem.relaxes), (_extended_populations, True)):
        poor = np.flatnonzero((errors.max(axis=(1, 2)) > _POOR) & can)
        if len(poor):
            found, of_found = other(problem.of(poor), steps.of(poor))
            populations[poor] = np.where(of_found < errors[poor], found, populations[poor])
            errors[poor] = np.minimum(of_found, errors[poor])
    return populations, errors.max(axis=(1, 2))


def _extended_populations(problem: _Problem, _: Steps) -> tuple[FloatArray, FloatArray]:
    """Return populations that entered in extended precision, where the machine has one, and their relative errors.

    The drift matrix is that of the edges, unrounded: a phase is as uncertain as its frequency.
    """
    F = drift_of(problem.net, problem.J, problem.kappa).dense()
    times: Array = problem.times.astype(np.longdouble)
    steps, h = steps_of(F, None, times), uniform_step(times)
    z = steps.driven()
    if h is not None:  # to the times themselves, which are equally spaced within rounding only
        late = times - np.arange(steps.count) * h[:, None]
        slope = F @ z
        slope[:, 0] += 1
        z += late[:, None] * slope
    populations = _moduli(z, problem.net.n_modes)
    relative = problem.entered_error()[:, None] * (_EXTENDED / _ROUNDING)
    errors = 2 * relative / np.sqrt(_shares(populations, steps, problem)) + 2 * _ROUNDING
    return populations.astype(float), errors.astype(float)


def _late_populations(problem: _Problem, steps: Steps) -> tuple[FloatArray, FloatArray]:
    """Return ``|z_ss - U(t) z_ss|^2`` and its relative errors, shape (P, N+1, T)."""
    n = problem.net.n_modes
    alpha, of_steady = refined_amplitudes(problem.net, problem.J, problem.kappa)
    z = alpha if problem.F.shape[-1] == n else np.concatenate([alpha.real, alpha.imag], axis=1)
    remaining = steps.propagated(z)
    populations = _moduli(z[..., None] - remaining, n)
    size = np.linalg.norm(remaining, axis=1)[:, None]
    error = (of_steady + _ROUNDING)[:, None, None] * np.abs(alpha)[..., None]
    error = error + problem.remaining_error()[:, None] * size
    return populations, 2 * error / np.sqrt(populations + _NOTHING)


# ---------------------------------------------------------------------------- fluctuations


def _entered(steps: Steps, n: int) -> FloatArray:
    """V of every mode and time, shape (P, b, N+1, T), as the sum of what every step lets in; see `noise.gram`."""
    noises = [one.noise for one in steps.each if one.noise is not None]
    if steps.is_uniform:
        of_steps = gram(steps.propagated(factors(noises[0])), n)
        V = np.zeros_like(of_steps)
        np.cumsum(of_steps[..., :-1], axis=-1, out=V[..., 1:])
        return V
    V, found = np.zeros_like(noises[0]), []
    for one, noise in zip(steps.each, noises, strict=True):
        V = noise + congruent(one.flow[:, None], V)
        found.append(blocks(V, n))
    return np.stack(found, axis=-1)


def _filling(problem: _Problem, steps: Steps) -> tuple[FloatArray, FloatArray]:
    """``C_mm(t) / P``, shape (P, N+1, T), and its largest relative error: V_ss is 1."""
    members, q = problem.F.shape[:2]
    remaining = gram(steps.propagated(np.broadcast_to(np.eye(q), (members, 1, q, q))), q)[:, 0]
    filling = 1 - remaining
    started = slice(int(not problem.times[:, 0].any()), None)
    least = filling[..., started].min(axis=1)
    errors = (_ROUNDING + problem.remaining_error(started) * (1 - least)) / np.maximum(least, _NOTHING)
    early = np.flatnonzero(errors.max(axis=1, initial=0.0) > _POOR)
    if len(early):
        part = problem.of(early)
        entered = _entered(steps_of(part.F, part.D, part.times), q)[:, 0]
        is_better = part.entered_error(started) < errors[early]
        filling[early, :, started] = np.where(is_better[:, None], entered[..., started], filling[early, :, started])
        errors[early] = np.minimum(part.entered_error(started), errors[early])
    filling[..., : started.start] = 0.0
    return filling, errors.max(axis=1, initial=0.0)


def _pairs(problem: _Problem, steps: Steps) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``C_mm/P`` and ``C_mm/P - |S_mm/Q|``, shape (P, N+1, T), and the largest error of what follows from them."""
    V = _entered(steps, problem.net.n_modes)
    filling, deficit, condition = _split(V)
    error = problem.entered_error(slice(-1, None))[:, 0] * np.sqrt(2 / _FLOOR) * (1 + condition)
    poor = np.flatnonzero(error > _POOR)
    if len(poor):
        found = _better_pairs(V[poor], filling[poor], deficit[poor], problem.of(poor), steps.of(poor))
        filling[poor], deficit[poor], error[poor] = found
    return filling, deficit, error


def _split(V: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray | float]:
    """Return filling, deficit (twice the smaller eigenvalue of a block), and how much an error of V grows in it."""
    if V.shape[1] == 2:
        return V.sum(axis=1), 2 * np.maximum(V.min(axis=1), 0.0), 0.0
    xx, pp, xp = V[:, 0], V[:, 1], V[:, 2]
    filling = xx + pp
    larger = (filling + np.hypot(xx - pp, 2 * xp)) / 2 + _NOTHING
    product = np.maximum(xx, 0.0) * np.maximum(pp, 0.0)
    determinant = np.maximum(product - xp * xp, 0.0)
    grows = product / (larger * np.sqrt(determinant + np.finfo(float).eps * product) + _NOTHING)
    return filling, 2 * determinant / larger, grows.max(axis=(1, 2))


def _errors(filling: FloatArray, deficit: FloatArray, of_larger: FloatArray, of_smaller: FloatArray) -> FloatArray:
    """Errors of energy and ergotropy over ``max(value, _FLOOR P)`` that follow from those of a mode's two variances.

    In a bath of many photons the ergotropy over P is ``(sqrt(l) - sqrt(s))^2``, with the variances
    ``l + s = filling`` and ``2 s = deficit``; in a bath of few the vacuum's half photon makes it less sensitive.
    """
    smaller = deficit / 2
    larger = np.maximum(filling - smaller, 0.0)
    roots = [np.sqrt(value + error + _NOTHING) for value, error in ((larger, of_larger), (smaller, of_smaller))]
    difference = np.sqrt(larger) - np.sqrt(smaller)
    of_ergotropy = (difference + np.sqrt(of_larger)) * (of_larger / roots[0] + of_smaller / roots[1])
    of_energy = (of_larger + of_smaller) / np.maximum(filling, _FLOOR)
    return np.asarray(np.maximum(of_energy, of_ergotropy / np.maximum(difference**2, _FLOOR)))


def _better_pairs(
    V: FloatArray, filling: FloatArray, deficit: FloatArray, problem: _Problem, steps: Steps
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the better of what entered and the steady state less what remains, and the largest error."""
    relative = problem.entered_error()[:, None]
    of_smaller = relative * (
        deficit / 2 if V.shape[1] == 2 else np.maximum(V[:, 0] * V[:, 1], 0.0) / (filling + _NOTHING) * 2
    )
    errors = _errors(filling, deficit, relative * filling, of_smaller)
    late = np.flatnonzero(problem.relaxes & (errors.max(axis=(1, 2)) > _POOR))
    if len(late):
        *others, of_others = _late_pairs(problem.of(late), steps.of(late))
        is_better = of_others < errors[late]
        for values, other in zip((filling, deficit), others, strict=True):
            values[late] = np.where(is_better, other, values[late])
        errors[late] = np.minimum(of_others, errors[late])
    return filling, deficit, errors.max(axis=(1, 2))


def _late_pairs(problem: _Problem, steps: Steps) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return filling and deficit of ``V_ss - U V_ss U^dag``, and the errors of what follows from them."""
    n = problem.net.n_modes
    whole = limit(steps.each[-1])
    steady, remaining = blocks(whole, n)[..., None], gram(steps.propagated(factors(whole)), n)
    lost, of_steady = anomaly_deficits(problem.net, problem.J, problem.kappa)  # better known than from V_ss
    lost = np.zeros((n, len(steady))) if lost is None else lost
    split = _late_split if steady.shape[1] == 2 else _late_mixed
    deficit, smaller = split(steady, remaining, lost.T[..., None])
    left, relative = remaining[:, 0] + remaining[:, 1], problem.remaining_error()[:, None]
    of_smaller = relative * smaller + _ROUNDING * lost.T[..., None]
    errors = _errors(1 - left, deficit, _ROUNDING + relative * left, of_smaller)
    # The estimate of the steady state is relative to P/100 at least.
    return 1 - left, deficit, errors + np.reshape(0.01 / _FLOOR * of_steady, (-1, 1, 1))


def _late_split(steady: FloatArray, remaining: FloatArray, lost: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the deficit where x and p do not mix, and what of the smaller variance is yet to come."""
    is_swapped = steady[:, 0] < steady[:, 1]
    large, small = (np.where(is_swapped, remaining[:, 1 - k], remaining[:, k]) for k in (0, 1))
    return 2 * np.maximum(np.minimum(1 - lost / 2 - large, lost / 2 - small), 0.0), small


def _late_mixed(steady: FloatArray, remaining: FloatArray, lost: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the deficit ``1 - w - |X - x|`` with ``|X| = 1 - lost``, and w: of U V_ss U^dag are w and x."""
    w, x = remaining[:, 0] + remaining[:, 1], remaining[:, 0] - remaining[:, 1] + 2j * remaining[:, 2]
    X = steady[:, 0] - steady[:, 1] + 2j * steady[:, 2]
    X = (1 - lost) * X / (np.abs(X) + _NOTHING)
    # |X| - |X - x| by way of the squares, which do not cancel.
    taken = (2 * (x * X.conj()).real - np.abs(x) ** 2) / (np.abs(X) + np.abs(X - x) + _NOTHING)
    return np.maximum(lost - w + taken, 0.0), w
