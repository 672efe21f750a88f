"""Networks of driven, damped bosonic modes: edges, jump operators, drift matrix.

An edge ``e = (u, v)`` carries a coherent coupling and, when it is nonreciprocal, a cooperative jump::

    H   = sum_e J_e (e^{i theta_e} c_u^dag c_v + h.c.) + sum_m Delta_m c_m^dag c_m + epsilon (c_0 + c_0^dag)
    q_e = sqrt(Gamma_e) (p_u c_u + p_v c_v)             one cooperative jump per edge
    l_m = sqrt(kappa_m) c_m                             one local loss per mode
"""

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbsweep.errors import QbsweepError, choices

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
Array = NDArray[Any]

COUPLINGS = ("nonreciprocal", "reciprocal")
REALIZATIONS = ("phase-half-pi", "phase-zero")


def phase_factor(theta: float) -> complex:
    """Return ``e^{i theta}``, exact at multiples of pi/2.

    ``cmath.exp(1j*pi/2)`` has a real part of 6e-17, which would leave a nonreciprocal edge a
    backward amplitude of 1e-17 J and turn an exactly triangular drift matrix into a full one.
    """
    quarters = theta / (math.pi / 2)
    nearest = round(quarters)
    if abs(quarters - nearest) <= 4e-16 * max(1.0, abs(quarters)):
        return (1, 1j, -1, -1j)[nearest % 4]
    return cmath.exp(1j * theta)


@dataclass(frozen=True, slots=True)
class Edge:
    """A coupling between modes `u` and `v`.

    Attributes
    ----------
    u, v : int
        The modes, `u` the one nearer the charger by convention.
    J : float
        Coherent coupling, in units of omega, at least 0.
    theta : float
        Phase of the coherent coupling, in radians.
    Gamma : float
        Rate of the cooperative dissipation, in units of omega, at least 0.
    p_u, p_v : complex
        Amplitudes of the two modes in the cooperative jump.
    """

    u: int
    v: int
    J: float
    theta: float = 0.0
    Gamma: float = 0.0
    p_u: complex = 1.0
    p_v: complex = 1.0


@dataclass(frozen=True, slots=True)
class Network:
    """Modes and the edges between them; immutable.

    Attributes
    ----------
    kappa : tuple of float
        Local loss rate of every mode, in units of omega; its length is the number of modes N + 1.
    edges : tuple of Edge
    detuning : tuple of float
        Detuning of every mode from the drive, in units of omega; empty means resonant.

    Raises
    ------
    QbsweepError
        If an edge names a mode that does not exist, joins a mode to itself, or a rate is negative.
    """

    kappa: tuple[float, ...]
    edges: tuple[Edge, ...]
    detuning: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.kappa) < 2:
            raise QbsweepError(
                f"a network must have at least 2 modes (a charger and a battery), but has {len(self.kappa)}"
            )
        if not self.detuning:
            object.__setattr__(self, "detuning", (0.0,) * len(self.kappa))
        if len(self.detuning) != len(self.kappa):
            raise QbsweepError(
                f"`detuning` must have one value per mode ({len(self.kappa)}), but has {len(self.detuning)}"
            )
        for mode, rate in enumerate(self.kappa):
            if not (math.isfinite(rate) and rate >= 0):
                raise QbsweepError(f"`kappa` of mode {mode} must be finite and at least 0, but is {rate}")
        for mode, shift in enumerate(self.detuning):
            if not math.isfinite(shift):
                raise QbsweepError(f"`detuning` of mode {mode} must be finite, but is {shift}")
        for number, edge in enumerate(self.edges, start=1):
            self._check_edge(number, edge)

    def _check_edge(self, number: int, edge: Edge) -> None:
        where = f"edge {number} ({edge.u}, {edge.v})"
        if not (0 <= edge.u < self.n_modes and 0 <= edge.v < self.n_modes):
            raise QbsweepError(f"{where} must join modes 0 to {self.n_modes - 1}, but names a mode outside them")
        if edge.u == edge.v:
            raise QbsweepError(f"{where} must join two different modes, but joins mode {edge.u} to itself")
        for name, rate in (("J", edge.J), ("Gamma", edge.Gamma)):
            if not (math.isfinite(rate) and rate >= 0):
                raise QbsweepError(f"`{name}` of {where} must be finite and at least 0, but is {rate}")
        if not (math.isfinite(edge.theta) and cmath.isfinite(edge.p_u) and cmath.isfinite(edge.p_v)):
            raise QbsweepError(f"`theta`, `p_u` and `p_v` of {where} must be finite")

    @property
    def n_modes(self) -> int:
        """Number of modes, N + 1."""
        return len(self.kappa)

    @property
    def n_batteries(self) -> int:
        """Number of batteries, N."""
        return len(self.kappa) - 1


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


def scaled(network: Network, J: float, kappa: float) -> Network:
    """Return the network with every J and Gamma times `J`, every kappa times `kappa`; detunings stay."""
    return replace(
        network,
        kappa=tuple(rate * kappa for rate in network.kappa),
        edges=tuple(replace(e, J=e.J * J, Gamma=e.Gamma * J) for e in network.edges),
    )


def tree_parents(network: Network) -> tuple[int, ...] | None:
    """Return the parent of every mode when the graph is a tree grown from the charger, else None.

    The charger's own entry is -1. Chains and stars are trees; so is any network without loops.
    """
    neighbours: list[set[int]] = [set() for _ in range(network.n_modes)]
    for e in network.edges:
        neighbours[e.u].add(e.v)
        neighbours[e.v].add(e.u)
    parents = [-2] * network.n_modes
    parents[0] = -1
    frontier = [0]
    while frontier:
        mode = frontier.pop()
        for other in neighbours[mode]:
            if other == parents[mode]:
                continue
            if parents[other] != -2:
                return None  # a loop
            parents[other] = mode
            frontier.append(other)
    return None if -2 in parents else tuple(parents)
