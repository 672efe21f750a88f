"""What analyses declare: nothing else knows their names, and their costs decide what a report does."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import qbsweep
from qbsweep.analysis.declaration import MOST_SECONDS
from qbsweep.analysis.registry import ANALYSES, analyze
from qbsweep.figures.gallery import of_result

PACKAGE = Path(qbsweep.__file__).parent
Make = Callable[..., xr.Dataset]
COUPLINGS = np.geomspace(0.2, 5, 41)


def named(path: Path) -> Iterator[str]:
    """Yield the names and the words of texts in a module; not those of docstrings, nor attributes of other things."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and _starts(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from node.value.split()


def _starts(node: ast.AST) -> bool:
    body = getattr(node, "body", None)
    return bool(body) and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)


@pytest.mark.parametrize("name", ANALYSES)
def test_nothing_else_knows_its_name(name: str) -> None:
    own = Path(inspect.getfile(ANALYSES[name].function))
    line = f"from qbsweep.analysis.{own.stem} import"
    rooms = [path for room in ("analysis", "figures", "api", "cli") for path in (PACKAGE / room).glob("*.py")]
    others = [path for path in rooms if path not in (own, PACKAGE / "analysis" / "registry.py")]
    # An analysis may be built upon another, and `refine` finds the samples of one: such a module imports it by name.
    above = [path for path in others if path.parent.name == "analysis" and line in path.read_text(encoding="utf-8")]
    knowing = [path.name for path in others if path not in above and name in named(path)]
    assert name in named(own)
    assert not knowing


def test_what_is_built_upon_another_is_one() -> None:
    found = [path.name for path in (PACKAGE / "analysis").glob("*.py") if "import OPTIMAL_COUPLING" in path.read_text()]
    assert found == ["scaling.py"]


SWEEP = """
name: all
parameters: {topology: cascaded, kappa: 0.003, epsilon: 0.01}
sweep: {coupling: [nonreciprocal, reciprocal], N: {range: [1, 7]}, J: {geomspace: [0.2, 5, 11], unit: J_op}, r: [0, 1]}
times: {linspace: [0, 10, 21], unit: 1/kappa}
"""


IMPERFECT = """
name: imperfect
parameters: {topology: cascaded, J: {value: 1, unit: J_op}, kappa: 0.003, epsilon: 0.01}
sweep: {N: [3, 5], gamma_ratio: {linspace: [0.2, 1, 9]}, seed: [0, 1]}
times: {linspace: [0, 10, 41], unit: 1/kappa}
"""


def stored(ds: xr.Dataset) -> xr.Dataset:
    """Return a dataset as if it were of a drive that has stopped at once."""
    decaying = ds[["energy_t", "ergotropy_t"]] * 0 + np.exp(-ds["time"])
    for name in decaying:
        decaying[name].attrs = ds[name].attrs
    return ds.assign(decaying).assign_attrs(protocol='[{"drive": [0, 0]}]')


def test_what_is_declared_is_there(sweep: Callable[..., Path]) -> None:
    found: dict[str, list[xr.Dataset]] = {}
    for number, text in enumerate((SWEEP, IMPERFECT)):
        out = sweep(text, f"run-{number}")
        with xr.open_zarr(out / "data.zarr") as ds:
            results, left_out = analyze(stored(ds) if number else ds, quick=True)
        assert bool(left_out) == bool({*ANALYSES} - {*results})
        for name, result in results.items():
            found.setdefault(name, []).append(result)
    assert {*found} == {*ANALYSES}
    for name, results_of in found.items():
        analysis = ANALYSES[name]
        pictured = {picture.variable for picture in analysis.pictures}
        there = {str(variable) for result in results_of for variable in result.data_vars}
        assert pictured | set(analysis.quiet) | set(analysis.labels) <= there
        for result in results_of:
            assert set(analysis.settings) <= set(result.attrs) & set(analysis.options)
        single = [result.isel(seed=0) if "seed" in result.dims else result for result in results_of]
        assert {chart.variable for result in single for chart in of_result(result)} == pictured


def test_options_go_to_those_that_have_them(synthetic: Make, chain_energy: Callable[..., np.ndarray]) -> None:
    ds = synthetic(np.stack([chain_energy(COUPLINGS, n) for n in range(1, 7)]), {"N": range(1, 7), "J": COUPLINGS})
    results, _ = analyze(ds, window=(2, 5))
    assert results["scaling_exponent"].attrs["window"] == [2, 5]
    assert "window" not in results["optimal_coupling"].attrs
    with pytest.raises(TypeError, match="no analysis has an option windows"):
        analyze(ds, windows=(2, 5))


def large(synthetic: Make, **sizes: int) -> xr.Dataset:
    """A dataset of so many points along its axes."""
    dims = {"coupling": ["nonreciprocal", "reciprocal"]} | {name: np.arange(1.0, n + 1) for name, n in sizes.items()}
    energy = np.ones([len(values) for values in dims.values()])
    return synthetic(energy, dims)


def test_a_report_leaves_out_what_takes_long(synthetic: Make) -> None:
    ds = large(synthetic, kappa=1000, J=2)  # 2000 curves of two samples: quick in fact
    results, left_out = analyze(ds, quick=True)
    assert "4,000 points" in str(left_out["optimal_coupling"])
    assert "`qbsweep analyze` does it" in str(left_out["optimal_coupling"])
    assert "nonreciprocal_advantage" in results  # cheaper by a factor of four
    assert "needs an axis `time`" in str(left_out["settling_time"])  # no word of its cost
    assert "optimal_coupling" in analyze(ds)[0]


def test_curves_in_time_are_taken_near_the_optimum_only(synthetic: Make) -> None:
    ds = large(synthetic, J=900)
    J, times = ds["J"].values, np.linspace(0, 12, 61)
    curves = np.broadcast_to(J[:, None] * (1 - np.exp(-times)), (2, 900, 61))
    ds["energy_terminal"] = ds["energy_terminal"] * ds["J"]
    ds = ds.assign(energy_t=(("coupling", "J", "time"), curves)).assign_coords(time=times)
    found = analyze(ds, quick=True)[0]["settling_time"]
    assert "J" not in found.dims
    assert found["J"].item() == J[450]  # not in units of J_op: the middle
    np.testing.assert_allclose(found["settling_time"], np.log(100), rtol=1e-3)
    assert ANALYSES["settling_time"].seconds(ds) > MOST_SECONDS > ANALYSES["settling_time"].seconds(ds.isel(J=0))


def test_knowing_the_analyses_does_not_load_what_they_compute_with() -> None:
    code = "import sys, qbsweep.analysis.registry; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
