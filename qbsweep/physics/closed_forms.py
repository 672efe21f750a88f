"""Closed forms of steady states and optima in a vacuum bath, and their thermal and squeezed extensions.

What the paper prints, with its misprints mended; `qbsweep.claims` holds it against the matrices of the networks.
`J` is the coherent coupling (Gamma = 2 J when nonreciprocal), `kappa` the loss of every mode, `epsilon` the drive, all
in units of omega; energies are in units of omega. Functions of J, kappa and epsilon broadcast over them.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from qbsweep.arrays import ComplexArray, FloatArray
from qbsweep.errors import QbsweepError


def _float(values: ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=float)


def nonreciprocal_energy(Lambda: ArrayLike, Gamma: ArrayLike, epsilon: float) -> float:
    """Steady energy of the last mode of a directed path from the charger, eqs. (4) and (8), whatever its rates.

    ``4^{n+1} eps^2 prod Gamma_m^2 / prod Lambda_m^2``. Nothing comes back, so the modes on the way and their damping
    are all that matters of a network: the first n + 1 modes of a cascade, or the charger and any battery of a star, for
    which the paper prints Lambda_1 in the place of Lambda_0.

    Parameters
    ----------
    Lambda : array_like, shape (n + 1,)
        Damping rates of the modes, the charger first: the local loss, and Gamma of every edge.
    Gamma : array_like, shape (n,)
        Cooperative rates of the edges between them.
    epsilon : float
        Drive.
    """
    Lambda, Gamma = _float(Lambda), _float(Gamma)
    return float(4.0 ** len(Lambda) * epsilon**2 * np.prod(Gamma**2) / np.prod(Lambda**2))


def nonreciprocal_energy_in_time(Lambda: ArrayLike, Gamma: ArrayLike, epsilon: float, times: ArrayLike) -> FloatArray:
    """Energy of the last mode of a directed path at a time t from vacuum, eqs. (3) and (7) as they are meant.

    ``A_n / V_n^2 [V_n - sum_p (-1)^{n+p} (prod_{m != p} Lambda_m) V_n^{(p)} e^{-Lambda_p t/2}]^2``: the paper
    prints the sum of (3) with a plus, and the two exponents of (7) exchanged. Dividing by V_n leaves the partial
    fractions that are summed here::

        alpha_n = a_n [1 - sum_p e^{-Lambda_p t/2} prod_{m != p} Lambda_m / (Lambda_m - Lambda_p)]

    Parameters
    ----------
    Lambda, Gamma, epsilon
        As for `nonreciprocal_energy`; the rates Lambda pairwise different.
    times : array_like, shape (T,)
        Times, in 1/omega.

    Raises
    ------
    QbsweepError
        If two rates coincide, as they always do in a uniform cascade: (3) is then 0/0, and the time
        evolution of `qbsweep.physics.moments.dynamics` is the way.
    """
    Lambda, times = _float(Lambda), _float(times)
    if len(np.unique(Lambda)) < len(Lambda):
        raise QbsweepError("eq. (3) needs pairwise different rates Lambda, but two of them coincide")
    transient = np.zeros_like(times)
    for p, rate in enumerate(Lambda):
        others = np.delete(Lambda, p)
        transient += np.exp(-rate * times / 2) * np.prod(others / (others - rate))
    return np.asarray(nonreciprocal_energy(Lambda, Gamma, epsilon) * (1 - transient) ** 2)


def nonreciprocal_cascaded_energy(n: int, N: int, J: ArrayLike, kappa: ArrayLike, epsilon: ArrayLike) -> FloatArray:
    """Steady energy of mode n of the nonreciprocal cascade, eqs. (4) and, for n = N, (5).

    ``4^{n+1} eps^2 Gamma^{2n} / prod_{m<=n} Lambda_m^2`` with Lambda_0 = Lambda_N = Gamma + kappa and
    2 Gamma + kappa between them. n = 0 is the charger.
    """
    _check_mode(n, N)
    Gamma, kappa = 2 * _float(J), _float(kappa)
    end, inner = Gamma + kappa, 2 * Gamma + kappa
    amplitude = 2 * _float(epsilon) / end  # of the charger
    for mode in range(1, n + 1):
        amplitude = amplitude * 2 * Gamma / (end if mode == N else inner)
    return np.asarray(amplitude**2)


def nonreciprocal_parallel_energy(N: int, J: ArrayLike, kappa: ArrayLike, epsilon: ArrayLike) -> FloatArray:
    """Steady energy of each battery of the nonreciprocal star, eq. (9).

    ``16 eps^2 Gamma^2 / [(N Gamma + kappa)^2 (Gamma + kappa)^2]``.
    """
    Gamma, kappa = 2 * _float(J), _float(kappa)
    return np.asarray((4 * _float(epsilon) * Gamma / ((N * Gamma + kappa) * (Gamma + kappa))) ** 2)


def cascaded_optimal_coupling(N: ArrayLike, kappa: ArrayLike) -> FloatArray:
    """Coupling J_op that maximises the terminal energy of the nonreciprocal chain, eq. (10).

    ``kappa/8 (N + sqrt(N^2 + 8 N))``, which tends to kappa N / 4.
    """
    N, kappa = _float(N), _float(kappa)
    return np.asarray(kappa / 8 * (N + np.sqrt(N**2 + 8 * N)))


def parallel_optimal_coupling(N: ArrayLike, kappa: ArrayLike) -> FloatArray:
    """Coupling J_op that maximises the terminal energy of the star, nonreciprocal (10) or reciprocal.

    ``kappa / (2 sqrt N)``.
    """
    N, kappa = _float(N), _float(kappa)
    return np.asarray(kappa / (2 * np.sqrt(N)))


def reciprocal_cascaded_energy(N: int, J: ArrayLike, kappa: ArrayLike, epsilon: ArrayLike) -> FloatArray:
    """Steady terminal energy of the reciprocal chain, eqs. (11) and (12) with their constants.

    ``[2^{N+1} J^N eps / sum_j C(L-j, j) 4^j J^{2j} kappa^{L-2j}]^2``, L = N + 1, j = 0..floor(L/2);
    evaluated in x = J / kappa, whichever of x and 1/x is at most 1, so that no power overflows.
    """
    L = N + 1
    x, drive = np.broadcast_arrays(_float(J) / _float(kappa), _float(epsilon) / _float(kappa))
    j, weights = _chain_weights(N)
    small = x <= 1
    y = np.where(small, x, 1.0)
    below = 2.0**L * y**N / (weights * y[..., None] ** (2 * j)).sum(axis=-1)
    y = np.where(small, 1.0, 1 / np.where(x > 0, x, 1.0))
    above = 2.0**L * y ** (2 * (L // 2) - N) / (weights * y[..., None] ** (2 * (L // 2 - j))).sum(axis=-1)
    return np.asarray((drive * np.where(small, below, above)) ** 2)


def reciprocal_cascaded_amplitude(N: int, J: ArrayLike, kappa: ArrayLike, epsilon: ArrayLike) -> ComplexArray:
    """Steady amplitude of the terminal battery of the reciprocal chain from its Green function, eq. (B14).

    ``sum_k 2 eps/(L+1) (-1)^{k+1} sin^2(pi k/(L+1)) / (-2J cos(pi k/(L+1)) + i kappa/2)``, L = N + 1.
    The sum cancels: its relative error grows as 2^N where J is weak, so it is of use for short chains only.
    """
    L = N + 1
    k = np.arange(1, L + 1)
    angle = np.pi * k / (L + 1)
    poles = -2 * _float(J)[..., None] * np.cos(angle) + 0.5j * _float(kappa)[..., None]
    modal = (-1.0) ** (k + 1) * np.sin(angle) ** 2 / poles
    return np.asarray(2 * _float(epsilon) / (L + 1) * modal.sum(axis=-1))


def reciprocal_cascaded_saturation(N: int, kappa: ArrayLike, epsilon: ArrayLike) -> FloatArray:
    """Terminal energy of the reciprocal chain of even N as J grows without bound.

    ``[4 eps / ((N + 2) kappa)]^2``. The energy rises towards it monotonically at large J, so there is no
    finite optimal coupling.
    """
    if N % 2:
        raise QbsweepError(f"the reciprocal chain saturates for even `N` only, but `N` is {N}")
    return np.asarray((4 * _float(epsilon) / ((N + 2) * _float(kappa))) ** 2)


def reciprocal_cascaded_optimum(N: int, kappa: float) -> float:
    """Coupling that maximises the terminal energy of the reciprocal chain of odd N.

    J / kappa = 1/2, 0.97356, 1.41091, 1.83862 for N = 1, 3, 5, 7. With x = J / kappa and w_j the weights of
    `reciprocal_cascaded_energy`, the stationary points solve ``sum_j w_j (N - 2j) x^{2j} = 0``. For odd N only the last
    coefficient is negative, so there is exactly one (Descartes); for even N none is, so there is none.
    """
    if N % 2 == 0:
        raise QbsweepError(f"the reciprocal chain has a finite optimum for odd `N` only, but `N` is {N}")
    j, weights = _chain_weights(N)
    # In 1 / (2 x)^2 the powers of 4 are gone and the leading coefficient is that of j = 0.
    roots = np.roots(weights / 4.0**j * (N - 2 * j))
    (root,) = roots[(roots.imag == 0) & (roots.real > 0)].real
    return kappa / (2 * math.sqrt(root))


def _chain_weights(N: int) -> tuple[FloatArray, FloatArray]:
    """Return j and ``C(L-j, j) 4^j`` of (11) and (12), L = N + 1."""
    L = N + 1
    j = np.arange(L // 2 + 1)
    return j.astype(float), np.array([float(math.comb(L - i, i) * 4**i) for i in range(L // 2 + 1)])


def reciprocal_parallel_energy(N: int, J: ArrayLike, kappa: ArrayLike, epsilon: ArrayLike) -> FloatArray:
    """Steady energy of each battery of the reciprocal star, eq. (13) with Gamma = 2 J.

    ``16 J^2 eps^2 / (4 N J^2 + kappa^2)^2``.
    """
    J, kappa = _float(J), _float(kappa)
    return np.asarray((4 * J * _float(epsilon) / (4 * N * J**2 + kappa**2)) ** 2)


def reciprocal_window(N: int, kappa: float) -> tuple[float, float]:
    """Couplings between which the reciprocal star stores more than the nonreciprocal one, eq. (14).

    ``kappa / (2 N) < J < kappa / 2``, exactly.
    """
    return kappa / (2 * N), kappa / 2


def thermal_energy(vacuum_energy: ArrayLike, n_th: ArrayLike) -> FloatArray:
    """Steady energy of any mode of any network in a uniform thermal bath: ``E_vac + n_th`` (below (15))."""
    return np.asarray(_float(vacuum_energy) + _float(n_th))


def squeezed_energy(vacuum_energy: ArrayLike, r: ArrayLike) -> FloatArray:
    """Steady energy, and ergotropy, of a `phase-half-pi` network in a squeezed bath: ``E_vac + sinh^2 r``.

    Every mode is then a displaced pure squeezed state, so all of its energy is extractable.
    """
    return np.asarray(_float(vacuum_energy) + np.sinh(_float(r)) ** 2)


def _check_mode(n: int, N: int) -> None:
    if not 0 <= n <= N:
        raise QbsweepError(f"mode `n` must be between 0 and N = {N}, but is {n}")


def kerr_energy(K: float, detuning: float, kappa: float, epsilon: float) -> float:
    """Steady energy of one driven Kerr mode in a vacuum bath, in units of omega (Drummond and Walls 1980).

    Of ``H = Delta a^dag a + K/2 a^dag^2 a^2 + epsilon (a + a^dag)`` with loss kappa, also where it has two classical
    branches::

        <a^dag a> = z^2 / |c|^2  F(c + 1) / F(c),      c = 2 (Delta - i kappa/2) / K,      z = 2 epsilon / K
        F(c) = 0F2(; c, conj(c); 2 z^2) = sum_k (2 z^2)^k / (k! |(c)_k|^2)

    Every term of the series is positive: nothing cancels.

    Raises
    ------
    QbsweepError
        Without a Kerr term or losses.
    """
    if K == 0 or kappa <= 0:
        raise QbsweepError(f"the closed form needs `K` other than 0 and `kappa` above 0, but they are {K} and {kappa}")
    c, z = 2 * (detuning - 0.5j * kappa) / K, 2 * epsilon / K
    if z == 0:
        return 0.0

    def logarithm(c: complex) -> float:
        # Beyond both the smallest |c + k| and the peak at k^3 = 2 z^2, terms fall faster than 8^-k.
        k = np.arange(1, int(2 * abs(c) + 4 * (2 * z**2) ** (1 / 3)) + 60)
        steps = np.log(2 * z**2) - np.log(k) - 2 * np.log(np.abs(c + k - 1))
        return float(np.logaddexp.reduce(np.append(0.0, np.cumsum(steps))))

    return float(z**2 / abs(c) ** 2 * np.exp(logarithm(c + 1) - logarithm(c)))
