"""Loaded by every Python process of a fault test: makes the moment solver slow, raise, or kill its worker.

FAULT is a JSON object: `sleep` seconds per solve; `kind` raise | kill | full | slow; `J` the poisoned coupling; the
fault is armed while the file `armed` exists; `hold` is a file with the number of blocks that workers may solve for now.
All but `raise` strike in worker processes only.

On a cluster, `stale` is a folder that the node named in the file `armed` cannot reach any more, and `seconds_of` maps
names of constants, `qbsweep.slurm.supervisor._QUEUED_PATIENCE`, to other values.
"""

import contextlib
import errno
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np


def _break_folder(folder, armed, node):
    """Let every look into a folder fail on this node, as in a mount that its server does not know any more."""
    inside = Path(folder).parts

    def check(path):
        if isinstance(path, (str, os.PathLike)) and Path(path).parts[: len(inside)] == inside:
            with contextlib.suppress(FileNotFoundError):
                if Path(armed).read_text() == node:
                    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    def hook(event, arguments):
        if event in ("open", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename"):
            check(arguments[0])

    def stat(path, *, _stat=os.stat, **options):  # the one that has no audit event
        check(path)
        return _stat(path, **options)

    sys.addaudithook(hook)
    os.stat = stat


def _set_constants(values):
    """Set them now, and before Slurm is asked: by then the modules that wait are there, one as `__main__`."""
    from qbsweep.slurm import commands as slurm

    def set_all():
        main = getattr(sys.modules["__main__"], "__spec__", None)
        for name, value in values.items():
            module, _, constant = name.rpartition(".")
            if found := sys.modules.get("__main__" if main and main.name == module else module):
                assert hasattr(found, constant)
                setattr(found, constant, value)

    def call(*argv, _call=slurm._call, **options):
        set_all()
        return _call(*argv, **options)

    slurm._call = call
    if "driver" in sys.orig_argv:  # which asks Slurm only after a while
        import qbsweep.slurm.pool  # noqa: F401
    set_all()


def _arm(fault):
    from qbsweep.solvers import moments

    solver = moments.SOLVER

    def wait_for_leave():
        """Wait while as many blocks are solved as the file `hold` allows; two workers may both take the last one."""
        solved, hold = Path(fault["solved"]), Path(fault["hold"])
        while solved.exists() and solved.read_bytes().count(b"\n") >= int(hold.read_text()):
            time.sleep(0.01)

    def solve(points, outputs):
        J = points.values["J"].values
        in_worker = multiprocessing.parent_process() is not None or "work" in sys.argv[1:2]
        if in_worker:
            time.sleep(fault.get("sleep", 0.0))
            if "hold" in fault:
                wait_for_leave()
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            with Path(fault["solved"]).open("a") as log:  # what was really computed, whatever was reported
                log.write(f"{float(J.min())!r}\n")
        poisoned = Path(fault.get("armed", "/nonexistent")).exists() and np.isclose(J, fault["J"]).any()
        if poisoned and fault["kind"] == "raise":
            raise ArithmeticError("the poisoned coupling")
        if poisoned and in_worker and fault["kind"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if poisoned and in_worker and fault["kind"] == "slow":
            time.sleep(fault["seconds"])
        if poisoned and in_worker and fault["kind"] == "full":
            # Files of this process may not grow beyond the limit: writing the chunk fails for real.
            resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
        return solver.solve(points, outputs)

    moments.SOLVER = replace(solver, solve=solve)

    if "stale" in fault and "SLURMD_NODENAME" in os.environ:
        _break_folder(fault["stale"], fault["armed"], os.environ["SLURMD_NODENAME"])
    if "seconds_of" in fault:
        _set_constants(fault["seconds_of"])


if "FAULT" in os.environ:
    try:
        _arm(json.loads(os.environ["FAULT"]))
    except BaseException:  # Python would go on without a fault, and tests would find that all is well
        traceback.print_exc()
        os._exit(70)
