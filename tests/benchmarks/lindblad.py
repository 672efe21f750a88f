"""Measure the Lindblad solver against QuTiP: ratios of one run, one core, equal levels, times and error.

    OMP_NUM_THREADS=1 taskset -c 0 python tests/benchmarks/lindblad.py [--full] [--repeat 5]

Without ``--full`` the QuTiP baselines that take more than about a minute are skipped. QuTiP runs at its
best settings: `tsit5` on a Liouvillian merged beforehand into one csr matrix, acting on rho as a column;
its steady state is bicgstab without preconditioner. Errors are printed: the bound of the fast engine,
and of QuTiP the largest deviation of a photon number from the fast engine's.
"""

import argparse
import contextlib
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import bicgstab

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import qutip

from qbsweep.physics.fock import qutip_reference
from qbsweep.physics.fock.cost import predict_memory, predict_seconds
from qbsweep.physics.fock.model import FockModel, fock_model
from qbsweep.physics.fock.number_blocks import build_operator
from qbsweep.physics.fock.point import solve_model
from qbsweep.physics.topologies import cascaded

KAPPA = 0.003
TIMES = np.linspace(0, 10 / KAPPA, 200)
# N, levels, n_th, frame, wanted ratio of the evolution, slow (only with --full)
EVOLUTIONS = [
    (1, 8, 1.0, "lab", None, False),
    (1, 8, 1.0, "displaced", None, False),
    (2, 4, 0.0, "lab", 12, False),
    (2, 6, 0.0, "lab", 12, False),
    (2, 6, 1.0, "lab", 50, False),
    (2, 6, 1.0, "displaced", 150, False),
    (2, 8, 0.0, "lab", 12, True),
    (2, 8, 1.0, "lab", 120, True),
    (2, 8, 1.0, "displaced", 500, True),
]
STEADY = [(2, 6, 1.0, "lab", None, False), (2, 6, 1.0, "displaced", None, False),
          (2, 8, 1.0, "lab", 8, False), (2, 8, 1.0, "displaced", 30, False)]  # fmt: skip


def point(N: int, levels: int, n_th: float, frame: str) -> FockModel:
    """A nonreciprocal cascade at its optimum coupling."""
    J = KAPPA / 8 * (N + (N * N + 8 * N) ** 0.5)
    return fock_model(cascaded(N, J, KAPPA), levels, epsilon=1e-3, n_th=n_th, frame=frame)


def timed(work: Callable[[], Any], repeat: int) -> list[float]:
    """Seconds of `repeat` runs."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def ratio(slow: list[float], fast: list[float]) -> str:
    """Ratio of the medians, and its spread over the fastest and slowest runs."""
    middle = statistics.median(slow) / statistics.median(fast)
    return f"{middle:7.0f}x ({min(slow) / max(fast):.0f} to {max(slow) / min(fast):.0f})"


def merged_liouvillian(model: FockModel) -> qutip.QobjEvo:
    """QuTiP's fastest form: one csr superoperator."""
    return qutip.QobjEvo(qutip_reference.liouvillian(model).to("csr"))


def qutip_evolution(model: FockModel, L: qutip.QobjEvo, tolerance: float) -> np.ndarray:
    """Photon numbers (modes, times), with the last battery's reduced states computed, by mesolve's tsit5."""
    numbers = [c.dag() * c for c in qutip_reference.mode_operators(model.levels)]
    last = len(model.levels) - 1
    options = {
        "method": "tsit5", "rtol": tolerance, "atol": tolerance * 1e-2, "nsteps": 10**8,
        "progress_bar": "", "store_states": False,
    }  # fmt: skip
    outputs = [*numbers, lambda t, rho: rho.ptrace(last).full()]
    result = qutip.mesolve(L, qutip_reference.vacuum(model.levels), TIMES, e_ops=outputs, options=options)
    return np.array([np.real(values) for values in result.expect[:-1]])


def triad(size: int) -> float:
    """Bytes a second of ``a = b + 1.5 c`` on arrays of `size` doubles, counted as 24 a double."""
    a, b, c = np.zeros(size), np.ones(size), np.ones(size)
    _triad(a, b, c)
    return 24 * size / min(timed(lambda: _triad(a, b, c), 15))


@numba.njit(fastmath=True)
def _triad(a, b, c):  # type: ignore[no-untyped-def]
    for k in range(len(a)):
        a[k] = b[k] + 1.5 * c[k]


def baseline_evolution(model: FockModel, tolerance: float, repeat: int) -> tuple[list[float], float]:
    """Seconds of QuTiP's best evolution, and its largest error in the photon numbers at any time."""
    L = merged_liouvillian(model)
    found: list[np.ndarray] = []
    seconds = timed(lambda: found.append(qutip_evolution(model, L, tolerance)), repeat)
    reference = solve_model(model, times=TIMES, steady=False).energy_t
    return seconds, float(np.max(np.abs(found[-1] - reference)))


def bench_evolution(full: bool, repeat: int, tolerance: float) -> None:
    """Time evolution, 200 times to 10/kappa."""
    print("\nevolution, 200 times to 10/kappa: seconds, ratio to QuTiP's best (wanted)")
    baselines: dict[tuple[int, int, float], tuple[list[float], float]] = {}
    for N, levels, n_th, frame, wanted, slow in EVOLUTIONS:
        model = point(N, levels, n_th, frame)
        work = lambda model=model: solve_model(model, times=TIMES, steady=False)  # noqa: E731
        result = work()
        fast = timed(work, repeat)
        line = f"N={N} d={levels} n_th={n_th:g} {frame:9s} {statistics.median(fast):8.4f} s  "
        line += f"A applied {result.applications:4d} times, error bound {result.error:.0e}  "
        line += f"predicted {predict_seconds(model, steady=False, times=200):.3f} s, "
        line += f"{predict_memory(model, steady=False, times=200) / 1e6:.1f} MB  "
        if slow and not full:
            print(line + "QuTiP skipped (--full)", flush=True)
            continue
        # QuTiP gains nothing from a displaced frame: its best is the lab frame at the same levels.
        key = (N, levels, n_th)
        if key not in baselines:
            baselines[key] = baseline_evolution(point(*key, "lab"), tolerance, 3 if N == 1 else 1)
        baseline, error = baselines[key]
        line += f"QuTiP {statistics.median(baseline):8.3f} s (error {error:.0e})  {ratio(baseline, fast)}"
        print(line + (f" wanted {wanted}x" if wanted else ""), flush=True)


def bench_steady(repeat: int) -> None:
    """Steady state against bicgstab on QuTiP's Liouvillian and, small enough, its default."""
    print("\nsteady state: seconds, ratio to bicgstab without preconditioner (wanted)")
    for N, levels, n_th, frame, wanted, _ in STEADY:
        model = point(N, levels, n_th, frame)
        work = lambda model=model: solve_model(model)  # noqa: E731
        result = work()
        fast = timed(work, repeat)
        lab = point(N, levels, n_th, "lab")
        size = lab.dimension
        trace = (np.full(size, KAPPA), (np.zeros(size, dtype=int), np.arange(size) * (size + 1)))
        A = qutip_reference.liouvillian(lab).to("csr").data.as_scipy()
        A = A + coo_matrix(trace, shape=A.shape).tocsr()  # the trace in the first row, as QuTiP adds it
        b = np.zeros(size * size, dtype=complex)
        b[0] = KAPPA
        baseline = timed(lambda: bicgstab(A, b, rtol=1e-10, atol=0, maxiter=10_000), 1)  # noqa: B023
        line = f"N={N} d={levels} n_th={n_th:g} {frame:9s} {statistics.median(fast):8.4f} s  "
        line += f"A applied {result.applications:4d} times, error estimate {result.error:.0e}  "
        line += f"bicgstab {baseline[0]:8.3f} s  {ratio(baseline, fast)}"
        print(line + (f" wanted {wanted}x" if wanted else ""), flush=True)


def others(model: FockModel, tolerance: float) -> dict[str, Callable[[], np.ndarray]]:
    """Other ways to evolve a vacuum or thermal point; each returns the last photon number of every mode."""
    P, H, L = model.occupation, qutip_reference.hamiltonian(model), qutip_reference.jumps(model)
    jumps = [(P + 1) ** 0.5 * jump for jump in L] + ([P**0.5 * jump.dag() for jump in L] if P else [])
    numbers = [c.dag() * c for c in qutip_reference.mode_operators(model.levels)]
    vacuum = qutip_reference.vacuum(model.levels)
    options = {"rtol": tolerance, "atol": tolerance * 1e-2, "nsteps": 10**8, "progress_bar": ""}

    def by_qutip(**more: Any) -> np.ndarray:
        result = qutip.mesolve(H, vacuum, TIMES, jumps, e_ops=numbers, options={**options, **more})
        return np.array([values[-1].real for values in result.expect])

    ways = {"QuTiP default (adams)": by_qutip, "QuTiP matrix_form": lambda: by_qutip(matrix_form=True)}
    with contextlib.suppress(ImportError):
        import dynamiqs as dq

        dq.set_precision("double")
        arrays = [[dq.asqarray(q.full(), layout=dq.dia) for q in group] for group in ([H], jumps, numbers)]
        rho = dq.asqarray((vacuum * vacuum.dag() if vacuum.isket else vacuum).full())

        def by_dynamiqs() -> np.ndarray:
            result = dq.mesolve(
                arrays[0][0], arrays[1], rho, TIMES, exp_ops=arrays[2], save_states=False, progress_meter=False,
                method=dq.method.Tsit5(rtol=tolerance, atol=tolerance * 1e-2, max_steps=10**7),
            )  # fmt: skip
            return np.asarray(result.expects[:, -1].real)

        ways["dynamiqs (CPU, dia)"] = by_dynamiqs
    return ways


def bench_others(tolerance: float) -> None:
    """Evolution of small points against QuTiP's defaults, its matrix form, and dynamiqs where it is installed."""
    print("\nevolution, lab frame, 200 times: seconds, ratio, largest difference at the last time")
    for N, levels, n_th in ((1, 8, 1.0), (2, 4, 1.0)):
        model = point(N, levels, n_th, "lab")
        work = lambda model=model: solve_model(model, times=TIMES, steady=False)  # noqa: E731
        reference = work().energy_t[:, -1]
        fast = timed(work, 7)
        for name, other in others(model, tolerance).items():
            try:
                difference = np.max(np.abs(other() - reference))  # and compiles
            except Exception as error:  # a peer's failure is its own result
                print(f"N={N} d={levels} n_th={n_th:g} {name:22s} failed: {type(error).__name__}: {error}"[:160])
                continue
            slow = timed(other, 2)
            line = f"N={N} d={levels} n_th={n_th:g} {name:22s} {statistics.median(slow):8.3f} s  {ratio(slow, fast)}"
            print(f"{line}  difference {difference:.0e}", flush=True)


def bench_bandwidth() -> None:
    """One application of the dense kernel against the bandwidth of the memory that rho fills."""
    print("\nkernel against a triad on arrays of the same bytes")
    for N, levels in ((1, 8), (2, 6), (2, 8), (2, 10)):
        model = point(N, levels, 1.0, "lab")
        operator, _ = build_operator(model)
        x, new = operator.thermal(1.0), operator.zeros()
        operator.complete(x)
        work = lambda: operator.step(x, new, x, 0.5, 0.1, -0.1, 0.0)  # noqa: B023, E731
        work()
        seconds = min(timed(work, 15))
        size = model.dimension**2
        # The upper triangle of x read, that of `new` read and written.
        moved = 3 * 8 * size / 2
        peak = triad(max(size // 2, 1000))
        print(
            f"N={N} d={levels:2d} {1e6 * seconds:8.0f} us, {moved / seconds / 1e9:5.1f} GB/s "
            f"of {peak / 1e9:5.1f}: {100 * moved / seconds / peak:.0f} %",
            flush=True,
        )


def main() -> None:
    """Run all benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="also the QuTiP baselines of minutes")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--tolerance", type=float, default=1e-8, help="QuTiP's relative tolerance")
    arguments = parser.parse_args()
    bench_bandwidth()
    bench_others(arguments.tolerance)
    bench_steady(arguments.repeat)
    bench_evolution(arguments.full, arguments.repeat, arguments.tolerance)


if __name__ == "__main__":
    main()
