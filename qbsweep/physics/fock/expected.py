"""What a point of the Lindblad solver is expected to take, before it runs: the solutions of `climb`, one by one."""

import numpy as np

from qbsweep.arrays import ComplexArray, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.fock.branches import outside, reachable_branches
from qbsweep.physics.fock.climb import (
    BESIDE,
    HOPELESS,
    coarser_model,
    finer_model,
    first_model,
    may_compare,
    next_model,
)
from qbsweep.physics.fock.model import FockModel, require_relaxing
from qbsweep.physics.fock.photons import expected_error, expected_errors
from qbsweep.physics.fock.stages import last
from qbsweep.physics.fock.task import Task

LEAKED = 1e5  # what the leak allows for, over the truncation error, in the upper half of what was measured


def expected_solutions(model: FockModel, task: Task, *, climbs: bool) -> list[FockModel]:
    """Return the models that will be solved for one point: all of a climb, and what only a verdict needs.

    None where the first of a climb does not fit.

    Parameters
    ----------
    model : FockModel
        With the levels to begin with.
    task : Task
    climbs : bool
        Whether its levels are the first of a climb, see `climb.solve_auto`.
    """
    if climbs and task.memory(model) > task.memory_budget:
        return []
    if all(model.qubits):
        return [model]
    try:
        if task.steady:
            require_relaxing(last(model))
        errors = expected_errors(model, task.times, steady=task.steady)
    except (QbsweepError, ArithmeticError, np.linalg.LinAlgError):
        return [model]  # the point will say what is wrong with it
    if model.gaussian:
        return _climb_gaussian(model, errors, task) if climbs else _fixed_gaussian(model, errors, task)
    branches = reachable_branches(model, task.times, steady=task.steady)
    if climbs:
        return _climb_nonlinear(first_model(model, branches, task), errors, task)
    return [model] if outside(model, branches) else _fixed_nonlinear(model, branches, errors, task)


def _fixed_gaussian(model: FockModel, errors: FloatArray, task: Task) -> list[FockModel]:
    if expected_error(errors, model.levels) > task.tolerance and min(model.levels) > 1 + BESIDE:
        return [model, model.with_levels(tuple(d - BESIDE for d in model.levels))]
    return [model]


def _climb_gaussian(model: FockModel, errors: FloatArray, task: Task) -> list[FockModel]:
    solved, climbed = [model], []
    while True:
        climbed.append((model.levels, expected_error(errors, model.levels)))
        model = next_model(model, climbed, task.tolerance)
        if climbed[-1][1] <= task.tolerance or not task.affords(model):
            return solved
        solved.append(model)


def _fixed_nonlinear(
    model: FockModel, branches: ComplexArray | None, errors: FloatArray, task: Task
) -> list[FockModel]:
    solved, larger = [model], finer_model(model)
    smaller = coarser_model(model)
    if smaller and may_compare(smaller, branches):
        solved.insert(0, smaller)
        if not task.tolerance < expected_error(errors, smaller.levels) <= task.tolerance * HOPELESS:
            return solved
    return solved if _is_tight(model, errors, task) or not task.affords(larger) else [*solved, larger]


def _climb_nonlinear(model: FockModel, errors: FloatArray, task: Task) -> list[FockModel]:
    solved = [model]
    while not _is_tight(model, errors, task) and task.affords(finer_model(model)):
        error, model = expected_error(errors, model.levels), finer_model(model)
        solved.append(model)
        if error <= task.tolerance:
            break
    return solved


def _is_tight(model: FockModel, errors: FloatArray, task: Task) -> bool:
    """Whether the leak alone should tell that the levels are enough."""
    return task.times is None and LEAKED * expected_error(errors, model.levels) <= task.tolerance
