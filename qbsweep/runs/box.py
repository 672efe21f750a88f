"""Solve a product of grid points: look up parameters, call the solver, contain what fails.

Nothing here knows of stores or schedulers. A solver that raises costs only the points it raises for:
the product is halved until they stand alone.
"""

import itertools
import math
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qbsweep.arrays import Array
from qbsweep.errors import QbsweepError
from qbsweep.physics.network import imperfect
from qbsweep.physics.protocol import on_samples
from qbsweep.physics.topologies import optimal_coupling
from qbsweep.solvers.interface import Labelled, Points, Solved, values_of
from qbsweep.solvers.registry import solver
from qbsweep.solvers.status import FAILED, NO_VERDICT, OK, SUSPECT
from qbsweep.store.grid import Indices
from qbsweep.store.layout import sizes
from qbsweep.sweeps.axes import Scalar
from qbsweep.sweeps.parameters import CALLS, PARAMETERS
from qbsweep.sweeps.spec import SweepSpec
from qbsweep.sweeps.variables import VARIABLES, VERDICT, computed_by

MAX_LOGGED_FAILURES = 50
"""So many failures of a block are logged one by one, the rest of them as a number."""

_NOT_FINITE = "the result is not finite: the parameters, or their ratios, leave double precision"

Values = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Failure:
    """Points that could not be solved: their labels, how many, and why."""

    labels: dict[str, Scalar | list[Scalar]]
    points: int
    error: str
    traceback: str = ""


@dataclass(slots=True)
class Solution:
    """Arrays of a product of points (unsolved entries hold the fill value), and its failures."""

    arrays: dict[str, Array]
    failures: list[Failure] = field(default_factory=list)


def solve_box(spec: SweepSpec, indices: Indices) -> Solution:
    """Solve the product of `indices`, one index array per dimension of the grid.

    Returns
    -------
    Solution
        Arrays of all outputs, `status` and `solve_seconds`, of the box's shape plus mode and time.
    """
    chosen: Values = {name: axis.array for name, axis in spec.fixed.items()}
    for (name, axis), index in zip(spec.axes.items(), indices, strict=True):
        chosen[name] = axis.array[index]
    shape = tuple(len(index) for index in indices)
    extra = sizes(spec)
    solution = Solution(
        {
            name: np.full(
                (*shape, *(extra[dim] for dim in VARIABLES[name].extra_dims)),
                VARIABLES[name].fill,
                VARIABLES[name].dtype,
            )
            for name in (*spec.outputs, "solve_seconds", "status")
        }
    )
    started = time.perf_counter()
    for call, place in _calls(spec, chosen):
        targets = {name: array[(*place, ...)] for name, array in solution.arrays.items()}
        _solve_call(call, targets, solution.failures)
    solution.arrays["verdict"][solution.arrays["status"] == FAILED] = NO_VERDICT
    points = max(1, solution.arrays["status"].size)
    solution.arrays["solve_seconds"][...] = (time.perf_counter() - started) / points
    return solution


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a solver.

    Attributes
    ----------
    spec : SweepSpec
    labels : dict
        One value of each parameter of `CALLS`.
    values : dict of ndarray
        The values of those of `spec.value_names` that the solver depends on.
    repeated : dict of ndarray
        The values of axes that it does not depend on: its results repeat along them.
    dims : tuple of str
        Dimensions of the grid that its results fill.
    """

    spec: SweepSpec
    labels: dict[str, Scalar]
    values: Values
    repeated: Values
    dims: tuple[str, ...]

    def points(self) -> Points:
        """Return what the solver is given."""
        return make_points(self.spec, self.labels, self.values)

    def outputs(self) -> list[str]:
        """Return the names of the variables to ask for."""
        of_solver = computed_by([self.labels["solver"]])
        return [name for name in self.spec.outputs if name in of_solver and name not in VERDICT]

    def some(self, name: str, of: slice) -> "_Call":
        """Return the call for some of the values of an axis."""
        if name in self.repeated:
            return replace(self, repeated={**self.repeated, name: self.repeated[name][of]})
        return replace(self, values={**self.values, name: self.values[name][of]})

    def at(self, place: Mapping[str, int]) -> "_Call":
        """Return the call for one value of some axes."""
        one = self
        for name, index in place.items():
            one = one.some(name, slice(index, index + 1))
        return one

    def failure(self, error: str, traceback: str = "") -> Failure:
        """Return the record that all points of this call have failed."""
        known = {**self.labels, **self.values, **self.repeated}
        here = {name: np.atleast_1d(known[name]).tolist() for name in self.spec.axes}
        points = math.prod(len(values) for values in here.values())
        labels = {name: values[0] if len(values) == 1 else values for name, values in here.items()}
        return Failure(labels, points, error, traceback)


def _calls(spec: SweepSpec, chosen: Values) -> Iterator[tuple[_Call, tuple[Any, ...]]]:
    """Yield the calls of solvers that a box takes, each with its place along the leading dimensions of the box.

    A solver is called once for all values of a parameter that it does not depend on.
    """
    leading, trailing = ([name for name in names if name in spec.axes] for names in (CALLS, spec.value_names))
    for number, name_of_solver in enumerate(chosen["solver"].tolist()):
        used = {name for name, parameter in spec.parameters.items() if name_of_solver in parameter.solvers}
        repeated = [name for name in (*leading, *trailing) if name not in used]
        ranges: dict[str, Any] = {name: range(len(chosen[name])) if name in used else [slice(None)] for name in leading}
        if "solver" in ranges:
            ranges["solver"] = [number]
        for place in itertools.product(*ranges.values()):
            at = {name: where for name, where in zip(leading, place, strict=True) if name in used}
            call = _Call(
                spec,
                labels={name: chosen[name][at.get(name, 0)] for name in CALLS},
                values={name: chosen[name] for name in spec.value_names if name in used},
                repeated={name: chosen[name] for name in repeated},
                dims=(*(name for name in leading if name not in used), *trailing),
            )
            yield call, place


def _solve_call(call: _Call, targets: Values, failures: list[Failure]) -> None:
    """Solve a product of points, writing into `targets`; halve the product if that raises."""
    try:
        points = call.points()
        with np.errstate(all="ignore"):
            solved = solver(str(call.labels["solver"])).solve(points, call.outputs())
        _assign(call.dims, solved, targets)
        _log_reasons(call, tuple(points.values), solved, failures)
        _flag_non_finite(call, solved, targets["status"], failures)
    except MemoryError:
        raise  # of the whole worker: the block as such is at fault, and counted as such
    except Exception as error:
        longest = max(call.values, key=lambda name: len(call.values[name]))
        length = len(call.values[longest])
        if length == 1:
            targets["status"][...] = FAILED
            told = str(error) if isinstance(error, QbsweepError) else f"{type(error).__name__}: {error}"
            _log(failures, call.failure(told, traceback.format_exc()))
            return
        axis = call.dims.index(longest)
        for half in (slice(0, length // 2), slice(length // 2, length)):
            at: tuple[Any, ...] = (*(slice(None),) * axis, half, ...)
            _solve_call(call.some(longest, half), {name: array[at] for name, array in targets.items()}, failures)


def _assign(dims: tuple[str, ...], solved: Solved, targets: Values) -> None:
    """Put what a solver returned into the arrays of a box, which have the dimensions `dims`."""
    for name, array in solved.arrays.items():
        if name in targets:
            extra = VARIABLES[name].extra_dims
            values = array.along((*dims, *extra))
            # Modes beyond the network's own keep the fill value.
            own: tuple[Any, ...] = tuple(slice(size) for size in values.shape[len(dims) :])
            targets[name][(..., *own)] = values
    targets["status"][...] = OK if solved.status is None else solved.status.along(dims)


def _log_reasons(call: _Call, dims: tuple[str, ...], solved: Solved, failures: list[Failure]) -> None:
    """Log the points that a solver says have failed; those beyond the limit as a number."""
    repeats = math.prod(len(values) for name, values in call.repeated.items() if name in call.spec.axes)
    for number, (place, reason) in enumerate(solved.reasons.items()):
        if number > MAX_LOGGED_FAILURES:
            _log(failures, Failure({}, repeats * (len(solved.reasons) - number), reason))
            return
        _log(failures, call.at(dict(zip(dims, place, strict=True))).failure(reason))


def _flag_non_finite(call: _Call, solved: Solved, status: Array, failures: list[Failure]) -> None:
    """Mark solved points whose numbers are not finite as failed; a number that is no number is no result."""
    found = {name: array for name in call.outputs() if not np.isfinite((array := solved.arrays[name]).values).all()}
    if not found:
        return
    bad = np.zeros(status.shape, dtype=bool)
    for name, array in found.items():
        extra = VARIABLES[name].extra_dims
        bad |= ~np.isfinite(array.along((*call.dims, *extra))).all(axis=tuple(range(-len(extra), 0)))
    bad &= np.isin(status, (OK, SUSPECT))
    if not bad.any():
        return
    status[bad] = FAILED
    for where in np.argwhere(bad)[: MAX_LOGGED_FAILURES + 1]:
        _log(failures, call.at(dict(zip(call.dims, where.tolist(), strict=True))).failure(_NOT_FINITE))
    hidden = int(bad.sum()) - MAX_LOGGED_FAILURES - 1
    if hidden > 0:
        _log(failures, Failure({}, hidden, _NOT_FINITE))


def make_points(spec: SweepSpec, labels: Mapping[str, Scalar], values: Mapping[str, Array]) -> Points:
    """Return what a solver is given: values in units of omega, for one network.

    Parameters
    ----------
    labels : dict
        One value of each parameter of `CALLS`.
    values : dict of ndarray
        Values of parameters of `spec.value_names`.
    """
    topology, N = str(labels["topology"]), int(labels["N"])
    quantities = values_of(values)
    kappa = quantities["kappa"].values
    if spec.coupling_unit == "J_op":
        J = quantities["J"].values[:, None] * optimal_coupling(topology, N, kappa)
        quantities["J"] = Labelled(("J", "kappa"), J)
    protocol = spec.protocol
    if protocol is not None and spec.times is not None:
        protocol = protocol.on_samples(spec.times.array)
        for name in {s.until for s in protocol.segments if isinstance(s.until, str)}:
            quantities[name] = Labelled((name,), on_samples(quantities[name].values, spec.times.array))
    for name in quantities:
        _to_omega(name, spec.axis(name).unit, quantities)
    times = None
    if spec.times is not None:
        grid = spec.times.array
        per_kappa = spec.times.unit == "1/kappa"
        times = Labelled(("kappa", "time"), grid / kappa[:, None]) if per_kappa else Labelled(("time",), grid)
    ideal = spec.network(topology, N, str(labels["coupling"]), str(labels["realization"]))
    network = imperfect(ideal, float(labels["gamma_ratio"]), float(labels["phase_error"]))
    settings = {name: labels[name] for name in CALLS if PARAMETERS[name].part == "setting"}
    return Points(network, quantities, settings, times, protocol)


def _to_omega(name: str, unit: str, quantities: dict[str, Labelled]) -> None:
    """Bring a quantity that is given in units of kappa, J or 1/kappa to units of omega, in place."""
    scale = unit.removeprefix("1/")
    if scale not in ("kappa", "J"):
        return
    dims = (*quantities[scale].dims, *quantities[name].dims)
    per, given = quantities[scale].along(dims), quantities[name].along(dims)
    quantities[name] = Labelled(dims, per * given if scale == unit else given / per)


def _log(failures: list[Failure], failure: Failure) -> None:
    """Append a failure; beyond the limit only count it, in the last entry."""
    if len(failures) < MAX_LOGGED_FAILURES:
        failures.append(failure)
        return
    hidden = failures.pop().points if len(failures) > MAX_LOGGED_FAILURES else 0
    failures.append(Failure({}, hidden + failure.points, f"more of the same block, the last: {failure.error}"))
