"""Protocols and initial states: what a sweep file says of them, and the parameters that they name."""

import math
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from pydantic import BaseModel

from qbsweep.physics.fock.levels import QUBIT, ROLES, levels_by_role
from qbsweep.physics.protocol import OF_OSCILLATORS, QUBITS_BEGIN, Kind, SegmentTemplate, Template, Value
from qbsweep.sweeps.mistakes import GrammarError, Where
from qbsweep.sweeps.parameter import Parameter
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.syntax import LIMITS, SegmentForm, StateForm, SweepFile
from qbsweep.sweeps.variables import VARIABLES
from qbsweep.text import choices, shown, unknown

if TYPE_CHECKING:
    from qbsweep.sweeps.spec import SweepSpec

STARTS = tuple(kind for kind in get_args(Kind) if kind != "modes")
"""Initial states that have a name."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{,99}")  # a folder of the dataset has it
_TAKEN = {*PARAMETERS, *VARIABLES, *SweepFile.model_fields, "mode", "time", "J_abs", "network"}


def names_in(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that a sweep file has for numbers of its protocol, whatever else is right of it."""
    return tuple(dict.fromkeys(text for _, text in _named(content) if not _unfit(text)))


def misnamed_in(content: Mapping[str, Any]) -> list[str]:
    """Return the names there that no parameter can have."""
    return [text for _, text in _named(content) if _unfit(text) and text not in PARAMETERS]


def require_given(protocol: Any, initial: Any, known: Collection[str]) -> None:
    """Refuse a name that neither an axis nor a fixed parameter has."""
    for where, name in _named({"protocol": protocol, "initial": initial}):
        if name not in known:
            raise GrammarError(
                where,
                f"`{where[-1]}` in `{where[0]}` is '{name}', which must be a number, or the name of an axis in `sweep` "
                "or of a value in `parameters`",
            )


def _named(content: Mapping[str, Any]) -> Iterator[tuple[Where, str]]:
    for key in ("protocol", "initial"):
        if isinstance(content.get(key), (dict, list)):
            yield from _texts(content[key], (key,))


def _texts(data: Any, where: Where) -> Iterator[tuple[Where, str]]:
    if isinstance(data, str):
        yield where, data
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _texts(value, where if len(where) > 1 else (*where, number))
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _texts(value, (*where, str(key)))


def _unfit(name: str) -> str:
    """Say why something cannot be the name of a parameter."""
    if not _NAME.fullmatch(name):
        return "a name has letters, digits and '_' only, at most 100, and starts with a letter"
    if name in _TAKEN or hasattr(BaseModel, name):
        return "that name has another meaning; give the axis another one"
    return ""


def read_protocol(protocol: Any, initial: Any, unit: str) -> Template | None:
    """Read `protocol` and `initial` of a sweep file, either None if not given.

    Parameters
    ----------
    unit : {'1/omega', '1/kappa'}
        Of time.

    Returns
    -------
    Template or None
        None if nothing changes and the start is vacuum.

    Raises
    ------
    GrammarError
    """
    segments = (SegmentTemplate(),) if protocol is None else _segments(protocol)
    kind, states = _initial(initial)
    template = Template(segments, kind, states, unit == "1/kappa")
    return None if template == Template(per_kappa=template.per_kappa) else template


def _segments(given: Any) -> tuple[SegmentTemplate, ...]:
    if not isinstance(given, list) or not given:
        raise GrammarError(("protocol",), f"`protocol` must be a list of segments, but is {_what(given)}")
    return tuple(_segment(number, entry, is_last=number == len(given)) for number, entry in enumerate(given, start=1))


def _segment(number: int, given: Any, *, is_last: bool) -> SegmentTemplate:
    where, of = ("protocol", number - 1), f"segment {number} of `protocol`"
    if not isinstance(given, dict):
        raise GrammarError(where, f"{of} must be a mapping of {_keys(SegmentForm)}, but is {_what(given)}")
    _require_known(given, SegmentForm, where, f" ({of})")
    plain = SegmentTemplate()
    drive = given.get("drive", plain.drive[0])
    levels = drive if isinstance(drive, list) else [drive, drive]
    if len(levels) != 2:
        raise GrammarError(
            (*where, "drive"), f"`drive` of {of} must be a number or [from, to], but has {len(levels)} entries"
        )
    if "until" not in given and not is_last:
        raise GrammarError(where, f"{of} must have `until`; only the last one goes on without an end")
    if "until" not in given and levels[0] != levels[1]:
        raise GrammarError((*where, "drive"), f"`drive` of {of} is a ramp, which must have an end; give it `until`")
    until = _value(given["until"], "until", of, where) if "until" in given else plain.until
    first, last = (_value(level, "drive", of, where) for level in levels)
    return SegmentTemplate(until, (first, last), _value(given.get("coupling", plain.coupling), "coupling", of, where))


def _initial(given: Any) -> tuple[Kind, dict[str | int, dict[str, Value]]]:
    where: Where = ("initial",)
    if given is None:
        return "vacuum", {}
    if isinstance(given, str):
        if given not in STARTS:
            raise GrammarError(where, unknown("initial state", given, STARTS))
        return given, {}  # type: ignore[return-value]
    if not isinstance(given, dict) or not given:
        raise GrammarError(
            where, f"`initial` must be {choices(STARTS)}, or a mapping of modes to their states, but is {_what(given)}"
        )
    states: dict[str | int, dict[str, Value]] = {}
    for who, state in given.items():
        mode, found = _state(who, state)
        if mode in states:
            raise GrammarError((*where, str(who)), f"`{mode}` in `initial` is given twice; keep one of them")
        states[mode] = found
    return "modes", states


def _state(who: str | int, given: Any) -> tuple[str | int, dict[str, Value]]:
    where, of = ("initial", str(who)), f"`{who}` in `initial`"
    if who not in ROLES and not str(who).isdecimal():
        raise GrammarError(where, f"{of} must be {choices(ROLES)}, or the number of a mode")
    if not isinstance(given, dict) or not given:
        raise GrammarError(where, f"{of} must be a mapping of {_keys(StateForm)}, but is {_what(given)}")
    _require_known(given, StateForm, where, f" ({of})")
    state = {key: _value(value, key, of, where) for key, value in given.items()}
    return int(who) if str(who).isdecimal() else who, state


def _require_known(given: dict[str, Any], form: type[BaseModel], where: Where, of: str) -> None:
    for key in given:
        if key not in form.model_fields:
            raise GrammarError((*where, key), unknown("key", key, form.model_fields) + of)


def _value(given: Any, key: str, of: str, where: Where) -> Value:
    """Return a number within its limits, or a name."""
    where, what = (*where, key), f"`{key}` of {of}"
    if isinstance(given, str):
        if why := _unfit(given):
            raise GrammarError(where, f"{what} cannot be {shown(given).removeprefix('the text ')}: {why}")
        return given
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not abs(given) <= sys.float_info.max:
        raise GrammarError(where, f"{what} must be a number or the name of an axis, but is {_what(given)}")
    limits = LIMITS.get(key, {})
    for is_wrong, right in (
        ("positive" in limits and given <= 0, "above 0"),
        ("minimum" in limits and given < 0, "at least 0"),
        (given > limits.get("maximum", math.inf), f"at most {limits.get('maximum', 0):g}"),
    ):
        if is_wrong:
            raise GrammarError(where, f"{what} must be {right}, but is {shown(given)}")
    return float(given)


def _keys(form: type[BaseModel]) -> str:
    return ", ".join(f"`{key}`" for key in form.model_fields)


def _what(given: Any) -> str:
    return "empty" if given in ([], {}) else shown(given)


def named_parameters(template: Template | None, unit: str) -> dict[str, Parameter]:
    """Declare what a protocol names: each is a parameter of a solver, with the limits of all that it stands for.

    Raises
    ------
    GrammarError
        If a name stands for a time and for something else.
    """
    uses: dict[str, list[tuple[str, str]]] = {}
    for name, key, of in template.uses() if template else ():
        uses.setdefault(name, []).append((key, of))
    return {name: _declared(name, found, unit) for name, found in uses.items()}


def _declared(name: str, uses: list[tuple[str, str]], unit: str) -> Parameter:
    keys = {key for key, _ in uses}
    if "until" in keys and len(keys) > 1:
        other = next(key for key, _ in uses if key != "until")
        raise GrammarError(
            ("protocol",), f"`{name}` must be a time or a number, but stands for `until` and for `{other}`"
        )
    limits: dict[str, Any] = {}
    for key in keys:
        limits |= LIMITS.get(key, {})
    long_name = " and ".join(dict.fromkeys(_long_name(key, of) for key, of in uses))
    units = unit if keys == {"until"} else "rad" if keys == {"angle"} else "1"
    return Parameter(name, "float", long_name, f"named in `protocol` or `initial`: {long_name}", units, **limits)


def _long_name(key: str, of: str) -> str:
    if key in SegmentForm.model_fields:
        return f"{'end' if key == 'until' else key} of {of}"
    return f"initial {key} of {of if of.startswith('mode') else f'the {of}'}"


def require_times(template: Template | None, outputs: Collection[str] | None) -> None:
    """Refuse what changes in time where there are no times, unless only steady states are asked for: of the end."""
    if template is None:
        return
    if template.kind != "vacuum":
        raise GrammarError(("initial",), "`initial` needs `times`, but there are none: no steady state remembers it")
    if outputs is None:
        raise GrammarError(
            ("protocol",),
            "`protocol` needs `times`, but there are none; for steady states of its last segment alone, give `outputs`",
        )


def check_protocol(spec: "SweepSpec") -> None:
    """Check a protocol against the values of its axes, the times, and the modes that there are."""
    if spec.protocol is None:
        return
    _check_ends(spec, spec.protocol.segments, 0.0 if spec.times is None else float(spec.times.array.max()))
    for who, state in spec.protocol.states.items():
        where = ("initial", str(who))
        fewest = int(spec.axis("N").array.min())
        if isinstance(who, int) and who > fewest:
            raise GrammarError(
                where, f"mode {who} in `initial` must be at most N, which is {fewest}; modes are 0 (charger) to N"
            )
        role = ROLES[min(who, 1)] if isinstance(who, int) else who
        wrong = next((key for key in OF_OSCILLATORS if state.get(key, 0.0) != 0.0), None)
        for levels in spec.values("fock_levels"):
            if wrong and (levels_by_role(levels) or {}).get(role) == QUBIT:
                raise GrammarError(
                    (*where, wrong),
                    f"`{wrong}` of `{who}` in `initial` must be left out: `fock_levels` {levels} makes qubits, and "
                    + QUBITS_BEGIN,
                )


def _check_ends(spec: "SweepSpec", segments: Sequence[SegmentTemplate], last_time: float) -> None:
    """Refuse ends that do not ascend, whatever values their names have, and times behind the last one."""
    before, latest = "0", 0.0
    for number, segment in enumerate(segments, start=1):
        until, where = segment.until, ("protocol", number - 1, "until")
        ends = spec.axis(until).array if isinstance(until, str) else np.array([until])
        earliest = _shown_end(until, ends.min())
        if not ends.min() > latest:
            raise GrammarError(
                where, f"`until` of segment {number} of `protocol` must be above {before}, but is {earliest}"
            )
        before, latest = _shown_end(until, ends.max()), float(ends.max())
    if last_time > ends.min():
        raise GrammarError(
            where,
            f"`times` must end with the protocol, at {earliest}, but go on to {last_time:g}; "
            "a last segment without `until` has no end",
        )


def _shown_end(until: Value, value: float) -> str:
    return f"`{until}` {value:g}" if isinstance(until, str) else f"{value:g}"


def forms(template: Template) -> dict[str, Any]:
    """Write a protocol as `protocol` and `initial` of a sweep file."""
    segments: list[dict[str, Any]] = [
        {"until": s.until, "drive": list(s.drive), "coupling": s.coupling} for s in template.segments
    ]
    if template.segments[-1].until == math.inf:
        del segments[-1]["until"]
    states = {str(who): dict(state) for who, state in template.states.items()}
    return {"protocol": segments, "initial": states if template.kind == "modes" else template.kind}
