"""Random points whose detunings, losses and disorder are parameters: those of `points`, made imperfect.

All factors that a network has of its couplings and losses are powers of 2, so that the network of a member has its
numbers exactly, and ball arithmetic says what is right.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

import qbsweep as qb
from qbsweep.physics.members import Members
from qbsweep.physics.network import Edge, Network

from .points import SEED, Point, drawn


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for by parameters, and what point that is.

    Attributes
    ----------
    network : Network
    values : dict
        Parameters of `qbsweep.solve`.
    point : Point
        The same with a network that has all of it as its own.
    """

    network: Network
    values: dict[str, float]
    point: Point


def imperfect(number: int) -> Asked:
    """Return the imperfect point of a number, the same for ever."""
    base, rng = drawn(number), np.random.default_rng((SEED, number, 1))
    network = _of_powers(base.network)
    values: dict[str, float] = {"J": base.J, "kappa": base.kappa, "kappa_charger": base.kappa}
    values |= {"detuning": 0.0, "spread_J": 0.0, "spread_kappa": 0.0, "spread_detuning": 0.0, "seed": 0}
    for name, value in _imperfections(rng, base.J, base.kappa).items():
        if rng.random() < 0.5:
            values[name] = value
    values["seed"] = int(rng.integers(2**40))
    arrays = {name: np.array([value]) for name, value in values.items()}
    one = Members(**arrays).network(network)
    words = ", ".join(f"{name} {value:.2g}" for name, value in values.items())
    return Asked(network, values, replace(base, network=one, J=1.0, kappa=1.0, words=f"{base.words}, {words}"))


def solved_member(asked: Asked) -> tuple[np.ndarray, float]:
    """Energy and ergotropy, and their `numerical_error`, as `judge.solved` has them."""
    point = asked.point
    names = ("energy_t", "ergotropy_t") if point.times else ("energy", "ergotropy")
    bath = {name: getattr(point, name) for name in ("epsilon", "n_th", "r")}
    times = np.array(point.times) if point.times else None
    ds = qb.solve(asked.network, **asked.values, **bath, times=times, outputs=list(names))
    return np.stack([ds[name].values for name in names]), float(ds["numerical_error"])


def _imperfections(rng: Generator, J: float, kappa: float) -> dict[str, float]:
    low, high = sorted([math.log10(kappa), math.log10(J)])
    return {
        "kappa_charger": kappa * 10 ** rng.uniform(-3, 3),
        "detuning": float(rng.normal() * 10 ** rng.uniform(low - 1, high)),
        "spread_J": rng.uniform(0, 0.9),
        "spread_kappa": rng.uniform(0, 0.9),
        "spread_detuning": float(10 ** rng.uniform(low - 1, high)),
    }


def _of_powers(network: Network) -> Network:
    """Return a network whose factors are the nearest powers of 2, and so are those of Gamma."""

    def edge(e: Edge) -> Edge:
        J = _power(e.J)
        return replace(e, J=J, Gamma=J * _power(e.Gamma / e.J) if e.Gamma else 0.0)

    return Network(tuple(map(_power, network.kappa)), tuple(map(edge, network.edges)), network.detuning)


def _power(x: float) -> float:
    return 2.0 ** round(math.log2(x))
