"""`import qbsweep as qb`: what a notebook meets first."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import qbsweep as qb

SNIPPET = """
import qbsweep as qb
run = qb.run({"name": "chain", "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01}, "sweep": {"N": [1, 2, 3], "J": {"geomspace": [0.1, 10, 201], "unit": "J_op"}}})
run.dataset.qb.optimal_coupling(); run.dataset.qb.plot("energy_terminal", "J"); run.report()
"""  # noqa: E501


def fresh(code: str, folder: Path) -> str:
    """What a fresh interpreter prints; warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", dedent(code)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_three_lines_of_a_theorist_run_as_they_stand(tmp_path: Path) -> None:
    fresh(SNIPPET, tmp_path)
    assert (tmp_path / "runs" / "chain" / "report.html").stat().st_size > 100_000
    assert len(qb.open(tmp_path / "runs" / "chain").dataset.J) == 201


def test_the_import_loads_nothing_else(tmp_path: Path) -> None:
    code = "import sys; before = set(sys.modules); import qbsweep; print(*sorted(set(sys.modules) - before))"
    loaded = {name.partition(".")[0] for name in fresh(code, tmp_path).split()}
    assert loaded - set(sys.stdlib_module_names) == {"qbsweep"}
    assert not loaded & {"inspect", "dataclasses", "asyncio", "subprocess", "email", "logging"}


@pytest.mark.parametrize("order", ["import qbsweep, xarray as xr", "import xarray as xr; import qbsweep"])
def test_every_dataset_has_qb_whichever_is_imported_first(order: str, tmp_path: Path) -> None:
    code = f"""
        {order}
        assert "plot" in dir(xr.Dataset().qb)
        import importlib
        importlib.reload(qbsweep)
        assert "qb" in dir(xr.Dataset())
    """
    fresh(code, tmp_path)


def test_qb_comes_by_whatever_imports_xarray(tmp_path: Path) -> None:
    code = """
        import qbsweep
        from xarray.core.dataset import Dataset
        Dataset().qb.plot
    """
    fresh(code, tmp_path)


def test_every_name_is_there_and_listed() -> None:
    for name in qb.__all__:
        assert getattr(qb, name) is not None
    assert set(dir(qb)) == set(qb.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = qb.nonsense
