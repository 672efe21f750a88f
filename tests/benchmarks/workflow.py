"""A whole `qbsweep run`, its overhead and its memory, beside xyzpy and dask.delayed: `make bench`."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import shutil  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import dask  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
import xyzpy  # noqa: E402
from distributed import Client, LocalCluster  # noqa: E402
from scipy.linalg import solve, solve_continuous_lyapunov  # noqa: E402
from timing import ratio, seconds  # noqa: E402

from qbsweep.physics.matrices import damping_matrix, drift_matrix  # noqa: E402
from qbsweep.physics.topologies import cascaded  # noqa: E402
from qbsweep.runs.box import solve_box  # noqa: E402
from qbsweep.runs.plan import make_grid  # noqa: E402
from qbsweep.sweeps.spec import load_spec  # noqa: E402

KAPPA, EPSILON, WORKERS = 0.003, 0.01, 2


def sweep_file(folder: Path, N: int, couplings: int, n_th: int = 1, r: int = 1) -> Path:
    path = folder / f"sweep-{N}-{couplings}-{n_th}-{r}.yaml"
    path.write_text(
        f"name: bench\nparameters: {{topology: cascaded, N: {N}, kappa: {KAPPA}, epsilon: {EPSILON}}}\n"
        f"sweep:\n  J: {{geomspace: [1.0e-4, {'1.0e-1' if couplings > 1 else '1.0e-4'}, {couplings}]}}\n"
        f"  n_th: {{linspace: [0, {2 if n_th > 1 else 0}, {n_th}]}}\n"
        f"  r: {{linspace: [0, {1 if r > 1 else 0}, {r}]}}\n"
    )
    return path


def run(sweep: Path, out: Path) -> tuple[float, float]:
    """Wall seconds of a fresh `qbsweep run`, and the largest resident memory of its driver in MB."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    command = [sys.executable, "-m", "qbsweep", "run", str(sweep), "--out", str(out), "--workers", str(WORKERS)]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        try:
            if not (out / "lock").exists():
                time.sleep(0.01)
                continue  # starting, or already reading the result for the summary
            peak = max(peak, process.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{sweep} ended with exit code {process.returncode}")
    return time.perf_counter() - started, peak


def pure_solver(sweep: Path) -> float:
    """Seconds of the solver alone for the blocks of a sweep, on one core."""
    spec = load_spec(sweep)
    grid = make_grid(spec)
    boxes = [tuple(np.arange(s.start, s.stop) for s in grid.block(n)) for n in range(grid.n_blocks)]
    started = time.perf_counter()
    for box in boxes:
        solve_box(spec, box)
    return time.perf_counter() - started


def overhead(folder: Path, repeats: int = 5) -> None:
    print(
        f"\nqbsweep run against its solver, {WORKERS} workers: wall / (start-up + solver / {WORKERS}), median (range)"
    )
    one = sweep_file(folder, 8, 1)
    for label, sweep in (
        ("10^6 couplings, N = 8", sweep_file(folder, 8, 1_000_000)),
        ("10^6 points, 10^4 couplings x 10 x 10 baths, N = 8", sweep_file(folder, 8, 10_000, 10, 10)),
        ("10^6 couplings, N = 200", sweep_file(folder, 200, 1_000_000)),
    ):
        ratios, rows = [], []
        for _ in range(repeats):
            start_up, solver, wall = run(one, folder / "o")[0], pure_solver(sweep), run(sweep, folder / "o")[0]
            ratios.append(wall / (start_up + solver / WORKERS))
            rows.append((start_up, solver, wall))
        medians = " ".join(f"{statistics.median(column):.2f}" for column in zip(*rows, strict=True))
        print(f"{label}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
        print(f"    seconds of start-up, solver on one core, wall: {medians}")


def memory(folder: Path) -> None:
    print("\nlargest resident memory of the driver with its scheduler, MB")
    for couplings in (1_000, 10_000, 100_000):
        wall, peak = run(sweep_file(folder, 8, couplings, 10, 10), folder / "o")
        print(f"{couplings * 100:>10,} points: {peak:.0f} MB, {wall:.1f} s")


def one_point(J: float, n_th: float) -> float:
    """What a user would write for one point."""
    network = cascaded(8, J, KAPPA)
    source = np.zeros(network.n_modes, dtype=complex)
    source[0] = 1j * EPSILON
    M = drift_matrix(network)
    alpha = solve(M, source)
    C = solve_continuous_lyapunov(M.conj(), -n_th * damping_matrix(network).conj())
    return float(abs(alpha[-1]) ** 2 + C[-1, -1].real)


def against_others(folder: Path) -> None:
    print("\na whole run of 10^6 points, start-up included, against other ways, per point, N = 8")
    sweep = sweep_file(folder, 8, 10_000, 10, 10)
    ours = [run(sweep, folder / "o")[0] / 1e6 for _ in range(3)]
    J, n_th = np.geomspace(1e-4, 1e-1, 200), [0.0, 0.5, 1.0, 2.0]
    count = len(J) * len(n_th)
    runner = xyzpy.Runner(one_point, var_names=["energy"])

    def by_xyzpy() -> object:
        return runner.run_combos({"J": J, "n_th": n_th}, verbosity=0)

    def by_loop() -> object:
        return [one_point(a, b) for a in J for b in n_th]

    def per_point(function: object) -> list[float]:
        return [t / count for t in seconds(function, 3)]  # type: ignore[arg-type]

    print(f"loop of scipy calls, one core: {ratio(ours, per_point(by_loop))}")
    print(f"xyzpy Runner.run_combos, one core: {ratio(ours, per_point(by_xyzpy))}")
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):

        def by_delayed() -> object:
            return dask.compute(*[dask.delayed(one_point)(a, b) for a in J for b in n_th])

        print(f"dask.delayed per point, {WORKERS} workers: {ratio(ours, per_point(by_delayed))}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        overhead(Path(name))
        memory(Path(name))
        against_others(Path(name))
