"""Slow, readable solutions of the moment equations for one network; the fast paths are tested on them.

With fluctuations d = c - alpha, C[j,k] = <d_j^dag d_k> and S[j,k] = <d_j d_k>::

    d alpha/dt = M alpha - i epsilon e_0
    dC/dt = conj(M) C + C M^T + P conj(K)           K  = sum_L conj(L_j) L_k
    dS/dt = M S + S M^T + conj(Q) K_sq              K_sq = sum_L conj(L_j) conj(L_k)

P and Q are the bath's photon number and pair moment: see `qbsweep.physics.gaussian`.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm, solve, solve_sylvester

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.matrices import damping_matrix, drift_matrix, squeezing_matrix
from qbsweep.physics.network import Network, scaled
from qbsweep.physics.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Moments:
    """First and second moments of a network.

    Attributes
    ----------
    alpha : ndarray, shape (..., N+1)
        Amplitudes <c_m>.
    C : ndarray, shape (..., N+1, N+1)
        ``<d_j^dag d_k>``.
    S : ndarray, shape (..., N+1, N+1)
        ``<d_j d_k>``.
    """

    alpha: Array
    C: Array
    S: Array

    @property
    def coherent(self) -> FloatArray:
        """``|alpha_m|^2`` of every mode."""
        return np.asarray(np.abs(self.alpha) ** 2, dtype=float)

    @property
    def occupation(self) -> FloatArray:
        """``C_mm`` of every mode."""
        return np.asarray(np.diagonal(self.C, axis1=-2, axis2=-1).real, dtype=float)

    @property
    def anomaly(self) -> FloatArray:
        """``|S_mm|`` of every mode."""
        return np.asarray(np.abs(np.diagonal(self.S, axis1=-2, axis2=-1)), dtype=float)


def bath_moments(n_th: float, r: float, theta_r: float = 0.0) -> tuple[float, complex]:
    """Return P and Q of a squeezed thermal bath, eqs. (15) and (16).

    ``P = n_th cosh 2r + sinh^2 r``, ``Q = (2 n_th + 1) sinh r cosh r e^{-i theta_r}``.
    """
    P = n_th * np.cosh(2 * r) + np.sinh(r) ** 2
    return float(P), complex((2 * n_th + 1) * np.sinh(r) * np.cosh(r) * np.exp(-1j * theta_r))


def steady_moments(
    network: Network, epsilon: float, n_th: float = 0.0, r: float = 0.0, theta_r: float = 0.0
) -> Moments:
    """Steady state, by one linear solve and two Sylvester solves."""
    M, P, Q = drift_matrix(network), *bath_moments(n_th, r, theta_r)
    source = np.zeros(network.n_modes, dtype=complex)
    source[0] = 1j * epsilon
    return Moments(
        alpha=solve(M, source),
        C=solve_sylvester(M.conj(), M.T, -P * damping_matrix(network).conj()),
        S=solve_sylvester(M, M.T, -np.conj(Q) * squeezing_matrix(network)),
    )


def evolved_moments(
    network: Network, times: Array, epsilon: float, n_th: float = 0.0, r: float = 0.0, theta_r: float = 0.0
) -> Moments:
    """Moments at each of `times` (in 1/omega), from the vacuum of every mode at t = 0.

    One matrix exponential a time: of the drift matrix augmented by the drive, so that early, small
    amplitudes are not the difference of large ones.
    """
    steady = steady_moments(network, epsilon, n_th, r, theta_r)
    n = network.n_modes
    augmented = np.zeros((n + 1, n + 1), dtype=complex)
    augmented[:n, :n] = drift_matrix(network)
    augmented[0, n] = -1j * epsilon
    alpha, C, S = [], [], []
    for time in np.asarray(times, dtype=float):
        step = expm(augmented * time)
        U = step[:n, :n]
        alpha.append(step[:n, n])
        C.append(steady.C - U.conj() @ steady.C @ U.T)
        S.append(steady.S - U @ steady.S @ U.T)
    return Moments(np.array(alpha), np.array(C), np.array(S))


def protocol_moments(
    network: Network,
    protocol: Protocol,
    times: Array,
    epsilon: float,
    n_th: float = 0.0,
    r: float = 0.0,
    theta_r: float = 0.0,
) -> Moments:
    """Moments at each of `times` (in 1/omega, ascending) along a protocol, by an integrator, segment by segment."""
    from scipy.integrate import solve_ivp  # which nothing else here waits for

    n, (P, Q) = network.n_modes, bath_moments(n_th, r, theta_r)
    state = np.concatenate([part.ravel() for part in _beginning(network, protocol, epsilon, n_th, r, theta_r)])
    times = np.asarray(times, dtype=float)
    found, begin = [state] * int((times == 0).sum()), 0.0
    for segment in protocol.segments:
        inside = times[(times > begin) & (times <= segment.until)]
        end = segment.until if math.isfinite(segment.until) else max(times[-1], begin)
        if end > begin:
            now, (first, last) = scaled(network, segment.coupling, 1.0), segment.drive
            rise = (last - first) / (end - begin)
            noise = P * damping_matrix(now).conj(), np.conj(Q) * squeezing_matrix(now)
            arguments = drift_matrix(now), noise, epsilon * (first - rise * begin), epsilon * rise
            solution = solve_ivp(
                _slope, (begin, end), state, "DOP853", np.union1d(inside, end), args=arguments, rtol=1e-13, atol=1e-16
            )
            found += list(solution.y.T[: len(inside)])
            state, begin = solution.y[:, -1], end
    alpha, C, S = np.split(np.array(found), [n, n + n * n], axis=1)
    return Moments(alpha, C.reshape(-1, n, n), S.reshape(-1, n, n))


def _slope(time: float, state: Array, M: Array, noise: tuple[Array, Array], drive: float, rise: float) -> Array:
    """Right-hand side of the equations of the module, for a drive that is linear in time."""
    n = len(M)
    alpha, C, S = state[:n], state[n : n + n * n].reshape(n, n), state[n + n * n :].reshape(n, n)
    of_alpha = M @ alpha
    of_alpha[0] -= 1j * (drive + rise * time)
    of_C, of_S = M.conj() @ C + C @ M.T + noise[0], M @ S + S @ M.T + noise[1]
    return np.concatenate([of_alpha, of_C.ravel(), of_S.ravel()])


def _beginning(
    network: Network, protocol: Protocol, epsilon: float, n_th: float, r: float, theta_r: float
) -> tuple[Array, Array, Array]:
    """Return alpha, C and S at the beginning of a protocol."""
    n, kind, states = network.n_modes, protocol.initial.kind, protocol.initial.modes
    if kind == "steady":
        steady = steady_moments(network, epsilon, n_th, r, theta_r)
        return steady.alpha, steady.C, steady.S
    if kind != "modes":
        return np.zeros(n, complex), n_th * (kind == "thermal") * np.eye(n, dtype=complex), np.zeros((n, n), complex)
    moments = [bath_moments(state.occupation, state.squeezing, -state.angle) for state in states]
    C, S = (np.diag(np.array(values, dtype=complex)) for values in zip(*moments, strict=True))
    return np.array([state.amplitude for state in states], dtype=complex), C, S
