"""What a person sees while a sweep runs: a live bar on a terminal, plain lines anywhere else."""

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from qbsweep.arrays import FloatArray
from qbsweep.runs.block import Report
from qbsweep.text import duration

_LINE_SECONDS = 5.0


class Watcher:
    """Count reports and show them.

    Parameters
    ----------
    console : Console
    costs : ndarray
        Modelled cost of every block, in any unit: blocks differ, so their number says little about the time left.
    pending : sequence of int
        Blocks that are to be solved now.

    Attributes
    ----------
    unwritten : dict
        Number of blocks that were given up, by their error.
    """

    def __init__(self, console: Console, costs: FloatArray, pending: Sequence[int]) -> None:
        self._console = console
        self._costs = costs
        self._left, self._spent = float(costs[pending].sum()), 0.0
        self._done = len(costs) - len(pending)
        self._points = self._failed = 0
        self.unwritten: dict[str, int] = {}
        self._started = self._shown = time.monotonic()
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (TextColumn("blocks"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=console)
            self._task = self._bar.add_task("", total=len(costs), completed=self._done)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @contextlib.contextmanager
    def showing(self) -> Iterator[None]:
        """Show progress while the context lasts."""
        with self._bar or contextlib.nullcontext():
            yield
        if self._bar is None:
            self._print_line()

    def __call__(self, report: Report) -> None:
        """Count a finished block."""
        self._done += 1
        self._points += report.points
        self._failed += report.failed
        self._spent += self._costs[report.block]
        self._left -= self._costs[report.block]
        if report.error:
            self.unwritten[report.error] = self.unwritten.get(report.error, 0) + 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, description=self._text())
        elif time.monotonic() - self._shown > _LINE_SECONDS:
            self._shown = time.monotonic()
            self._print_line()

    def _text(self) -> str:
        parts = [f"{self._points / max(self.seconds, 1e-9):,.0f} points/s"]
        if self._done < len(self._costs) and self._spent > 0:
            parts.append(f"{duration(self.seconds * max(self._left, 0.0) / self._spent)} left")
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        return ", ".join(parts)

    def _print_line(self) -> None:
        self._console.print(f"{self._done}/{len(self._costs)} blocks, {self._text()}", highlight=False)
