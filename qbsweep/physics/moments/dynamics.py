"""Time evolution of the moments from vacuum, for whole families of networks at once.

With the equations of `qbsweep.physics.moments.noise`, for a unit drive and a unit bath::

    z(t) = int_0^t U(s) e_0 ds = z_ss - U(t) z_ss              U(t) = exp(F t)
    V(t) = int_0^t U(s) D U(s)^dag ds = V_ss - U(t) V_ss U(t)^dag

What has *entered*, the integrals, is accumulated by doubling. Nothing cancels in it, so it keeps its digits at any
time, however early. It carries the phase error of fast oscillations, of order eps |F| t, which no algorithm avoids
that is given F in double precision. What *remains* of the beginning carries it too, but fades with U(t), so the
steady state less that is right at late times. Both come with an error estimate, and the smaller one decides.

No eigenvectors appear, so defective drift matrices (every uniform nonreciprocal cascade) are as good as
any other. Arrays carry the members of the family first: times (P, T).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.family import Family
from qbsweep.physics.moments.fluctuations import fillings, pairs_of
from qbsweep.physics.moments.noise import equations
from qbsweep.physics.moments.problem import EXTENDED, NOTHING, POOR, ROUNDING, Problem
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.refined import refined_amplitudes
from qbsweep.physics.moments.sparse import drift_of
from qbsweep.physics.moments.steps import Steps, norms, steps_of, uniform_step


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


def evolved_populations(
    net: Family, rates: Rates, times: FloatArray, *, fluctuations: bool, squeezing: bool
) -> Evolution:
    """Moments of every mode and time from vacuum at t = 0.

    Parameters
    ----------
    net : Family
    rates : Rates
        Of P members, in units of omega.
    times : ndarray, shape (P, T)
        Times in 1/omega, ascending, at least 0.
    fluctuations, squeezing : bool
        Whether the second moments, and among them the anomalous ones, are wanted.
    """
    pairs = fluctuations and squeezing and not net.keeps_squeezing
    form = equations(net, pairs=pairs)
    D = form.noise(rates) if fluctuations else None
    problem = Problem(net, rates, times, form.flow(rates), D)
    steps = steps_of(problem.F, problem.D if pairs else None, times)
    populations, error = _populations(problem, steps)
    if not fluctuations:
        return Evolution(populations, None, None, error)
    if not pairs:
        filling, of_filling = fillings(problem, steps)
        return Evolution(populations, filling, None, np.maximum(error, of_filling))
    filling, deficit, of_pairs = pairs_of(problem, steps)
    return Evolution(populations, filling, deficit, np.maximum(error, of_pairs))


def _populations(problem: Problem, steps: Steps) -> tuple[FloatArray, FloatArray]:
    """Return ``|alpha_m(t)|^2 / epsilon^2``, shape (P, N+1, T), and the largest relative error of each member."""
    populations = _moduli(steps.driven(), problem.net.n_modes)
    share = _shares(populations, steps, problem).min(axis=1)
    error = (2 * problem.entered_error() / np.sqrt(share)).max(axis=1)
    poor = np.flatnonzero(error > POOR)
    if len(poor):
        populations[poor], error[poor] = _better_populations(populations[poor], problem.of(poor), steps.of(poor))
    return populations, np.asarray(error)


def _shares(populations: FloatArray, steps: Steps, problem: Problem) -> FloatArray:
    """Return what populations are of the largest so far, shape (P, N+1, T); 1 for what nothing reaches.

    The rounding of an amplitude is relative to that: it may be what interference left.
    """
    largest = populations.copy()
    for index, one in enumerate(steps.each, start=int(steps.is_uniform)):
        reached = _moduli(one.reached, problem.net.n_modes)
        np.maximum(largest[..., index], reached, out=largest[..., index])
    np.maximum.accumulate(largest, axis=-1, out=largest)
    if problem.net.parents is None:
        _raise_to_neighbours(largest, problem)
    largest += NOTHING
    shares = populations + NOTHING
    shares /= largest
    return shares


def _raise_to_neighbours(largest: FloatArray, problem: Problem) -> None:
    """Raise the largest populations to what each neighbour alone would bring, in place.

    On a graph with loops ways to a mode may cancel from the beginning on. On a tree there is one, and it brings as much
    before anything comes back. An amplitude that is d hops away begins as ``t^(d+1)``, of which the integral is a part
    of ``d + 2`` only.
    """
    hops, away, slowest = [], _hops_away(problem.net), 1 / norms(problem.F)[:, None]
    for number, part in enumerate(problem.net.parts):
        J = problem.rates.coupling(number)
        for (j, k), a in part.items():
            if j != k:
                span = np.minimum(problem.times / (away[k] + 2), slowest)
                hops.append(((j, k), ((J * abs(a))[:, None] * span) ** 2))
    for _ in range(problem.net.n_modes):
        before = largest.copy()
        for (j, k), share in hops:
            np.maximum(largest[:, j], share * largest[:, k], out=largest[:, j])
        if np.array_equal(before, largest):
            break


@lru_cache(maxsize=64)
def _hops_away(net: Family) -> list[float]:
    """Return how many hops every mode is away from the charger; infinitely many if none lead to it."""
    away, before = [0.0] + [math.inf] * (net.n_modes - 1), None
    while away != before:
        before = away.copy()
        for j, k in (hop for part in net.parts for hop in part):
            away[j] = min(away[j], away[k] + 1)
    return away


def _moduli(z: Array, n: int) -> FloatArray:
    """``|alpha|^2`` of amplitudes or quadratures along the second axis."""
    squares = z * z if z.dtype.kind == "f" else z.real**2 + z.imag**2
    return np.asarray(squares if z.shape[1] == n else squares[:, :n] + squares[:, n:])


def _better_populations(populations: FloatArray, problem: Problem, steps: Steps) -> tuple[FloatArray, FloatArray]:
    """Return the best of what entered, what does not remain, and what entered in extended precision; and its error."""
    errors = 2 * problem.entered_error()[:, None] / np.sqrt(_shares(populations, steps, problem))
    if problem.net.parents is None:  # of what is not there no digit is wrong
        rows = drift_of(problem.net, problem.rates).unreached()
        is_dark = rows.reshape(len(rows), -1, problem.net.n_modes).all(axis=1)
        populations[is_dark] = errors[is_dark] = 0.0
    for other, can in ((_late_populations, problem.relaxes), (_extended_populations, True)):
        poor = np.flatnonzero((errors.max(axis=(1, 2)) > POOR) & can)
        if len(poor):
            found, of_found = other(problem.of(poor), steps.of(poor))
            populations[poor] = np.where(of_found < errors[poor], found, populations[poor])
            errors[poor] = np.minimum(of_found, errors[poor])
    return populations, errors.max(axis=(1, 2))


def _extended_populations(problem: Problem, _: Steps) -> tuple[FloatArray, FloatArray]:
    """Return populations that entered in extended precision, where the machine has one, and their relative errors.

    The drift matrix is that of the edges, unrounded: a phase is as uncertain as its frequency.
    """
    F = drift_of(problem.net, problem.rates).dense()
    times: Array = problem.times.astype(np.longdouble)
    steps, h = steps_of(F, None, times), uniform_step(times)
    z = steps.driven()
    if h is not None:  # to the times themselves, which are equally spaced within rounding only
        late = times - np.arange(steps.count) * h[:, None]
        slope = F @ z
        slope[:, 0] += 1
        z += late[:, None] * slope
    populations = _moduli(z, problem.net.n_modes)
    relative = problem.entered_error()[:, None] * (EXTENDED / ROUNDING)
    errors = 2 * relative / np.sqrt(_shares(populations, steps, problem)) + 2 * ROUNDING
    return populations.astype(float), errors.astype(float)


def _late_populations(problem: Problem, steps: Steps) -> tuple[FloatArray, FloatArray]:
    """Return ``|z_ss - U(t) z_ss|^2`` and its relative errors, shape (P, N+1, T)."""
    n = problem.net.n_modes
    alpha, of_steady = refined_amplitudes(problem.net, problem.rates)
    z = alpha if problem.F.shape[-1] == n else np.concatenate([alpha.real, alpha.imag], axis=1)
    remaining = steps.propagated(z)
    populations = _moduli(z[..., None] - remaining, n)
    size = np.linalg.norm(remaining, axis=1)[:, None]
    error = (of_steady + ROUNDING)[:, None, None] * np.abs(alpha)[..., None]
    error = error + problem.remaining_error()[:, None] * size
    return populations, 2 * error / np.sqrt(populations + NOTHING)
