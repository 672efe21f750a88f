"""Two runs beside each other: where their sweeps differ, and their numbers where they have the same points."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbsweep.runs.agreement import AGREE, apart, per_point
from qbsweep.solvers.status import OK, SUSPECT
from qbsweep.store.dataset import Store
from qbsweep.store.layout import labels_behind
from qbsweep.store.overlap import Overlap, Part
from qbsweep.store.provenance import structured
from qbsweep.sweeps.joining import differences, nearly_same
from qbsweep.sweeps.spec import SweepSpec
from qbsweep.sweeps.variables import OUTPUTS, VARIABLES
from qbsweep.text import counted, labelled

_NOT_NUMBERS = ("solve_seconds", "status", "verdict")


@dataclass(slots=True, repr=False)
class Difference:
    """What differs between two runs.

    Attributes
    ----------
    sweep : list of str
        In what their sweeps differ, a sentence each.
    provenance : dict
        Versions, commit and host where they are not the same: those of both.
    points : int
        How many they share; a point that holds for all values of a parameter is one with each that the other run has.
    compared : int
        How many of these both have solved.
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
    compared: int = 0
    only_first: int = 0
    only_second: int = 0
    status: int = 0
    variables: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether sweeps and numbers are the same to the last bit; where they come from may differ."""
        only = self.only_first or self.only_second
        return not (self.sweep or self.notes or self.status or self.variables or only)

    def __str__(self) -> str:
        lines = [*self.sweep, *self.notes]
        lines += [f"{name}: {one} and {other}" for name, (one, other) in self.provenance.items()]
        lines.append(
            f"{counted(self.points, 'point')} in both, {self.only_first:,} only in the first, "
            f"{self.only_second:,} only in the second"
        )
        if self.status:
            lines.append(f"{counted(self.status, 'point')} in another state")
        for name, found in self.variables.items():
            for kind, most in found.items():
                where = f", at {labelled(most['labels'])}" if most["labels"] else ""
                values = f"{most['first']!r} and {most['second']!r}"
                lines.append(f"{name}: largest {kind} difference {most['difference']:.2e}{where}: {values}")
        if not self.compared:
            lines.append("no point is solved in both, so no numbers were compared")
        elif not self.variables:
            where = f"{counted(self.compared, 'point')} that both have solved"
            lines.append(f"the numbers are the same to the last bit, at {where}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def compare(one: Store, other: Store) -> Difference:
    """Compare two datasets."""
    overlap = Overlap(one, other)
    found = Difference(
        sweep=differences(one.spec, other.spec),
        provenance=_provenance(one, other),
        points=overlap.points,
        only_first=one.grid.n_points - overlap.in_one,
        only_second=other.grid.n_points - overlap.in_other,
        notes=list(nearly_same(other.spec, one.spec)),
    )
    for part in overlap.parts():
        found.status += int((part.one["status"] != part.other["status"]).sum())
        both = _solved(part.one["status"]) & _solved(part.other["status"])
        found.compared += int(both.sum())
        for name in overlap.variables:
            if name not in _NOT_NUMBERS:
                _note_largest(found, one.spec, part, name, both)
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


def _note_largest(found: Difference, spec: SweepSpec, part: Part, name: str, both: NDArray[np.bool_]) -> None:
    one, other = (np.asarray(arrays[name], dtype=float) for arrays in (part.one, part.other))
    absolute = np.where(_along(both, one), apart(one, other), 0.0)
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
            at, behind = (tuple(map(int, where)) for where in (place[: both.ndim], place[both.ndim :]))
            kinds[kind] = {
                "difference": difference,
                "labels": {**part.at(at), **labels_behind(spec, name, behind)},
                "first": float(one[place]),
                "second": float(other[place]),
            }


def _along(points: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Return an array over points with dimensions of length 1 for the modes and times of another."""
    return points.reshape(points.shape + (1,) * (values.ndim - points.ndim))


def conflicts(one: Store, other: Store) -> Iterator[tuple[dict[str, Any], str, float]]:
    """Return the points at which two datasets contradict each other: labels, variable, relative difference.

    Points that are in the same state must have the same outputs, as far as `check` would have them.
    """
    overlap = Overlap(one, other)
    names = [name for name in overlap.variables if name in OUTPUTS]
    for part in overlap.parts([*names, "status"]):
        status = part.one["status"]
        both = (status == part.other["status"]) & _solved(status)
        scales: dict[str, NDArray[Any]] = {}
        for name in names:
            units = VARIABLES[name].units
            scales[units] = np.fmax(scales.get(units, 0.0), per_point(part.one[name], status.ndim))
        for name in names:
            scale = scales[VARIABLES[name].units]
            difference = per_point(apart(part.one[name], part.other[name]), status.ndim)
            relative = np.where(both, difference / np.where(scale > 0, scale, 1.0), 0.0)
            for place in np.argwhere(relative > AGREE):
                at = tuple(int(i) for i in place)
                yield part.at(at), name, float(relative[at])
