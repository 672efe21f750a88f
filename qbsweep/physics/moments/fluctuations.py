"""Second moments in time: what has entered of the bath, or the steady state less what remains of the vacuum.

See `qbsweep.physics.moments.dynamics` for the two, and `qbsweep.physics.moments.noise` for V.
"""

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.physics.moments.anomaly import anomaly_deficits
from qbsweep.physics.moments.exponential import congruent
from qbsweep.physics.moments.noise import blocks, factors, gram
from qbsweep.physics.moments.problem import NOTHING, POOR, ROUNDING, Problem
from qbsweep.physics.moments.steps import Steps, settled_noise, steps_of

_FLOOR = 1e-4  # of the bath's photon number: errors of less are counted relative to it


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


def fillings(problem: Problem, steps: Steps) -> tuple[FloatArray, FloatArray]:
    """``C_mm(t) / P``, shape (P, N+1, T), and its largest relative error: V_ss is 1."""
    members, q = problem.F.shape[:2]
    remaining = gram(steps.propagated(np.broadcast_to(np.eye(q), (members, 1, q, q))), q)[:, 0]
    filling = 1 - remaining
    started = slice(int(not problem.times[:, 0].any()), None)
    least = filling[..., started].min(axis=1)
    errors = (ROUNDING + problem.remaining_error(started) * (1 - least)) / np.maximum(least, NOTHING)
    early = np.flatnonzero(errors.max(axis=1, initial=0.0) > POOR)
    if len(early):
        part = problem.of(early)
        entered = _entered(steps_of(part.F, part.D, part.times), q)[:, 0]
        is_better = part.entered_error(started) < errors[early]
        filling[early, :, started] = np.where(is_better[:, None], entered[..., started], filling[early, :, started])
        errors[early] = np.minimum(part.entered_error(started), errors[early])
    filling[..., : started.start] = 0.0
    return filling, errors.max(axis=1, initial=0.0)


def pairs_of(problem: Problem, steps: Steps) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``C_mm/P`` and ``C_mm/P - |S_mm/Q|``, shape (P, N+1, T), and the largest error of what follows from them."""
    V = _entered(steps, problem.net.n_modes)
    filling, deficit, condition = _split(V)
    error = problem.entered_error(slice(-1, None))[:, 0] * np.sqrt(2 / _FLOOR) * (1 + condition)
    poor = np.flatnonzero(error > POOR)
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
    larger = (filling + np.hypot(xx - pp, 2 * xp)) / 2 + NOTHING
    product = np.maximum(xx, 0.0) * np.maximum(pp, 0.0)
    determinant = np.maximum(product - xp * xp, 0.0)
    grows = product / (larger * np.sqrt(determinant + np.finfo(float).eps * product) + NOTHING)
    return filling, 2 * determinant / larger, grows.max(axis=(1, 2))


def _errors(filling: FloatArray, deficit: FloatArray, of_larger: FloatArray, of_smaller: FloatArray) -> FloatArray:
    """Errors of energy and ergotropy over ``max(value, _FLOOR P)`` that follow from those of a mode's two variances.

    In a bath of many photons the ergotropy over P is ``(sqrt(l) - sqrt(s))^2``, with the variances
    ``l + s = filling`` and ``2 s = deficit``; in a bath of few the vacuum's half photon makes it less sensitive.
    """
    smaller = deficit / 2
    larger = np.maximum(filling - smaller, 0.0)
    roots = [np.sqrt(value + error + NOTHING) for value, error in ((larger, of_larger), (smaller, of_smaller))]
    difference = np.sqrt(larger) - np.sqrt(smaller)
    of_ergotropy = (difference + np.sqrt(of_larger)) * (of_larger / roots[0] + of_smaller / roots[1])
    of_energy = (of_larger + of_smaller) / np.maximum(filling, _FLOOR)
    return np.asarray(np.maximum(of_energy, of_ergotropy / np.maximum(difference**2, _FLOOR)))


def _better_pairs(
    V: FloatArray, filling: FloatArray, deficit: FloatArray, problem: Problem, steps: Steps
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the better of what entered and the steady state less what remains, and the largest error."""
    relative = problem.entered_error()[:, None]
    of_smaller = relative * (
        deficit / 2 if V.shape[1] == 2 else np.maximum(V[:, 0] * V[:, 1], 0.0) / (filling + NOTHING) * 2
    )
    errors = _errors(filling, deficit, relative * filling, of_smaller)
    late = np.flatnonzero(problem.relaxes & (errors.max(axis=(1, 2)) > POOR))
    if len(late):
        *others, of_others = _late_pairs(problem.of(late), steps.of(late))
        is_better = of_others < errors[late]
        for values, other in zip((filling, deficit), others, strict=True):
            values[late] = np.where(is_better, other, values[late])
        errors[late] = np.minimum(of_others, errors[late])
    return filling, deficit, errors.max(axis=(1, 2))


def _late_pairs(problem: Problem, steps: Steps) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return filling and deficit of ``V_ss - U V_ss U^dag``, and the errors of what follows from them."""
    n = problem.net.n_modes
    assert problem.D is not None
    whole = settled_noise(problem.F, problem.D, problem.lifetime[:, 0])
    steady, remaining = blocks(whole, n)[..., None], gram(steps.propagated(factors(whole)), n)
    lost, of_steady = anomaly_deficits(problem.net, problem.rates)  # better known than from V_ss
    lost = np.zeros((n, len(steady))) if lost is None else lost
    split = _late_split if steady.shape[1] == 2 else _late_mixed
    deficit, smaller = split(steady, remaining, lost.T[..., None])
    left, relative = remaining[:, 0] + remaining[:, 1], problem.remaining_error()[:, None]
    of_smaller = relative * smaller + ROUNDING * lost.T[..., None]
    errors = _errors(1 - left, deficit, ROUNDING + relative * left, of_smaller)
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
    X = (1 - lost) * X / (np.abs(X) + NOTHING)
    # |X| - |X - x| by way of the squares, which do not cancel.
    taken = (2 * (x * X.conj()).real - np.abs(x) ** 2) / (np.abs(X) + np.abs(X - x) + NOTHING)
    return np.maximum(lost - w + taken, 0.0), w
