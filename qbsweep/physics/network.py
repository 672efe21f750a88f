"""Networks of driven, damped bosonic modes: edges, jump operators, drift matrix.

An edge ``e = (u, v)`` carries a coherent coupling and, when it is nonreciprocal, a cooperative jump::

    H   = sum_e J_e (e^{i theta_e} c_u^dag c_v + h.c.) + sum_m Delta_m c_m^dag c_m + epsilon (c_0 + c_0^dag)
    q_e = sqrt(Gamma_e) (p_u c_u + p_v c_v)             one cooperative jump per edge
    l_m = sqrt(kappa_m) c_m                             one local loss per mode
"""

import cmath
import math
from dataclasses import dataclass, replace

from qbsweep.errors import QbsweepError


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
    phase_error : float
        Added to `theta`, in radians; apart, so that a small one keeps its digits.
    """

    u: int
    v: int
    J: float
    theta: float = 0.0
    Gamma: float = 0.0
    p_u: complex = 1.0
    p_v: complex = 1.0
    phase_error: float = 0.0

    def __post_init__(self) -> None:
        # Of NumPy's complex numbers not even quotients by 1 are exact, and equal edges must give equal results.
        for name in ("J", "theta", "Gamma", "phase_error"):
            object.__setattr__(self, name, float(getattr(self, name)))
        for name in ("p_u", "p_v"):
            p = getattr(self, name)
            object.__setattr__(self, name, p if type(p) in (int, float, complex) else complex(p))

    @property
    def phase(self) -> complex:
        """``e^{i (theta + phase_error)}``, exact at multiples of pi/2 and without an error."""
        exact = phase_factor(self.theta)
        return exact * cmath.exp(1j * self.phase_error) if self.phase_error else exact


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
        for name in ("kappa", "detuning"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
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
        if not (math.isfinite(edge.theta + edge.phase_error) and cmath.isfinite(edge.p_u) and cmath.isfinite(edge.p_v)):
            raise QbsweepError(f"`theta`, `p_u` and `p_v` of {where} must be finite")

    @property
    def n_modes(self) -> int:
        """Number of modes, N + 1."""
        return len(self.kappa)

    @property
    def n_batteries(self) -> int:
        """Number of batteries, N."""
        return len(self.kappa) - 1


def scaled(network: Network, J: float, kappa: float) -> Network:
    """Return the network with every J and Gamma times `J`, every kappa times `kappa`; detunings stay."""
    return replace(
        network,
        kappa=tuple(rate * kappa for rate in network.kappa),
        edges=tuple(replace(e, J=e.J * J, Gamma=e.Gamma * J) for e in network.edges),
    )


def imperfect(network: Network, gamma_ratio: float = 1.0, phase_error: float = 0.0) -> Network:
    """Return the network with every Gamma times `gamma_ratio`, and `phase_error` added to every theta.

    Edges that cancel their backward amplitude, Gamma = 2 J, then have ``Gamma = 2 J gamma_ratio``.
    """
    if gamma_ratio == 1 and not phase_error:
        return network
    edges = (replace(e, Gamma=e.Gamma * gamma_ratio, phase_error=e.phase_error + phase_error) for e in network.edges)
    return replace(network, edges=tuple(edges))


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
