"""A run directory on its way to another place, or into a pack and out of it: whole at one place at every moment."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qbsweep.errors import QbsweepError
from qbsweep.runs import opening
from qbsweep.runs.check import check_files
from qbsweep.runs.state import judged_progress_of
from qbsweep.store import packs
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory, existing
from qbsweep.store.disk import is_writable, remove, sync_folder
from qbsweep.store.lock import Lock, held, is_of_lock, lock_holder
from qbsweep.store.scratch import placed, put, scratch


def pack(path: Path, target: Path) -> None:
    """Write a run directory that nobody runs into one file."""
    if is_writable(path):
        with opening.locked(path) as directory:
            store, _ = opening.compacted(directory)
            _pack(directory, store, target)
    else:
        _pack_as_it_is(existing(path), target)


def _pack(directory: RunDirectory, store: Store, target: Path, is_held: bool = True) -> None:
    path = directory.path
    _require_sound(directory, path, f"`qbsweep check --repair {path}` mends it; then pack it")
    with placed(target) as new:
        packs.write(directory, new, _summary(store))
        if not is_held:
            again = new.with_name("again")
            _extract(new, again, path, "somebody has changed it meanwhile; pack it again")
            shutil.rmtree(again)


def _pack_as_it_is(directory: RunDirectory, target: Path) -> None:
    """Pack a run directory that only its owner can write to, and so lock; what was packed is read again."""
    if any(lock_holder(lock) for lock in directory.locks()):
        raise QbsweepError(f"{directory.path} is being run by its owner; wait until it has ended")
    store = Store(directory.data)
    store.require_current()
    if store.blocks.numbers():
        raise QbsweepError(
            f"{directory.path} has finished blocks that are not in its dataset yet, and cannot be written to; "
            "ask its owner to pack it"
        )
    _pack(directory, store, target, is_held=False)


def _summary(store: Store) -> dict[str, Any]:
    progress = judged_progress_of(store)
    return {
        "name": store.spec.name,
        "digest": store.digest,
        "dataset_id": store.id,
        "points": progress.points,
        "blocks": progress.blocks,
        "blocks_done": progress.blocks_done,
        "packed": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def unpack(pack: Path, target: Path) -> None:
    """Make a run directory of a pack; it is there whole, and on the disk, or not at all."""
    with placed(target) as new:
        _extract(pack, new, target, f"{pack} was packed so, and nothing was unpacked")


def _extract(pack: Path, new: Path, path: Path, what: str) -> None:
    new.mkdir()
    packs.extract(pack, new)
    (new / packs.SUMMARY).unlink(missing_ok=True)
    _require_sound(RunDirectory(new), path, what)


def _require_sound(directory: RunDirectory, path: Path, what: str) -> None:
    """Refuse what is not what was written; `path` is what the user calls it, who does not know where a copy is made."""
    try:
        damages = check_files(directory, mend=False).damages
    except QbsweepError as error:
        damages = [str(error)]
    for damage in damages:
        named = damage.replace(f"{directory.path}{os.sep}", "").replace(str(directory.path), str(path))
        raise QbsweepError(f"{named}; {what}")


@contextlib.contextmanager
def _held(path: Path, require: Callable[[Path], object]) -> Iterator[Lock]:
    """Hold all locks of a run directory that may be taken away, and give the one that lies in it."""
    with held(RunDirectory(path).locks()) as (own, *_):
        require(path)  # again: before, somebody may have been quicker
        yield own


def move(path: Path, target: Path, require: Callable[[Path], object]) -> None:
    """Move a run directory that nobody runs; `require` refuses one that must stay."""
    directory = RunDirectory(path)
    if directory.data.is_symlink() and not directory.data.readlink().is_absolute():
        raise QbsweepError(
            f"{directory.data} is a link that would lead elsewhere from {target}; make it absolute first"
        )
    with _held(path, require) as lock:
        try:
            lock.carry(RunDirectory(target).lock_file, lambda: path.rename(target))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        else:
            sync_folder(target.parent)
            sync_folder(path.parent)
            return
    _move_far(path, target, require)


def _move_far(path: Path, target: Path, require: Callable[[Path], object]) -> None:
    """Copy a run directory to another file system; the old one goes once the new one is on the disk, and is right."""
    with _held(path, require) as lock:
        directory = RunDirectory(path)
        directory.recover()
        with placed(target) as new:
            shutil.copytree(path, new, symlinks=True, ignore=_locks_of(directory))
            _require_sound(RunDirectory(new), path, f"{path} stays where it is")
        _put_away(path, lock)


def _locks_of(directory: RunDirectory) -> Callable[[str, list[str]], list[str]]:
    """Return what `copytree` is to leave out: the locks of a run, not what a user has named so."""
    locks = directory.locks()

    def ignored(where: str, names: list[str]) -> list[str]:
        return [name for name in names if any(is_of_lock(lock, Path(where, name)) for lock in locks)]

    return ignored


def delete(path: Path, require: Callable[[Path], object]) -> None:
    """Remove a run directory that nobody runs: out of the way first, so that no half of it looks like a run.

    `require` refuses one that must stay.
    """
    with _held(path, require) as lock:
        _put_away(path, lock)


def _put_away(path: Path, lock: Lock) -> None:
    with scratch(path) as folder:
        away = folder / path.name
        lock.carry(RunDirectory(away).lock_file, lambda: path.rename(away))
        sync_folder(path.parent)


def delete_pack(path: Path) -> None:
    """Remove a pack."""
    remove(path)
    sync_folder(path.parent)


def move_pack(path: Path, target: Path) -> None:
    """Move a pack."""
    try:
        put(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with placed(target) as new:
            shutil.copyfile(path, new)
        path.unlink()
    sync_folder(path.parent)
