"""Charts for print: single-column figures of 86 mm at 300 dpi, drawn by matplotlib."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from qbsweep.arrays import FloatArray
from qbsweep.figures.chart import Chart
from qbsweep.figures.labels import mathematical
from qbsweep.figures.style import COLORS, MARKERS, SUSPECT_COLOR, SUSPECT_MARKERS
from qbsweep.store.scratch import replace_tree

COLUMN, HEIGHT, DPI = 86 / 25.4, 66 / 25.4, 300
_DASHES = ("-", "--", ":", "-.")
_MARKERS = "os^D"
_BY_NAME = dict(zip(MARKERS, _MARKERS, strict=True))
_SIZE = 7.5  # points


def save_all(charts: list[Chart], folder: Path) -> list[Path]:
    """Write one PNG per chart into a folder, which is replaced as a whole."""

    def write(scratch: Path) -> None:
        scratch.mkdir()
        for chart in charts:
            draw(chart).savefig(scratch / f"{chart.name}.png", dpi=DPI)

    replace_tree(folder, write)
    return [folder / f"{chart.name}.png" for chart in charts]


def draw(chart: Chart, width: float = COLUMN) -> Figure:
    """Draw a chart with its first choice of selectors, which is written above it."""
    figure = Figure(figsize=(width, HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    lines = chart.lines()
    step = max(1, len(chart.x_values) // 8) if len(chart.x_values) > 25 else 1
    for line in lines:
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
    chosen = [chart.widget_label(d, v[chart.default(d)]) for d, v in chart.selectors.items()]
    if chosen:
        axes.set_title(mathematical(", ".join(chosen)), fontsize=_SIZE, loc="left")
    if len(axes.get_lines()) > 1:
        _legend(figure, axes)
    return figure


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
