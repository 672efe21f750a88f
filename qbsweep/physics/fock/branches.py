"""The classical fixed points of a network with Kerr terms or qubits, and the Fock levels that hold them.

A truncated solution cannot know of a state that lies above its levels: two truncations that both miss it agree. What
can be there is told by the amplitude equations::

    0 = sum_k M_mk alpha_k - i K_m (|alpha_m|^2 + 2 C) alpha_m + f_m,      f = -i epsilon e_0

C is the fluctuations' share of the effective detuning: 0 and the bath's P are both looked at, since a branch may hold
fewer fluctuations than the bath. A qubit answers the field F that its neighbours and the drive make as a saturable
absorber (optical bistability)::

    alpha_m = w beta / (1 + 2 |beta|^2),      beta = F / (i Delta_m + K_mm / (2 w)),      w = 1/(2 P + 1)

Linear modes are eliminated exactly. With one nonlinear mode the rest is a cubic in its number, and all branches are
found; with several, Newton's method runs from many starts, and finding all is likely, not proven. A network of one
branch has one classical state; with more, the master equation mixes them by rare jumps, at a rate that is exponentially
small in their distance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.stages import before, last, stages, standing
from qbsweep.physics.matrices import drift_matrix

MARGIN = 3.0  # standard deviations of the photon number by which a branch must lie below the cut
RANDOM_STARTS = 12  # where one Kerr mode is among qubits at most
MORE_STARTS = 16  # times as many for every Kerr mode beyond the first: they have the branches
NEWTON_STEPS = 30
MOST = 0.9  # of the starts: the last ones may never arrive
SAME = 1e-6  # relative distance below which two solutions are one
REGULAR = 1e-9  # relative loss given to all modes, so that a lossless one can be eliminated and has a response


@dataclass(frozen=True, slots=True)
class _Reduced:
    """Amplitude equations of the nonlinear modes: ``(decay + i K (|b|^2 + 2 C)) b = force + coupling @ a(b)``."""

    decay: ComplexArray
    kerr: FloatArray
    coupling: ComplexArray
    force: ComplexArray
    qubit: Array
    shift: float
    w: float

    def amplitudes(self, b: Array) -> ComplexArray:
        """Return a(b): b itself, or what a qubit makes of it."""
        return np.asarray(np.where(self.qubit, self.w * b / (1 + 2 * np.abs(b) ** 2), b))


@lru_cache(maxsize=16)  # the levels that are needed and the errors that are expected both follow from them
def classical_branches(model: FockModel) -> ComplexArray:
    """Return all classical fixed points, those of the least total number first.

    Parameters
    ----------
    model : FockModel
        Its levels do not matter; in the lab frame.

    Returns
    -------
    array
        Amplitudes ``<c_m>``, stable and unstable, shape (branches, modes). None may be found, as between a Kerr mode
        and a qubit without a loss.
    """
    shifts = {0.0, model.occupation} if any(model.kerr) else {0.0}
    try:
        found = np.concatenate([_fixed_points(model, shift) for shift in sorted(shifts)])
    except np.linalg.LinAlgError:
        found = np.zeros((0, model.network.n_modes), dtype=complex)
    found = found[np.argsort(np.sum(np.abs(found) ** 2, axis=1))]
    found.flags.writeable = False
    return found


def reachable_branches(
    model: FockModel, times: Sequence[float] | FloatArray | None, *, steady: bool
) -> ComplexArray | None:
    """Return the classical fixed points that the states asked for may be near, shape (branches, modes).

    None for an evolution that ends before the fastest loss has acted once: what it reaches is its own trajectory. Later
    there is time for the rare jumps between branches. Of a protocol, the same holds for every stage.
    """
    if model.protocol is None:
        held = [] if not steady and times is not None and _is_short(model, float(times[-1])) else [model]
    else:
        held = [last(model)] if steady else []
        if model.protocol.initial.kind == "steady":
            held.append(before(model))
        for stage in [] if times is None else stages(model, float(times[-1])):
            held += [] if _is_short(stage.model, stage.length) else stage.models()
    if not held:
        return None
    every = [classical_branches(one) for one in dict.fromkeys(held)]
    # Where nothing is found for one of them, nothing is known of the whole.
    return min(every, key=len) if len(every) == 1 or not all(map(len, every)) else np.concatenate(every)


def _is_short(model: FockModel, length: float) -> bool:
    fastest = 2 * float(np.max(-np.diagonal(drift_matrix(model.network)).real))
    return fastest * length < 1


def is_multistable(model: FockModel, branches: ComplexArray | None) -> bool:
    """Whether one fluctuation shift gives more than one branch; of a protocol, in any of its stages."""
    if model.protocol is not None and branches is not None:
        return any(is_multistable(one, classical_branches(one)) for one in standing(model))
    return branches is not None and len(branches) > (2 if model.occupation and any(model.kerr) else 1)


def levels_for(model: FockModel, branches: ComplexArray | None) -> tuple[int, ...]:
    """Return the least Fock levels of every mode that hold every branch with its margin; a qubit's stay.

    ``n + MARGIN sqrt(n (1 + 2 P + 2 |Q|)) + 1``: the bath's noise widens the number's distribution.
    """
    noise = 1 + 2 * model.occupation + 2 * abs(model.anomaly)
    numbers = np.zeros(len(model.levels)) if branches is None else np.max(np.abs(branches) ** 2, axis=0, initial=0.0)
    needed = np.ceil(numbers + MARGIN * np.sqrt(numbers * noise) + 1).astype(int)
    return tuple(d if q else max(int(n), 2) for d, q, n in zip(model.levels, model.qubits, needed, strict=True))


def outside(model: FockModel, branches: ComplexArray | None) -> str:
    """Return which branch does not lie inside the levels with its margin, or that none is known; empty if all do."""
    if branches is None:
        return ""
    if not len(branches):
        return "no classical state was found, so nothing says which levels are enough"
    for m, (d, needed) in enumerate(zip(model.levels, levels_for(model, branches), strict=True)):
        if d < needed:
            highest = float(np.max(np.abs(branches[:, m]) ** 2))
            return f"a classical branch with {highest:.3g} quanta in mode {m} needs {needed} levels, but has {d}"
    return ""


def _fixed_points(model: FockModel, shift: float) -> ComplexArray:
    M = drift_matrix(model.network)
    M = M - REGULAR * float(np.max(np.abs(M))) * np.eye(len(M))
    force = np.zeros(len(M), dtype=complex)
    force[0] = -1j * model.epsilon
    chosen = np.array(model.qubits) | (np.array(model.kerr) != 0)
    n, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    answer = -np.linalg.solve(
        M[np.ix_(rest, rest)], np.column_stack([M[np.ix_(rest, n)], force[rest]])
    )  # of the linear modes
    through = M[np.ix_(n, rest)]
    w = 1 / (2 * model.occupation + 1)
    qubit = np.array(model.qubits)[n]
    own = -np.diagonal(M)[n]
    coupling = M[np.ix_(n, n)] + through @ answer[:, :-1]
    coupling[np.diag_indices(len(n))] += own
    reduced = _Reduced(
        decay=np.where(qubit, own.real / w + 1j * own.imag, own),
        kerr=np.where(qubit, 0.0, np.array(model.kerr)[n]),
        coupling=coupling,
        force=force[n] + through @ answer[:, -1],
        qubit=qubit,
        shift=shift,
        w=w,
    )
    b = _single(reduced, 0)[:, None] if len(n) == 1 else _several(reduced)
    found = np.zeros((len(b), len(M)), dtype=complex)
    found[:, n] = reduced.amplitudes(b)
    found[:, rest] = found[:, n] @ answer[:, :-1].T + answer[:, -1]
    return found


def _single(reduced: _Reduced, m: int) -> ComplexArray:
    """Return all solutions b of one nonlinear mode, the other ones at rest: the roots of a cubic in ``|b|^2``."""
    force, coupling = reduced.force[m], reduced.coupling[m, m]
    if force == 0:
        return np.zeros(1, dtype=complex)
    # |numerator(x)|^2 x = |force|^2 denominator(x)^2 with linear polynomials, lowest order first
    if reduced.qubit[m]:
        numerator = np.array([reduced.decay[m] - reduced.w * coupling, 2 * reduced.decay[m]])
        denominator = np.array([1.0, 2.0])
    else:
        turn = 1j * reduced.kerr[m]
        numerator = np.array([reduced.decay[m] - coupling + 2 * turn * reduced.shift, turn])
        denominator = np.array([1.0, 0.0])
    scale = abs(force / numerator[0]) ** 2  # keeps the coefficients near each other
    numerator, denominator = numerator * [1, scale], denominator * [1, scale]
    left = np.convolve(numerator, numerator.conj()).real * scale
    right = abs(force) ** 2 * np.convolve(denominator, denominator)
    roots = np.roots((np.append(0.0, left) - np.append(right, 0.0))[::-1])
    x = roots[np.abs(roots.imag) <= 1e-6 * np.abs(roots)].real
    x = x[x >= 0]
    return np.asarray(force * (denominator[0] + denominator[1] * x) / (numerator[0] + numerator[1] * x))


def _several(reduced: _Reduced) -> ComplexArray:
    """Return the distinct limits of Newton's method from many starts, shape (branches, modes)."""
    b = _starts(reduced)
    for _ in range(NEWTON_STEPS):
        residual, slope = _residual(reduced, b)
        step = np.linalg.solve(slope, np.concatenate([residual.real, residual.imag], axis=1)[..., None])[..., 0]
        half = b.shape[1]
        step = step[:, :half] + 1j * step[:, half:]
        # No step longer than the amplitudes themselves: far from a solution the slope means little.
        longest = np.linalg.norm(step, axis=1, keepdims=True) / (0.1 + np.linalg.norm(b, axis=1, keepdims=True))
        b = b - step / np.maximum(longest, 1.0)
        if np.mean(longest < 1e-12) >= MOST:
            break
    residual, _ = _residual(reduced, b)
    size = np.linalg.norm(reduced.force) + np.linalg.norm(reduced.decay * b, axis=1)
    b = b[np.linalg.norm(residual, axis=1) <= 1e-9 * size]
    distinct: list[Array] = []
    for one in b:
        if all(np.linalg.norm(one - other) > SAME * (1e-3 + np.linalg.norm(other)) for other in distinct):
            distinct.append(one)
    return np.array(distinct, dtype=complex).reshape(len(distinct), len(reduced.decay))


def _starts(reduced: _Reduced) -> ComplexArray:
    """Return combinations of the modes' own branches, and random amplitudes up to their resonances."""
    own = [_single(reduced, m) for m in range(len(reduced.decay))]
    grid = np.stack(np.meshgrid(*own, indexing="ij"), axis=-1).reshape(-1, len(own))
    rng = np.random.default_rng(0)
    loss = np.maximum(reduced.decay.real, REGULAR)
    resonant = np.linalg.norm(reduced.force) / np.min(loss)
    size = (RANDOM_STARTS * MORE_STARTS ** max(0, int(np.sum(~reduced.qubit)) - 1), len(own))
    random = resonant * 10 ** rng.uniform(-2, 0, size) * np.exp(2j * math.pi * rng.uniform(size=size))
    return np.concatenate([grid, random])


def _residual(reduced: _Reduced, b: Array) -> tuple[ComplexArray, FloatArray]:
    """Return the residual of the amplitude equations, shape (starts, k), and its real Jacobian (starts, 2k, 2k)."""
    x = np.abs(b) ** 2
    own = reduced.decay + 1j * reduced.kerr * (x + 2 * reduced.shift)
    residual = own * b - reduced.force - reduced.amplitudes(b) @ reduced.coupling.T
    saturated = 1 / (1 + 2 * x)
    along = np.where(reduced.qubit, reduced.w * saturated**2, 1.0)  # d a / d b
    across = np.where(reduced.qubit, -2 * reduced.w * saturated**2 * b**2, 0.0)  # d a / d conj(b)
    unit = np.eye(b.shape[1])
    A = unit * (own + 1j * reduced.kerr * x)[:, None, :] - reduced.coupling * along[:, None, :]
    B = unit * (1j * reduced.kerr * b**2)[:, None, :] - reduced.coupling * across[:, None, :]
    upper = np.concatenate([(A + B).real, -(A - B).imag], axis=2)
    lower = np.concatenate([(A + B).imag, (A - B).real], axis=2)
    return residual, np.concatenate([upper, lower], axis=1)
