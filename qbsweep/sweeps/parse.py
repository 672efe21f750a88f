"""Parse a sweep file: what is wrong with it, each in one sentence with its place."""

from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import (
    TypeAdapter,
    ValidationError,
)

from qbsweep.sweeps import variables
from qbsweep.sweeps.mistakes import GrammarError, Mistakes, Where
from qbsweep.sweeps.parameter import Parameter
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.protocol import misnamed_in, names_in
from qbsweep.sweeps.syntax import (
    AxisForm,
    EdgeForm,
    FixedForm,
    NetworkForm,
    SweepFile,
    file_model,
    value_type,
)
from qbsweep.text import choices, shown, unknown


def parse(content: Any) -> SweepFile:
    """Validate the content of a sweep file; raises GrammarError with every mistake and its place."""
    file, mistakes = read(content)
    mistakes.raise_any()
    assert file is not None
    return file


def read(content: Any) -> tuple[SweepFile | None, Mistakes]:
    """Validate the content of a sweep file.

    Returns
    -------
    file : SweepFile or None
        What is right of it, so that it can be looked at as well; None if that is too little.
    mistakes : Mistakes
    """
    if not isinstance(content, dict):
        raise GrammarError((), f"a sweep file must be a mapping of `name`, `sweep`, ..., but is a {_noun(content)}")
    mistakes = Mistakes(list(_blanks(content)))
    told = [
        (section, name) for name in misnamed_in(content) for section in ("parameters", "sweep")
    ]  # with the protocol
    rest = _without(content, [*(where for where, _ in mistakes.found), *told])
    names = names_in(rest)
    model = file_model(names)
    try:
        return model.model_validate(rest), mistakes
    except ValidationError as error:
        known = {where for where, _ in mistakes.found}  # what is empty is not missing as well
        translated = _translated(error, names=names)
        mistakes.found += [(where, sentence) for where, sentence in translated if where not in known]
    try:
        wrong = [where for where, _ in mistakes.found]
        return model.model_validate({"name": "unnamed", **_without(rest, wrong)}), mistakes
    except ValidationError:
        return None, mistakes


def _blanks(content: dict[str, Any], where: Where = ()) -> Iterator[tuple[Where, str]]:
    """Yield every key without a value: it is a slip, not a wish for the default."""
    for name, value in content.items():
        here = (*where, name)
        if value is None:
            yield here, f"{_subject(here)} is empty; give it a value or leave it out"
        if isinstance(value, dict):
            yield from _blanks(value, here)


def _without(content: dict[str, Any], wrong: Iterable[Where]) -> dict[str, Any]:
    """Return a sweep file without the parameters, networks and other keys that have a mistake."""
    rest = {key: dict(value) if isinstance(value, dict) else value for key, value in content.items()}
    for key, *inner in (where for where in wrong if where):
        section = rest.get(str(key))
        if inner and isinstance(section, dict) and key != "initial":
            section.pop(inner[0], None)
        else:
            rest.pop(str(key), None)
    return rest


@cache
def _adapter(parameter: Parameter) -> TypeAdapter[Any]:
    annotation: Any = list.__class_getitem__(value_type(parameter))
    return TypeAdapter(annotation)


def check_values(parameter: Parameter, values: list[Any]) -> None:
    """Check the expanded values of an axis against the limits of its parameter."""
    try:
        _adapter(parameter).validate_python(values)
    except ValidationError as error:
        raise GrammarError.of(_translated(error, prefix=("sweep", parameter.name, "list"))) from None


def check_value(parameter: Parameter, value: Any) -> None:
    """Check the value of a fixed parameter that was given with a unit."""
    try:
        _adapter(parameter).validate_python([value])
    except ValidationError as error:
        raise GrammarError.of(_translated(error, prefix=("parameters", parameter.name), skip=1)) from None


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


def _translated(
    error: ValidationError, prefix: Where = (), skip: int = 0, names: tuple[str, ...] = ()
) -> list[tuple[Where, str]]:
    """Turn pydantic's errors into sentences; the place of each is `prefix` and what follows after `skip`.

    Of an axis the first value that is wrong is told, and the number of the others.
    """
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    told: dict[Where, tuple[Where, str]] = {}
    others: Counter[Where] = Counter()
    for detail in _without_explained(details):
        loc = (*prefix, *detail["loc"][skip:])
        where = tuple(part for part in loc if part not in _TAGS)
        place = where[:-1] if _is_axis_value(where) else where
        if place in told:
            others[place] += where != told[place][0]
        else:
            told[place] = (
                where,
                _sentence(detail["type"], loc, where, detail.get("ctx", {}), detail.get("input"), names),
            )
    more = {place: f" (and {count} more of its values)" for place, count in others.items() if count}
    return [(where, sentence + more.get(place, "")) for place, (where, sentence) in told.items()]


def _without_explained(details: list[Any]) -> Iterator[Any]:
    """Yield errors; a name that is missing is left out where one like it, that is not known, explains it."""
    unknown_names = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    for detail in details:
        loc = detail["loc"]
        near = [str(other[-1]) for other in unknown_names if other[:-1] == loc[:-1]]
        if detail["type"] != "missing" or not get_close_matches(str(loc[-1]), near, n=1, cutoff=0.6):
            yield detail


def _sentence(
    kind: str,
    loc: tuple[Any, ...],
    where: tuple[Any, ...],
    ctx: dict[str, Any],
    value: Any,
    names: tuple[str, ...],
) -> str:
    if kind == "extra_forbidden":
        text, of_networks = unknown(*_vocabulary(loc, where, names)), _of_networks(where)
        if not of_networks:
            return text
        return f"{text} ({of_networks})" if "did you mean" in text else f"{text.partition(';')[0]}; {of_networks}"
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


def _vocabulary(loc: tuple[Any, ...], where: tuple[Any, ...], names: tuple[str, ...]) -> tuple[str, str, list[str]]:
    """Return what kind of name the offending key is, the key, and the names that are valid there."""
    key = str(where[-1])
    if len(where) == 1:
        return "key", key, list(SweepFile.model_fields)
    if where[0] in ("parameters", "sweep") and len(where) == 2:
        return "parameter", key, [*PARAMETERS, *names]
    if where[0] == "networks":
        return "key", key, list((EdgeForm if "edges" in where else NetworkForm).model_fields)
    return "key", key, list((FixedForm if where[0] == "parameters" else AxisForm).model_fields)


def _of_networks(where: tuple[Any, ...]) -> str:
    """Say that `networks` has what is not known as a parameter, if it has."""
    if where[0] not in ("parameters", "sweep") or len(where) != 2:
        return ""
    for of, form in (("an edge", EdgeForm), ("every mode", NetworkForm)):
        for name in form.model_fields:
            if name.lower() == str(where[1]).lower():
                return f"`{name}` of {of} is given in `networks`, for a topology of one's own"
    return ""


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
