"""What a calling program, a notebook or a script, has of its own that a run must not meet."""

import contextlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def single_threaded() -> contextlib.AbstractContextManager[object]:
    """Limit linear algebra to one thread, as in workers: with more, the last bits of a result are others."""
    if all(os.environ.get(name) == "1" for name in _THREADS):  # set before numpy was loaded, as commands do
        return contextlib.nullcontext()
    from threadpoolctl import threadpool_limits

    limited: contextlib.AbstractContextManager[object] = threadpool_limits(limits=1)
    return limited


@contextlib.contextmanager
def main_hidden() -> Iterator[None]:
    """Hide the program that is running from processes that start: each would run it again, from its first line."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
