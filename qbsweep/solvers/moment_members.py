"""Which members a product of points has, and of which families: what few numbers make is not solved with many."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.disorder import QUANTITIES
from qbsweep.physics.members import OF_MEMBERS, Members
from qbsweep.physics.moments.family import Family, family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.network import Network
from qbsweep.solvers.interface import Points

UNIFORM = ("J", "kappa")
"""Axes along which members differ that two numbers make."""
FAMILY = OF_MEMBERS
"""All axes along which drift matrices differ; a `member` has one value of each."""

SPREADS = tuple(f"spread_{quantity}" for quantity in QUANTITIES)

Where = slice | Array


class Kind(NamedTuple):
    """What members have for every edge or mode, and not as one number."""

    is_disordered: bool
    is_uneven: bool
    is_detuned: bool


@dataclass(frozen=True)
class Uniform:
    """All members of a product, if two numbers make each; shape (P,)."""

    network: Network
    J: FloatArray
    kappa: FloatArray

    is_uniform = True
    drawn, distribution = 0, "uniform"

    def __len__(self) -> int:
        return len(self.J)

    @cached_property
    def net(self) -> Family:
        """The family."""
        return family(self.network)

    @property
    def has_losses(self) -> bool:
        """Whether every mode has a loss of its own."""
        return min(self.network.kappa) > 0 and bool(np.all(self.kappa > 0))

    def tiles(self, size: int) -> Iterator[tuple[Where, Rates, dict[int, str]]]:
        """Yield some members at a time; see `Group.tiles`."""
        for start in range(0, len(self.J), size):
            tile = slice(start, start + size)
            yield tile, Rates(self.J[tile], self.kappa[tile]), {}


@dataclass(frozen=True)
class Group:
    """Members of one kind.

    Attributes
    ----------
    network : Network
    kind : Kind
    members : Members
    where : slice or ndarray
        Their places among all members of the product.
    """

    network: Network
    kind: Kind
    members: Members
    where: Where

    def __len__(self) -> int:
        return len(self.members)

    @property
    def drawn(self) -> int:
        """How many numbers are drawn of a member."""
        return sum(
            items
            for spread, items in (
                (self.members.spread_J, len(self.network.edges)),
                (self.members.spread_kappa, self.network.n_modes),
                (self.members.spread_detuning, self.network.n_modes),
            )
            if spread.any()
        )

    @property
    def distribution(self) -> str:
        """Of what is drawn."""
        return self.members.distribution

    @property
    def is_uniform(self) -> bool:
        """Whether two numbers make a member."""
        return not any(self.kind)

    @cached_property
    def net(self) -> Family:
        """The family."""
        return family(self.network, **self.kind._asdict())

    @property
    def has_losses(self) -> bool:
        """Whether every mode has a loss of its own."""
        return min(self.network.kappa) > 0 and bool(np.all(self.members.kappa_charger > 0))

    def tiles(self, size: int) -> Iterator[tuple[Where, Rates, dict[int, str]]]:
        """Yield some members at a time, or none: their places, rates, and by place what is wrong with others."""
        for start in range(0, len(self.members), size):
            tile = slice(start, min(start + size, len(self.members)))
            where: Where = tile if isinstance(self.where, slice) else self.where[tile]
            rates, faults = self._rates(self.members.of(tile))
            if faults:
                places = np.arange(tile.start, tile.stop) if isinstance(where, slice) else where
                sound = np.setdiff1d(np.arange(len(rates)), list(faults))
                where, rates = places[sound], rates.of(sound)
                faults = {int(places[member]): fault for member, fault in faults.items()}
            yield where, rates, faults

    def _rates(self, members: Members) -> tuple[Rates, dict[int, str]]:
        J = members.couplings(self.network) if self.kind.is_disordered else members.J
        kappa = members.losses(self.network) if self.kind.is_uneven else members.kappa
        detuning = members.detunings(self.network) if self.kind.is_detuned else None
        is_faulty = _negative(J) | _negative(kappa) if members.may_fail else np.zeros(0, dtype=bool)
        faults = {}
        if is_faulty.any():
            faulty = np.flatnonzero(is_faulty)
            faults = {int(faulty[i]): fault for i, fault in members.of(faulty).faults(self.network).items()}
        return Rates(J, kappa, detuning), faults


def _negative(rates: FloatArray) -> Array:
    return np.asarray((np.atleast_2d(rates) < 0).any(axis=0))


@dataclass(frozen=True)
class Product:
    """All members of a product of points.

    Attributes
    ----------
    dims : tuple of str
        Axes along which they differ.
    shape : tuple of int
        Their lengths.
    groups : tuple of Group or Uniform
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    groups: tuple[Group | Uniform, ...]

    def points_at(self, found: Mapping[int, str], points: Points) -> dict[tuple[int, ...], str]:
        """Return what is said of members by the places of their points in the product."""
        sizes = points.sizes
        said: dict[tuple[int, ...], str] = {}
        for member, reason in found.items():
            at = dict(zip(self.dims, np.unravel_index(member, self.shape), strict=True))
            ranges = [(int(at[name]),) if name in at else range(size) for name, size in sizes.items()]
            said |= dict.fromkeys(itertools.product(*ranges), reason)
        return said


def members_of(points: Points) -> Product:
    """Return the members of a product. What `points` has no value of is as in an ideal network."""
    if _are_uniform(points):
        J, kappa = np.broadcast_arrays(*(points.over(name, UNIFORM) for name in UNIFORM))
        return Product(UNIFORM, J.shape, (Uniform(points.network, J.ravel(), kappa.ravel()),))
    ideal = {name: np.zeros((1,) * len(FAMILY)) for name in FAMILY}
    given = ideal | {name: points.over(name, FAMILY) for name in FAMILY if name in points.values}
    if "kappa_charger" not in points.values:
        given["kappa_charger"] = given["kappa"]
    kinds = Kind(
        is_disordered=given["spread_J"] != 0,
        is_uneven=(given["spread_kappa"] != 0) | (given["kappa_charger"] != given["kappa"]),
        is_detuned=(given["spread_detuning"] != 0) | (given["detuning"] != 0),
    )
    codes = sum(np.asarray(is_so) * 2**bit for bit, is_so in enumerate(kinds))
    found = np.unique(codes).tolist()
    shape = tuple(points.sizes.get(name, 1) for name in FAMILY)
    members = _members(given, shape, str(points.settings.get("spread_distribution", "uniform")))
    groups = []
    for code in found:
        where: Where = slice(None)
        if len(found) > 1:
            where = np.flatnonzero(np.broadcast_to(codes == code, shape))
        kind = Kind(*(bool(code & 2**bit) for bit in range(len(kinds))))
        groups.append(Group(points.network, kind, members.of(where), where))
    return Product(FAMILY, shape, tuple(groups))


def _are_uniform(points: Points) -> bool:
    values = points.values
    if any(values[name].values.any() for name in ("detuning", *SPREADS) if name in values):
        return False
    own = values.get("kappa_charger", values["kappa"])
    return bool(np.all(own.along(FAMILY) == values["kappa"].along(FAMILY)))


def _members(given: dict[str, FloatArray], shape: tuple[int, ...], distribution: str) -> Members:
    """Lay out values in one axis of members; one value of all is not repeated in memory."""
    count = math.prod(shape)
    flat = {
        name: np.broadcast_to(values.reshape(1) if values.size == 1 else np.broadcast_to(values, shape).ravel(), count)
        for name, values in given.items()
    }
    return Members(**flat | {"seed": flat["seed"].astype(np.int64)}, distribution=distribution)
