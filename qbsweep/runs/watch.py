"""What a person sees while a sweep runs: a live bar on a terminal or in a notebook, plain lines anywhere else."""

import contextlib
import html
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, track
from rich.text import Text

from qbsweep.arrays import FloatArray
from qbsweep.runs.block import Report
from qbsweep.runs.pace import seconds_left
from qbsweep.text import duration

_LINE_SECONDS = 5.0
_REDRAW_SECONDS = 0.2


class Watcher:
    """Say what a run does, count its blocks and show them.

    Parameters
    ----------
    console : Console
        Where; one that is quiet shows nothing.
    talks : bool
        Whether to tell the details as well: a command does, a notebook has better things to show.

    Attributes
    ----------
    unwritten : dict
        Number of blocks that were given up, by their error.
    """

    def __init__(self, console: Console, talks: bool = True) -> None:
        self._console, self._talks = console, talks
        self._total = self._done = self._points = self._failed = 0
        self._left = self._spent = 0.0
        self._workers = 1
        self.unwritten: dict[str, int] = {}
        self._started = self._shown = time.monotonic()
        self._view: _Lines | _Bar | _Cell | None = None

    def say(self, text: str) -> None:
        """Tell what a user should know."""
        self._console.print(Text(text))  # as it is: names, paths and errors may look like markup

    def detail(self, text: str) -> None:
        """Tell what a command tells."""
        if self._talks:
            self.say(text)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def seconds_left(self) -> float:
        """Seconds that the remaining blocks should take."""
        return seconds_left(self._left, self._spent, self.seconds, self._workers)

    @contextlib.contextmanager
    def showing(self, costs: FloatArray, pending: Sequence[int], workers: int = 1) -> Iterator[None]:
        """Show progress while the context lasts.

        Parameters
        ----------
        costs : ndarray
            Predicted seconds of every block on one core: blocks differ, so their number says little about the time
            left.
        pending : sequence of int
            Blocks that are to be solved now.
        workers : int
            How many of them are solved at once.
        """
        self._costs, self._total, self._done = costs, len(costs), len(costs) - len(pending)
        self._left = float(costs[pending].sum())
        self._workers = workers
        self._started = self._shown = time.monotonic()
        if self._console.quiet:
            yield
            return
        kind = _Cell if self._console.is_jupyter else _Bar if self._console.is_terminal else _Lines
        self._view = kind(self._console, self._total, self._done)
        with self._view.showing():
            yield
            self._view.end(self._done, self._text())

    def __call__(self, report: Report) -> None:
        """Count a finished block."""
        self._done += 1
        self._points += report.points
        self._failed += report.failed
        self._spent += self._costs[report.block]
        self._left -= self._costs[report.block]
        if report.error:
            self.unwritten[report.error] = self.unwritten.get(report.error, 0) + 1
        if self._view is not None and time.monotonic() - self._shown > self._view.seconds:
            self._shown = time.monotonic()
            self._view.update(self._done, self._text())

    def _text(self) -> str:
        parts = [f"{self._points / max(self.seconds, 1e-9):,.0f} points/s"]
        if self._done < self._total:
            parts.append(f"{duration(self.seconds_left)} left")
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        return ", ".join(parts)


def counted(items: Sequence[Any], what: str) -> Iterator[Any]:
    """Iterate with a bar: in a notebook, and on a terminal, where it goes to stderr and vanishes at the end."""
    console = Console(stderr=True)  # stdout is for results
    if console.is_jupyter:
        view = _Cell(console, len(items), 0, what)
        for done, item in enumerate(items, start=1):
            yield item
            view.update(done, "")
        return
    yield from track(items, what, console=console, transient=True, disable=not console.is_terminal)


class _Lines:
    """A line every few seconds: for log files."""

    seconds = _LINE_SECONDS

    def __init__(self, console: Console, total: int, done: int) -> None:
        self._console, self._total = console, total

    def showing(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def update(self, done: int, text: str) -> None:
        self._console.print(Text(f"{done}/{self._total} blocks, {text}"))

    end = update


class _Bar:
    """A live bar on a terminal."""

    seconds = 0.0  # rich draws when it is time

    def __init__(self, console: Console, total: int, done: int) -> None:
        told = TextColumn("{task.description}", markup=False)
        columns = (TextColumn("blocks"), BarColumn(), MofNCompleteColumn(), told)
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("", total=total, completed=done)

    def showing(self) -> contextlib.AbstractContextManager[Any]:
        return self._bar

    def update(self, done: int, text: str) -> None:
        self._bar.update(self._task, completed=done, description=text)

    end = update


class _Cell:
    """A bar in the output of a notebook's cell: one output that is replaced, and kept as it was last."""

    seconds = _REDRAW_SECONDS  # rich would need ipywidgets, and leaves nothing in a saved notebook

    def __init__(self, console: Console, total: int, done: int, what: str = "blocks") -> None:
        from IPython.display import display

        self._total, self._what = total, what
        self._handle = display(self._drawn(done, ""), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def _drawn(self, done: int, text: str) -> dict[str, str]:
        bar = f'<progress value="{done}" max="{self._total}" style="width: 20em; vertical-align: middle"></progress>'
        told = f"{done:,}/{self._total:,} {self._what}" + (f", {text}" if text else "")
        return {"text/plain": told, "text/html": f"<div>{bar} {html.escape(told)}</div>"}

    def showing(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def update(self, done: int, text: str) -> None:
        self._handle.update(self._drawn(done, text), raw=True)

    end = update
