"""What a dataset holds: its variables, their sizes and units, and the coordinates that label them."""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qbsweep.physics.topologies import optimal_coupling
from qbsweep.solvers.status import STATUS_NAMES, VERDICT_NAMES
from qbsweep.sweeps.axes import Axis, Scalar
from qbsweep.sweeps.protocol import forms
from qbsweep.sweeps.spec import SweepSpec
from qbsweep.sweeps.variables import VARIABLES, Variable

_CODES = {"status": STATUS_NAMES, "verdict": VERDICT_NAMES}


class Coordinate(NamedTuple):
    """Labels of a dimension, or of the whole dataset if it has no dimension."""

    dims: tuple[str, ...]
    values: NDArray[Any]
    attributes: dict[str, str]


def coordinates(spec: SweepSpec) -> dict[str, Coordinate]:
    """Label the dimensions, the fixed parameters that matter (scalar coordinates), and `J_abs` where J is relative."""
    result = {name: Coordinate((name,), axis.array, _labels(spec, axis)) for name, axis in spec.axes.items()}
    for name in stored_fixed(spec):
        axis = spec.fixed[name]
        result[name] = Coordinate((), axis.array.reshape(()), _labels(spec, axis))
    result["mode"] = Coordinate(
        ("mode",),
        np.arange(spec.n_modes),
        {"units": "1", "long_name": "mode (0 charger, 1..N batteries, N the terminal one)"},
    )
    if spec.times is not None:
        since = "vacuum" if spec.protocol is None else "the beginning of the protocol"
        labels = {"units": spec.times.unit, "long_name": f"time since {since}"}
        result["time"] = Coordinate(("time",), spec.times.array, labels)
    if spec.coupling_unit == "J_op":
        result["J_abs"] = _absolute_coupling(spec)
    return result


def _labels(spec: SweepSpec, axis: Axis) -> dict[str, str]:
    parameter = spec.parameters[axis.name]
    suffix = " over the optimal coupling J_op (10)" if axis.unit == "J_op" else ""
    if axis.unit != "J_op" and axis.unit in parameter.scales:
        suffix = f" over {axis.unit}"
    return {"units": axis.unit, "long_name": parameter.long_name + suffix}


def _absolute_coupling(spec: SweepSpec) -> Coordinate:
    """Coupling in units of omega over those of (topology, N, J, kappa) that are axes."""
    names = ("topology", "N", "J", "kappa")
    lengths = [len(spec.axis(name)) for name in names]
    J = spec.axis("J").array[:, None]
    kappa = spec.axis("kappa").array
    values = np.empty(lengths)
    for t, topology in enumerate(spec.values("topology")):
        for n, N in enumerate(spec.values("N")):
            values[t, n] = J * optimal_coupling(str(topology), int(N), kappa)
    swept = tuple(name for name in names if name in spec.axes)
    shape = [length for name, length in zip(names, lengths, strict=True) if name in spec.axes]
    return Coordinate(swept, values.reshape(shape), {"units": "omega", "long_name": "coherent coupling"})


def labels_behind(spec: SweepSpec, name: str, place: Sequence[int]) -> dict[str, Scalar]:
    """Return the labels of a mode and time of a variable, by their places; none for one without such dimensions."""
    times = [] if spec.times is None else spec.times.array.tolist()
    return {dim: i if dim == "mode" else times[i] for dim, i in zip(VARIABLES[name].extra_dims, place, strict=True)}


def sizes(spec: SweepSpec) -> dict[str, int]:
    """Lengths of the dimensions that variables have after those of the grid."""
    return {"mode": spec.n_modes, "time": 0 if spec.times is None else len(spec.times)}


def bytes_per_point(spec: SweepSpec) -> int:
    """Uncompressed bytes of all variables of one point."""
    return sum(_bytes_per_point(spec))


def largest_bytes_per_point(spec: SweepSpec) -> int:
    """Uncompressed bytes of the largest variable of one point."""
    return max(_bytes_per_point(spec))


def _bytes_per_point(spec: SweepSpec) -> list[int]:
    extra = sizes(spec)
    return [
        np.dtype(VARIABLES[name].dtype).itemsize * math.prod(extra[dim] for dim in VARIABLES[name].extra_dims)
        for name in stored_variables(spec)
    ]


def stored_fixed(spec: SweepSpec) -> list[str]:
    """Names of the fixed parameters in the store: those that a solver of the sweep depends on, and something has."""
    return [name for name in spec.fixed if spec.uses(name) and not spec.rests(name)]


def stored_variables(spec: SweepSpec) -> tuple[str, ...]:
    """Names of the variables in the store; `status` is last."""
    return (*spec.outputs, "solve_seconds", "status")


def protocol_attributes(spec: SweepSpec) -> dict[str, str]:
    """Return `protocol` and `initial` as attributes of the dataset, in JSON; none of a sweep without."""
    return {} if spec.protocol is None else {key: json.dumps(form) for key, form in forms(spec.protocol).items()}


def attributes_of(spec: SweepSpec, variable: Variable) -> dict[str, Any]:
    """Units and names of a variable; energies are in units of omega unless `omega` itself is given."""
    is_given = variable.units.startswith("omega") and spec.values("omega") != [1.0]
    units = variable.given_units if is_given else variable.units
    codes = _CODES.get(variable.name)
    flags = {} if codes is None else {"flag_values": list(codes), "flag_meanings": " ".join(codes.values())}
    long_name = variable.long_name
    if spec.protocol is not None:
        long_name = long_name.replace("from vacuum at t = 0", "along the protocol")
    return {"units": units, "long_name": long_name, **flags}
