"""How far a truncated result can be trusted: its errors, and the verdict that follows.

**With exact moments** (a Gaussian network) the truncation error is measured, and the point is *certified*.

**Without** there is no certificate for a steady state. For an evolution the integral of the leak, the trace norm of
``(A - A_N) rho_N``, bounds the error of rho, because Lindblad evolution is a contraction (Etienney, Robin and Rouchon,
arXiv:2501.09607). For a steady state the same argument gives the leak over the Liouvillian's gap, where the gap is an
estimate itself; and a bound on rho in the trace norm does not bound an energy, which is unbounded. Such a point is at
best *converged*: it has passed every test that could have spoken against it, in this order:

1. every classical branch lies inside the levels with its margin (`branches`);
2. where there are several, the error of rho is measured against the gap between them (`steady`);
3. a solution with a fifth fewer levels agrees; or what leaks out of the levels, over the gap, is below the tolerance:
   hence so is the error of every energy, where the leaked quanta lie near the cut (measured, this bound was between 6
   and 1e7 times the error); or a solution with a quarter more levels agrees (`climb`);
4. no mode's highest level holds more than the tolerance;
5. the numerical error is below `NUMERICAL_TOLERANCE`, and may move no energy by more than the tolerance: the solutions
   that 3. compares begin one at the other, and what the method has not resolved they have in common.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array
from qbsweep.physics.fock.exact import exact_values
from qbsweep.physics.fock.exact_whole import exact_whole
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.point import FockResult
from qbsweep.physics.fock.stages import last, standing
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.protocol import ModeState
from qbsweep.physics.verdicts import (
    CERTIFIED,
    CONVERGED,
    NUMERICAL_TOLERANCE,
    SUSPECT_BRANCHES,
    SUSPECT_NUMERICS,
    SUSPECT_TRUNCATION,
)

TOLERANCE = 1e-3
FLOOR = 1e-3  # smallest denominator of a relative error, as a share of the mode's energy


@dataclass(frozen=True, slots=True)
class Verdict:
    """Trust in one point.

    Attributes
    ----------
    word : str
        Who vouches for it: certified or converged; or what speaks against it: suspect-truncation, suspect-branches or
        suspect-numerics.
    truncation_error : float
        Largest relative error of energy, ergotropy and what else was asked for over modes and times; infinite where
        unknown.
    top_population : float
    sufficient_levels : int or None
        Levels per mode that should meet the tolerance, extrapolated; None where that cannot be said.
    reason : str
        Why the point is suspect; empty if it is not.
    """

    word: str
    truncation_error: float
    top_population: float
    sufficient_levels: int | None
    reason: str

    @property
    def suspect(self) -> bool:
        """Whether the point should not be believed as it is."""
        return self.word.startswith("suspect")


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


def difference(result: FockResult, other: FockResult) -> float:
    """Return the truncation error of a result, or of the other, if the one with more levels is right."""
    values, others = _values(result), _values(other)
    of_whole = whole_error(result.whole, other.whole)
    return max(of_whole, *(truncation_error(*values[kind], *others[kind]) for kind in values))


def whole_error(values: Mapping[str, Array], exact: Mapping[str, Array]) -> float:
    """Return the largest error of further quantities, of those that both have.

    Relative to the exact values, but at least to `FLOOR` of the largest of a quantity; of a logarithmic negativity
    and of an ergotropy of populations, which may be 0, relative to 1 at least.
    """
    worst = 0.0
    for name in values.keys() & exact.keys():
        least = 1.0 if name.startswith(("log_negativity", "ergotropy_incoherent")) else 0.0
        scale = np.maximum(np.abs(exact[name]), max(FLOOR * float(np.max(np.abs(exact[name]), initial=0.0)), least))
        off: Array = np.asarray(np.abs(values[name] - exact[name]))
        relative = np.divide(off, scale, out=off.copy(), where=scale > 0)
        worst = max(worst, math.inf if np.isnan(relative).any() else float(np.max(relative, initial=0.0)))
    return worst


def _values(result: FockResult) -> dict[str, tuple[Array, Array]]:
    """Return (energy, ergotropy) of a result: 'steady' and 'timed', as far as they were asked for."""
    values = {}
    if result.energy is not None and result.ergotropy is not None:
        values["steady"] = (result.energy, result.ergotropy)
    if result.energy_t is not None and result.ergotropy_t is not None:
        values["timed"] = (result.energy_t, result.ergotropy_t)
    return values


def energy_error(model: FockModel, result: FockResult, error: float) -> float:
    """Return the largest relative error of an energy or ergotropy that an error of rho in the trace norm may make.

    It may move a mode's d quanta by that much. Denominators are those of `truncation_error`; a mode that neither the
    bath nor the drive reaches has none: it is empty.

    Parameters
    ----------
    model : FockModel
    result : FockResult
        Of the model.
    error : float
        As `FockResult.error`, or a leak from `point.leak`.
    """
    worst = 0.0
    for kind, (energy, ergotropy) in _values(result).items():
        is_filled = _is_filled(last(model) if kind == "steady" else model)
        floor = FLOOR * np.max(energy.reshape(len(energy), -1), axis=1)
        least = np.min(ergotropy.reshape(len(energy), -1), axis=1)
        scale = np.maximum(np.maximum(least, floor), 1e-300)
        largest = float(np.max(error * np.array(result.levels) / scale, initial=0.0, where=is_filled))
        worst = max(worst, math.inf if math.isnan(largest) else largest)
    return worst


def _is_filled(model: FockModel) -> Array:
    """Whether the bath, the drive or what was there at first reaches a mode, shape (modes,).

    What holds nothing computed need not be empty.
    """
    if model.occupation > 0:
        return np.ones(len(model.levels), dtype=bool)
    reached = np.zeros(len(model.levels), dtype=bool)
    if model.protocol is not None:
        for mode, state in enumerate(model.protocol.initial.modes):
            reached[mode] = state != ModeState()
    for one in standing(model):
        hops = drift_matrix(one.network) != 0
        reached[0] = reached[0] or one.epsilon != 0
        for _ in model.levels:
            reached = reached | hops @ reached
    return reached


def measured_error(model: FockModel, result: FockResult, times: Sequence[float] | None) -> float:
    """Return the truncation error of a Gaussian network's result against the exact moments.

    Parameters
    ----------
    model : FockModel
        The model that gave the result.
    result : FockResult
    times : sequence of float or None
        The times of the result.
    """
    values, exact = _values(result), {}
    if "steady" in values:
        energy, ergotropy = exact_values(model, None)
        exact["steady"] = (energy[:, 0], ergotropy[:, 0])
    if "timed" in values:
        exact["timed"] = exact_values(model, times)
    of_whole = whole_error(result.whole, exact_whole(model, times, result.whole))
    return max(of_whole, *(truncation_error(*values[kind], *exact[kind]) for kind in values))


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
    model: FockModel,
    result: FockResult,
    error: float,
    *,
    tolerance: float = TOLERANCE,
    tried: Sequence[tuple[int, float]] = (),
    outside: str = "",
    several: bool = False,
) -> Verdict:
    """Return the verdict on a result whose truncation error is known.

    Parameters
    ----------
    model : FockModel
    result : FockResult
        Of the model.
    error : float
        From `measured_error` or `difference`; 0 where nothing is truncated.
    tolerance : float
        Largest acceptable truncation error.
    tried : sequence of (int, float)
        Levels and errors of this point so far, this one included, to extrapolate from.
    outside : str
        Which classical branch does not lie inside the levels; empty if all do.
    several : bool
        Whether there are several branches.
    """
    certain = model.gaussian or all(model.qubits)
    # What was measured against the exact moments holds the error of the method too.
    blur = 0.0 if model.gaussian else energy_error(model, result, result.error)
    found = []
    if not result.converged:
        found.append((SUSPECT_NUMERICS, result.reason))
    if outside:
        found.append((SUSPECT_BRANCHES, outside))
    elif several and result.error > tolerance and result.converged:
        found.append(
            (
                SUSPECT_BRANCHES,
                f"classical branches become each other at a rate of {result.gap:.1e} omega only: "
                f"their weights may be off by {result.error:.1e}",
            )
        )
    if not error <= tolerance and not outside:
        found.append((SUSPECT_TRUNCATION, f"truncation error {error:.2g} above the tolerance {tolerance:g}"))
    if not certain and result.top_population > tolerance:
        found.append((SUSPECT_TRUNCATION, f"a highest level holds {result.top_population:.2g} of a mode"))
    if blur > tolerance:
        found.append(
            (SUSPECT_NUMERICS, f"an error of rho of {result.error:.1e} may be {blur:.1e} of an energy so small")
        )
    if result.error > NUMERICAL_TOLERANCE:
        found.append((SUSPECT_NUMERICS, f"numerical error {result.error:.1e} above {NUMERICAL_TOLERANCE:.0e}"))
    word, _ = found[0] if found else (CERTIFIED if certain else CONVERGED, "")
    reason = "; ".join(sentence for _, sentence in found)
    return Verdict(word, error, result.top_population, sufficient_levels(tried, tolerance), reason)
