"""Entry point of the command line: what has to be in place before numpy and the rest are imported."""

import gc
import logging
import os
import signal
import sys
import warnings
from typing import Any

_AGAIN_SECONDS = 0.01


class Interrupted(BaseException):
    """SIGINT or SIGTERM; not KeyboardInterrupt, which typer would turn into its own exit code."""


def _interrupt(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # one is enough; the clean-up is not to be interrupted
    raise Interrupted


def _interrupt_again(lost: Any) -> None:
    """Interrupt once more if the signal came in a finalizer or a callback, whose exceptions Python drops."""
    if isinstance(lost.exc_value, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)  # not at once: that would be in here, and dropped as well
    else:
        sys.__unraisablehook__(lost)


def _silence() -> None:
    """Say nothing of what libraries were in the middle of."""
    logging.disable()
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda lost: None


def main() -> None:
    """Run a command, single-threaded as the workers are; an interrupt at any moment is one sentence."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.umask(os.umask(0o022) | 0o002)  # results are nobody else's to change, whatever the user's umask
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)
    sys.unraisablehook = _interrupt_again
    gc.set_threshold(100_000)  # what is imported stays: looking through it again and again takes a tenth of a command
    try:
        from qbsweep.cli.main import main as command

        command()
    except Interrupted:
        _silence()
        print("qbsweep: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
