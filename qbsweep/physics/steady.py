"""Steady states of whole families of networks at once.

A family is one network whose couplings are scaled by J and whose losses by kappa, so its drift
matrices are ``M = J A + kappa B + D`` with constant A (edges), diagonal B (losses) and D (detuning).
All functions take arrays `J` and `kappa` of shape (P,), one entry a member, and return (N+1, P).

On a tree (a chain, a star, anything without loops) elimination from the leaves to the charger fills
nothing in and costs O(N) per member, with members along the fast axis. A resonant tree needs no
complex numbers: only products M[u,v] M[v,u] and moduli enter, and those are real. Any other graph goes
through batched LAPACK. `qbsweep.physics.reference` is the slow, readable counterpart.

Energies keep a small relative error down to 2e-308, the smallest normal double. Below that (say at the
end of a long and very weakly coupled chain) they lose digits and become 0, without a warning.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from qbsweep.physics.network import (
    Array,
    ComplexArray,
    FloatArray,
    Network,
    coherent_matrix,
    drift_matrix,
    scaled,
    squeezing_matrix,
    tree_parents,
)


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Constant parts of the moment equations of a family: ``M = J A + kappa B + D``.

    They are kept in a gauge ``c_m -> phase_m c_m`` in which the drive's source ``-i epsilon e_0`` is
    ``epsilon e_0`` and the matrices of a resonant tree are real: the moduli that energies and ergotropies are made
    of do not depend on it, and real arithmetic is two to four times as fast.

    Attributes
    ----------
    A, B, D : ndarray, shape (N+1, N+1)
        Edges, losses and detunings; real if they can be.
    A_sq, B_sq : ndarray, shape (N+1, N+1)
        ``K_sq = J A_sq + kappa B_sq``, the pair noise of a squeezed bath.
    parents : tuple of int or None
        The tree, or None if the graph is not one or has a mode without loss; see `tree_parents`.
    order : tuple of int
        Modes with every parent before its children; empty without a tree.
    keeps_squeezing : bool
        X = phases solves the pair equation for every member, so |S_mm| = |Q|: before the gauge M and all
        jumps are real, as in the `phase-half-pi` realization.
    is_resolvent : bool
        ``X = -(kappa/2) M^{-1}`` before the gauge: real symmetric h, no cooperative jump, one loss rate.
    is_directed : bool
        A tree along which nothing travels back to the charger.
    """

    A: Array
    B: Array
    D: Array
    A_sq: Array
    B_sq: Array
    parents: tuple[int, ...] | None
    order: tuple[int, ...]
    keeps_squeezing: bool
    is_resolvent: bool
    is_directed: bool

    @property
    def n_modes(self) -> int:
        """Number of modes, N + 1."""
        return len(self.A)

    def drift(self, J: Array, kappa: Array) -> Array:
        """Drift matrices of the members, shape (P, N+1, N+1)."""
        return np.asarray(J[:, None, None] * self.A + kappa[:, None, None] * self.B + self.D)

    def pair_noise(self, J: Array, kappa: Array) -> Array:
        """Squeezing matrices of the members, shape (P, N+1, N+1)."""
        return np.asarray(J[:, None, None] * self.A_sq + kappa[:, None, None] * self.B_sq)


@lru_cache(maxsize=64)
def family(network: Network) -> Family:
    """Split the drift and squeezing matrices of `network` into their parts in J and kappa."""
    edges, losses = scaled(network, 1.0, 0.0), scaled(network, 0.0, 1.0)
    D = -1j * coherent_matrix(losses)
    A, B = drift_matrix(edges) - D, drift_matrix(losses) - D
    A_sq, B_sq = squeezing_matrix(edges), squeezing_matrix(losses)
    h = 1j * (A + D)
    # Elimination without pivoting needs a loss on every mode; the rare network without one is left to LAPACK.
    parents = tree_parents(network) if min(network.kappa) > 0 else None
    order = () if parents is None else _parents_first(parents)
    phases = _phases(A, parents, order)
    here, there = phases.conj()[:, None], phases[None, :]
    back = phases.conj()[None, :]
    return Family(
        A=_real_if_exactly(here * A * there),
        B=B.real,
        D=_real_if_exactly(D),
        A_sq=_real_if_exactly(here * A_sq * back),
        B_sq=_real_if_exactly(here * B_sq * back),
        parents=parents,
        order=order,
        keeps_squeezing=not ((A + A.T + A_sq).any() or (B + B.T + B_sq).any() or D.any()),
        is_resolvent=not (A_sq.any() or h.imag.any() or (h - h.T).any() or len(set(network.kappa)) > 1),
        is_directed=parents is not None and not any(A[parents[m], m] for m in order[1:]),
    )


def _phases(A: ComplexArray, parents: tuple[int, ...] | None, order: tuple[int, ...]) -> ComplexArray:
    """Phases of the modes that make the drive's source and every hop away from the charger positive."""
    phases = np.full(len(A), -1j)
    for mode in order[1:]:
        parent = parents[mode] if parents else 0
        hop = A[mode, parent]
        phases[mode] = phases[parent] * (hop / abs(hop) if hop else 1.0)
    return phases


def _real_if_exactly(matrix: ComplexArray) -> Array:
    return matrix if matrix.imag.any() else matrix.real


def _parents_first(parents: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(parents)), key=lambda mode: (_depth(mode, parents), mode)))


def _depth(mode: int, parents: tuple[int, ...]) -> int:
    depth = 0
    while parents[mode] >= 0:
        mode, depth = parents[mode], depth + 1
    return depth


def coherent_populations(net: Family, J: Array, kappa: Array) -> FloatArray:
    """Steady ``|alpha_m|^2 / epsilon^2`` of every mode and member, shape (N+1, P), in 1/omega^2."""
    if net.parents is None:
        source = np.zeros((net.n_modes, 1))
        source[0] = -1
        alpha = np.linalg.solve(net.drift(J, kappa), source)[..., 0]
        return np.asarray(np.abs(alpha.T) ** 2)
    pivots = _pivots(net, net.parents, J, kappa)
    populations = np.empty((net.n_modes, len(J)))
    populations[0] = np.abs(1 / pivots[0]) ** 2
    for mode in net.order[1:]:
        parent = net.parents[mode]
        ratio = abs(net.A[mode, parent]) * J / np.abs(pivots[mode])
        ratio *= ratio
        np.multiply(populations[parent], ratio, out=populations[mode])
    return populations


def _diagonals(net: Family, J: Array, kappa: Array) -> Callable[[int], Array]:
    """Return the function mode -> ``M[m,m]`` over the members; equal diagonals are computed once."""

    @cache
    def combined(a: complex, b: complex, d: complex) -> Array:
        return np.asarray(J * a + kappa * b + d)

    return lambda mode: combined(net.A[mode, mode], net.B[mode, mode], net.D[mode, mode])


def _pivots(net: Family, parents: tuple[int, ...], J: Array, kappa: Array) -> list[Array]:
    """Pivots of the elimination from the leaves: ``g_m = M_mm - sum_children M_mc M_cm / g_c``.

    Re g <= -kappa/2 < 0 always, because every Schur complement of a dissipative matrix is dissipative:
    no pivoting is needed and none of the sums below cancels in a resonant network.
    """
    diagonal = _diagonals(net, J, kappa)
    pivots = [diagonal(mode) for mode in range(net.n_modes)]
    for mode in reversed(net.order[1:]):
        parent = parents[mode]
        loop = net.A[mode, parent] * net.A[parent, mode]
        if loop:
            pivots[parent] = pivots[parent] - (loop * J) * (J / pivots[mode])
    return pivots


def anomaly_ratios(net: Family, J: Array, kappa: Array) -> FloatArray | None:
    """Steady ``|S_mm| / |Q|`` of every mode and member, shape (N+1, P); None where all are exactly 1.

    ``S = conj(Q) X`` and ``M X + X M^T + K_sq = 0``, so one solve serves every bath.
    """
    if net.keeps_squeezing:
        return None
    if net.parents is not None and net.is_resolvent:
        diagonal = _resolvent_diagonal(net, net.parents, J, kappa)
    elif net.parents is not None and net.is_directed:
        diagonal = _directed_diagonal(net, net.parents, J, kappa)
    else:
        diagonal = np.diagonal(pair_matrices(net, J, kappa), axis1=1, axis2=2).T
    return np.asarray(np.minimum(np.abs(diagonal), 1.0))


def _resolvent_diagonal(net: Family, parents: tuple[int, ...], J: Array, kappa: Array) -> Array:
    """Diagonal of ``X = -(kappa/2) M^{-1}`` on a tree, shape (N+1, P).

    The inverse's diagonal follows from the pivots: ``G_c = 1/g_c + G_p M_pc M_cp / g_c^2``.
    """
    pivots = _pivots(net, parents, J, kappa)
    G = np.empty((net.n_modes, len(J)), dtype=np.result_type(*pivots))
    G[0] = 1 / pivots[0]
    for mode in net.order[1:]:
        parent = parents[mode]
        loop = net.A[mode, parent] * net.A[parent, mode]
        hop = J / pivots[mode]
        G[mode] = 1 / pivots[mode] + G[parent] * (loop * hop * hop)
    return np.asarray(kappa * net.B[0, 0] * G)


def _directed_diagonal(net: Family, parents: tuple[int, ...], J: Array, kappa: Array) -> Array:
    """Diagonal of X on a tree without backward hops, shape (N+1, P).

    ``(d_j + d_k) X_jk = -(K_sq[j,k] + a_j X_{p(j),k} + a_k X_{j,p(k)})`` with d the diagonal and a_j the
    hop from the parent p(j): pairs in the order of their summed depth, so two levels are in memory.
    """
    diagonal = _diagonals(net, J, kappa)
    result = np.empty((net.n_modes, len(J)), dtype=np.result_type(net.A, net.A_sq, net.B_sq, net.D))
    pairs = _ancestor_pairs(parents)
    level: dict[tuple[int, int], Array] = {}
    for level_pairs in pairs:
        previous, level = level, {}
        for j, k in level_pairs:
            total = J * net.A_sq[j, k] + kappa * net.B_sq[j, k]
            for child, other in ((j, k), (k, j)):
                if parents[child] >= 0:
                    parent = parents[child]
                    key = (parent, other) if (parent, other) in previous else (other, parent)
                    total = total + J * net.A[child, parent] * previous[key]
            level[j, k] = -total / (diagonal(j) + diagonal(k))
            if j == k:
                result[j] = level[j, k]
    return result


def _ancestor_pairs(parents: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    """All pairs (j, k) that some X_mm depends on, grouped by summed depth, each unordered pair once."""
    depth = [_depth(mode, parents) for mode in range(len(parents))]
    levels: list[list[tuple[int, int]]] = [[] for _ in range(2 * max(depth) + 1)]
    wanted = {(mode, mode) for mode in range(len(parents))}
    for total in range(2 * max(depth), -1, -1):
        here = sorted(pair for pair in wanted if depth[pair[0]] + depth[pair[1]] == total)
        levels[total] = here
        for j, k in here:
            for child, other in ((j, k), (k, j)):
                if parents[child] >= 0:
                    first, second = parents[child], other
                    wanted.add((min(first, second), max(first, second)))
    return levels


def pair_matrices(net: Family, J: Array, kappa: Array) -> Array:
    """Solve ``M X + X M^T + K_sq = 0`` for every member, shape (P, N+1, N+1), by Smith's doubling.

    With the Cayley transform ``F = (s + M)(s - M)^{-1}`` the solution is the convergent series
    ``X = sum_k F^k W (F^T)^k``, ``W = 2 s (s - M)^{-1} K_sq (s - M)^{-T}``, summed by doubling: 2^j terms
    after j steps. s is the geometric mean of the fastest and the slowest local rate. X is in the family's gauge.

    Raises
    ------
    ArithmeticError
        If the series does not converge: some mode of the network is not damped at all.
    """
    M, K = net.drift(J, kappa), net.pair_noise(J, kappa)
    fastest = np.abs(M).sum(axis=2).max(axis=1)
    slowest = np.abs(np.diagonal(kappa[:, None, None] * net.B, axis1=1, axis2=2)).min(axis=1)
    slowest = np.maximum(slowest, 1e-8 * fastest)
    shift = np.sqrt(fastest * slowest)[:, None, None] * np.eye(net.n_modes)
    inverse = np.linalg.inv(shift - M)
    F = inverse @ (shift + M)
    X = 2 * shift[:, :1, :1] * (inverse @ K @ inverse.transpose(0, 2, 1))
    active = np.arange(len(M))
    for _ in range(64):
        step = F[active] @ X[active] @ F[active].transpose(0, 2, 1)
        X[active] += step
        change = np.abs(step).max(axis=(1, 2)) > 1e-17 * np.abs(X[active]).max(axis=(1, 2))
        active = active[change]
        if not len(active):
            return np.asarray(X)
        F[active] = F[active] @ F[active]
    raise ArithmeticError("the pair moments have no steady state: some mode of the network is not damped")
