"""What a driver does to a dataset before it goes on."""

from typing import TYPE_CHECKING

from qbsweep.solvers.status import FAILED, PENDING
from qbsweep.store.dataset import Store
from qbsweep.store.directory import REFINED
from qbsweep.store.disk import remove_partial
from qbsweep.store.scratch import clear

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def reset_failed(store: Store) -> int:
    """Make failed points pending again; returns how many."""
    counts = []

    def change(status: "NDArray[np.int8]") -> None:
        failed = status == FAILED
        counts.append(int(failed.sum()))
        status[failed] = PENDING

    for chunk in sorted({store.grid.chunk_of(number) for number in store.blocks_with(FAILED)}):
        store.change_status(chunk, change)
    return sum(counts)


def drop_torn(store: Store) -> int:
    """Make the points of chunks pending whose files a power cut has left empty or missing; returns how many blocks.

    Only sizes are looked at: what is of full length and wrong is found by whoever reads it. But what a run wrote
    without waiting for the disk is read, and brought there if it is whole.
    """
    torn = []
    for chunk in range(store.grid.chunks.number):
        if store.chunks.is_torn(chunk):
            store.chunks.clear(chunk)
            torn.append(chunk)
        else:
            store.chunks.confirm(chunk)
    return len({block for chunk in torn for block in store.grid.blocks_of(chunk)} - store.blocks.numbers())


def remove_leftovers(store: Store) -> None:
    """Remove the temporary files of writers that were killed, and the blocks of datasets that are gone."""
    for folder in (store.path, store.blocks.folder):
        remove_partial(folder)
    for target in (store.path.resolve(), store.path / REFINED):
        clear(target)
    store.blocks.remove_others()
