"""What the edges of a network add to its matrices, exactly: sums and products of the doubles that an `Edge` has.

J, e^{i theta}, Gamma and p are taken as they are, and nothing is rounded: what cancels by physics, as a backward
amplitude, cancels, and what nearly does keeps its digits. A number is a list of doubles, of which it is the exact sum;
each is the nearest to what those before it leave.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product

from qbsweep.arrays import ComplexArray
from qbsweep.physics.moments.doubled import expansion, two_product
from qbsweep.physics.network import Edge, Network

Exact = tuple[list[float], list[float]]
"""Real and imaginary part."""
ExactEntries = dict[tuple[int, int], Exact]
"""Entries (j, k) of a matrix, those that are not 0."""


@lru_cache(maxsize=64)
def edge_entries(network: Network) -> tuple[ExactEntries, ExactEntries]:
    """Return ``-i h - K/2`` and ``K_sq`` of all edges."""
    drift: list[tuple[tuple[int, int], Exact]] = []
    squeezing: list[tuple[tuple[int, int], Exact]] = []
    for edge in network.edges:
        ends = (edge.u, edge.v)
        for entries, part in zip((drift, squeezing), _parts(edge), strict=True):
            entries += [((ends[j], ends[k]), value) for (j, k), value in part.items()]
    return _summed(drift), _summed(squeezing)


def entries_of(edge: Edge) -> tuple[ExactEntries, ExactEntries]:
    """Return what one edge adds to both."""
    ends = (edge.u, edge.v)
    drift, squeezing = ({(ends[j], ends[k]): a for (j, k), a in part.items()} for part in _parts(edge))
    return drift, squeezing


def _parts(edge: Edge) -> tuple[ExactEntries, ExactEntries]:
    return _of_edge(edge.J, edge.phase, edge.Gamma, complex(edge.p_u), complex(edge.p_v))


@lru_cache(maxsize=256)
def _of_edge(J: float, factor: complex, Gamma: float, p_u: complex, p_v: complex) -> tuple[ExactEntries, ExactEntries]:
    """Return both for an edge of these numbers between modes 0 and 1: most networks have a few kinds of edges."""
    factor = complex(factor)
    cos, sin = _product(J, factor.real), _product(J, factor.imag)
    back = _times(-1.0, cos)
    drift = [((0, 1), (sin, back)), ((1, 0), (_times(-1.0, sin), back))]
    squeezing = []
    for jk, xx, yy, xy, yx in _jumps(Gamma, (p_u, p_v)):
        drift.append((jk, (_times(-0.5, xx + yy), _times(-0.5, xy) + _times(0.5, yx))))
        squeezing.append((jk, (xx + _times(-1.0, yy), _times(-1.0, xy + yx))))
    return _summed(drift), _summed(squeezing)


def _jumps(
    Gamma: float, p: tuple[complex, complex]
) -> Iterator[tuple[tuple[int, int], list[float], list[float], list[float], list[float]]]:
    """Yield (j, k), and Gamma times x_j x_k, y_j y_k, x_j y_k and y_j x_k, where ``p = x + i y``."""
    for (j, a), (k, b) in product(enumerate(p), repeat=2):
        pairs = ((a.real, b.real), (a.imag, b.imag), (a.real, b.imag), (a.imag, b.real))
        xx, yy, xy, yx = ([term for part in _product(*pair) for term in _product(Gamma, part)] for pair in pairs)
        yield (j, k), xx, yy, xy, yx


def _product(a: float, b: float) -> list[float]:
    if not (a and b):
        return []
    return [a * b] if 1 in (abs(a), abs(b)) else list(two_product(a, b))


def _times(factor: float, number: list[float]) -> list[float]:
    """Return the product with a power of 2."""
    return [factor * term for term in number]


def pair_source(drift: ExactEntries, squeezing: ExactEntries, x: float = 1.0) -> ExactEntries:
    """Return ``x (M + M^T) + K_sq``, what ``X = x`` of 1 or -1 leaves of the pair equation but for local losses."""
    turned = [(jk, (_times(x, re), _times(x, im))) for jk, (re, im) in drift.items()]
    return _summed([*turned, *(((k, j), value) for (j, k), value in turned), *squeezing.items()])


def gauged(entries: ExactEntries, phases: ComplexArray, *, conjugate: bool) -> ExactEntries:
    """Return ``phases_j* a_jk phases_k``, with conjugates of both if `conjugate`: of quarter turns, which are exact."""

    def turned(turn: complex, re: list[float], im: list[float]) -> Exact:
        if turn.imag:
            return _times(-turn.imag, im), _times(turn.imag, re)
        return _times(turn.real, re), _times(turn.real, im)

    left, right = phases.conj().tolist(), (phases.conj() if conjugate else phases).tolist()
    return {(j, k): turned(left[j] * right[k], *value) for (j, k), value in entries.items()}


def nearest(value: Exact) -> complex:
    """Return the nearest number in double precision."""
    re, im = value
    return complex(re[0] if re else 0.0, im[0] if im else 0.0)


def _summed(entries: Iterable[tuple[tuple[int, int], Exact]]) -> ExactEntries:
    total: ExactEntries = defaultdict(lambda: ([], []))
    for jk, (re, im) in entries:
        before = total[jk]
        before[0].extend(re)
        before[1].extend(im)
    found = {jk: (expansion(re), expansion(im)) for jk, (re, im) in total.items()}
    return {jk: value for jk, value in found.items() if any(value)}
