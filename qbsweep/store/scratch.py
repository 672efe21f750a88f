"""Something large on its way into its place, or out of it: in a folder beside it that no run is ever looked for in.

Whoever works there holds the kernel's lock of the folder, so what a killed one has left is known, and goes next time.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qbsweep.store.disk import PARTIAL


@contextlib.contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Make an empty folder beside `target`, on the same file system; it goes with whatever is in it at the end."""
    clear(target)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=PARTIAL, dir=target.parent))
    try:
        with _held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear(target: Path) -> None:
    """Remove the folders beside `target` of those who were killed."""
    for folder in target.parent.iterdir():
        if folder.name.startswith(f".{target.name}.") and folder.name.endswith(PARTIAL) and not folder.is_symlink():
            with contextlib.suppress(OSError), _held(folder):  # in use, or already gone
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
