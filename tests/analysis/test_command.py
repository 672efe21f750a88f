"""`qbsweep analyze`: what it prints, what it leaves behind, and mistakes."""

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.figures.gallery import of_dataset, of_result
from qbsweep.physics import closed_forms
from qbsweep.runs import loop, opening
from qbsweep.runs.best import best_points
from qbsweep.store.dataset import Store
from qbsweep.store.replace import recover_tree
from qbsweep.store.scratch import replace_tree
from qbsweep.sweeps.spec import load_spec

from ..command import Outcome, qbsweep
from ..datasets import put


def analyze(*arguments: object) -> Outcome:
    return qbsweep("analyze", *arguments)


FIG3 = """
name: run
parameters: {kappa: 0.003, epsilon: 0.01}
sweep:
  topology: [cascaded, parallel]
  coupling: [nonreciprocal, reciprocal]
  N: {range: [1, 5]}
  J: {geomspace: [0.03125, 32, 101], unit: J_op}
"""


@pytest.fixture
def fig3(sweep: Callable[[str], Path]) -> Path:
    """A smaller one."""
    return sweep(FIG3)


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A run directory with an analysis, and what the command said."""
    folder = tmp_path_factory.mktemp("analyzed")
    (folder / "sweep.yaml").write_text(FIG3)
    with opening.locked(folder / "run") as directory:
        loop.run_blocks(directory, opening.prepare(load_spec(folder / "sweep.yaml"), directory), loop.serial)
    return folder / "run", analyze(folder / "run")


def test_tables_and_files(analyzed: tuple[Path, Outcome]) -> None:
    fig3, (code, out, err) = analyzed
    assert (code, err) == (0, "")
    for text in ("optimal_coupling", "plateau", "scaling_exponent", "ratio_at_J_op", "open above", "1.5187257"):
        assert text in out
    assert "ergotropy_fraction: 1 at all 2,020 points" in out
    assert "not for the axes of this dataset: enhancement (`r`), settling_time (`time`)," in out
    assert "not done" not in out
    names = {path.name for path in (fig3 / "analysis").iterdir()}
    done = {"optimal_coupling", "scaling_exponent", "odd_even_ratio", "nonreciprocal_advantage", "ergotropy_fraction"}
    assert names == {"analysis.zarr", *(f"{name}.csv" for name in done)}


def test_the_datasets_open_without_a_warning(analyzed: tuple[Path, Outcome]) -> None:
    path = analyzed[0] / "analysis" / "analysis.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(path, group="optimal_coupling") as best, xr.open_datatree(path, engine="zarr") as tree:
            assert set(tree.children) >= {"optimal_coupling", "scaling_exponent"}
            for node in tree.children.values():
                for variable in node.to_dataset().variables.values():
                    assert {"units", "long_name"} <= set(variable.attrs)
            one = best.load().sel(topology="cascaded", coupling="nonreciprocal", N=4)
    exact = float(closed_forms.cascaded_optimal_coupling(4, 0.003))
    assert abs(one["J_op"].item() - exact) <= one["J_op_error"].item() < 1e-2 * exact


def test_the_tables_are_csv(analyzed: tuple[Path, Outcome]) -> None:
    table = pd.read_csv(analyzed[0] / "analysis" / "optimal_coupling.csv")
    assert len(table) == 20
    assert table.columns[:4].tolist() == ["topology", "coupling", "N", "J_op"]
    assert (table["verdict"] == "plateau").sum() == 2


def test_json(fig3: Path) -> None:
    code, out, _ = analyze(fig3, "--json")
    content = json.loads(out)
    assert code == 0
    rows = content["results"]["optimal_coupling"]
    assert len(rows) == 20
    assert rows[0]["J_op"] == pytest.approx(0.0015)
    assert next(row for row in rows if row["verdict"] == "plateau")["J_op"] is None
    missing = {"enhancement", "settling_time", "charging_power", "ensemble", "sensitivity", "storage_time"}
    assert set(content["left_out"]) == missing


def test_refinement_and_window(fig3: Path) -> None:
    code, out, err = analyze(fig3, "--refine", "1e-9", "--window", "2", "5")
    assert (code, err) == (0, "")
    assert "window [2, 5]" in out
    assert "data.zarr/refined" in out
    with xr.open_zarr(fig3 / "analysis" / "analysis.zarr", group="optimal_coupling") as best:
        assert ((best["J_op_error"] <= 1e-9 * best["J_op"]) | best["J_op"].isnull()).all()
    with xr.open_zarr(fig3 / "analysis" / "analysis.zarr", group="scaling_exponent") as found:
        assert found["n_values"].values.max() == 4
    assert "data.zarr/refined" in analyze(fig3)[1]  # they are used from now on


@pytest.mark.parametrize(
    "window", [("--window", "2,5"), ("--window", "2:5"), ("--window=2,5",), ("--window", "2", "5")]
)
def test_a_window_in_one_word_or_two(analyzed: tuple[Path, Outcome], window: tuple[str, ...]) -> None:
    code, out, err = analyze(*window, analyzed[0], "--json")
    assert (code, err) == (0, "")
    assert {row["n_values"] for row in json.loads(out)["results"]["scaling_exponent"]} == {2, 4}


def test_results_are_replaced_and_files_of_others_stay(fig3: Path) -> None:
    folder = fig3 / "analysis"
    folder.mkdir()
    (folder / "analysis.zarr").mkdir()
    for name in ("notes.txt", "settling_time.csv", "analysis.zarr/old"):  # the second is not done now
        (folder / name).write_text("mine")
    analyze(fig3)
    assert not (folder / "analysis.zarr" / "old").exists()
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "settling_time.csv").exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_an_interrupted_replacement_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "analysis.zarr"
    path.mkdir()
    (path / "whole").write_text("")

    def fails(scratch: Path) -> None:
        scratch.mkdir()
        (scratch / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_tree(path, fails)
    assert [p.name for p in path.iterdir()] == ["whole"]
    path.rename(path.with_name(".analysis.zarr.previous"))  # killed between the two renames
    recover_tree(path)
    assert (path / "whole").exists()
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]


def test_points_left_out_are_told(sweep: Callable[[str], Path]) -> None:
    out = sweep(
        "name: run\nparameters: {kappa: 0.003, epsilon: 0.01, topology: cascaded, N: 2}\n"
        "sweep: {J: {geomspace: [1e-3, 5e-3, 12]}}\n"
    )
    put(out, "status", ..., [1, 2, 3, 3, *[1] * 8])
    code, text, _ = analyze(out)
    assert code == 0
    assert "left out of everything: 1 failed, 2 suspect points" in text
    assert "masked_points" in text


def test_a_dataset_for_which_there_is_little_to_do(sweep: Callable[[str], Path]) -> None:
    out = sweep(
        "name: run\nparameters: {kappa: 0.003, epsilon: 0.01, topology: cascaded, N: 2, J: 1e-3}\n"
        "sweep: {n_th: [0]}\noutputs: [energy]\n"
    )
    code, text, err = analyze(out)
    assert (code, err) == (0, "")
    (lacking,) = (line for line in text.splitlines() if line.startswith("not for the axes of this dataset"))
    assert re.findall(r"(\w+) \(", lacking.replace(" (or,", "")) == [
        "optimal_coupling",
        "scaling_exponent",
        "odd_even_ratio",
        "nonreciprocal_advantage",
        "enhancement",
        "settling_time",
        "charging_power",
        "ensemble",
        "sensitivity",
        "storage_time",
    ]
    assert text.count("not done: ergotropy_fraction needs the variable") == text.count("not done:") == 1


def test_a_protocol_that_ends_in_storage(sweep: Callable[..., Path]) -> None:
    """What is empty in the end is not what it is about."""
    out = sweep(
        "name: run\nparameters: {kappa: 0.003, epsilon: 0.01, topology: cascaded, N: 1, J: 1e-3}\n"
        "sweep: {t_off: {linspace: [2, 6, 3], unit: 1/kappa}}\ntimes: {linspace: [0, 12, 61], unit: 1/kappa}\n"
        "protocol: [{until: t_off}, {drive: 0}]\n"
    )
    run = qb.open(out)
    assert best_points(Store(out / "data.zarr")) is None
    assert {chart.variable for chart in of_dataset(run.dataset)} == {"energy_t"}
    code, text, err = analyze(out)
    assert (code, err) == (0, "")
    for told in ("ergotropy_fraction: no value at all 3 points", "settling_time: no data at all 3 points"):
        assert told in text
    found = run.dataset.qb.storage_time()
    pictures = [(chart.variable, chart.x) for chart in of_result(found)]
    assert pictures == [("energy_half_life", "t_off"), ("energy_stored", "t_off")]


def test_squeezed_baths(sweep: Callable[[str], Path]) -> None:
    out = sweep(
        "name: run\nparameters: {N: 2, J: {value: 1, unit: J_op}, kappa: 0.003, epsilon: 0.001}\n"
        "sweep: {topology: [cascaded, parallel], coupling: [nonreciprocal, reciprocal],"
        " realization: [phase-half-pi, phase-zero], r: [0, 0.5]}\n"
    )
    assert analyze(out)[0] == 0
    with xr.open_zarr(out / "analysis" / "analysis.zarr", group="enhancement") as found:
        found.load()
    # Reference values of (E, ergotropy) at r = 0.5, to the digits given.
    chain = found.sel(topology="cascaded", coupling="nonreciprocal", r=0.5)
    assert chain["enhancement"].values == pytest.approx(0.329358 / 0.0578177, rel=1e-5)
    expected = [1.0, 0.058491 / 0.329358]
    np.testing.assert_allclose(chain["ergotropy_fraction"], expected, rtol=1e-5)
    exact = closed_forms.squeezed_energy(0.0578177, 0.5) / 0.0578177
    np.testing.assert_allclose(chain["enhancement"], exact, rtol=1e-5)
    star = found.sel(topology="parallel", coupling="nonreciprocal", r=0.5)
    np.testing.assert_allclose(star["ergotropy_fraction"], [1.0, 0.196598 / 0.323873], rtol=1e-5)
    reciprocal = found.sel(coupling="reciprocal", r=0.5, realization="phase-zero")
    np.testing.assert_allclose(reciprocal["ergotropy_fraction"], [0.157737 / 0.349874, 0.193805 / 0.327096], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "not a run directory"),
        (("{run}", "--refine", "7"), "between 0 and 1"),
        (("{run}", "--window", "4"), "--window"),
        (("--window", "2,x", "{run}"), "like 10,50, but is '2,x'"),
        (("{run}", "--nonsense"), "--nonsense"),
    ],
)
def test_mistakes_are_one_sentence(analyzed: tuple[Path, Outcome], arguments: tuple[str, ...], message: str) -> None:
    code, out, err = analyze(*(argument.format(run=analyzed[0]) for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
