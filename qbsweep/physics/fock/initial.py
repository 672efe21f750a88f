"""What the density matrix begins with: products of displaced squeezed thermal states, cut to the levels."""

import math

import numpy as np

from qbsweep.arrays import ComplexArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.gaussian import bath_anomaly, bath_occupation
from qbsweep.physics.protocol import ModeState


def product_state(model: FockModel) -> ComplexArray:
    """Return the density matrix that a protocol begins with unless it is steady, in the frame of the model.

    Returns
    -------
    array
        Shape (D, D), in the network's own phases. What lies beyond the levels is cut off, and the rest has trace 1.

    Raises
    ------
    QbsweepError
        If next to nothing of a mode's state lies within its levels.
    """
    states = () if model.protocol is None else model.protocol.initial.modes
    rho = np.ones((1, 1), dtype=complex)
    for mode, (d, state) in enumerate(zip(model.levels, states or (ModeState(),) * len(model.levels), strict=True)):
        one = mode_state(state, d, displaced=model.frame == "lab")
        held = float(np.trace(one).real)
        if not held > np.finfo(float).tiny:
            raise QbsweepError(f"`initial` of mode {mode} lies beyond its {d} Fock levels; take more of them")
        rho = np.kron(rho, one / held)
    return rho


def mode_state(state: ModeState, levels: int, *, displaced: bool = True) -> ComplexArray:
    """Return the first entries of the density matrix of one mode, shape (levels, levels); none is approximate.

    With beta = <c>, C = <d^dag d>, S = <d d>, and D = (C + 1)^2 - |S|^2, the Husimi function is Gaussian, hence::

        sum_mn rho_mn x^m y^n / sqrt(m! n!) = exp(a x^2/2 + conj(a) y^2/2 + g x y + b x + conj(b) y) rho_00
        a = S/D,   g = 1 - (C + 1)/D,   b = ((C + 1) beta - S conj(beta)) / D
        rho_00 = exp((Re(conj(S) beta^2) - (C + 1) |beta|^2) / D) / sqrt D

    of which the derivative by x gives row m + 1 from the rows above.
    """
    beta = complex(state.amplitude) if displaced else 0j
    C = float(bath_occupation(np.asarray(state.occupation), np.asarray(state.squeezing)))
    S = float(bath_anomaly(np.asarray(state.occupation), np.asarray(state.squeezing))) * np.exp(1j * state.angle)
    D = (C + 1) ** 2 - abs(S) ** 2
    a, g = S / D, 1 - (C + 1) / D
    b = ((C + 1) * beta - S * beta.conjugate()) / D
    roots = np.sqrt(np.arange(levels))
    rho = np.zeros((levels, levels), dtype=complex)
    rho[0, 0] = math.exp(((np.conj(S) * beta**2).real - (C + 1) * abs(beta) ** 2) / D) / math.sqrt(D)
    for n in range(1, levels):
        rho[0, n] = (np.conj(b) * rho[0, n - 1] + np.conj(a) * roots[n - 1] * rho[0, max(n - 2, 0)]) / roots[n]
    for m in range(1, levels):
        rho[m] = b * rho[m - 1] + a * roots[m - 1] * rho[max(m - 2, 0)]
        rho[m, 1:] += g * roots[1:] * rho[m - 1, :-1]
        rho[m] /= roots[m]
    return np.asarray((rho + rho.conj().T) / 2)
