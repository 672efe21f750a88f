"""Interactive figures of charts, in holoviews: in notebooks, in `explore`, and as the start of those in a report."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import holoviews as hv
import hvplot.xarray  # noqa: F401  so that `ds.hvplot` works wherever these figures do
import numpy as np
from bokeh.models import CustomJSTickFormatter
from bokeh.models.annotations import ColorBar

from qbsweep.figures.chart import Chart, Line, Shade, against
from qbsweep.figures.labels import SHORT, value_label
from qbsweep.figures.maps import Map
from qbsweep.figures.style import (
    BAND,
    COLORMAP,
    COLORS,
    DASHES,
    HEIGHT,
    MARKERS,
    OPAQUE,
    SHADE,
    SUSPECT_COLOR,
    SUSPECT_MARKERS,
    WIDTH,
)

__all__ = ["against", "figure", "still"]

hv.extension("bokeh", logo=False)


def figure(drawn: Chart | Map) -> Any:
    """Draw a chart, with a widget for every axis that is neither the horizontal one nor has lines of its own."""
    chart = drawn.chart if isinstance(drawn, Map) else drawn
    if not chart.selectors:
        return still(drawn)
    names = {dim: [chart.widget_label(dim, v) for v in values] for dim, values in chart.selectors.items()}
    dims = [
        hv.Dimension(dim, label=SHORT.get(dim, dim), values=labels, default=labels[chart.default(dim)])
        for dim, labels in names.items()
    ]

    def draw(*labels: str) -> Any:
        return still(drawn, {d: names[d].index(label) for d, label in zip(names, labels, strict=True)})

    return hv.DynamicMap(draw, kdims=dims).opts(framewise=True)


def still(chart: Chart | Map, positions: Mapping[str, int] | None = None) -> Any:
    """Draw a chart for one choice of its selectors, by default the first shown; widgets choose by position."""
    if isinstance(chart, Map):
        return _still_map(chart, positions)
    lines = chart.lines(positions)
    parts: list[Any] = [_shade(shade) for shade in chart.shades(positions)]
    parts += [_band(chart, line) for line in lines if line.band]
    parts += [_curve(chart, line) for line in lines] if chart.joined else []
    if chart.points:
        parts += [_points(chart, line) for line in lines]
    parts += [_suspect(chart, lines, word) for word in chart.doubts]
    parts += [_reference(chart, *one) for one in chart.references(positions)]
    if chart.level is not None:
        parts.append(hv.HLine(chart.level).opts(color="#888888", line_width=1, line_dash="dashed"))
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            width=WIDTH,
            height=HEIGHT,
            title=chart.title,
            legend_position="right",
            toolbar="above",
            show_legend=len(lines) > 1 or bool(chart.doubts) or chart.reference is not None,
            logx=chart.logx,
            logy=chart.logy,
            ylim=_limits(chart, lines) if chart.logy else least_span(chart, lines),
            xlabel=chart.xlabel,
            ylabel=chart.ylabel,
            show_grid=True,
            padding=0.05,
            framewise=True,
            fontsize={"title": 12, "labels": 11, "legend": 10},
            hooks=[partial(_finish, chart=chart)],
        )
    )


def _still_map(drawn: Map, positions: Mapping[str, int] | None) -> Any:
    chart, surface = drawn.chart, drawn.surface(positions)
    mesh = hv.QuadMesh((*drawn.edges, surface.z), [chart.x, drawn.y], _vdim(chart))
    mesh = mesh.opts(cmap=COLORMAP, colorbar=True, clabel=chart.ylabel, tools=["hover"], line_alpha=0)
    contour = hv.Path(surface.contour, [chart.x, drawn.y]).opts(color="white", line_width=2)
    best = hv.Points([surface.optimum] if surface.optimum else [], [chart.x, drawn.y])
    best = best.opts(marker="cross", size=10, color="white", line_width=2)
    return (mesh * contour * best).opts(
        hv.opts.Overlay(
            width=WIDTH,
            height=HEIGHT,
            title=chart.title,
            toolbar="above",
            show_legend=False,
            logx=chart.logx,
            logy=drawn.logy,
            xlabel=chart.xlabel,
            ylabel=drawn.ylabel,
            framewise=True,
            fontsize={"title": 12, "labels": 11},
            hooks=[partial(_finish_map, drawn=drawn)],
        )
    )


def _limits(chart: Chart, lines: Sequence[Line]) -> tuple[float | None, float | None]:
    """Return the range of a logarithmic axis on which all values are one: holoviews would look away from it."""
    drawn = np.concatenate([line.y for line in lines])
    drawn = drawn[drawn > 0]
    if not len(drawn) or np.ptp(drawn) > 1e-3 * drawn.max():
        return None, None
    return float(drawn.min()) / 2, float(drawn.max()) * 2


def least_span(chart: Chart, lines: Sequence[Line]) -> tuple[float | None, float | None]:
    """Return the range of a linear axis on which all values differ by rounding only, which is nothing to magnify."""
    drawn = np.concatenate([part for line in lines for part in (line.y, *(line.band or ()))])
    drawn = drawn[np.isfinite(drawn)]
    size = float(np.abs(drawn).max(initial=0))
    if chart.logy or chart.level is not None or not size or np.ptp(drawn) > 1e-9 * size:
        return None, None
    return float(drawn.min()) - size / 20, float(drawn.max()) + size / 20


def _shade(shade: Shade) -> Any:
    return hv.VSpan(shade.begin, shade.end).opts(color=SHADE, alpha=OPAQUE[shade.off], line_alpha=0)


def band_ends(chart: Chart, line: Line) -> tuple[Any, Any]:
    """Return the upper and the lower end of the band of a line."""
    low, high = line.band or (line.y, line.y)
    return _positive(chart, high), _positive(chart, low)


def _band(chart: Chart, line: Line) -> Any:
    high, low = band_ends(chart, line)
    area = hv.Area((chart.x_values, high, low), chart.x, [_vdim(chart), hv.Dimension(f"{chart.variable} from")])
    return area.opts(color=COLORS[line.color % 8], alpha=BAND, line_alpha=0)


def _curve(chart: Chart, line: Line) -> Any:
    data = (chart.x_values, _positive(chart, line.y))
    style = {"color": COLORS[line.color % 8], "line_dash": DASHES[line.dash % 4], "line_width": 2}
    return hv.Curve(data, chart.x, _vdim(chart), label=line.label).opts(tools=["hover"], **style)


def _points(chart: Chart, line: Line) -> Any:
    data = (chart.x_values, _positive(chart, line.y))
    marker = MARKERS[line.dash % 4]
    fill = COLORS[line.color % 8] if line.dash == 0 else "white"
    scatter = hv.Scatter(data, chart.x, _vdim(chart), label=line.label)
    return scatter.opts(color=fill, line_color=COLORS[line.color % 8], marker=marker, size=6)


def suspect_marks(chart: Chart, lines: Sequence[Line], word: str) -> tuple[Any, Any]:
    """Return where the points of all lines are that are suspect for one reason; of long lines, some."""
    step = max(1, len(chart.x_values) // 8) if len(chart.x_values) > 25 else 1
    x = np.tile(chart.x_values[::step], max(1, len(lines)))
    y = np.concatenate([_positive(chart, line.suspect[word])[::step] for line in lines])
    return x, y


def _suspect(chart: Chart, lines: Sequence[Line], word: str) -> Any:
    style = {"size": 10, "line_color": SUSPECT_COLOR, "line_width": 1.2, "fill_alpha": 0}
    marks = hv.Scatter(suspect_marks(chart, lines, word), chart.x, _vdim(chart), label=word)
    return marks.opts(marker=SUSPECT_MARKERS[word], **style)


def _reference(chart: Chart, label: str, color: int, dash: int, y: Any) -> Any:
    style = {"color": COLORS[color % 8], "line_dash": DASHES[dash % 4], "line_width": 1, "alpha": 0.8}
    return hv.Curve((chart.x_values, y), chart.x, _vdim(chart), label=label).opts(**style)


def _positive(chart: Chart, y: Any) -> Any:
    return np.where(y > 0, y, np.nan) if chart.logy else y


def _vdim(chart: Chart) -> Any:
    return hv.Dimension(chart.variable, label=chart.ylabel)


def _finish(plot: Any, element: Any, chart: Chart) -> None:
    """Mend what holoviews has no option for: ticks at the values of a short axis, and a legend that can hide lines."""
    model = plot.state
    values = chart.x_values
    if len(values) <= 12 and not chart.logx and np.all(np.diff(values) > 0):
        model.xaxis.ticker = values.tolist()
    if chart.x == "mode":
        model.xaxis.major_label_overrides = {int(v): value_label("mode", int(v)) for v in values}
    for axis, is_log in ((model.xaxis, chart.logx), (model.yaxis, chart.logy)):
        axis.axis_label_text_font_style = "normal"
        if is_log:
            _plain_numbers(axis)
    model.toolbar.logo = None
    for legend in model.legend:
        legend.click_policy = "mute"
        legend.border_line_color = None
        legend.location = "top_right"
    model.title.text_font_style = "bold"


def _finish_map(plot: Any, element: Any, drawn: Map) -> None:
    model = plot.state
    for axis, is_log in ((model.xaxis, drawn.chart.logx), (model.yaxis, drawn.logy)):
        axis.axis_label_text_font_style = "normal"
        if is_log:
            _plain_numbers(axis)
    cells = model.renderers[0].glyph
    cells.update(line_color=cells.fill_color, line_alpha=1)  # no seams between them
    model.toolbar.logo = None
    model.grid.grid_line_color = None
    for bar in model.select({"type": ColorBar}):
        bar.update(title_text_font_style="normal", title_standoff=10)
    model.title.text_font_style = "bold"


def _plain_numbers(axis: Any) -> None:
    axis.formatter = CustomJSTickFormatter(code="return String(Number(tick.toPrecision(3)))")
    axis.minor_tick_line_color = None
