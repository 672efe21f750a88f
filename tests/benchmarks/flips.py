"""Flip single bits of run directories: `python -m tests.benchmarks.flips [COUNT [SEED]]`, two seconds a flip.

Whatever reads a directory with a flipped bit must find the right numbers, fewer of them, or say what is wrong.
"""

import random
import sys
import tempfile
from pathlib import Path

from ..crash.damage import STATES, Table, files, kind, subject
from ..crash.judging import solving


def flip(file: Path, place: int) -> None:
    """Flip one bit."""
    content = bytearray(file.read_bytes())
    content[place // 8] ^= 1 << place % 8
    file.write_bytes(content)


def table(state: str, count: int, seed: int) -> Table:
    """Flip so many bits, each in a copy of its own."""
    chance, found = random.Random(f"{state} {seed}"), Table()
    with tempfile.TemporaryDirectory() as folder:
        one = subject(state, Path(folder))
        candidates = [file for file in files(one.out) if (one.out / file).stat().st_size]
        with solving(per_chunk=2):
            for number in range(count):
                file = chance.choice(candidates)
                place = chance.randrange(8 * (one.out / file).stat().st_size)
                words = one.damaged(lambda path, place=place: flip(path, place), file, analyze=number % 20 == 0)
                found.add(kind(file), f"{file} bit {place}", words)
    return found


def main(count: int = 600, seed: int = 1) -> None:
    for state in STATES:
        print(f"\n{state}, {count} flips")
        for line in table(state, count, seed).lines():
            print(line, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
