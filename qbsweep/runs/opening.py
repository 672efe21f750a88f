"""Open or resume a run directory: lock it, allocate or extend its dataset."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from qbsweep.errors import QbsweepError
from qbsweep.runs.events import note_unreported
from qbsweep.runs.plan import make_grid
from qbsweep.runs.state import pending_blocks
from qbsweep.store import mending
from qbsweep.store.dataset import Store
from qbsweep.store.directory import FORMAT, RunDirectory, existing, is_pack
from qbsweep.store.disk import make_folder, surviving_a_full_disk
from qbsweep.store.extend import extended
from qbsweep.store.grid import BLOCK_SECONDS
from qbsweep.store.lock import held
from qbsweep.store.provenance import provenance
from qbsweep.sweeps.changes import check_extends
from qbsweep.sweeps.spec import SweepSpec, dump_spec
from qbsweep.text import command, counted


def open_run(path: Path) -> tuple[RunDirectory, Store]:
    """Open an existing run directory for reading.

    Raises
    ------
    QbsweepError
        If there is none, or its dataset is damaged.
    """
    directory = existing(path)
    return directory, Store(directory.data)


def prepare(spec: SweepSpec, directory: RunDirectory, block_seconds: float = BLOCK_SECONDS, safe: bool = True) -> Store:
    """Allocate the dataset of a new run, or open, and if need be extend, that of an old one.

    The caller holds the lock. If `safe`, what is written is on the disk before anything says that it is there.
    """
    from qbsweep.store.allocate import allocate

    directory.recover()
    directory.check_own()
    if not directory.data.exists():
        allocate(directory.data, spec, make_grid(spec, block_seconds), provenance())
        directory.write_sweep(spec.digest(), dump_spec(spec))
        return Store(directory.data, safe)
    store = Store(directory.data, safe)
    store.require_current()
    mending.remove_leftovers(store)
    if store.spec.digest() != spec.digest():
        check_extends(store.spec, spec, directory.path)
        store = _rewritten(store, spec, directory, block_seconds)
    directory.write_sweep(spec.digest(), dump_spec(spec))  # a killed run may have left an older one, or none
    return store


def upgrade(directory: RunDirectory) -> bool:
    """Bring the dataset of a run to the current format; returns whether it was of another.

    The caller holds the lock.
    """
    directory.recover()
    store = Store(directory.data)
    if store.version == FORMAT:
        return False
    new = _rewritten(store, store.spec, directory, BLOCK_SECONDS)
    directory.write_sweep(store.digest, dump_spec(store.spec))
    note_unreported(directory, new, pending_blocks(new))
    return True


def _rewritten(store: Store, spec: SweepSpec, directory: RunDirectory, block_seconds: float) -> Store:
    """Replace a dataset by one of another sweep or format that has all its results."""
    try:
        extended(store, spec, make_grid(spec, block_seconds), directory.replacement, provenance())
    except BaseException:
        directory.recover()  # no room for two datasets, say: do not leave half of one
        raise
    directory.swap()
    store = Store(directory.data, store.safe)
    mending.remove_leftovers(store)
    return store


@contextlib.contextmanager
def locked(path: Path) -> Iterator[RunDirectory]:
    """Create the run directory if there is none, and hold its lock."""
    if is_pack(path):
        raise QbsweepError(
            f"{path} is a pack, which does not change; `{command('unpack', path)}` makes a directory of it"
        )
    with contextlib.ExitStack() as stack:
        try:
            make_folder(path)
            stack.enter_context(held(RunDirectory(path).locks()))
        except (FileExistsError, NotADirectoryError):
            raise QbsweepError(f"{path} is or lies in a file, not a directory; take another place") from None
        except OSError as error:
            raise QbsweepError(
                f"{path} cannot be written: {error.strerror}; mend that, or take another directory"
            ) from None
        yield RunDirectory(path)


def compacted(directory: RunDirectory) -> tuple[Store, int]:
    """Open a dataset, bring in the finished blocks beside it, and count them; remove what killed ones have left.

    The caller holds the lock.
    """
    directory.recover()
    store = Store(directory.data)
    store.require_current()
    count = len(store.blocks.numbers())
    mending.drop_torn(store)
    store.fold_all()
    mending.remove_leftovers(store)
    note_unreported(directory, store, pending_blocks(store))
    return store, count


def settle(store: Store, tell: Callable[[str], object]) -> None:
    """Make pending what a power cut has torn, and say so; bring in what a killed run has left beside the dataset.

    The caller holds the lock.
    """
    if count := mending.drop_torn(store):
        verb = "was" if count == 1 else "were"
        tell(f"{counted(count, 'block')} {verb} torn, by a power cut or by somebody, to be solved again")
    with surviving_a_full_disk():  # blocks are read where they are
        store.fold_all()


def reset_failed(directory: RunDirectory, store: Store) -> int:
    """Make failed points pending again, with all their attempts; returns how many. The caller holds the lock."""
    directory.attempts_file.unlink(missing_ok=True)
    return mending.reset_failed(store)
