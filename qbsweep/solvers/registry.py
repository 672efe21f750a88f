"""The solvers, by the name that a sweep file gives them."""

from functools import cache
from importlib import import_module

from qbsweep.solvers.interface import Solver

MODULES = {"moments": "qbsweep.solvers.moments", "lindblad": "qbsweep.solvers.lindblad"}


@cache
def solver(name: str) -> Solver:
    """Return a solver; its module is loaded now, because QuTiP and numba take seconds that moments need not wait."""
    found: Solver = import_module(MODULES[name]).SOLVER
    return found
