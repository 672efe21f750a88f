"""Two runs beside each other: where their sweeps differ, and their numbers where they have the same points."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbsweep.runs.check import AGREE
from qbsweep.solvers.status import OK, SUSPECT
from qbsweep.store.dataset import Store
from qbsweep.store.overlap import Overlap, Part
from qbsweep.store.provenance import structured
from qbsweep.sweeps.joining import differences, nearly_same
from qbsweep.sweeps.variables import VARIABLES
from qbsweep.text import number

_NOT_NUMBERS = ("solve_seconds", "status", "verdict")


@dataclass(slots=True)
class Difference:
    """What differs between two runs.

    Attributes
    ----------
    sweep : list of str
        In what their sweeps differ, a sentence each.
    provenance : dict
        Versions, commit and host where they are not the same: those of both.
    points : int
        How many they share.
    only_first, only_second : int
        How many points only one has.
    status : int
        How many points that they share are not in the same state.
    variables : dict of dict
        For every variable whose numbers are not the same at points that both have solved: the largest `absolute`
        difference and the largest `relative` one, each with the `labels` of its point and both values.
    notes : list of str
        Values of parameters that are taken as one, though they are not the same to the last bit.
    """

    sweep: list[str] = field(default_factory=list)
    provenance: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    points: int = 0
    only_first: int = 0
    only_second: int = 0
    status: int = 0
    variables: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether sweeps and numbers are the same; where they come from may differ."""
        return not (self.sweep or self.status or self.variables or self.only_first or self.only_second)

    def __str__(self) -> str:
        lines = [*self.sweep, *self.notes]
        lines += [f"{name}: {one} and {other}" for name, (one, other) in self.provenance.items()]
        lines.append(
            f"{self.points:,} points are in both, {self.only_first:,} only in the first, "
            f"{self.only_second:,} only in the second"
        )
        if self.status:
            lines.append(f"{self.status:,} points are not in the same state")
        for name, found in self.variables.items():
            for kind, most in found.items():
                labels = ", ".join(f"{label} {number(value)}" for label, value in most["labels"].items())
                values = f"{most['first']!r} and {most['second']!r}"
                lines.append(f"{name}: largest {kind} difference {most['difference']:.2e}, at {labels}: {values}")
        if self.points and not self.variables:
            lines.append("the numbers are the same to the last bit")
        return "\n".join(lines)


def compare(one: Store, other: Store) -> Difference:
    """Compare two datasets."""
    overlap = Overlap(one, other)
    found = Difference(
        sweep=differences(one.spec, other.spec),
        provenance=_provenance(one, other),
        points=overlap.points,
        only_first=one.grid.n_points - overlap.points,
        only_second=other.grid.n_points - overlap.points,
        notes=list(nearly_same(one.spec, other.spec)),
    )
    for part in overlap.parts():
        found.status += int((part.one["status"] != part.other["status"]).sum())
        both = _solved(part.one["status"]) & _solved(part.other["status"])
        for name in overlap.variables:
            if name not in _NOT_NUMBERS:
                _note_largest(found, part, name, both)
    return found


def _provenance(one: Store, other: Store) -> dict[str, tuple[Any, Any]]:
    mine, theirs = (
        {
            **{f"version of {name}": value for name, value in structured(store.provenance["versions"], {}).items()},
            "commit": store.provenance["git_commit"],
            "host": store.provenance["host"],
        }
        for store in (one, other)
    )
    pairs = {name: (mine.get(name), theirs.get(name)) for name in {**mine, **theirs}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _solved(status: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isin(status, (OK, SUSPECT))


def _note_largest(found: Difference, part: Part, name: str, both: NDArray[np.bool_]) -> None:
    one, other = (np.asarray(arrays[name], dtype=float) for arrays in (part.one, part.other))
    absolute = np.where(_along(both, one), _apart(one, other), 0.0)
    if not absolute.any():
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = np.fmax(np.abs(one), np.abs(other))
        relative = np.where(np.isinf(absolute), np.inf, np.where(absolute > 0, absolute / largest, 0.0))
    kinds = found.variables.setdefault(name, {})
    for kind, values in (("absolute", absolute), ("relative", relative)):
        place = np.unravel_index(int(values.argmax()), values.shape)
        difference = float(values[place])
        if kind not in kinds or difference > kinds[kind]["difference"]:
            labels = part.at(tuple(int(i) for i in place))
            kinds[kind] = {
                "difference": difference,
                "labels": labels,
                "first": float(one[place]),
                "second": float(other[place]),
            }


def _along(points: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Return an array over points with dimensions of length 1 for the modes and times of another."""
    return points.reshape(points.shape + (1,) * (values.ndim - points.ndim))


def _apart(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return how far numbers are apart; infinite if only one of two is one."""
    with np.errstate(invalid="ignore"):
        apart: NDArray[Any] = np.abs(one - other)
    apart[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    apart[np.isnan(one) != np.isnan(other)] = np.inf
    return apart


def conflicts(one: Store, other: Store) -> Iterator[tuple[dict[str, Any], str, float]]:
    """Return the points at which two datasets contradict each other: labels, variable, relative difference.

    Points that are in the same state must have the same energies, as far as `check` would have them.
    """
    overlap = Overlap(one, other)
    names = [name for name in overlap.variables if VARIABLES[name].units == "omega"]
    for part in overlap.parts():
        status = part.one["status"]
        both = (status == part.other["status"]) & _solved(status)
        scale = np.zeros(status.shape)
        apart = {}
        for name in names:
            behind = tuple(range(status.ndim, part.one[name].ndim))  # modes and times
            scale = np.fmax(scale, np.fmax.reduce(np.abs(part.one[name]), axis=behind, initial=0.0))
            apart[name] = _apart(part.one[name], part.other[name]).max(axis=behind, initial=0.0)
        for name, values in apart.items():
            relative = np.where(both, values / np.where(scale > 0, scale, 1.0), 0.0)
            for place in np.argwhere(relative > AGREE):
                at = tuple(int(i) for i in place)
                yield part.at(at), name, float(relative[at])
