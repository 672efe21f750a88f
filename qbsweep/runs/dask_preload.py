"""What every Dask worker process of a run does when it starts."""

import multiprocessing


def dask_setup(worker: object) -> None:
    """Make the locks of libraries nameless: a worker that is killed leaves no semaphore behind, nor a warning of it."""
    del worker
    multiprocessing.set_start_method("fork", force=True)
