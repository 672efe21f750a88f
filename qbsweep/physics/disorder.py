"""Disorder of a network: numbers that are functions of (seed, quantity, edge or mode) alone.

The draw of a quantity (couplings, losses, detunings) on edge or mode i with seed s is word ``s mod 4`` of the
counter-based generator Philox 4x64 (Salmon et al., SC 2011) at counter ``s // 4``, with the key (quantity, i). So it
is the same in any block, on any worker, in a network of any size, beside any other draw, and whatever J and kappa are.
"""

import numpy as np
from numpy.typing import NDArray

from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.text import unknown

QUANTITIES = ("J", "kappa", "detuning")
DISTRIBUTIONS = ("uniform", "normal")
MAX_SEED = 2**53

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
    from qbsweep.physics.philox import fill  # compiled, which those without disorder need not wait for

    if distribution not in DISTRIBUTIONS:
        raise QbsweepError(unknown("distribution", distribution, DISTRIBUTIONS))
    seeds = np.asarray(seeds, dtype=np.int64)
    scale, shift = (2.0**-52, -1.0) if distribution == "uniform" else (1.0, 0.5)
    x = np.empty(seeds.size)
    fill(np.ascontiguousarray(seeds.ravel()), QUANTITIES.index(quantity), item, scale, shift, x)
    if distribution == "normal":
        from scipy.special import ndtri  # which uniform draws need not wait for

        x = ndtri(x * 2.0**-53)
    return np.asarray(x.reshape(seeds.shape))
