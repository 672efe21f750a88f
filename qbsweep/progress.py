"""What a person sees while a sweep runs: a live bar on a terminal, plain lines anywhere else."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qbsweep.blocks import Report

_LINE_SECONDS = 5.0


class Watcher:
    """Count reports and show them.

    Attributes
    ----------
    unwritten : dict
        Number of blocks that were given up, by their error.
    """

    def __init__(self, console: Console, blocks: int, done: int) -> None:
        self._console = console
        self._blocks, self._done, self._before = blocks, done, done
        self._points = self._failed = 0
        self.unwritten: dict[str, int] = {}
        self._started = self._shown = time.monotonic()
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("blocks"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[failed]}"),
                console=console,
            )
            self._task = self._bar.add_task("", total=blocks, completed=done, rate="", failed="")

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
        if report.error:
            self.unwritten[report.error] = self.unwritten.get(report.error, 0) + 1
        if self._bar is not None:
            failed = f"[red]{self._failed} failed" if self._failed else ""
            self._bar.update(self._task, completed=self._done, rate=self._rate(), failed=failed)
        elif time.monotonic() - self._shown > _LINE_SECONDS:
            self._shown = time.monotonic()
            self._print_line()

    def _rate(self) -> str:
        return f"{self._points / max(self.seconds, 1e-9):,.0f} points/s"

    def _print_line(self) -> None:
        fresh, left = self._done - self._before, self._blocks - self._done
        eta = f", {duration(self.seconds / fresh * left)} left" if fresh and left else ""
        failed = f", {self._failed} failed" if self._failed else ""
        self._console.print(f"{self._done}/{self._blocks} blocks, {self._rate()}{eta}{failed}", highlight=False)


def duration(seconds: float) -> str:
    """Write seconds as a person would: 0.4 s, 12 s, 3 min, 5.2 h, 2.1 days."""
    if seconds < 0.05:
        return "under 0.1 s"
    for unit, size, limit in (("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172800.0)):
        if seconds < limit:
            value = seconds / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"
