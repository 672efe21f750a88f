"""Charts for print: single-column figures of 86 mm at 300 dpi, drawn by matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from qbsweep.arrays import FloatArray
from qbsweep.figures.chart import Chart, Shade
from qbsweep.figures.labels import mathematical
from qbsweep.figures.maps import Map
from qbsweep.figures.style import BAND, COLORMAP, COLORS, MARKERS, OPAQUE, SHADE, SUSPECT_COLOR, SUSPECT_MARKERS
from qbsweep.store.scratch import replace_tree

COLUMN, HEIGHT, DPI = 86 / 25.4, 66 / 25.4, 300
_DASHES = ("-", "--", ":", "-.")
_MARKERS = "os^D"
_BY_NAME = dict(zip(MARKERS, _MARKERS, strict=True))
_SIZE = 7.5  # points


def save_all(charts: Sequence[Chart | Map], folder: Path) -> list[Path]:
    """Write one PNG per chart into a folder, which is replaced as a whole."""

    def write(scratch: Path) -> None:
        scratch.mkdir()
        for chart in charts:
            draw(chart).savefig(scratch / f"{chart.name}.png", dpi=DPI)

    replace_tree(folder, write)
    return [folder / f"{chart.name}.png" for chart in charts]


def draw(chart: Chart | Map, width: float = COLUMN) -> Figure:
    """Draw a chart with its first choice of selectors, which is written above it."""
    if isinstance(chart, Map):
        return _draw_map(chart, width)
    figure = Figure(figsize=(width, HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    lines = chart.lines()
    step = max(1, len(chart.x_values) // 8) if len(chart.x_values) > 25 else 1
    for shade in chart.shades():
        _shade(axes, shade, chart.x_values)
    for line in lines:
        if line.band:
            axes.fill_between(chart.x_values, *line.band, color=COLORS[line.color % 8], alpha=BAND, linewidth=0)
        marker = _MARKERS[line.dash % 4] if chart.points else ""
        fill = COLORS[line.color % 8] if line.dash == 0 else "white"
        style: dict[str, Any] = {"color": COLORS[line.color % 8], "linewidth": 1}
        style["linestyle"] = _DASHES[line.dash % 4] if chart.joined else ""
        axes.plot(chart.x_values, line.y, marker=marker, ms=2.8, mfc=fill, mew=0.7, label=line.label, **style)
    for word in chart.doubts:
        suspect = np.concatenate([line.suspect[word][::step] for line in lines])
        if np.isfinite(suspect).any():
            where = np.tile(chart.x_values[::step], len(lines))
            marker = _BY_NAME[SUSPECT_MARKERS[word]]
            axes.plot(where, suspect, marker, ms=5, mfc="none", mec=SUSPECT_COLOR, mew=0.7, label=word)
    for label, color, dash, y in chart.references():
        axes.plot(chart.x_values, y, color=COLORS[color % 8], linestyle=_DASHES[dash % 4], linewidth=0.6, label=label)
    if chart.level is not None:
        axes.axhline(chart.level, color="#888888", linewidth=0.6, linestyle="--")
    _finish(chart, axes)
    _say_chosen(chart, axes)
    if len(axes.get_lines()) > 1:
        _legend(figure, axes)
    return figure


def _draw_map(drawn: Map, width: float) -> Figure:
    figure = Figure(figsize=(width, HEIGHT), layout="constrained")
    axes, chart, surface = figure.add_subplot(), drawn.chart, drawn.surface()
    mesh = axes.pcolormesh(*drawn.edges, surface.z, cmap=COLORMAP, rasterized=True)
    for line in surface.contour:
        axes.plot(*line.T, color="white", linewidth=1)
    if surface.optimum:
        axes.plot(*surface.optimum, "+", color="white", ms=6, mew=1.2)
    for axis, values, is_log in ((axes.xaxis, chart.x_values, chart.logx), (axes.yaxis, drawn.y_values, drawn.logy)):
        if is_log:
            _logarithmic(axis, values)
    bar = figure.colorbar(mesh, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=_SIZE, width=0.6)
    bar.set_label(mathematical(chart.ylabel), fontsize=_SIZE + 0.5)
    axes.set_xlabel(mathematical(chart.xlabel), fontsize=_SIZE + 0.5)
    axes.set_ylabel(mathematical(drawn.ylabel), fontsize=_SIZE + 0.5)
    axes.tick_params(labelsize=_SIZE, width=0.6)
    axes.spines[:].set_visible(False)
    _say_chosen(chart, axes)
    return figure


def _say_chosen(chart: Chart, axes: Axes) -> None:
    chosen = [chart.widget_label(d, v[chart.default(d)]) for d, v in chart.selectors.items()]
    if chosen:
        axes.set_title(mathematical(", ".join(chosen)), fontsize=_SIZE, loc="left")


def _shade(axes: Axes, shade: Shade, times: FloatArray) -> None:
    """Shade a segment of the protocol, and say what it is if there is room."""
    axes.axvspan(shade.begin, shade.end, color=SHADE, alpha=OPAQUE[shade.off], linewidth=0, zorder=0)
    if shade.end - shade.begin > 0.18 * np.ptp(times):
        where: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "top"}
        text = "no drive" if shade.off else "drive changes"
        axes.text((shade.begin + shade.end) / 2, 0.98, text, fontsize=_SIZE - 1, color=SHADE, **where)


def _legend(figure: Figure, axes: Axes) -> None:
    # All that have a label: matplotlib would leave out those that begin with "_", as the name of a network may.
    handles = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_child")]
    labels = [str(line.get_label()) for line in handles]
    columns = 2 if max(map(len, labels)) < 28 else 1
    shown: dict[str, Any] = {"ncols": columns, "frameon": False, "handlelength": 2.2, "columnspacing": 1.0}
    figure.set_figheight(HEIGHT + 0.13 * max(0, -(-len(labels) // columns) - 2))
    texts = [mathematical(label) for label in labels]
    figure.legend(handles, texts, loc="outside upper center", fontsize=_SIZE - 0.5, labelspacing=0.3, **shown)


def _finish(chart: Chart, axes: Axes) -> None:
    low, high = (float(limit) for limit in axes.get_ylim())
    if chart.logx:
        _logarithmic(axes.xaxis, chart.x_values)
    elif len(chart.x_values) <= 12:
        axes.set_xticks(chart.x_values)
    drawn = np.concatenate([line.y for line in chart.lines()])
    drawn = drawn[np.isfinite(drawn)]
    if chart.logy and len(drawn) and drawn.max() > 10 * drawn[drawn > 0].min(initial=np.inf):
        _logarithmic(axes.yaxis, drawn[drawn > 0])
    elif high - low < 1e-3 * abs(high):  # the difference is one of rounding
        axes.set_ylim(0.95 * low, 1.05 * high)
    axes.set_xlabel(mathematical(chart.xlabel), fontsize=_SIZE + 0.5)
    axes.set_ylabel(mathematical(chart.ylabel), fontsize=_SIZE + 0.5)
    axes.tick_params(labelsize=_SIZE, width=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.4)


def _logarithmic(axis: XAxis | YAxis, values: FloatArray) -> None:
    """Scale an axis, with plain numbers as its labels where they fit: 0.2, 0.5, 1, 2."""
    scale = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    scale("log")
    if values.max() <= 500 * values.min() and values.min() >= 1e-3 and values.max() < 1e4:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if values.max() < 50 * values.min() else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
