"""A report: one HTML page on a run, which needs neither a network nor Python to be read, explored and printed."""

import html
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from bokeh.embed import components
from bokeh.resources import Resources

from qbsweep.analysis.inputs import coded, in_words
from qbsweep.analysis.refine import open_refined
from qbsweep.analysis.registry import analyze
from qbsweep.analysis.rows import analysis_rows
from qbsweep.errors import QbsweepError
from qbsweep.figures.gallery import Drawn, charts
from qbsweep.figures.labels import meaning, unit
from qbsweep.figures.standalone import embedded
from qbsweep.runs.state import state, suspect_text
from qbsweep.solvers.status import VERDICTS
from qbsweep.store.directory import existing
from qbsweep.store.provenance import structured
from qbsweep.store.readable import used
from qbsweep.store.reading import open_dataset
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.text import number
from qbsweep.version import __version__

BUDGET = 60_000
"""Values of a figure: half a megabyte of the page."""
_MOST_FAILURES = 8
_MOST_VALUES = 12
_STYLE = Path(__file__).with_name("report.css")


def write(directory: Path) -> tuple[str, list[Drawn]]:
    """Return the report of a run directory as HTML, and its charts, thinned and in memory."""
    run_directory = existing(directory)
    standing = state(run_directory)
    with used(run_directory.data), np.errstate(all="ignore"), open_dataset(run_directory.data) as ds:
        results, left_out = analyze(ds, quick=True, refined=open_refined(directory))
        drawn = [chart.thinned(BUDGET) for chart in charts(ds, results)]
        script, divs = components([embedded(chart) for chart, _ in drawn]) if drawn else ("", [])
        title = str(ds.attrs.get("title", directory.name))
        parts = [
            f"<h1>{_text(title)}</h1>",
            _verdict(standing),
            _section("What was swept", _swept(ds)),
            _section("Can it be trusted?", _trust(standing, ds, run_directory.failures())),
            _section("Figures", _figures(drawn, divs)),
            _section("Analyses", _analyses(results, left_out)),
            _section("Values", _values(ds)) if not drawn or ds["status"].size == 1 else "",
            _section("Provenance", _provenance(ds, directory)),
        ]
    return _page(title, "".join(parts), script), [chart for chart, _ in drawn]


def _page(title: str, body: str, script: str) -> str:
    # Not Resources.render(): Panel adds scripts to that which a page on its own cannot reach.
    parts = Resources(mode="inline", components=["bokeh", "bokeh-widgets"]).js_raw if script else []
    head = "".join(f"<script>{part}</script>\n" for part in parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>\n'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">\n'
        f"<style>{_STYLE.read_text(encoding='utf-8')}</style>\n{head}</head>\n<body>\n{body}\n{script}</body></html>\n"
    )


def _verdict(state: dict[str, Any]) -> str:
    words = {"complete": "Complete", "running": "Still running", "interrupted": "Interrupted"}[state["state"]]
    done = f"{state['finished']:,} of {state['points']:,} points are solved"
    if state["state"] == "interrupted":
        done += "; the same `qbsweep run` goes on where it stopped"
    bad = state["state"] != "complete" or state["failed"] or state["suspect"]
    counted = ", ".join(f"{state[name]:,} {name}" for name in ("suspect", "failed") if state[name])
    return (
        f'<p class="{"warn" if bad else "good"}"><b>{words}</b>: {_prose(done)}{", " + counted if counted else ""}.</p>'
    )


def _swept(ds: xr.Dataset) -> str:
    dims = [str(dim) for dim in ds["status"].dims]
    rows = [[dim, meaning(dim, ds[dim]), _span(ds[dim])] for dim in dims]
    if "time" in ds.dims:
        rows.append(["time", meaning("time", ds["time"]), _span(ds["time"])])
    known = dict.fromkeys([*PARAMETERS, *map(str, ds.coords)])  # and what a protocol names
    fixed = [name for name in known if name in ds.coords and ds[name].ndim == 0]
    fixed = [name for name in fixed if name not in PARAMETERS or ds[name].item() != PARAMETERS[name].default]
    told = ", ".join(f"{name} = {ds[name].item()} {unit(ds[name])}".rstrip() for name in fixed)
    points = f"{ds['status'].size:,} points" if ds["status"].size > 1 else "One point"
    axes = _table(["axis", "meaning", "values"], rows) if rows else ""
    sweep = f"<details><summary>The sweep file</summary><pre>{_text(str(ds.attrs.get('spec', '')))}</pre></details>"
    return f"<p>{points}. Fixed: {_text(told)}.</p>{axes}{sweep}"


def _span(array: xr.DataArray) -> str:
    values, units = array.values.tolist(), unit(array)
    if len(values) <= 5:
        return ", ".join(number(value) for value in values) + f" {units}"
    return f"{len(values):,} from {number(values[0])} to {number(values[-1])} {units}"


def _trust(state: dict[str, Any], ds: xr.Dataset, failures: Sequence[dict[str, Any]]) -> str:
    names = ("ok", "suspect", "failed", "pending")
    parts = [_table(["points", *names], [[f"{state['points']:,}", *(f"{state[name]:,}" for name in names)]])]
    if state["verdicts"]:
        parts.append(_verdicts(state["verdicts"]))
    if state["suspect"]:
        parts.append(
            f"<p>Suspect points are marked red and left out of the analyses: {_prose(suspect_text(state))}.</p>"
        )
    if state["failed"] or failures:
        shown = [[_labels(record["labels"]), f"{record['points']}", record["error"]] for record in failures]
        parts.append("<p>Failed points are gaps in the figures. What is on record:</p>")
        parts.append(_table(["where", "points", "why"], shown[:_MOST_FAILURES]))
        if len(shown) > _MOST_FAILURES:
            parts.append(f"<p>and {len(shown) - _MOST_FAILURES:,} more: <code>qbsweep failures</code>.</p>")
    if state["pending"]:
        parts.append(f"<p>{state['pending']:,} points are not solved yet; they are gaps in the figures.</p>")
    return "".join(parts)


def _verdicts(count: dict[str, int]) -> str:
    """Draw how many points each verdict has, as a bar, and say what they mean."""
    shown = [
        f'<span class="{word}" style="flex-grow: {points}" title="{points:,} {word}"></span>'
        for word, points in count.items()
    ]
    rows = [[word, f"{points:,}", VERDICTS[word]] for word, points in count.items()]
    table = _table(["", "verdict", "points", "meaning"], rows, colours=tuple(count))
    return f'<div class="verdicts"><div class="bar">{"".join(shown)}</div>{table}</div>'


def _labels(labels: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value if not isinstance(value, list) else '...'}" for name, value in labels.items())


def _figures(drawn: Iterable[tuple[Drawn, str]], divs: Sequence[str]) -> str:
    found = [
        f'<figure id="{_text(chart.name)}">{div}<figcaption>{_text(chart.caption)}. {_text(note)}</figcaption></figure>'
        for (chart, note), div in zip(drawn, divs, strict=True)
    ]
    help_text = "<p class='hint'>Drag to move, use the tools to zoom, click a legend entry to fade its line.</p>"
    return help_text + "".join(found) if found else "<p>This dataset has no axis to draw anything against.</p>"


def _analyses(results: dict[str, xr.Dataset], left_out: dict[str, QbsweepError]) -> str:
    parts = []
    for result in results.values():
        title, header, rows = analysis_rows(result)
        parts.append(f"<h3>{_text(title)}</h3>{_table(header, rows)}" if rows else f"<p>{_text(title)}</p>")
    told = "".join(f"<li>{_prose(str(error))}</li>" for error in left_out.values())
    return "".join(parts) + (f"<details><summary>Not done</summary><ul>{told}</ul></details>" if told else "")


def _values(ds: xr.Dataset) -> str:
    if ds["status"].size > _MOST_VALUES:
        return f"<p>{ds['status'].size:,} points: see the dataset.</p>"
    dims = [str(dim) for dim in ds["status"].dims]
    names = [str(name) for name in ds.data_vars if ds[name].dims == ds["status"].dims]
    shown = ds[names].load()
    shown = shown.assign({name: in_words(shown, name) for name in coded(shown)})
    if ds["status"].size == 1:
        rows = [[meaning(name, shown[name]), f"{number(shown[name].item())} {unit(shown[name])}"] for name in names]
        return _table(["variable", "value"], rows)
    frame = shown.to_dataframe().reset_index()[[*dims, *names]]
    rows = [[number(value) for value in row.values()] for row in frame.to_dict("records")]
    return _table([*dims, *names], rows)


def _provenance(ds: xr.Dataset, directory: Path) -> str:
    found = structured(ds.attrs.get("versions"), {})
    versions = ", ".join(f"{name} {version}" for name, version in found.items())
    attributes = {name: ds.attrs.get(name) for name in ("dataset_id", "spec_digest", "created", "host", "git_commit")}
    now = f"{datetime.now(UTC).isoformat(timespec='seconds')} by qbsweep {__version__}"
    rows = {**attributes, "versions": versions, "run directory": directory.resolve(), "this page": now}
    return _table(["", ""], [[name, str(value)] for name, value in rows.items() if value], css="plain")


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>\n" if body else ""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], css: str = "", colours: Sequence[str] = ()) -> str:
    """Write a table; with `colours`, each row begins with a cell of that class."""
    head = "".join(f"<th>{_text(name)}</th>" for name in header)
    keys = [f'<td><span class="{colour}"></span></td>' for colour in colours] or [""] * len(rows)
    cells = ["".join(f"<td>{_text(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{key}{row}</tr>" for key, row in zip(keys, cells, strict=True))
    return f'<div class="table"><table class="{css}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _prose(text: str) -> str:
    """Write a sentence; what is between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))


def _text(value: str) -> str:
    return html.escape(value)
