"""What the user asked for: the sweep file, its axes and its networks.

Called, ``qbsweep.sweep(name="chain", parameters={...}, sweep={...})``, it describes a sweep: see `given.sweep`.
"""

import sys
import types
from typing import Any


class _Room(types.ModuleType):
    """A package that can be called, because ``qbsweep.sweep`` is also what makes a sweep for a notebook."""

    def __call__(self, source: Any = None, /, **keywords: Any) -> Any:
        """Describe a sweep, given as a dictionary, a file or by keyword arguments, and check it: see `given.sweep`."""
        from qbsweep.sweep.given import sweep

        return sweep(source, **keywords)


sys.modules[__name__].__class__ = _Room
