"""What a Gaussian network does without truncation, from its moments: what a truncated solution is measured against."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import solve_sylvester

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics import gaussian
from qbsweep.physics.fock.amplitudes import amplitudes, evolved, within
from qbsweep.physics.fock.model import FockModel, require_relaxing
from qbsweep.physics.fock.stages import before, last, stages
from qbsweep.physics.matrices import damping_matrix, drift_matrix, squeezing_matrix
from qbsweep.physics.moments.anomaly import anomaly_deficits
from qbsweep.physics.moments.dynamics import evolved_populations
from qbsweep.physics.moments.family import family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.steady import coherent_populations


def gaussian_moments(
    model: FockModel, times: Sequence[float] | FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ``|alpha|^2``, C and ``|S|`` of every mode of a Gaussian network.

    Parameters
    ----------
    model : FockModel
        Its levels do not matter.
    times : sequence of float or None
        In 1/omega, from 0 on; None for the steady state.

    Returns
    -------
    three arrays
        Shape (modes, times), or (modes, 1) for the steady state.

    Raises
    ------
    QbsweepError
        If the network is not Gaussian, or does not relax into the steady state that is asked for.
    """
    if not model.gaussian:
        raise QbsweepError("the exact moments are known for Gaussian networks only, not with `kerr` or qubits")
    if times is None:
        model = last(model)
    elif model.protocol is not None:
        alpha, C, S = moments_of_protocol(model, np.asarray(times, dtype=float))
        of_modes = [np.diagonal(X, axis1=1, axis2=2).T for X in (C, S)]
        return np.abs(alpha.T) ** 2, of_modes[0].real, np.abs(of_modes[1])
    net, one = family(model.network), Rates(np.ones(1), np.ones(1))
    if times is None:
        require_relaxing(model)
        populations, _ = coherent_populations(net, one)
        lost, _ = anomaly_deficits(net, one)
        filling, kept = np.ones_like(populations), np.ones_like(populations) if lost is None else 1 - lost
    else:
        grid = np.asarray(times, dtype=float)[None]
        first, second, deficit, _ = evolved_populations(net, one, grid, fluctuations=True, squeezing=True)
        populations, filling = first[0], np.zeros_like(first[0]) if second is None else second[0]
        kept = filling if deficit is None else filling - deficit[0]
    coherent = model.epsilon * (model.epsilon * populations)
    return coherent, model.occupation * filling, abs(model.anomaly) * kept


def exact_values(model: FockModel, times: Sequence[float] | None) -> tuple[FloatArray, FloatArray]:
    """Return the exact energy and ergotropy of every mode, in omega, as `gaussian_moments` has them."""
    coherent, C, S = gaussian_moments(model, times)
    return gaussian.energy(coherent, C), gaussian.ergotropy(coherent, C, S)


def moments_of_protocol(model: FockModel, grid: FloatArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Follow all moments through the stages, each of which is one linear system with constant coefficients.

    Returns
    -------
    three arrays
        Amplitudes (times, modes), and the matrices C and S (times, modes, modes).
    """
    C, S = _begin(model)
    found = {name: np.repeat(X[None], len(grid), axis=0) for name, X in (("C", C), ("S", S))}
    for stage in stages(model, float(grid[-1])):
        inside, local = within(stage, grid)
        M = drift_matrix(stage.model.network)
        of_C = M.conj(), model.occupation * damping_matrix(stage.model.network).conj()
        of_S = M, np.conj(model.anomaly) * squeezing_matrix(stage.model.network)
        every = {"C": _sylvester(*of_C, M, C, local), "S": _sylvester(*of_S, M, S, local)}
        C, S = (X[..., -1] for X in every.values())
        for name, X in every.items():
            found[name][inside] = np.moveaxis(X[..., :-1], -1, 0)
    return amplitudes(model, grid).T, found["C"], found["S"]


def _begin(model: FockModel) -> tuple[ComplexArray, ComplexArray]:
    """Return the matrices C and S that a protocol begins with."""
    n, initial = model.network.n_modes, None if model.protocol is None else model.protocol.initial
    C, S = np.zeros((n, n), dtype=complex), np.zeros((n, n), dtype=complex)
    if initial is not None and initial.kind == "modes":
        occupation = np.array([state.occupation for state in initial.modes])
        squeezing = np.array([state.squeezing for state in initial.modes])
        turn = np.exp(1j * np.array([state.angle for state in initial.modes]))
        C = np.diag(gaussian.bath_occupation(occupation, squeezing)).astype(complex)
        S = np.diag(gaussian.bath_anomaly(occupation, squeezing) * turn)
    elif initial is not None and initial.kind == "steady":
        network = before(model).network
        require_relaxing(before(model))
        M = drift_matrix(network)
        C = model.occupation * np.eye(n, dtype=complex)  # thermal light is what it is, whatever the network
        S = solve_sylvester(M, M.T, -np.conj(model.anomaly) * squeezing_matrix(network))
    return C, S


def _sylvester(A: Array, source: Array, M: Array, X: Array, times: FloatArray) -> ComplexArray:
    """Return X(t) of ``dX/dt = A X + X M^T + source`` at all times, shape (n, n, times)."""
    n = len(M)
    flow, unit = np.zeros((n * n + 1, n * n + 1), dtype=complex), np.eye(n)
    flow[:-1, :-1] = np.kron(A, unit) + np.kron(unit, M)
    flow[:-1, -1] = source.ravel()
    return evolved(flow, np.append(X.ravel(), 1.0), times)[:-1].reshape(n, n, len(times))
