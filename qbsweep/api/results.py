"""The analyses of a run: done, written beside its dataset, and shown."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path

import xarray as xr

from qbsweep.analysis import files, registry
from qbsweep.analysis.refine import open_refined
from qbsweep.analysis.rows import analysis_rows
from qbsweep.errors import QbsweepError
from qbsweep.runs.opening import open_run
from qbsweep.store.dataset import readable
from qbsweep.text import columns


class Results(dict[str, xr.Dataset]):
    """Datasets by the name of the analysis.

    Attributes
    ----------
    left_out : dict of QbsweepError
        Why an analysis was not done.
    folder : Path
        Where they are written: `analysis.zarr`, and a table as CSV for each.
    """

    def __init__(self, found: Mapping[str, xr.Dataset], left_out: Mapping[str, QbsweepError], folder: Path) -> None:
        super().__init__(found)
        self.left_out, self.folder = dict(left_out), folder

    def to_json(self) -> str:
        """Return the summaries as JSON, what ``qbsweep analyze --json`` prints; what is not known is null."""
        return files.as_json(self, self.left_out)

    def tables(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        """Yield title, header and cells of the summary of every analysis."""
        return map(analysis_rows, self.values())

    def __repr__(self) -> str:
        done = "\n\n".join(f"{title}\n{columns(header, rows)}".rstrip() for title, header, rows in self.tables())
        return "\n".join([done, *(f"not done: {error}" for error in self.left_out.values())])

    def _repr_html_(self) -> str:
        parts = [_html_table(*table) for table in self.tables()]
        return "".join([*parts, *(f"<p>not done: {html.escape(str(error))}</p>" for error in self.left_out.values())])


def analyzed(path: Path, window: tuple[int, int] | None) -> Results:
    """Analyse the dataset of a run directory, with the samples of a refinement if there are any; write and return."""
    directory, _ = open_run(path)
    refined = open_refined(path)
    with readable(directory.data), xr.open_zarr(directory.data, chunks=None) as ds:
        found, left_out = registry.analyze(ds, refined=refined, window=window)
    files.save(found, directory)
    return Results(found, left_out, directory.analysis)


def _html_table(title: str, header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<p>{html.escape(title)}</p>" + (f"<table><thead><tr>{head}</tr></thead>{body}</table>" if rows else "")
