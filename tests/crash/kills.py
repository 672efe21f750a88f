"""Kill a process in the middle of an operation, before a random one of its changes to files.

    python -m tests.crash.kills OPERATION BLOCKS_PER_CHUNK

reads lines of a number and a directory, acts there in a process of its own that is killed before so many changes, and
answers how many it made. It forks itself, so that not every one of those processes has to import everything.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarr  # noqa: F401 - for all that are forked

import qbsweep.store.allocate
import qbsweep.store.reading  # noqa: F401

from .judging import SOLVED, judge, load, points, solving
from .operations import OPERATIONS, PLACE, Operation

_ROOT = Path(__file__).parents[2]


def _act(operation: Operation, out: Path, per_chunk: int, left: int, answer: int) -> None:
    changes = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_CREAT | os.O_WRONLY)
        if writes or event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            changes += 1
            if changes == left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    with solving(per_chunk=per_chunk, seconds=operation.seconds):
        operation.act(out)
    os.write(answer, b"%d\n" % changes)


def _serve(name: str, per_chunk: int) -> None:
    operation = next(one for one in OPERATIONS if one.name == name)
    for line in sys.stdin:
        left, _, out = line.strip().partition(" ")
        if not (child := os.fork()):
            try:
                _act(operation, Path(out), per_chunk, int(left), 1)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            os.write(1, b"0\n")


def kills(operation: Operation, per_chunk: int, count: int, seed: int) -> Iterator[tuple[int, list[str]]]:
    """Judge what so many kills leave: before which change, and what is wrong."""
    chance = random.Random(f"{operation.name} {per_chunk} {seed}")
    command = [sys.executable, "-W", "ignore", "-m", "tests.crash.kills", operation.name, str(per_chunk)]
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
        solving(per_chunk=per_chunk),
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        folder = Path(name)
        before = folder / "before"
        operation.before(before / PLACE)
        promised = set() if operation.is_damaged or not before.exists() else _solved(before / PLACE)
        total = 0
        for number in range(count + 1):
            out = folder / f"{number}" / PLACE
            if before.exists():
                shutil.copytree(before, folder / f"{number}")
            left = chance.randrange(1, total + 1) if total else 0  # the first is not killed, to count
            print(left, out, file=server.stdin, flush=True)
            made = int(server.stdout.readline())
            assert made or total
            total = total or made
            yield left, judge(out, operation.goal, promised, chance, operation.finish, operation.is_damaged)
            shutil.rmtree(folder / f"{number}")
        server.stdin.close()


def _solved(out: Path) -> set[Any]:
    return points(load(out), *SOLVED)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
