"""Where two datasets have the same points: their numbers side by side, a chunk at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbsweep.store.dataset import Store
from qbsweep.sweeps.axes import Scalar
from qbsweep.sweeps.joining import places
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.variables import VARIABLES

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """Points that two datasets share.

    Attributes
    ----------
    labels : dict
        Values of the parameters that are an axis of either.
    one, other : dict of ndarray
        Variables that both have, in the shape of `labels` and then of modes and times.
    """

    labels: dict[str, list[Scalar]]
    one: Arrays
    other: Arrays

    def at(self, place: Sequence[int]) -> dict[str, Scalar]:
        """Return the labels of a point."""
        return {name: values[i] for (name, values), i in zip(self.labels.items(), place, strict=True)}


class Overlap:
    """The points that two datasets share, by the values of their parameters.

    Attributes
    ----------
    one, other : Store
    points : int
        How many there are.
    """

    def __init__(self, one: Store, other: Store) -> None:
        self.one, self.other = one, other
        self._where = {
            name: places(one.spec, other.spec, name)
            for name in PARAMETERS
            if name in one.spec.axes or name in other.spec.axes or (one.spec.uses(name) and other.spec.uses(name))
        }
        is_of_units = all(one.spec.axis(name).unit == other.spec.axis(name).unit for name in self._where)
        self.points = int(np.prod([(where >= 0).sum() for where in self._where.values()])) if is_of_units else 0

    @cached_property
    def variables(self) -> list[str]:
        """Names of the variables that can be compared, `status` last."""
        names = [name for name in self.one.variables if name in self.other.variables]
        times = [spec.times and spec.times.digest for spec in (self.one.spec, self.other.spec)]
        return [name for name in names if times[0] == times[1] or "time" not in VARIABLES[name].extra_dims]

    def parts(self) -> Iterator[Part]:
        """Return all points, a chunk of the first dataset at a time."""
        for chunk in range(self.one.grid.chunks.number) if self.points else ():
            starts = dict(zip(self.one.spec.axes, self.one.grid.chunks.region(chunk), strict=True))
            kept = {name: self._kept(name, starts.get(name, slice(0, 1))) for name in self._where}
            if all(len(index) for index in kept.values()):
                yield self._part(chunk, {name: s.start for name, s in starts.items()}, kept)

    def _kept(self, name: str, within: slice) -> NDArray[np.intp]:
        index: NDArray[np.intp] = np.flatnonzero(self._where[name][within] >= 0) + within.start
        return index

    def _part(self, chunk: int, starts: Mapping[str, int], kept: Mapping[str, NDArray[np.intp]]) -> Part:
        swept = [name for name in kept if name in self.one.spec.axes or name in self.other.spec.axes]
        lengths = tuple(len(kept[name]) for name in swept)
        inside = np.ix_(*(kept[name] - start for name, start in starts.items()))
        one = {name: values[inside] for name, values in self.one.read_chunk(chunk, self.variables).items()}
        places = [self._where[name][kept[name]] for name in self.other.spec.axes]
        other = self.other.select(places, self.variables)
        n_one, n_other = len(self.one.spec.axes), len(self.other.spec.axes)
        pairs = {name: _fitted(one[name], other[name], n_one, n_other, lengths) for name in self.variables}
        labels = {name: [self.one.spec.values(name)[i] for i in kept[name]] for name in swept}
        first, second = ({name: pair[i] for name, pair in pairs.items()} for i in (0, 1))
        return Part(labels, first, second)


def _fitted(
    one: NDArray[Any], other: NDArray[Any], n_one: int, n_other: int, lengths: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two arrays in one shape: axes that one has alone have one value, and the modes are those of both."""
    tail = tuple(min(a, b) for a, b in zip(one.shape[n_one:], other.shape[n_other:], strict=True))
    cut: tuple[Any, ...] = (..., *(slice(0, length) for length in tail))
    one = one.reshape((*lengths, *one.shape[n_one:]))[cut]
    return one, other.reshape((*lengths, *other.shape[n_other:]))[cut]
