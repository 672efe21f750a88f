"""Charts as Bokeh models that carry all their data: their widgets work in a browser without Python or a network."""

import itertools
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.layouts import column, row
from bokeh.model import Model
from bokeh.models import ColumnDataSource, CustomJS, DataRange1d, Range1d
from bokeh.models.annotations import BoxAnnotation
from bokeh.models.renderers import GlyphRenderer
from bokeh.models.widgets import Select, Slider

from qbsweep.arrays import FloatArray
from qbsweep.figures.chart import Chart
from qbsweep.figures.interactive import band_ends, least_span, still, suspect_marks
from qbsweep.figures.labels import SHORT
from qbsweep.figures.maps import Map

_MOST_IN_A_LIST = 12

_CHOICE = """
let state = 0;
for (let i = 0; i < widgets.length; i++) {
    const at = widgets[i].options === undefined ? widgets[i].value : labels[i].indexOf(widgets[i].value);
    if (widgets[i].options === undefined) widgets[i].title = titles[i][at];
    state = state * labels[i].length + at;
}
"""
_REDRAW_MAP = f"""{_CHOICE}
cells.data = {{...cells.data, [column]: z[state]}};
mapper.low = ranges[state][0];
mapper.high = ranges[state][1];
contour.data = {{...contour.data, xs: xs[state], ys: ys[state]}};
best.data = {{[names_of_best[0]]: [places[state][0]], [names_of_best[1]]: [places[state][1]]}};
"""
_REDRAW = f"""{_CHOICE}"""
_REDRAW += """
for (let i = 0; i < drawn.length; i++) {
    const length = lengths[i];
    const y = states[i].data.y.slice(state * length, (state + 1) * length);
    drawn[i].data = {...drawn[i].data, [columns[i]]: y};
}
for (let i = 0; i < boxes.length; i++) {
    boxes[i].left = edges[state][i][0];
    boxes[i].right = edges[state][i][1];
}
"""


def embedded(chart: Chart | Map) -> Model:
    """Draw a chart that is in memory, with its widgets and the data of all their choices."""
    if isinstance(chart, Map):
        return _embedded_map(chart)
    model: Any = hv.render(still(chart), backend="bokeh")
    low, high = least_span(chart, [line for lines in chart.all_lines() for line in lines])
    model.x_range, model.y_range = DataRange1d(range_padding=0.04), DataRange1d(range_padding=0.06)
    if low is not None and high is not None:
        model.y_range = Range1d(start=low, end=high)
    if not chart.selectors:
        plain: Model = model
        return plain
    boxes = [part for part in model.renderers if isinstance(part, BoxAnnotation)]
    renderers = [r for r in model.renderers if isinstance(r, GlyphRenderer)]
    states = [ColumnDataSource({"y": y.ravel()}) for y in _states(chart)]
    if len(states) != len(renderers):
        raise RuntimeError(f"{chart.name} has {len(renderers)} glyphs but data for {len(states)}")
    labels, titles, widgets = _widgets(chart)
    count = int(np.prod([len(texts) for texts in labels]))
    redraw = CustomJS(
        code=_REDRAW,
        args={
            "widgets": widgets,
            "labels": labels,
            "titles": titles,
            "states": states,
            "drawn": [r.data_source for r in renderers],
            "columns": [r.glyph.y for r in renderers],
            "boxes": boxes,
            "edges": _edges(chart) if boxes else [],
            "lengths": [len(s.data["y"]) // count for s in states],
        },
    )
    return _beneath(widgets, redraw, model)


def _embedded_map(drawn: Map) -> Model:
    model: Any = hv.render(still(drawn), backend="bokeh")
    chart = drawn.chart
    if not chart.selectors:
        plain: Model = model
        return plain
    cells, contour, best = (r for r in model.renderers if isinstance(r, GlyphRenderer))
    labels, titles, widgets = _widgets(chart)
    surfaces = drawn.surfaces()
    places = [surface.optimum or (float("nan"), float("nan")) for surface in surfaces]
    redraw = CustomJS(
        code=_REDRAW_MAP,
        args={
            "widgets": widgets,
            "labels": labels,
            "titles": titles,
            "cells": cells.data_source,
            "column": cells.glyph.fill_color.field,
            "mapper": cells.glyph.fill_color.transform,
            "z": [np.asarray(surface.z, dtype=np.float32).ravel() for surface in surfaces],
            "ranges": [_range(surface.z) for surface in surfaces],
            "contour": contour.data_source,
            "xs": [[line[:, 0].tolist() for line in surface.contour] for surface in surfaces],
            "ys": [[line[:, 1].tolist() for line in surface.contour] for surface in surfaces],
            "best": best.data_source,
            "names_of_best": [best.glyph.x, best.glyph.y],
            "places": places,
        },
    )
    return _beneath(widgets, redraw, model)


def _range(z: FloatArray) -> tuple[float, float]:
    known = z[np.isfinite(z)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)


def _widgets(chart: Chart) -> tuple[list[list[Any]], list[list[str]], list[Select | Slider]]:
    """Return what the widgets of a chart say, as titles of sliders too, and them."""
    labels = [[chart.widget_label(dim, v) for v in values] for dim, values in chart.selectors.items()]
    names = [SHORT.get(dim, dim) for dim in chart.selectors]
    titles = [[_told(name, text) for text in texts] for name, texts in zip(names, labels, strict=True)]
    told = zip(names, labels, chart.selectors, strict=True)
    return labels, titles, [_widget(name, texts, chart.default(dim)) for name, texts, dim in told]


def _beneath(widgets: list[Select | Slider], redraw: CustomJS, model: Model) -> Model:
    for widget in widgets:
        widget.js_on_change("value", redraw)
    return column(row(*widgets), model)


def _widget(name: str, labels: list[Any], default: int) -> Select | Slider:
    if len(labels) <= _MOST_IN_A_LIST:
        return Select(title=name, options=labels, value=labels[default], width=160)
    title = _told(name, labels[default])
    return Slider(title=title, start=0, end=len(labels) - 1, value=default, step=1, show_value=False, width=220)


def _told(name: str, label: str) -> str:
    """Write what a slider is at, with one name."""
    _, equals, value = label.partition(" = ")
    return f"{name}: {value if equals else label}"


def _states(chart: Chart) -> list[FloatArray]:
    """Return what every glyph shows for every choice, in the order of `still`: shape (choices, length)."""
    collected: list[list[Any]] = []
    choices = itertools.product(*(range(len(values)) for values in chart.selectors.values()))
    for choice, lines in zip(choices, chart.all_lines(), strict=True):
        positions = dict(zip(chart.selectors, choice, strict=True))
        values = [np.where(line.y > 0, line.y, np.nan) if chart.logy else line.y for line in lines]
        bands = [np.hstack([low[::-1], high]) for high, low in (band_ends(chart, line) for line in lines if line.band)]
        shown = bands + (values if chart.joined else []) + (values if chart.points else [])
        shown += [suspect_marks(chart, lines, word)[1] for word in chart.doubts]
        collected.append(shown + _theory(chart, positions))
    return [np.asarray(glyph, dtype=np.float32) for glyph in zip(*collected, strict=True)]


def _edges(chart: Chart) -> list[list[tuple[float, float]]]:
    """Return the ends of what is shaded for every choice."""
    choices = itertools.product(*(range(len(values)) for values in chart.selectors.values()))
    shades = (chart.shades(dict(zip(chart.selectors, choice, strict=True))) for choice in choices)
    return [[(shade.begin, shade.end) for shade in some] for some in shades]


def _theory(chart: Chart, positions: dict[str, int]) -> list[FloatArray]:
    return [y for *_, y in chart.references(positions)]
