"""The mappings that a sweep file may hold: axes given by a rule, networks of one's own, levels by role."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qbsweep.text import shown

MAX_AXIS_VALUES = 10_000_000
MAX_LEVELS = 1000
ROLES = ("charger", "battery")

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

    @model_validator(mode="before")
    @classmethod
    def _pair(cls, data: Any) -> Any:
        return {"modes": data} if isinstance(data, list) else data


class NetworkForm(Model):
    """A network of one's own: any graph on modes 0 (charger) to N (terminal battery)."""

    edges: Annotated[list[EdgeForm], Field(min_length=1)]
    kappa: list[Annotated[Number, Field(gt=0)]] | None = Field(
        None, description="multiples of the sweep's kappa, one per mode; default 1"
    )
    detuning: list[Number] | None = Field(None, description="in omega, one per mode; default 0")


def levels_label(value: Any) -> int | str:
    """Return `fock_levels` as a number or a label; raises ValueError with the rest of a sentence."""
    if value == "auto":
        return "auto"
    if isinstance(value, str) and re.fullmatch(r"charger \d+, battery \d+", value):
        value = {role: int(count) for role, count in (part.split() for part in value.split(", "))}
    if isinstance(value, dict):
        for role in value:
            if role not in ROLES:
                raise ValueError(f"must have the roles {' and '.join(ROLES)}, but names '{role}'")
        if set(value) != set(ROLES):
            raise ValueError(f"must have the roles {' and '.join(ROLES)}, but lacks one")
        return ", ".join(f"{role} {_number(value[role])}" for role in ROLES)
    return _number(value)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, auto, or {{charger: ..., battery: ...}}, but is {shown(value)}")
    if not 2 <= value <= MAX_LEVELS:
        raise ValueError(f"must be at least 2 and at most {MAX_LEVELS}, but is {value}")
    return value
