"""``exp(t A) rho`` for a whole time grid by Faber polynomials on an ellipse, with a computed error bound.

The ellipse has its rightmost point at 0, its leftmost at -2a, half-height b. Outside it is the image of
|w| > 1 under ``z = c + rho w + q / (rho w)``, rho = (a + b)/2, q = (a^2 - b^2)/4, c = -a, and the Faber
polynomials ``F_k(z) = w^k + (q / (rho^2 w))^k`` obey ``rho F_{k+1} = (z - c) F_k - (q / rho) F_{k-1}``
(scaled Chebyshev polynomials; a flat ellipse is the real interval, a circle the Taylor series about c).
``exp(s z) = sum_k l_k(s) F_k(z)`` with l_k(s) the Laurent coefficients of ``exp(s z(w))``: the vectors do
not depend on s, so one run over a step gives every output time inside it.

**The error bound needs no knowledge of the spectrum.** The vectors as computed obey the recurrence up to
a rounding r_k, so ``y(s) = sum_{k<=K} l_k(s) F_k`` has the residual ``A y - y' = rho sum_k l_k r_k`` plus
the two terms cut off at K. Lindblad evolution is a contraction in the trace norm, hence the error at the
end of a step is at most the integral of the residual's trace norm, which is measured. An ellipse too
small, or a matrix far from normal, makes ``l_k ||F_k||`` large: the bound shows it, and the step is
repeated on a higher ellipse or a shorter step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.compiled import njit
from qbsweep.physics.fock.operator import Operator

TOLERANCE = 1e-9  # of the trace norm, for a whole evolution
ROUNDING = 2 * np.finfo(float).eps  # of one fused step, relative to the Frobenius norm of its argument
MAX_STEPS = 200_000
MAX_GROWTH = 10.0  # of one vector to the next, that an ellipse is enlarged by at once
RECORDED = 64  # orders whose reduced states are kept at once
SAMPLES = 16  # times inside a step at which the residual is estimated


@njit()
def _laurent(times, count, rho, q):  # type: ignore[no-untyped-def]
    """Return the coefficients of ``exp(s (-a + rho w + q / (rho w)))`` by Miller's algorithm.

    ``k l_k = s (rho l_{k-1} - (q/rho) l_{k+1})`` downwards from beyond the last one, then scaled so that
    the function is 1 at w = 1. A Fourier transform would leave noise of 1e-16 in the tail, which a
    growing F_k would amplify.
    """
    out = np.zeros((len(times), count))
    for row in range(len(times)):
        s = times[row]
        if s == 0:
            out[row, 0] = 1.0
            continue
        # Far beyond the turning point every solution but the right one has died out.
        first = max(count, int(s * (rho + abs(q) / rho))) + 60
        above, here, total = 0.0, 1e-200, 0.0
        for k in range(first, 0, -1):
            mirrored = (abs(q) / rho**2) ** k * (-1.0 if q < 0 and k % 2 else 1.0)
            total += here * (1 + mirrored)
            if k < count:
                out[row, k] = here
            below = (k * here / s + q / rho * above) / rho
            above, here = here, below
            if abs(here) > 1e150:
                above, here, total = above * 1e-200, here * 1e-200, total * 1e-200
                for later in range(k, count):
                    out[row, later] *= 1e-200
        total += here
        out[row, 0] = here
        for k in range(count):
            out[row, k] /= total
    return out


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Half-axes of the ellipse that should hold the spectrum; its rightmost point is 0."""

    half_width: float
    half_height: float

    @property
    def capacity(self) -> float:
        """Rho = (a + b)/2."""
        return (self.half_width + self.half_height) / 2

    @property
    def focus(self) -> float:
        """Signed q = (a^2 - b^2)/4: foci on the real axis if positive, upright if negative."""
        return (self.half_width**2 - self.half_height**2) / 4

    def coefficients(self, times: FloatArray, count: int) -> FloatArray:
        """Return the Laurent coefficients l_k(s), shape (times, count), each to its own rounding."""
        return np.asarray(_laurent(np.asarray(times, dtype=float), count, self.capacity, self.focus))

    def bounds(self, times: FloatArray, orders: FloatArray) -> FloatArray:
        """Return upper bounds on abs(l_k(s)), shape (times, orders): Cauchy's estimate."""
        s, k = times[:, None], orders[None, :]
        q, rho = self.focus, self.capacity
        radius = (k / s + np.sqrt(np.maximum((k / s) ** 2 + 4 * q, 0.0))) / (2 * rho)
        radius = np.maximum(radius, math.sqrt(abs(q)) / rho if q < 0 else 1e-12)
        exponent = s * (np.abs(rho * radius + q / (rho * radius)) - self.half_width)
        return np.asarray(np.exp(np.minimum(exponent - k * np.log(radius), 700.0)))


@dataclass(frozen=True, slots=True)
class Evolution:
    """What `propagate` found.

    Attributes
    ----------
    reduced : array
        Upper triangles of the reduced states, shape (times, modes, d, d); NaN after a failure.
    states : list of arrays
        The states at the output times, where asked for, else empty.
    end : array or None
        The state at the last time, where asked for.
    error : float
        Bound on the error of rho in the trace norm, at any output time.
    applications : int
        How often the Liouvillian was applied.
    steps : int
        Time steps taken.
    reason : str
        Why the evolution could not be trusted; empty if it can.
    """

    reduced: Array
    states: list[Array]
    end: Array | None
    error: float
    applications: int
    steps: int
    reason: str


@dataclass(slots=True)
class _Run:
    """One attempted step: its states, its error bound, and the ellipse it would have needed."""

    reduced: Array
    total: Array
    applications: int
    error: float
    larger: Ellipse


class Recorder:
    """``sum_k l_k(s) F_k`` of the reduced states for all times s, a block of orders at a time."""

    def __init__(self, weights: FloatArray, example: Array) -> None:
        self.weights = weights
        self.block = np.empty((RECORDED, example.size), dtype=example.dtype)
        self.sum = np.zeros((len(weights), example.size), dtype=example.dtype)
        self.shape = example.shape
        self.first = self.filled = 0

    def add(self, reduced: Array) -> None:
        """Take the reduced states of the next order."""
        self.block[self.filled] = reduced.ravel()
        self.filled += 1
        if self.filled == RECORDED:
            self.flush()

    def flush(self) -> None:
        """Add what the block holds to the sum."""
        last = self.first + self.filled
        self.sum += self.weights[:, self.first : last] @ self.block[: self.filled]
        self.first, self.filled = last, 0

    def result(self) -> Array:
        """Return the sums, shape (times, modes, d, d)."""
        self.flush()
        return self.sum.reshape(len(self.sum), *self.shape)


def _largest(ellipse: Ellipse, length: float, orders: FloatArray) -> FloatArray:
    """Return bounds on abs(l_k(s)) for all s up to `length`: 1 at s = k/b, falling beyond the last such k."""
    last = ellipse.bounds(np.array([length]), orders)[0]
    return np.where(orders <= length * ellipse.half_height, 1.0, last)


def degree(ellipse: Ellipse, length: float, target: float) -> int:
    """Return the degree at which the cut-off terms meet the target if every vector has norm 1."""
    guess = length * ellipse.half_height + math.sqrt(80 * length * ellipse.half_width) + 80
    while True:
        enough = _largest(ellipse, length, np.arange(1.0, guess)) * length * ellipse.capacity < target
        if enough[-1]:
            return int(np.max(np.flatnonzero(~enough), initial=0)) + 2
        guess *= 1.5


def _attempt(operator: Operator, start: Array, ellipse: Ellipse, times: FloatArray, target: float, keep: bool) -> _Run:
    """Run the recurrence over a step, to the last of `times`, until its cut-off terms meet half the target.

    Gives up, with an infinite error, as soon as one term is too large for its rounding.
    """
    rho, q, length = ellipse.capacity, ellipse.focus, float(times[-1])
    rank = math.sqrt(operator.dimension)  # trace norm <= sqrt(D) Frobenius norm
    least = degree(ellipse, length, target / rank)
    most = least + least // 4 + 32  # more would say that the vectors keep growing
    rounding = ROUNDING * rank * rho * length
    limit = max(SAMPLES * target / rounding, SAMPLES)
    weights = ellipse.coefficients(times, most)
    share = weights[-1] if keep else np.zeros(most)
    largest = np.append(1.0, _largest(ellipse, length, np.arange(1.0, most + 2)))
    previous, x = operator.zeros(), start.copy()
    total = operator.zeros() if keep else x  # untouched where no share goes to it
    recorder = Recorder(weights, operator.reduced(x))
    norms: list[float] = []
    back, cut = 0.0, math.inf
    for k in range(most):
        recorder.add(operator.reduced(x))
        norm = math.sqrt(operator.step(x, previous, total, 1 / rho, ellipse.half_width / rho, back, share[k]))
        operator.complete(previous)
        norms.append(norm)
        back = -q / rho**2 * (2.0 if k == 0 else 1.0)
        previous, x = x, previous
        if not norm * largest[k] < limit:
            return _Run(recorder.sum, total, k + 1, math.inf, _enlarged(ellipse, norms, previous, x))
        beside = abs(q) / rho * largest[k + 1] * norm
        if rank * length * (rho * largest[k] * norm + beside) < target / 2:
            # The first vector left out is there already. A triangle and a band hold at least half its square.
            cut = rank * length * (rho * largest[k] * math.sqrt(2.0) * float(np.linalg.norm(x)) + beside)
            if cut < target / 2:
                break
    samples = length * (np.arange(SAMPLES) + 0.5) / SAMPLES
    # Not their bounds: of an oscillation thousands of them are near 1, and the coefficients nowhere.
    kept = ellipse.coefficients(samples, len(norms)) * np.array(norms)
    residual = np.sqrt(np.sum(kept**2, axis=1))
    error = cut + rounding * float(np.mean(residual))
    return _Run(recorder.result(), total, len(norms), error, _enlarged(ellipse, norms, previous, x))


def _enlarged(ellipse: Ellipse, norms: list[float], older: Array, newer: Array) -> Ellipse:
    """Ellipse through the eigenvalue that makes the vectors grow, told by how one follows the other.

    Beyond the ellipse F_k grows as w^k: w < -1 for a decay faster than the leftmost point (every vector
    is minus the last one, longer), w imaginary for a frequency above it (every vector is new).
    """
    rho, q = ellipse.capacity, ellipse.focus
    lengths = float(np.linalg.norm(older)), float(np.linalg.norm(newer))
    finite = all(map(math.isfinite, lengths)) and lengths[0] > 0
    growth = min(max(lengths[1] / lengths[0], 1.02), MAX_GROWTH) if finite else MAX_GROWTH
    if finite and float(np.vdot(older, newer).real) < -0.7 * lengths[0] * lengths[1]:
        width = ellipse.half_width + rho * growth + q / (rho * growth)
        return Ellipse(1.03 * width / 2, ellipse.half_height)
    if len(norms) > 2 and norms[-3] > 0:  # every second vector points the other way
        growth = min(max((norms[-1] / norms[-3]) ** 0.5, 1.02), MAX_GROWTH)
    return Ellipse(ellipse.half_width, 1.1 * (rho * growth - q / (rho * growth)))


def propagate(
    operator: Operator,
    start: Array,
    times: Sequence[float] | FloatArray,
    ellipse: Ellipse,
    *,
    tolerance: float = TOLERANCE,
    keep_states: bool = False,
    keep_end: bool = False,
) -> Evolution:
    """Evolve `start` from time 0 and return the reduced states at all `times`.

    Parameters
    ----------
    operator : Operator
        The Liouvillian, generator of a trace-norm contraction.
    start : array
        The state at time 0, in the operator's layout.
    times : sequence of float
        Increasing, at least 0, in 1/omega.
    ellipse : Ellipse
        A first guess; steps that it does not serve are repeated on a higher one, or shortened.
    tolerance : float
        Largest error of rho in the trace norm.
    keep_states : bool
        Also return the states at the output times (makes every output time the end of a step).
    keep_end : bool
        Also return the state at the last of them.
    """
    grid = np.asarray(times, dtype=float)
    end = float(grid[-1])
    vacuum = operator.reduced(start)
    reduced = np.full((len(grid), *vacuum.shape), np.nan, dtype=start.dtype)
    reduced[grid == 0] = vacuum
    states = [start.copy() for time in grid if time == 0] if keep_states else []
    now, error, applications, steps, failures = 0.0, 0.0, 0, 0, 0
    length = end
    if end > 0:  # a network without losses, or without anything, still needs an area
        ellipse = Ellipse(max(ellipse.half_width, 1e-3 / end), max(ellipse.half_height, 1e-3 / end))
    while now < end:
        goal = min(now + length, end)
        if end - goal < 1e-6 * length:
            goal = end
        if keep_states:
            goal = min(goal, float(grid[grid > now][0]))
        target = 0.8 * tolerance * (goal - now) / end
        more = keep_states or keep_end or goal < end
        inside = (grid > now) & (grid <= goal)
        run = _attempt(operator, start, ellipse, np.append(grid[inside], goal) - now, target, more)
        applications += run.applications
        if run.error > tolerance * (goal - now) / end:
            failures += 1
            if applications > MAX_STEPS or failures > 60 or goal - now < 1e-7 * end:
                reason = f"propagation error {error + run.error:.1e} above {tolerance:.0e} at time {now:.6g}"
                return Evolution(reduced, states, None, error + run.error, applications, steps, reason)
            if failures % 3:
                ellipse = run.larger
            else:
                length = (goal - now) / 2
            del run  # the next attempt needs its memory
            continue
        reduced[inside] = run.reduced[:-1]
        if more:
            start = run.total
            operator.complete(start)
            if keep_states and goal in grid:
                states.append(start.copy())
        now, error, steps = goal, error + run.error, steps + 1
    return Evolution(reduced, states, start if keep_end else None, error, applications, steps, "")
