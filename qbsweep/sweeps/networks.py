"""Networks of a sweep: built-in topologies and graphs of one's own."""

from collections.abc import Iterable
from dataclasses import replace

from qbsweep.errors import QbsweepError
from qbsweep.physics.network import Edge, Network
from qbsweep.physics.topologies import TOPOLOGIES, uniform_edge
from qbsweep.sweeps.mistakes import GrammarError
from qbsweep.sweeps.syntax import EdgeForm, NetworkForm


def build_network(form: NetworkForm | None, topology: str, N: int, coupling: str, realization: str) -> Network:
    """Return a network with unit J and kappa, which a solver scales: a graph of one's own, or a built-in topology."""
    if form is None:
        return TOPOLOGIES[topology].build(N, coupling=coupling, realization=realization)
    depths = _depths(form)
    return Network(
        kappa=(1.0,) * (N + 1) if form.kappa is None else tuple(form.kappa),
        edges=tuple(_own_edge(edge, depths[edge.modes[0]], coupling, realization) for edge in form.edges),
        detuning=tuple(form.detuning or ()),
    )


def _depths(form: NetworkForm) -> dict[int, int]:
    """Return the number of edges between the charger and every mode."""
    depths, frontier = {0: 0}, [0]
    for mode in frontier:
        for edge in form.edges:
            if mode in edge.modes:
                other = sum(edge.modes) - mode
                if other not in depths:
                    depths[other] = depths[mode] + 1
                    frontier.append(other)
    return depths


def _own_edge(form: EdgeForm, depth: int, coupling: str, realization: str) -> Edge:
    # On a tree these are the amplitudes (i, 1, -i, -1, ...) of the built-in chain and star.
    amplitude = (1j, 1, -1j, -1)
    edge = uniform_edge(*form.modes, form.J, coupling, realization, amplitude[depth % 4], amplitude[(depth + 1) % 4])
    return replace(
        edge,
        theta=edge.theta if form.theta is None else form.theta,
        Gamma=edge.Gamma if form.Gamma is None else form.Gamma,
    )


def check_network(topology: str, form: NetworkForm, N_values: Iterable[object]) -> None:
    """Raise GrammarError unless a graph of one's own is whole, and has as many batteries as the sweep says."""
    where = ("networks", topology)
    edges = [frozenset(edge.modes) for edge in form.edges]
    N = max(max(edge) for edge in edges)
    for number, edge in enumerate(edges, start=1):
        if edge in edges[: number - 1]:
            raise GrammarError(where, f"edge {number} of network `{topology}` joins the modes of an earlier edge again")
    reached = {0}
    for _ in edges:
        reached |= {mode for edge in edges if edge & reached for mode in edge}
    if not reached >= set(range(N + 1) if len(edges) + 1 > N else (N,)):
        raise GrammarError(
            where, f"every mode of network `{topology}` (0 to {N}) must be joined to the charger, mode 0"
        )
    for value in N_values:
        if value != N:
            raise GrammarError(
                where,
                f"network `{topology}` has modes 0 to {N}, so `N` must be {N}, but is {value}",
            )
    for name in ("kappa", "detuning"):
        given = getattr(form, name)
        if given is not None and len(given) != N + 1:
            raise GrammarError(
                (*where, name),
                f"`{name}` of network `{topology}` must have one value per mode ({N + 1}), but has {len(given)}",
            )
    try:
        build_network(form, topology, N, "nonreciprocal", "phase-half-pi")
    except QbsweepError as error:
        raise GrammarError(where, f"network `{topology}`: {error}") from None
