"""How fast this machine is, beside the one that the models of cost were measured on."""

import time
from functools import cache

import numpy as np

_REFERENCE = 3.2e-3
"""CPU seconds of `_work` on one core of the machine on which all constants of the models were measured."""
_REPEATS = 3


@cache
def slowness() -> float:
    """Return how many times longer a computation takes here than on the reference machine; measured once."""
    return min(_timed() for _ in range(_REPEATS)) / _REFERENCE


def _timed() -> float:
    started = time.thread_time()
    _work()
    return time.thread_time() - started


def _work() -> None:
    """Do what solvers do: calls of numpy on little, passes over what fits the cache, products of small matrices."""
    little, much = np.ones(20), np.linspace(0.5, 1.0, 100_000)
    matrices = np.tile(np.eye(24) / 3, (40, 1, 1))
    for _ in range(1500):
        little = little * 0.5 + 0.5
    for _ in range(15):
        much = much * 0.5 + 0.25
    for _ in range(40):
        matrices = matrices @ matrices
