"""Steady states of whole families of networks at once.

A family (see `qbsweep.physics.moments.family`) has the drift matrices ``M = J A + kappa B + D``. All functions take
arrays `J` and `kappa` of shape (P,), one entry a member, and return (N+1, P).

On a tree (a chain, a star, anything without loops) elimination from the leaves to the charger fills
nothing in and costs O(N) per member, with members along the fast axis. A resonant tree needs no
complex numbers: only products M[u,v] M[v,u] and moduli enter, and those are real. Any other graph goes
through batched LAPACK. `qbsweep.physics.reference` is the slow, readable counterpart.

Energies keep a small relative error down to 2e-308, the smallest normal double. Below that (say at the
end of a long and very weakly coupled chain) they lose digits and become 0, without a warning.
"""

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.family import Family, parents_first


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
        ratio = abs(net.A.get((mode, parent), 0.0)) * J / np.abs(pivots[mode])
        ratio *= ratio
        np.multiply(populations[parent], ratio, out=populations[mode])
    return populations


def _diagonals(net: Family, J: Array, kappa: Array) -> Callable[[int], Array]:
    """Return the function mode -> ``M[m,m]`` over the members; equal diagonals are computed once."""

    @cache
    def combined(a: complex, b: complex, d: complex) -> Array:
        return np.asarray(J * a + kappa * b + d)

    return lambda mode: combined(net.A.get((mode, mode), 0.0), net.B[mode], net.D[mode])


def _pivots(net: Family, parents: tuple[int, ...], J: Array, kappa: Array) -> list[Array]:
    """Pivots of the elimination from the leaves: ``g_m = M_mm - sum_children M_mc M_cm / g_c``.

    Re g <= -kappa/2 < 0 always, because every Schur complement of a dissipative matrix is dissipative:
    no pivoting is needed and none of the sums below cancels in a resonant network.
    """
    diagonal = _diagonals(net, J, kappa)
    pivots = [diagonal(mode) for mode in range(net.n_modes)]
    for mode in reversed(net.order[1:]):
        parent = parents[mode]
        loop = _loop(net, mode, parent)
        if loop:
            pivots[parent] = pivots[parent] - (loop * J) * (J / pivots[mode])
    return pivots


def _loop(net: Family, mode: int, parent: int) -> complex:
    """``A[m,p] A[p,m]``: what travels to a mode and back."""
    return net.A.get((mode, parent), 0.0) * net.A.get((parent, mode), 0.0)


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
        loop = _loop(net, mode, parent)
        hop = J / pivots[mode]
        G[mode] = 1 / pivots[mode] + G[parent] * (loop * hop * hop)
    return np.asarray(kappa * net.B[0] * G)


def _directed_diagonal(net: Family, parents: tuple[int, ...], J: Array, kappa: Array) -> Array:
    """Diagonal of X on a tree without backward hops, shape (N+1, P).

    ``(d_j + d_k) X_jk = -(K_sq[j,k] + a_j X_{p(j),k} + a_k X_{j,p(k)})`` with d the diagonal and a_j the
    hop from the parent p(j): pairs in the order of their summed depth, so two levels are in memory.
    """
    diagonal = _diagonals(net, J, kappa)
    result = np.empty((net.n_modes, len(J)), dtype=net.dtype)
    pairs = _ancestor_pairs(parents)
    level: dict[tuple[int, int], Array] = {}
    for level_pairs in pairs:
        previous, level = level, {}
        for j, k in level_pairs:
            total = J * net.A_sq.get((j, k), 0.0) + kappa * (net.B_sq[j] if j == k else 0.0)
            for child, other in ((j, k), (k, j)):
                if parents[child] >= 0:
                    parent = parents[child]
                    key = (parent, other) if (parent, other) in previous else (other, parent)
                    total = total + J * net.A.get((child, parent), 0.0) * previous[key]
            level[j, k] = -total / (diagonal(j) + diagonal(k))
            if j == k:
                result[j] = level[j, k]
    return result


def depths(parents: tuple[int, ...]) -> list[int]:
    """Return how many hops every mode of a tree is away from the charger."""
    hops = [0] * len(parents)
    for mode in parents_first(parents)[1:]:
        hops[mode] = hops[parents[mode]] + 1
    return hops


@lru_cache(maxsize=8)
def _ancestor_pairs(parents: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    """All pairs (j, k) that some X_mm depends on, grouped by summed depth, each unordered pair once."""
    depth = depths(parents)
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
    slowest = kappa * np.abs(net.B).min()
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
