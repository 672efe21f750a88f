"""How axes and values are written in figures: short names, units, labels of lines and of widgets."""

from typing import Any

import xarray as xr

from qbsweep.analysis.registry import ANALYSES
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.variables import VARIABLES

SHORT = {
    **{p.name: p.label for p in PARAMETERS.values() if p.label},
    **{v.name: v.label for v in VARIABLES.values() if v.label},
    "time": "time t",
    **{name: label for analysis in ANALYSES.values() for name, label in analysis.labels.items()},
}
"""For axes of narrow figures; what is not here has its `long_name`."""

_UNITS = {"omega": "ω", "1/omega": "1/ω", "1/kappa": "1/κ", "omega omega": "ω²", "omega^2": "ω²", "omega kappa": "ω κ"}
_WORDS = {
    "moments": "exact",
    "lindblad": "truncated",
    **{value: word for analysis in ANALYSES.values() for value, word in analysis.words.items()},
}
_MATHS = {"J_op": r"$J_\mathrm{op}$", "n_th": r"$n_\mathrm{th}$"}


def unit(array: xr.DataArray) -> str:
    """Return the unit as it is written, empty for a pure number."""
    text = str(array.attrs.get("units", "1")).replace("[", "").replace("]", "")
    return "" if text == "1" else _UNITS.get(text, text)


def short(array: xr.DataArray, name: str) -> str:
    """Write what an axis is, as in a title."""
    return SHORT.get(name, str(array.attrs.get("long_name", name)))


def axis_label(array: xr.DataArray, name: str, what: str = "") -> str:
    """Write the label of an axis: what it is, and its unit in brackets."""
    text = f"{what} {short(array, name)}" if what else short(array, name)
    return f"{text} ({unit(array)})" if unit(array) else text


def meaning(name: str, array: xr.DataArray) -> str:
    """Return the long name of a variable."""
    declared = VARIABLES.get(name)
    return str(array.attrs.get("long_name", declared.long_name if declared else name))


def value_label(name: str, value: Any, units: str = "") -> str:
    """Write one value of an axis as a legend or a widget shows it: ``N = 3``, ``cascaded``, ``6 levels``."""
    if name == "mode":
        return "charger" if value == 0 else f"battery {value}"
    if name == "fock_levels":
        return f"{value} levels"
    if isinstance(value, str):
        return _WORDS.get(value, value)
    number = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{name} = {number} {units}".rstrip()


def mathematical(text: str) -> str:
    """Set the symbols of a label for print; a name of the user's with a dollar in it is not TeX."""
    text = text.replace("$", r"\$")
    for plain, tex in _MATHS.items():
        text = text.replace(plain, tex)
    return text
