"""Parameter sweeps of quantum-battery networks.

In Python, `import qbsweep as qb`::

    run = qb.run({"name": "chain", "parameters": {...}, "sweep": {...}})  # a dictionary, or a sweep file
    run.dataset  # labelled, from disk
    run.dataset.qb.optimal_coupling()  # the analyses, on every dataset
    run.report()

On the command line, `qbsweep --help`. Importing this package imports nothing else; see `__getattr__`.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from qbsweep.version import __version__

if TYPE_CHECKING:
    from qbsweep.api.compare import diff as diff
    from qbsweep.api.compare import merge as merge
    from qbsweep.api.jobs import job_scripts as job_scripts
    from qbsweep.api.jobs import submit as submit
    from qbsweep.api.listing import ls as ls
    from qbsweep.api.move import unpack as unpack
    from qbsweep.api.paper import verify as verify
    from qbsweep.api.points import solve as solve
    from qbsweep.api.result import Run as Run
    from qbsweep.api.running import load as load
    from qbsweep.api.running import open as open
    from qbsweep.api.running import plan as plan
    from qbsweep.api.running import run as run
    from qbsweep.errors import QbsweepError as QbsweepError
    from qbsweep.physics.network import Edge as Edge
    from qbsweep.physics.network import Network as Network
    from qbsweep.physics.topologies import cascaded as cascaded
    from qbsweep.physics.topologies import parallel as parallel
    from qbsweep.runs.check import Findings as Findings
    from qbsweep.runs.comparing import Difference as Difference
    from qbsweep.runs.plan import Plan as Plan
    from qbsweep.sweeps.given import sweep as sweep
    from qbsweep.sweeps.spec import SweepSpec as SweepSpec
    from qbsweep.sweeps.syntax import json_schema as json_schema


_HOMES = {
    "sweep": "sweeps.given",
    "load": "api.running",
    "plan": "api.running",
    "run": "api.running",
    "open": "api.running",
    "submit": "api.jobs",
    "job_scripts": "api.jobs",
    "merge": "api.compare",
    "diff": "api.compare",
    "ls": "api.listing",
    "unpack": "api.move",
    "solve": "api.points",
    "verify": "api.paper",
    "json_schema": "sweeps.syntax",
    "Run": "api.result",
    "Plan": "runs.plan",
    "Findings": "runs.check",
    "Difference": "runs.comparing",
    "SweepSpec": "sweeps.spec",
    "Network": "physics.network",
    "Edge": "physics.network",
    "cascaded": "physics.topologies",
    "parallel": "physics.topologies",
    "QbsweepError": "errors",
}
"""Where the names of this package live."""

__all__ = ["__version__", *_HOMES]


if not TYPE_CHECKING:  # for types only the names above exist

    def __getattr__(name: str) -> Any:
        """Import what is asked for: `import qbsweep` itself is to cost nothing."""
        if name not in _HOMES:
            raise AttributeError(f"module 'qbsweep' has no attribute '{name}'")
        home = import_module(f"qbsweep.{_HOMES[name]}")
        value = getattr(home, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__


def _accessor(ds: Any) -> Any:
    """Analyses of the dataset of a sweep, ``ds.qb.optimal_coupling()``, and ``ds.qb.plot("energy_terminal", "J")``."""
    return import_module("qbsweep.api.accessor").Accessor(ds)


def _register(xarray: ModuleType) -> None:
    if not hasattr(xarray.Dataset, "qb"):
        xarray.register_dataset_accessor("qb")(_accessor)


class _Xarray:
    """Gives datasets their ``qb`` when xarray is imported after this package."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "xarray":
            return None
        found = (f.find_spec(name, path, target) for f in sys.meta_path if f is not self)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _register(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "xarray" in sys.modules:
    _register(sys.modules["xarray"])
else:
    sys.meta_path.insert(0, _Xarray())
