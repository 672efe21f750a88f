"""The runs of `workflows/` for notebooks: opened, and solved first where they are not there yet."""

import os
from pathlib import Path

import qbsweep as qb

SMALL = "QBSWEEP_SMALL"
"""Environment variable: use the small variant of a sweep that takes long, of `notebooks/small`, if it has one."""


def solved(name: str) -> qb.Run:
    """Return the run of a workflow, complete; what is solved already is not solved again.

    Parameters
    ----------
    name : str
        Of a file in `workflows/`, which is looked for in the working directory and its parents.
    """
    root = _root(name)
    small = root / "notebooks" / "small" / f"{name}.yaml"
    use_small = bool(os.environ.get(SMALL)) and small.exists()
    sweep = small if use_small else root / "workflows" / f"{name}.yaml"
    return qb.run(sweep, root / "runs" / (f"small-{name}" if use_small else name))


def _root(name: str) -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "workflows" / f"{name}.yaml").exists():
            return folder
    raise qb.QbsweepError(f"there is no workflows/{name}.yaml in {here} or above; start in a clone of qbsweep")
