"""The truncated solver: the master equation in Fock space, point by point, with a verdict on every point."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.fock.climb import solve_auto, solve_fixed
from qbsweep.physics.fock.expected import expected_solutions
from qbsweep.physics.fock.levels import levels_by_role
from qbsweep.physics.fock.model import FockModel, fock_model
from qbsweep.physics.fock.point import FockResult
from qbsweep.physics.fock.stages import last
from qbsweep.physics.fock.task import Task
from qbsweep.physics.fock.verdict import Verdict
from qbsweep.physics.members import member_of
from qbsweep.physics.verdicts import SUSPECT_BRANCHES
from qbsweep.solvers.interface import Cost, Labelled, Points, Setting, Solved, Solver, require_outputs
from qbsweep.solvers.status import FAILED, OK, SUSPECT, VERDICT_CODES

_GIGABYTE = 1e9
_FIRST_LEVELS = 4  # of a climb
_FAR = 3  # times the levels used: an extrapolation beyond says nothing
_LEVELS = "int16"  # numbers of levels in the dataset


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is known of a point: energies in units of omega."""

    result: FockResult
    verdict: Verdict
    omega: float

    def steady(self, name: str) -> FloatArray:
        """Steady energy or ergotropy of every mode, shape (modes,)."""
        return np.asarray(self.omega * getattr(self.result, name))

    def in_time(self, name: str) -> FloatArray:
        """Energy or ergotropy of every mode in time, shape (modes, times)."""
        return np.asarray(self.omega * getattr(self.result, f"{name}_t"))

    def whole(self, name: str, power: int = 1) -> FloatArray:
        """Another quantity, with a power of omega."""
        return np.asarray(self.omega**power * self.result.whole[name])

    @property
    def levels_needed(self) -> int:
        """Levels that should meet the tolerance, 0 if that is not known, or more than the dataset can hold."""
        needed = self.verdict.sufficient_levels or 0
        is_known = self.verdict.word == SUSPECT_BRANCHES  # what holds the branches is not extrapolated
        most = np.iinfo(_LEVELS).max if is_known else _FAR * max(self.result.levels)
        return needed if needed <= most else 0


@dataclass(frozen=True, slots=True)
class _Output:
    """How an output follows from the answer of a point, its axes behind those of the product, and its type.

    `quantity` is the name of what it needs beside energies and ergotropies, see `physics.fock.whole`.
    """

    of: Callable[[_Answer], Array | float]
    dims: tuple[str, ...] = ()
    dtype: str = "float64"
    quantity: str = ""


def _whole(name: str, power: int = 0, dims: tuple[str, ...] = ()) -> _Output:
    """Return an output that is a quantity of the whole state, with a power of omega."""
    return _Output(lambda answer: answer.whole(name, power), dims, quantity=name)


_STEADY = {
    "energy_charger": _Output(lambda answer: answer.steady("energy")[0]),
    "energy_terminal": _Output(lambda answer: answer.steady("energy")[-1]),
    "ergotropy_terminal": _Output(lambda answer: answer.steady("ergotropy")[-1]),
    "energy_batteries": _Output(lambda answer: answer.steady("energy")[1:].sum()),
    "energy": _Output(lambda answer: answer.steady("energy"), ("mode",)),
    "ergotropy": _Output(lambda answer: answer.steady("ergotropy"), ("mode",)),
    "ergotropy_batteries": _Output(lambda answer: answer.steady("ergotropy")[1:].sum()),
    "ergotropy_register": _whole("ergotropy_register", 1),
    "log_negativity": _whole("log_negativity"),
    "purity": _whole("purity"),
    "energy_variance_terminal": _Output(
        lambda answer: answer.whole("energy_variance", 2)[-1], quantity="energy_variance"
    ),
    "drive_power": _whole("drive_power", 1),
    "ergotropy_incoherent_terminal": _Output(
        lambda answer: answer.whole("ergotropy_incoherent", 1)[-1], quantity="ergotropy_incoherent"
    ),
}
_IN_TIME = {
    "energy_t": _Output(lambda answer: answer.in_time("energy"), ("mode", "time")),
    "ergotropy_t": _Output(lambda answer: answer.in_time("ergotropy"), ("mode", "time")),
    "ergotropy_register_t": _whole("ergotropy_register_t", 1, ("time",)),
    "log_negativity_t": _whole("log_negativity_t", 0, ("time",)),
    "energy_variance_t": _whole("energy_variance_t", 2, ("mode", "time")),
    "drive_power_t": _whole("drive_power_t", 1, ("time",)),
}
_VERDICT = {
    "truncation_error": _Output(lambda answer: answer.verdict.truncation_error),
    "top_population": _Output(lambda answer: answer.verdict.top_population),
    "levels_used": _Output(lambda answer: max(answer.result.levels), dtype=_LEVELS),
    "levels_needed": _Output(lambda answer: answer.levels_needed, dtype=_LEVELS),
    "numerical_error": _Output(lambda answer: answer.result.error, dtype="float32"),
    "verdict": _Output(lambda answer: VERDICT_CODES[answer.verdict.word], dtype="int8"),
}
_OUTPUTS = _STEADY | _IN_TIME | _VERDICT


def solve_lindblad(points: Points, outputs: Sequence[str]) -> Solved:
    """Solve a product of points in a truncated Fock space.

    Parameters
    ----------
    points : Points
        With the settings `fock_levels`, `frame`, `engine`, `tolerance` and `memory` (in GB).
    outputs : sequence of str
        Names of the variables to compute; those of the verdict are returned in any case.

    Returns
    -------
    Solved
        Over all axes of the product. A point whose `truncation_error` exceeds the tolerance is suspect and keeps its
        numbers; one whose method did not converge, or that does not fit its memory, has failed with the reason.

    Raises
    ------
    QbsweepError
        If there is no such output.
    """
    require_outputs("lindblad", outputs, _OUTPUTS)
    axes, shape = tuple(points.sizes), tuple(points.sizes.values())
    lengths = {"mode": points.network.n_modes, "time": points.n_times}
    arrays = {
        name: _unknown((*shape, *(lengths[dim] for dim in _OUTPUTS[name].dims)), _OUTPUTS[name].dtype)
        for name in dict.fromkeys((*outputs, *_VERDICT))
    }
    status = np.full(shape, OK, dtype=np.int8)
    reasons: dict[tuple[int, ...], str] = {}
    for index in np.ndindex(shape):
        where = dict(zip(axes, index, strict=True))
        try:
            result, verdict = _Point.of(points, where).solve(outputs)
        except (QbsweepError, ArithmeticError, np.linalg.LinAlgError) as error:
            status[index], reasons[index] = FAILED, str(error)
            continue
        if not result.converged:
            status[index], reasons[index] = FAILED, result.reason
            continue
        status[index] = SUSPECT if verdict.suspect else OK
        answer = _Answer(result, verdict, points.at(where)["omega"])
        for name, array in arrays.items():
            array[index] = _OUTPUTS[name].of(answer)
    labelled = {name: Labelled((*axes, *_OUTPUTS[name].dims), array) for name, array in arrays.items()}
    return Solved(labelled, Labelled(axes, status), reasons)


def _unknown(shape: tuple[int, ...], dtype: str) -> Array:
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0, dtype)


@dataclass(frozen=True, slots=True)
class _Point:
    """One point: its model, its times, and how it is to be solved."""

    model: FockModel
    times: FloatArray | None
    settings: Mapping[str, Setting]

    @classmethod
    def of(cls, points: Points, where: Mapping[str, int]) -> "_Point":
        values, settings = points.at(where), points.settings
        levels = settings["fock_levels"]
        network = member_of(points.network, values, str(settings.get("spread_distribution", "uniform")))
        model = fock_model(
            network,
            _FIRST_LEVELS if levels == "auto" else levels_by_role(levels) or int(levels),
            epsilon=values["epsilon"],
            n_th=values["n_th"],
            r=values["r"],
            theta_r=values["theta_r"],
            kerr=(values["kerr_charger"],) + (values["kerr"],) * network.n_batteries,
            frame=str(settings["frame"]),
            protocol=points.protocol_at(where),
        )
        return cls(model, points.times_at(where), settings)

    @property
    def climbs(self) -> bool:
        """Whether the levels are to be found."""
        return self.settings["fock_levels"] == "auto"

    def task(self, outputs: Sequence[str]) -> Task:
        """Return what is asked of the point: the steady state if an output needs it, the times if one needs them."""
        timed = any(name in _IN_TIME for name in outputs) and self.times is not None
        return Task(
            times=self.times.tolist() if timed and self.times is not None else None,
            steady=any(name in _STEADY for name in outputs),
            engine=str(self.settings["engine"]),
            tolerance=float(self.settings["tolerance"]),
            memory_budget=float(self.settings["memory"]) * _GIGABYTE,
            quantities=tuple(quantity for name in outputs if (quantity := _OUTPUTS[name].quantity)),
        )

    def _asked(self, outputs: Sequence[str]) -> tuple[FockModel, Task]:
        """Return what is to be solved, and what is asked of it; how a steady state came about is not asked."""
        task = self.task(outputs)
        return last(self.model) if task.times is None else self.model, task

    def cost(self, outputs: Sequence[str]) -> tuple[float, float]:
        """Predict seconds and bytes of all solutions that this point takes; see `lindblad_cost`."""
        model, task = self._asked(outputs)
        task.require(model.with_levels((2,) * model.network.n_modes) if self.climbs else model)
        models = expected_solutions(model, task, climbs=self.climbs)
        return sum(map(task.seconds, models)), max(map(task.memory, models), default=0.0)

    def solve(self, outputs: Sequence[str]) -> tuple[FockResult, Verdict]:
        """Solve for the steady state if an output needs it, and for the times if one needs them."""
        found = (solve_auto if self.climbs else solve_fixed)(*self._asked(outputs))
        return found.result, found.verdict


def lindblad_cost(points: Points, outputs: Sequence[str], sizes: Mapping[str, int]) -> Cost:
    """Predict the seconds and bytes of every point by the fast engine; see `interface.Solver`.

    Raises
    ------
    QbsweepError
        If a point of these levels does not fit the `memory` of the sweep.
    """
    axes, shape = tuple(points.sizes), tuple(points.sizes.values())
    seconds, memory = np.empty(shape), 0.0
    for index in np.ndindex(shape):
        try:
            point = _Point.of(points, dict(zip(axes, index, strict=True)))
        except QbsweepError:
            seconds[index] = 0.0  # refused at once when it is to be solved
            continue
        try:
            seconds[index], needed = point.cost(outputs)
        except (ArithmeticError, ValueError):  # it leaves double precision, and fails at once, too
            seconds[index], needed = 0.0, 0.0
        memory = max(memory, needed)
    return Cost(Labelled(axes, seconds), memory)


SOLVER = Solver(tuple(_OUTPUTS), solve_lindblad, lindblad_cost)
