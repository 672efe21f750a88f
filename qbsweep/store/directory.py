"""The run directory: what its files are called, and what its small ones say.

The only module that spells these names. Light on purpose: what runs beside the workers of a job imports it.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c

from qbsweep.errors import QbsweepError, UnreadableError
from qbsweep.store.disk import refuse_link, remove, remove_partial_of, require_writable
from qbsweep.store.records import NUMBER, Kind, has_types, read_json, read_lines, sealed
from qbsweep.store.replace import put_in_place, recover_tree, replace_text, standing
from qbsweep.text import command

AnyPath = str | os.PathLike[str]

FORMAT = 3
"""Version of the run directory; a dataset of another version is refused."""
PACK = ".qbz"
"""Ends the name of a run in one file."""
SWEEP_HEADER = "# The sweep as it was run. "
_SWEEP = re.compile(r"(?s).*?Digest (\w+)\.(?: Checksum ([0-9a-f]{8})\.)?\n(.*)")
_PLAN_MARKS = (b'{\n "name": ', b'"digest": ', b'"block_shape": ')  # one flipped bit cannot hide them all
REFINED = "refined"
"""The group of a dataset with the samples that a refinement has added; they are of curves, not of the grid."""
_UNLOCKED_SECONDS = 600.0  # longer than anybody, with any clock, is at a page that is written without the lock

_OF_AN_EVENT: dict[str, Kind] = {"points": int, "time": NUMBER, "seconds": NUMBER, "host": str, "pid": int}
_OF_A_FAILURE: dict[str, Kind] = {"labels": dict, "points": int, "error": str}


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of a run directory, and the small files in it.

    Attributes
    ----------
    path : Path
    pack : Path or None
        The file that it was unpacked from, for this process only: results are written beside that.
    left : Path or None
        Where a run that was killed while it replaced the dataset has left it, for who only reads.
    """

    path: Path
    pack: Path | None = None
    left: Path | None = None

    @property
    def data(self) -> Path:
        """The dataset."""
        return self.left or self.path / "data.zarr"

    @property
    def refined(self) -> Path:
        """The group of the dataset with more samples of its curves."""
        return self.data / REFINED

    @property
    def blocks(self) -> Path:
        """Finished blocks that are not in the dataset yet, a folder for every dataset."""
        return self.path / "blocks"

    @property
    def home(self) -> Path:
        """Where the dataset is: `data`, unless that is a link, to a larger disk say."""
        return self.data.resolve() if self.data.is_symlink() else self.data

    @property
    def replacement(self) -> Path:
        """Where a dataset is prepared that will take the place of `home`: beside it, to be renamed."""
        return self.home.with_name(f".{self.home.name}.replacement")

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

    def locks(self) -> tuple[Path, ...]:
        """Return all locks of who runs this directory: two directories may be linked to one dataset."""
        if not self.data.is_symlink():
            return (self.lock_file,)
        home = self.home
        is_run = home.name == self.data.name
        return self.lock_file, RunDirectory(home.parent).lock_file if is_run else home.with_name(f".{home.name}.lock")

    @property
    def slurm(self) -> Path:
        """Scripts, logs and messages of the jobs of a submitted run."""
        return self.path / "slurm"

    @property
    def analysis(self) -> Path:
        """Results of the analyses: `analysis_data`, and tables."""
        return self._result("analysis")

    @property
    def analysis_data(self) -> Path:
        """One group per analysis."""
        return self.analysis / "analysis.zarr"

    @property
    def report(self) -> Path:
        """The page about this run."""
        return self._result("report.html")

    @property
    def figures(self) -> Path:
        """Figures for print."""
        return self._result("figures")

    def require_room_for(self, result: Path) -> None:
        """Refuse to write a result of the run where nothing can be written, before it is made."""
        pack = command("pack", self.path, "FILE.qbz")
        makes = "copy the pack elsewhere" if self.pack else f"`{pack}` makes a pack elsewhere"
        folder = result if result.is_dir() else result.parent
        require_writable(folder, f"{makes}, and results are written beside it")

    def _result(self, name: str) -> Path:
        return self.path / name if self.pack is None else self.pack.with_name(f"{self.pack.stem}.{name}")

    def attempts(self) -> list[dict[str, Any]]:
        """Return all attempts that came to nothing, oldest first."""
        return [line for line in read_lines(self.attempts_file) if has_types(line, {"block": int, "cause": str})]

    def events(self) -> list[dict[str, Any]]:
        """Return all events, oldest first; a line that is none (cut short by a crash, say) is skipped."""
        return [line for line in read_lines(self.events_file) if has_types(line, {"block": int}, _OF_AN_EVENT)]

    def failures(self) -> list[dict[str, Any]]:
        """Return all failures, oldest first; a line that is none is skipped."""
        return [line for line in read_lines(self.failures_file) if has_types(line, _OF_A_FAILURE)]

    def write_sweep(self, digest: str, text: str) -> None:
        """Record the sweep, unless it is recorded already."""
        header = f"{SWEEP_HEADER}Digest {digest}. Checksum {_checksum(text)}.\n"
        if _content(self.sweep_file) != (header + text).encode():
            replace_text(self.sweep_file, header + text)

    def sweep(self) -> tuple[str, str] | None:
        """Return the digest and the text of the recorded sweep, None if there is none, or not what was written."""
        text = (_content(self.sweep_file) or b"").decode(errors="replace")
        found = _SWEEP.fullmatch(text) if text.startswith(SWEEP_HEADER) else None
        if found is None or found[2] not in (None, _checksum(found[3])):
            return None
        return found[1], found[3]

    def write_plan(self, plan: dict[str, Any]) -> None:
        """Write down blocks and predictions."""
        replace_text(self.plan_file, sealed(plan, indent=1))

    def recover(self) -> None:
        """Finish or undo what a killed run was doing to the dataset as a whole, or to the samples of a refinement.

        What it has left of files that it was writing beside them goes. The caller holds the lock.
        """
        recover_tree(self.home)
        for leftover in (".replacement", ".replacement.new", ".new"):
            remove(self.home.with_name(f".{self.home.name}{leftover}"))
        recover_tree(self.refined)
        for file, seconds in ((self.sweep_file, 0.0), (self.plan_file, 0.0), (self.report, _UNLOCKED_SECONDS)):
            remove_partial_of(file, seconds)

    def swap(self) -> None:
        """Put `replacement` in the place of the dataset; `recover` repairs it if this is interrupted."""
        put_in_place(self.replacement, self.home)

    def check_own(self) -> None:
        """Refuse a directory with files that are named like those of a run but are somebody's own, or lead elsewhere.

        Beside a dataset, what is left of our own files after a power cut, or has a flipped bit, is to be rewritten.
        """
        if self.data.is_symlink():
            if not self.data.exists():
                raise QbsweepError(f"{self.data} is a link to nowhere; mend or remove it, or give another --out")
            if self.data.lstat().st_uid not in (os.geteuid(), 0):
                raise QbsweepError(f"{self.data} is a link that another user has made; give another --out")
        for path in (self.events_file, self.failures_file, self.attempts_file, self.blocks, self.slurm):
            refuse_link(path)
        is_run = self.data.exists()
        if self.blocks.is_file():
            raise QbsweepError(f"{self.blocks} is not from a run and in the way; move it away, or give another --out")
        for path, is_own in ((self.sweep_file, self._owns_sweep(is_run)), (self.plan_file, self._owns_plan(is_run))):
            if path.exists() and not is_own:
                raise QbsweepError(f"{path} is not from a run and would be overwritten; give another --out")

    def _owns_sweep(self, is_run: bool) -> bool:
        text = (_content(self.sweep_file) or b"").decode(errors="replace")
        found = _SWEEP.fullmatch(text)
        is_remnant = SWEEP_HEADER.startswith(text.rstrip("\0")) or (found and found[2] == _checksum(found[3]))
        return text.startswith(SWEEP_HEADER) or bool(is_run and is_remnant)

    def _owns_plan(self, is_run: bool) -> bool:
        content = _content(self.plan_file) or b""
        is_remnant = _PLAN_MARKS[0].startswith(content.rstrip(b"\0")) or any(mark in content for mark in _PLAN_MARKS)
        return "digest" in (read_json(self.plan_file) or {}) or (is_run and is_remnant)


def existing(path: Path) -> RunDirectory:
    """Return the run directory at a path, or that in a pack; raises QbsweepError if there is none."""
    if is_pack(path):
        from qbsweep.store.packs import opened

        return RunDirectory(opened(path), path)
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise QbsweepError(f"{path} is not a run directory: it {what}; `qbsweep run SWEEP` makes one")
    try:
        directory = run_at(path)
    except PermissionError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from None
    if directory is None:
        raise QbsweepError(
            f"{path} is not a run directory: it has no {RunDirectory(path).data.name}; `qbsweep run SWEEP` makes one"
        )
    return directory


def run_at(path: Path) -> RunDirectory | None:
    """Return a run directory, for who only reads; None if there is no dataset, nor one that a killed run has left."""
    home = RunDirectory(path).home
    data = standing(home)
    if data is None:
        return None
    return RunDirectory(path) if data == home else RunDirectory(path, left=data)


def is_pack(path: Path) -> bool:
    """Whether a path is a run in one file, or was."""
    return path.suffix == PACK and path.is_file()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _checksum(text: str) -> str:
    return f"{google_crc32c.value(text.encode()):08x}"
