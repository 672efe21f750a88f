"""The density matrix in time by the fast engine: at once from vacuum, or stage by stage as a protocol says."""

import math

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.fock.amplitudes import within
from qbsweep.physics.fock.bounds import spectral_ellipse
from qbsweep.physics.fock.branches import classical_branches
from qbsweep.physics.fock.initial import product_state
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.number_blocks import build_operator
from qbsweep.physics.fock.observables import Reduced
from qbsweep.physics.fock.operator import DenseOperator, Operator
from qbsweep.physics.fock.propagator import Evolution, propagate
from qbsweep.physics.fock.ramp import ramped
from qbsweep.physics.fock.relaxed import relaxed
from qbsweep.physics.fock.stages import Stage, before, stages
from qbsweep.physics.fock.terms import Generator, gauged, ungauge

SHARE = 0.5  # of the error that may be made, for the state that an evolution begins with


def evolve(
    model: FockModel, operator: Operator, terms: Generator, times: FloatArray, accuracy: float, *, keep_rho: bool
) -> Reduced:
    """Return the reduced states at all times, from vacuum; see `point.solve_model`."""
    ellipse = spectral_ellipse(model, terms)
    run = propagate(operator, operator.thermal(0.0), times, ellipse, tolerance=accuracy, keep_states=keep_rho)
    rho = np.array([ungauge(operator.matrix(x), terms) for x in run.states]) if keep_rho else None
    return Reduced(run.reduced, terms.phases, run.error, run.applications, run.reason, rho)


def evolve_protocol(model: FockModel, times: FloatArray, accuracy: float, *, keep_rho: bool) -> Reduced:
    """Return the reduced states at all times of a model with a protocol, stage by stage; see `point.solve_model`."""
    end = float(times[-1])
    every = stages(model, max(end, math.ulp(0.0)))  # of time 0 alone, too, the first one says how rho is held
    operator, terms = build_operator(every[0].model)
    rho, error, applications, reason = _begin(model, terms, SHARE * accuracy)
    accuracy -= error if error < accuracy else 0.0
    beginning = operator.reduced(operator.state(rho))
    reduced = np.full((len(times), *beginning.shape), np.nan, dtype=terms.dtype)
    reduced[times == 0] = beginning
    states = [ungauge(rho, terms)] if times[0] == 0 else []
    for stage in every if end else []:
        if reason:
            break
        operator, terms = build_operator(stage.model)
        inside, local = within(stage, times)
        allowed = accuracy * (stage.length / end + 1 / len(every)) / 2  # enough for a short one to be rounded
        run = _run(stage, operator, terms, operator.state(rho), local, allowed, keep_rho)
        count = int(np.sum(inside))
        reduced[inside] = run.reduced[:count]
        states += [ungauge(operator.matrix(x), terms) for x in run.states[:count]]
        error, applications, reason = error + run.error, applications + run.applications, run.reason
        rho = rho if run.end is None else operator.matrix(run.end)
    return Reduced(reduced, terms.phases, error, applications, reason, np.array(states) if keep_rho else None)


def _begin(model: FockModel, terms: Generator, accuracy: float) -> tuple[Array, float, int, str]:
    """Return the density matrix that a protocol begins with, in a gauge, its error, what it took, and what is wrong."""
    if model.protocol is None or model.protocol.initial.kind != "steady":
        return gauged(product_state(model), terms), 0.0, 0, ""
    still = before(model)
    branches = None if still.gaussian else classical_branches(still)
    found = relaxed(still, *build_operator(still), branches, None, accuracy, keep_rho=True)
    return gauged(np.asarray(found.rho)[0], terms), found.error, found.applications, found.reason


def _run(
    stage: Stage, operator: Operator, terms: Generator, start: Array, times: FloatArray, accuracy: float, keep: bool
) -> Evolution:
    ellipse = spectral_ellipse(stage.model, terms)
    if stage.is_ramp and isinstance(operator, DenseOperator):
        return ramped(operator, stage.model, start, times, stage.drives, ellipse, tolerance=accuracy, keep_states=keep)
    return propagate(operator, start, times, ellipse, tolerance=accuracy, keep_states=keep, keep_end=True)
