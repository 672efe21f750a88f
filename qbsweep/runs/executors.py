"""The executors by the names that users give them: which processes solve the blocks of a run."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qbsweep.errors import QbsweepError
from qbsweep.runs import template

if TYPE_CHECKING:
    from qbsweep.runs.loop import Executor

START_SECONDS = 2.0
"""What starting local workers takes, measured: less computing than that is done sooner without them."""

_NAMES = ("auto", "local", "serial")


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check(name: str) -> None:
    """Refuse what neither names an executor nor looks like an address."""
    if name not in _NAMES and ":" not in name:
        raise QbsweepError(
            f"'{name}' is no executor; `--executor` must be 'auto', 'serial', 'local' or the address "
            "(tcp://host:port) of a Dask scheduler"
        )


def decided(name: str, seconds: float, workers: int | None = None) -> str:
    """Return what `auto` stands for; any other name stands for itself.

    Parameters
    ----------
    name : str
        'auto', 'local', 'serial', or the address of a Dask scheduler.
    seconds : float
        Predicted computing that is left, on one core.
    workers : int, optional
        Who asks for workers gets them.
    """
    if name != "auto":
        return name
    return "serial" if workers is None and seconds < START_SECONDS else "local"


def cores(name: str, seconds: float, workers: int | None = None) -> int:
    """Return the number of cores that an executor will use; see `decided`."""
    return 1 if decided(name, seconds, workers) == "serial" else workers or available_cores()


@contextlib.contextmanager
def opened(
    name: str, directory: Path, seconds: float, workers: int | None = None, tell: Callable[[str], object] = print
) -> "Iterator[Executor]":
    """Start an executor for a run directory, and tell in a sentence which; see `decided` for the parameters.

    Yields
    ------
    callable
        What `run_blocks` takes. All give the same dataset to the last bit.

    Raises
    ------
    QbsweepError
        If there is no such executor, no scheduler answers, or its workers do not see the directory.
    """
    check(name)
    if decided(name, seconds, workers) == "serial":
        from qbsweep.runs import loop

        why = "; starting workers would take longer" if name == "auto" else ""
        tell(f"solved in this process{why}")
        yield loop.serial
        return
    is_local = name in _NAMES
    if is_local:
        template.start()  # loads beside this process
    from qbsweep.runs import dask  # costs a second that this process alone need not pay

    make = dask.local_executor(workers or available_cores()) if is_local else dask.remote_executor(name)
    with make as execute:
        execute.require_files(directory)
        tell(f"{execute.n_workers} workers, dashboard {execute.dashboard}")
        yield execute
