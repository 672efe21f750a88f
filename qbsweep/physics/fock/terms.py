"""The Liouvillian as shifted, scaled copies of rho, in the gauge that makes it real where one exists.

With G = -iH - {rates}/2 the master equation of `qbsweep.physics.fock.model` reads::

    A rho = G rho + rho G^dag + sum_j c_j rho Y_j + sum_j c_j^dag rho Z_j
    Y_j = sum_k (P + 1) conj(K_jk) c_k^dag - Q conj(S_jk) c_k
    Z_j = sum_k  P K_jk c_k             - conj(Q) S_jk c_k^dag

(K the damping, S the squeezing matrix). Every product of ladder operators is one diagonal of a matrix,
so operators are kept as `Diagonals`, and every term of A is ``left[I] right[J] rho[I + R, J + S]`` with
fixed offsets R and S.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.matrices import coherent_matrix, damping_matrix, squeezing_matrix
from qbsweep.physics.network import phase_factor

REAL_TOLERANCE = 1e-14  # imaginary part that is rounding, relative to the largest coefficient

# An operator by its diagonals: entries[I] = X[I, I + offset], 0 where I + offset is out of range.
Diagonals = dict[int, Array]


@dataclass(frozen=True, slots=True)
class Generator:
    """``G`` and the jump partners ``Y_j`` (of c_j) and ``Z_j`` (of c_j^dag).

    Attributes
    ----------
    levels : tuple of int
    lowering : list of Diagonals
        The c_j, one diagonal each.
    G, Y, Z : Diagonals, lists of Diagonals
        Real in a real gauge, else complex, in units of omega.
    phases : array
        phi_m of the gauge ``rho_IJ = e^{i phi . (n_I - n_J)} rho'_IJ``, rho' the one computed.
    """

    levels: tuple[int, ...]
    lowering: list[Diagonals]
    G: Diagonals
    Y: list[Diagonals]
    Z: list[Diagonals]
    phases: FloatArray

    @property
    def dimension(self) -> int:
        """Dimension D of the truncated Hilbert space."""
        return math.prod(self.levels)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Float in a real gauge, else complex."""
        operators = (self.G, *self.Y, *self.Z)
        return np.dtype(np.result_type(*(entries for X in operators for entries in X.values())))

    def jumps(self) -> list[tuple[Diagonals, Diagonals]]:
        """All pairs (left, right) of ``left rho right`` with a ladder operator on the left."""
        raising = map(dagger, self.lowering)
        pairs = [*zip(self.lowering, self.Y, strict=True), *zip(raising, self.Z, strict=True)]
        return [(left, right) for left, right in pairs if right]


def dagger(X: Diagonals) -> Diagonals:
    """Return the adjoint."""
    return {-offset: np.roll(entries.conj(), offset) for offset, entries in X.items()}


def by_column(X: Diagonals) -> Diagonals:
    """Return a right factor by shift: ``(rho X)[:, J] += entries[J] rho[:, J + shift]``."""
    return {-offset: np.roll(entries, offset) for offset, entries in X.items()}


def times(X: Diagonals, Y: Diagonals) -> Diagonals:
    """Return the product X Y. Entries that `np.roll` wraps around meet a zero of X."""
    out: Diagonals = {}
    for (a, x), (b, y) in product(X.items(), Y.items()):
        out[a + b] = out.get(a + b, 0.0) + x * np.roll(y, -a)
    return out


def combine(coefficients: Array, operators: list[Diagonals]) -> Diagonals:
    """Return the linear combination, complex, without the operators whose coefficient is 0."""
    out: Diagonals = {}
    for coefficient, X in zip(coefficients, operators, strict=True):
        if coefficient != 0:
            for offset, entries in X.items():
                out[offset] = out.get(offset, 0.0) + complex(coefficient) * entries
    return out


def lowering_operators(levels: tuple[int, ...]) -> list[Diagonals]:
    """Return the truncated annihilation operators of all modes: ``sqrt(n_m + 1)``, 0 in the top level."""
    numbers = occupations(levels)
    strides = [math.prod(levels[m + 1 :]) for m in range(len(levels))]
    return [
        {stride: np.where(n < d - 1, np.sqrt(n + 1.0), 0.0)}
        for n, d, stride in zip(numbers, levels, strides, strict=True)
    ]


def occupations(levels: tuple[int, ...]) -> Array:
    """Return the photon numbers n_m of every basis state, shape (modes, D), last mode fastest."""
    return np.indices(levels).reshape(len(levels), -1)


def gauge_phases(model: FockModel) -> FloatArray:
    """Return mode phases that make the generator real if any do, grown along a tree from the charger.

    ``c_m -> e^{i phi_m} c_m`` makes -iH real when ``theta_e + phi_v - phi_u = pi/2 (mod pi)`` on every
    edge and the driven charger has phi_0 = pi/2. Without a drive phi_0 is free and takes up theta_r.
    """
    if model.storage is not None:
        return np.array(model.storage.phases)
    phases = np.zeros(model.network.n_modes)
    phases[0] = math.pi / 2 if model.drive else -float(np.angle(model.anomaly)) / 2
    reached = {0}
    waiting = list(model.network.edges)
    while waiting:
        edge = next((e for e in waiting if e.u in reached or e.v in reached), None)
        if edge is None:
            break  # the rest hangs on no charger: the phases there stay zero
        waiting.remove(edge)
        turn = math.pi / 2 - edge.theta - edge.phase_error if edge.J else -float(np.angle(np.conj(edge.p_u) * edge.p_v))
        if edge.v not in reached:
            phases[edge.v] = phases[edge.u] + turn
            reached.add(edge.v)
        elif edge.u not in reached:
            phases[edge.u] = phases[edge.v] - turn
            reached.add(edge.u)
    return phases


def _generator(model: FockModel, phases: FloatArray) -> tuple[Diagonals, list[Diagonals], list[Diagonals]]:
    """G, Y and Z in the gauge of `phases`, complex."""
    P, Q = model.occupation, model.anomaly
    c = lowering_operators(model.levels)
    cdag = [dagger(operator) for operator in c]
    drive, h, K, S = _gauged(model, phases)
    terms = [combine(np.array([-1j * drive, -1j * drive.conjugate()]), [c[0], cdag[0]])]
    for j in range(len(c)):
        lowered = combine(np.append(-1j * h[j] - (P + 1) / 2 * K[j], np.conj(Q) / 2 * S[j]), c + cdag)
        raised = combine(np.append(-P / 2 * np.conj(K[j]), Q / 2 * np.conj(S[j])), cdag + c)
        terms += [times(cdag[j], lowered), times(c[j], raised)]
        if model.kerr[j]:
            pair = times(c[j], c[j])
            terms.append(combine(np.array([-0.5j * model.kerr[j]]), [times(dagger(pair), pair)]))
    G = combine(np.ones(len(terms) + 1), [{0: np.zeros(model.dimension)}, *terms])  # always with a diagonal
    Y = [combine(np.append((P + 1) * np.conj(K[j]), -Q * np.conj(S[j])), cdag + c) for j in range(len(c))]
    Z = [combine(np.append(P * K[j], -np.conj(Q) * S[j]), c + cdag) for j in range(len(c))]
    return G, Y, Z


def _gauged(model: FockModel, phases: FloatArray) -> tuple[complex, ComplexArray, ComplexArray, ComplexArray]:
    """Return the drive and the matrices h, K and S in the gauge of `phases`."""
    unit = np.array([phase_factor(float(phase)) for phase in phases])
    turn = np.conj(unit)[:, None] * unit[None, :]  # what c_j^dag c_k picks up
    h = coherent_matrix(model.network) * turn
    K = damping_matrix(model.network) * turn
    S = squeezing_matrix(model.network) * np.conj(unit)[:, None] * np.conj(unit)[None, :]
    return complex(model.drive * unit[0]), h, K, S


def is_real(model: FockModel, phases: Sequence[float] | FloatArray | None = None) -> bool:
    """Return whether `generator` is real with three levels a mode at most, from the coefficients of its terms alone.

    In the gauge of `phases`, if they are given.
    """
    if phases is None and model.storage is not None:
        return model.storage.real
    P, Q = model.occupation, model.anomaly
    drive, h, K, S = _gauged(model, gauge_phases(model) if phases is None else np.asarray(phases))
    top = np.array([min(d, 3) - 1 for d in model.levels])
    hops = -1j * h - (P + 0.5) * K
    own = np.diagonal(hops) * top - 0.5j * np.array(model.kerr) * top * (top - 1)
    apart = np.max(top) * np.append(hops[~np.eye(len(h), dtype=bool)], np.conj(Q) * S)
    # A diagonal entry is the sum over all modes; the others stand alone.
    parts = np.concatenate([apart, -1j * drive * np.sqrt(top[:1]), (P + 1) * K.ravel()])
    largest = max(float(np.max(np.abs(parts))), float(np.sum(np.abs(own))))
    imaginary = max(float(np.max(np.abs(parts.imag))), float(np.sum(np.abs(own.imag))))
    return imaginary <= REAL_TOLERANCE * largest


def generator(model: FockModel) -> Generator:
    """Return the generator of `model`, real where the phases of its modes can make it so, and its storage allows it."""
    phases = gauge_phases(model)
    G, Y, Z = _generator(model, phases)
    every = [entries for X in (G, *Y, *Z) for entries in X.values()]
    largest = max(float(np.max(np.abs(entries))) for entries in every)
    real = all(float(np.max(np.abs(entries.imag))) <= REAL_TOLERANCE * largest for entries in every)
    real = real if model.storage is None else model.storage.real

    def tidy(X: Diagonals) -> Diagonals:
        return {o: (e.real.copy() if real else e) for o, e in X.items() if o == 0 or np.any(e)}

    lowering = lowering_operators(model.levels)
    return Generator(model.levels, lowering, tidy(G), [tidy(y) for y in Y], [tidy(z) for z in Z], phases)


def drive_generator(model: FockModel) -> Generator:
    """Return the generator of a drive of strength 1 alone, ``-i [c_0 + c_0^dag, rho]``, stored as that of `model`."""
    phases, lowering = gauge_phases(model), lowering_operators(model.levels)
    unit = phase_factor(float(phases[0]))
    G = combine(np.array([-1j * unit, -1j * unit.conjugate()]), [lowering[0], dagger(lowering[0])])
    G[0] = np.zeros(model.dimension, dtype=complex)
    nothing: list[Diagonals] = [{} for _ in lowering]
    if is_real(model):
        G = {offset: entries.real.copy() for offset, entries in G.items()}
    return Generator(model.levels, lowering, G, nothing, nothing, phases)


def ungauge(rho: Array, generator: Generator) -> ComplexArray:
    """Return rho in the network's own phases, ``e^{i phi . (n_I - n_J)} rho'_IJ``, shape (D, D)."""
    turn = np.exp(1j * (generator.phases @ occupations(generator.levels)))
    return np.asarray(turn[:, None] * rho * np.conj(turn)[None, :])


def gauged(rho: Array, generator: Generator) -> Array:
    """Return what `ungauge` makes rho of: real where the generator is."""
    turn = np.exp(-1j * (generator.phases @ occupations(generator.levels)))
    out = turn[:, None] * rho * np.conj(turn)[None, :]
    return np.asarray(out if generator.dtype.kind == "c" else out.real)
