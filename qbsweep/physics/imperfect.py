"""Closed forms of imperfect networks in a vacuum bath: unequal losses, detuning, imperfect nonreciprocity, disorder.

All rates are in units of omega, energies too; functions broadcast.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from qbsweep.arrays import FloatArray


def _float(values: ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=float)


def pair_energy(
    J: ArrayLike,
    Gamma: ArrayLike,
    kappa: ArrayLike,
    epsilon: ArrayLike,
    kappa_charger: ArrayLike | None = None,
    detuning: ArrayLike = 0.0,
) -> FloatArray:
    """Steady energy of the battery of a pair, N = 1, with theta = pi/2, whatever its Gamma.

    ::

        E_B = eps^2 (J + Gamma/2)^2 / |(Lambda_0/2 + i Delta) (Lambda_1/2 + i Delta) + J^2 - Gamma^2/4|^2

    with Lambda = Gamma + kappa of either mode. At J = kappa/2 and equal losses it is ``eps^2 / kappa^2`` on resonance,
    whatever Gamma.

    Parameters
    ----------
    J, Gamma : array_like
        Coherent coupling and rate of the cooperative jump: Gamma = 2 J `gamma_ratio`.
    kappa, kappa_charger : array_like
        Losses of battery and charger, equal by default.
    epsilon, detuning : array_like
        Drive, and detuning of both modes from it.
    """
    J, Gamma, kappa = _float(J), _float(Gamma), _float(kappa)
    charger = kappa if kappa_charger is None else _float(kappa_charger)
    a, b = (Gamma + charger) / 2 + 1j * _float(detuning), (Gamma + kappa) / 2 + 1j * _float(detuning)
    return np.asarray((_float(epsilon) * (J + Gamma / 2) / np.abs(a * b + (J - Gamma / 2) * (J + Gamma / 2))) ** 2)


def directed_pair_maximum(kappa_charger: ArrayLike, kappa: ArrayLike, epsilon: ArrayLike) -> FloatArray:
    """Largest steady energy of a directed pair, ``16 eps^2 / (sqrt kappa_0 + sqrt kappa_1)^4``.

    At Gamma = 2 J = sqrt(kappa_0 kappa_1). A reciprocal pair reaches the bound of `passive_bound`, which is larger
    unless the losses are equal.
    """
    roots = np.sqrt(_float(kappa_charger)) + np.sqrt(_float(kappa))
    return np.asarray(16 * _float(epsilon) ** 2 / roots**4)


def passive_bound(kappa_charger: ArrayLike, kappa: ArrayLike, epsilon: ArrayLike) -> FloatArray:
    """Bound of the steady energy of a mode of any network without gain, ``eps^2 / (kappa_0 kappa_m)``.

    The drive gives ``2 eps |alpha_0|`` at most, of which ``kappa_0 |alpha_0|^2`` is lost at the charger: what is left
    for ``kappa_m |alpha_m|^2`` is largest at ``|alpha_0| = eps / kappa_0``.
    """
    return np.asarray(_float(epsilon) ** 2 / (_float(kappa_charger) * _float(kappa)))


def mean_log_detuned(Lambda: Sequence[float], spread: float) -> float:
    """Mean of ``ln(E / E_clean)`` of the last mode of a directed path with uniformly disordered detunings.

    Nothing comes back, so ``E ~ prod_m 1 / (Lambda_m^2/4 + Delta_m^2)``, and with ``Delta = spread x``, x uniform on
    [-1, 1] and a = 2 spread / Lambda::

        <ln(1 + a^2 x^2)> = ln(1 + a^2) - 2 + 2 arctan(a) / a        summed over the modes, with a minus

    Parameters
    ----------
    Lambda : sequence of float
        Damping rates of the modes on the path: the local loss, and Gamma of every edge.
    spread : float
        Largest detuning.
    """
    a = 2 * spread / np.asarray(Lambda)
    return -float(np.sum(np.log1p(a**2) - 2 + 2 * np.arctan(a) / a)) if spread else 0.0
