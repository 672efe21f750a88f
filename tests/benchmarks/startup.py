"""Whole commands of this build and of another one, in turns: `python tests/benchmarks/startup.py ENVIRONMENT`.

ENVIRONMENT is the virtual environment of the other build, or its `qbsweep` command. Ratios of processor time hardly
depend on what else the machine does; those of wall time want a quiet one.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
OURS = [sys.executable, "-m", "qbsweep"]
ONE_POINT = """
name: one
parameters: {topology: cascaded, N: 8, J: 0.01, kappa: 0.003, epsilon: 0.01}
sweep: {}
"""


class Cost(NamedTuple):
    """Seconds of a process and its children."""

    cpu: float
    wall: float


def cost(command: list[str], folder: Path) -> Cost:
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {done.returncode}\n{done.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(cpu, wall)


def told(ours: list[float], theirs: list[float]) -> str:
    """Medians, and the median of the ratios pair by pair with their range."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    medians = f"{statistics.median(ours):.2f} / {statistics.median(theirs):.2f} s"
    return f"{medians} = {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def compare(theirs: list[str], repeats: int, folder: Path) -> None:
    one = folder / "one.yaml"
    one.write_text(ONE_POINT)
    subprocess.run([*theirs, "run", str(one), "--out", str(folder / "looked-at")], check=True, capture_output=True)
    commands = {
        "--help": ["--help"],
        "status of a finished run": ["status", str(folder / "looked-at")],
        "run of one point": ["run", str(one)],
        "run of workflows/fig1.yaml": ["run", str(ROOT / "workflows" / "fig1.yaml")],
    }
    print(f"this build / the other, median of {repeats} pairs, and the ratio with its range")
    for name, arguments in commands.items():
        costs: list[tuple[Cost, Cost]] = []
        for number in range(repeats + 1):
            pair = []
            for build in (OURS, theirs):
                out = folder / f"{name.split()[-1].replace('/', '-')}-{number}-{len(pair)}"
                options = ["--out", str(out)] if arguments[0] == "run" else []
                pair.append(cost([*build, *arguments, *options], folder))
            costs.append((pair[0], pair[1]))
        del costs[0]  # fills the caches
        for kind in ("cpu", "wall"):
            ours, others = ([getattr(pair[side], kind) for pair in costs] for side in (0, 1))
            print(f"{name if kind == 'cpu' else '':28s} {kind:4s} {told(ours, others)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    other = given.other / "bin" / "qbsweep" if given.other.is_dir() else given.other
    with tempfile.TemporaryDirectory() as name:
        compare([str(other.absolute())], given.repeats, Path(name))
