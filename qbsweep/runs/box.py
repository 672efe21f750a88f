"""Solve a product of grid points: look up parameters, call the solver, contain what fails.

Nothing here knows of stores or schedulers. A solver that raises costs only the points it raises for:
the product is halved until they stand alone.
"""

import itertools
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.topologies import optimal_coupling
from qbsweep.solvers.interface import Numerics, Points, Solved
from qbsweep.solvers.registry import solver
from qbsweep.solvers.status import FAILED, OK
from qbsweep.store.grid import Indices
from qbsweep.store.layout import sizes
from qbsweep.sweep.axes import Scalar
from qbsweep.sweep.parameters import PARAMETERS
from qbsweep.sweep.spec import SweepSpec
from qbsweep.sweep.variables import VARIABLES, VERDICT

VALUE_PARAMETERS = ("J", "kappa", "epsilon", "omega", "n_th", "r", "theta_r", "kerr", "kerr_charger")
"""Parameters that a solver is given as arrays; the dimensions of a grid end with them."""
NETWORK_PARAMETERS = tuple(name for name in PARAMETERS if name not in VALUE_PARAMETERS)
"""Parameters that a solver is called once for each value of; the dimensions of a grid begin with them."""
NUMERICS = ("fock_levels", "frame", "engine", "tolerance", "memory")
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
    for names, where in _networks(spec, chosen):
        values = {name: chosen[name] for name in VALUE_PARAMETERS}
        _solve_network(spec, names, values, {k: v[where] for k, v in solution.arrays.items()}, solution.failures)
    _flag_non_finite(spec, chosen, solution)
    points = max(1, solution.arrays["status"].size)
    solution.arrays["solve_seconds"][...] = (time.perf_counter() - started) / points
    return solution


def _networks(spec: SweepSpec, chosen: Values) -> Iterator[tuple[dict[str, Scalar], tuple[Any, ...]]]:
    """Yield each network of a box, and its place along the leading dimensions."""
    swept = [name for name in NETWORK_PARAMETERS if name in spec.axes]
    fixed = {name: chosen[name][0] for name in NETWORK_PARAMETERS if name not in spec.axes}
    for where in itertools.product(*(range(len(chosen[name])) for name in swept)):
        labels = {name: chosen[name][i] for name, i in zip(swept, where, strict=True)}
        yield {**fixed, **labels}, (*where, ...)


def _solve_network(
    spec: SweepSpec, names: dict[str, Scalar], values: Values, targets: Values, failures: list[Failure]
) -> None:
    """Solve one network for a product of values, writing into `targets`; halve the product if that raises."""
    try:
        points = make_points(spec, names, values)
        outputs = tuple(name for name in spec.outputs if name not in VERDICT)
        with np.errstate(all="ignore"):
            solved = solver(str(names["solver"])).solve(points, outputs)
        _assign(spec, solved, targets)
        for index, reason in solved.reasons.items():
            here = {name: values[name][i : i + 1] for name, i in zip(VALUE_PARAMETERS, index, strict=True)}
            _log(failures, Failure(*_labels(spec, names, here), reason))
    except MemoryError:
        raise  # of the whole worker: the block as such is at fault, and counted as such
    except Exception as error:
        longest = max(VALUE_PARAMETERS, key=lambda name: len(values[name]))
        length = len(values[longest])
        if length == 1:
            targets["status"][...] = FAILED
            text = f"{type(error).__name__}: {error}"
            _log(failures, Failure(*_labels(spec, names, values), text, traceback.format_exc()))
            return
        axis = [name for name in VALUE_PARAMETERS if name in spec.axes].index(longest)
        for half in (slice(0, length // 2), slice(length // 2, length)):
            part = {**values, longest: values[longest][half]}
            at: tuple[Any, ...] = (*(slice(None),) * axis, half, ...)
            _solve_network(spec, names, part, {k: v[at] for k, v in targets.items()}, failures)


def _assign(spec: SweepSpec, solved: Solved, targets: Values) -> None:
    """Put what a solver returned into the arrays of a box, without the axes of what is fixed."""
    fixed = tuple(axis for axis, name in enumerate(VALUE_PARAMETERS) if name not in spec.axes)
    for name, array in solved.arrays.items():
        if name not in targets:
            continue
        target, dims = targets[name], VARIABLES[name].extra_dims
        if "mode" in dims:
            n_modes = array.shape[len(VALUE_PARAMETERS)]
            target = target[..., :n_modes] if dims == ("mode",) else target[..., :n_modes, :]
        target[...] = np.squeeze(array, axis=fixed)
    targets["status"][...] = OK if solved.status is None else np.squeeze(solved.status, axis=fixed)


def make_points(spec: SweepSpec, names: dict[str, Scalar], values: Values) -> Points:
    """Parameter values in units of omega."""
    kappa = np.asarray(values["kappa"], dtype=float)
    topology, N = str(names["topology"]), int(names["N"])
    J = np.repeat(np.asarray(values["J"], dtype=float)[:, None], len(kappa), axis=1)
    if spec.coupling_unit == "J_op":
        J = J * optimal_coupling(topology, N, kappa)
    times: FloatArray | None = None
    if spec.times is not None:
        grid = spec.times.array
        times = grid / kappa[:, None] if spec.times.unit == "1/kappa" else np.repeat(grid[None], len(kappa), axis=0)
    rest = {name: np.asarray(values[name], dtype=float) for name in VALUE_PARAMETERS[2:]}
    network = spec.network(topology, N, str(names["coupling"]), str(names["realization"]))
    numerics = Numerics(**{name: names[name] for name in NUMERICS})  # type: ignore[arg-type]
    return Points(network=network, J=J, kappa=kappa, times=times, numerics=numerics, **rest)


def _log(failures: list[Failure], failure: Failure) -> None:
    """Append a failure; beyond the limit only count it, in the last entry."""
    if len(failures) < MAX_LOGGED_FAILURES:
        failures.append(failure)
        return
    hidden = failures.pop().points if len(failures) > MAX_LOGGED_FAILURES else 0
    failures.append(Failure({}, hidden + failure.points, f"more of the same block, the last: {failure.error}"))


def _labels(spec: SweepSpec, names: dict[str, Scalar], values: Values) -> tuple[dict[str, Any], int]:
    """Return the labels of a product of points, and their number."""
    labels: dict[str, Any] = {}
    points = 1
    for name in spec.axes:
        here = np.atleast_1d(names[name] if name in names else values[name]).tolist()
        points *= len(here)
        labels[name] = here[0] if len(here) == 1 else here
    return labels, points


def _flag_non_finite(spec: SweepSpec, chosen: Values, solution: Solution) -> None:
    """Mark solved points whose numbers are not finite as failed; a number that is no number is no result."""
    status = solution.arrays["status"]
    bad = np.zeros(status.shape, dtype=bool)
    for name in spec.outputs:
        array = solution.arrays[name]
        if name in VERDICT:
            continue
        if "mode" not in VARIABLES[name].extra_dims:
            bad |= ~np.isfinite(array)
            continue
        # Modes beyond a point's own N hold NaN; those within it may not.
        exists = _own_modes(spec, chosen, status.ndim)
        finite = np.isfinite(array) if array.ndim == status.ndim + 1 else np.isfinite(array).all(axis=-1)
        bad |= (exists & ~finite).any(axis=-1)
    bad &= status == OK
    if not bad.any():
        return
    status[bad] = FAILED
    for where in np.argwhere(bad)[: MAX_LOGGED_FAILURES + 1]:
        labels = {name: chosen[name].tolist()[i] for name, i in zip(spec.axes, where, strict=True)}
        _log(solution.failures, Failure(labels, 1, _NOT_FINITE))
    hidden = int(bad.sum()) - MAX_LOGGED_FAILURES - 1
    if hidden > 0:
        _log(solution.failures, Failure({}, hidden, _NOT_FINITE))


def _own_modes(spec: SweepSpec, chosen: Values, ndim: int) -> NDArray[np.bool_]:
    """Whether mode m exists at a point, broadcastable to the box's shape + (mode,)."""
    N = np.asarray(chosen["N"], dtype=int)
    exists = np.arange(spec.n_modes) <= N[:, None]
    if "N" not in spec.axes:
        return exists.reshape(*(1,) * ndim, -1)
    axis = list(spec.axes).index("N")
    return exists.reshape(*(1,) * axis, len(N), *(1,) * (ndim - axis - 1), -1)
