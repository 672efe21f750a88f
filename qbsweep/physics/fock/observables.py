"""What the modes' reduced states give: energies, ergotropies, and how much of them is near the cut."""

import math
from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.physics.fock.amplitudes import amplitudes
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.network import phase_factor


@dataclass(frozen=True, slots=True)
class Reduced:
    """Reduced states (times, modes, d, d), upper triangles, gauge of `phases`, and how good they are.

    `rho` is the whole state where it is asked for, `state` the steady one as computed, to begin another solution with.
    """

    states: Array
    phases: FloatArray
    error: float
    applications: int
    reason: str
    rho: ComplexArray | None
    state: Array | None = None
    gap: float = math.nan


def observables(model: FockModel, part: Reduced, times: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Return energy and ergotropy of every mode, in omega, shape (modes, times).

    Energy ``sum_k k rho_kk``, ergotropy its excess over ``sum_k k lambda_k`` with the eigenvalues
    lambda in descending order. A displacement changes neither the eigenvalues nor, therefore, the
    passive energy; it adds ``|alpha|^2 + 2 Re(conj(alpha) <d>)`` to the energy.
    """
    shape = (len(model.levels), len(part.states))
    energy, ergotropy = np.empty(shape), np.empty(shape)
    alpha = amplitudes(model, times) if model.frame == "displaced" else np.zeros(shape, dtype=complex)
    for m, d in enumerate(model.levels):
        state = part.states[:, m, :d, :d]
        populations = np.diagonal(state, axis1=1, axis2=2).real
        turn = phase_factor(float(part.phases[m]))
        mean = turn * (np.diagonal(state, 1, 1, 2).conj() @ np.sqrt(np.arange(1, d)))
        number = populations @ np.arange(d)
        energy[m] = number + np.abs(alpha[m]) ** 2 + 2 * (alpha[m].conj() * mean).real
        trusted = np.isfinite(number)
        passive = np.full(len(number), np.nan)
        passive[trusted] = np.linalg.eigvalsh(state[trusted], "U")[:, ::-1] @ np.arange(d)
        # The diagonal is majorised by the eigenvalues, so only rounding could make this negative.
        ergotropy[m] = np.maximum(energy[m] - passive, 0.0)
    return energy, ergotropy


def top_population(model: FockModel, states: Array) -> float:
    """Return the largest population of a truncated mode's highest level at any time; 0 without such modes."""
    tops = [float(np.max(states[:, m, d - 1, d - 1].real)) for m, d in enumerate(model.levels) if not model.qubits[m]]
    return max(tops, default=0.0)
