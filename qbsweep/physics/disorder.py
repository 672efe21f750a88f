"""Disorder of a network: numbers that are functions of (seed, quantity, edge or mode) alone.

The draw of a quantity (couplings, losses, detunings) on edge or mode i with seed s is word ``s mod 4`` of the
counter-based generator Philox 4x64 (Salmon et al., SC 2011) at counter ``s // 4``, with the key (quantity, i). So it
is the same in any block, on any worker, in a network of any size, beside any other draw, and whatever J and kappa are.
"""

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.text import unknown

QUANTITIES = ("J", "kappa", "detuning")
DISTRIBUTIONS = ("uniform", "normal")
MAX_SEED = 2**53
_WORDS = 4  # of a counter
_FAR = 4096  # seeds apart, from which on the generator jumps
_MOST_KEPT = 4096  # draws that are remembered, at most, of one quantity and item

Seeds = NDArray[np.int64]


def draws(seeds: Seeds, quantity: str, item: int, distribution: str = "uniform") -> FloatArray:
    """Return x of every seed: uniform on [-1, 1), or normal with standard deviation 1.

    Parameters
    ----------
    seeds : ndarray of int64
        From 0 to 2^53, in any order.
    quantity : {'J', 'kappa', 'detuning'}
    item : int
        Number of the edge, in the order of the network's edges, or of the mode.
    distribution : {'uniform', 'normal'}
        Of one seed both are made of the same word: the normal x is the quantile of the uniform one.
    """
    seeds = np.asarray(seeds, dtype=np.int64)
    found, where = np.unique(seeds, return_inverse=True)
    x = np.empty(len(found))
    starts = [0, *(np.flatnonzero(np.diff(found) > _FAR) + 1).tolist(), len(found)]
    for start, stop in itertools.pairwise(starts if len(found) else [0]):
        first, last = int(found[start]), int(found[stop - 1])
        x[start:stop] = draws_of(first, last + 1 - first, quantity, item, distribution)[found[start:stop] - first]
    return x[where].reshape(seeds.shape)


def draws_of(first: int, count: int, quantity: str, item: int, distribution: str = "uniform") -> FloatArray:
    """Return x of consecutive seeds; see `draws`."""
    if distribution not in DISTRIBUTIONS:
        raise QbsweepError(unknown("distribution", distribution, DISTRIBUTIONS))
    of_range = _kept if count <= _MOST_KEPT else _drawn
    return of_range(first, count, QUANTITIES.index(quantity), item, distribution)


def _drawn(first: int, count: int, quantity: int, item: int, distribution: str) -> FloatArray:
    key = np.array([quantity, item], dtype=np.uint64)
    generator, skipped = np.random.Philox(key=key, counter=first // _WORDS), first % _WORDS
    words = generator.random_raw(count + skipped)[skipped:]
    words >>= np.uint64(11)
    if distribution == "uniform":
        x = words * 2.0**-52
        x -= 1.0
    else:
        from scipy.special import ndtri  # which uniform draws need not wait for

        x = ndtri((words + 0.5) * 2.0**-53)
    x.setflags(write=False)
    return np.asarray(x)


_kept = lru_cache(maxsize=256)(_drawn)  # a sweep of few seeds asks for them again and again
