"""Energies and ergotropies of the modes of a Gaussian state.

The reduced state of a mode with amplitude alpha, fluctuation number C = <d^dag d> and
anomalous moment s = <d d> (d = c - alpha) is a displaced squeezed thermal state::

    energy         = |alpha|^2 + C
    passive energy = nu - 1/2,      nu = sqrt((C + 1/2)^2 - |s|^2) >= 1/2
    ergotropy      = energy - passive energy

times omega. The ergotropy is that of Allahverdyan et al. for the local Hamiltonian b^dag b.
"""

import numpy as np

from qbsweep.arrays import Array, FloatArray


def bath_occupation(n_th: Array, r: Array) -> FloatArray:
    """Return ``P = n_th cosh 2r + sinh^2 r``, the photon number of a squeezed thermal bath (16)."""
    return np.asarray(n_th * np.cosh(2 * r) + np.sinh(r) ** 2)


def bath_anomaly(n_th: Array, r: Array) -> FloatArray:
    """Return ``|Q| = (2 n_th + 1) sinh r cosh r``, the pair moment of a squeezed thermal bath (16)."""
    return np.asarray((2 * n_th + 1) * np.sinh(r) * np.cosh(r))


def energy(coherent: Array, occupation: Array) -> FloatArray:
    """Return ``|alpha|^2 + C`` in units of omega, from ``coherent = |alpha|^2`` and ``occupation = C``."""
    return np.asarray(coherent + occupation, dtype=float)


def passive_energy(occupation: Array, anomaly: Array) -> FloatArray:
    """Return ``nu - 1/2`` in units of omega, from C and |s|; see the module's equations."""
    a = np.asarray(occupation) + 0.5
    b = np.abs(anomaly)
    return np.asarray(np.sqrt(np.maximum((a - b) * (a + b), 0.25)) - 0.5, dtype=float)


def ergotropy(coherent: Array, occupation: Array, anomaly: Array) -> FloatArray:
    """Return ``|alpha|^2 + C + 1/2 - nu`` in units of omega, without cancellation.

    ``C + 1/2 - nu = |s|^2 / (C + 1/2 + nu)``, so a bath without squeezing (s = 0) gives exactly
    ``|alpha|^2``, whatever its temperature.
    """
    a = np.asarray(occupation) + 0.5
    b = np.abs(anomaly)
    nu = np.sqrt(np.maximum((a - b) * (a + b), 0.25))
    return np.asarray(coherent + b**2 / (a + nu), dtype=float)


def bath_ergotropy(n_th: Array, r: Array, filling: Array | float, deficit: Array | float) -> FloatArray:
    """Fluctuations' share of the ergotropy, ``C + 1/2 - nu``, in a uniform squeezed thermal bath.

    Parameters
    ----------
    n_th, r : array_like
        Thermal photon number and squeezing of the bath.
    filling : array_like
        c in ``C = P c``: 1 in the steady state, ``1 - sum_k |U_mk|^2`` at a time t.
    deficit : array_like
        ``c - |y|`` with ``|s| = |Q| |y|``: how much of the bath's squeezing the mode has lost, relative.

    Notes
    -----
    With a = C + 1/2 and b = |s|, nu^2 = (a - b)(a + b), and a - b is a difference of two numbers of
    size e^{2r} that may leave something of size 1. It is summed here from its small parts:
    ``a - b = c (P - |Q|) + 1/2 + |Q| (c - |y|)`` with ``P - |Q| + 1/2 = (n_th + 1/2) e^{-2r}``,
    exact at any r for a mode that keeps all the squeezing. Everything is scaled by e^{-2r} / (n_th + 1/2), so that
    no square overflows where the result does not.
    """
    quanta, scale = np.asarray(n_th) + 0.5, np.exp(-2 * np.asarray(r))
    pair = -np.expm1(-4 * np.asarray(r)) / 2  # of |Q|
    b = pair * (filling - deficit)
    half_gap = filling * scale + 0.5 / quanta * (1 - filling)  # of c (P - |Q|) + 1/2, by 1 / (n_th + 1/2) only
    gap = half_gap * scale + pair * deficit  # of a - b
    nu = np.sqrt(np.maximum(gap * (gap + 2 * b), 0.25 * (scale / quanta) ** 2))
    return np.asarray(b * (quanta * np.exp(2 * r)) * (b / (gap + b + nu)), dtype=float)
