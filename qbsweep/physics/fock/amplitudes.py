"""Coherent amplitudes of linear networks in time, and what else obeys linear equations with constant coefficients."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import expm

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.stages import Stage, before, last, stages
from qbsweep.physics.matrices import drift_matrix


def evolved(flow: Array, state: Array, times: Sequence[float] | FloatArray) -> Array:
    """Return ``exp(flow t) state`` at ascending times, shape (size, times); equal steps share an exponential."""
    out = np.empty((len(state), len(times)), dtype=complex)
    now, step, kernel = 0.0, -1.0, np.eye(len(state))
    for column, time in enumerate(times):
        if time > now:
            if abs(time - now - step) > 8 * np.finfo(float).eps * time:
                step = time - now
                kernel = expm(flow * step)
            state = kernel @ state
            now = time
        out[:, column] = state
    return out


def amplitudes(model: FockModel, times: Sequence[float] | FloatArray | None) -> ComplexArray:
    """Return the coherent amplitudes alpha(t): ``d alpha/dt = M alpha - i epsilon e_0``, from vacuum or as told.

    A ramp of the drive is one linear system as well, and as exact as a constant.

    Returns
    -------
    array
        Shape (modes, times), or (modes, 1) with the steady amplitudes ``M^{-1} i epsilon e_0``.
    """
    if times is None:
        return _steady(last(model))[:, None]
    if model.protocol is None:
        return _driven(model, (model.epsilon, 0.0), np.zeros(model.network.n_modes), times)[0]
    grid = np.asarray(times, dtype=float)
    alpha = initial_amplitudes(model)
    out = np.repeat(alpha[:, None], len(grid), axis=1)
    for stage in stages(model, float(grid[-1])):
        inside, local = within(stage, grid)
        found, alpha = _driven(stage.model, (stage.drives[0], stage.slope), alpha, local)
        out[:, inside] = found[:, :-1]
    return out


def within(stage: Stage, grid: FloatArray) -> tuple[Array, FloatArray]:
    """Return which times lie in a stage (its end included, its beginning not), and these from its beginning on.

    The end is always added to the latter.
    """
    inside = (grid > stage.begin) & (grid <= stage.end)
    local = np.minimum(grid[inside] - stage.begin, stage.length)
    return inside, np.append(local, stage.length)


def initial_amplitudes(model: FockModel) -> ComplexArray:
    """Return the coherent amplitudes that a model begins with, shape (modes,)."""
    initial = None if model.protocol is None else model.protocol.initial
    if initial is not None and initial.kind == "steady":
        return _steady(before(model))
    if initial is not None and initial.kind == "modes":
        return np.array([state.amplitude for state in initial.modes], dtype=complex)
    return np.zeros(model.network.n_modes, dtype=complex)


def _steady(model: FockModel) -> ComplexArray:
    force = np.zeros(model.network.n_modes, dtype=complex)
    force[0] = 1j * model.epsilon
    return np.asarray(np.linalg.solve(drift_matrix(model.network), force))


def _driven(
    model: FockModel, drive: tuple[float, float], alpha: Array, times: Sequence[float] | FloatArray
) -> tuple[ComplexArray, ComplexArray]:
    """Return the amplitudes at all times, and the last, of a drive that is given with its slope."""
    n, (begin, slope) = len(alpha), drive
    size = n + 2 if slope else n + 1  # the force is an extra, constant component, and what it grows by another
    flow, state = np.zeros((size, size), dtype=complex), np.zeros(size, dtype=complex)
    flow[:n, :n], flow[0, n] = drift_matrix(model.network), -1j * begin
    state[:n], state[n] = alpha, 1.0
    if slope:
        flow[n + 1, n], flow[0, n + 1] = 1.0, -1j * slope
    out = evolved(flow, state, times)
    return out[:n], out[:n, -1]
