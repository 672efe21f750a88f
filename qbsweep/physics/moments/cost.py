"""What the moments of a family cost, in seconds on one core of 2023, before they are solved.

Counted operations times measured seconds of one: products of matrices, passes over entries, calls of numpy.
"""

import math

from qbsweep.physics.moments.anomaly import depths
from qbsweep.physics.moments.family import Family

_FLOPS = 45e9  # of products of matrices that fill the cache, per second
_ENTRY = 1e-9  # one pass over one number
_MODE = 22e-6  # a network's mode and edge: built, split into a family, eliminated
_PAIR = 10e-6  # a pair moment of a tree: a few calls of numpy
_DRAW, _QUANTILE = 8e-9, 10e-9  # a number of the disorder; of a normal distribution besides
_DEPTH = 5e-8  # a pair, looked at once a level to find those that matter
_MATRIX = 1e-6  # a matrix of a stack, whatever its size
_EVOLUTION = 0.4e-3  # an evolution, whatever its size
_STEP, _NOISY_STEP = 110e-6, 300e-6  # a step of a grid, without noise and with it
_TAYLOR = 12  # products of an exponential: its polynomial, and some squarings
_NOISE = 25  # and of the noise that enters meanwhile
_SCHUR = 30e-6  # a pair equation of whole matrices, whatever its size, through LAPACK from Python
_SCHUR_PRODUCTS = 140  # what its factors and two or three solutions cost beyond that, in products
_RESIDUALS = 1500  # passes over the entries of a matrix, in its residuals of 32 digits


def family_seconds(net: Family) -> float:
    """Return the seconds of building a network and its family, once a call."""
    return 0.2e-3 + _MODE * net.n_modes


def draws_seconds(items: int, members: float, distribution: str) -> float:
    """Return the seconds of drawing the disorder of some edges and modes of all members."""
    return items * members * (_DRAW + (_QUANTILE if distribution == "normal" else 0.0))


def steady_seconds(net: Family, members: float, *, uniform: bool = True, squeezed: bool = False) -> float:
    """Return the seconds of the steady moments of all members.

    Parameters
    ----------
    uniform : bool
        Whether two numbers make a member.
    squeezed : bool
        Whether the anomalous moments are wanted, too.
    """
    n = net.n_modes
    if net.parents is None:
        seconds = members * (3 * _MATRIX + 2 * _product(net) + 150 * n**2 * _ENTRY)
    else:
        seconds = (5 if uniform else 8) * members * n * _ENTRY
    if not squeezed or net.keeps_squeezing:
        return seconds
    if net.parents is not None and net.is_resolvent:
        return seconds + n * 1e-5 + 10 * members * n * _ENTRY
    if net.parents is not None and net.is_directed:
        of_modes = depths(net.parents)
        pairs, levels = sum(of_modes) + n, 2 * max(of_modes) + 1  # a mode depends on it and each ancestor in turn
        return seconds + pairs * (_PAIR + _DEPTH * levels + 10 * members * _ENTRY)
    return seconds + _pair_seconds(net, members)


def evolution_seconds(
    net: Family, members: float, times: int, *, uniform: bool, fluctuations: bool = False, squeezed: bool = False
) -> float:
    """Return the seconds of the moments of all members at all times.

    Parameters
    ----------
    uniform : bool
        Whether the times are equally spaced from 0.
    fluctuations, squeezed : bool
        Whether the second moments, and among them the anomalous ones, are wanted.
    """
    n, pairs = net.n_modes, squeezed and not net.keeps_squeezing
    is_complex = net.dtype.kind == "c"
    # Pairs of a complex network are quadratures: real matrices of twice the size; of a real one x and p apart.
    size, copies = (2, 1) if is_complex and pairs else (1, 2 if pairs else 1)
    product = _product(net) * (2 if is_complex and pairs else 1) + _MATRIX / 4
    one = (_TAYLOR + copies * (_NOISE if pairs else 0)) * product + 20 * (size * n) ** 2 * _ENTRY
    steps = 1 if uniform else times
    seconds = steps * ((_NOISY_STEP if pairs else _STEP) + members * one)
    if uniform:
        seconds += members * math.log2(times + 1) * product
    seconds += 2 * _EVOLUTION + 8 * members * n * times * _ENTRY
    if fluctuations:
        seconds += members * copies * (times * product + 3 * (size * n) ** 2 * times * _ENTRY)
    return seconds


def _product(net: Family, share: float = 1.0) -> float:
    """Return the seconds of a product of two matrices, or of a share of it."""
    return share * 2 * net.n_modes**3 * (4 if net.dtype.kind == "c" else 1) / _FLOPS


def _pair_seconds(net: Family, members: float) -> float:
    """Return the seconds of whole matrices of pair moments."""
    parts = 1 if net.dtype.kind == "c" else 0.4
    return members * (_SCHUR + _SCHUR_PRODUCTS * _product(net) + parts * _RESIDUALS * net.n_modes**2 * _ENTRY)
