"""The solutions that a point takes: at levels that are given, or up to levels that can be trusted.

A network without exact moments is solved at fewer levels first: that is cheap, the solution at its own levels begins
there, and both agree if the levels are enough. Where they do not, or where fewer levels may cut off a branch, the leak
out of the levels may tell, or a solution with more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qbsweep.arrays import ComplexArray
from qbsweep.physics.fock.branches import is_multistable, levels_for, outside, reachable_branches
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.photons import expected_errors, expected_levels
from qbsweep.physics.fock.point import FockResult, leak
from qbsweep.physics.fock.task import Task
from qbsweep.physics.fock.verdict import (
    Verdict,
    difference,
    energy_error,
    judge,
    measured_error,
    sufficient_levels,
)

BESIDE = 2  # levels more, or less, of a second solution of a Gaussian network
HOPELESS = 10.0  # times the tolerance: hardly ever does a fifth of the levels gain as much
LEAST = 3  # levels that a climb begins with
LOOSE = 1e-3  # of the tolerance, that a solution is solved to which only serves to compare
SHARP = 0.3  # of the tolerance, that the error of the method itself may be of an energy
FINEST = 1e-15  # accuracy of rho beyond which there is none
STEEP = 0.1  # of the tolerance, that the first levels of a climb should meet


@dataclass(frozen=True, slots=True)
class Judged:
    """What a point ended with."""

    result: FockResult
    verdict: Verdict


def solve_fixed(model: FockModel, task: Task) -> Judged:
    """Solve a model at its own levels, and judge it.

    Raises
    ------
    QbsweepError
        If it does not fit the budget.
    """
    task.require(model)
    if all(model.qubits):
        return _judged(model, _sharp(model, task.solve(model), None, task), [(model.levels, 0.0)], task)
    return _fixed_gaussian(model, task) if model.gaussian else _fixed_nonlinear(model, task)


def solve_auto(model: FockModel, task: Task) -> Judged:
    """Climb in Fock levels until the truncation error meets the tolerance or no more fits.

    Parameters
    ----------
    model : FockModel
        With the levels to begin with; without exact moments, more of them where a classical branch or the bath needs
        more. Qubits stay qubits.
    task : Task

    Returns
    -------
    Judged
        With the verdict's reason saying what ended the climb if the tolerance was not met.

    Raises
    ------
    QbsweepError
        If not even the levels to begin with fit the budget.
    """
    task.require(model)
    if all(model.qubits):
        return solve_fixed(model, task)
    return _climb_gaussian(model, task) if model.gaussian else _climb_nonlinear(model, task)


def _judged(
    model: FockModel,
    result: FockResult,
    climbed: Sequence[tuple[tuple[int, ...], float]],
    task: Task,
    *,
    outside: str = "",
    several: bool = False,
) -> Judged:
    error = climbed[-1][1] if climbed else math.inf
    tried = [(max(levels), value) for levels, value in climbed]
    verdict = judge(model, result, error, tolerance=task.tolerance, tried=tried, outside=outside, several=several)
    return Judged(result, verdict)


def _sharp(model: FockModel, result: FockResult, branches: ComplexArray | None, task: Task) -> FockResult:
    """Return a solution whose energies the method's own error cannot have moved much: it, or a more accurate one."""
    if not result.converged or energy_error(model, result, result.error) <= SHARP * task.tolerance:
        return result
    sharper = task.solve(model, branches=branches, start=result, accuracy=_accuracy(model, result, task))
    return sharper if sharper.converged else result


def _accuracy(model: FockModel, result: FockResult, task: Task) -> float:
    """Return the error of rho that moves no energy of about a result's by much."""
    return max(FINEST, SHARP * task.tolerance / max(energy_error(model, result, 1.0), 1e-300))


def _fixed_gaussian(model: FockModel, task: Task) -> Judged:
    result = task.solve(model)
    if not result.converged:
        return _judged(model, result, [], task)
    tried = [(model.levels, measured_error(model, result, task.times))]
    if tried[0][1] > task.tolerance and min(model.levels) > 1 + BESIDE:  # to extrapolate from
        smaller = model.with_levels(tuple(d - BESIDE for d in model.levels))
        tried.insert(0, (smaller.levels, measured_error(smaller, task.solve(smaller), task.times)))
    return _judged(model, result, tried, task)


def _climb_gaussian(model: FockModel, task: Task) -> Judged:
    climbed: list[tuple[tuple[int, ...], float]] = []
    while True:
        result = task.solve(model)
        climbed.append((model.levels, measured_error(model, result, task.times)))
        larger = next_model(model, climbed, task.tolerance)
        if climbed[-1][1] <= task.tolerance:
            return _judged(model, result, climbed, task)
        if not task.affords(larger):
            return _limited(_judged(model, result, climbed, task), larger)
        model = larger


def _above(judged: Judged, model: FockModel, branches: ComplexArray | None) -> Judged:
    """Add to a verdict the levels that hold every branch."""
    needed = max(levels_for(model, branches)) if branches is not None and len(branches) else None
    return replace(judged, verdict=replace(judged.verdict, sufficient_levels=needed))


def _limited(judged: Judged, larger: FockModel) -> Judged:
    """Add to a verdict what ended the climb."""
    reason = f"{judged.verdict.reason}; {max(larger.levels)} levels would exceed the limits"
    return replace(judged, verdict=replace(judged.verdict, reason=reason))


def _fixed_nonlinear(model: FockModel, task: Task) -> Judged:
    branches = reachable_branches(model, task.times, steady=task.steady)
    above = outside(model, branches)
    if above:
        return _above(_judged(model, task.solve(model), [], task, outside=above), model, branches)
    coarse = _coarse(model, branches, task)
    result = _sharp(model, task.solve(model, branches=branches, start=coarse), branches, task)
    error = _compared(model, result, coarse, branches, task) if result.converged else math.inf
    return _judged(model, result, [(model.levels, error)], task, several=is_multistable(model, branches))


def _coarse(model: FockModel, branches: ComplexArray | None, task: Task) -> FockResult | None:
    """Return a solution with fewer levels, to begin with and to compare with, where it can be compared."""
    smaller = coarser_model(model)
    if smaller is None or not may_compare(smaller, branches):
        return None
    coarse = task.solve(smaller, branches=branches, accuracy=LOOSE * task.tolerance)
    return coarse if coarse.converged else None


def _compared(
    model: FockModel, result: FockResult, coarse: FockResult | None, branches: ComplexArray | None, task: Task
) -> float:
    """Return the truncation error: against fewer levels, else by the leak, else against more, the cheapest first."""
    error = math.inf
    if coarse is not None:
        error = difference(coarse, result)
        if error > task.tolerance:
            error = difference(_sharp(model.with_levels(coarse.levels), coarse, branches, task), result)
        if not task.tolerance < error <= HOPELESS * task.tolerance:
            return error
    error, larger = min(error, _leaked(model, result, task)), finer_model(model)
    if error > task.tolerance and task.affords(larger):
        accuracy = min(LOOSE * task.tolerance, _accuracy(model, result, task))
        finer = task.solve(larger, branches=branches, start=result, accuracy=accuracy)
        error = difference(result, finer)
    return error


def may_compare(smaller: FockModel, branches: ComplexArray | None) -> bool:
    """Whether a solution with fewer levels should agree if they are enough.

    Not where they may cut off a branch, or where the weights of several branches hang on the last levels.
    """
    return not (is_multistable(smaller, branches) or outside(smaller, branches))


def _leaked(model: FockModel, result: FockResult, task: Task) -> float:
    """Return the truncation error that the leak allows for; infinite where there is more than the steady state."""
    is_all = task.times is None and result.state is not None
    return energy_error(model, result, leak(model, result)) if is_all else math.inf


def _climb_nonlinear(model: FockModel, task: Task) -> Judged:
    branches = reachable_branches(model, task.times, steady=task.steady)
    model = first_model(model, branches, task)
    result, larger = _sharp(model, task.solve(model, branches=branches), branches, task), finer_model(model)
    climbed = [(model.levels, _leaked(model, result, task) if result.converged else math.inf)]
    while result.converged and climbed[-1][1] > task.tolerance and task.affords(larger):
        finer = _sharp(larger, task.solve(larger, branches=branches, start=result), branches, task)
        if not finer.converged:
            break
        error = min(difference(result, finer), _leaked(larger, finer, task))
        climbed.append((larger.levels, error))
        model, result, larger = larger, finer, finer_model(larger)
    above = outside(model, branches)
    judged = _judged(model, result, climbed, task, outside=above, several=is_multistable(model, branches))
    if above:
        judged = _above(judged, model, branches)
    return _limited(judged, larger) if result.converged and climbed[-1][1] > task.tolerance else judged


def first_model(model: FockModel, branches: ComplexArray | None, task: Task) -> FockModel:
    """Return the model that a climb without exact moments begins with: it holds all branches, if that fits."""
    expected = expected_levels(expected_errors(model, task.times, steady=task.steady), STEEP * task.tolerance)
    enough = np.maximum(np.maximum(levels_for(model, branches), expected), LEAST)
    levels = tuple(d if q else int(n) for d, q, n in zip(model.levels, model.qubits, enough, strict=True))
    chosen = model.with_levels(levels)
    return chosen if task.affords(finer_model(chosen)) else model


def coarser_model(model: FockModel) -> FockModel | None:
    """Return the model with a fifth fewer levels of every mode but the qubits; None if some mode has none to spare."""
    levels = tuple(
        d if q else d - max(_least_step(model), d // 5) for d, q in zip(model.levels, model.qubits, strict=True)
    )
    return model.with_levels(levels) if min(levels) > 1 else None


def finer_model(model: FockModel) -> FockModel:
    """Return the model with a quarter more levels of every mode but the qubits."""
    return model.with_levels(
        tuple(d if q else d + max(_least_step(model), d // 4) for d, q in zip(model.levels, model.qubits, strict=True))
    )


def _least_step(model: FockModel) -> int:
    """Return how many levels make a difference: one may be empty where photons come in pairs."""
    return 2 if model.anomaly else 1


def next_model(model: FockModel, climbed: Sequence[tuple[tuple[int, ...], float]], tolerance: float) -> FockModel:
    """Return the next model of a Gaussian network's climb.

    A quarter more levels than the highest, or as many as the errors so far ask for, at most twice.
    """
    highest = max(model.levels)
    least = max(BESIDE, highest // 4)
    wanted = sufficient_levels([(max(levels), error) for levels, error in climbed], tolerance)
    extra = least if wanted is None else min(max(wanted - highest, least), highest)
    return model.with_levels(tuple(d + extra for d in model.levels))
