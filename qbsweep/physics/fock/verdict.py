"""How far a truncated result can be trusted, and the climb to a truncation that can be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics import gaussian
from qbsweep.physics.fock.cost import predict_memory
from qbsweep.physics.fock.model import FockModel, require_relaxing
from qbsweep.physics.fock.point import FockResult, solve_model
from qbsweep.physics.moments.dynamics import evolved_populations
from qbsweep.physics.moments.family import family
from qbsweep.physics.moments.steady import anomaly_deficits, coherent_populations

TOLERANCE = 1e-3
FLOOR = 1e-3  # smallest denominator of a relative error, as a share of the mode's energy
MAX_CLIMB = 200  # levels of a mode beyond which `solve_auto` gives up
BESIDE = 2  # levels more, or less, of a second solution that a first one is judged by


@dataclass(frozen=True, slots=True)
class Verdict:
    """Trust in one point.

    Attributes
    ----------
    truncation_error : float
        Largest relative error of energy and ergotropy over modes and times; infinite where unknown.
    top_population : float
    suspect : bool
        The error exceeds the tolerance, or the numerical method did not converge.
    sufficient_levels : int or None
        Levels per mode that should meet the tolerance, extrapolated; None where that cannot be said.
    reason : str
        Why the point is suspect; empty if it is not.
    """

    truncation_error: float
    top_population: float
    suspect: bool
    sufficient_levels: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class AutoResult:
    """What `solve_auto` ended with: the last result, its verdict and the levels it came by."""

    result: FockResult
    verdict: Verdict
    climbed: tuple[tuple[tuple[int, ...], float], ...]


def exact_values(model: FockModel, times: Sequence[float] | None) -> tuple[FloatArray, FloatArray]:
    """Return the exact energy and ergotropy of every mode of a Gaussian network without truncation, in omega.

    From the moment equations; see `qbsweep.physics.moments.steady` and `qbsweep.physics.moments.dynamics`.

    Returns
    -------
    energy, ergotropy : array
        Shape (modes, 1) for the steady state, (modes, times) otherwise.
    """
    if not model.gaussian:
        raise QbsweepError("the exact moments are known for Gaussian networks only, not with `kerr` or qubits")
    require_relaxing(model)
    net, one = family(model.network), np.ones(1)
    if times is None:
        populations, _ = coherent_populations(net, one, one)
        lost, _ = anomaly_deficits(net, one, one)
        filling, kept = np.ones_like(populations), np.ones_like(populations) if lost is None else 1 - lost
    else:
        grid = np.asarray(times, dtype=float)[None]
        first, second, deficit, _ = evolved_populations(net, one, one, grid, fluctuations=True, squeezing=True)
        populations, filling = first[0], np.zeros_like(first[0]) if second is None else second[0]
        kept = filling if deficit is None else filling - deficit[0]
    coherent = model.epsilon * (model.epsilon * populations)
    occupation, anomaly = model.occupation * filling, abs(model.anomaly) * kept
    return gaussian.energy(coherent, occupation), gaussian.ergotropy(coherent, occupation, anomaly)


def truncation_error(energy: Array, ergotropy: Array, exact_energy: Array, exact_ergotropy: Array) -> float:
    """Return the largest relative error of energy and ergotropy over the modes (first axis) and times.

    Denominators are the exact values, but at least `FLOOR` of the mode's largest energy, so that a
    mode without ergotropy, or a time before anything arrived, does not make rounding look like an error.
    """
    exact_energy, exact_ergotropy = np.asarray(exact_energy), np.asarray(exact_ergotropy)
    axes = tuple(range(1, exact_energy.ndim))
    floor = FLOOR * np.max(np.abs(exact_energy), axis=axes, keepdims=True)
    worst = 0.0
    for value, exact in ((energy, exact_energy), (ergotropy, exact_ergotropy)):
        scale = np.maximum(np.abs(exact), floor)
        difference = np.abs(np.asarray(value) - exact)
        relative = np.divide(difference, scale, out=difference.copy(), where=scale > 0)
        worst = max(worst, math.inf if np.isnan(relative).any() else float(np.max(relative)))
    return worst


def _values(result: FockResult) -> dict[str, tuple[Array, Array]]:
    """Return (energy, ergotropy) of a result: 'steady' and 'timed', as far as they were asked for."""
    values = {}
    if result.energy is not None and result.ergotropy is not None:
        values["steady"] = (result.energy, result.ergotropy)
    if result.energy_t is not None and result.ergotropy_t is not None:
        values["timed"] = (result.energy_t, result.ergotropy_t)
    return values


def _difference(values: dict[str, tuple[Array, Array]], exact: dict[str, tuple[Array, Array]]) -> float:
    """Return the truncation error of all values of a result against the exact, or finer, ones."""
    return max(truncation_error(*values[kind], *exact[kind]) for kind in values)


def measured_error(model: FockModel, result: FockResult, times: Sequence[float] | None, **options: Any) -> float:
    """Return the truncation error: against the exact moments, or against a solution with more levels.

    Parameters
    ----------
    model : FockModel
        The model that gave the result.
    result : FockResult
    times : sequence of float or None
        The times of the result.
    **options
        Further options of `solve_model` for the second solution of a network that is not Gaussian.
    """
    values = _values(result)
    if model.gaussian:
        exact = {}
        if "steady" in values:
            energy, ergotropy = exact_values(model, None)
            exact["steady"] = (energy[:, 0], ergotropy[:, 0])
        if "timed" in values:
            exact["timed"] = exact_values(model, times)
        return _difference(values, exact)
    if all(model.qubits):
        return 0.0  # two levels are all there are
    larger = finer_model(model)
    return _difference(values, _values(solve_model(larger, times=times, steady="steady" in values, **options)))


def finer_model(model: FockModel) -> FockModel:
    """Return the model that a solution of a network without exact moments is measured against."""
    return model.with_levels(_more_levels(model, BESIDE))


def _more_levels(model: FockModel, extra: int) -> tuple[int, ...]:
    """Return more levels for every mode but the qubits."""
    return tuple(d if q else d + extra for d, q in zip(model.levels, model.qubits, strict=True))


def sufficient_levels(tried: Sequence[tuple[int, float]], tolerance: float) -> int | None:
    """Extrapolate ``error ~ e^{-rate d}`` through the last two (levels, error) to the tolerance.

    Returns None unless the error fell; a level already tried that met the tolerance is returned as it is.
    """
    for levels, error in tried:
        if error <= tolerance:
            return levels
    if len(tried) < 2:
        return None
    (before, worse), (levels, better) = tried[-2], tried[-1]
    if not (0 < better < worse < math.inf) or levels <= before:
        return None
    rate = math.log(worse / better) / (levels - before)
    return levels + math.ceil(math.log(better / tolerance) / rate)


def judge(
    result: FockResult, error: float, *, tolerance: float = TOLERANCE, tried: Sequence[tuple[int, float]] = ()
) -> Verdict:
    """Return the verdict on a result whose truncation error is known.

    Parameters
    ----------
    result : FockResult
    error : float
        From `measured_error`.
    tolerance : float
        Largest acceptable truncation error.
    tried : sequence of (int, float)
        Levels and errors of this point so far, this one included, to extrapolate from.
    """
    if not tolerance > 0:
        raise QbsweepError(f"`tolerance` must be above 0, but is {tolerance}")
    reasons = [result.reason] if not result.converged else []
    if not error <= tolerance:
        reasons.append(f"truncation error {error:.2g} above the tolerance {tolerance:g}")
    return Verdict(error, result.top_population, bool(reasons), sufficient_levels(tried, tolerance), "; ".join(reasons))


def solve_auto(
    model: FockModel,
    *,
    memory_budget: float,
    tolerance: float = TOLERANCE,
    times: Sequence[float] | None = None,
    steady: bool = True,
    engine: str = "auto",
    keep_rho: bool = False,
) -> AutoResult:
    """Climb in Fock levels until the truncation error meets the tolerance or no more fits.

    Parameters
    ----------
    model : FockModel
        With the levels to begin with; qubits in it stay qubits.
    memory_budget : float
        Bytes a point may take, by `predict_memory`.
    tolerance : float
        Largest acceptable truncation error.
    times, steady, engine, keep_rho
        See `point.solve`.

    Returns
    -------
    AutoResult
        With the verdict's reason saying what ended the climb if the tolerance was not met.
    """
    options: dict[str, Any] = {"times": times, "steady": steady, "engine": engine, "keep_rho": keep_rho}

    def affordable(candidate: FockModel) -> bool:
        return is_affordable(candidate, memory_budget, times, steady)

    needed = _memory(model, times, steady)
    if needed > memory_budget:
        raise QbsweepError(
            f"{max(model.levels)} Fock levels need {needed / 1e6:.3g} MB a point, but the budget is "
            f"{memory_budget / 1e6:.3g} MB"
        )
    climbed: list[tuple[tuple[int, ...], float]] = []
    result = solve_model(model, **options)
    while True:
        finer, larger = None, next_model(model, climbed, tolerance)
        if model.gaussian or all(model.qubits):
            error = measured_error(model, result, times)
            larger = next_model(model, [*climbed, (model.levels, error)], tolerance)
        elif affordable(larger):
            # Without exact moments the next solution of the climb is what this one is measured against.
            finer = solve_model(larger, **options)
            error = _difference(_values(result), _values(finer))
        else:
            error = climbed[-1][1] if climbed else math.inf  # not above that of the coarser step before
        climbed.append((model.levels, error))
        verdict = judge(result, error, tolerance=tolerance, tried=[(max(levels), value) for levels, value in climbed])
        if error <= tolerance:
            return AutoResult(result, verdict, tuple(climbed))
        if all(model.qubits) or not affordable(larger):
            limit = f"{verdict.reason}; {max(larger.levels)} levels would exceed the limits"
            return AutoResult(result, replace(verdict, reason=limit), tuple(climbed))
        model, result = larger, finer or solve_model(larger, **options)


def _memory(model: FockModel, times: Sequence[float] | None, steady: bool) -> float:
    count, end = (0, None) if times is None else (len(times), float(times[-1]))
    return predict_memory(model, steady=steady, times=count, end=end)


def is_affordable(model: FockModel, memory_budget: float, times: Sequence[float] | None, steady: bool) -> bool:
    """Whether a climb may go on to this model: it fits the bytes, and its levels are not beyond `MAX_CLIMB`."""
    return _memory(model, times, steady) <= memory_budget and max(model.levels) <= MAX_CLIMB


def next_model(model: FockModel, climbed: Sequence[tuple[tuple[int, ...], float]], tolerance: float) -> FockModel:
    """Return the model with a quarter more levels, or as many as the errors so far ask for, at most twice."""
    highest = max(model.levels)
    least = max(2, highest // 4)
    wanted = sufficient_levels([(max(levels), error) for levels, error in climbed], tolerance)
    extra = least if wanted is None else min(max(wanted - highest, least), highest)
    return model.with_levels(_more_levels(model, extra))
