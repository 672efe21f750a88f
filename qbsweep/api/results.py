"""The analyses of a run: done, written beside its dataset, and shown."""

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from qbsweep.analysis import files, registry
from qbsweep.analysis.inputs import MissingAxisError
from qbsweep.analysis.refine import open_refined, refine
from qbsweep.analysis.rows import analysis_rows
from qbsweep.errors import QbsweepError
from qbsweep.runs.caller import single_threaded
from qbsweep.runs.opening import open_run
from qbsweep.runs.state import progress_of
from qbsweep.runs.watch import counted
from qbsweep.solvers.status import PENDING
from qbsweep.store.readable import used
from qbsweep.store.reading import open_dataset
from qbsweep.text import Table


class Results(dict[str, xr.Dataset]):
    """Datasets by the name of the analysis; shows as tables of their summaries.

    Attributes
    ----------
    left_out : dict of QbsweepError
        Why an analysis was not done.
    path : Path
        Where they are written, one group each; tables of them as CSV lie beside it.
    notes : list of str
        What was left out, and what was added.
    """

    def __init__(
        self,
        found: Mapping[str, xr.Dataset],
        left_out: Mapping[str, QbsweepError],
        path: Path,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(found)
        self.left_out, self.path, self.notes = dict(left_out), path, list(notes)

    def to_json(self) -> str:
        """Return the summaries as JSON, what ``qbsweep analyze --json`` prints; what is not known is null."""
        return files.as_json(self, self.left_out)

    def tables(self) -> list[Table]:
        """Return the summary of every analysis."""
        return [Table(header, rows, title) for title, header, rows in map(analysis_rows, self.values())]

    def __repr__(self) -> str:
        return "\n\n".join([*map(str, self.tables()), "\n".join(self._lines())])

    def _repr_html_(self) -> str:
        lines = "<br>".join(map(html.escape, self._lines()))
        return "".join(table._repr_html_() for table in self.tables()) + f"<p>{lines}</p>"

    def _lines(self) -> list[str]:
        lacking = [e for e in self.left_out.values() if isinstance(e, MissingAxisError)]
        not_done = [f"not done: {error}" for error in self.left_out.values() if error not in lacking]
        if lacking:
            told = ", ".join(f"{error.analysis} ({error.need})" for error in lacking)
            not_done.append(f"not for the axes of this dataset: {told}")
        where = f'xarray.open_datatree("{self.path}"), tables as CSV beside it'
        return [*self.notes, *not_done, where]


def analyzed(path: Path, **options: Any) -> Results:
    """Analyse the dataset of a run directory, with the samples of a refinement if there are any; write and return."""
    directory, store = open_run(path)
    directory.require_room_for(directory.analysis)
    refined = open_refined(path)
    with used(directory.data), open_dataset(directory.data) as ds:
        found, left_out = registry.analyze(ds, refined=refined, **options)
    notes = _unused_points(progress_of(store).points)
    files.save(found, directory)
    if refined is not None:
        count = int((refined["status"] != PENDING).sum())
        users = ", ".join(name for name, one in registry.ANALYSES.items() if "refined" in one.options)
        notes.append(f"{users}: {count:,} samples more, of {directory.refined}")
    return Results(found, left_out, directory.analysis_data, notes)


def _unused_points(points: Mapping[str, int]) -> list[str]:
    parts = ", ".join(f"{points[name]:,} {name}" for name in ("pending", "failed", "suspect") if points[name])
    return [f"left out of everything: {parts} points"] if parts else []


def refined(path: Path, tolerance: float, of: str, along: str | None, progress: bool) -> xr.Dataset:
    """Sample around maxima; see `Run.refine`."""

    def tracked(curves: Iterable[Any]) -> Iterable[Any]:
        return counted(list(curves), "curves") if progress else curves

    with single_threaded():
        return refine(path, tolerance, of, along, tracked)
