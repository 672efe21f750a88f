"""The density matrix under a drive that changes linearly in time: a Taylor series, with a computed error bound.

With A the Liouvillian at one drive, B what a drive of strength 1 adds to it, and u(s) = u_0 + u_1 s how far the drive
at s is from the former, a step of length h is ``rho(s) = e^{-q s/h} sum_k (s/h)^k x_k`` with::

    (k + 1) x_{k+1} = (h A + q) x_k + h B (u_0 x_k + u_1 h x_{k-1})

No commutator is neglected, as in a Magnus series, and no time inside a step is left out: one run over it gives every
output time. The shift by q puts the disc in which the series converges well over the spectrum, so that nothing cancels:
half a width suffices for what decays, more for what turns.

**The error bound** is that of `propagator`: the series solves the equation up to the two terms cut off at K and what
was rounded, a Liouvillian that depends on time is a contraction too, and so the error at the end is at most the
integral of the residual's trace norm. It is measured, and a step that does not meet it is halved.
"""

import math
from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.fock.bounds import drive_height
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.operator import DenseOperator
from qbsweep.physics.fock.propagator import MAX_STEPS, ROUNDING, SAMPLES, Ellipse, Evolution, Recorder
from qbsweep.physics.fock.terms import drive_generator

GROWTH = 2.0  # exponent by which the series may exceed its sum, which costs as many digits
REACHES = (80.0, 40.0, 20.0, 10.0, 5.0)  # h times the radius of the spectrum, of steps that are looked at
MOST_FAILURES = 60


@dataclass(frozen=True, slots=True)
class _Plan:
    """Steps of one length: how many, the shift q of each, the radius that its orders follow from."""

    steps: int
    shift: float
    reach: float

    @property
    def orders(self) -> float:
        """How many orders a step takes, about."""
        return self.reach + 6 * math.sqrt(self.reach) + 12

    @classmethod
    def of(cls, ellipse: Ellipse, length: float, steps: int) -> "_Plan":
        h = length / steps
        shift = max(h * ellipse.half_width, (h * ellipse.half_height) ** 2 / (2 * GROWTH))
        return cls(steps, shift, math.hypot(shift, h * ellipse.half_height))


def _plan(ellipse: Ellipse, length: float) -> _Plan:
    """Return the steps that take the fewest orders."""
    radius = length * math.hypot(ellipse.half_width, ellipse.half_height)
    plans = [_Plan.of(ellipse, length, max(1, math.ceil(radius / reach))) for reach in REACHES]
    return min(plans, key=lambda plan: plan.steps * plan.orders)


def ramp_applications(ellipse: Ellipse, length: float) -> float:
    """Return how many orders a ramp takes, each an application of the Liouvillian and one of the drive's part."""
    plan = _plan(ellipse, length)
    return plan.steps * plan.orders


@dataclass(slots=True)
class _Step:
    reduced: Array
    end: Array
    orders: int
    error: float


class _Ramp:
    """What all steps of a ramp share."""

    def __init__(self, operator: DenseOperator, model: FockModel, drives: tuple[float, float], length: float) -> None:
        self.operator, self.length = operator, length
        self.before, self.slope = drives[0] - model.epsilon, (drives[1] - drives[0]) / length
        self.drive = DenseOperator(drive_generator(model))
        # It acts on the states of the whole Liouvillian, which has a drive too.
        self.drive.pad, self.drive.width = operator.pad, operator.width
        self.strength = drive_height(model) / abs(model.drive)  # the norm of B

    def attempt(self, start: Array, now: float, times: FloatArray, plan: _Plan, target: float) -> _Step:
        """Run over a step, to the last of `times` (since its beginning), until the terms cut off meet half the target.

        The error is infinite if they do not.
        """
        h, q, operator = float(times[-1]), plan.shift, self.operator
        at, growing = h * (self.before + self.slope * now), h * h * self.slope
        rank = math.sqrt(operator.dimension)  # trace norm <= sqrt(D) Frobenius norm
        most = int(1.5 * plan.orders) + 20
        weights = np.exp(-q * times / h)[:, None] * (times / h)[:, None] ** np.arange(most)
        share = math.exp(-q)
        x, previous, spare, total = start.copy(), operator.zeros(), operator.zeros(), operator.zeros()
        recorder = Recorder(weights, operator.reduced(x))
        norms: list[float] = []
        for k in range(most):
            recorder.add(operator.reduced(x))
            norms.append(math.sqrt(operator.step(x, spare, total, h / (k + 1), q / (k + 1), 0.0, share)))
            previous *= growing / (k + 1)
            previous += (at / (k + 1)) * x
            self.drive.step(previous, spare, previous, 1.0, 0.0, 1.0, 0.0)
            operator.complete(spare)
            previous, x, spare = x, spare, previous
            if not math.isfinite(norms[-1]):
                break
            # The integrand e^{-q s} s^k grows up to s = 1 from k = q on.
            beside = abs(growing) * self.strength * norms[-1]
            if k >= q and rank * share * (k * norms[-1] + beside) < target / 2:
                cut = rank * share * ((k + 1) * math.sqrt(2.0) * float(np.linalg.norm(x)) + beside)
                if cut < target / 2:
                    operator.complete(total)
                    return _Step(recorder.result(), total, k + 1, cut + self._rounded(norms, plan, rank))
        return _Step(recorder.result(), total, len(norms), math.inf)

    def _rounded(self, norms: list[float], plan: _Plan, rank: float) -> float:
        """Return what rounding may have made of a step: each term is rounded by its own size."""
        s = ((np.arange(SAMPLES) + 0.5) / SAMPLES)[:, None]
        terms = np.exp(-plan.shift * s) * s ** np.arange(len(norms)) * np.array(norms)
        return ROUNDING * rank * plan.reach * float(np.mean(np.sqrt(np.sum(terms**2, axis=1))))


def ramped(
    operator: DenseOperator,
    model: FockModel,
    start: Array,
    times: FloatArray,
    drives: tuple[float, float],
    ellipse: Ellipse,
    *,
    tolerance: float,
    keep_states: bool = False,
) -> Evolution:
    """Evolve `start` under a drive that goes from one value at 0 to another at the last of `times`.

    Parameters
    ----------
    operator : DenseOperator
        The Liouvillian of `model`, at the larger of the drives.
    model : FockModel
    start : array
        The state at time 0, in the operator's layout.
    times : ndarray
        Ascending, above 0, in 1/omega.
    drives : (float, float)
        In units of omega.
    ellipse : Ellipse
        That should hold the spectrum.
    tolerance, keep_states
        See `propagator.propagate`.
    """
    end = float(times[-1])
    ramp = _Ramp(operator, model, drives, end)
    ellipse = Ellipse(max(ellipse.half_width, 1e-3 / end), max(ellipse.half_height, 1e-3 / end))
    reduced = np.full((len(times), *operator.reduced(start).shape), np.nan, dtype=start.dtype)
    states: list[Array] = []
    now, error, orders, steps, failures = 0.0, 0.0, 0, 0, 0
    length = end / _plan(ellipse, end).steps
    while now < end:
        goal = end if end - (now + length) < 1e-6 * length else now + length
        if keep_states:
            goal = min(goal, float(times[times > now][0]))
        allowed = tolerance * (goal - now) / end
        inside = (times > now) & (times <= goal)
        plan = _Plan.of(ellipse, goal - now, 1)
        run = ramp.attempt(start, now, np.append(times[inside], goal) - now, plan, 0.8 * allowed)
        orders += run.orders
        if run.error > allowed:
            failures += 1
            if orders > MAX_STEPS or failures > MOST_FAILURES:
                reason = f"propagation error {error + run.error:.1e} above {tolerance:.0e} at time {now:.6g} of a ramp"
                return Evolution(reduced, states, None, error + run.error, orders, steps, reason)
            length = (goal - now) / 2
            continue
        reduced[inside], start = run.reduced[:-1], run.end
        if keep_states and goal in times:
            states.append(start.copy())
        now, error, steps = goal, error + run.error, steps + 1
    return Evolution(reduced, states, start, error, orders, steps, "")
