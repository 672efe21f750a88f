"""Disorder of a network: numbers that are functions of (seed, quantity, edge or mode) alone.

The draw of a quantity (couplings, losses, detunings) on edge or mode i with seed s is word ``s mod 4`` of the
counter-based generator Philox 4x64 (Salmon et al., SC 2011) at counter ``s // 4``, with the key (quantity, i). So it
is the same in any block, on any worker, in a network of any size, beside any other draw, and whatever J and kappa are.
"""

import itertools

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
    if distribution not in DISTRIBUTIONS:
        raise QbsweepError(unknown("distribution", distribution, DISTRIBUTIONS))
    words = _words(np.asarray(seeds, dtype=np.int64), (QUANTITIES.index(quantity), item)) >> np.uint64(11)
    if distribution == "uniform":
        return np.asarray(words * 2.0**-52 - 1.0)
    from scipy.special import ndtri  # which uniform draws need not wait for

    return np.asarray(ndtri((words + 0.5) * 2.0**-53))


def _words(seeds: Seeds, key: tuple[int, int]) -> NDArray[np.uint64]:
    """Return the word of every seed."""
    if not seeds.size:
        return np.zeros(seeds.shape, dtype=np.uint64)
    found, where = np.unique(seeds, return_inverse=True)
    words = np.empty(len(found), dtype=np.uint64)
    starts = [0, *(np.flatnonzero(np.diff(found) > _FAR) + 1).tolist(), len(found)]
    for start, stop in itertools.pairwise(starts):
        first = int(found[start]) // _WORDS
        generator = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=first)
        count = int(found[stop - 1]) + 1 - first * _WORDS
        words[start:stop] = generator.random_raw(count)[found[start:stop] - first * _WORDS]
    return words[where].reshape(seeds.shape)
