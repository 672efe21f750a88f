"""Networks of a sweep: built-in topologies and graphs of one's own."""

from dataclasses import replace

from qbsweep.physics.network import Edge, Network
from qbsweep.physics.topologies import TOPOLOGIES, uniform_edge
from qbsweep.sweep.spec import SweepSpec
from qbsweep.sweep.syntax import EdgeForm, NetworkForm


def build_network(spec: SweepSpec, topology: str, N: int, coupling: str, realization: str) -> Network:
    """Return the network of a grid point with unit J and kappa: a solver scales it."""
    form = spec.networks.get(topology)
    if form is None:
        return TOPOLOGIES[topology](N, coupling=coupling, realization=realization)
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
