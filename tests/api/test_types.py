"""What type checkers and help see of the package."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.analysis.registry import ANALYSES

RIGHT = """
from pathlib import Path

import qbsweep as qb
from qbsweep import Run, run

done: Run = run({"name": "a"}, "out", workers=2)
spec: qb.SweepSpec = qb.sweep(name="a", sweep={"N": [1]})
path: Path = done.report()
points: int = qb.plan(spec).points
names: list[str] = list(done.analyze())
reveal_type(qb.solve)
"""
WRONG = """
import qbsweep as qb

qb.run({"name": "a"}, workers="two")
qb.open("a").reprt()
qb.nonsense()
"""
OTHERS = ("numpy", "scipy", "xarray", "pandas", "pydantic", "rich", "zarr", "dask", "distributed", "holoviews", "panel")


def mypy(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "user.py").write_text(text)
    others = "".join(f"[mypy-{name}.*]\nfollow_imports = skip\n" for name in OTHERS)
    (folder / "mypy.ini").write_text(f"[mypy]\n{others}")  # whose types take long to read
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(folder / "cache"), "user.py"]
    root = str(Path(qb.__file__).parents[1])
    return subprocess.run(
        command, cwd=folder, env={"MYPYPATH": root, "PATH": "/usr/bin"}, capture_output=True, text=True, timeout=110
    )


@pytest.mark.slow
def test_types_are_exported(tmp_path: Path) -> None:
    assert (Path(qb.__file__).parent / "py.typed").exists()
    done = mypy(RIGHT + WRONG.replace("import qbsweep as qb\n", ""), tmp_path)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line and line.startswith("user.py")]
    assert len(errors) == 3, done.stdout
    for error, name in zip(errors, ("workers", "reprt", "nonsense"), strict=True):
        assert name in error
    assert "network: qbsweep.physics.network.Network, *, times: Any" in done.stdout


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
