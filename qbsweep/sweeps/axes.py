"""Axes: the values of a parameter, however the sweep file gives them."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbsweep.arrays import FloatArray
from qbsweep.sweeps import parse
from qbsweep.sweeps.mistakes import GrammarError, Where
from qbsweep.sweeps.parameter import Parameter
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.syntax import MAX_AXIS_VALUES, AxisForm, FixedForm
from qbsweep.text import unknown

Scalar = str | int | float
_WHOLE = ("int", "levels")


@dataclass(frozen=True, eq=False)
class Axis:
    """Values of one parameter, or of time, and the unit they are multiples of.

    Attributes
    ----------
    name : str
    array : ndarray, 1-d
        float64, int64, or object for names. An array, because an axis may have millions of values.
    unit : str
    given : object
        The axis as the sweep file has it: a value, a list, or a rule.
    """

    name: str
    array: NDArray[Any]
    unit: str
    given: Any

    def __len__(self) -> int:
        return len(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axis) and (self.name, self.digest) == (other.name, other.digest)

    def __hash__(self) -> int:
        return hash((self.name, self.digest))

    @cached_property
    def values(self) -> list[Scalar]:
        """The values as plain Python scalars."""
        return list(self.array.tolist())

    @cached_property
    def keys(self) -> list[Scalar]:
        """What the values are known by on any axis."""
        return keys_of(self.name, self.values)

    @cached_property
    def digest(self) -> str:
        """Hex digits that identify the values and their unit."""
        data = json.dumps(self.values).encode() if self.array.dtype == object else self.array.tobytes()
        return hashlib.sha256(self.unit.encode() + data).hexdigest()


def keys_of(name: str, values: Sequence[Scalar]) -> list[Scalar]:
    """Return what values are known by: levels are numbers on one axis, and labels on another that has 'auto'."""
    is_levels = name in PARAMETERS and PARAMETERS[name].kind == "levels"
    return [str(value) for value in values] if is_levels else list(values)


def _array(name: str, values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    kind = PARAMETERS[name].kind if name in PARAMETERS else "float"
    if kind == "levels":
        # Numbers as long as they are all numbers; 'auto' and levels by role are labels.
        numbers = all(isinstance(value, (int, float, np.number)) for value in values)
        return np.array(values, dtype=np.int64) if numbers else np.array([str(value) for value in values], dtype=object)
    dtype: Any = {"choice": object, "int": np.int64, "float": np.float64}[kind]
    return np.array(values, dtype=dtype)


def fixed_axis(parameter: Parameter, given: Any) -> Axis:
    """Return the one-valued axis of a fixed parameter."""
    name = parameter.name
    if isinstance(given, FixedForm):
        parse.check_value(parameter, given.value)
        unit = _unit(parameter, given.unit, ("parameters", name))
        return Axis(name, _array(name, [given.value]), unit, given.model_dump())
    if name not in PARAMETERS:  # the model of the file knows the limits of all others
        parse.check_value(parameter, given)
    return Axis(name, _array(name, [given]), parameter.units, given)


def default_axis(parameter: Parameter) -> Axis:
    """Return the one-valued axis of a parameter that the sweep file leaves out."""
    name = parameter.name
    if not parameter.default_unit:
        return fixed_axis(parameter, parameter.default)
    given = {"value": parameter.default, "unit": parameter.default_unit}
    return Axis(name, _array(name, [parameter.default]), parameter.default_unit, given)


def _unit(parameter: Parameter, unit: str | None, where: Where) -> str:
    if unit is None:
        return parameter.units
    valid = (parameter.units, *parameter.scales)
    if unit not in valid:
        raise GrammarError((*where, "unit"), f"{unknown('unit', unit, valid)} (`unit` of `{parameter.name}`)")
    return unit


def swept_axis(parameter: Parameter, given: Any) -> Axis:
    """Expand an axis of `sweep` and check its values."""
    name = parameter.name
    where = ("sweep", name)
    if isinstance(given, AxisForm):
        values = _rule_values(given, name, where)
        # The limits are an interval, so of very many values the extremes tell.
        whole = parameter.kind not in _WHOLE or bool((values == np.round(values)).all())
        many = len(values) > 1000 and whole and bool(np.isfinite(values).all())
        parse.check_values(parameter, _plain(parameter, np.array([values.min(), values.max()]) if many else values))
        axis = Axis(name, _array(name, values), _unit(parameter, given.unit, where), _rule(given))
    else:
        listed = given if isinstance(given, list) else [given]
        if name not in PARAMETERS:
            parse.check_values(parameter, listed)
        axis = Axis(name, _array(name, listed), parameter.units, listed)
    _check_unique(axis, where)
    return axis


def _plain(parameter: Parameter, values: FloatArray) -> list[Scalar]:
    """Numbers of a rule as Python scalars; whole ones as int where the parameter is one."""
    plain = values.tolist()
    if parameter.kind in _WHOLE:
        return [int(v) if math.isfinite(v) and v.is_integer() else v for v in plain]
    return list(plain)


def _rule(form: AxisForm) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in form.model_dump(exclude_none=True).items()}


def _rule_values(form: AxisForm, name: str, where: Where) -> FloatArray:
    """Values of an axis given by a rule."""
    rules = [r for r in ("values", "linspace", "geomspace", "logspace", "range") if getattr(form, r) is not None]
    if len(rules) != 1:
        found = " and ".join(f"`{rule}`" for rule in rules) or "none"
        raise GrammarError(
            where,
            f"`{name}` must have one of values, linspace, geomspace, logspace or range, but has {found}",
        )
    rule, arguments = rules[0], getattr(form, rules[0])
    if rule == "values":
        return np.array(arguments, dtype=float)
    if rule == "range":
        return _range(arguments, name, (*where, rule))
    start, stop, count = arguments
    if count == 1 and start != stop:
        raise GrammarError((*where, rule), f"`{rule}` of `{name}` with 1 value must start where it stops, at {start:g}")
    if rule == "geomspace" and (start <= 0 or stop <= 0):
        raise GrammarError(
            (*where, rule),
            f"`geomspace` of `{name}` must start and stop above 0, but is {start:g} to {stop:g}",
        )
    make: Any = {"linspace": np.linspace, "geomspace": np.geomspace, "logspace": np.logspace}[rule]
    with np.errstate(all="ignore"):
        return np.asarray(make(start, stop, count), dtype=float)


def _range(arguments: Sequence[float], name: str, where: Where) -> FloatArray:
    start, stop, step = arguments if len(arguments) == 3 else (*arguments, 1.0)
    if step == 0 or (stop - start) / step < 0:
        raise GrammarError(where, f"`range` of `{name}` must reach {stop:g} from {start:g}, but its step is {step:g}")
    steps = (stop - start) / step * (1 + 1e-12) + 1e-9
    if not steps < MAX_AXIS_VALUES:
        raise GrammarError(
            where, f"`range` of `{name}` must have at most {MAX_AXIS_VALUES} values, but has {steps:.3g}"
        )
    count = math.floor(steps) + 1
    return np.asarray(start + step * np.arange(count), dtype=float)


def _check_unique(axis: Axis, where: Where) -> None:
    if len(axis) < 2 or (axis.array.dtype != object and (np.diff(axis.array) > 0).all()):
        return
    seen: dict[Scalar, int] = {}
    for position, value in enumerate(axis.values, start=1):
        if value in seen:
            raise GrammarError(
                where,
                f"`{axis.name}` must not repeat a value, but axis values {seen[value]} and {position} are {value}",
            )
        seen[value] = position


_TIMES = Parameter("times", "float", "times", "", units="1/omega", scales=("1/kappa",))


def time_axis(given: Any) -> Axis:
    """Expand `times` and check that they ascend from 0 or later."""
    where = ("times",)
    if isinstance(given, AxisForm):
        values = _rule_values(given, "times", where)
        axis = Axis("times", values, _unit(_TIMES, given.unit, where), _rule(given))
    else:
        listed = [float(v) for v in (given if isinstance(given, list) else [given])]
        axis = Axis("times", np.array(listed), "1/omega", listed)
    if axis.array[0] < 0 or not np.isfinite(axis.array).all():
        raise GrammarError(where, "`times` must be finite and at least 0: the evolution starts from vacuum at 0")
    backward = np.flatnonzero(np.diff(axis.array) <= 0)
    if len(backward):
        early, late = axis.array[backward[0] : backward[0] + 2]
        raise GrammarError(
            where, f"`times` must ascend, but value {backward[0] + 2} ({late:g}) does not follow {early:g}"
        )
    return axis
