"""Energies and ergotropies of a network in ball arithmetic of 900 bits: what the moment solver is judged by.

Written from the moment equations alone. With fluctuations d = c - alpha, C[j,k] = <d_j^dag d_k>, S[j,k] = <d_j d_k>::

    d alpha/dt = M alpha - i epsilon e_0            M = -i h - K/2
    dC/dt = conj(M) C + C M^T + P conj(K)           K[j,k] = sum_L conj(L_j) L_k
    dS/dt = M S + S M^T + Q K_sq                    K_sq[j,k] = sum_L conj(L_j) conj(L_k)

    E = |alpha|^2 + C_mm      ergotropy = E + 1/2 - sqrt((C_mm + 1/2)^2 - |S_mm|^2)

The numbers of a network are those of its edges, losses and detunings: doubles taken exactly, their products exact, and
`phase_factor` for ``e^{i theta}``. Since ``M + M^dag = -K``, C = P 1 in the steady state.

Every result is an enclosure: the exact value lies in the ball, and a ball that is too wide is computed again with
twice the bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from flint import acb, acb_mat, arb, ctx

from qbsweep.physics.network import Network, phase_factor

Found = TypeVar("Found")

BITS = 900
_ACCURATE = 200  # bits that every energy keeps
_NOTHING = 1e-300  # energies below are known to be below, no more: doubles end there


@dataclass(frozen=True, slots=True)
class Modes:
    """Energy and ergotropy of every mode, in units of omega."""

    energy: list[arb]
    ergotropy: list[arb]

    @property
    def is_accurate(self) -> bool:
        """Whether every value is known to `_ACCURATE` bits, or to be nothing."""
        return all(x.rel_accuracy_bits() >= _ACCURATE or abs(x) < _NOTHING for x in self.energy + self.ergotropy)


@dataclass(frozen=True, slots=True)
class Matrices:
    """Drift matrix, damping matrix and squeezing matrix of a network, and the smallest loss rate of its modes."""

    M: acb_mat
    K: acb_mat
    K_sq: acb_mat
    slowest: arb


def steady_modes(network: Network, J: float, kappa: float, epsilon: float, n_th: float, r: float) -> Modes:
    """Steady state of `network` with every J and Gamma times `J` and every loss times `kappa`."""

    def modes() -> Modes:
        matrices = matrices_of(network, J, kappa)
        P, Q = bath(n_th, r)
        X = steady_pairs(matrices) if r else acb_mat(network.n_modes, network.n_modes)
        alpha = steady_amplitudes(matrices, epsilon)
        return _modes([alpha[m, 0] for m in range(network.n_modes)], [P] * network.n_modes, _scaled(_diagonal(X), Q))

    return _accurate(modes, lambda found: found.is_accurate)


def evolved_modes(
    network: Network, J: float, kappa: float, epsilon: float, n_th: float, r: float, times: Sequence[float]
) -> list[Modes]:
    """Return the modes at each of `times` (in 1/omega), from vacuum at 0, of the network that `steady_modes` has."""

    def modes() -> list[Modes]:
        matrices = matrices_of(network, J, kappa)
        P, Q = bath(n_th, r)
        steady_alpha = steady_amplitudes(matrices, epsilon)
        X = steady_pairs(matrices) if r else acb_mat(network.n_modes, network.n_modes)
        found = []
        for time in times:
            if not time:  # vacuum, which no ball around a difference would say
                found.append(Modes([arb(0)] * network.n_modes, [arb(0)] * network.n_modes))
                continue
            U = (matrices.M * arb(time)).exp()
            alpha = steady_alpha - U * steady_alpha
            filling = [1 - x for x in _rows(U, U.conjugate())]
            pairs = [x - y for x, y in zip(_diagonal(X), _rows(U * X, U), strict=True)]
            C = [P * x.real for x in filling]
            found.append(_modes([alpha[m, 0] for m in range(network.n_modes)], C, _scaled(pairs, Q)))
        return found

    return _accurate(modes, lambda found: all(one.is_accurate for one in found))


def _accurate(compute: Callable[[], Found], is_accurate: Callable[[Found], bool]) -> Found:
    """Return the first result that is, with 900 bits and then ever twice as many."""
    for doublings in range(4):
        with ctx.workprec(BITS << doublings):
            found = compute()
            if is_accurate(found):
                return found
    raise ArithmeticError(f"{BITS << doublings} bits do not suffice")


def bath(n_th: float, r: float) -> tuple[arb, arb]:
    """``P = n_th cosh 2r + sinh^2 r`` and ``Q = (2 n_th + 1) sinh r cosh r``."""
    n, r = arb(n_th), arb(r)
    return n * (2 * r).cosh() + r.sinh() ** 2, (2 * n + 1) * r.sinh() * r.cosh()


def matrices_of(network: Network, J: float, kappa: float) -> Matrices:
    """Matrices of the network with every J and Gamma times `J` and every loss times `kappa`."""
    n = network.n_modes
    h, K, K_sq = acb_mat(n, n), acb_mat(n, n), acb_mat(n, n)
    losses = [arb(kappa) * arb(rate) for rate in network.kappa]
    for m in range(n):
        h[m, m] = acb(arb(network.detuning[m]))
        K[m, m] = K_sq[m, m] = acb(losses[m])
    for e in network.edges:
        hop = arb(J) * arb(e.J) * acb(phase_factor(e.theta))
        h[e.u, e.v] += hop
        h[e.v, e.u] += hop.conjugate()
        p = {e.u: acb(complex(e.p_u)), e.v: acb(complex(e.p_v))}
        for j in p:
            for k in p:
                K[j, k] += arb(J) * arb(e.Gamma) * p[j].conjugate() * p[k]
                K_sq[j, k] += arb(J) * arb(e.Gamma) * p[j].conjugate() * p[k].conjugate()
    return Matrices(h * acb(0, -1) - K / 2, K, K_sq, min(losses, key=float))


def steady_amplitudes(matrices: Matrices, epsilon: float) -> acb_mat:
    """``alpha = i epsilon M^{-1} e_0``, shape (N+1, 1)."""
    source = acb_mat(matrices.M.nrows(), 1)
    source[0, 0] = acb(0, epsilon)
    alpha = matrices.M.solve(source).mid()
    return _enclosed(alpha, matrices.M * alpha - source, matrices.slowest / 2)


def steady_pairs(matrices: Matrices) -> acb_mat:
    """X of ``M X + X M^T + K_sq = 0``, by Smith's doubling.

    With the Cayley transform ``F = (s - M)^{-1} (s + M)``, ``X = sum_k F^k W (F^T)^k`` with
    ``W = 2 s (s - M)^{-1} K_sq (s - M)^{-T}``: 2^j terms after j steps. Balls would grow without end and are dropped
    after each step; what that costs is in the residual, which encloses the solution again.
    """
    M, K_sq, n = matrices.M, matrices.K_sq, matrices.M.nrows()
    fastest = max(sum(abs(x) for x in row) for row in _floats(M))
    shift = arb(fastest * float(matrices.slowest)).sqrt().mid()
    unit = acb_mat([[shift if j == k else 0 for k in range(n)] for j in range(n)])
    inverse = (unit - M).inv().mid()
    F = (inverse * (unit + M)).mid()
    X = (2 * shift * inverse * K_sq * inverse.transpose()).mid()
    for _ in range(100):
        step = (F * X * F.transpose()).mid()
        X = (X + step).mid()
        if _norm(step) < arb(2) ** -(ctx.prec // 2) * _norm(X):
            return _enclosed(X, M * X + X * M.transpose() + K_sq, matrices.slowest)
        F = (F * F).mid()
    raise ArithmeticError("the doubling does not end")


def _enclosed(solution: acb_mat, residual: acb_mat, rate: arb) -> acb_mat:
    """Give a solution the radius of its error, ``|residual| / rate``.

    The error is the integral of the residual propagated, and ``|e^{Mt}| <= e^{-slowest t / 2}`` since
    ``M + M^dag = -K <= -slowest``: the rate is slowest/2 for amplitudes and slowest for pairs.
    """
    radius = (_norm(residual) / rate).upper()
    ball = acb(arb(0, radius), arb(0, radius))
    return acb_mat([[x + ball for x in row] for row in solution.table()])


def _norm(matrix: acb_mat) -> arb:
    """Frobenius norm, from above."""
    return sum((_square(x) for x in matrix.entries()), arb(0)).upper().sqrt()


def _square(x: acb) -> arb:
    """``|x|^2``, for a ball around 0 as well, of which a power is not a number."""
    return x.real * x.real + x.imag * x.imag


def _floats(matrix: acb_mat) -> list[list[complex]]:
    return [[complex(x) for x in row] for row in matrix.table()]


def _diagonal(matrix: acb_mat) -> list[acb]:
    return [matrix[m, m] for m in range(matrix.nrows())]


def _rows(left: acb_mat, right: acb_mat) -> list[acb]:
    """``sum_k left[m, k] right[m, k]`` of every row."""
    rows = zip(left.table(), right.table(), strict=True)
    return [sum((x * y for x, y in zip(*row, strict=True)), acb(0)) for row in rows]


def _scaled(values: list[acb], factor: arb) -> list[acb]:
    return [factor * x for x in values]


def _modes(alpha: list[acb], C: list[arb], S: list[acb]) -> Modes:
    coherent = [_square(x) for x in alpha]
    nu = [((c + 0.5) ** 2 - _square(s)).sqrt() for c, s in zip(C, S, strict=True)]
    energy = [x + c for x, c in zip(coherent, C, strict=True)]
    return Modes(energy, [E + 0.5 - root for E, root in zip(energy, nu, strict=True)])
