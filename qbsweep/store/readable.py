"""What is said of a dataset that cannot be read."""

import contextlib
import errno
import traceback
from collections.abc import Iterator
from pathlib import Path

from qbsweep.errors import QbsweepError, UnreadableError
from qbsweep.store.seals import DamagedError, Seals
from qbsweep.text import command

_UNREACHABLE = (errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN)
_READERS = ("qbsweep.store.", "zarr.", "numcodecs.", "xarray.backends.", "xarray.coding.", "xarray.conventions")
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say of anything that cannot be read what is wrong with it, and what mends that."""
    try:
        yield
    except (MemoryError, ImportError, QbsweepError):  # not of the dataset
        raise
    except DamagedError as error:
        raise UnreadableError(
            f"{path} is damaged: {error}; {_repair(path)} mends it; what it cannot "
            "write again is pending then, and `run` solves it"
        ) from error
    except OSError as error:
        if error.errno in _UNREACHABLE:  # the file system is to blame, not the dataset
            raise
        if error.errno in _NOT_ALLOWED:
            raise UnreadableError(f"{error.filename or path} cannot be read: {error.strerror}") from error
        raise UnreadableError(_damaged(path, error)) from error
    except Exception as error:
        raise UnreadableError(_damaged(path, error)) from error


@contextlib.contextmanager
def used(path: Path) -> Iterator[None]:
    """As `readable`, while values are read as they are needed: what goes wrong elsewhere is not the dataset's fault."""
    try:
        yield
    except Exception as error:
        if _is_of_reading(error):
            with readable(path):
                raise
        raise


def _is_of_reading(error: Exception) -> bool:
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_name != used.__name__)
    return any(str(frame.f_globals.get("__name__")).startswith(_READERS) for frame in frames)


def _damaged(path: Path, error: Exception) -> str:
    if Seals(path).folder.is_dir():  # ours, for sure: nobody is to move away what may have nothing but a flipped bit
        return f"{path} is damaged ({_one_line(error)}); {_repair(path)} says which files, and mends them"
    return f"{path} is damaged or not a qbsweep dataset ({_one_line(error)}); move it away, or give another directory"


def _repair(path: Path) -> str:
    return f"`{command('check', '--repair', path.parent)}`"


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
