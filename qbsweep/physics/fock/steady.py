"""The steady state by a Krylov method: BiCGStab(2), preconditioned by the Liouvillian's diagonal.

``A x = 0`` with trace 1 is solved as ``(A - mu |0><0| tr) x = -mu |0><0|``: A conserves the trace, so the
trace of both sides gives tr x = 1, and then A x = 0. Vectors are real (Hermitian matrices form a real
space); two minimal-residual steps at a time follow the complex eigenvalues that BiCGStab itself cannot,
and a shadow residual with a random part keeps sublattice symmetries from breaking it down.

**From the residual to the error.** rho is off by ``A^{-1} r``: by at most the residual's trace norm over the slowest
relaxation rate, the Liouvillian's gap. That is the network's own slowest rate where it is linear, and where it has one
classical branch. Between two branches the gap is exponentially small (1e-8 kappa is easily met); `slowest_rate` then
measures it by one step of inverse iteration, and `steady_state` iterates until the residual meets it. It does so too
where a mode hardly loses anything itself and relaxes through the others: what saturates or detunes it slows it further.

In a small space, and in a larger one where the iteration stalls, the equations are solved directly; the norm of the
inverse then says how an error of the residual grows.
"""

import math
from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.compiled import njit
from qbsweep.physics.fock.operator import Operator

TOLERANCE = 1e-9  # of the trace norm
MAX_APPLICATIONS = 30_000
PATIENCE = 4000  # applications without a new best residual after which the method has stalled
RESTARTS = 4
ROUNDING = 2 * np.finfo(float).eps  # of a residual, relative to what the diagonal makes of the state
INVERSE = 0.3  # relative residual of the step of inverse iteration
DIRECT = 150  # real unknowns that are solved directly at once, which is as fast
SLOW = 700  # where the gap may be small: 50 ms
STALLED = 2000  # where the iteration has failed: two seconds, 0.1 GB


@dataclass(frozen=True, slots=True)
class SteadyState:
    """What `steady_state` found.

    Attributes
    ----------
    state : array
        In the operator's layout.
    residual : float
        ``||A rho||`` in the Frobenius norm, in units of omega, computed from the state itself.
    error : float
        Estimate of the error of rho in the trace norm: ``sqrt(D) residual`` over the slowest rate.
    rate : float
        By which the error follows from the residual, in units of omega; 0 if nothing is known of it.
    applications : int
    reason : str
        Why the state cannot be trusted; empty if it can.
    is_direct : bool
        Whether the rate is that of the whole Liouvillian, from its inverse.
    """

    state: Array
    residual: float
    error: float
    rate: float
    applications: int
    reason: str
    is_direct: bool = False


class _System:
    """``z -> (A - mu |0><0| tr) M z`` on packed vectors, M the inverse of the shifted diagonal."""

    def __init__(self, operator: Operator, rate: float) -> None:
        self.operator, self.rate = operator, rate
        self.x, self.image = operator.zeros(), operator.zeros()
        self.inverse = 1 / (operator.packed_diagonal() - rate)
        self.scaled = np.empty_like(self.inverse)
        self.applications = 0

    def residual(self, packed: Array) -> Array:
        """``-mu |0><0| - (A - mu |0><0| tr) x``."""
        self.operator.unpack(packed, self.x)
        out = np.empty_like(packed)
        self._apply(out)
        out *= -1
        out[0] -= self.rate
        return out

    def preconditioned(self, z: FloatArray, out: FloatArray) -> None:
        """``out = (A - mu |0><0| tr) M z`` on the real views of packed vectors."""
        np.multiply(self.inverse, z.view(self.inverse.dtype), out=self.scaled)
        self.operator.unpack(self.scaled, self.x)
        self._apply(out.view(self.inverse.dtype))

    @property
    def unknowns(self) -> int:
        """How many real numbers a packed vector has."""
        return int(self.inverse.view(np.float64).size)

    def rounding(self, packed: Array) -> float:
        """Return the norm of a residual that is rounding."""
        return float(ROUNDING * np.linalg.norm(packed / self.inverse))

    def is_solved(self, packed: Array) -> bool:
        """Whether a vector is the solution to rounding."""
        return float(np.linalg.norm(self.residual(packed))) <= self.rounding(packed)

    def matrix(self) -> FloatArray:
        """Return ``A - mu |0><0| tr`` on the real views of packed vectors; numbers that it leaves out become 0."""
        columns = np.empty((self.unknowns, self.unknowns))
        for column, unit in zip(columns, np.eye(self.unknowns), strict=True):
            self.operator.unpack(unit.view(self.inverse.dtype), self.x)
            self._apply(column.view(self.inverse.dtype))
        is_left_out = np.flatnonzero(~columns.any(axis=0))
        columns[is_left_out, is_left_out] = -self.rate
        return columns.T

    def _apply(self, out: Array) -> None:
        """``out = (A - mu |0><0| tr) x`` of the state in `self.x`."""
        self.operator.step(self.x, self.image, self.x, 1.0, 0.0, 0.0, 0.0)
        self.operator.pack(self.image, out)
        out[0] -= self.rate * self.operator.trace(self.x)
        self.applications += 1


def _shadow(residual: FloatArray) -> FloatArray:
    """Return the residual's direction and a random one, half and half."""
    random = np.random.default_rng(1).normal(size=len(residual))
    return np.asarray(residual / np.linalg.norm(residual) + random / np.linalg.norm(random))


@njit(fastmath={"reassoc", "contract", "nsz"})
def _turn(u, r, beta, count):  # type: ignore[no-untyped-def]
    """``u[:count] = r[:count] - beta u[:count]``."""
    for i in range(count):
        for k in range(u.shape[1]):
            u[i, k] = r[i, k] - beta * u[i, k]


@njit(fastmath={"reassoc", "contract", "nsz"})
def _advance(r, u, y, alpha, count):  # type: ignore[no-untyped-def]
    """``r[:count] -= alpha u[1:count + 1]``, ``y += alpha u[0]``."""
    for k in range(len(y)):
        y[k] += alpha * u[0, k]
    for i in range(count):
        for k in range(len(y)):
            r[i, k] -= alpha * u[i + 1, k]


@njit(fastmath={"reassoc", "contract", "nsz"})
def _minimise(r, u, y, first, second):  # type: ignore[no-untyped-def]
    """Take the two minimal-residual steps in y, u[0] and r[0]; return ``r[0] . r[0]``."""
    norm = 0.0
    for k in range(len(y)):
        y[k] += first * r[0, k] + second * r[1, k]
        u[0, k] -= first * u[1, k] + second * u[2, k]
        r[0, k] -= first * r[1, k] + second * r[2, k]
        norm += r[0, k] * r[0, k]
    return norm


def _bicgstab2(system: _System, residual: FloatArray, target: float) -> FloatArray:
    """BiCGStab(2) of Sleijpen and Fokkema (1993) from 0 until the residual's norm meets the target.

    Stops early, with the best it has, on a breakdown or a stall; the caller measures what it got.
    """
    y = np.zeros_like(residual)
    r, u = np.zeros((3, len(residual))), np.zeros((3, len(residual)))
    r[0] = residual
    shadow = _shadow(residual)
    rho, alpha, omega = 1.0, 0.0, 1.0
    best, best_at, best_y = math.inf, system.applications, y
    while system.applications < MAX_APPLICATIONS and system.applications - best_at < PATIENCE:
        rho *= -omega
        for j in range(2):
            product = float(r[j] @ shadow)
            _turn(u, r, alpha * product / rho, j + 1)
            rho = product
            system.preconditioned(u[j], u[j + 1])
            along = float(u[j + 1] @ shadow)
            if rho == 0 or along == 0 or not math.isfinite(along):
                return best_y
            alpha = rho / along
            _advance(r, u, y, alpha, j + 1)
            system.preconditioned(r[j], r[j + 1])
        gamma = np.linalg.lstsq(r[1:] @ r[1:].T, r[1:] @ r[0], rcond=None)[0]
        omega = float(gamma[1])
        norm = math.sqrt(_minimise(r, u, y, float(gamma[0]), omega))
        if norm < target or omega == 0 or not math.isfinite(norm):
            return y if norm < target else best_y
        if norm < best / 10:
            best, best_at, best_y = norm, system.applications, y.copy()
    return best_y


def steady_state(
    operator: Operator,
    guess: Array,
    slowest: float,
    *,
    gap: float | None = None,
    tolerance: float = TOLERANCE,
    direct: int = DIRECT,
) -> SteadyState:
    """Return the steady state, with a residual computed from it.

    Parameters
    ----------
    operator : Operator
    guess : array
        Any state of trace 1, in the operator's layout: the nearer, the faster.
    slowest : float
        Slowest relaxation rate of the network's amplitudes, in units of omega.
    gap : float, optional
        The Liouvillian's own, from `slowest_rate`, where it may be smaller; 0 if nothing is known of it.
    tolerance : float
        Largest estimated error of rho in the trace norm. Where the gap is small, rounding may not let it be met: that
        is for the caller to judge.
    direct : int
        Most real unknowns that are solved directly; 0 where packed vectors hold more than Hermitian matrices do.
    """
    system = _System(operator, slowest)
    x = np.empty_like(system.inverse)
    operator.pack(guess, x)
    if system.unknowns <= direct and not system.is_solved(x):
        return _solved_directly(system)
    found = _iterated(system, x, slowest if gap is None else gap, tolerance)
    return _solved_directly(system) if found.reason and direct and system.unknowns <= STALLED else found


def _iterated(system: _System, x: Array, gap: float, tolerance: float) -> SteadyState:
    """Iterate from a packed state until the residual meets the tolerance at a rate of relaxation."""
    rank = math.sqrt(system.operator.dimension)  # trace norm <= sqrt(D) Frobenius norm
    wanted = tolerance * (gap or system.rate) / rank
    best, norm = x, math.inf
    for _ in range(RESTARTS + 1):  # a restart refreshes the residual and the shadow after a breakdown
        residual = system.residual(x)
        here = float(np.linalg.norm(residual))
        if not here < norm:
            break
        best, norm = x, here
        attainable = max(wanted, system.rounding(x))
        if norm <= attainable or system.applications >= MAX_APPLICATIONS:
            break
        x = x + _correction(system, residual, 0.5 * attainable)
    relaxed = norm * rank / system.rate
    error = norm * rank / gap if gap else math.inf
    needed = max(tolerance, TOLERANCE)  # more is a wish, which rounding may not grant
    reason = "" if relaxed <= needed else f"steady state: estimated error {relaxed:.1e} above {needed:.0e}"
    return SteadyState(_normalised(system.operator, best), norm, error, gap, system.applications, reason)


def _solved_directly(system: _System) -> SteadyState:
    """Solve the equations by the inverse of their matrix, and correct twice what rounding has left."""
    try:
        inverse = np.linalg.inv(system.matrix())
    except np.linalg.LinAlgError:
        inverse = np.full((system.unknowns, system.unknowns), math.nan)
    rate = 1 / float(np.linalg.norm(inverse))  # the Frobenius norm: no eigenvalue is nearer to 0
    x = np.zeros_like(system.inverse)
    for _ in range(3):
        residual = system.residual(x)
        x = x + (inverse @ residual.view(np.float64)).view(x.dtype)
    norm = float(np.linalg.norm(system.residual(x)))
    error = norm * math.sqrt(system.operator.dimension) / rate
    reason = "" if math.isfinite(error) else "steady state: the equations have more than one solution"
    return SteadyState(_normalised(system.operator, x), norm, error, rate, system.applications, reason, is_direct=True)


def slowest_rate(operator: Operator, direction: Array, slowest: float) -> tuple[float, int]:
    """Return an estimate of the Liouvillian's gap, in units of omega, and the applications it took.

    One step of inverse iteration, ``||v|| / ||A^{-1} v||``: above the gap by the share of v outside the slowest mode. 0
    where the iteration does not converge.

    Parameters
    ----------
    operator : Operator
    direction : array
        v, without trace: the difference of two states that relax into each other by the slowest mode alone.
    slowest : float
        Slowest rate of the network's amplitudes: it shifts the zero eigenvalue out of the way.
    """
    system = _System(operator, slowest)
    v = np.empty_like(system.inverse)
    operator.pack(direction, v)
    length = float(np.linalg.norm(v))
    relaxed = _correction(system, v, INVERSE * length)
    left = system.residual(relaxed) + v  # of A' relaxed = v, and of the right side -mu |0><0| that is in both
    left[0] += slowest
    if not float(np.linalg.norm(left)) < length / 2:
        return 0.0, system.applications  # not solved: nothing is known
    return min(length / float(np.linalg.norm(relaxed)), slowest), system.applications


def _correction(system: _System, residual: Array, target: float) -> Array:
    """Return ``(A - mu |0><0| tr)^{-1} residual`` as far as the target asks."""
    y = _bicgstab2(system, residual.view(np.float64), target)
    return np.asarray(system.inverse * y.view(system.inverse.dtype))


def _normalised(operator: Operator, packed: Array) -> Array:
    """Return the state of trace 1 whose independent entries are `packed`."""
    state = operator.zeros()
    operator.unpack(packed, state)
    state /= operator.trace(state)
    return state
