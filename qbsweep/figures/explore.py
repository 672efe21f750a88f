"""A page on this machine to explore a dataset: any variable, any axis, a widget for every other axis."""

import html
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import panel as pn
import xarray as xr

from qbsweep.errors import QbsweepError
from qbsweep.figures.chart import against
from qbsweep.figures.choices import line_axes
from qbsweep.figures.interactive import figure
from qbsweep.figures.labels import SHORT, meaning
from qbsweep.store.readable import used
from qbsweep.store.reading import open_dataset

_NO_LINES = "(none)"
HOST = "127.0.0.1"


def explorer(ds: xr.Dataset) -> Any:
    """Return a Panel view of a dataset: what is drawn, over which axis, with lines of which, and widgets for the rest.

    Parameters
    ----------
    ds : Dataset
        Of a sweep; it may be on disk, only what is drawn is read.
    """
    axes = _axes(ds)
    if not axes:
        title = html.escape(str(ds.attrs.get("title", "this dataset")))
        return pn.pane.HTML(f"<b>{title}</b> has no axis of numbers to draw anything against.")
    names = {f"{SHORT.get(name, name)}: {meaning(name, ds[name])}": name for name in axes}
    variable = pn.widgets.Select(label="variable", options=names, width=330)
    x = pn.widgets.Select(label="horizontal axis", width=160)
    lines = pn.widgets.Select(label="lines", width=160)

    def offer_axes(name: str) -> None:
        x.param.update(options=axes[name], value=axes[name][0])

    def offer_lines(name: str, axis: str) -> None:
        rest = [str(d) for d in ds[name].dims if d != axis and ds.sizes[d] > 1 and d in ds.coords]
        usual = ", ".join(line_axes(ds, name, axis))
        lines.options = list(dict.fromkeys([usual or _NO_LINES, *rest, _NO_LINES]))
        lines.value = usual or _NO_LINES

    def draw(name: str, axis: str, by: str) -> Any:
        dims = tuple(dim for dim in by.split(", ") if dim != _NO_LINES)
        if axis not in ds[name].dims or axis in dims or not set(dims) <= set(ds[name].dims):
            return None  # one choice has changed and the others are about to follow
        return figure(against(ds, name, axis, by=dims))

    def follow(*_: object) -> None:
        offer_axes(variable.value)
        offer_lines(variable.value, x.value)

    variable.param.watch(follow, "value")
    x.param.watch(lambda event: offer_lines(variable.value, event.new), "value")
    follow()
    shown = pn.bind(draw, variable, x, lines)
    return pn.Column(pn.Row(variable, x, lines), pn.panel(shown, widget_location="top"))


def _axes(ds: xr.Dataset) -> dict[str, list[str]]:
    """Return the variables that can be drawn, each with its axes of numbers, J or time first, then the longest."""
    found = {}
    for name, array in ds.data_vars.items():
        dims = [str(d) for d, n in array.sizes.items() if n > 1 and np.issubdtype(ds[d].dtype, np.number)]
        if dims:
            found[str(name)] = sorted(dims, key=lambda dim: (dim not in ("J", "time"), -ds.sizes[dim]))
    first = [name for name in ("energy_terminal", "ergotropy_terminal", "energy_t", "energy") if name in found]
    return {name: found[name] for name in (*first, *(name for name in found if name not in first))}


def serve(data: Path, port: int, show: bool, tell: Callable[[str], object]) -> None:
    """Serve the page on this machine only, until Ctrl-C."""
    port = port or _free_port()
    title = f"{data.parent.name} - qbsweep"
    logging.getLogger("tornado").setLevel(logging.ERROR)
    logging.getLogger("bokeh").setLevel(logging.ERROR)
    with used(data), open_dataset(data) as ds:
        try:
            server = pn.serve(
                lambda: explorer(ds),
                address=HOST,
                port=port,
                websocket_origin=[f"{HOST}:{port}", f"localhost:{port}"],
                title=title,
                show=show,
                start=False,
                verbose=False,
            )
        except OSError as error:
            raise QbsweepError(f"port {port} cannot be used: {error.strerror}; give another --port") from None
        tell(f"http://{HOST}:{port} shows {data.parent}; Ctrl-C ends it")
        try:
            server.start()
            server.io_loop.start()
        except KeyboardInterrupt:
            pass
        finally:
            server.stop()
            tell("ended")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
