"""The run directory: its files, its lock, its log of events and failures."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qbsweep.errors import QbsweepError
from qbsweep.store.lock import lock_holder
from qbsweep.store.records import read_json, read_lines
from qbsweep.store.replace import put_in_place, recover_tree

SWEEP_HEADER = "# The sweep as it was run. "


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of a run directory, and the small files in it."""

    path: Path

    @property
    def data(self) -> Path:
        """The dataset."""
        return self.path / "data.zarr"

    @property
    def events_file(self) -> Path:
        """One line per finished block."""
        return self.path / "events.jsonl"

    @property
    def failures_file(self) -> Path:
        """One line per failed point, or per group of points that failed together."""
        return self.path / "failures.jsonl"

    @property
    def attempts_file(self) -> Path:
        """One line per attempt at a block that came to nothing."""
        return self.path / "attempts.jsonl"

    def attempts(self) -> list[dict[str, Any]]:
        """Return all attempts that came to nothing, oldest first."""
        lines = read_lines(self.attempts_file)
        return [line for line in lines if isinstance(line.get("block"), int) and isinstance(line.get("cause"), str)]

    def events(self) -> list[dict[str, Any]]:
        """Return all events, oldest first; a line that is none (cut short by a crash, say) is skipped."""
        return [record for record in read_lines(self.events_file) if "block" in record]

    def failures(self) -> list[dict[str, Any]]:
        """Return all failures, oldest first; a line that is none is skipped."""
        return [record for record in read_lines(self.failures_file) if {"labels", "points", "error"} <= set(record)]

    def write_text(self, name: str, text: str) -> None:
        """Replace a file atomically."""
        scratch = self.path / f".{name}.new"
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(self.path / name)

    @property
    def lock_file(self) -> Path:
        """Names who runs this directory now."""
        return self.path / "lock"

    def lock_holder(self) -> dict[str, Any] | None:
        """Return who runs this directory now, or None; a lock whose owner is dead does not count."""
        return lock_holder(self.lock_file)

    @property
    def replacement(self) -> Path:
        """Where a dataset is prepared that will take the place of `data`."""
        return self.path / ".data.zarr.replacement"

    def recover(self) -> None:
        """Finish or undo what a killed run was doing to the dataset as a whole."""
        recover_tree(self.data)
        shutil.rmtree(self.replacement, ignore_errors=True)

    def swap(self) -> None:
        """Put `replacement` in the place of `data`; `recover` repairs it if this is interrupted."""
        put_in_place(self.replacement, self.data)

    def check_own(self) -> None:
        """Refuse a directory with files that are named like those of a run but are somebody's own."""
        sweep, plan = self.path / "sweep.yaml", self.path / "plan.json"
        if self.data.is_symlink() and not self.data.exists():
            raise QbsweepError(f"{self.data} is a link to nowhere; mend or remove it, or give another --out")
        for path, own in ((sweep, _starts_with(sweep, SWEEP_HEADER)), (plan, "digest" in (read_json(plan) or {}))):
            if path.exists() and not own:
                raise QbsweepError(f"{path} is not from a run and would be overwritten; give another --out")


def _starts_with(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8", errors="replace").startswith(text)
    except OSError:
        return False
