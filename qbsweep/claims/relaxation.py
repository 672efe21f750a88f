"""Claims about relaxation at J_op (Fig. 4): how its time depends on N and on the coupling."""

import math
from collections.abc import Callable

import numpy as np

from qbsweep.claims.exact import TOPOLOGIES, operating_point, settling_time, steady_energies, terminal_curve
from qbsweep.claims.ledger import Finding, Measure
from qbsweep.physics.matrices import drift_matrix

LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
FIXED = 0.5  # J / kappa

Settling = Callable[[str, str, int, float | None], float]


def _times(settling: Settling, topology: str, coupling: str) -> dict[int, float]:
    return {N: settling(topology, coupling, N, None) for N in LENGTHS}


def _uneven_damping(topology: str) -> float:
    """Return how far the damping of any normal mode is from kappa / 2, in kappa."""
    networks = [TOPOLOGIES[topology](N, operating_point(topology, N, 1.0), 1.0, "reciprocal") for N in LENGTHS]
    return max(float(np.abs(np.linalg.eigvals(drift_matrix(network)).real + 0.5).max()) for network in networks)


def linear_growth(settling: Settling = settling_time) -> Finding:
    """Settling time of the reciprocal chain at J_op; the parameter finds the settling times in 1 / kappa."""
    times = _times(settling, "cascaded", "reciprocal")
    exponent = math.log(times[32] / times[4]) / math.log(32 / 4)
    per_battery = (settling("cascaded", "reciprocal", 32, FIXED) - settling("cascaded", "reciprocal", 16, FIXED)) / 16
    shown = ", ".join(f"{times[N]:.2f}" for N in (1, 4, 8, 16, 32))
    return Finding(
        f"κt of settling within 1 % at J_op: {shown} for N = 1, 4, 8, 16, 32; d ln t / d ln N from N = 4 to 32",
        Measure(exponent, 0.5, at_least=True),
        explained=(
            Measure(max(times.values()) / min(times.values()), 1.2, name="largest over least time"),
            Measure(_uneven_damping("cascaded"), 1e-10, name="damping off κ/2 by"),
            Measure(abs(per_battery * 2 * FIXED - 1), 0.1, name="time per battery at fixed J off 1/(2J) by"),
        ),
        reason="every normal mode decays at κ/2 and the delay N/(2J) tends to 2/κ, because J_op itself grows as N; the "
        f"time grows with N at a fixed J only (at J = κ/2 by {per_battery:.2f}/κ a battery)",
    )


def independence(settling: Settling = settling_time) -> Finding:
    """Settling time of the reciprocal star at J_op; the parameter finds the settling times in 1 / kappa."""
    times = list(_times(settling, "parallel", "reciprocal").values())
    return Finding(
        f"κt of settling within 1 % at J_op: {min(times):.4f} to {max(times):.4f} for N = 1 to 32; relative spread",
        Measure(max(times) / min(times) - 1, 0.05),
    )


def much_shorter(settling: Settling = settling_time) -> Finding:
    """Settling time of the reciprocal star over that of the chain; the parameter finds them in 1 / kappa."""
    star, chain = (_times(settling, topology, "reciprocal") for topology in ("parallel", "cascaded"))
    ratios = [star[N] / chain[N] for N in LENGTHS]
    return Finding(
        f"t(parallel) / t(cascaded) at J_op, N = 1 to 32: {min(ratios):.3f} to {max(ratios):.3f}; a half would be much",
        Measure(min(ratios), 0.5),
        explained=(
            Measure(min(ratios), 0.85, at_least=True, name="least ratio"),
            Measure(max(map(_uneven_damping, TOPOLOGIES)), 1e-10, name="damping off κ/2 by"),
        ),
        reason="every normal mode of either network decays at κ/2",
    )


def faster(settling: Settling = settling_time) -> Finding:
    """Nonreciprocal over reciprocal settling time at J_op; the parameter finds them in 1 / kappa."""
    ratios = {}
    for topology in TOPOLOGIES:
        with_backflow, without = (_times(settling, topology, c) for c in ("reciprocal", "nonreciprocal"))
        ratios[topology] = [without[N] / with_backflow[N] for N in LENGTHS]
    chain, star = ratios["cascaded"], ratios["parallel"]
    return Finding(
        f"t(nonreciprocal) / t(reciprocal) at J_op, N = 1 to 32: {max(chain):.2f} down to {min(chain):.2f} cascaded, "
        f"{min(star):.2f} up to {max(star):.2f} parallel; the largest",
        Measure(max(*chain, *star), 1.0),
    )


def _largest_drop(topology: str, coupling: str, N: int) -> float:
    """Return the largest fall of the terminal energy below what it was before, in units of its steady value."""
    network = TOPOLOGIES[topology](N, operating_point(topology, N, 1.0), 1.0, coupling)
    curve = terminal_curve(network, 0.02, 1000)
    return float(np.max(np.maximum.accumulate(curve) - curve) / steady_energies(network, 1.0)[-1])


def monotone(drop: Callable[[str, str, int], float] = _largest_drop) -> Finding:
    """Whether the terminal energy ever falls; the parameter finds its largest fall."""
    others = drop("cascaded", "reciprocal", 4)
    worst = max(drop(topology, "nonreciprocal", N) for topology in TOPOLOGIES for N in (1, 2, 3, 4, 8, 16))
    return Finding(
        f"largest fall of E_N(t) by its steady value, κt to 20, N = 1 to 16 ({others:.2f} in a reciprocal chain of 4)",
        Measure(worst, 1e-12),
    )
