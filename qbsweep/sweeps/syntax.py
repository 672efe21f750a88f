"""The grammar of the sweep file as pydantic models made from the declared parameters."""

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    create_model,
)

from qbsweep.physics.fock.levels import ROLES, levels_by_role, levels_label
from qbsweep.physics.protocol import Segment
from qbsweep.sweeps import variables
from qbsweep.sweeps.parameter import Parameter
from qbsweep.sweeps.parameters import MAX_SQUEEZING, PARAMETERS
from qbsweep.text import shown

MAX_AXIS_VALUES = 10_000_000
MAX_LEVELS = 1000

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1, le=MAX_AXIS_VALUES)]
Mode = Annotated[int, Field(strict=True, ge=0)]
Name = Annotated[str, Field(strict=True)]


class Model(BaseModel):
    """A mapping of the sweep file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AxisForm(Model):
    """An axis given by a rule; exactly one of the rules, and a unit if not the parameter's own."""

    values: Annotated[list[Number], Field(min_length=1)] | None = Field(None, description="the values themselves")
    linspace: tuple[Number, Number, Count] | None = Field(None, description="[start, stop, count]")
    geomspace: tuple[Number, Number, Count] | None = Field(None, description="[start, stop, count], both above 0")
    logspace: tuple[Number, Number, Count] | None = Field(None, description="[log10 start, log10 stop, count]")
    range: Annotated[list[Number], Field(min_length=2, max_length=3)] | None = Field(
        None, description="[start, stop] or [start, stop, step], stop included"
    )
    unit: Name | None = Field(None, description="J_op for J, 1/kappa for times")


class FixedForm(Model):
    """A fixed value in a unit that is not the parameter's own."""

    value: Number
    unit: Name


class LevelsForm(Model):
    """Fock levels by role."""

    charger: Annotated[int, Field(ge=2)]
    battery: Annotated[int, Field(ge=2)]


class EdgeForm(Model):
    """An edge of a network of one's own."""

    modes: tuple[Mode, Mode]
    J: Annotated[Number, Field(ge=0)] = Field(1.0, description="multiple of the sweep's J")
    theta: Number | None = Field(None, description="phase in rad; default: that of `realization`")
    Gamma: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="multiple of the sweep's J; default: 2 J of the edge if nonreciprocal, else 0"
    )


def _pair(data: Any) -> Any:
    return {"modes": data} if isinstance(data, list) else data


_Edge = Annotated[EdgeForm, BeforeValidator(_pair, json_schema_input_type=EdgeForm | tuple[Mode, Mode])]
"""An edge in full, or its two modes."""


class NetworkForm(Model):
    """A network of one's own: any graph on modes 0 (charger) to N (terminal battery)."""

    edges: Annotated[list[_Edge], Field(min_length=1)]
    kappa: list[Annotated[Number, Field(gt=0)]] | None = Field(
        None, description="multiples of the sweep's kappa, one per mode; default 1"
    )
    detuning: list[Number] | None = Field(None, description="in omega, one per mode; default 0")


def checked_levels(value: Any) -> int | str:
    """Return `fock_levels` as a number or a label; raises ValueError with the rest of a sentence."""
    if value == "auto":
        return "auto"
    value = levels_by_role(value) or value
    if isinstance(value, dict):
        for role in value:
            if role not in ROLES:
                raise ValueError(f"must have the roles {' and '.join(ROLES)}, but names '{role}'")
        if set(value) != set(ROLES):
            raise ValueError(f"must have the roles {' and '.join(ROLES)}, but lacks one")
        return levels_label({role: _number(value[role]) for role in ROLES})
    return _number(value)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, auto, or {{charger: ..., battery: ...}}, but is {shown(value)}")
    if not 2 <= value <= MAX_LEVELS:
        raise ValueError(f"must be at least 2 and at most {MAX_LEVELS}, but is {value}")
    return value


LIMITS: dict[str, dict[str, Any]] = {
    "until": {"positive": True},
    "coupling": {"minimum": 0},
    "occupation": {"minimum": 0},
    "squeezing": {"minimum": 0, "maximum": MAX_SQUEEZING},
}
"""Of the numbers of a protocol, as a `Parameter` has them; the others have none."""


def _or_name(key: str) -> Any:
    return Annotated[float, Field(**_bounds(**LIMITS[key]))] | Name


def _bounds(positive: bool = False, minimum: float | None = None, maximum: float | None = None) -> dict[str, Any]:
    bounds = {"gt": 0 if positive else None, "ge": minimum, "le": maximum}
    return {key: bound for key, bound in bounds.items() if bound is not None}


class SegmentForm(Model):
    """A segment of a protocol; a text is the name of an axis of `sweep`, or of a value of `parameters`."""

    until: _or_name("until") = Field(  # type: ignore[valid-type]
        Segment().until, description="its end, in the unit of `times`; the last segment may go on without one"
    )
    drive: float | Name | tuple[float | Name, float | Name] = Field(
        Segment().drive[0], description="multiple of epsilon, or [from, to] of a linear ramp"
    )
    coupling: _or_name("coupling") = Field(  # type: ignore[valid-type]
        Segment().coupling, description="multiple of all J and Gamma"
    )


class StateForm(Model):
    """The initial state of a mode; a text is a name, as in a segment."""

    amplitude: float | Name = Field(0.0, description="displacement <c>")
    occupation: _or_name("occupation") = Field(  # type: ignore[valid-type]
        0.0, description="thermal photons before squeezing"
    )
    squeezing: _or_name("squeezing") = Field(0.0, description="squeezing strength")  # type: ignore[valid-type]
    angle: float | Name = Field(0.0, description="squeezing angle in rad")


def value_type(p: Parameter) -> Any:
    """Return the type of a parameter's value, with its limits."""
    if p.kind == "levels":
        return Annotated[Any, PlainValidator(checked_levels, json_schema_input_type=LevelsForm | int | Literal["auto"])]
    if p.kind == "choice":
        # A topology may also be the name of one of the file's own networks.
        return Name if p.name == "topology" else Literal[p.choices]
    limits: dict[str, Any] = {"strict": True, "description": f"{p.long_name}, in {p.units}"}
    limits |= _bounds(p.positive, p.minimum, p.maximum)
    if p.kind == "int":
        return Annotated[int, Field(**limits)]
    return Annotated[float, Field(allow_inf_nan=False, **limits)]


def _shape_of(value: Any) -> str:
    if isinstance(value, dict) and set(value) & set(ROLES):
        return "scalar"
    return "list" if isinstance(value, list) else "form" if isinstance(value, (dict, BaseModel)) else "scalar"


def _axis_type(value_type: Any, *, numeric: bool) -> Any:
    union: Any = Annotated[value_type, Tag("scalar")]
    union |= Annotated[Annotated[list[value_type], Field(min_length=1)], Tag("list")]
    if numeric:
        union |= Annotated[AxisForm, Tag("form")]
    return Annotated[union, Discriminator(_shape_of)]


def _fixed_type(p: Parameter, value_type: Any) -> Any:
    if not p.scales:
        return value_type
    return Annotated[Annotated[value_type, Tag("scalar")] | Annotated[FixedForm, Tag("form")], Discriminator(_shape_of)]


Output: Any = Literal[variables.OUTPUTS]


def _section(name: str, types: dict[str, Any]) -> type[Model]:
    fields: dict[str, Any] = {
        p.name: (types[p.name] | None, Field(None, description=p.meaning)) for p in PARAMETERS.values()
    }
    return create_model(name, __base__=Model, **fields)


Parameters = _section("Parameters", {p.name: _fixed_type(p, value_type(p)) for p in PARAMETERS.values()})
Sweep = _section("Sweep", {p.name: _axis_type(value_type(p), numeric=p.kind != "choice") for p in PARAMETERS.values()})


def _read_later(form: Any) -> Any:
    """Return a type for what is looked at when all names are known."""
    return Annotated[Any, PlainValidator(lambda given: given, json_schema_input_type=form)]


class SweepFile(Model):
    """A sweep: fixed parameters, axes, and what to compute. Every parameter is in one of the two."""

    name: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    parameters: Parameters = Field(default_factory=Parameters)  # type: ignore[valid-type]
    sweep: Sweep = Field(default_factory=Sweep)  # type: ignore[valid-type]
    times: _axis_type(Annotated[Number, Field(ge=0)], numeric=True) | None = Field(  # type: ignore[valid-type]
        None, description="times of the time-resolved outputs, in 1/omega or 1/kappa"
    )
    outputs: Annotated[list[Output], Field(min_length=1)] | None = Field(
        None, description="default: all steady-state scalars, and with `times` the time-resolved variables"
    )
    networks: dict[Annotated[str, Field(strict=True, min_length=1)], NetworkForm] = Field(
        default_factory=dict, description="topologies of one's own"
    )
    protocol: _read_later(list[SegmentForm]) = Field(  # type: ignore[valid-type]
        None, description="segments one after the other: what becomes of drive and couplings in time"
    )
    initial: _read_later(  # type: ignore[valid-type]
        Literal["vacuum", "thermal", "steady"] | dict[str, StateForm]
    ) = Field(None, description="state at t = 0: vacuum if not given, or states by role or number of a mode")


@cache
def file_model(names: tuple[str, ...] = ()) -> type[SweepFile]:
    """Return the model of a sweep file whose protocol names some parameters of its own."""
    if not names:
        return SweepFile
    fixed: Any = dict.fromkeys(names, (Number | None, None))
    swept: Any = {name: (_axis_type(Number, numeric=True) | None, None) for name in names}
    parameters = create_model("Parameters", __base__=Parameters, **fixed)
    sweep = create_model("Sweep", __base__=Sweep, **swept)
    sections: Any = {
        "parameters": (parameters, Field(default_factory=parameters)),
        "sweep": (sweep, Field(default_factory=sweep)),
    }
    return create_model("SweepFile", __base__=SweepFile, **sections)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the sweep file, for editors: only with a protocol are there names of one's own."""
    schema = SweepFile.model_json_schema()
    own = file_model(("named",)).model_json_schema()["$defs"]
    for section in ("Parameters", "Sweep"):
        schema["$defs"][section]["additionalProperties"] = own[section]["properties"]["named"]
    known = {"propertyNames": {"enum": list(PARAMETERS)}}
    plain = {"properties": {"parameters": known, "sweep": known}}
    conditions = {"anyOf": [{"required": ["protocol"]}, {"required": ["initial"]}, plain]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, **conditions}
