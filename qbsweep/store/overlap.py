"""Where two datasets have the same points: their numbers side by side, a chunk at a time."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbsweep.store.dataset import Store
from qbsweep.sweeps.axes import Scalar
from qbsweep.sweeps.joining import places
from qbsweep.sweeps.spec import SweepSpec
from qbsweep.sweeps.variables import VARIABLES

Arrays = Mapping[str, NDArray[Any]]
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]
_NONE = (np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp))


@dataclass(frozen=True, slots=True)
class Part:
    """Points that two datasets share.

    Attributes
    ----------
    labels : dict
        Values of the parameters that are an axis of either.
    one, other : dict of ndarray
        Variables of both, in the shape of `labels` and then of modes and times.
    """

    labels: dict[str, list[Scalar]]
    one: Arrays
    other: Arrays

    def at(self, place: Sequence[int]) -> dict[str, Scalar]:
        """Return the labels of a point."""
        return {name: values[i] for (name, values), i in zip(self.labels.items(), place, strict=True)}


class Overlap:
    """The points that two datasets share, by the values of their parameters.

    A value that one of them ignores is any value of the other: one point of it may be several there.

    Attributes
    ----------
    one, other : Store
    points : int
        How many pairs there are.
    in_one, in_other : int
        How many points of each are in a pair.
    """

    def __init__(self, one: Store, other: Store) -> None:
        self.one, self.other = one, other
        names = [name for name in one.spec.parameters if name in other.spec.parameters]
        self._pairs = {name: _pairs(one.spec, other.spec, name) for name in names}
        differ = any(one.spec.differs_in_unit(other.spec, name) for name in names)
        if differ or one.spec.protocol != other.spec.protocol:
            self._pairs = dict.fromkeys(names, _NONE)
        self.points = math.prod(len(mine) for mine, _ in self._pairs.values())
        self.in_one, self.in_other = (
            math.prod(len(np.unique(pair[i])) for pair in self._pairs.values()) for i in (0, 1)
        )

    @cached_property
    def variables(self) -> list[str]:
        """Names of the variables that can be compared, `status` last."""
        names = [name for name in self.one.variables if name in self.other.variables]
        times = [spec.times and spec.times.digest for spec in (self.one.spec, self.other.spec)]
        return [name for name in names if times[0] == times[1] or "time" not in VARIABLES[name].extra_dims]

    def parts(self, names: Collection[str] | None = None) -> Iterator[Part]:
        """Return these variables, by default all, at all pairs of points, a chunk of the first dataset at a time."""
        names = self.variables if names is None else names
        for chunk in range(self.one.grid.chunks.number) if self.points else ():
            region = dict(zip(self.one.spec.axes, self.one.grid.chunks.region(chunk), strict=True))
            kept = {name: _within(pair, region[name]) if name in region else pair for name, pair in self._pairs.items()}
            if all(len(mine) for mine, _ in kept.values()):
                yield self._part(chunk, {name: s.start for name, s in region.items()}, kept, names)

    def _part(self, chunk: int, starts: Mapping[str, int], kept: Mapping[str, Pairs], names: Collection[str]) -> Part:
        specs = self.one.spec, self.other.spec
        swept = [name for name in self._pairs if any(name in spec.axes for spec in specs)]
        inside = np.ix_(*(kept[name][0] - start for name, start in starts.items()))
        one = {name: values[inside] for name, values in self.one.read_chunk(chunk, names).items()}
        other = self.other.select([kept[name][1] for name in specs[1].axes], names)
        # An axis that one of them has alone has one value there.
        shapes = [tuple(len(kept[name][0]) if name in spec.axes else 1 for name in swept) for spec in specs]
        pairs = {name: _fitted((one[name], other[name]), shapes, [len(spec.axes) for spec in specs]) for name in names}
        labels = {}
        for name in swept:
            which = 1 if specs[0].ignores(name) else 0
            values = specs[which].values(name)
            labels[name] = [values[i] for i in kept[name][which]]
        first, second = ({name: pair[i] for name, pair in pairs.items()} for i in (0, 1))
        return Part(labels, first, second)


def _pairs(one: SweepSpec, other: SweepSpec, name: str) -> Pairs:
    """Return the places that a parameter has in two sweeps, at points that they share."""
    if one.ignores(name):
        there = np.arange(len(other.axis(name)))
        return np.zeros_like(there), there
    if other.ignores(name):
        here = np.arange(len(one.axis(name)))
        return here, np.zeros_like(here)
    where = places(one, other, name)
    here = np.flatnonzero(where >= 0)
    return here, where[here]


def _within(pairs: Pairs, region: slice) -> Pairs:
    kept = (pairs[0] >= region.start) & (pairs[0] < region.stop)
    return pairs[0][kept], pairs[1][kept]


def _fitted(both: Sequence[NDArray[Any]], shapes: Sequence[tuple[int, ...]], dims: Sequence[int]) -> list[NDArray[Any]]:
    """Return two arrays in one shape: that of all their points, and then the modes that both have."""
    tails = [values.shape[n:] for values, n in zip(both, dims, strict=True)]
    tail = tuple(map(min, *tails))
    cut: tuple[Any, ...] = (..., *(slice(0, length) for length in tail))
    whole = (*map(max, *shapes), *tail)
    return [
        np.broadcast_to(values.reshape((*shape, *own))[cut], whole)
        for values, shape, own in zip(both, shapes, tails, strict=True)
    ]
