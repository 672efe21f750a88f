"""The process that local workers are forked from: it loads once what each of them would load anew.

It starts when somebody asks for workers, beside what the driver itself still has to load.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker

METHOD = "forkserver"
_MODULES = ["distributed.nanny", "qbsweep.runs.dask_preload", "qbsweep.runs.block", "qbsweep.solvers.moments"]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def start() -> None:
    """Start the template; single-threaded, for its libraries read the limits when they load."""
    multiprocessing.set_forkserver_preload(_MODULES)
    with _single_threaded(), _deaf_to_interrupts():
        forkserver.ensure_running()


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Leave Ctrl-C to the driver: the terminal sends it to all processes, and the driver stops the workers."""
    resource_tracker.ensure_running()  # the template would start it, and that lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
