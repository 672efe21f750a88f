"""A sweep through Slurm against the same sweep on local workers, on a private cluster: `make bench-slurm`."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from timing import ratio

ROOT = Path(__file__).parents[2]
DEVCLUSTER = ROOT / "slurm" / "devcluster"
REPEATS = 5


def call(*argv: object, **environment: str) -> str:
    done = subprocess.run(
        [str(a) for a in argv], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{argv}: {done.stdout}{done.stderr}")
    return done.stdout


def qbsweep(*argv: object) -> None:
    call(sys.executable, "-m", "qbsweep", *argv)


def wait(condition: Callable[[], object]) -> float:
    while not condition():
        time.sleep(0.02)
    return time.perf_counter()


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def submitted(sweep: Path, out: Path, *options: object) -> tuple[float, float, float]:
    """Seconds until `submit` returns, until the first block is finished, and until all are."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    qbsweep("submit", sweep, "--out", out, "--profile", ROOT / "slurm" / "devcluster.yaml", *options)
    returned = time.perf_counter()
    first = wait((out / "events.jsonl").exists)
    last = wait((out / "slurm" / "finished").exists)
    wait(lambda: not call("squeue", "-h").strip())
    return returned - started, first - started, last - started


def local(sweep: Path, out: Path, *options: object) -> float:
    """Seconds of `qbsweep run`."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    qbsweep("run", sweep, "--out", out, *options)
    return time.perf_counter() - started


def main() -> None:
    """Print the figures."""
    folder = Path(tempfile.mkdtemp(prefix="qb-bench-"))
    os.environ["SLURM_CONF"] = str(folder / "slurm" / "slurm.conf")
    call(DEVCLUSTER, "start", folder / "slurm", DEVCLUSTER_NODES="3", DEVCLUSTER_CPUS="8", DEVCLUSTER_MEM="16000")
    try:
        sweep = ROOT / "workflows" / "scale.yaml"
        pairs = [
            (submitted(sweep, folder / "slurm-run", "--workers", 2), local(sweep, folder / "local-run", "--workers", 2))
            for _ in range(REPEATS)
        ]
        through, here = [there for there, _ in pairs], [seconds for _, seconds in pairs]
        print(f"{sweep.stem}, 2.8 million points, 2 workers, seconds: median (range) of {REPEATS}")
        for number, what in enumerate(("`submit` returns", "first block finished", "all finished")):
            print(f"  {what}: {spread([seconds[number] for seconds in through])}")
        print(f"  local `run`: {spread(here)}; through Slurm / local {ratio(here, [s[2] for s in through])}")
        many = folder / "many.yaml"
        many.write_text(
            "name: many\nparameters: {topology: cascaded, N: 3, kappa: 0.003, epsilon: 0.01}\n"
            "sweep: {J: {geomspace: [1e-4, 1e-1, 440000]}}\noutputs: [energy_terminal]\n"
        )
        for workers in (2, 8):
            _, first, last = submitted(many, folder / "many", "--workers", workers, "--block-seconds", 1e-6)
            print(f"11,000 blocks of 40 points, {workers} workers: {(last - first) / 11:.2f} ms a block")
        seconds = local(many, folder / "many-local", "--workers", 2, "--block-seconds", 1e-6)
        print(f"the same on 2 local workers: {seconds / 11:.2f} ms a block, start-up included")
    finally:
        call(DEVCLUSTER, "stop", folder / "slurm")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
