"""The command line, called in this process."""

import contextlib
import io
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from qbsweep.cli import main as cli

MAX_SENTENCE = 480  # the longest list all parameters, or all outputs


class Outcome(NamedTuple):
    """Exit code and output of a command."""

    code: int | str
    out: str
    err: str

    def sentence(self, *paths: Path) -> str:
        """The one sentence on stderr, checked for its form; paths are left out."""
        assert self.code == 2, f"exit code {self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.out + self.err
        assert self.err.startswith("qbsweep: ")
        assert self.err.count("\n") == 1, f"not one line: {self.err!r}"
        assert self.err.endswith("\n")
        sentence = self.err.removeprefix("qbsweep: ").removesuffix("\n")
        for path in paths:
            sentence = sentence.replace(f"{path}", path.name)
        assert len(sentence) < MAX_SENTENCE, f"{len(sentence)} characters: {sentence}"
        return sentence


def qbsweep(*arguments: object) -> Outcome:
    """Run a command."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    hook = sys.unraisablehook
    out, err = io.StringIO(), io.StringIO()
    argv, code = sys.argv, None
    try:
        sys.argv = ["qbsweep", *map(str, arguments)]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv, sys.unraisablehook = argv, hook
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Outcome(code or 0, out.getvalue(), err.getvalue())
