"""What a sweep file means: its axes expanded, its defaults filled in, its networks built."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from qbsweep import grammar, schema
from qbsweep.errors import QbsweepError, unknown
from qbsweep.grammar import AxisForm, EdgeForm, FixedForm, GrammarError, NetworkForm, SweepFile
from qbsweep.physics.network import TOPOLOGIES, Edge, Network, uniform_edge
from qbsweep.schema import PARAMETERS
from qbsweep.yamlfile import read_yaml

Scalar = str | int | float


@dataclass(frozen=True)
class Axis:
    """Values of one parameter, or of time, and the unit they are multiples of.

    Attributes
    ----------
    name : str
    values : tuple
    unit : str
    given : object
        The axis as the sweep file has it: a value, a list, or a rule.
    """

    name: str
    values: tuple[Scalar, ...]
    unit: str
    given: Any = field(compare=False, default=None)

    @cached_property
    def array(self) -> NDArray[Any]:
        """The values as float64, int64 or object (names)."""
        kind = PARAMETERS[self.name].kind if self.name in PARAMETERS else "float"
        dtype: Any = {"choice": object, "int": np.int64, "float": np.float64}[kind]
        return np.array(self.values, dtype=dtype)

    @cached_property
    def digest(self) -> str:
        """Hex digits that identify the values and their unit."""
        array = self.array
        data = json.dumps(self.values).encode() if array.dtype == object else array.tobytes()
        return hashlib.sha256(self.unit.encode() + data).hexdigest()


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """A sweep, fully resolved.

    Attributes
    ----------
    name : str
    axes : dict of Axis
        Swept parameters, in the order of `schema.PARAMETERS`: the dimensions of the grid.
    fixed : dict of Axis
        All other parameters, each with its one value.
    times : Axis or None
        Times in units of 1/omega or 1/kappa.
    outputs : tuple of str
        Names of the variables to compute, in the order of `schema.VARIABLES`.
    networks : dict
        Topologies of the user's own.
    """

    name: str
    axes: Mapping[str, Axis]
    fixed: Mapping[str, Axis]
    times: Axis | None
    outputs: tuple[str, ...]
    networks: Mapping[str, NetworkForm] = field(default_factory=dict)

    def values(self, name: str) -> tuple[Scalar, ...]:
        """All values that a parameter takes in this sweep."""
        return (self.axes[name] if name in self.axes else self.fixed[name]).values

    @property
    def coupling_unit(self) -> str:
        """``omega`` or ``J_op``."""
        return (self.axes["J"] if "J" in self.axes else self.fixed["J"]).unit

    @property
    def n_modes(self) -> int:
        """Number of modes of the largest network, N + 1."""
        return 1 + max(int(N) for N in self.values("N"))

    def digest(self) -> str:
        """Return 16 hex digits that identify everything that decides the numbers."""
        content = {
            "axes": {axis.name: axis.digest for axis in self.axes.values()},
            "fixed": {axis.name: axis.digest for axis in self.fixed.values()},
            "times": None if self.times is None else self.times.digest,
            "outputs": self.outputs,
            "networks": {n: form.model_dump(mode="json") for n, form in sorted(self.networks.items())},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def build_network(spec: SweepSpec, topology: str, N: int, coupling: str, realization: str) -> Network:
    """Return the network of a grid point with unit J and kappa: a solver scales it."""
    form = spec.networks.get(topology)
    if form is None:
        return TOPOLOGIES[topology](N, coupling=coupling, realization=realization)
    return Network(
        kappa=tuple(form.kappa or (1.0,) * (N + 1)),
        edges=tuple(_own_edge(edge, coupling, realization) for edge in form.edges),
        detuning=tuple(form.detuning or ()),
    )


def _own_edge(form: EdgeForm, coupling: str, realization: str) -> Edge:
    edge = uniform_edge(*form.modes, form.J, coupling, realization, 1j, 1)
    return Edge(
        edge.u,
        edge.v,
        edge.J,
        theta=edge.theta if form.theta is None else form.theta,
        Gamma=edge.Gamma if form.Gamma is None else form.Gamma,
        p_u=edge.p_u,
        p_v=edge.p_v,
    )


def parse_spec(text: str) -> SweepSpec:
    """Read a sweep from the text of `dump_spec`."""
    return resolve(grammar.parse(yaml.safe_load(text)))


def load_spec(path: Path) -> SweepSpec:
    """Read and check a sweep file.

    Raises
    ------
    QbsweepError
        With the file, the line and one sentence.
    """
    content, lines = read_yaml(path)
    try:
        return resolve(grammar.parse(content))
    except GrammarError as error:
        where = error.where
        while where and where not in lines:
            where = where[:-1]
        line = f":{lines[where]}" if where in lines else ""
        raise QbsweepError(f"{path}{line}: {error}") from None


def resolve(file: SweepFile) -> SweepSpec:
    """Expand the axes of a parsed sweep file, fill in the defaults and check that it all fits together."""
    axes: dict[str, Axis] = {}
    fixed: dict[str, Axis] = {}
    for name, parameter in PARAMETERS.items():
        given, swept = getattr(file.parameters, name), getattr(file.sweep, name)
        if given is not None and swept is not None:
            raise GrammarError(("sweep", name), f"`{name}` is in `parameters` and in `sweep`; keep one of them")
        if swept is not None:
            axes[name] = _expanded(name, swept)
        elif given is not None or parameter.default is not None:
            fixed[name] = _fixed(name, parameter.default if given is None else given)
        else:
            raise GrammarError((), f"`{name}` must be given, in `parameters` or as an axis in `sweep`")
    times = None if file.times is None else _times(file.times)
    spec = SweepSpec(
        name=file.name,
        axes=axes,
        fixed=fixed,
        times=times,
        outputs=_outputs(file.outputs, times),
        networks=file.networks,
    )
    _check_topologies(spec)
    return spec


def _fixed(name: str, given: Any) -> Axis:
    if isinstance(given, FixedForm):
        grammar.check_values(name, [given.value])
        return Axis(name, (given.value,), _unit(name, given.unit, ("parameters", name)), given.model_dump())
    return Axis(name, (_plain(name, given),), PARAMETERS[name].units, given)


def _plain(name: str, value: Scalar) -> Scalar:
    return float(value) if PARAMETERS[name].kind == "float" else value


def _unit(name: str, unit: str | None, where: tuple[str | int, ...]) -> str:
    own = "1/omega" if name == "times" else PARAMETERS[name].units
    if unit is None:
        return own
    valid = (own, "1/kappa") if name == "times" else (own, *PARAMETERS[name].scales)
    if unit not in valid:
        raise GrammarError((*where, "unit"), f"{unknown('unit', unit, valid)} (`unit` of `{name}`)")
    return unit


def _expanded(name: str, given: Any) -> Axis:
    where = ("sweep", name)
    if isinstance(given, AxisForm):
        values: Sequence[Any] = _rule_values(given, name, where)
        if PARAMETERS[name].kind == "int":
            values = [int(v) if math.isfinite(v) and float(v).is_integer() else v for v in values]
        # The limits are an interval, so of many values the extremes tell; a text is no rule's value.
        many = len(values) > 1000 and np.isfinite(values).all()
        grammar.check_values(name, [min(values), max(values)] if many else list(values))
        axis = Axis(name, tuple(_plain(name, v) for v in values), _unit(name, given.unit, where), _rule(given))
    else:
        listed = given if isinstance(given, list) else [given]
        axis = Axis(name, tuple(_plain(name, v) for v in listed), PARAMETERS[name].units, listed)
    _check_unique(axis, where)
    return axis


def _rule(form: AxisForm) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in form.model_dump(exclude_none=True).items()}


def _rule_values(form: AxisForm, name: str, where: tuple[str | int, ...]) -> list[float]:
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
        return list(arguments)
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
    with np.errstate(over="ignore"):
        return list(make(start, stop, count).tolist())


def _range(arguments: Sequence[float], name: str, where: tuple[str | int, ...]) -> list[float]:
    start, stop, step = arguments if len(arguments) == 3 else (*arguments, 1.0)
    if step == 0 or (stop - start) / step < 0:
        raise GrammarError(where, f"`range` of `{name}` must reach {stop:g} from {start:g}, but its step is {step:g}")
    count = math.floor((stop - start) / step * (1 + 1e-12) + 1e-9) + 1
    if count > grammar.MAX_AXIS_VALUES:
        raise GrammarError(where, f"`range` of `{name}` must have at most {grammar.MAX_AXIS_VALUES} values")
    return [start + step * i for i in range(count)]


def _check_unique(axis: Axis, where: tuple[str | int, ...]) -> None:
    if len(set(axis.values)) == len(axis.values):
        return
    seen: dict[Scalar, int] = {}
    for position, value in enumerate(axis.values, start=1):
        if value in seen:
            raise GrammarError(
                where,
                f"`{axis.name}` must not repeat a value, but axis values {seen[value]} and {position} are {value}",
            )
        seen[value] = position


def _times(given: Any) -> Axis:
    where = ("times",)
    if isinstance(given, AxisForm):
        values = _rule_values(given, "times", where)
        axis = Axis("times", tuple(values), _unit("times", given.unit, where), _rule(given))
    else:
        listed = [float(v) for v in (given if isinstance(given, list) else [given])]
        axis = Axis("times", tuple(listed), "1/omega", listed)
    if axis.array[0] < 0 or not np.isfinite(axis.array).all():
        raise GrammarError(where, "`times` must be finite and at least 0: the evolution starts from vacuum at 0")
    backward = np.flatnonzero(np.diff(axis.array) <= 0)
    if len(backward):
        early, late = axis.array[backward[0] : backward[0] + 2]
        raise GrammarError(
            where, f"`times` must ascend, but value {backward[0] + 2} ({late:g}) does not follow {early:g}"
        )
    return axis


def _outputs(given: Sequence[str] | None, times: Axis | None) -> tuple[str, ...]:
    if given is None:
        return schema.STEADY_SCALARS + (schema.TIME_RESOLVED if times else ())
    wants_times = [name for name in given if name in schema.TIME_RESOLVED]
    if wants_times and times is None:
        raise GrammarError(("outputs",), f"output `{wants_times[0]}` needs `times`, but there are none")
    if times is not None and not wants_times:
        raise GrammarError(
            ("outputs",),
            "`times` is given, but no output uses it; add `energy_t` or `ergotropy_t`, or drop `times`",
        )
    if len(set(given)) < len(given):
        raise GrammarError(("outputs",), "`outputs` must not repeat a name")
    return tuple(name for name in schema.OUTPUTS if name in given)


def _check_topologies(spec: SweepSpec) -> None:
    """Check names of networks, their size against N, and that J_op exists where it is the unit of J."""
    for name in spec.networks:
        if name in TOPOLOGIES:
            raise GrammarError(("networks", name), f"network `{name}` must not have the name of a built-in topology")
    where = ("sweep" if "topology" in spec.axes else "parameters", "topology")
    for topology in spec.values("topology"):
        if topology not in TOPOLOGIES and topology not in spec.networks:
            raise GrammarError(where, unknown("topology", topology, [*TOPOLOGIES, *spec.networks]))
        if topology in spec.networks:
            _check_own(spec, str(topology))


def _check_own(spec: SweepSpec, topology: str) -> None:
    where = ("networks", topology)
    N = max(max(edge.modes) for edge in spec.networks[topology].edges)
    for value in spec.values("N"):
        if value != N:
            raise GrammarError(
                where,
                f"network `{topology}` has {N} batteries (modes 0 to {N}), so `N` must be {N}, but is {value}",
            )
    if spec.coupling_unit == "J_op":
        raise GrammarError(
            where,
            f"`unit: J_op` needs topology cascaded or parallel; there is no J_op for network `{topology}`",
        )
    try:
        build_network(spec, topology, N, "nonreciprocal", "phase-half-pi")
    except QbsweepError as error:
        raise GrammarError(where, f"network `{topology}`: {error}") from None


def dump_spec(spec: SweepSpec) -> str:
    """Return the resolved sweep as a sweep file that loads to the same spec."""
    data: dict[str, Any] = {
        "name": spec.name,
        "parameters": {name: axis.given for name, axis in spec.fixed.items()},
        "sweep": {name: axis.given for name, axis in spec.axes.items()},
    }
    if spec.times is not None:
        data["times"] = spec.times.given
    data["outputs"] = list(spec.outputs)
    if spec.networks:
        data["networks"] = {
            name: form.model_dump(mode="json", exclude_none=True) for name, form in spec.networks.items()
        }
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=100)
