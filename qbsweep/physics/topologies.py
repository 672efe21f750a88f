"""The built-in topologies, and what is known of each: uniform chains and stars, reciprocal or nonreciprocal."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.closed_forms import cascaded_optimal_coupling, parallel_optimal_coupling
from qbsweep.physics.network import Edge, Network
from qbsweep.text import choices

COUPLINGS = ("nonreciprocal", "reciprocal")
REALIZATIONS = ("phase-half-pi", "phase-zero")


def _per_item(values: float | Sequence[float], count: int, name: str, item: str) -> tuple[float, ...]:
    """Repeat a scalar for every item, or check that a sequence has one value for each."""
    array = np.asarray(values, dtype=float)
    if array.ndim == 0:
        return (float(array),) * count
    if array.shape != (count,):
        raise QbsweepError(f"`{name}` must be one number or one per {item} ({count}), but has {array.size}")
    return tuple(array.tolist())


def uniform_edge(u: int, v: int, J: float, coupling: str, realization: str, p_u: complex, p_v: complex) -> Edge:
    """One edge of a uniform network; `p_u` and `p_v` are the amplitudes of the `phase-zero` realization."""
    if coupling == "reciprocal":
        return Edge(u, v, J)
    if realization == "phase-half-pi":
        return Edge(u, v, J, theta=math.pi / 2, Gamma=2 * J)
    return Edge(u, v, J, theta=0.0, Gamma=2 * J, p_u=p_u, p_v=p_v)


def _check_build(N: int, coupling: str, realization: str) -> None:
    if N < 1:
        raise QbsweepError(f"`N` must be at least 1, but is {N}")
    for name, value, valid in (
        ("coupling", coupling, COUPLINGS),
        ("realization", realization, REALIZATIONS),
    ):
        if value not in valid:
            raise QbsweepError(f"`{name}` must be {choices(valid)}, but is '{value}'")


def cascaded(
    N: int,
    J: float | Sequence[float] = 1.0,
    kappa: float | Sequence[float] = 1.0,
    coupling: str = "nonreciprocal",
    realization: str = "phase-half-pi",
    detuning: float | Sequence[float] = 0.0,
) -> Network:
    """Chain charger - b_1 - ... - b_N: edges (0,1), (1,2), ..., (N-1,N); eqs. (1), (2).

    Parameters
    ----------
    N : int
        Number of batteries.
    J : float or sequence of N floats
        Couplings, in units of omega.
    kappa, detuning : float or sequence of N + 1 floats
        Local losses and detunings, in units of omega.
    coupling : {'nonreciprocal', 'reciprocal'}
        Nonreciprocal edges have Gamma = 2 J and cancel the backward amplitude.
    realization : {'phase-half-pi', 'phase-zero'}
        theta = pi/2 with all p = 1, or theta = 0 with p = (i, 1, -i, -1, i, ...) along the chain.
        The same network up to mode phases, so only a squeezed bath tells them apart.
    """
    _check_build(N, coupling, realization)
    amplitude = (1j, 1, -1j, -1)
    couplings = _per_item(J, N, "J", "edge")
    return Network(
        kappa=_per_item(kappa, N + 1, "kappa", "mode"),
        edges=tuple(
            uniform_edge(m, m + 1, couplings[m], coupling, realization, amplitude[m % 4], amplitude[(m + 1) % 4])
            for m in range(N)
        ),
        detuning=_per_item(detuning, N + 1, "detuning", "mode"),
    )


def parallel(
    N: int,
    J: float | Sequence[float] = 1.0,
    kappa: float | Sequence[float] = 1.0,
    coupling: str = "nonreciprocal",
    realization: str = "phase-half-pi",
    detuning: float | Sequence[float] = 0.0,
) -> Network:
    """Star with the charger in the middle: edges (0,1), (0,2), ..., (0,N); eq. (6).

    Parameters as for `cascaded`; the `phase-zero` realization has p_0 = i and all p_n = 1.
    """
    _check_build(N, coupling, realization)
    couplings = _per_item(J, N, "J", "edge")
    return Network(
        kappa=_per_item(kappa, N + 1, "kappa", "mode"),
        edges=tuple(uniform_edge(0, n, couplings[n - 1], coupling, realization, 1j, 1) for n in range(1, N + 1)),
        detuning=_per_item(detuning, N + 1, "detuning", "mode"),
    )


@dataclass(frozen=True, slots=True)
class Topology:
    """A built-in topology, and the law of its optimal coupling if it has one.

    Attributes
    ----------
    name : str
        What a sweep file calls it.
    build : callable
        Returns its network: ``build(N, J, kappa, coupling, realization, detuning)``, called as `cascaded` is.
    label : str
        Its shape in a word.
    optimal_coupling : callable, optional
        ``J_op(N, kappa)`` in units of omega, eq. (10): what `unit: J_op` multiplies.
    optimal_for : tuple of str
        The couplings for which that law is the optimum of the terminal energy in vacuum.
    exponent : float, optional
        ``d ln J_op / d ln N`` of the law as N grows.
    """

    name: str
    build: Callable[..., Network]
    label: str
    optimal_coupling: Callable[[ArrayLike, ArrayLike], FloatArray] | None = None
    optimal_for: tuple[str, ...] = ()
    exponent: float | None = None


TOPOLOGIES = {
    topology.name: topology
    for topology in (
        Topology("cascaded", cascaded, "chain", cascaded_optimal_coupling, ("nonreciprocal",), 1.0),
        Topology("parallel", parallel, "star", parallel_optimal_coupling, COUPLINGS, -0.5),
    )
}


def optimal_coupling(topology: str, N: ArrayLike, kappa: ArrayLike) -> FloatArray:
    """Return J_op of a built-in topology, eq. (10), in units of omega; broadcasts over `N` and `kappa`.

    Raises
    ------
    QbsweepError
        If no law of its optimum is known.
    """
    known = TOPOLOGIES.get(topology)
    if known is None or known.optimal_coupling is None:
        with_law = [name for name, one in TOPOLOGIES.items() if one.optimal_coupling is not None]
        raise QbsweepError(f"J_op is known for `topology` {choices(with_law)}, not '{topology}'")
    return known.optimal_coupling(N, kappa)
