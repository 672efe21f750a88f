"""Cut the power at moments of an operation, and judge what may be on the disk."""

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from .disk import Cut
from .judging import SOLVED, Point, judge, load, points, solving
from .operations import PLACE, Operation
from .recording import Recording, recorded


def record(operation: Operation, per_chunk: int) -> Recording:
    """Record an operation that nothing interrupts."""
    with tempfile.TemporaryDirectory() as folder, solving(per_chunk=per_chunk):
        root = Path(folder)
        operation.before(root / PLACE)
        # By another process than this one, as far as its lock can tell.
        with (
            solving(per_chunk=per_chunk, seconds=operation.seconds),
            mock.patch("psutil.Process.create_time", return_value=1.0),
            recorded(root) as recording,
        ):
            operation.act(root / PLACE)
    return recording


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was wrong after a power cut, after so many operations on files."""

    at: int
    problems: list[str]
    directory: Path


def cuts(operation: Operation, per_chunk: int, count: int, seed: int, keep: bool = False) -> Iterator[Verdict]:
    """Judge so many power cuts at random moments, the last moment among them."""
    recording = record(operation, per_chunk)
    chance = random.Random(f"{operation.name} {per_chunk} {seed}")
    moments = [len(recording.log), *(chance.randrange(len(recording.log) + 1) for _ in range(count - 1))]
    for length in moments:
        folder = Path(tempfile.mkdtemp(prefix="powercut-"))
        problems = _judged(operation, Cut(recording, length), folder, per_chunk, chance)
        yield Verdict(length, problems, folder)
        if not (keep and problems):
            shutil.rmtree(folder)


def _judged(operation: Operation, cut: Cut, folder: Path, per_chunk: int, chance: random.Random) -> list[str]:
    with solving(per_chunk=per_chunk):
        cut.least(folder / "least")
        cut.all(folder / "all")
        promised = _solved(folder / "least" / PLACE)
        problems = []
        there = _solved(folder / "all" / PLACE)
        is_damaged_still = operation.is_damaged and not promised  # its repair was not on the disk yet
        number = 0 if operation.may_lose or is_damaged_still else min(told(folder / "all" / PLACE), len(there))
        if number > len(promised):
            problems.append(f"{number} points are told to be finished, of which {len(promised)} are on the disk")
        if cut.length == len(cut.recording.log) and promised != there:
            problems.append("what the whole operation has done is not on the disk")
        cut.some(folder / "cut", chance)
        shutil.copytree(folder / "cut", folder / "judged")
        return problems + judge(
            folder / "judged" / PLACE,
            operation.goal,
            promised,
            chance,
            operation.finish,
            operation.is_damaged,
            operation.is_fast,
        )


def _solved(out: Path) -> set[Point]:
    try:
        return points(load(out), *SOLVED)
    except Exception:
        return set()


def told(out: Path) -> int:
    """Return how many points the events tell to be solved."""
    events = out / "events.jsonl"
    found = Counter[str]()
    for line in events.read_text().splitlines() if events.exists() else ():
        event = json.loads(line)
        found[event.get("dataset")] += event.get("ok", 0)
    return max(found.values(), default=0)
