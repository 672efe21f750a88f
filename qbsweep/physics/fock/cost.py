"""What a point of the Lindblad solver costs, in bytes and seconds, before it runs."""

import math

import numpy as np

from qbsweep.physics.fock.bounds import spectral_ellipse
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.propagator import TOLERANCE, degree
from qbsweep.physics.fock.terms import REAL_TOLERANCE, generator
from qbsweep.physics.matrices import coherent_matrix, damping_matrix, drift_matrix, squeezing_matrix

# Copies of rho, as full square matrices, at the peak. Evolution: three, a fourth if it takes several steps.
EVOLUTION_COPIES = 3.3
STEADY_COPIES = 10.1  # two images and fourteen packed triangles
BYTES_AN_ENTRY = 80  # of the sparse matrix of the number blocks, while it is assembled
# Seconds on one core of 2023; a pilot point calibrates better than any constant.
SECONDS_A_TERM = 2.5e-10  # one shifted, scaled copy of one real entry
SECONDS_AN_ENTRY = 1.2e-9  # one entry of the sparse matrix, applied
SECONDS_TO_ASSEMBLE = 8e-8  # one entry of the sparse matrix, built
SECONDS_A_CALL = 1.5e-5
SECONDS_A_POINT = 3e-3
COMPLEX = 5.0  # a complex term to a real one


def _is_real(model: FockModel) -> bool:
    """Whether the gauge is real, asked of the same network with two levels a mode (three for Kerr)."""
    smallest = model.with_levels(tuple(min(d, 3) for d in model.levels))
    return generator(smallest).dtype.kind == "f"


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
    if _is_real(model):
        pairs = (pairs + model.dimension) / 2
    hops, products = count_terms(model)
    filled = 1 - 1.7 / float(np.mean(model.levels))  # terms that leave the truncated space are missing
    return int(pairs), int(pairs * (1 + max(filled, 0.3) * (2 * hops + products)))


def _applications(model: FockModel, end: float) -> int:
    """Return the Liouvillian applications of one evolution to time `end`, if no step is repeated."""
    ellipse = spectral_ellipse(model, generator(model))
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
    item = 8 if _is_real(model) else 16
    record = 0.0
    if times:
        count = _applications(model, _end(model, end))
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


def _end(model: FockModel, end: float | None) -> float:
    return 10 / min(rate for rate in model.network.kappa if rate > 0) if end is None else end


def predict_seconds(model: FockModel, *, steady: bool = True, times: int = 0, end: float | None = None) -> float:
    """Return the seconds of one point by the fast engine on one core, within a factor of about two.

    Parameters as for `predict_memory`.
    """
    terms = generator(model)
    ellipse = spectral_ellipse(model, terms)
    applications = 0.0
    if times:
        applications += degree(ellipse, _end(model, end), TOLERANCE / math.sqrt(model.dimension))
    if steady:
        slowest = -float(np.max(np.linalg.eigvals(drift_matrix(model.network)).real))
        # A Krylov method needs the root of the condition number, and more where the spectrum is high.
        applications += 1 if model.conserves_number else (
            10 * math.sqrt(2 * ellipse.half_width / slowest) + 1.5 * ellipse.half_height / slowest
        )  # fmt: skip
    factor = 1.0 if terms.dtype.kind == "f" else COMPLEX
    fixed = SECONDS_A_POINT
    if model.conserves_number:
        entries = block_entries(model)[1]
        call = SECONDS_AN_ENTRY * entries
        fixed += SECONDS_TO_ASSEMBLE * entries
    else:
        hops, products = count_terms(model)
        call = SECONDS_A_TERM * factor * (2 * hops + products) * model.dimension**2 / 2
    return fixed + applications * (SECONDS_A_CALL + call)
