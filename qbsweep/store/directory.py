"""The run directory: what its files are called, and what its small ones say.

The only module that spells these names. Light on purpose: what runs beside the workers of a job imports it.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qbsweep.errors import QbsweepError
from qbsweep.store.records import read_json, read_lines
from qbsweep.store.replace import put_in_place, recover_tree, replace_text

FORMAT = 3
"""Version of the run directory; a dataset of another version is refused."""
SWEEP_HEADER = "# The sweep as it was run. "
REFINED = "refined"
"""The group of a dataset with the samples that a refinement has added; they are of curves, not of the grid."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of a run directory, and the small files in it."""

    path: Path

    @property
    def data(self) -> Path:
        """The dataset."""
        return self.path / "data.zarr"

    @property
    def refined(self) -> Path:
        """The group of the dataset with more samples of its curves."""
        return self.data / REFINED

    @property
    def blocks(self) -> Path:
        """Finished blocks that are not in the dataset yet, a folder for every dataset."""
        return self.path / "blocks"

    @property
    def replacement(self) -> Path:
        """Where a dataset is prepared that will take the place of `data`."""
        return self.path / ".data.zarr.replacement"

    @property
    def sweep_file(self) -> Path:
        """The sweep as run, normalised."""
        return self.path / "sweep.yaml"

    @property
    def plan_file(self) -> Path:
        """Blocks and predictions."""
        return self.path / "plan.json"

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

    @property
    def lock_file(self) -> Path:
        """Names who runs this directory now."""
        return self.path / "lock"

    @property
    def slurm(self) -> Path:
        """Scripts, logs and messages of the jobs of a submitted run."""
        return self.path / "slurm"

    @property
    def analysis(self) -> Path:
        """Results of the analyses: `analysis_data`, and tables."""
        return self.path / "analysis"

    @property
    def analysis_data(self) -> Path:
        """One group per analysis."""
        return self.analysis / "analysis.zarr"

    @property
    def report(self) -> Path:
        """The page about this run."""
        return self.path / "report.html"

    @property
    def figures(self) -> Path:
        """Figures for print."""
        return self.path / "figures"

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

    def write_sweep(self, digest: str, text: str) -> None:
        """Record the sweep, unless it is recorded already."""
        if self.sweep() != (digest, text):
            replace_text(self.sweep_file, f"{SWEEP_HEADER}Digest {digest}.\n{text}")

    def sweep(self) -> tuple[str, str] | None:
        """Return the digest and the text of the recorded sweep, None if there is none."""
        try:
            header, _, text = self.sweep_file.read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            return None
        return header.removeprefix(f"{SWEEP_HEADER}Digest ").removesuffix("."), text

    def recover(self) -> None:
        """Finish or undo what a killed run was doing to the dataset as a whole."""
        recover_tree(self.data)
        shutil.rmtree(self.replacement, ignore_errors=True)

    def swap(self) -> None:
        """Put `replacement` in the place of `data`; `recover` repairs it if this is interrupted."""
        put_in_place(self.replacement, self.data)

    def check_own(self) -> None:
        """Refuse a directory with files that are named like those of a run but are somebody's own."""
        sweep, plan = self.sweep_file, self.plan_file
        if self.data.is_symlink() and not self.data.exists():
            raise QbsweepError(f"{self.data} is a link to nowhere; mend or remove it, or give another --out")
        for path, own in ((sweep, _starts_with(sweep, SWEEP_HEADER)), (plan, "digest" in (read_json(plan) or {}))):
            if path.exists() and not own:
                raise QbsweepError(f"{path} is not from a run and would be overwritten; give another --out")


def existing(path: Path) -> RunDirectory:
    """Return the run directory at a path; raises QbsweepError if there is none."""
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise QbsweepError(f"{path} is not a run directory: it {what}; `qbsweep run SWEEP` makes one")
    directory = RunDirectory(path)
    if not directory.data.exists():
        raise QbsweepError(
            f"{path} is not a run directory: it has no {directory.data.name}; `qbsweep run SWEEP` makes one"
        )
    return directory


def _starts_with(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8", errors="replace").startswith(text)
    except OSError:
        return False
