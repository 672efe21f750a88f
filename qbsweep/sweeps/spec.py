"""What a sweep file means: its axes expanded, its defaults filled in, its networks built."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qbsweep.errors import QbsweepError
from qbsweep.physics.fock.levels import QUBIT, levels_by_role
from qbsweep.physics.network import Network
from qbsweep.physics.protocol import Template
from qbsweep.physics.topologies import TOPOLOGIES, optimal_coupling
from qbsweep.sweeps import parse, variables
from qbsweep.sweeps.axes import Axis, Scalar, default_axis, fixed_axis, swept_axis, time_axis
from qbsweep.sweeps.mistakes import GrammarError, Mistakes
from qbsweep.sweeps.networks import build_network, check_network
from qbsweep.sweeps.parameter import Parameter
from qbsweep.sweeps.parameters import PARAMETERS, VALUES
from qbsweep.sweeps.protocol import check_protocol, forms, named_parameters, read_protocol, require_given, require_times
from qbsweep.sweeps.syntax import NetworkForm, SweepFile
from qbsweep.sweeps.yamlfile import dump_yaml, parse_yaml, read_yaml
from qbsweep.text import choices, unknown

MAX_POINTS = 10**10


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """A sweep, fully resolved.

    Attributes
    ----------
    name : str
    axes : dict of Axis
        Swept parameters, in the order of `parameters`: the dimensions of the grid.
    fixed : dict of Axis
        All other parameters, each with its one value.
    times : Axis or None
        Times in units of 1/omega or 1/kappa.
    outputs : tuple of str
        Names of the variables to compute, in the order of `variables.VARIABLES`.
    networks : dict
        Topologies of the user's own that the sweep uses.
    protocol : Template or None
        What changes in time, and the initial state; None if nothing does and that is vacuum.
    named : dict of Parameter
        What the protocol names: further parameters, behind `PARAMETERS`.
    """

    name: str
    axes: Mapping[str, Axis]
    fixed: Mapping[str, Axis]
    times: Axis | None
    outputs: tuple[str, ...]
    networks: Mapping[str, NetworkForm] = field(default_factory=dict)
    protocol: Template | None = None
    named: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """All parameters of this sweep, in the order of its dimensions."""
        return PARAMETERS | dict(self.named)

    @property
    def value_names(self) -> tuple[str, ...]:
        """Parameters that a solver is given as axes of a product; the dimensions of the grid end with them."""
        return (*VALUES, *self.named)

    def axis(self, name: str) -> Axis:
        """Return the values of a parameter, swept or fixed."""
        return self.axes[name] if name in self.axes else self.fixed[name]

    def values(self, name: str) -> list[Scalar]:
        """All values that a parameter takes in this sweep."""
        return self.axis(name).values

    def uses(self, name: str) -> bool:
        """Whether the result of any solver of this sweep depends on a parameter."""
        return any(solver in self.parameters[name].solvers for solver in self.values("solver"))

    def ignores(self, name: str) -> bool:
        """Whether a parameter is fixed and no result depends on it: the results hold whatever value it has."""
        return name in self.fixed and not self.uses(name)

    def rests(self, name: str) -> bool:
        """Whether a parameter is fixed where nothing has it, as in every sweep made before the parameter was."""
        parameter = self.parameters[name]
        return name in self.fixed and parameter.rests and self.fixed[name] == default_axis(parameter)

    def differs_in_unit(self, other: "SweepSpec", name: str) -> bool:
        """Whether a parameter has another unit in another sweep; what rests at 0 is 0 in any."""
        if any(spec.rests(name) and spec.values(name) == [0.0] for spec in (self, other)):
            return False
        return self.axis(name).unit != other.axis(name).unit

    @property
    def coupling_unit(self) -> str:
        """``omega`` or ``J_op``."""
        return self.axis("J").unit

    @property
    def n_modes(self) -> int:
        """Number of modes of the largest network, N + 1."""
        return 1 + int(self.axis("N").array.max())

    def network(self, topology: str, N: int, coupling: str, realization: str) -> Network:
        """Return the network of a grid point with unit J and kappa: a solver scales it."""
        return build_network(self.networks.get(topology), topology, N, coupling, realization)

    def digest(self) -> str:
        """Return 16 hex digits that identify everything that decides the numbers."""
        content = {
            "axes": {axis.name: axis.digest for axis in self.axes.values()},
            "fixed": {axis.name: axis.digest for axis in self.fixed.values() if not self.rests(axis.name)},
            "times": None if self.times is None else self.times.digest,
            "outputs": self.outputs,
            "networks": {n: form.model_dump(mode="json") for n, form in sorted(self.networks.items())},
        }
        if self.protocol is not None:
            content |= forms(self.protocol)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def parse_spec(text: str) -> SweepSpec:
    """Read a sweep from the text of `dump_spec`."""
    content, _ = parse_yaml(text, "the recorded sweep")
    return spec_of(content)


def load_spec(path: Path) -> SweepSpec:
    """Read and check a sweep file.

    Raises
    ------
    QbsweepError
        With the file, the line and one sentence.
    """
    content, lines = read_yaml(path)
    try:
        return spec_of(content)
    except GrammarError as error:
        raise error.in_file(path, lines) from None


def spec_of(content: Any) -> SweepSpec:
    """Read a sweep from the content of a sweep file, as YAML gives it; raises GrammarError with every mistake."""
    file, mistakes = parse.read(content)
    if file is None:
        raise GrammarError.of(mistakes.found)
    return resolve(file, mistakes)


def resolve(file: SweepFile, mistakes: Mistakes | None = None) -> SweepSpec:
    """Expand the axes of a parsed sweep file, fill in the defaults and check that it all fits together.

    Raises
    ------
    GrammarError
        With all mistakes, those found in parsing included.
    """
    mistakes = mistakes or Mistakes()
    times, protocol, named = None, None, {}
    with mistakes.collected():
        times = None if file.times is None else time_axis(file.times)
    unit = "1/omega" if times is None else times.unit
    with mistakes.collected():
        protocol = read_protocol(file.protocol, file.initial, unit)
        named = named_parameters(protocol, unit)
    axes: dict[str, Axis] = {}
    fixed: dict[str, Axis] = {}
    parameters = PARAMETERS | named
    for name, parameter in parameters.items():
        given, swept = getattr(file.parameters, name), getattr(file.sweep, name)
        with mistakes.collected():
            if given is not None and swept is not None:
                raise GrammarError(("sweep", name), f"`{name}` is in `parameters` and in `sweep`; keep one of them")
            if swept is not None:
                axes[name] = swept_axis(parameter, swept)
            elif given is not None:
                fixed[name] = fixed_axis(parameter, given)
            elif parameter.default is not None:
                fixed[name] = default_axis(parameter)
    if not mistakes.found:  # else what is missing may be what is wrong
        with mistakes.collected():
            require_given(file.protocol, file.initial, {*axes, *fixed})
        missing = [name for name in PARAMETERS if name not in axes and name not in fixed]
        texts = (f"`{name}` must be given, in `parameters` or as an axis in `sweep`" for name in missing)
        mistakes.found += [((), text) for text in texts]
    mistakes.raise_any()
    solvers = (axes if "solver" in axes else fixed)["solver"].values
    topologies = (axes if "topology" in axes else fixed)["topology"].values
    outputs: tuple[str, ...] = ()
    with mistakes.collected():
        outputs = _outputs(file.outputs, times, solvers)
    if times is None:
        with mistakes.collected():
            require_times(protocol, file.outputs)
    networks = {name: form for name, form in file.networks.items() if name in topologies}
    spec = SweepSpec(file.name, axes, fixed, times, outputs, networks, protocol, named)
    with mistakes.collected():
        _check_topologies(spec, file.networks)
    for check in (_check_size, _check_linear, _check_whole, check_protocol):
        with mistakes.collected():
            check(spec)
    mistakes.raise_any()
    return spec


def _outputs(given: Sequence[str] | None, times: Axis | None, solvers: Sequence[object]) -> tuple[str, ...]:
    """Names of the variables that the solvers are to compute, those of their verdicts included."""
    known = variables.computed_by(solvers)
    if given is None:
        given = variables.DEFAULT_SCALARS + (variables.DEFAULT_IN_TIME if times else ())
        return tuple(name for name in known if name in (*given, *variables.VERDICT))
    for name in given:
        if name not in known:
            right = choices(variables.VARIABLES[name].solvers)
            raise GrammarError(("outputs",), f"output `{name}` needs `solver` {right}, which this sweep does not have")
    wants_times = [name for name in given if name in variables.TIME_RESOLVED]
    if wants_times and times is None:
        raise GrammarError(("outputs",), f"output `{wants_times[0]}` needs `times`, but there are none")
    if times is not None and not wants_times:
        raise GrammarError(
            ("outputs",),
            "`times` is given, but no output uses it; add `energy_t` or `ergotropy_t`, or drop `times`",
        )
    if len(set(given)) < len(given):
        raise GrammarError(("outputs",), "`outputs` must not repeat a name")
    return tuple(name for name in known if name in (*given, *variables.VERDICT))


def _check_topologies(spec: SweepSpec, networks: Mapping[str, NetworkForm]) -> None:
    """Check names of networks, their size against N, and that J_op exists where it is the unit of J."""
    for name in networks:
        if name in TOPOLOGIES:
            raise GrammarError(("networks", name), f"network `{name}` must not have the name of a built-in topology")
    where = ("sweep" if "topology" in spec.axes else "parameters", "topology")
    for topology in spec.values("topology"):
        if topology not in TOPOLOGIES and topology not in spec.networks:
            raise GrammarError(where, unknown("topology", topology, [*TOPOLOGIES, *networks]))
        if topology in spec.networks:
            check_network(str(topology), spec.networks[str(topology)], spec.values("N"))
        if spec.coupling_unit == "J_op":
            try:
                optimal_coupling(str(topology), 1, 1.0)
            except QbsweepError as error:
                at = ("networks", str(topology)) if topology in spec.networks else where
                raise GrammarError(at, f"`unit: J_op` needs a topology that has one: {error}") from None


def _check_size(spec: SweepSpec) -> None:
    points = math.prod(len(axis) for axis in spec.axes.values())
    if points > MAX_POINTS:
        sizes = " x ".join(f"{name} {len(axis)}" for name, axis in spec.axes.items())
        raise GrammarError(
            ("sweep",),
            f"a sweep must have at most {MAX_POINTS} points, but this one has {points} ({sizes}); "
            "take fewer values per axis",
        )


def _check_linear(spec: SweepSpec) -> None:
    """Refuse what is not linear where it cannot be solved: with moments, and in the displaced frame."""
    for name in ("kerr", "kerr_charger", "fock_levels"):
        section = "sweep" if name in spec.axes else "parameters"
        for value in spec.values(name):
            if name == "fock_levels":
                nonlinear = QUBIT in (levels_by_role(value) or {}).values()
                what = f"`fock_levels` {value} makes qubits"
            else:
                nonlinear, what = bool(value), f"`{name}` is {value}"
            if nonlinear and "moments" in spec.values("solver"):
                raise GrammarError(
                    (section, name),
                    f"{what}, which needs `solver: lindblad`: the moment solver is for Gaussian networks only",
                )
            if nonlinear and "displaced" in spec.values("frame"):
                raise GrammarError(
                    (section, name), f"{what}, which needs `frame: lab`: only a linear network can be displaced"
                )


def _check_whole(spec: SweepSpec) -> None:
    """Refuse outputs of the whole network where no point can have them."""
    if "ergotropy_incoherent_terminal" in spec.outputs and "displaced" in spec.values("frame"):
        raise GrammarError(
            ("outputs",),
            "output `ergotropy_incoherent_terminal` needs `frame: lab`, where the levels are those of the energy, "
            "but `frame` is displaced",
        )
    if {"ergotropy_register", "ergotropy_register_t"} & set(spec.outputs):
        for value in spec.values("fock_levels"):
            if (levels_by_role(value) or {}).get("battery") == QUBIT:
                raise GrammarError(
                    ("outputs",),
                    f"output `ergotropy_register` needs oscillators, but `fock_levels` {value} makes qubits",
                )


def dump_spec(spec: SweepSpec) -> str:
    """Return the resolved sweep as a sweep file that loads to the same spec."""
    data: dict[str, Any] = {
        "name": spec.name,
        "parameters": {name: axis.given for name, axis in spec.fixed.items() if not spec.rests(name)},
        "sweep": {name: axis.given for name, axis in spec.axes.items()},
    }
    if spec.times is not None:
        data["times"] = spec.times.given
    data["outputs"] = [name for name in spec.outputs if name not in variables.VERDICT]
    if spec.protocol is not None:
        data |= forms(spec.protocol)
    if spec.networks:
        data["networks"] = {
            name: form.model_dump(mode="json", exclude_none=True) for name, form in spec.networks.items()
        }
    return dump_yaml(data)
