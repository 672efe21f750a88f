"""Exact values of random points, kept on disk: they take half an hour, and do not change."""

import hashlib
import json
from pathlib import Path

import numpy as np

from .judge import exact_values
from .points import Point


class Truths:
    """Exact values by the point that they are of; what is missing is computed and appended to the file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, list] = {}
        if file.exists():
            # The last line may have been cut short.
            lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
            self._known = dict(map(json.loads, lines))
            file.write_text("".join(lines))
        file.parent.mkdir(parents=True, exist_ok=True)

    def of(self, point: Point) -> np.ndarray:
        """Return what `exact_values` does."""
        key = hashlib.sha256(repr(point).encode()).hexdigest()[:16]
        if key not in self._known:
            self._known[key] = exact_values(point).tolist()
            with self.file.open("a") as file:
                file.write(json.dumps([key, self._known[key]]) + "\n")
        return np.array(self._known[key])
