"""The truncated solver: the master equation in Fock space, point by point, with a verdict on every point."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.fock.cost import predict_memory, predict_seconds
from qbsweep.physics.fock.model import FockModel, fock_model
from qbsweep.physics.fock.point import FockResult, solve_model
from qbsweep.physics.fock.verdict import Verdict, judge, measured_error, solve_auto
from qbsweep.physics.network import scaled
from qbsweep.solvers.interface import Numerics, Points, Problem, Solved, Solver
from qbsweep.solvers.status import FAILED, OK, SUSPECT
from qbsweep.sweep.variables import TIME_RESOLVED, VARIABLES, VERDICT

_GIGABYTE = 1e9
_TYPICAL_LEVELS = 8  # what a climb is expected to end with, for its predicted cost
_FAR = 3  # times the levels used: an extrapolation beyond says nothing
_COARSER = 2  # levels less, for the extrapolation of how many would have sufficed


def fock_levels_of(label: int | str) -> int | Mapping[str, int]:
    """Return what a `fock_levels` label stands for: a number, or levels by role; 'auto' starts at 4."""
    if label == "auto":
        return 4
    if isinstance(label, str) and not label.isdigit():
        return {role: int(count) for role, count in (part.split() for part in label.split(", "))}
    return int(label)


def solve_lindblad(points: Points, outputs: Sequence[str]) -> Solved:
    """Solve a product of points in a truncated Fock space.

    Parameters
    ----------
    points : Points
    outputs : sequence of str
        Names from `qbsweep.sweep.variables`; those of the verdict are returned in any case.

    Returns
    -------
    Solved
        A point whose `truncation_error` exceeds the tolerance is suspect and keeps its numbers; one whose method did
        not converge, or that does not fit its memory, has failed with the reason.
    """
    n_modes = points.network.n_modes
    n_times = 0 if points.times is None else points.times.shape[1]
    lengths = {"mode": n_modes, "time": n_times}
    arrays = {
        name: np.full(
            (*points.shape, *(lengths[dim] for dim in VARIABLES[name].extra_dims)),
            VARIABLES[name].fill,
            VARIABLES[name].dtype,
        )
        for name in dict.fromkeys((*outputs, *VERDICT))
    }
    status = np.full(points.shape, OK, dtype=np.int8)
    reasons: dict[tuple[int, ...], str] = {}
    for index in np.ndindex(points.shape):
        try:
            result, verdict = _Point.of(points, index).solve(outputs)
        except (QbsweepError, ArithmeticError, np.linalg.LinAlgError) as error:
            status[index], reasons[index] = FAILED, str(error)
            continue
        if not result.converged:
            status[index], reasons[index] = FAILED, result.reason
            continue
        status[index] = SUSPECT if verdict.suspect else OK
        _write(arrays, index, float(points.omega[index[3]]), result, verdict)
    return Solved(arrays, status, reasons)


@dataclass(frozen=True, slots=True)
class _Point:
    """One point: its model, its times, and how it is to be solved."""

    model: FockModel
    times: FloatArray | None
    numerics: Numerics

    @classmethod
    def of(cls, points: Points, index: tuple[int, ...]) -> "_Point":
        j, k, e, _, n, r, t, b, c = index
        network = scaled(points.network, float(points.J[j, k]), float(points.kappa[k]))
        model = fock_model(
            network,
            fock_levels_of(points.numerics.fock_levels),
            epsilon=float(points.epsilon[e]),
            n_th=float(points.n_th[n]),
            r=float(points.r[r]),
            theta_r=float(points.theta_r[t]),
            kerr=(float(points.kerr_charger[c]),) + (float(points.kerr[b]),) * network.n_batteries,
            frame=points.numerics.frame,
        )
        return cls(model, None if points.times is None else points.times[k], points.numerics)

    def solve(self, outputs: Sequence[str]) -> tuple[FockResult, Verdict]:
        """Solve for the steady state if an output needs it, and for the times if one needs them."""
        steady = any(name not in TIME_RESOLVED for name in outputs)
        timed = any(name in TIME_RESOLVED for name in outputs) and self.times is not None
        times = self.times.tolist() if timed and self.times is not None else None
        budget, tolerance = self.numerics.memory * _GIGABYTE, self.numerics.tolerance
        if self.numerics.fock_levels == "auto":
            found = solve_auto(
                self.model,
                memory_budget=budget,
                tolerance=tolerance,
                times=times,
                steady=steady,
                engine=self.numerics.engine,
            )
            return found.result, found.verdict
        _require_memory(self.model, budget, steady=steady, times=times)
        result = solve_model(self.model, times=times, steady=steady, engine=self.numerics.engine)
        if not result.converged:
            return result, judge(result, math.inf, tolerance=tolerance)
        error = measured_error(self.model, result, times, engine=self.numerics.engine)
        tried = [(max(self.model.levels), error)]
        if error > tolerance and self.model.gaussian and min(self.model.levels) > 1 + _COARSER:
            coarser = self.model.with_levels(tuple(d - _COARSER for d in self.model.levels))
            solved = solve_model(coarser, times=times, steady=steady, engine=self.numerics.engine)
            tried.insert(0, (max(coarser.levels), measured_error(coarser, solved, times)))
        return result, judge(result, error, tolerance=tolerance, tried=tried)


def _require_memory(model: FockModel, budget: float, *, steady: bool, times: Sequence[float] | None) -> None:
    count, end = (len(times), times[-1]) if times else (0, None)
    needed = predict_memory(model, steady=steady, times=count, end=end)
    if needed > budget:
        raise QbsweepError(_too_large(model, needed, budget))


def _too_large(model: FockModel, needed: float, budget: float) -> str:
    levels = ", ".join(str(d) for d in model.levels)
    return (
        f"a point with N = {model.network.n_batteries} and Fock levels {levels} needs {needed / _GIGABYTE:.3g} GB, "
        f"but `memory` allows {budget / _GIGABYTE:.3g} GB; take fewer levels, fewer batteries or more `memory`"
    )


def _write(
    arrays: dict[str, Array], index: tuple[int, ...], omega: float, result: FockResult, verdict: Verdict
) -> None:
    needed = verdict.sufficient_levels or 0
    values: dict[str, Array | float] = {
        "truncation_error": verdict.truncation_error,
        "top_population": verdict.top_population,
        "levels_used": max(result.levels),
        "levels_needed": needed if needed <= _FAR * max(result.levels) else 0,
    }
    if result.energy is not None and result.ergotropy is not None:
        energy, ergotropy = omega * result.energy, omega * result.ergotropy
        values |= {
            "energy_charger": energy[0],
            "energy_terminal": energy[-1],
            "ergotropy_terminal": ergotropy[-1],
            "energy_batteries": energy[1:].sum(),
            "energy": energy,
            "ergotropy": ergotropy,
        }
    if result.energy_t is not None and result.ergotropy_t is not None:
        values |= {"energy_t": omega * result.energy_t, "ergotropy_t": omega * result.ergotropy_t}
    for name, array in arrays.items():
        array[index] = values[name]


def lindblad_cost(problem: Problem) -> tuple[float, float]:
    """Predict the seconds and bytes of a point by the fast engine on one core, from a representative point.

    Raises
    ------
    QbsweepError
        If a point of these levels does not fit the `memory` of the sweep.
    """
    points = problem.points()
    point = _Point.of(points, (0,) * len(points.shape))
    model, budget = point.model, point.numerics.memory * _GIGABYTE
    end = None if point.times is None else float(point.times[-1])
    if point.numerics.fock_levels == "auto":
        typical = model.with_levels((_TYPICAL_LEVELS,) * model.network.n_modes)
        while min(typical.levels) > 2 and _bytes(typical, problem, end) > budget:
            typical = typical.with_levels(tuple(d - 1 for d in typical.levels))
        model = typical
    needed = _bytes(model, problem, end)
    if needed > budget:
        raise QbsweepError(_too_large(model, needed, budget))
    return predict_seconds(model, steady=problem.steady, times=problem.n_times, end=end), needed


def _bytes(model: FockModel, problem: Problem, end: float | None) -> float:
    return predict_memory(model, steady=problem.steady, times=problem.n_times, end=end)


SOLVER = Solver(solve_lindblad, lindblad_cost)
