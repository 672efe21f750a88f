"""The steady state of a model: where to look for it from, and how slowly the Liouvillian relaxes towards it."""

import math
from typing import NamedTuple

import numpy as np

from qbsweep.arrays import Array, ComplexArray
from qbsweep.physics.fock.branches import is_multistable
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.observables import Reduced
from qbsweep.physics.fock.operator import Operator
from qbsweep.physics.fock.steady import DIRECT, SLOW, slowest_rate, steady_state
from qbsweep.physics.fock.terms import Generator, ungauge
from qbsweep.physics.matrices import drift_matrix

WEAK = 1e-3  # own loss of a mode, over the slowest rate of the amplitudes, below which it only relaxes through others
GENERIC = 0.1  # share of the slowest mode in a direction that is not known to be it


class Start(NamedTuple):
    """What of a solution with other levels another one begins with.

    Attributes
    ----------
    levels : tuple of int
    state : ndarray, shape (D, D)
        Density matrix in the generator's gauge.
    gap : float
        The Liouvillian's, NaN if it was not measured.
    """

    levels: tuple[int, ...]
    state: Array
    gap: float


def relaxed(
    model: FockModel,
    operator: Operator,
    terms: Generator,
    branches: ComplexArray | None,
    start: Start | None,
    accuracy: float,
    *,
    keep_rho: bool,
) -> Reduced:
    """Return the steady state of a model by the fast engine; see `point.solve_model`."""
    slowest, several = _slowest(model), is_multistable(model, branches)
    weak = is_weakly_damped(model) and not model.conserves_number  # else the guess is the solution
    guess, direction = _guess(model, operator, terms, branches, start)
    gap, count = math.nan if start is None else start.gap, 0
    if several and math.isnan(gap):
        gap, count = slowest_rate(operator, direction, slowest)
    rate = relaxation_rate(model) if math.isnan(gap) else gap
    direct = 0 if model.conserves_number else SLOW if weak else DIRECT
    found = steady_state(operator, guess, slowest, gap=rate, tolerance=accuracy, direct=direct)
    if weak and math.isnan(gap) and not found.is_direct:
        mixed = operator.state(np.eye(operator.dimension) / operator.dimension)
        gap, more = slowest_rate(operator, mixed - found.state, slowest)
        gap, count = GENERIC * gap, count + found.applications + more
        found = steady_state(operator, found.state, slowest, gap=gap, tolerance=accuracy)
    matrix = operator.matrix(found.state)
    return Reduced(
        operator.reduced(found.state)[None],
        terms.phases,
        found.error,
        found.applications + count,
        found.reason,
        ungauge(matrix, terms)[None] if keep_rho else None,
        matrix,
        found.rate if several or weak else math.nan,
    )


def _guess(
    model: FockModel, operator: Operator, terms: Generator, branches: ComplexArray | None, start: Start | None
) -> tuple[Array, Array]:
    """Return a state to begin with, and the direction from the lowest branch to the highest."""
    # Without drive and squeezing the truncated thermal state is stationary, whatever the network:
    # detailed balance holds jump by jump, and the residual proves it. Elsewhere, start from vacuum.
    if model.conserves_number:
        return operator.thermal(model.occupation), operator.zeros()
    guess, direction = operator.thermal(0.0), operator.zeros()
    if branches is not None and len(branches):
        turned = branches * np.exp(-1j * terms.phases)
        high = _coherent(model, turned[-1])
        guess, direction = operator.state(high), operator.state(high - _coherent(model, turned[0]))
    if start is not None:
        guess = operator.state(resized(start.state, start.levels, model.levels))
    return guess, direction


def _slowest(model: FockModel) -> float:
    """Return the slowest relaxation rate of the network's amplitudes, in units of omega."""
    return -float(np.max(np.linalg.eigvals(drift_matrix(model.network)).real))


def is_weakly_damped(model: FockModel) -> bool:
    """Whether some mode of a nonlinear network relaxes through others only: how slowly, the amplitudes do not tell."""
    return not model.gaussian and min(model.network.kappa) / 2 < WEAK * _slowest(model)


def relaxation_rate(model: FockModel) -> float:
    """Return the rate at which errors of rho relax, in units of omega, where the Liouvillian's own is not measured.

    That of the slowest amplitude; where these do not obey linear equations, at most the least loss of a mode's own:
    a mode that is saturated, or detuned by its photons, may be slower than the amplitudes.
    """
    slowest, own = _slowest(model), min(model.network.kappa) / 2
    return slowest if model.gaussian or is_weakly_damped(model) else min(slowest, own)


def resized(rho: Array, levels: tuple[int, ...], others: tuple[int, ...]) -> Array:
    """Return a density matrix in a space of other levels: more of them are empty, of fewer the rest is cut off."""
    out = np.zeros(others + others, dtype=rho.dtype)
    common = tuple(slice(min(d, other)) for d, other in zip(levels, others, strict=True)) * 2
    out[common] = rho.reshape(levels + levels)[common]
    size = math.prod(others)
    out = out.reshape(size, size)
    return np.asarray(out / np.trace(out))


def _coherent(model: FockModel, amplitudes: ComplexArray) -> ComplexArray:
    """Return the density matrix (D, D) of a product of truncated coherent states, qubits in their lower level."""
    vector = np.ones(1, dtype=complex)
    for d, qubit, alpha in zip(model.levels, model.qubits, amplitudes, strict=True):
        mode = np.cumprod(np.append(1.0, (0.0 if qubit else alpha) / np.sqrt(np.arange(1, d))))
        vector = np.kron(vector, mode / np.linalg.norm(mode))
    return np.outer(vector, vector.conj())
