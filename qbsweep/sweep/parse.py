"""Parse a sweep file: what is wrong with it, in one sentence with its place."""

from functools import cache
from typing import Any

from pydantic import (
    TypeAdapter,
    ValidationError,
)

from qbsweep.errors import QbsweepError
from qbsweep.sweep import variables
from qbsweep.sweep.parameters import PARAMETERS
from qbsweep.sweep.syntax import (
    VALUE_TYPES,
    AxisForm,
    EdgeForm,
    FixedForm,
    NetworkForm,
    SweepFile,
)
from qbsweep.text import choices, shown, unknown


def parse(content: Any) -> SweepFile:
    """Validate the content of a sweep file; raises QbsweepError with one sentence and its place."""
    if not isinstance(content, dict):
        raise GrammarError((), f"a sweep file must be a mapping of `name`, `sweep`, ..., but is a {_noun(content)}")
    try:
        _refuse_blanks(content)
        return SweepFile.model_validate(content)
    except ValidationError as error:
        raise _translated(error) from None


def _refuse_blanks(content: dict[str, Any], where: tuple[str | int, ...] = ()) -> None:
    """Refuse a key without a value: it is a slip, not a wish for the default."""
    for name, value in content.items():
        here = (*where, name)
        if value is None:
            raise GrammarError(here, f"{_subject(here)} is empty; give it a value or leave it out")
        if isinstance(value, dict):
            _refuse_blanks(value, here)


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    annotation: Any = list.__class_getitem__(VALUE_TYPES[name])
    return TypeAdapter(annotation)


def check_values(name: str, values: list[Any]) -> None:
    """Check the expanded values of an axis against the limits of its parameter."""
    try:
        _adapter(name).validate_python(values)
    except ValidationError as error:
        raise _translated(error, prefix=("sweep", name, "list")) from None


def check_value(name: str, value: Any) -> None:
    """Check the value of a fixed parameter that was given with a unit."""
    try:
        _adapter(name).validate_python([value])
    except ValidationError as error:
        raise _translated(error, prefix=("parameters", name), skip=1) from None


class GrammarError(QbsweepError):
    """A mistake in a sweep file and the path of keys that leads to it."""

    def __init__(self, where: tuple[str | int, ...], sentence: str) -> None:
        super().__init__(sentence)
        self.where = where


_TAGS = {"list", "form", "scalar"}
_LIMITS = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a name",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "string_pattern_mismatch": "a name of letters, digits, '.', '_' and '-' that starts with a letter or digit",
    "string_too_long": "at most {max_length} characters long",
}


def _translated(error: ValidationError, prefix: tuple[str | int, ...] = (), skip: int = 0) -> GrammarError:
    """Turn the first of pydantic's errors into one sentence; its place is `prefix` and what follows after `skip`."""
    # A name that is not known explains the one that is missing.
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    first = details[0]
    loc = (*prefix, *first["loc"][skip:])
    where = tuple(part for part in loc if part not in _TAGS)
    sentence = _sentence(first["type"], loc, where, first.get("ctx", {}), first.get("input"))
    others = len({d["loc"] for d in details}) - 1
    return GrammarError(where, sentence + (f" (and {others} more to mend)" if others else ""))


def _sentence(kind: str, loc: tuple[Any, ...], where: tuple[Any, ...], ctx: dict[str, Any], value: Any) -> str:
    if kind == "extra_forbidden":
        return unknown(*_vocabulary(loc, where))
    if kind == "value_error":
        axis_value = f" (axis value {where[-1] + 1})" if _is_axis_value(where) else ""
        return f"{_subject(where)} {ctx['error']}{axis_value}"
    if where[0] == "parameters" and len(where) == 2 and isinstance(value, (list, dict)):
        return (
            f"{_subject(where)} in `parameters` must be a single value, but is a {_noun(value)}; "
            "an axis goes to `sweep`"
        )
    if kind == "missing":
        if isinstance(where[-1], int):
            return f"{_subject(where[:-1])} must be {_rule(where[-2])}, but has {_entries(where[-1])}"
        return f"{_subject(where)} is missing"
    if kind in ("too_short", "too_long"):
        if where[-1] == "modes" or (where[-1] in AxisForm.model_fields and where[-1] != "values"):
            return f"{_subject(where)} must be {_rule(where[-1])}, but has {_entries(len(value))}"
        return f"{_subject(where)} must have at least one value, but is empty"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return f"{_subject(where)} must be a name or a list of names, but is a {_noun(value)}"
    if kind == "literal_error":
        valid = variables.OUTPUTS if where[0] == "outputs" else PARAMETERS[str(where[1])].choices
        if isinstance(value, str) and where[0] == "outputs":
            return unknown("output", value, valid)
        return f"{_subject(where)} must be {choices(valid)}, but {_found(where, value)}"
    if kind in ("tuple_type", "list_type") and where[-1] in AxisForm.model_fields:
        return f"{_subject(where)} must be {_rule(where[-1])}, but is {shown(value)}"
    plain = {key: int(v) if isinstance(v, float) and v.is_integer() else v for key, v in ctx.items()}
    requirement = _LIMITS.get(kind, kind.replace("_", " ")).format(**plain)
    if kind in ("int_type", "int_from_float") and isinstance(value, float) and value.is_integer():
        requirement += f" (write {int(value)})"
    return f"{_subject(where)} must be {requirement}, but {_found(where, value)}"


def _rule(form: Any) -> str:
    if form == "modes":
        return "a pair of modes [u, v]"
    return AxisForm.model_fields[form].description or ""


def _vocabulary(loc: tuple[Any, ...], where: tuple[Any, ...]) -> tuple[str, str, list[str]]:
    """Return what kind of name the offending key is, the key, and the names that are valid there."""
    key = str(where[-1])
    if len(where) == 1:
        return "key", key, list(SweepFile.model_fields)
    if where[0] in ("parameters", "sweep") and len(where) == 2:
        return "parameter", key, list(PARAMETERS)
    if where[0] == "networks":
        return "key", key, list((EdgeForm if "edges" in where else NetworkForm).model_fields)
    return "key", key, list((FixedForm if where[0] == "parameters" else AxisForm).model_fields)


def _subject(where: tuple[Any, ...]) -> str:
    """``('sweep', 'J', 'linspace', 2)`` -> entry 3 of `linspace` of `J`; an axis value is its axis."""
    parts = list(where[1:] if where[0] in ("parameters", "sweep") and len(where) > 1 else where)
    if _is_axis_value(where):
        parts = parts[:-1]
    return " of ".join(f"entry {p + 1}" if isinstance(p, int) else f"`{p}`" for p in reversed(parts))


def _is_axis_value(where: tuple[Any, ...]) -> bool:
    return isinstance(where[-1], int) and (where[0], len(where)) in (
        ("sweep", 3),
        ("times", 2),
        ("outputs", 2),
    )


def _found(where: tuple[Any, ...], value: Any) -> str:
    if _is_axis_value(where):
        return f"axis value {where[-1] + 1} is {shown(value)}"
    return f"is {shown(value)}"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _noun(value: Any) -> str:
    return {dict: "mapping", list: "list", str: "text", type(None): "blank"}.get(type(value), "number")
