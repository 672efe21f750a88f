"""Families of networks: one network whose couplings are scaled by J and whose losses by kappa.

Its drift matrices are ``M = J A + kappa B + D`` with constant A (edges), diagonal B (losses) and D (detuning),
so whole arrays of (J, kappa) can be solved at once; see the modules `steady` and `dynamics` beside this one.
Where members differ edge by edge and mode by mode (see `qbsweep.physics.moments.rates`), ``M = sum_e J_e A_e + ...``
with the entries `parts` of every edge, and whatever a family promises of its members is true of all of them.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from qbsweep.arrays import Array, ComplexArray
from qbsweep.physics.moments.entries import ExactEntries, edge_entries, entries_of, nearest, pair_source
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.network import Network, tree_parents

Entries = dict[tuple[int, int], complex]


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Constant parts of the moment equations of a family: ``M = J A + kappa B + D``.

    They are kept in a gauge ``c_m -> phase_m c_m`` in which the drive's source ``-i epsilon e_0`` is
    ``epsilon e_0`` and the matrices of a resonant tree are real if its hops are real or imaginary: the moduli that
    energies and ergotropies are made of do not depend on it, and real arithmetic is two to four times as fast.
    All phases are quarter turns: another would be rounded, and look like a loss of squeezing.

    Attributes
    ----------
    network : Network
    phases : ndarray, shape (N+1,)
        1, i, -1 or -i.
    A, A_sq : dict
        Non-zero entries (j, k) of A and of that part of ``K_sq`` which is proportional to J.
    parts : tuple of dict
        Non-zero entries of what every coupling of the members is a factor of: A, or the parts that edges have in it.
    exact : tuple of (drift, squeezing)
        The same as they are before the gauge, unrounded.
    B, B_sq, D : ndarray, shape (N+1,)
        Diagonals; B_sq is that part of ``K_sq`` which is proportional to kappa.
    parents : tuple of int or None
        The tree, or None if the graph is not one or has a mode without loss; see `tree_parents`.
    order : tuple of int
        Modes with every parent before its children; empty without a tree.
    loops : tuple
        ``A[m,p] A[p,m]`` of every mode of a tree and its parent p: what travels to a mode and back.
    couplings : tuple of int
        Of every mode of a tree, which of the `parts` has its edge to the parent.
    cancels : bool
        Elimination on the tree may lose digits: not all loops are negative, or some mode is detuned.
    is_detuned : bool
        Members have detunings of their own.
    keeps_squeezing : bool
        X = phases solves the pair equation for every member, so |S_mm| = |Q|: before the gauge M and all
        jumps are real, as in the `phase-half-pi` realization.
    is_resolvent : bool
        ``X = -(kappa/2) M^{-1}`` before the gauge: real symmetric h, no cooperative jump, one loss rate.
    is_directed : bool
        A tree along which nothing travels back to the charger.
    dtype : dtype
        float64 if all entries are real.
    """

    network: Network
    phases: ComplexArray
    A: Entries
    A_sq: Entries
    parts: tuple[Entries, ...]
    exact: tuple[tuple[ExactEntries, ExactEntries], ...]
    B: Array
    B_sq: Array
    D: Array
    parents: tuple[int, ...] | None
    order: tuple[int, ...]
    loops: tuple[complex, ...]
    couplings: tuple[int, ...]
    cancels: bool
    is_detuned: bool
    keeps_squeezing: bool
    is_resolvent: bool
    is_directed: bool
    dtype: np.dtype[Any]

    @property
    def n_modes(self) -> int:
        """Number of modes, N + 1."""
        return len(self.B)

    def drift(self, rates: Rates) -> Array:
        """Drift matrices of the members, shape (P, N+1, N+1)."""
        matrices = np.zeros((len(rates), self.n_modes, self.n_modes), dtype=self.dtype)
        for part, entries in enumerate(self.parts):
            for (j, k), value in entries.items():
                matrices[:, j, k] += rates.coupling(part) * value
        modes = np.arange(self.n_modes)
        matrices[:, modes, modes] += rates.losses() * self.B + self.turns(rates)
        return matrices

    def turns(self, rates: Rates) -> Array:
        """Return what the detunings add to the diagonal, shape (P, N+1) or (N+1,)."""
        return self.D if rates.detuning is None else -1j * rates.detuning.T


@lru_cache(maxsize=64)
def family(
    network: Network, *, is_disordered: bool = False, is_uneven: bool = False, is_detuned: bool = False
) -> Family:
    """Split the drift and squeezing matrices of `network` into their parts in J and kappa.

    Parameters
    ----------
    is_disordered, is_uneven, is_detuned : bool
        Whether members have a coupling for every edge, a loss for every mode, a detuning for every mode.
    """
    drift, squeezing = edge_entries(network)
    exact = tuple(entries_of(edge) for edge in network.edges) if is_disordered else ((drift, squeezing),)
    # Rounded once: a sum of rounded parts that cancel has no digits of its own.
    A, A_sq = (defaultdict(complex, {jk: nearest(a) for jk, a in part.items()}) for part in (drift, squeezing))
    # Elimination without pivoting needs a loss on every mode; the rare network without one is left to LAPACK.
    parents = tree_parents(network) if min(network.kappa) > 0 else None
    if is_disordered and len(network.edges) >= network.n_modes:  # two edges between two modes
        parents = None
    order = () if parents is None else parents_first(parents)
    turns = _quarter_turns(A, network.n_modes, parents, order)
    back, phases = [turn.conjugate() for turn in turns], np.array(turns)
    losses, detuning = np.array(network.kappa), np.array(network.detuning)
    turned = is_detuned or bool(detuning.any())
    rounded = [A] if not is_disordered else [{jk: nearest(a) for jk, a in part.items()} for part, _ in exact]
    loops = [0.0] if parents is None else [0.0, *(_loop(A, mode, parents[mode]) for mode in range(1, len(parents)))]
    parts = (
        {(j, k): back[j] * a * turns[k] for (j, k), a in A.items() if a},
        {(j, k): back[j] * a * back[k] for (j, k), a in A_sq.items()},
        losses * phases.conj() ** 2,
        -1j * detuning,
    )
    of_edges: list[Entries] = []
    if is_disordered:
        of_edges = [{(j, k): back[j] * a * turns[k] for (j, k), a in part.items() if a} for part in rounded]
        jumps = ({(j, k): back[j] * nearest(a) * back[k] for (j, k), a in part.items()} for _, part in exact)
        parts = (*parts, *of_edges, *jumps)
    imaginary = any(np.imag(list(p.values()) if isinstance(p, dict) else p).any() for p in parts)
    is_real = not (is_detuned or imaginary)
    as_entries, as_array = (_real_entries, np.real) if is_real else (dict, np.asarray)
    return Family(
        network=network,
        phases=phases,
        A=as_entries(parts[0]),
        A_sq=as_entries(parts[1]),
        parts=tuple(as_entries(part) for part in of_edges or parts[:1]),
        exact=exact,
        B=-losses / 2,
        B_sq=as_array(parts[2]),
        D=as_array(parts[3]),
        parents=parents,
        order=order,
        loops=tuple(loops),
        couplings=_couplings(network, parents, is_disordered=is_disordered),
        cancels=any(loops) and (turned or any(loop.imag or loop.real > 0 for loop in loops)),
        is_detuned=is_detuned,
        keeps_squeezing=not (turned or any(pair_source(*part) for part in exact)),
        is_resolvent=not (is_uneven or any(j == k for j, k in drift))
        and len(set(network.kappa)) == 1
        and not any(a.real or a != part.get((k, j)) for part in rounded for (j, k), a in part.items()),
        is_directed=parents is not None and not any(A[parents[m], m] for m in order[1:]),
        dtype=np.dtype(float if is_real else complex),
    )


def _loop(A: Entries, mode: int, parent: int) -> complex:
    loop = A[mode, parent] * A[parent, mode]
    return loop if loop.imag else loop.real


def _couplings(network: Network, parents: tuple[int, ...] | None, *, is_disordered: bool) -> tuple[int, ...]:
    if parents is None or not is_disordered:
        return (0,) * network.n_modes
    of_pair = {pair: number for number, e in enumerate(network.edges) for pair in ((e.u, e.v), (e.v, e.u))}
    return (0, *(of_pair[mode, parents[mode]] for mode in range(1, network.n_modes)))


def _real_entries(entries: Entries) -> Entries:
    return {jk: value.real for jk, value in entries.items()}


def _quarter_turns(A: Entries, n_modes: int, parents: tuple[int, ...] | None, order: tuple[int, ...]) -> list[complex]:
    """Phases that make the drive's source positive, and every hop away from the charger that they can."""
    turns = [-1j] * n_modes
    for mode in order[1:]:
        parent = parents[mode] if parents else 0
        hop = A[mode, parent]
        turns[mode] = turns[parent] * (1.0 if hop.real and hop.imag else hop / abs(hop) if hop else 1.0)
    return turns


def parents_first(parents: tuple[int, ...]) -> tuple[int, ...]:
    """Return the modes of a tree with every parent before its children."""
    children: list[list[int]] = [[] for _ in parents]
    for mode, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(mode)
    order = [0]
    for mode in order:
        order += children[mode]
    return tuple(order)
