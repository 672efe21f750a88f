"""Charts as Bokeh models that carry all their data: their widgets work in a browser without Python or a network."""

import itertools
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.layouts import column, row
from bokeh.model import Model
from bokeh.models import ColumnDataSource, CustomJS, DataRange1d
from bokeh.models.renderers import GlyphRenderer
from bokeh.models.widgets import Select, Slider

from qbsweep.arrays import FloatArray
from qbsweep.figures.chart import Chart
from qbsweep.figures.interactive import still, suspect_marks
from qbsweep.figures.labels import SHORT

_MOST_IN_A_LIST = 12

_REDRAW = """
let state = 0;
for (let i = 0; i < widgets.length; i++) {
    const at = widgets[i].options === undefined ? widgets[i].value : labels[i].indexOf(widgets[i].value);
    if (widgets[i].options === undefined) widgets[i].title = names[i] + ": " + labels[i][at];
    state = state * labels[i].length + at;
}
for (let i = 0; i < drawn.length; i++) {
    const length = lengths[i];
    const y = states[i].data.y.slice(state * length, (state + 1) * length);
    drawn[i].data = {...drawn[i].data, [columns[i]]: y};
}
"""


def embedded(chart: Chart) -> Model:
    """Draw a chart that is in memory, with its widgets and the data of all their choices."""
    model: Any = hv.render(still(chart), backend="bokeh")
    model.x_range, model.y_range = DataRange1d(range_padding=0.04), DataRange1d(range_padding=0.06)
    if not chart.selectors:
        plain: Model = model
        return plain
    renderers = [r for r in model.renderers if isinstance(r, GlyphRenderer)]
    states = [ColumnDataSource({"y": y.ravel()}) for y in _states(chart)]
    if len(states) != len(renderers):
        raise RuntimeError(f"{chart.name} has {len(renderers)} glyphs but data for {len(states)}")
    labels = [[chart.widget_label(dim, v) for v in values] for dim, values in chart.selectors.items()]
    names = [SHORT.get(dim, dim) for dim in chart.selectors]
    widgets = [
        _widget(name, texts, chart.default(dim))
        for name, texts, dim in zip(names, labels, chart.selectors, strict=True)
    ]
    count = int(np.prod([len(texts) for texts in labels]))
    redraw = CustomJS(
        code=_REDRAW,
        args={
            "widgets": widgets,
            "labels": labels,
            "names": names,
            "states": states,
            "drawn": [r.data_source for r in renderers],
            "columns": [r.glyph.y for r in renderers],
            "lengths": [len(s.data["y"]) // count for s in states],
        },
    )
    for widget in widgets:
        widget.js_on_change("value", redraw)
    return column(row(*widgets), model)


def _widget(name: str, labels: list[Any], default: int) -> Select | Slider:
    if len(labels) <= _MOST_IN_A_LIST:
        return Select(title=name, options=labels, value=labels[default], width=160)
    title = f"{name}: {labels[default]}"
    return Slider(title=title, start=0, end=len(labels) - 1, value=default, step=1, show_value=False, width=220)


def _states(chart: Chart) -> list[FloatArray]:
    """Return what every glyph shows for every choice, in the order of `still`: shape (choices, length)."""
    collected: list[list[Any]] = []
    choices = itertools.product(*(range(len(values)) for values in chart.selectors.values()))
    for choice, lines in zip(choices, chart.all_lines(), strict=True):
        positions = dict(zip(chart.selectors, choice, strict=True))
        values = [np.where(line.y > 0, line.y, np.nan) if chart.logy else line.y for line in lines]
        shown = (values if chart.joined else []) + (values if chart.points else [])
        shown += [suspect_marks(chart, lines, word)[1] for word in chart.doubts]
        collected.append(shown + _theory(chart, positions))
    return [np.asarray(glyph, dtype=np.float32) for glyph in zip(*collected, strict=True)]


def _theory(chart: Chart, positions: dict[str, int]) -> list[FloatArray]:
    return [y for *_, y in chart.references(positions)]
