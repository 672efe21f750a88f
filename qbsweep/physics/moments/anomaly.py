"""How much of a squeezed bath's squeezing the modes of whole families of networks lose in the steady state.

On a tree without detuning, or along which nothing travels back, in O(N) or O(pairs) a member; on any other graph, and
where a bound of rounding is too large, by `qbsweep.physics.moments.refined`. The deficit itself is summed, never the
difference of two numbers near 1. Arrays are as in `qbsweep.physics.moments.steady`.
"""

import operator
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache, reduce
from itertools import accumulate
from typing import Any

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.bounded import UNIT, Bounded
from qbsweep.physics.moments.entries import ExactEntries, gauged, nearest, pair_source
from qbsweep.physics.moments.family import Family, parents_first
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.refined import ergotropy_error, refined_deficits
from qbsweep.physics.moments.steady import CARRIED, roundings

_OF_HOP = 8  # roundings that an entry takes part in on a hop of a pair
_KEPT = 16  # arrays that pairs of equal modes share
_COUNTED = 5e-10  # largest error bound where no sum cancels: a count of roundings is far above them


def anomaly_deficits(net: Family, rates: Rates) -> tuple[FloatArray | None, FloatArray]:
    """Steady ``1 - |S_mm| / |Q|``: how much of the bath's squeezing every mode has lost.

    ``S = conj(Q) X`` and ``M X + X M^T + K_sq = 0``, so one solve serves every bath.

    Returns
    -------
    deficits : ndarray, shape (N+1, P), or None
        None where all are exactly 0.
    error : ndarray, shape (P,) or ()
        Estimate of the largest error of an ergotropy in a squeezed bath, relative to the larger of it and P/100.
    """
    if net.keeps_squeezing:
        return None, np.zeros(())
    if net.parents is None or not (net.is_resolvent or net.is_directed):
        refined, error = refined_deficits(net, rates)
        return refined.T, error
    if net.is_resolvent and not net.cancels:
        return _positive_deficits(net, net.parents, rates), np.array(roundings(net))
    common = _common_phase(net) if net.is_directed else None
    if common:
        deficits, error = _common_deficits(net, net.parents, rates, common)
    elif net.is_directed:
        deficits, error = _directed_deficits(net, net.parents, rates)
    else:
        deficits, error = _resolvent_deficits(net, net.parents, rates)
    unsafe = np.flatnonzero(error > (_COUNTED if common else CARRIED))
    if len(unsafe):
        refined, error[unsafe] = refined_deficits(net, rates.of(unsafe))
        deficits[:, unsafe] = refined.T
    return deficits, error


def _positive_deficits(net: Family, parents: tuple[int, ...], rates: Rates) -> FloatArray:
    """Deficits of ``X = -(kappa/2) M^{-1}`` on a resonant tree: ``X_mm = (kappa/2) / (kappa/2 + w_m)``.

    w_m is what the neighbours add, see `_added`; all is positive, and ``1 - X = w / (kappa/2 + w)``.
    """
    half = -rates.kappa * net.B[0]
    deficits = np.zeros((net.n_modes, len(rates)))
    for mode, w in _added(net, parents, rates, half, [None] * net.n_modes):
        if w is not None:
            np.divide(w, half + w, out=deficits[mode])
    return deficits


def _resolvent_deficits(net: Family, parents: tuple[int, ...], rates: Rates) -> tuple[FloatArray, FloatArray]:
    """Deficits of ``X = -(kappa/2) M^{-1}`` on a detuned tree.

    As `_positive_deficits`, with i Delta_m in w_m. Real parts are positive, and so is all there is in
    ``1 - |X|^2 = (kappa Re w + |w|^2) / |kappa/2 + w|^2``.
    """
    half = -rates.kappa * net.B[0]
    deficits, error = np.empty((net.n_modes, len(rates))), np.zeros(len(rates))
    turns = np.broadcast_to(net.turns(rates), (len(rates), net.n_modes))
    shifts = [Bounded.rounded(-turn) for turn in turns.T]
    for mode, w in _added(net, parents, rates, Bounded.rounded(half), shifts):
        z = np.abs(half + w.value)
        lost = (2 * half * w.value.real + np.abs(w.value) ** 2) / z**2
        deficits[mode] = lost / (1 + half / z)
        error = np.maximum(error, ergotropy_error(lost, half * w.error / z**2 + 4 * UNIT * np.abs(w.value) / z))
    return deficits, error


def _added(
    net: Family, parents: tuple[int, ...], rates: Rates, half: Any, own: Sequence[Any]
) -> Iterator[tuple[int, Any]]:
    """Yield (mode, w) with ``w_m = own_m + sum_neighbours s``; None stands for nothing.

    A neighbour n adds ``s = |M_mn|^2 / (kappa/2 + own_n + sum of what its other neighbours add to it)``: messages
    from the leaves to the charger, and back.
    """
    children: list[list[int]] = [[] for _ in parents]
    for mode in net.order[1:]:
        children[parents[mode]].append(mode)

    @cache
    def square(loop: complex, number: int) -> Array:
        J = rates.coupling(number)
        return np.asarray((-loop * J) * J)

    squares = [square(*of_mode) for of_mode in zip(net.loops, net.couplings, strict=True)]
    below, upward, others = list(own), [None] * net.n_modes, [iter(())] * net.n_modes
    for mode in reversed(net.order[1:]):
        upward[mode] = squares[mode] / _sum(half, below[mode])
        below[parents[mode]] = _sum(below[parents[mode]], upward[mode])
    for mode in net.order:
        above = squares[mode] / _sum(half, next(others[parents[mode]])) if mode else None
        yield mode, _sum(below[mode], above)
        others[mode] = _without_each(_sum(own[mode], above), [upward[child] for child in children[mode]])


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def _without_each(first: Any, rest: list[Any]) -> Iterator[Any]:
    """Yield, for each of `rest`, the sum of `first` and all the others: no difference of sums keeps small ones."""
    behind = [*reversed(list(accumulate(reversed(rest[1:])))), None]
    for one, later in zip(rest, behind, strict=False):
        yield _sum(first, later)
        if later is not None:
            first = _sum(first, one)


@lru_cache(maxsize=64)
def _common_phase(net: Family) -> float | None:
    """Return x of 1 or -1 for which ``X = x`` would solve the pair equation of a real family without local losses."""
    if net.dtype.kind == "c":
        return None
    for x in (1.0, -1.0):
        if not any(_of_common_phase(net, x)):
            return x
    return None


def _of_common_phase(net: Family, x: float) -> Iterator[ExactEntries]:
    """Yield what ``X = x`` leaves of the pair equation of every coupling."""
    for drift, squeezing in net.exact:
        of_drift = gauged(drift, net.phases, conjugate=False)
        yield pair_source(of_drift, gauged(squeezing, net.phases, conjugate=True), x)


def _common_deficits(net: Family, parents: tuple[int, ...], rates: Rates, x: float) -> tuple[FloatArray, FloatArray]:
    """Deficits on a tree without backward hops whose cooperative jumps are squeezed alike, ``X = x``.

    Only local losses differ: with ``X = x (1 + y)``, ``M y + y M^T + kappa (x B_sq + 2 B) = 0``, and since all hops are
    positive and all sources negative, so are all terms. y_mm is between -2 and 0, and ``1 - |X|^2 = -y (2 + y)``.
    """
    deficits, lowest = np.zeros((net.n_modes, len(rates))), np.zeros(len(rates))
    sources = {(m, m): rates.loss(m) * (x * b + 2 * net.B[m]) for m, b in enumerate(net.B_sq) if x * b < 0}
    for mode, y in _pair_diagonal(net, parents, rates, lambda j, k: sources.get((j, k))):
        np.divide(-y * (2 + y), 1 + np.abs(1 + y), out=deficits[mode])
        np.minimum(lowest, y, out=lowest)
    relative = UNIT * _OF_HOP * (2 * max(depths(parents)) + 1)
    # |X| / max(|X|^2, 1/100) is 10 at most; the rest is `ergotropy_error`.
    return deficits, 10 * relative * np.sqrt(2 / np.maximum(2 + lowest, relative))


def _directed_deficits(net: Family, parents: tuple[int, ...], rates: Rates) -> tuple[FloatArray, FloatArray]:
    """Deficits on any tree without backward hops, from the deviation from what local losses alone would give.

    With ``X = phases*^2 (1 + y)``, ``1 - |X|^2 = -(2 Re y + |y|^2)``, and ``M Y + Y M^T + R = 0``, where
    ``R = K_sq - (K + K^T)/2 - i (h + h^T)`` before the gauge.
    """
    source = _source_of_members(net, rates) if len(net.parts) > 1 or net.is_detuned else _source(net, rates)
    deficits, error = np.zeros((net.n_modes, len(rates))), np.zeros(len(rates))
    for mode, Y in _pair_diagonal(net, parents, rates, source):
        y = (net.phases[mode] ** 2).real * Y.value
        lost = np.maximum(-(2 * y.real + np.abs(y) ** 2), 0.0)
        deficits[mode] = lost / (1 + np.abs(1 + y))
        error = np.maximum(error, ergotropy_error(lost, Y.error + 6 * UNIT * np.abs(y)))
    return deficits, error


def _source(net: Family, rates: Rates) -> Callable[[int, int], Bounded | None]:
    """Return the function (j, k) -> ``R_jk`` of members that one coupling makes."""
    exact = gauged(pair_source(*net.exact[0]), net.phases, conjugate=True)
    R, J = {jk: nearest(value) for jk, value in exact.items()}, rates.coupling(0)

    def source(j: int, k: int) -> Bounded | None:
        of_edges = R.get((j, k), 0.0)
        detuning = 2 * net.D[j] * net.phases[j].conjugate() ** 2 if j == k else 0.0
        return Bounded.rounded(J * of_edges + detuning) if of_edges or detuning else None

    return source


def _source_of_members(net: Family, rates: Rates) -> Callable[[int, int], Bounded | None]:
    """Return the function (j, k) -> ``R_jk`` of any members."""
    of_edges: dict[tuple[int, int], list[Bounded]] = defaultdict(list)
    for number, part in enumerate(net.exact):
        for jk, value in gauged(pair_source(*part), net.phases, conjugate=True).items():
            of_edges[jk].append(Bounded.rounded(rates.coupling(number) * nearest(value)))
    turns = np.broadcast_to(net.turns(rates), (len(rates), net.n_modes))
    for mode, phase in enumerate(net.phases):
        if turns[:, mode].any():
            of_edges[mode, mode].append(Bounded.rounded(2 * turns[:, mode] * phase.conjugate() ** 2))
    return lambda j, k: reduce(operator.add, of_edges[j, k]) if of_edges.get((j, k)) else None


def _pair_diagonal(
    net: Family,
    parents: tuple[int, ...],
    rates: Rates,
    source: Callable[[int, int], Any],
) -> Iterator[tuple[int, Any]]:
    """Yield (mode, Y_mm) of ``M Y + Y M^T + source = 0`` on a tree without backward hops, but where it is 0.

    ``(d_j + d_k) Y_jk = -(source_jk + a_j Y_{p(j),k} + a_k Y_{j,p(k)})`` with d the diagonal and a_j the
    hop from the parent p(j): pairs in the order of their summed depth, so two levels are in memory.
    """
    inverse = _inverse(net, rates) if rates.is_uniform else _inverse_of_members(net, rates)

    @lru_cache(maxsize=_KEPT)
    def hop(a: complex, number: int) -> Array:
        return np.asarray(rates.coupling(number) * a)

    hops = [net.A.get((mode, parent), 0.0) for mode, parent in enumerate(parents)]
    level: dict[tuple[int, int], Any] = {}
    for level_pairs in _ancestor_pairs(parents):
        previous, level = level, {}
        for j, k in level_pairs:
            total = source(j, k)
            for child, other in ((j, k), (k, j)):
                if parents[child] >= 0:
                    before = previous[min(parents[child], other), max(parents[child], other)]
                    if before is not None:
                        total = _sum(total, hop(hops[child], net.couplings[child]) * before)
            if total is not None:
                total = inverse(j, k) * total
            level[j, k] = total
            if j == k and total is not None:
                yield j, total


def _inverse(net: Family, rates: Rates) -> Callable[[int, int], Array]:
    """Return the function (j, k) -> ``-1 / (d_j + d_k)`` of members that two numbers make; equal ones are shared."""

    @lru_cache(maxsize=_KEPT)
    def inverse(a: complex, b: complex, d: complex) -> Array:
        return np.asarray(-1 / (rates.J * a + rates.kappa * b + d))

    a = [net.A.get((mode, mode), 0.0) for mode in range(net.n_modes)]
    return lambda j, k: inverse(a[j] + a[k], net.B[j] + net.B[k], net.D[j] + net.D[k])


def _inverse_of_members(net: Family, rates: Rates) -> Callable[[int, int], Array]:
    """Return the function (j, k) -> ``-1 / (d_j + d_k)`` of any members."""
    diagonal = (rates.losses() * net.B + net.turns(rates)).T
    for number, part in enumerate(net.parts):
        for (j, k), a in part.items():
            if j == k:
                diagonal[j] += rates.coupling(number) * a
    return lambda j, k: np.asarray(-1 / (diagonal[j] + diagonal[k]))


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
