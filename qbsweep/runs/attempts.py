"""How often a block was tried in vain, by cause, and when that is enough."""

import contextlib
import time
from collections import Counter
from dataclasses import replace

from qbsweep.runs.block import Report
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.records import append_line

MAX_ATTEMPTS = 3
"""So often is a block tried, per cause, that dies or cannot be written; what raises in a solver is not tried again."""


class _Attempts:
    """Failed attempts at the pending blocks by cause, those of earlier runs included."""

    def __init__(self, directory: RunDirectory, store: Store, pending: list[int]) -> None:
        self._directory, self._store = directory, store
        self._by_cause: Counter[tuple[int, str]] = Counter()
        self._last: dict[int, Report] = {}
        blocks, dataset = set(pending), store.id
        for old in directory.attempts():
            if old["block"] in blocks and old.get("dataset") == dataset:
                self._count(Report(old["block"], 0, error=str(old.get("error")), cause=str(old["cause"])))

    def _count(self, report: Report) -> None:
        self._by_cause[report.block, report.cause] += 1
        self._last[report.block] = replace(report, attempt=self.at(report.block) + 1)

    def _is_spent(self, report: Report) -> bool:
        return self._by_cause[report.block, report.cause] >= attempts_allowed(report.cause)

    def at(self, block: int) -> int:
        """How often this block was tried in vain."""
        return self._last[block].attempt if block in self._last else 0

    def exhausted(self) -> list[Report]:
        """Last reports of the blocks that are not to be tried again."""
        return [report for report in self._last.values() if self._is_spent(report)]

    def may_try_again(self, report: Report) -> bool:
        """Count a failed attempt; returns whether another one is allowed."""
        self._count(report)
        record_attempt(self._directory, self._store, report)
        return not self._is_spent(report)


def attempts_allowed(cause: str) -> int:
    """Return how often a block is tried.

    One that had a whole walltime to itself gains nothing from another; one whose job vanished may well be innocent.
    """
    return {"walltime": 1, "vanished": 6}.get(cause, MAX_ATTEMPTS)


def record_attempt(directory: RunDirectory, store: Store, report: Report) -> None:
    """Remember a failed attempt beyond this driver's life; one for want of room is nobody's fault."""
    if report.cause != "full":
        record = {"block": report.block, "cause": report.cause, "error": report.error, "dataset": store.id}
        with best_effort():
            append_line(directory.attempts_file, {**record, "time": round(time.time(), 3)})


def best_effort() -> contextlib.AbstractContextManager[None]:
    """Ignore errors of a log: it is for people, and must not end a run that `status` records."""
    return contextlib.suppress(OSError)
