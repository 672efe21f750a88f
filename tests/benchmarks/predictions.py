"""What `plan` predicts against what is measured, for every workflow and every sweep of `sweeps/` beside this file.

`python tests/benchmarks/predictions.py [NAME ...]`, a few minutes for all. Computing is CPU time of a serial run in
this process, which other users of the machine disturb least; the compiled kernels are loaded before. `left` is the
worst ratio of the time left that was shown to what was left, at a quarter, half and three quarters of the run. `plan`
is the CPU time of the whole command.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402

from qbsweep.physics.fock.model import fock_model  # noqa: E402
from qbsweep.physics.fock.point import solve_model  # noqa: E402
from qbsweep.physics.topologies import cascaded  # noqa: E402
from qbsweep.runs import loop, opening  # noqa: E402
from qbsweep.runs.block import Report  # noqa: E402
from qbsweep.runs.plan import make_grid, make_plan, predicted_blocks  # noqa: E402
from qbsweep.runs.speed import slowness  # noqa: E402
from qbsweep.runs.watch import Watcher  # noqa: E402
from qbsweep.sweeps.spec import load_spec  # noqa: E402

HERE = Path(__file__).parent
FOLDERS = (HERE.parents[1] / "workflows", HERE / "sweeps")


def load_kernels() -> None:
    """Solve small points of every kind: compiling, or loading what is compiled, is not what sweeps wait for."""
    for anomalous in ({"theta_r": 0.0}, {"theta_r": 0.7}):
        for bath in ({"r": 0.3}, {"r": 0.0, "frame": "displaced"}, {"kerr": 0.01}):
            model = fock_model(cascaded(1, 0.003, 0.003), 3, epsilon=0.001, n_th=0.1, **anomalous, **bath)
            solve_model(model, times=[0.0, 1.0])


def plan_seconds(file: Path) -> float:
    """CPU time of `qbsweep plan`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "qbsweep", "plan", str(file)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_seconds(file: Path, out: Path) -> tuple[float, float]:
    """CPU time of all blocks, and the worst ratio of the time left that was shown."""
    spec = load_spec(file)
    shown: list[tuple[float, float]] = []
    watcher = Watcher(Console(quiet=True))

    def watch(report: Report) -> None:
        watcher(report)
        shown.append((watcher.seconds, watcher.seconds_left))

    with opening.locked(out) as directory:
        store = opening.prepare(spec, directory)
        started = time.process_time()
        with watcher.showing(predicted_blocks(spec, store.grid), range(store.grid.n_blocks)):
            progress = loop.run_blocks(directory, store, loop.serial, watch)
        seconds = time.process_time() - started
    assert progress.complete, progress
    at, left = np.array(shown).T
    looked_at = [np.searchsorted(at, share * at[-1]) for share in (0.25, 0.5, 0.75)]
    ratios = [left[n] / (at[-1] - at[n]) for n in looked_at if at[n] < 0.9 * at[-1]]
    return seconds, max(ratios, key=lambda ratio: abs(np.log(ratio)), default=float("nan"))


def main(names: list[str]) -> None:
    load_kernels()
    print(f"this machine takes {slowness():.2f} times as long as the reference\n")
    heads = ("sweep", "points", "blocks", "predicted", "measured", "ratio", "left", "plan")
    print("{:22} {:>9} {:>6} {:>10} {:>10} {:>6} {:>6} {:>7}".format(*heads))
    ratios = []
    for file in (file for folder in FOLDERS for file in sorted(folder.glob("*.yaml"))):
        if names and file.stem not in names:
            continue
        spec = load_spec(file)
        plan = make_plan(spec, make_grid(spec))
        with tempfile.TemporaryDirectory() as folder:
            seconds, left = run_seconds(file, Path(folder) / "out")
        ratios.append(plan.seconds / seconds)
        print(
            f"{file.stem:22} {plan.points:9,} {plan.blocks:6,} {plan.seconds:8.2f} s {seconds:8.2f} s "
            f"{ratios[-1]:6.2f} {left:6.2f} {plan_seconds(file):5.2f} s",
            flush=True,
        )
    within = sum(0.5 <= ratio <= 2 for ratio in ratios)
    print(f"\n{within} of {len(ratios)} within a factor of two; from {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
