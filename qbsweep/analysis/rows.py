"""Tables of analyses for the terminal."""

import math

import numpy as np
import pandas as pd
import xarray as xr

from qbsweep.analysis.declaration import Analysis
from qbsweep.analysis.files import summary
from qbsweep.analysis.registry import ANALYSES
from qbsweep.arrays import FloatArray
from qbsweep.text import in_brackets, number

_ROWS = 40
_DIGITS = 8


def analysis_rows(result: xr.Dataset) -> tuple[str, list[str], list[list[str]]]:
    """Return title, header and cells of the summary of an analysis.

    Of a long last axis so many labels, denser at its start, as fit a screen. An error is shown if it reaches the digits
    shown. A result that is the same everywhere is one sentence: the title, without rows.
    """
    frame, analysis = summary(result), ANALYSES[str(result.attrs["analysis"])]
    columns = [str(n) for n in result.data_vars if n in frame]
    dims = [str(n) for n in frame if n in result.dims]
    shown = [n for n in columns if _is_informative(n, frame, analysis)]
    numbers = _only_numbers(frame, shown)
    if len(numbers) > 1 and np.ptp(numbers) <= 1e-12 * np.abs(numbers).max():
        return f"{analysis.name}: {number(float(numbers[0]), _DIGITS)} at all {len(frame):,} points", [], []
    if len(frame) > 1 and (nothing := _nothing(frame, columns)):
        return f"{analysis.name}: {nothing} at all {len(frame):,} points", [], []
    rows = _some_rows(frame, dims)
    hidden = f", {len(rows)} of {len(frame):,} rows" if len(rows) < len(frame) else ""
    settings = "".join(f", {key} {result.attrs[key]}" for key in analysis.settings)
    header = [n + in_brackets(result[n].attrs.get("units", "1")) for n in (*dims, *shown)]
    cells = [[*(_cell(row[d]) for d in dims), *(_cell(row[n], row.get(f"{n}_error")) for n in shown)] for row in rows]
    return analysis.name + settings + hidden, header, cells


def _is_informative(name: str, frame: pd.DataFrame, analysis: Analysis) -> bool:
    """Whether a column says more than that all is well."""
    column = frame[name]
    if name.endswith("_error") or column.isna().all():
        return False
    if name == "masked_points":
        return bool(column.any())
    if name not in analysis.quiet:
        return True
    of, usual = analysis.quiet[name]
    return not bool(frame[of].isin(usual).all())


def _nothing(frame: pd.DataFrame, names: list[str]) -> str:
    """Return what a table says in which no number is known, or they are 0; empty for others."""
    numbers = [frame[name] for name in names if pd.api.types.is_float_dtype(frame[name])]
    if not numbers or any((~column.isna() & (column != 0)).any() for column in numbers):
        return ""
    if "verdict" in frame:
        return ", ".join(map(str, frame["verdict"].unique()))
    return "no value" if all(column.isna().all() for column in numbers) else ""


def _only_numbers(frame: pd.DataFrame, names: list[str]) -> FloatArray:
    """Return the numbers of a table of one column."""
    if len(names) != 1 or not pd.api.types.is_float_dtype(frame[names[0]]):
        return np.empty(0)
    return np.asarray(frame[names[0]].dropna(), dtype=float)


def _some_rows(frame: pd.DataFrame, dims: list[str]) -> list[dict[str, object]]:
    if len(frame) > _ROWS:
        labels = frame[dims[-1]].drop_duplicates().tolist()
        count = max(2, _ROWS * len(labels) // len(frame))
        picked = np.unique(np.geomspace(1, len(labels), count).round().astype(int)) - 1
        frame = frame[frame[dims[-1]].isin([labels[i] for i in picked])]
    return [dict(zip(map(str, frame), row, strict=True)) for row in frame.head(_ROWS).itertuples(index=False)]


def _cell(value: object, error: object = None) -> str:
    if not isinstance(value, float):
        return str(value)
    if not isinstance(error, float) or not error > 0.5 * 10.0**-_DIGITS * abs(value):
        return number(value, _DIGITS)
    digits = max(1, math.floor(math.log10(abs(value) or 1.0)) - math.floor(math.log10(error)) + 1)
    return f"{value:.{min(digits, _DIGITS)}g} ± {error:.1g}"
