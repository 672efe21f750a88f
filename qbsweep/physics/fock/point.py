"""One point of the Lindblad solver: energies and ergotropies, with everything needed to judge them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics.fock.branches import classical_branches
from qbsweep.physics.fock.evolution import evolve, evolve_protocol
from qbsweep.physics.fock.model import FockModel, Levels, fock_model, require_relaxing
from qbsweep.physics.fock.number_blocks import build_operator
from qbsweep.physics.fock.observables import Reduced, observables, top_population
from qbsweep.physics.fock.relaxed import Start, relaxation_rate, relaxed, resized
from qbsweep.physics.fock.stages import before, last
from qbsweep.physics.fock.steady import ROUNDING, TOLERANCE
from qbsweep.physics.fock.whole import OF_RHO, require_possible, whole_values
from qbsweep.physics.network import Network
from qbsweep.physics.protocol import Protocol
from qbsweep.text import choices

ENGINES = ("auto", "fast", "qutip")


@dataclass(frozen=True, slots=True)
class FockResult:
    """What a truncated Fock space gives for one point.

    Attributes
    ----------
    levels : tuple of int
        Fock levels of every mode.
    energy, ergotropy : array or None
        Steady values of every mode, in omega, shape (modes,); None if not asked for.
    energy_t, ergotropy_t : array or None
        The same at the times asked for, shape (modes, times).
    top_population : float
        Largest population of a mode's highest level, over modes (without qubits) and times.
    error : float
        Bound (evolution) or estimate (steady state) of rho's error in the trace norm, at this truncation; of QuTiP's
        evolution the tolerance of its integrator.
    gap : float
        Slowest rate of the Liouvillian, in units of omega, where it was measured; NaN where it was not.
    converged : bool
        Whether the numerical method reached its tolerance; it says nothing about the truncation.
    reason : str
        What went wrong, empty if nothing did.
    applications : int
        How often the Liouvillian was applied (0 for QuTiP).
    state : array or None
        Steady density matrix (D, D) as computed, in the generator's gauge, to start a larger one from.
    rho, rho_t : array or None
        Steady density matrix (D, D) and density matrices (times, D, D) in the model's frame, on request.
    whole : dict of array
        Further quantities that were asked for, see `whole.whole_values`; in time those with an `_t` behind their name.
    """

    levels: tuple[int, ...]
    energy: FloatArray | None
    ergotropy: FloatArray | None
    energy_t: FloatArray | None
    ergotropy_t: FloatArray | None
    top_population: float
    error: float
    gap: float
    converged: bool
    reason: str
    applications: int
    state: Array | None
    rho: ComplexArray | None
    rho_t: ComplexArray | None
    whole: Mapping[str, FloatArray] = field(default_factory=dict)


def solve(
    network: Network,
    levels: Levels,
    *,
    epsilon: float,
    n_th: float = 0.0,
    r: float = 0.0,
    theta_r: float = 0.0,
    kerr: float | Sequence[float] = 0.0,
    frame: str = "lab",
    protocol: Protocol | None = None,
    times: Sequence[float] | None = None,
    steady: bool = True,
    engine: str = "auto",
    keep_rho: bool = False,
) -> FockResult:
    """Solve the master equation (2), (15), (16) of one point in a truncated Fock space.

    Parameters
    ----------
    network : Network
    levels : int, sequence of int or mapping
        Fock levels, see `model.mode_levels`.
    epsilon, n_th, r, theta_r, kerr, frame, protocol
        See `model.fock_model`.
    times : sequence of float, optional
        Increasing times from 0 on, in 1/omega: adds the evolution, from vacuum or as the protocol says.
    steady : bool
        Also solve for the steady state, of the last segment of a protocol.
    engine : {'auto', 'fast', 'qutip'}
        'auto' is 'fast', which serves every model; 'qutip' is the reference.
    keep_rho : bool
        Return density matrices too.

    Raises
    ------
    QbsweepError
        For parameters out of range. A method that does not converge is no error: see `converged`.
    """
    bath = {"n_th": n_th, "r": r, "theta_r": theta_r}
    model = fock_model(network, levels, epsilon=epsilon, **bath, kerr=kerr, frame=frame, protocol=protocol)
    return solve_model(model, times=times, steady=steady, engine=engine, keep_rho=keep_rho)


def solve_model(
    model: FockModel,
    *,
    times: Sequence[float] | None = None,
    steady: bool = True,
    engine: str = "auto",
    keep_rho: bool = False,
    branches: ComplexArray | None = None,
    start: FockResult | None = None,
    accuracy: float = TOLERANCE,
    quantities: Sequence[str] = (),
) -> FockResult:
    """Solve a model that `fock_model` built and checked; see `solve`.

    Parameters
    ----------
    branches : array, optional
        From `branches.classical_branches`: the fast engine looks for the steady state from the last of them, and where
        there are several, it measures how slowly one becomes the other, and the steady state's error against that.
    start : FockResult, optional
        A solution with other levels to look for the steady state from; it hands on its gap.
    accuracy : float
        Largest error of rho in the trace norm, of the fast engine.
    quantities : sequence of str
        Names for `FockResult.whole`.
    """
    if engine not in ENGINES:
        raise QbsweepError(f"`engine` must be {choices(ENGINES)}, but is '{engine}'")
    if not steady and times is None:
        raise QbsweepError("there is nothing to solve: neither the steady state nor any time is asked for")
    grid = None if times is None else _check_times(times)
    asked = {
        part: [name.removesuffix("_t") for name in quantities if name.endswith("_t") == bool(part)]
        for part in ("", "_t")
    }
    needs_rho = {part: keep_rho or any(name in OF_RHO for name in names) for part, names in asked.items()}
    require_possible(model, {*asked[""], *asked["_t"]})
    still = last(model)
    if steady:
        require_relaxing(still)
    if grid is not None and model.protocol is not None and model.protocol.initial.kind == "steady":
        require_relaxing(before(model))
    if engine == "qutip":
        parts = _solve_qutip(model, grid, steady)
    else:
        begin = None if start is None or start.state is None else Start(start.levels, start.state, start.gap)
        parts = {}
        if steady or model.protocol is None:
            operator, terms = build_operator(still)
        if steady:
            if model.protocol is not None and branches is not None:
                branches = classical_branches(still)
            parts[""] = relaxed(still, operator, terms, branches, begin, accuracy, keep_rho=needs_rho[""])
        if grid is not None and model.protocol is None:
            parts["_t"] = evolve(model, operator, terms, grid, accuracy, keep_rho=needs_rho["_t"])
        elif grid is not None:
            parts["_t"] = evolve_protocol(model, grid, accuracy, keep_rho=needs_rho["_t"])
    fields: dict[str, Any] = {"energy": None, "ergotropy": None, "energy_t": None, "ergotropy_t": None}
    whole: dict[str, FloatArray] = {}
    for name, part in parts.items():
        found = {} if part.reason else whole_values(model, part, grid if name else None, asked[name])
        whole |= {quantity + name: value if name else value[..., 0] for quantity, value in found.items()}
        values = observables(model, part, grid if name else None)
        fields["energy" + name], fields["ergotropy" + name] = values if name else (v[:, 0] for v in values)
    rhos = {name: part.rho if keep_rho else None for name, part in parts.items()}
    reasons = [part.reason for part in parts.values() if part.reason]
    steady_rho = rhos.get("")
    return FockResult(
        levels=model.levels,
        **fields,
        top_population=max(top_population(model, part.states) for part in parts.values()),
        error=max(part.error for part in parts.values()),
        gap=parts[""].gap if steady else math.nan,
        converged=not reasons,
        reason="; ".join(reasons),
        applications=sum(part.applications for part in parts.values()),
        state=parts[""].state if steady else None,
        rho=None if steady_rho is None else steady_rho[0],
        rho_t=rhos.get("_t"),
        whole=whole,
    )


def _check_times(times: Sequence[float]) -> FloatArray:
    grid = np.asarray(times, dtype=float)
    if grid.ndim != 1 or not len(grid):
        raise QbsweepError("`times` must be a list of at least one time")
    if not (np.all(np.isfinite(grid)) and grid[0] >= 0 and np.all(np.diff(grid) > 0)):
        raise QbsweepError("`times` must be finite, increasing and start at 0 or later")
    return grid


def leak(model: FockModel, result: FockResult) -> float:
    """Return what leaves the levels of a steady state, over its slowest rate: about rho's error in the trace norm.

    ``||A_larger rho||`` in the Frobenius norm over the gap where it was measured, else over `relaxed.relaxation_rate`;
    rho is embedded in a space with two levels more of every mode, which is as far as A reaches.

    Raises
    ------
    QbsweepError
        If the result has no steady state of the fast engine.
    """
    if result.state is None:
        raise QbsweepError("the leak needs a steady state of the fast engine")
    larger = model.with_levels(tuple(d if q else d + 2 for d, q in zip(model.levels, model.qubits, strict=True)))
    operator, _ = build_operator(larger)
    x, image = operator.state(resized(result.state, result.levels, larger.levels)), operator.zeros()
    operator.step(x, image, x, 1.0, 0.0, 0.0, 0.0)
    packed = np.empty_like(operator.packed_diagonal())
    operator.pack(image, packed)
    rate = relaxation_rate(model) if math.isnan(result.gap) else result.gap
    return float(np.linalg.norm(packed)) / rate if rate else math.inf


def _solve_qutip(model: FockModel, times: FloatArray | None, steady: bool) -> dict[str, Reduced]:
    from qbsweep.physics.fock import qutip_reference  # loading QuTiP takes a second that the fast engine need not pay

    found: dict[str, tuple[Array, float]] = {}
    if steady:
        still = last(model)
        rho, residual = qutip_reference.steady_state(still)
        found[""] = rho[None], max(residual, ROUNDING) * math.sqrt(len(rho)) / relaxation_rate(still)
    if times is not None:
        found["_t"] = qutip_reference.evolve(model, times), TOLERANCE
    d = max(model.levels)
    parts = {}
    for name, (rho, error) in found.items():
        states = np.zeros((len(rho), len(model.levels), d, d), dtype=complex)
        for row, matrix in enumerate(rho):
            for m, state in enumerate(qutip_reference.reduced_states(matrix, model.levels)):
                states[row, m, : len(state), : len(state)] = np.triu(state)
        parts[name] = Reduced(states, np.zeros(len(model.levels)), error, 0, "", rho)
    return parts
