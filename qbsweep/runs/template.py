"""The process that local workers are forked from: it loads once what each of them would load anew.

It starts when somebody asks for workers, beside what the driver itself still has to load.
"""

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing import forkserver

METHOD = "forkserver"
_MODULES = ["distributed.nanny", "qbsweep.runs.dask_preload", "qbsweep.runs.block", "qbsweep.solvers.moments"]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def start() -> None:
    """Start the template; single-threaded, for its libraries read the limits when they load."""
    multiprocessing.set_forkserver_preload(_MODULES)
    with _single_threaded():
        forkserver.ensure_running()


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
