"""What every Dask worker process of a run does when it starts."""

import multiprocessing
import signal


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C to the driver: the terminal sends it to all processes, and the driver stops the workers."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Locks of libraries are then nameless: a worker that is killed leaves no semaphore behind, and no warning of it.
    multiprocessing.set_start_method("fork", force=True)
