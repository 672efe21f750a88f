"""Two sweeps beside each other: what they share, where they differ, and the one sweep that has the points of both."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbsweep.errors import QbsweepError
from qbsweep.sweeps.axes import Axis, Scalar
from qbsweep.sweeps.mistakes import GrammarError
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.protocol import forms
from qbsweep.sweeps.spec import SweepSpec, spec_of
from qbsweep.sweeps.variables import VERDICT

ULPS = 8
"""Numbers that are so many floating-point numbers apart at most are one, computed in two ways."""
_SHOWN = 3


def places(one: SweepSpec, other: SweepSpec, name: str) -> NDArray[np.intp]:
    """Return for every value of a parameter in one sweep its place in another, or -1."""
    return matched(one.axis(name).keys, other.axis(name).keys)


def matched(values: Sequence[Scalar], among: Sequence[Scalar]) -> NDArray[np.intp]:
    """Return for every value its place among others, or -1; no place twice, and the same number before a near one."""
    places = {value: place for place, value in enumerate(among)}
    found = np.array([places.get(value, -1) for value in values], dtype=np.intp)
    taken = set(found.tolist())
    free = sorted((value, place) for value, place in places.items() if isinstance(value, float) and place not in taken)
    numbers = np.array([value for value, _ in free])
    for at in np.flatnonzero(found < 0).tolist() if free else ():
        value = values[at]
        if isinstance(value, float):
            right = int(np.searchsorted(numbers, value))
            near = [i for i in (right - 1, right) if 0 <= i < len(free) and free[i][1] not in taken]
            near = [i for i in near if abs(numbers[i] - value) <= ULPS * np.spacing(max(abs(numbers[i]), abs(value)))]
            if near:
                found[at] = free[min(near, key=lambda i: abs(numbers[i] - value))][1]
                taken.add(int(found[at]))
    return found


def unlike(one: SweepSpec, other: SweepSpec) -> list[str]:
    """Say in what two sweeps differ that no axis can hold."""
    found = []
    for name in _of_both(one, other):
        if one.differs_in_unit(other, name):
            units = one.axis(name).unit, other.axis(name).unit
            found.append(f"the unit of `{name}` is {units[0]} in one and {units[1]} in the other")
    outputs = [[name for name in spec.outputs if name not in VERDICT] for spec in (one, other)]
    if outputs[0] != outputs[1]:
        found.append(f"`outputs` are {', '.join(outputs[0])} in one and {', '.join(outputs[1])} in the other")
    if (one.times and one.times.digest) != (other.times and other.times.digest):
        found.append("`times` differ")
    if one.protocol != other.protocol:
        found.append("`protocol` or `initial` differs")
    shared = one.networks.keys() & other.networks.keys()
    found += [f"network `{name}` differs" for name in sorted(shared) if one.networks[name] != other.networks[name]]
    return found


def _of_both(one: SweepSpec, other: SweepSpec) -> list[str]:
    """Return the names of the parameters that two sweeps have: all, unless their protocols differ."""
    return [name for name in one.parameters if name in other.parameters]


def differences(one: SweepSpec, other: SweepSpec) -> list[str]:
    """Say in what two sweeps differ."""
    found = [*unlike(one, other)]
    for name in _of_both(one, other):
        values, others = one.values(name), other.values(name)
        if name not in one.axes and name not in other.axes:
            if values != others and (one.uses(name) or other.uses(name)):
                found.append(f"`{name}` is {values[0]} in one and {others[0]} in the other")
            continue
        for mine, theirs, who in ((one, other, "the first"), (other, one, "the second")):
            only = [
                value for value, place in zip(mine.values(name), places(mine, theirs, name), strict=True) if place < 0
            ]
            if only:
                more = f" and {len(only) - _SHOWN:,} more" if len(only) > _SHOWN else ""
                found.append(f"only {who} has {', '.join(map(str, only[:_SHOWN]))}{more} of `{name}`")
    return found


def nearly_same(one: SweepSpec, other: SweepSpec) -> Iterator[str]:
    """Say which values of one sweep are taken as those of another, though they are not the same to the last bit."""
    for name in _of_both(one, other):
        keys, others = one.axis(name).keys, other.axis(name).keys
        pairs = [(key, others[at]) for key, at in zip(keys, matched(keys, others), strict=True) if at >= 0]
        near = [(a, b) for a, b in pairs if isinstance(a, float) and isinstance(b, float) and a != b]
        if len(near) == 1:
            yield f"`{name}`: {near[0][0]!r} is taken as {near[0][1]!r}"
        elif near:
            value, taken = max(near, key=lambda pair: abs(pair[0] - pair[1]) / max(map(abs, pair)))
            yield f"`{name}`: {len(near):,} values are taken as ones beside them; {value!r} and {taken!r} differ most"


def joined(one: SweepSpec, other: SweepSpec) -> SweepSpec:
    """Return the sweep that has the points of two.

    Axes have the values of both, and a parameter that is fixed to different values becomes an axis; but what one of
    them ignores is as the other has it.

    Raises
    ------
    QbsweepError
        If they differ in what no axis can hold, or cannot be in one grid.
    """
    if differing := unlike(one, other):
        raise QbsweepError(f"the runs are of sweeps that cannot be merged: {'; '.join(differing)}")
    content: dict[str, Any] = {"name": one.name, "parameters": {}, "sweep": {}}
    for name in one.parameters:
        mine, theirs = one.axis(name), other.axis(name)
        if other.ignores(name):
            theirs = mine
        elif one.ignores(name):
            mine = theirs
        elif one.rests(name):
            mine = replace(mine, unit=theirs.unit)
        if name not in one.axes and name not in other.axes and matched(mine.keys, theirs.keys)[0] == 0:
            content["parameters"][name] = mine.given
        else:
            content["sweep"][name] = _union(mine, theirs, one.parameters[name].units)
    if one.times is not None:
        content["times"] = one.times.given
    if one.protocol is not None:
        content |= forms(one.protocol)
    content["outputs"] = [name for name in one.outputs if name not in VERDICT]
    networks = {**other.networks, **one.networks}
    content["networks"] = {name: form.model_dump(mode="json", exclude_none=True) for name, form in networks.items()}
    try:
        return spec_of(content)
    except GrammarError as error:
        reasons = "; ".join(str(error).splitlines())
        raise QbsweepError(
            f"the runs cannot be merged: one grid with all their points is no sweep, as {reasons}; nothing was written"
        ) from None


def _union(one: Axis, other: Axis, units: str) -> Any:
    """Return the values of two axes as a sweep file has them, ascending if both ascend."""
    new = np.flatnonzero(matched(other.keys, one.keys) < 0)
    values = [*_given(one), *(_given(other)[place] for place in new)]
    if all(axis.array.dtype != object and (np.diff(axis.array) > 0).all() for axis in (one, other)):
        values.sort()
    return values if one.unit == units else {"values": values, "unit": one.unit}


def _given(axis: Axis) -> list[Any]:
    """Return the values of an axis, each as a sweep file has it."""
    if axis.name in PARAMETERS and PARAMETERS[axis.name].kind == "levels" and axis.array.dtype == object:
        return axis.given if isinstance(axis.given, list) else [axis.given]
    return axis.values
