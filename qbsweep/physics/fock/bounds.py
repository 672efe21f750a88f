"""Where the spectrum of a Liouvillian lies: an ellipse computed from the bath and the Hamiltonian.

Nothing rests on it but speed: `propagator` bounds its error from measured residuals.
"""

import math

import numpy as np

from qbsweep.arrays import Array
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.propagator import Ellipse
from qbsweep.physics.fock.terms import Generator, combine, dagger
from qbsweep.physics.matrices import coherent_matrix, damping_matrix, drift_matrix, jump_operators

LANCZOS_STEPS = 16
WIDTH, HEIGHT = 1.2, 1.05  # margins
SQUEEZED = 1.2
IRREVERSIBLE = 0.7  # share of the nonreciprocal hops that the ellipse need not hold


def _largest_quadrature(levels: int) -> float:
    """Return the largest eigenvalue of the truncated ``(c + c^dag)/sqrt 2``."""
    return float(np.linalg.eigvalsh(np.diag(np.sqrt(np.arange(1, levels) / 2), -1))[-1])


def relaxation_width(model: FockModel) -> float:
    """Return a bound on the fastest decay, the leftmost point of the numerical range, in units of omega.

    With L = (X + iY)/sqrt 2 the bath is ``(P + 1/2 - |Q|) (D[X] + D[Y]) + 2 |Q| D[X]`` and antisymmetric
    terms. The isotropic part of one mode is tridiagonal with rows summing to at most 4 d - 6; D[X] is at
    least -2 x^2, x the largest eigenvalue of the truncated quadrature. Edges add to K_mm as losses do.
    """
    isotropic = model.occupation + 0.5 - abs(model.anomaly)
    levels = np.array(model.levels)
    rates = np.diagonal(damping_matrix(model.network)).real
    width = float(rates @ (isotropic * (4 * levels - 6) + (levels - 1) / 2))
    if model.anomaly:
        quadrature = [_largest_quadrature(d) for d in model.levels]
        spread = np.abs(jump_operators(model.network)) @ quadrature  # of every jump's quadrature
        width += 4 * abs(model.anomaly) * float(spread @ spread)
    return width


def rotation_width(generator: Generator) -> float:
    """Return the spread of the Hamiltonian's eigenvalues, rho's largest frequency, by a few Lanczos steps."""
    H = combine(np.array([0.5j, -0.5j]), [generator.G, dagger(generator.G)])
    size = generator.dimension
    v: Array = np.random.default_rng(0).normal(size=size).astype(complex)
    v /= np.linalg.norm(v)
    previous = np.zeros_like(v)
    diagonal, beside, beta = [], [], 0.0
    for _ in range(min(LANCZOS_STEPS, size)):
        u = -beta * previous
        for offset, entries in H.items():
            _add_shifted(u, entries, v, offset)
        alpha = float(np.vdot(v, u).real)
        u -= alpha * v
        beta = float(np.linalg.norm(u))
        diagonal.append(alpha)
        beside.append(beta)
        if beta <= 1e-12 * max(map(abs, diagonal)):
            break
        previous, v = v, u / beta
    ritz = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(beside[:-1], -1), "L")
    return float(ritz[-1] - ritz[0])


def _add_shifted(u: Array, entries: Array, v: Array, offset: int) -> None:
    """Add ``entries_I v_(I + offset)`` to u; nothing leads beyond the ends."""
    if offset >= 0:
        u[: len(u) - offset] += entries[: len(u) - offset] * v[offset:]
    else:
        u[-offset:] += entries[-offset:] * v[:offset]


def drive_height(model: FockModel) -> float:
    """Return the spread of the drive's eigenvalues, in units of omega; 0 in the displaced frame."""
    return 2 * math.sqrt(2) * abs(model.drive) * _largest_quadrature(model.levels[0])


def kerr_height(model: FockModel) -> float:
    """Return the spread of the eigenvalues of all Kerr terms, in units of omega."""
    return sum(abs(K) / 2 * (d - 1) * (d - 2) for K, d in zip(model.kerr, model.levels, strict=True))


def spectral_ellipse(model: FockModel, generator: Generator) -> Ellipse:
    """Return a first guess of the ellipse for `propagator.propagate`.

    A nonreciprocal hop moves photons one way and shifts no eigenvalue, so the hops count by how far
    the eigenvalues of the drift matrix turn; the rest of the Hamiltonian counts in full.
    """
    height = rotation_width(generator)
    hops = max(0.0, height - drive_height(model) - kerr_height(model))
    frequency = float(np.max(np.abs(np.linalg.eigvalsh(coherent_matrix(model.network)))))
    turning = float(np.max(np.abs(np.linalg.eigvals(drift_matrix(model.network)).imag)))
    reversible = min(1.0, turning / frequency) if frequency else 1.0
    height -= IRREVERSIBLE * (1 - reversible) * hops
    # Squeezing takes the noise out of one quadrature, and with it what hides the antisymmetric part of
    # the losses, which is as high as they are wide.
    losses = float(np.diagonal(damping_matrix(model.network)).real @ np.array(model.levels))
    height += SQUEEZED * losses * abs(model.anomaly) / (model.occupation + 0.5)
    return Ellipse(WIDTH * relaxation_width(model) / 2, HEIGHT * height)
