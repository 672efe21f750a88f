"""Networks of one graph whose couplings, losses and detunings differ: arrays with one entry a member.

With the factors that a `Network` has of J (``edge.J``, ``edge.Gamma``) and of kappa (``network.kappa``)::

    J_e     = J (1 + spread_J x_e) edge.J                    Gamma_e likewise
    kappa_m = kappa_m' (1 + spread_kappa x_m) network.kappa[m]      kappa_0' = kappa_charger, else kappa
    Delta_m = network.detuning[m] + detuning + spread_detuning x_m
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.disorder import MAX_SEED, QUANTITIES, draws
from qbsweep.physics.network import Network


@dataclass(frozen=True, eq=False)
class Members:
    """What makes members of a network, in units of omega where it has one; all arrays have the shape (P,).

    Attributes
    ----------
    J, kappa, kappa_charger, detuning : ndarray
        Couplings of the edges, losses of the batteries, loss of the charger, detuning of all modes.
    spread_J, spread_kappa, spread_detuning : ndarray
        Sizes of the disorder: of J and kappa relative, of the detuning in units of omega.
    seed : ndarray of int
    distribution : {'uniform', 'normal'}
    """

    J: FloatArray
    kappa: FloatArray
    kappa_charger: FloatArray
    detuning: FloatArray
    spread_J: FloatArray
    spread_kappa: FloatArray
    spread_detuning: FloatArray
    seed: Array
    distribution: str = "uniform"

    def __len__(self) -> int:
        return len(self.J)

    def of(self, members: Array | slice) -> "Members":
        """Return some of the members."""
        some = {f.name: getattr(self, f.name)[members] for f in fields(self) if f.name != "distribution"}
        return replace(self, **some)

    def couplings(self, network: Network) -> FloatArray:
        """Return what the J and Gamma of every edge are multiplied by, shape (edges, P)."""
        return self._disordered("J", self.spread_J, np.broadcast_to(self.J, (len(network.edges), len(self))))

    def losses(self, network: Network) -> FloatArray:
        """Return what the kappa of every mode is multiplied by, shape (N+1, P)."""
        rates = np.broadcast_to(self.kappa, (network.n_modes, len(self))).copy()
        rates[0] = self.kappa_charger
        return self._disordered("kappa", self.spread_kappa, rates)

    def detunings(self, network: Network) -> FloatArray:
        """Return the detuning of every mode, shape (N+1, P)."""
        own = np.array(network.detuning)[:, None] + self.detuning
        if self.spread_detuning.any():
            for mode, row in enumerate(own):
                row += self.spread_detuning * self._x("detuning", mode)
        return own

    def _disordered(self, quantity: str, spread: FloatArray, values: FloatArray) -> FloatArray:
        if not spread.any():
            return values
        found = np.empty(values.shape)
        for item, row in enumerate(found):
            np.multiply(spread, self._x(quantity, item), out=row)
            row += 1
            row *= values[item]
        return found

    def _x(self, quantity: str, item: int) -> FloatArray:
        """Return the draws of all members, or of the one seed that all have."""
        seeds, where = self._seeds
        return np.asarray(draws(seeds, quantity, item, self.distribution)[where])

    @cached_property
    def _seeds(self) -> tuple[Array, Any]:
        """Seeds, each once, and where in them those of the members are."""
        first, last = int(self.seed.min(initial=MAX_SEED)), int(self.seed.max(initial=0))
        if first == last:
            return self.seed[:1], slice(None)
        if (np.diff(self.seed) > 0).all():
            return self.seed, slice(None)
        if last - first <= 2 * len(self):
            return np.arange(first, last + 1), self.seed - first
        return np.unique(self.seed, return_inverse=True)

    @property
    def may_fail(self) -> bool:
        """Whether a draw may make a rate negative."""
        largest = max(self.spread_J.max(initial=0.0), self.spread_kappa.max(initial=0.0))
        return bool(largest > (1 if self.distribution == "uniform" else 0))

    def faults(self, network: Network) -> dict[int, str]:
        """Say what is wrong with a member whose draw makes a rate negative, by its number."""
        found: dict[int, str] = {}
        if not self.may_fail:
            return found
        for quantity, spread, rates in (
            ("kappa", self.spread_kappa, self.losses(network)),
            ("J", self.spread_J, self.couplings(network)),
        ):
            is_negative = rates < 0
            for member in np.flatnonzero(is_negative.any(axis=0)).tolist():
                if member in found:
                    continue
                item = int(is_negative[:, member].argmax())
                place = f"mode {item}" if quantity == "kappa" else f"edge {item + 1} {_ends(network, item)}"
                found[member] = (
                    f"seed {self.seed[member]} makes the {quantity} of {place} negative "
                    f"({rates[item, member]:.3g} omega); take a smaller `spread_{quantity}` than {spread[member]:g}"
                )
        return found

    def network(self, network: Network, member: int = 0) -> Network:
        """Return one member as a network of its own.

        Raises
        ------
        QbsweepError
            If its draw makes a rate negative.
        """
        one = self.of(slice(member, member + 1))
        if fault := one.faults(network):
            raise QbsweepError(fault[0])
        parts = one.couplings(network), one.losses(network), one.detunings(network)
        return _network(network, *(part[:, 0].tolist() for part in parts))


OF_MEMBERS = tuple(f.name for f in fields(Members) if f.name != "distribution")
"""Names of the parameters that make members."""


def _ends(network: Network, number: int) -> str:
    return f"({network.edges[number].u}, {network.edges[number].v})"


def _network(network: Network, couplings: Sequence[float], losses: Sequence[float], shifts: Sequence[float]) -> Network:
    """Return the network with every edge and every loss multiplied, and with these detunings."""
    return replace(
        network,
        kappa=tuple(rate * factor for rate, factor in zip(network.kappa, losses, strict=True)),
        edges=tuple(
            replace(edge, J=edge.J * factor, Gamma=edge.Gamma * factor)
            for edge, factor in zip(network.edges, couplings, strict=True)
        ),
        detuning=tuple(shifts),
    )


def member_of(network: Network, values: Mapping[str, Any], distribution: str) -> Network:
    """Return the network of one point, by the values of its parameters; what has none is as in an ideal network."""
    values = dict.fromkeys(OF_MEMBERS, 0) | {"kappa_charger": values["kappa"]} | dict(values)
    if not any(values[f"spread_{quantity}"] for quantity in QUANTITIES):
        losses = [values["kappa_charger"]] + [values["kappa"]] * network.n_batteries
        shifts = [own + values["detuning"] for own in network.detuning]
        return _network(network, [values["J"]] * len(network.edges), losses, shifts)
    one = {name: np.array([values[name]], dtype=np.int64 if name == "seed" else float) for name in OF_MEMBERS}
    return Members(**one, distribution=distribution).network(network)
