"""How many photons every mode is expected to hold, and what a truncation should cost, before anything is solved.

The photon numbers of a mode of a Gaussian network are known without truncation, from the exact moments; the share of
its energy that lies in levels which are cut off says what the truncation costs. With Kerr terms or qubits the
amplitudes are those of the classical equation and its branches, which leaves levels to a factor of 1.5 or so.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.linalg import expm

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.physics import gaussian
from qbsweep.physics.fock.amplitudes import initial_amplitudes
from qbsweep.physics.fock.branches import classical_branches, reachable_branches
from qbsweep.physics.fock.exact import gaussian_moments
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.stages import before, stages
from qbsweep.physics.fock.verdict import FLOOR
from qbsweep.physics.matrices import drift_matrix

_PHOTONS = 1024  # numbers that are looked at
_SAMPLES, _SAMPLES_OF_PROTOCOL = 8, 48  # times that are looked at
_STEPS = 400  # of the classical equation
# Measured truncation error over the share of a mode's energy beyond its levels: a drive feels their end, too.
_DRIVEN, _UNDRIVEN, _NONLINEAR = 7.0, 1.3, 2.0


def photon_numbers(coherent: Array, C: Array, S: Array, count: int = _PHOTONS) -> FloatArray:
    """Return the probabilities of 0 .. count - 1 photons of a one-mode Gaussian state, along a new last axis.

    The generating function ``G(z) = tr(z^n rho)`` of a state with quadrature variances ``v = C + 1/2 +- S`` and
    means ``x`` is the overlap with a Gaussian operator::

        G(z) = prod_{+-} exp(-x^2 (1 - z) / (2 w)) / sqrt(w),      w = (1 - z) v + (1 + z)/2

    Parameters
    ----------
    coherent, C, S : ndarray
        ``|alpha|^2``, shared by both quadratures, ``<d^dag d>`` and ``|<d d>|``; they broadcast.
    """
    z = np.exp(2j * np.pi * np.arange(count) / count)
    coherent, C, S = (np.asarray(values, dtype=float)[..., None] for values in (coherent, C, S))
    G = np.ones(1, dtype=complex)
    for variance in (C + 0.5 + S, C + 0.5 - S):
        w = (1 - z) * variance + (1 + z) / 2
        G = G * np.exp(-coherent * (1 - z) / (2 * w)) / np.sqrt(w)
    return np.asarray(np.maximum(np.fft.fft(G, axis=-1).real / count, 0.0))


def expected_errors(
    model: FockModel, times: Sequence[float] | FloatArray | None = None, *, steady: bool = True
) -> FloatArray:
    """Return the truncation error that every mode should cause by its levels, shape (modes, levels); qubits none.

    Parameters
    ----------
    model : FockModel
        Its levels do not matter.
    times, steady
        What is asked for; see `point.solve_model`.
    """
    coherent, C, S = (np.concatenate(parts, axis=1) for parts in zip(*_moments(model, times, steady), strict=True))
    inside = coherent if model.frame == "lab" else np.zeros_like(coherent)
    photons = photon_numbers(inside, C, S)
    beyond = np.cumsum((photons * np.arange(_PHOTONS))[..., ::-1], axis=-1)[..., ::-1]
    energy = coherent + C
    beyond[inside + C > _PHOTONS / 4] = math.inf
    driven = bool(model.drive) and model.gaussian
    factor = _DRIVEN if driven else _UNDRIVEN if model.gaussian else _NONLINEAR
    scale = gaussian.ergotropy(coherent, C, S) if driven else energy
    scale = np.maximum(scale, FLOOR * np.max(energy, axis=1, keepdims=True))
    worst = np.max(factor * beyond / np.maximum(scale, 1e-300)[..., None], axis=1)
    worst[np.array(model.qubits)] = 0.0
    return np.asarray(worst)


def expected_error(errors: FloatArray, levels: tuple[int, ...]) -> float:
    """Return the truncation error that these levels should give, from `expected_errors`."""
    return float(max(errors[m, min(d, _PHOTONS - 1)] for m, d in enumerate(levels)))


def expected_levels(errors: FloatArray, tolerance: float) -> tuple[int, ...]:
    """Return the least levels of every mode, at least 2, that should meet a tolerance."""
    met = errors <= tolerance
    return tuple(max(2, int(np.argmax(of_mode))) if of_mode.any() else _PHOTONS for of_mode in met)


def _moments(
    model: FockModel, times: Sequence[float] | FloatArray | None, steady: bool
) -> list[tuple[Array, Array, Array]]:
    """Return ``|alpha|^2``, C and ``|S|`` of every mode without truncation, shape (modes, samples), as asked for."""
    grid = None
    if times is not None:
        chosen = np.unique(np.geomspace(1, len(times), _SAMPLES).astype(int) - 1)
        if model.protocol is not None:  # the most may be there at any time
            chosen = np.unique(np.linspace(0, len(times) - 1, _SAMPLES_OF_PROTOCOL).astype(int))
        grid = np.asarray(times, dtype=float)[chosen]
    if model.gaussian:
        wanted = ([None] if steady else []) + ([grid] if grid is not None else [])
        return [gaussian_moments(model, part) for part in wanted]
    branches = reachable_branches(model, times, steady=steady)
    if branches is None or not len(branches):
        branches = np.zeros((1, model.network.n_modes), dtype=complex)
    coherent = np.abs(branches.T) ** 2
    if grid is not None:
        coherent = np.append(coherent, classical_populations(model, float(grid[-1])), axis=1)
    every = np.ones_like(coherent)
    # A Kerr term turns the phases of pairs by their number: what was squeezed looks thermal.
    C = np.maximum(model.occupation, _initial_occupation(model))
    return [(coherent, C[:, None] * every, 0 * every)]


def _initial_occupation(model: FockModel) -> FloatArray:
    """Return ``<d^dag d>`` of every mode that a protocol begins with, shape (modes,)."""
    if model.protocol is None or not model.protocol.initial.modes:
        return np.zeros(model.network.n_modes)
    values = np.array([(state.occupation, state.squeezing) for state in model.protocol.initial.modes])
    return gaussian.bath_occupation(values[:, 0], values[:, 1])


def classical_populations(model: FockModel, end: float | None = None) -> FloatArray:
    """Return the largest ``|alpha_m(t)|^2`` until `end`, shape (modes, 1), by the classical equation.

    ``d alpha/dt = M alpha - i epsilon e_0 - i K |alpha|^2 alpha``, from vacuum or as the protocol says, the linear part
    and the turn of each mode in turns; ten lifetimes of the slowest mode if no end is said. A ramp goes in steps.
    """
    final = 10 / min(rate for rate in model.network.kappa if rate > 0) if end is None else end
    kerr, alpha = np.array(model.kerr), _classical_beginning(model)
    largest = np.abs(alpha) ** 2
    every = stages(model, final)
    for stage in every:
        steps = max(_STEPS // len(every), _STEPS // 8)
        step, n = stage.length / steps, len(alpha)
        flow = np.zeros((n + 1, n + 1), dtype=complex)
        flow[:n, :n], flow[0, n] = drift_matrix(stage.model.network), -1j * stage.model.epsilon
        forward = expm(flow * step)
        for share in np.linspace(*stage.drives, steps) / (stage.model.epsilon or 1.0):
            alpha = forward[:n, :n] @ alpha + share * forward[:n, n]
            alpha = alpha * np.exp(-1j * step * kerr * np.abs(alpha) ** 2)
            largest = np.maximum(largest, np.abs(alpha) ** 2)
    return np.asarray(largest[:, None])


def _classical_beginning(model: FockModel) -> ComplexArray:
    """Return the amplitudes that the classical equation begins with: of a steady state, those of its highest branch."""
    if model.protocol is not None and model.protocol.initial.kind == "steady":
        branches = classical_branches(before(model))
        return branches[-1] if len(branches) else np.zeros(model.network.n_modes, dtype=complex)
    return initial_amplitudes(model)
