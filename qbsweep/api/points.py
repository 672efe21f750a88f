"""Points of one network without a sweep file or a store."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from inspect import Parameter, signature
from typing import Any

import numpy as np
import xarray as xr

from qbsweep.errors import QbsweepError
from qbsweep.physics.network import Network
from qbsweep.runs.box import solve_box
from qbsweep.runs.caller import single_threaded
from qbsweep.solvers.status import FAILED
from qbsweep.store.layout import attributes_of, coordinates, protocol_attributes
from qbsweep.sweeps.given import sweep
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.protocol import misnamed_in, names_in
from qbsweep.sweeps.spec import SweepSpec
from qbsweep.sweeps.variables import VARIABLES
from qbsweep.text import unknown

_OF_NETWORK = ("topology", "coupling", "realization", "N")
_DEFAULTS = {"J": 1.0, "kappa": 1.0} | {
    name: p.default for name, p in PARAMETERS.items() if name not in _OF_NETWORK and p.default is not None
}


@dataclass(frozen=True, slots=True)
class _OfOneNetwork(SweepSpec):
    """A sweep whose points are all of one network, which need not be one of a topology."""

    given: Network | None = None

    def network(self, topology: str, N: int, coupling: str, realization: str) -> Network:
        assert self.given is not None
        return self.given


def solve(
    network: Network,
    *,
    times: Any = None,
    outputs: Sequence[str] | None = None,
    protocol: Any = None,
    initial: Any = None,
    **parameters: Any,
) -> xr.Dataset:
    """Solve a network for one value of every parameter, or for the product of several; nothing is written.

    Parameters
    ----------
    network : Network
        `qbsweep.cascaded`, `qbsweep.parallel`, or a graph of one's own.
    times : array, optional
        Times in 1/omega, from vacuum unless `initial` is given, for the variables `energy_t` and `ergotropy_t`.
    outputs : sequence of str, optional
        Names of variables; by default all steady-state scalars, and with `times` the time-resolved ones.
    protocol, initial : optional
        As in a sweep file: what becomes of the drive and the couplings in time, and what the network starts from. The
        steady outputs are then those of the last segment.
    **parameters
        `epsilon`, what `protocol` and `initial` name, and any other parameter of a sweep that the network does not
        decide: numbers, or arrays, which become dimensions. `J`, `kappa` and `kappa_charger` are factors of the
        network's own couplings, losses and loss of mode 0, which are 1 in a network that is built without any; beside
        others nothing can be in units of J or kappa. The drive, the bath, `solver` and its settings are as in a sweep
        file.

    Returns
    -------
    Dataset
        As that of a sweep: `units` and `long_name` for everything, `status` for every point.

    Raises
    ------
    QbsweepError
        For a value that no sweep may have, or if no point could be solved.

    Examples
    --------
    >>> solve(cascaded(3, J=0.0024, kappa=0.003), epsilon=0.01, n_th=[0, 1]).energy_terminal
    """
    spec = _spec(network, {"times": times, "outputs": outputs, "protocol": protocol, "initial": initial}, parameters)
    with single_threaded():
        solution = solve_box(spec, tuple(np.arange(len(axis)) for axis in spec.axes.values()))
    status = solution.arrays["status"]
    if (status == FAILED).all():
        raise QbsweepError(solution.failures[0].error)
    dims = tuple(spec.axes)
    variables = {
        name: ((*dims, *VARIABLES[name].extra_dims), array, attributes_of(spec, VARIABLES[name]))
        for name, array in solution.arrays.items()
        if name != "solve_seconds"
    }
    used = {dim for known, *_ in variables.values() for dim in known}
    coords = {
        name: (c.dims, c.values, c.attributes | _factor(name, network))
        for name, c in coordinates(spec).items()
        if name not in ("topology", "coupling", "realization") and used >= set(c.dims)
    }
    return xr.Dataset(variables, coords, protocol_attributes(spec))


def _spec(network: Network, asked: dict[str, Any], parameters: dict[str, Any]) -> _OfOneNetwork:
    if not isinstance(network, Network):
        raise QbsweepError(f"a network must be a qbsweep.Network, as of qbsweep.cascaded(3), but is {network!r}")
    known = [name for name in (*PARAMETERS, *names_in(asked)) if name not in _OF_NETWORK]
    for name in parameters:
        if name not in (*known, *misnamed_in(asked)):
            raise QbsweepError(unknown("parameter", name, known))
    for name in PARAMETERS:
        if name not in (*_OF_NETWORK, *_DEFAULTS, *parameters):
            raise QbsweepError(f"`{name}` must be given")
    content: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    content |= {"name": "points", "sweep": {}, "parameters": {"topology": "cascaded", "N": network.n_batteries}}
    for name, value in ({"J": 1.0, "kappa": 1.0} | parameters).items():
        is_axis = isinstance(value, (list, tuple, range)) or np.ndim(value) > 0 or _is_rule(value)
        content["sweep" if is_axis else "parameters"][name] = value
    spec = sweep(content)
    if spec.coupling_unit != "omega":
        raise QbsweepError("the unit J_op is for sweeps, not for points")
    _require_own_units(spec, network, [name for name in known if name in parameters])
    return _OfOneNetwork(**{f.name: getattr(spec, f.name) for f in fields(SweepSpec)}, given=network)


def _require_own_units(spec: SweepSpec, network: Network, given: list[str]) -> None:
    """Refuse units of J and kappa that are only factors of what the network has."""
    own = {"J": ("couplings", {edge.J for edge in network.edges}), "kappa": ("losses", set(network.kappa))}
    axes = [spec.axis(name) for name in given] + ([] if spec.times is None else [spec.times])
    for axis in axes:
        what, values = own.get(axis.unit.removeprefix("1/"), ("", set()))
        if values - {1.0}:
            raise QbsweepError(
                f"`{axis.name}` cannot be in units of {axis.unit} beside a network's own {what}; "
                "give numbers without a unit"
            )


def _is_rule(value: Any) -> bool:
    return isinstance(value, dict) and not {"charger", "battery", "value"} & set(value)


def _factor(name: str, network: Network) -> dict[str, str]:
    """Relabel J, kappa and kappa_charger where they multiply a network's own."""
    whats, own = {
        "J": ("J", [edge.J for edge in network.edges]),
        "kappa": ("kappa", network.kappa),
        "kappa_charger": ("kappa of the charger", network.kappa[:1]),
    }.get(name, ("", ()))
    return {"units": "1", "long_name": f"factor of the network's own {whats}"} if set(own) - {1.0} else {}


def _shown_signature() -> Any:
    """Return the parameters as they are declared, for `help` and completion."""
    known = signature(solve)
    fixed = [p for p in known.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    names = sorted(
        (name for name in PARAMETERS if name not in _OF_NETWORK),
        key=lambda name: (name in _DEFAULTS, PARAMETERS[name].part == "setting"),
    )
    more = [Parameter(n, Parameter.KEYWORD_ONLY, default=_DEFAULTS.get(n, Parameter.empty)) for n in names]
    return known.replace(parameters=[*fixed, *more])


solve.__signature__ = _shown_signature()  # type: ignore[attr-defined]
