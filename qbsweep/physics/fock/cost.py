"""What a point of the Lindblad solver costs, in bytes and seconds, before it runs.

Seconds are counted applications of the Liouvillian times the cost of one, on one core of 2023. Every constant
below was fitted to random networks, baths, frames and levels; the application counts, which do not depend on the
machine, are tested.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qbsweep.physics.fock.bounds import HEIGHT, drive_height, kerr_height, relaxation_width, spectral_ellipse
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.propagator import ROUNDING, TOLERANCE, Ellipse, degree
from qbsweep.physics.fock.ramp import ramp_applications
from qbsweep.physics.fock.stages import before, last, stages
from qbsweep.physics.fock.steady import DIRECT, MAX_APPLICATIONS
from qbsweep.physics.fock.terms import REAL_TOLERANCE, generator, is_real
from qbsweep.physics.matrices import coherent_matrix, damping_matrix, drift_matrix, squeezing_matrix

# Copies of rho, as full square matrices, at the peak. Evolution: three, a fourth if it takes several steps.
EVOLUTION_COPIES = 3.3
STEADY_COPIES = 10.1  # two images and fourteen packed triangles
BYTES_AN_ENTRY = 80  # of the sparse matrix of the number blocks, while it is assembled
BETWEEN_COPIES = 2.1  # of rho, between two stages of a protocol
RAMP_CALLS = 1.7  # seconds of one order of a ramp, over those of one application
SECONDS_A_POINT = 2e-3
SECONDS_A_TIME = 1.5e-6  # of one mode's reduced state, and d^3 of the next for its eigenvalues
SECONDS_AN_EIGENVALUE = 5e-9
SECONDS_A_COEFFICIENT = 1.5e-8  # of one order at one time
SECONDS_A_PRODUCT = 1e-10  # of the sum over orders of the reduced states


@dataclass(frozen=True, slots=True)
class _Rates:
    """Seconds of one application: of the call, per row and term, per entry and term, and per entry of a triangle."""

    call: float
    row: float
    term: float
    entry: float


# By whether rho is complex: the fused step, and with it the vectors of the Krylov method.
_EVOLUTION = {False: _Rates(1.0e-5, 3.0e-9, 1.05e-10, 1.1e-9), True: _Rates(1.7e-5, 1.3e-9, 2.7e-10, 1.9e-9)}
_STEADY = {False: _Rates(1.8e-5, 0.5e-9, 1.2e-10, 4.2e-9), True: _Rates(1.7e-5, 1.9e-9, 2.0e-10, 9.5e-9)}
_ENDLESS = 10**8
_NOWHERE = 1e15  # bytes that no machine has: what is beyond is not looked at closely
_MOST_STATES = 10**150  # so that the square is a float
_SPARSE_CALL = 7e-6
_SPARSE_ENTRY = {False: 1.35e-9, True: 4.5e-9}  # applied
_SPARSE_ASSEMBLY = {False: 4.5e-8, True: 1.1e-7}  # built


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """What the numbers of applications follow from: rates in units of omega."""

    ellipse: Ellipse
    slowest: float
    is_complex: bool


@lru_cache(maxsize=32)
def _spectrum(model: FockModel) -> _Spectrum:
    terms = generator(model)
    slowest = -float(np.max(np.linalg.eigvals(drift_matrix(model.network)).real))
    return _Spectrum(spectral_ellipse(model, terms), slowest, terms.dtype.kind == "c")


def count_terms(model: FockModel) -> tuple[int, int]:
    """Return how many hops G has, and how many products of ladder operators stand left and right of rho."""
    P, Q, n = model.occupation, model.anomaly, model.network.n_modes
    K = damping_matrix(model.network)
    rates = 1j * coherent_matrix(model.network) + (P + 0.5) * K
    hops = np.abs(rates[~np.eye(n, dtype=bool)]) > REAL_TOLERANCE * np.max(np.abs(rates))
    count = int(np.sum(hops)) + (2 if model.drive else 0)
    products = int(np.count_nonzero(K)) * (2 if P else 1)
    if Q:
        pairs = int(np.count_nonzero(squeezing_matrix(model.network)))
        count += pairs + n  # both signs of every unordered pair
        products += 2 * pairs
    return count, products


def block_entries(model: FockModel) -> tuple[int, int]:
    """Return the number of stored entries of number-conserving rho and, estimated, of the sparse matrix."""
    states = np.ones(1)
    for d in model.levels:
        states = np.convolve(states, np.ones(d))
    pairs = float(np.sum(states**2))
    if is_real(model):
        pairs = (pairs + model.dimension) / 2
    hops, products = count_terms(model)
    filled = 1 - 1.7 / float(np.mean(model.levels))  # terms that leave the truncated space are missing
    return int(pairs), int(pairs * (1 + max(filled, 0.3) * (2 * hops + products)))


def _degree(model: FockModel, end: float) -> int:
    """Return the Liouvillian applications of one evolution to time `end`, if no step is repeated."""
    ellipse = _spectrum(model).ellipse
    if not end * (ellipse.half_height + ellipse.half_width) < _ENDLESS:
        return _ENDLESS  # as good as never: more than `propagate` would try
    return degree(ellipse, end, TOLERANCE / math.sqrt(model.dimension))


def predict_memory(model: FockModel, *, steady: bool = True, times: int = 0, end: float | None = None) -> float:
    """Return the peak bytes of one point by the fast engine, on top of the interpreter's own.

    Parameters
    ----------
    model : FockModel
    steady : bool
        Whether the steady state is asked for.
    times : int
        Number of output times, 0 for none.
    end : float, optional
        The last of them, in 1/omega; ten lifetimes of the slowest mode if not said.
    """
    smallest = 4.0 * min(model.dimension, _MOST_STATES) ** 2
    if smallest > _NOWHERE:
        return smallest
    if model.protocol is not None:
        return _protocol_memory(model, steady, times, end)
    item = 8 if is_real(model) else 16
    record = 0.0
    if times:
        count = _degree(model, _end(model, end))
        reduced = len(model.levels) * max(model.levels) ** 2 * item
        record = (64 + 4 * times) * reduced + 10 * count * max(times, 80)
    if model.conserves_number:
        pairs, entries = block_entries(model)
        working = 12 * entries + 18 * pairs * item  # the finished matrix and the vectors
        return max(BYTES_AN_ENTRY * entries + 4 * model.dimension**2, working + record)
    copies = max(STEADY_COPIES if steady else 0.0, EVOLUTION_COPIES if times else 0.0)
    hops, products = count_terms(model)
    table = 2 * item * model.dimension * (2 * hops + products)
    if not steady:
        return copies * item * model.dimension**2 + table + record
    evolution = EVOLUTION_COPIES * item * model.dimension**2 + record if times else 0.0
    return max(STEADY_COPIES * item * model.dimension**2, evolution) + table


def _protocol_memory(model: FockModel, steady: bool, times: int, end: float | None) -> float:
    """Return the peak bytes of one point with a protocol: those of its largest stage, and of the state between two."""
    held = [predict_memory(last(model))] if steady else []
    if times:
        if model.protocol is not None and model.protocol.initial.kind == "steady":
            held.append(predict_memory(before(model)))
        for stage in stages(model, _end(model, end)):
            between = BETWEEN_COPIES * (8 if is_real(stage.model) else 16) * model.dimension**2
            held.append(predict_memory(stage.model, steady=False, times=times, end=stage.length) + between)
    return max(held)


def _protocol_seconds(model: FockModel, steady: bool, times: int, end: float | None) -> float:
    """Return the seconds of one solution with a protocol: of all its stages, and of steady states."""
    seconds = predict_seconds(last(model)) if steady else 0.0
    if times:
        if model.protocol is not None and model.protocol.initial.kind == "steady":
            seconds += predict_seconds(before(model))
        final = _end(model, end)
        for stage in stages(model, final):
            inside = max(1, round(times * stage.length / final))
            constant = predict_seconds(stage.model, steady=False, times=inside, end=stage.length)
            orders = evolution_applications(stage.model, stage.length)
            ramp = ramp_applications(_spectrum(stage.model).ellipse, stage.length) if stage.is_ramp else orders
            seconds += SECONDS_A_POINT + constant * (RAMP_CALLS * ramp / orders if stage.is_ramp else 1.0)
    return seconds


def _end(model: FockModel, end: float | None) -> float:
    return 10 / min(rate for rate in model.network.kappa if rate > 0) if end is None else end


def evolution_applications(model: FockModel, end: float | None = None) -> float:
    """Return how often the Liouvillian is applied in an evolution to time `end`, repeated steps included.

    A step is repeated where the ellipse is too small, as it may be in a strongly squeezed bath or with strong Kerr
    terms, and where rounding takes a share of the error that is allowed.
    """
    last, spectrum = _end(model, end), _spectrum(model)
    ellipse = spectrum.ellipse
    squeezed = abs(model.anomaly) / (model.occupation + 0.5)
    kerr = min(kerr_height(model) * HEIGHT / max(ellipse.half_height, 1e-300), 1.0)
    rounding = 2 * ROUNDING * math.sqrt(model.dimension) * ellipse.capacity * last / TOLERANCE
    return _degree(model, last) * (1 + 0.15 * squeezed**4 + 0.4 * kerr + min(9 * rounding, 3.0))


def steady_applications(model: FockModel) -> float:
    """Return how often the Liouvillian is applied until the Krylov method has the steady state.

    It needs the root of the condition number, more where the bath squeezes, and more where the Hamiltonian turns
    quickly (a Kerr term excepted: it stands on the diagonal, which preconditions).
    """
    if model.conserves_number:
        return 1.0  # the thermal state, and that is it
    spectrum = _spectrum(model)
    if spectrum.slowest <= 0:
        return 0.0  # refused: it never relaxes
    unknowns = model.dimension * (model.dimension + 1) // 2 * (2 if spectrum.is_complex else 1)
    if unknowns <= DIRECT:
        return unknowns + 4.0
    drive = drive_height(model)
    hops = max(spectrum.ellipse.half_height / HEIGHT - drive - kerr_height(model), 0.0)
    width = relaxation_width(model) / spectrum.slowest
    squeezed = abs(model.anomaly) / (model.occupation + 0.5)
    count = (4.9 + 5.3 * squeezed) * math.sqrt(width) + (1.0 * hops + 7.6 * drive) / spectrum.slowest
    return min(count, MAX_APPLICATIONS)


def predict_seconds(model: FockModel, *, steady: bool = True, times: int = 0, end: float | None = None) -> float:
    """Return the seconds of one solution by the fast engine on one core, mostly within a factor of two.

    Parameters as for `predict_memory`.
    """
    if model.protocol is not None:
        return _protocol_seconds(model, steady, times, end)
    evolved = evolution_applications(model, end) if times else 0.0
    relaxed = steady_applications(model) if steady else 0.0
    is_complex, n, d = _spectrum(model).is_complex, model.network.n_modes, max(model.levels)
    # Of every time: what the orders contribute to the modes' reduced states, and their eigenvalues.
    seconds = SECONDS_A_POINT + times * evolved * (SECONDS_A_COEFFICIENT + SECONDS_A_PRODUCT * n * d**2)
    seconds += times * n * (SECONDS_A_TIME + SECONDS_AN_EIGENVALUE * d**3)
    if model.conserves_number:
        entries = block_entries(model)[1]
        call = _SPARSE_CALL + _SPARSE_ENTRY[is_complex] * entries
        return seconds + _SPARSE_ASSEMBLY[is_complex] * entries + (evolved + relaxed) * call
    hops, products = count_terms(model)
    terms, size = 2 * hops + products, model.dimension
    for applications, rates in ((evolved, _EVOLUTION[is_complex]), (relaxed, _STEADY[is_complex])):
        call = rates.call + rates.row * size * terms + (rates.term * terms + rates.entry) * size**2 / 2
        seconds += applications * call
    return seconds
