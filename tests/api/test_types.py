"""What type checkers and help see of the package."""

import inspect
from pathlib import Path

import xarray as xr

import qbsweep as qb
from qbsweep.analysis.registry import ANALYSES


def test_types_are_exported() -> None:
    """`make lint` checks how they are used in `typed.py`."""
    assert (Path(qb.__file__).parent / "py.typed").exists()


def test_analyses_are_methods_with_signatures_and_help() -> None:
    accessor = xr.Dataset().qb
    for name, analysis in ANALYSES.items():
        method = getattr(accessor, name)
        assert inspect.ismethod(method)
        assert name in dir(accessor)
        declared = list(inspect.signature(analysis.function).parameters.values())[1:]
        assert list(inspect.signature(method).parameters.values()) == declared
        text = inspect.getdoc(method) or ""
        assert text.startswith((inspect.getdoc(analysis.function) or "").splitlines()[0])
        assert "ds : Dataset" not in text
    assert "horizontal axis" in (inspect.getdoc(accessor.plot) or "")


def test_what_the_front_door_has_is_documented() -> None:
    for name in qb.__all__:
        if name != "__version__":
            assert len(inspect.getdoc(getattr(qb, name)) or "") > 20, name
    for name, method in inspect.getmembers(qb.Run, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.getdoc(method), name
