"""Files and directories that are replaced as a whole or not at all: something complete is renamed into their place."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from qbsweep.store.disk import remove, replace_file, sync_folder, sync_tree

_SWAP_SECONDS = 2.0  # two renames; longer, and whoever replaced it was killed


def replace_text(path: Path, text: str) -> None:
    """Replace a file, or make it."""
    replace_file(path, text.encode(), safe=True)


def replace_tree(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a directory, and put it in the place of `path`, or of a link there, once it is complete."""
    recover_tree(path)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        write(scratch / "new")
        sync_tree(scratch / "new")
        put_in_place(scratch / "new", path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        recover_tree(path)


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


def recover_tree(path: Path) -> None:
    """Finish or undo a replacement that was interrupted."""
    if os.path.lexists(_previous(path)):
        if os.path.lexists(path):
            remove(_previous(path))
        else:
            _previous(path).rename(path)


def _previous(path: Path) -> Path:
    return path.with_name(f".{path.name}.previous")
