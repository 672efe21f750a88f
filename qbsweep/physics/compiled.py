"""Functions that numba compiles, and where the compiled code is kept: once a machine is enough.

Beside the package, else in the user's cache directory; in a container or a shared installation neither may be
writable. Then it is kept in a directory for temporary files that is this user's alone, for it is executed unseen.
"""

import logging
import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

_log = logging.getLogger(__name__)


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return what makes compiled functions, as `numba.njit`, which are kept if there is a place for them."""

    def compiled(function: Callable[..., Any]) -> Any:
        for _ in range(2):
            try:
                return numba.njit(cache=True, **options)(function)
            except RuntimeError:  # numba has no place for them
                _give_place()
        return numba.njit(**options)(function)

    return compiled


@cache
def _give_place() -> None:
    """Let numba keep what it compiles in a directory of this user's, if there can be one."""
    place = Path(tempfile.gettempdir()) / f"qbsweep-{os.getuid()}"
    reason = "neither beside the package nor in the home directory can anything be written"
    try:
        is_new = not os.path.lexists(place)
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError
    except OSError:
        _log.warning("compiled code is not kept, and compiled again by every process: %s, nor in %s", reason, place)
        return
    numba.config.CACHE_DIR = str(place)  # type: ignore[attr-defined]
    if is_new:
        _log.warning("compiled code is kept in %s: %s", place, reason)
