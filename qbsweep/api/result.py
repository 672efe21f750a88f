"""A run: a directory with a dataset, and what can be asked of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qbsweep.errors import QbsweepError
from qbsweep.runs.state import progress_in, state, state_rows
from qbsweep.store.directory import AnyPath, existing
from qbsweep.text import Table, Tabulated

if TYPE_CHECKING:
    import xarray as xr

    from qbsweep.api.results import Results
    from qbsweep.runs.check import Findings
    from qbsweep.sweeps.spec import SweepSpec


class Status(Tabulated, dict[str, Any]):
    """The state of a run as plain data, what ``qbsweep status --json`` prints; shows as a table."""

    def rows(self) -> dict[str, str]:
        """Return the two columns."""
        return state_rows(self)


class Run(Tabulated):
    """A run directory, or a pack of one: its dataset, and what can be asked of it.

    `qbsweep.run`, `qbsweep.submit` and `qbsweep.open` return one. It holds nothing in memory: every call looks at the
    files as they are then.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        existing(path)
        self.path = path

    @property
    def data(self) -> Path:
        """Where the dataset is, in Zarr."""
        return existing(self.path).data

    @property
    def spec(self) -> "SweepSpec":
        """The sweep, as recorded in the dataset."""
        from qbsweep.runs.opening import open_run

        return open_run(self.path)[1].spec

    @property
    def dataset(self) -> "xr.Dataset":
        """The dataset, as it is on disk now; values are read when they are used.

        Dimensions are the axes of the sweep, and `mode` and `time` where asked for; every variable has `units` and
        `long_name`. ``dataset.qb`` has the analyses and `plot`.
        """
        from qbsweep.store.readable import readable
        from qbsweep.store.reading import open_dataset

        path = existing(self.path).data
        with readable(path):
            return open_dataset(path)

    @property
    def complete(self) -> bool:
        """Whether no point is pending; points may have failed, see `status`."""
        return progress_in(existing(self.path)).complete

    def status(self) -> Status:
        """Return how far the run is.

        Returns
        -------
        dict
            `state` ('running', 'queued', 'complete' or 'interrupted'), counts of points and blocks, rate, time left,
            who runs it, its Slurm jobs.
        """
        directory = existing(self.path)
        if not directory.slurm.exists():
            return Status(state(directory))
        from qbsweep.slurm.submitted import queue_state

        return Status(state(directory, queue_state(self.path)))

    def check(self, repair: bool = False, recompute: int = 0) -> "Findings":
        """Read every file of the dataset, and say which are not what was written.

        Parameters
        ----------
        repair : bool
            Write metadata and labels again, and make the points of other damaged files pending: `run` solves them.
            Damaged samples of `refine` are put aside, in ``data.zarr/refined.damaged``; damaged analyses are removed.
        recompute : int
            Solve so many random points that are ok or suspect again, and compare.

        Returns
        -------
        Findings
            `damages`, the points whose numbers `differ`, and an `exit_code`.
        """
        from qbsweep.api.keep import check

        return check(self.path, repair, recompute)

    def compact(self) -> int:
        """Bring the finished blocks of a run that was killed into its dataset; returns how many there were."""
        from qbsweep.api.keep import compact

        return compact(self.path)

    def upgrade(self) -> bool:
        """Bring the dataset to the current format; returns whether it was of an earlier one."""
        from qbsweep.api.keep import upgrade

        return upgrade(self.path)

    def pack(self, file: AnyPath | None = None) -> Path:
        """Write the run into one file, which `qbsweep.open` opens like the directory and `qbsweep.unpack` unpacks.

        Parameters
        ----------
        file : str or path, optional
            Default ``DIR.qbz``, beside the directory.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        QbsweepError
            If somebody runs it now, if a file of it is damaged, or if there is such a file.
        """
        from qbsweep.api.move import pack

        return pack(self.path, file)

    def export(self, file: AnyPath, kind: str | None = None, everything: bool = False) -> Path:
        """Write the dataset for other programs.

        CSV and Parquet are tidy tables: a row for every point, or for every mode and time of it, with units in the
        names of the columns. netCDF has all that the dataset has.

        Parameters
        ----------
        file : str or path
            A file that is there is replaced.
        kind : str, optional
            'csv', 'parquet' or 'netcdf'; default by the end of the file's name, `.nc` for netCDF.
        everything : bool
            Whether a table has columns for the fixed parameters too.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        QbsweepError
            If the package that writes such files is not installed.
        """
        from qbsweep.api.move import export

        return export(self.path, file, kind, everything)

    def mv(self, target: AnyPath) -> "Run":
        """Move the run, to another file system too, and return it at its new place.

        Raises
        ------
        QbsweepError
            If somebody runs it now or its jobs wait, or if something is at the new place.
        """
        from qbsweep.api.move import mv

        return Run(mv(self.path, target))

    def rm(self) -> None:
        """Remove the run with all its results.

        Raises
        ------
        QbsweepError
            If somebody runs it now, or its jobs wait.
        """
        from qbsweep.api.move import rm

        rm(self.path)

    def best(self) -> Table | None:
        """Return, for every network, the point of the largest terminal energy; None if there is none yet."""
        from qbsweep.runs.best import best_points
        from qbsweep.runs.opening import open_run

        return best_points(open_run(self.path)[1])

    def failures(self) -> list[dict[str, Any]]:
        """Return which points failed and why, oldest first: `labels`, `points`, `error`, `traceback`, ..."""
        return existing(self.path).failures()

    def logs(self, lines: int = 10) -> dict[Path, str]:
        """Return the end of the logs of the run's Slurm jobs, the driver's first; of a pack, of those that are in it.

        Raises
        ------
        QbsweepError
            If there are none.
        """
        from qbsweep.slurm.submitted import ends_of_logs

        found = ends_of_logs(existing(self.path).path, lines)
        if not found:
            raise QbsweepError(f"{self.path} has no logs of jobs: it was not submitted, or none of its jobs has begun")
        return {self.path / file: text for file, text in found.items()}

    def cancel(self) -> list[str]:
        """Cancel the run's Slurm jobs and return their ids; what is finished stays, and `submit` goes on from there.

        Raises
        ------
        QbsweepError
            If the run was not submitted, or Slurm does not answer.
        """
        from qbsweep.slurm import submitted

        existing(self.path)
        return submitted.cancel(self.path)

    def analyze(self, window: tuple[int, int] | None = None, **options: Any) -> "Results":
        """Do every analysis that the dataset has the axes for; write them to ``DIR/analysis``.

        Parameters
        ----------
        window : (int, int), optional
            Smallest and largest N of the scaling exponents; default all.
        **options
            Other options of analyses, as `of` and `along`; each goes to those that have it.

        Returns
        -------
        Results
            Datasets by the name of the analysis; `left_out` says why others were not done.
        """
        from qbsweep.api.results import analyzed

        return analyzed(self.path, window=window, **options)

    def refine(
        self,
        tolerance: float = 1e-9,
        of: str = "energy_terminal",
        along: str | None = None,
        progress: bool = True,
    ) -> "xr.Dataset":
        """Sample around the maxima over J until the optimal couplings are known; `analyze` uses the samples.

        Parameters
        ----------
        tolerance : float
            Relative, of J_op.
        of : str
            The steady-state variable to maximise.
        along : str, optional
            The axis of the curves; default: J, else gamma_ratio.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        Dataset
            The optimal couplings; `J_op_error` tells what was reached.
        """
        from qbsweep.api.results import refined

        return refined(self.path, tolerance, of, along, progress)

    def report(self, out: AnyPath | None = None, png: bool = False) -> Path:
        """Write one HTML page with figures, tables and provenance, which opens without a network.

        Parameters
        ----------
        out : str or path, optional
            The page; default ``DIR/report.html``.
        png : bool
            Whether to write figures for print, 86 mm wide, to ``DIR/figures`` too.

        Returns
        -------
        Path
            The page.
        """
        from qbsweep.api.pages import report

        return report(self.path, out, png)

    def explore(self) -> Any:
        """Return a view to explore the dataset in a notebook: choose variable, axes and values (a Panel object)."""
        from qbsweep.api.pages import explore

        return explore(self.dataset)

    def serve(self, port: int = 0, browser: bool = True) -> None:
        """Serve the view of `explore` as a page for this machine only, until interrupted.

        Parameters
        ----------
        port : int
            0 takes a free one.
        browser : bool
            Whether to open the page; its address is printed in any case.
        """
        from qbsweep.api.pages import serve

        serve(self.path, port, browser)

    def rows(self) -> dict[str, str]:
        """Return the two columns of the table that a run shows as."""
        try:
            return {"run": str(self.path), **self.status().rows()}
        except (QbsweepError, OSError) as error:
            return {"run": str(self.path), "state": str(error)}
