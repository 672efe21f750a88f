"""The log of finished blocks: for people, so nothing depends on what it lacks."""

import contextlib
from collections.abc import Iterable

from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.records import append_lines


def reported(directory: RunDirectory, store: Store) -> set[int]:
    """Return the blocks of a dataset that the log has as finished."""
    return {event["block"] for event in directory.events() if event.get("dataset") == store.id}


def note_unreported(directory: RunDirectory, store: Store, pending: Iterable[int]) -> None:
    """Give every finished block its event, also those whose driver died between the two; the caller holds the lock."""
    unreported = sorted(set(range(store.grid.n_blocks)) - set(pending) - reported(directory, store))
    with contextlib.suppress(OSError):  # a log must not end what `status` records
        append_lines(
            directory.events_file,
            ({"block": block, "recovered": True, "dataset": store.id} for block in unreported),
        )
