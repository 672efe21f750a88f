"""Loaded by every Dask worker process before it takes blocks."""

import signal

import qbsweep.blocks  # noqa: F401  what the first block would otherwise wait for


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C to the driver: the terminal sends it to all processes, and the driver stops the workers."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
