"""The built-in topologies: uniform chains and stars, with reciprocal or nonreciprocal edges."""

import math
from collections.abc import Sequence

import numpy as np

from qbsweep.errors import QbsweepError
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


TOPOLOGIES = {"cascaded": cascaded, "parallel": parallel}
