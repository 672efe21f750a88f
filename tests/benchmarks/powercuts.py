"""Cut the power of runs: `python -m tests.benchmarks.powercuts [COUNT [SEED]]`, with root for the last third.

Operations are killed before a random change to a file, which costs no power; then it is cut, once by replaying what an
operation did to files, with all that POSIX lets be missing, and once for real: on a file system in a file, which is
copied while a run goes on. The copy is what a disk holds after a power cut.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..crash.judging import SOLVED, failing, judge, load, points, run, solving
from ..crash.kills import kills
from ..crash.operations import OPERATIONS, Operation
from ..crash.replay import PLACE, cuts, told
from ..crash.sweeps import COUPLINGS, moments

SIZE = 48 << 20
LARGE = moments([*COUPLINGS, *(0.01 + 0.001 * i for i in range(40))], (2, 3))
LARGER = moments([5e-4, *COUPLINGS, *(0.01 + 0.001 * i for i in range(40))], (2, 3, 4))
_RUN = """
import sys, qbsweep as qb
from tests.crash.judging import solving
sweep, out, options = eval(sys.argv[1])
with solving(per_chunk=8):
    qb.run(sweep, out, executor="serial", progress=False, block_seconds=4e-4, **options)
"""


class Disk:
    """A file system of its own in a file; needs root."""

    def __init__(self, folder: Path) -> None:
        self.image, self.mount = folder / "image", folder / "mount"
        self.mount.mkdir()

    def make(self) -> None:
        self.image.write_bytes(b"")
        os.truncate(self.image, SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True, capture_output=True)

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        subprocess.run(["mount", "-o", "loop", self.image, self.mount], check=True, capture_output=True)
        try:
            yield self.mount
        finally:
            subprocess.run(["umount", self.mount], check=True, capture_output=True)


def is_possible() -> bool:
    """Whether file systems can be made and mounted here."""
    if os.geteuid() or not shutil.which("mkfs.ext4"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            disk = Disk(Path(folder))
            disk.make()
            with disk.mounted():
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def real_cut(chance: random.Random, kind: str, cuts_per_run: int = 4) -> list[list[str]]:
    """Run, extend or retry on a disk of its own, cut its power some times, and judge every copy."""
    goal = LARGER if kind == "extension" else LARGE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk = Disk(folder)
        disk.make()
        with disk.mounted() as mount, solving(per_chunk=8):
            out = mount / PLACE
            if kind == "extension":
                run(LARGE, out)
            if kind == "retry":
                with solving(failing, per_chunk=8):
                    run(LARGE, out)
            os.sync()
            promised = points(load(out), *SOLVED) if kind != "first run" else set()
            options = {"retry_failed": True} if kind == "retry" else {}
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _RUN, repr((goal, str(out), options))],
                stdout=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )
            copies = []
            while process.poll() is None and len(copies) < cuts_per_run:
                time.sleep(chance.uniform(0.05, 1.2))
                process.send_signal(signal.SIGSTOP)  # so that the copy is one of a moment
                copies.append((folder / f"copy-{len(copies)}", told(out)))
                subprocess.run(["cp", "--sparse=always", disk.image, copies[-1][0]], check=True)
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        return [_judged(copy, number, goal, promised, kind, chance) for copy, number in copies]


def _judged(
    copy: Path, number: int, goal: dict[str, Any], promised: set[Any], kind: str, chance: random.Random
) -> list[str]:
    disk = Disk(Path(tempfile.mkdtemp(dir=copy.parent)))
    disk.image = copy
    with disk.mounted() as mount, solving(per_chunk=8):
        problems = []
        if number and len(points(load(mount / PLACE), *SOLVED)) < number:
            problems.append(f"not all of {number} points that were told to be finished are on the disk")

        def finish(sweep: dict[str, Any], out: Path) -> Any:
            return run(sweep, out, retry_failed=kind == "retry")

        return problems + judge(mount / PLACE, goal, promised, chance, finish)


def _replayed(operation: Operation, per_chunk: int, count: int, seed: int) -> list[list[str]]:
    return [one.problems for one in cuts(operation, per_chunk, count, seed)]


def _print(what: str, found: list[list[str]], seconds: float) -> None:
    bad = sum(map(bool, found))
    print(f"{what:50} {len(found):5} times, {bad:3} bad, {seconds:6.0f} s", flush=True)
    for problem, times in Counter(problem for problems in found for problem in problems).most_common(10):
        print(f"    {times} x {problem[:300]}", flush=True)


def main(count: int = 40, seed: int = 1) -> None:
    for operation in OPERATIONS:
        for per_chunk in (1, 4):
            started = time.perf_counter()
            found = _replayed(operation, per_chunk, count, seed)
            _print(f"{operation.name}, {per_chunk} blocks a chunk", found, time.perf_counter() - started)
            started = time.perf_counter()
            killed = [problems for _, problems in kills(operation, per_chunk, count, seed)]
            _print(f"{operation.name}, {per_chunk} blocks a chunk, killed", killed, time.perf_counter() - started)
    if not is_possible():
        print("no real power cuts: they need root and loop devices")
        return
    chance = random.Random(seed)
    for kind in ("first run", "extension", "retry"):
        started, real = time.perf_counter(), []
        while len(real) < count:
            real += real_cut(chance, kind)
        _print(f"{kind}, for real", real, time.perf_counter() - started)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
