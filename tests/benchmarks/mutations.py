"""Damage the files of run directories, one at a time: `python -m tests.benchmarks.mutations [STATE ...]`.

Half an hour a state on one core, because every command is tried on every damage. What must not be in the table is
WRONG, numbers or labels that pass for right, and TRACEBACK.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..crash.damage import STATES, Subject, Table, files, kind, subject
from ..crash.judging import solving


def halved(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def zeroed(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def made_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def swapped_with(other: Path) -> Callable[[Path], None]:
    """Put another file, from the undamaged directory, into the place."""

    def swap(file: Path) -> None:
        shutil.copy(other, file)

    return swap


def mutations(one: Subject) -> Iterator[tuple[str, Path, Callable[[Path], None]]]:
    """Return all mutations of all files: what is done, to which file, and how."""
    for file in files(one.out):
        for damage in (halved, emptied, zeroed, Path.unlink, made_a_folder):
            yield damage.__name__, file, damage
        others = [other for other in files(one.out) if kind(other) == kind(file) and other != file]
        content = (one.out / file).read_bytes()
        for other in [other for other in others if (one.out / other).read_bytes() != content][:2]:
            yield f"swapped with {other}", file, swapped_with(one.out / other)


def tables(state: str, every: int = 1, analyze: int = 10) -> tuple[Table, Table]:
    """Try every so many-th mutation of a state: by kind of file, and by what was done to it."""
    by_file, by_damage = Table(), Table()
    with tempfile.TemporaryDirectory() as folder:
        one = subject(state, Path(folder))
        with solving(per_chunk=2):
            for number, (name, file, damage) in enumerate(list(mutations(one))[::every]):
                found = one.damaged(damage, file, analyze=number % analyze == 0)
                by_file.add(kind(file), f"{file} {name}", found)
                by_damage.add(name.split()[0], f"{file} {name}", found)
    return by_file, by_damage


def main(*states: str) -> None:
    for state in states or STATES:
        by_file, by_damage = tables(state)
        print(f"\n{state}")
        for line in [*by_file.lines(), "", *by_damage.lines()]:
            print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
