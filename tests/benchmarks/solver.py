"""Speed of the moment solver alone, on one core, beside what a user would write: `make bench`."""

import math
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import statistics  # noqa: E402

import numpy as np  # noqa: E402
from scipy.linalg import solve, solve_continuous_lyapunov  # noqa: E402
from timing import ratio, seconds  # noqa: E402

from qbsweep.physics.matrices import damping_matrix, drift_matrix  # noqa: E402
from qbsweep.physics.moments.family import family  # noqa: E402
from qbsweep.physics.moments.rates import Rates  # noqa: E402
from qbsweep.physics.moments.steady import coherent_populations  # noqa: E402
from qbsweep.physics.network import Network, scaled  # noqa: E402
from qbsweep.physics.topologies import TOPOLOGIES, cascaded, optimal_coupling  # noqa: E402
from qbsweep.solvers.interface import Labelled, Points, values_of  # noqa: E402
from qbsweep.solvers.moments import solve_moments  # noqa: E402
from qbsweep.sweeps.variables import DEFAULT_SCALARS  # noqa: E402

KAPPA, EPSILON = 0.003, 0.01
REPEATS = 7


def points(network: Network, J: np.ndarray, n_th: np.ndarray, r: np.ndarray, times: np.ndarray | None = None) -> Points:
    """A product of points at one kappa and one drive."""
    values = values_of({"J": J, "kappa": KAPPA, "epsilon": EPSILON, "omega": 1, "n_th": n_th, "r": r})
    return Points(network, values, times=None if times is None else Labelled(("time",), times))


def couplings(topology: str, N: int, count: int) -> np.ndarray:
    return optimal_coupling(topology, N, KAPPA) * np.geomspace(0.1, 10, count)


def steady_rates() -> None:
    print("\nsteady state of the terminal battery, million points a second on one core (median)")
    print(f"{'N':>5} {'topology':>9} {'coupling':>14} {'J only':>8} {'J x n_th x r':>13}")
    zero, table = np.zeros(1), np.linspace(0, 2, 10)
    for N in (2, 8, 32, 128, 512, 1000):
        count = max(4096, min(400_000, 4_000_000 // N))
        for topology in ("cascaded", "parallel"):
            for coupling in ("nonreciprocal", "reciprocal"):
                network = TOPOLOGIES[topology].build(N, coupling=coupling)
                alone = points(network, couplings(topology, N, count), zero, zero)
                shared = points(network, couplings(topology, N, max(count // 20, 500)), table, table / 2)
                rates = [
                    math.prod(p.sizes.values())
                    / statistics.median(seconds(lambda p=p: solve_moments(p, ["energy_terminal"]), 5))
                    for p in (alone, shared)
                ]
                print(f"{N:5d} {topology:>9} {coupling:>14} {rates[0] / 1e6:8.2f} {rates[1] / 1e6:13.1f}")


def imperfect_rates() -> None:
    print("\nthe four default outputs of a chain, N = 8, million points a second on one core (median)")
    count = 200_000
    J, best, seeds = couplings("cascaded", 8, count), optimal_coupling("cascaded", 8, KAPPA), np.arange(count)
    cases = {
        "ideal, over J": {"J": J},
        "detuned, over J": {"J": J, "detuning": KAPPA / 2},
        "another loss of the charger, over J": {"J": J, "kappa_charger": KAPPA / 2},
        "disordered J, over J": {"J": J, "spread_J": 0.2},
        "disordered J, over seed": {"J": best, "spread_J": 0.2, "seed": seeds},
        "disordered detuning, over seed": {"J": best, "spread_detuning": KAPPA, "seed": seeds},
    }
    for name, asked in cases.items():
        cells = []
        for coupling in ("nonreciprocal", "reciprocal"):
            values = values_of({"kappa": KAPPA, "epsilon": EPSILON, "omega": 1, "n_th": 0, "r": 0} | asked)
            p = Points(cascaded(8, coupling=coupling), values)
            cells.append(count / statistics.median(seconds(lambda p=p: solve_moments(p, DEFAULT_SCALARS), 5)) / 1e6)
        print(f"{name:>36}: nonreciprocal {cells[0]:6.2f}, reciprocal {cells[1]:6.2f}")


def scipy_loop(network: Network, J: np.ndarray, n_th: float) -> np.ndarray:
    """What a user would write: build, solve and Lyapunov-solve point by point."""
    result = np.empty(len(J))
    source = np.zeros(network.n_modes, dtype=complex)
    source[0] = 1j * EPSILON
    for i, coupling in enumerate(J):
        one = scaled(network, coupling, KAPPA)
        M = drift_matrix(one)
        alpha = solve(M, source)
        C = solve_continuous_lyapunov(M.conj(), -n_th * damping_matrix(one).conj())
        result[i] = abs(alpha[-1]) ** 2 + C[-1, -1].real
    return result


def against_scipy_loop() -> None:
    print("\nagainst a loop of scipy.linalg.solve + solve_continuous_lyapunov, per point, n_th = 1")
    for N, count in ((2, 400), (8, 300), (32, 60)):
        for topology in ("cascaded", "parallel"):
            network = TOPOLOGIES[topology].build(N)
            few = couplings(topology, N, count)
            many = couplings(topology, N, 100 * count)
            p = points(network, many, np.ones(1), np.zeros(1))
            ours = [t / len(many) for t in seconds(lambda p=p: solve_moments(p, ["energy_terminal"]), REPEATS)]
            theirs = [t / count for t in seconds(lambda n=network, J=few: scipy_loop(n, J, 1.0), REPEATS)]
            error = np.abs(
                solve_moments(points(network, few, np.ones(1), np.zeros(1)), ["energy_terminal"])[
                    "energy_terminal"
                ].values.ravel()
                / scipy_loop(network, few, 1.0)
                - 1
            ).max()
            print(f"N = {N:3d} {topology:>9}: {ratio(ours, theirs)}, largest relative difference {error:.1e}")


def against_batched_lapack() -> None:
    print("\nO(N) elimination against batched LAPACK on the same matrices, first moments, reciprocal chain")
    for N, count in ((8, 4096), (32, 1024), (128, 64)):
        net = family(cascaded(N, coupling="reciprocal"))
        rates = Rates(couplings("cascaded", N, count), np.full(count, KAPPA))
        source = np.zeros((N + 1, 1))
        source[0] = -1
        ours = seconds(lambda net=net, rates=rates: coherent_populations(net, rates), REPEATS)
        theirs = seconds(lambda net=net, rates=rates, b=source: np.linalg.solve(net.drift(rates), b), REPEATS)
        print(f"N = {N:3d}: {ratio(ours, theirs)}")


def time_evolution() -> None:
    print("\ntime evolution of all modes, 201 uniform times to 10/kappa, microseconds a point (median)")
    for N in (1, 2, 4, 8, 16, 32):
        J = couplings("cascaded", N, 64)
        times = np.linspace(0, 10 / KAPPA, 201)
        cells = []
        for n_th, r, realization in (
            (0.0, 0.0, "phase-half-pi"),
            (1.0, 0.0, "phase-half-pi"),
            (1.0, 0.5, "phase-zero"),
        ):
            p = points(cascaded(N, realization=realization), J, np.array([n_th]), np.array([r]), times)
            median = statistics.median(seconds(lambda p=p: solve_moments(p, ["energy_t", "ergotropy_t"]), 5))
            cells.append(f"{median / len(J) * 1e6:9.0f}")
        print(f"N = {N:3d}: vacuum {cells[0]}, thermal {cells[1]}, squeezed (phase-zero) {cells[2]}")


if __name__ == "__main__":
    steady_rates()
    imperfect_rates()
    against_scipy_loop()
    against_batched_lapack()
    time_evolution()
