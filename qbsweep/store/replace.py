"""Files and directories that are replaced as a whole or not at all: something complete is renamed into their place."""

import os
import time
from pathlib import Path

from qbsweep.store.disk import remove, replace_file, sync_folder

_SWAP_SECONDS = 2.0  # two renames; longer, and whoever replaced it was killed


def replace_text(path: Path, text: str) -> None:
    """Replace a file, or make it."""
    replace_file(path, text.encode(), safe=True)


def put_in_place(new: Path, path: Path) -> None:
    """Put a directory that is on the disk in the place of another; `recover_tree` repairs it if this is interrupted."""
    if os.path.lexists(path):
        path.rename(_previous(path))
    new.rename(path)
    sync_folder(path.parent)  # before the old one goes
    recover_tree(path)


def exists(path: Path) -> bool:
    """Whether a directory is there, also in the moment in which it is being replaced."""
    until = time.monotonic() + _SWAP_SECONDS
    while not (found := path.exists()) and _previous(path).exists() and time.monotonic() < until:
        time.sleep(0.01)
    return found or path.exists()


def standing(path: Path) -> Path | None:
    """Return where a directory is: at its path, or where a killed replacement has left it; None if nowhere."""
    if exists(path):
        return path
    return _previous(path) if _previous(path).exists() else None


def recover_tree(path: Path) -> None:
    """Finish or undo a replacement that was interrupted."""
    if os.path.lexists(_previous(path)):
        if os.path.lexists(path):
            sync_folder(path.parent)  # a killed one may not have come to it
            remove(_previous(path))
        else:
            _previous(path).rename(path)


def _previous(path: Path) -> Path:
    return path.with_name(f".{path.name}.previous")
