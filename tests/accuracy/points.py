"""Random networks, baths and times, each from a seed of its own: what the moment solver is measured on."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from qbsweep.physics.matrices import coherent_matrix
from qbsweep.physics.network import Edge, Network, scaled
from qbsweep.physics.topologies import COUPLINGS, REALIZATIONS, TOPOLOGIES

COUNT = 5000
SEED = 2026
Pairs = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Point:
    """A network, what it is coupled to, and in words how it was drawn.

    Attributes
    ----------
    number : int
        The point is `drawn(number)`.
    kind : str
        Chain, star, tree, ring or graph, built in or not.
    words : str
    network : Network
    J, kappa : float
        Factors of the network's own couplings and losses.
    epsilon, n_th, r : float
    times : tuple of float
        In 1/omega, ascending; none for the steady state.
    """

    number: int
    kind: str
    words: str
    network: Network
    J: float
    kappa: float
    epsilon: float
    n_th: float
    r: float
    times: tuple[float, ...] = ()


def drawn(number: int) -> Point:
    """Return the point of a number, the same for ever."""
    rng = np.random.default_rng((SEED, number))
    r = 0.0 if rng.random() < 0.25 else float(rng.uniform(0, 8))
    n_th = 0.0 if rng.random() < 0.4 else _decades(rng, -6, 6)
    epsilon = 0.0 if rng.random() < 0.25 and (r or n_th) else _decades(rng, -4, 2)
    in_time = rng.random() < 0.15
    N = _batteries(rng, in_time)
    kappa = float(rng.choice([1.0, 0.003, _decades(rng, -6, 2)]))
    J = kappa * _decades(rng, -8, 8)
    kind, words, network = (_built_in if rng.random() < 0.2 else _own)(rng, N, J / kappa)
    network, detuned = _detuned(rng, network, J, kappa)
    if rng.random() < 0.3 and not kind.startswith("built-in"):  # the same numbers, but as the network's own
        network, J, kappa = scaled(network, J, kappa), 1.0, 1.0
    point = Point(number, kind, f"{words}{detuned}", network, J, kappa, epsilon, n_th, r)
    return replace(point, times=_times(rng, kappa * max(network.kappa))) if in_time else point


def drawn_until(count: int) -> list[Point]:
    """Return the first points."""
    return [drawn(number) for number in range(count)]


def described(point: Point) -> str:
    """Say in words what a point is."""
    rates = [point.kappa * rate for rate in point.network.kappa]
    couplings = [point.J * edge.J for edge in point.network.edges]
    parts = [
        f"{point.kind} of N = {point.network.n_batteries}",
        point.words,
        f"J/kappa {_span([J / min(rates) for J in couplings])}",
        f"kappa {_span(rates)}",
        f"epsilon {point.epsilon:.2g}, n_th {point.n_th:.2g}, r {point.r:.2g}",
    ]
    if point.times:
        parts.append(f"kappa t {_span([max(rates) * time for time in point.times])}")
    return ", ".join(parts)


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.2g}" if math.isclose(low, high) else f"{low:.2g} to {high:.2g}"


def _decades(rng: Generator, low: float, high: float) -> float:
    return float(10 ** rng.uniform(low, high))


def _batteries(rng: Generator, in_time: bool) -> int:
    """N: few as a rule, since the reference takes N^3; some to 40, a handful to 200."""
    size = rng.random()
    if size < 0.82:
        return int(rng.integers(1, 9))
    if size < 0.95:
        return int(rng.integers(9, 17))
    if size < 0.998 or in_time:
        return int(rng.integers(17, 41))
    return int(rng.integers(60, 201))


# ---------------------------------------------------------------------------- networks


def _built_in(rng: Generator, N: int, ratio: float) -> tuple[str, str, Network]:
    """A uniform chain or star, as `topology` of a sweep file makes it."""
    topology = TOPOLOGIES[str(rng.choice(["cascaded", "parallel"]))]
    coupling, realization = str(rng.choice(COUPLINGS)), str(rng.choice(REALIZATIONS))
    words = coupling if coupling == "reciprocal" else f"{coupling} {realization}"
    return f"built-in {topology.label}", words, topology.build(N, coupling=coupling, realization=realization)


def _own(rng: Generator, N: int, ratio: float) -> tuple[str, str, Network]:
    """A chain, star, tree, ring or graph with edges and losses of its own."""
    kind = str(rng.choice(list(SHAPES)))
    pairs = SHAPES[kind](rng, N + 1)
    coupling = str(rng.choice(list(EDGES)))
    spread = float(rng.choice([0.0, 1.0, 4.0]))  # decades to each side
    is_uneven = rng.random() < 0.5
    losses = [_decades(rng, -6, 0) if is_uneven else 1.0 for _ in range(N + 1)]
    words = f"{coupling} edges{f' over {2 * spread:g} decades' if spread else ''}"
    if N == 1 and not spread and coupling == "reciprocal":
        losses, words = [1.0, 1.0 + 4 * ratio], f"{words} at the exceptional point"
    depths = _depths(pairs, N + 1)
    strengths = [min(max(ratio * _decades(rng, -spread, spread), 1e-8), 1e8) / ratio for _ in pairs]
    edges = [EDGES[coupling](rng, u, v, J, depths) for (u, v), J in zip(pairs, strengths, strict=True)]
    return f"own {kind}", words, Network(tuple(losses), tuple(edges))


def _chain(rng: Generator, n: int) -> Pairs:
    return [(m - 1, m) for m in range(1, n)]


def _star(rng: Generator, n: int) -> Pairs:
    return [(0, m) for m in range(1, n)]


def _tree(rng: Generator, n: int) -> Pairs:
    return [(int(rng.integers(max(0, m - 5), m)), m) for m in range(1, n)]


def _ring(rng: Generator, n: int) -> Pairs:
    return _chain(rng, n) + ([(n - 1, 0)] if n > 2 else [])


def _graph(rng: Generator, n: int) -> Pairs:
    """A tree and up to n more edges."""
    pairs = _tree(rng, n)
    for _ in range(int(rng.integers(1, n + 1))):
        u, v = sorted(int(m) for m in rng.choice(n, 2, replace=False))
        if (u, v) not in pairs:
            pairs.append((u, v))
    return pairs


SHAPES: dict[str, Callable[[Generator, int], Pairs]] = {
    "chain": _chain,
    "star": _star,
    "tree": _tree,
    "ring": _ring,
    "graph": _graph,
}


def _depths(pairs: Pairs, n: int) -> list[int]:
    """Hops from the charger along the first edge that reaches a mode."""
    depths = [0] * n
    for u, v in pairs:
        if v > u and not depths[v]:
            depths[v] = depths[u] + 1
    return depths


def _reciprocal(rng: Generator, u: int, v: int, J: float, depths: list[int]) -> Edge:
    return Edge(u, v, J)


def _phased(rng: Generator, u: int, v: int, J: float, depths: list[int]) -> Edge:
    return Edge(u, v, J, float(rng.uniform(-math.pi, math.pi)))


def _half_pi(rng: Generator, u: int, v: int, J: float, depths: list[int]) -> Edge:
    return Edge(u, v, J, math.pi / 2, 2 * J)


def _phase_zero(rng: Generator, u: int, v: int, J: float, depths: list[int]) -> Edge:
    amplitudes = (1j, 1, -1j, -1)
    return Edge(u, v, J, 0.0, 2 * J, amplitudes[depths[u] % 4], amplitudes[depths[v] % 4])


def _nearly_directed(rng: Generator, u: int, v: int, J: float, depths: list[int]) -> Edge:
    return Edge(u, v, J, math.pi / 2, 2 * J * (1 - _decades(rng, -12, -1)))


def _any(rng: Generator, u: int, v: int, J: float, depths: list[int]) -> Edge:
    p_u, p_v = (complex(*rng.normal(size=2)) for _ in range(2))
    return Edge(u, v, J, float(rng.uniform(-math.pi, math.pi)), J * _decades(rng, -2, 1), p_u, p_v)


def _mixed(rng: Generator, u: int, v: int, J: float, depths: list[int]) -> Edge:
    kinds = [kind for kind in EDGES.values() if kind is not _mixed]
    return kinds[int(rng.integers(len(kinds)))](rng, u, v, J, depths)


EDGES: dict[str, Callable[[Generator, int, int, float, list[int]], Edge]] = {
    "reciprocal": _reciprocal,
    "phased": _phased,
    "phase-half-pi": _half_pi,
    "phase-zero": _phase_zero,
    "nearly directed": _nearly_directed,
    "dissipative": _any,
    "mixed": _mixed,
}


def _detuned(rng: Generator, network: Network, J: float, kappa: float) -> tuple[Network, str]:
    """Detune half of the networks: at random, in groups, or so that a normal mode of the couplings is driven."""
    way = str(rng.choice(["not", "scattered", "degenerate", "resonant"], p=[0.5, 0.2, 0.1, 0.2]))
    if way == "not":
        return network, ""
    low, high = sorted([kappa, J])
    shifts = rng.normal(size=network.n_modes) * _decades(rng, math.log10(low) - 1, math.log10(high))
    if way == "degenerate":
        shifts = rng.choice(shifts[:2], network.n_modes)
    network = replace(network, detuning=tuple(shifts.tolist()))
    if way == "resonant":
        levels = np.linalg.eigvalsh(coherent_matrix(scaled(network, J, kappa)))
        network = replace(network, detuning=tuple((shifts - rng.choice(levels)).tolist()))
    return network, f", {way} detunings"


# ---------------------------------------------------------------------------- times


def _times(rng: Generator, kappa: float) -> tuple[float, ...]:
    """From 1e-12/kappa to 1e4/kappa: a uniform grid from 0, or any."""
    count = int(rng.integers(2, 7))
    if rng.random() < 0.4:
        return tuple(np.linspace(0.0, _decades(rng, -6, 4) / kappa, count).tolist())
    return tuple(sorted(_decades(rng, -12, 4) / kappa for _ in range(count)))
