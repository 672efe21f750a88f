"""Loaded by every Python process of a fault test: makes the moment solver slow, raise, or kill its worker.

FAULT is a JSON object: `sleep` seconds per solve; `kind` raise | kill | full | slow; `J` the poisoned coupling; the
fault is armed while the file `armed` exists. All but `raise` strike in worker processes only.
"""

import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np

if "FAULT" in os.environ:
    from qbsweep import moments
    from qbsweep.points import Solver

    _fault = json.loads(os.environ["FAULT"])
    _solver = moments.SOLVER

    def _solve(points, outputs):
        in_worker = multiprocessing.parent_process() is not None or "work" in sys.argv[1:2]
        if in_worker:
            time.sleep(_fault.get("sleep", 0.0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            with Path(_fault["solved"]).open("a") as log:  # what was really computed, whatever was reported
                log.write(f"{points.J.min()!r}\n")
        poisoned = Path(_fault.get("armed", "/nonexistent")).exists() and np.isclose(points.J, _fault["J"]).any()
        if poisoned and _fault["kind"] == "raise":
            raise ArithmeticError("the poisoned coupling")
        if poisoned and in_worker and _fault["kind"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if poisoned and in_worker and _fault["kind"] == "slow":
            time.sleep(_fault["seconds"])
        if poisoned and in_worker and _fault["kind"] == "full":
            # Files of this process may not grow beyond the limit: writing the chunk fails for real.
            resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
        return _solver.solve(points, outputs)

    moments.SOLVER = Solver(_solve, _solver.cost)
