"""The pages of a run: its report, and the view to explore it."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qbsweep.errors import QbsweepError
from qbsweep.store.belongings import refuse_to_replace
from qbsweep.store.directory import existing
from qbsweep.store.replace import replace_text

if TYPE_CHECKING:
    import xarray as xr

    from qbsweep.store.directory import AnyPath


def report(path: Path, out: "AnyPath | None", png: bool) -> Path:
    """Write the page of a run; see `Run.report`."""
    directory = existing(path)
    target = directory.report if out is None else Path(out)
    if out is None:
        directory.require_room_for(target)
    if png:
        directory.require_room_for(directory.figures)
        refuse_to_replace(directory.figures)
    require("report", "hvplot", "matplotlib")
    from qbsweep.figures import report as page

    text, charts = page.write(path)
    replace_text(target, text)
    if png:
        from qbsweep.figures import print as printed

        printed.save_all(charts, directory.figures)
    return target


def explore(dataset: "xr.Dataset") -> Any:
    """Return a view of a dataset; see `Run.explore`."""
    require("explore", "hvplot", "panel")
    from qbsweep.figures.explore import explorer

    return explorer(dataset)


def serve(path: Path, port: int, browser: bool) -> None:
    """Serve the view of a run; see `Run.serve`."""
    directory = existing(path)
    require("explore", "hvplot", "panel")
    from qbsweep.figures import explore as view

    view.serve(directory.data, port, browser, print)


def require(what: str, *modules: str) -> None:
    """Refuse to do something for which an optional package is missing."""
    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise QbsweepError(f"`{what}` needs {name}: pip install -e '.[figures]' in the clone of qbsweep brings it")
