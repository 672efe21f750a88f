"""Sweeps from Python: what they are made of, what a run can do, and what is said of mistakes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.cli.main import app
from qbsweep.runs import loop
from qbsweep.runs.block import Report, Task
from qbsweep.solvers import moments

from ..command import Outcome

CHAIN = {
    "name": "chain",
    "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01},
    "sweep": {"N": [1, 2, 3], "J": {"geomspace": [0.1, 10, 41], "unit": "J_op"}},
}
YAML = """
name: chain
parameters: {topology: cascaded, kappa: 0.003, epsilon: 0.01}
sweep: {N: [1, 2, 3], J: {geomspace: [0.1, 10, 41], unit: J_op}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> qb.Run:
    return qb.run(CHAIN, tmp_path_factory.mktemp("chain") / "out", executor="serial", progress=False)


# What a sweep is given as


def test_a_dictionary_a_file_keywords_and_a_sweep_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "chain.yaml"
    file.write_text(YAML)
    digests = {
        spec.digest()
        for spec in (qb.sweep(CHAIN), qb.sweep(**CHAIN), qb.sweep(str(file)), qb.load(file), qb.sweep(qb.load(file)))
    }
    assert len(digests) == 1


def test_arrays_and_numbers_of_numpy_are_values() -> None:
    plain = qb.sweep(
        name="a",
        parameters={"topology": "parallel", "kappa": 0.003, "epsilon": 0.01},
        sweep={"N": [1, 2], "J": [0.1, 0.2], "n_th": [0.5]},
        times=[0.0, 1.0],
        outputs=["energy_t"],
    )
    arrays = qb.sweep(
        name=np.str_("a"),
        parameters={"topology": "parallel", "kappa": np.float64(0.003), "epsilon": np.array(0.01)},
        sweep={"N": np.arange(1, 3), "J": np.array([0.1, 0.2]), "n_th": xr.DataArray([0.5], dims="n_th")},
        times=np.array([0.0, 1.0]),
        outputs=("energy_t",),
    )
    assert arrays.digest() == plain.digest()


def test_a_network_is_given_as_it_is(tmp_path: Path) -> None:
    ring = qb.Network(
        kappa=(1.0, 1.0, 1.5),
        edges=(qb.Edge(0, 1, 1.0, Gamma=2.0, theta=0.3), qb.Edge(1, 2, 1.0), qb.Edge(0, 2, 0.5, theta=1.0)),
        detuning=(0.0, 0.01, 0.0),
    )
    fixed = {"topology": "ring", "N": 2, "kappa": 0.05, "epsilon": 0.01, "n_th": 0.2, "r": 0.3}
    content = {"name": "ring", "parameters": fixed, "sweep": {"J": [0.1, 0.2]}, "networks": {"ring": ring}}
    found = qb.run(content, tmp_path / "out", executor="serial", progress=False).dataset
    alone = qb.solve(ring, J=[0.1, 0.2], kappa=0.05, epsilon=0.01, n_th=0.2, r=0.3)
    np.testing.assert_array_equal(found.energy_terminal, alone.energy_terminal)
    amplitudes = qb.cascaded(2, realization="phase-zero")
    with pytest.raises(qb.QbsweepError, match="p_u = p_v = 1"):
        qb.sweep(content | {"networks": {"ring": amplitudes}})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (CHAIN | {"sweeep": {}}, "key 'sweeep' is not known; did you mean 'sweep'?"),
        (
            CHAIN | {"sweep": {"N": np.array([1.0, 2.5]), "J": 1.0}},
            r"`N` must be a whole number \(write 1\), but axis value 1 is 1.0",
        ),
        (CHAIN | {"parameters": {**CHAIN["parameters"], "gamma": 1}}, "`Gamma` of an edge is given in"),
        ({}, "`name` is missing"),
        (3, "must be a dictionary, the path of a file, or keyword arguments, but is a int"),
        ("nowhere.yaml", r"nowhere\.yaml does not exist"),
    ],
)
def test_a_mistake_is_the_sentence_that_a_file_gets(content: Any, sentence: str) -> None:
    for ask in (qb.sweep, qb.plan, lambda sweep: qb.run(sweep, progress=False)):
        with pytest.raises(qb.QbsweepError, match=sentence) as caught:
            ask(content)
        assert str(caught.value).count("\n") < 2


def test_a_sweep_is_given_once() -> None:
    with pytest.raises(qb.QbsweepError, match="not by both"):
        qb.sweep(CHAIN, name="other")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"workers": 0}, "`workers` must be above 0, but is 0"),
        ({"executor": "loacl"}, "'loacl' is no executor"),
        ({"block_seconds": -1.0}, "`block_seconds` must be above 0"),
    ],
)
def test_options_are_checked_before_anything_is_written(options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(qb.QbsweepError, match=sentence):
        qb.run(CHAIN, tmp_path / "out", progress=False, **options)
    assert not (tmp_path / "out").exists()


# What a run can do


def test_the_dataset_is_opened_as_it_is_now(tmp_path: Path) -> None:
    first = qb.run(CHAIN, tmp_path, executor="serial", progress=False)
    assert dict(first.dataset.sizes) == {"N": 3, "J": 41, "mode": 4}
    assert first.dataset.energy_terminal.notnull().all()
    more = CHAIN | {"sweep": {**CHAIN["sweep"], "N": [1, 2, 3, 4]}}
    again = qb.run(more, tmp_path, executor="serial", progress=False)
    assert first.dataset.sizes["N"] == again.dataset.sizes["N"] == 4
    assert again.spec.digest() == qb.sweep(more).digest()


def test_a_run_is_quiet_when_asked(run: qb.Run, capsys: pytest.CaptureFixture[str]) -> None:
    qb.run(CHAIN, run.path, executor="serial", progress=False)
    assert capsys.readouterr() == ("", "")


def test_states_and_plans_are_data_and_tables(run: qb.Run) -> None:
    status = run.status()
    assert run.complete
    assert status == json.loads(json.dumps(status))
    assert (status["state"], status["points"], status["ok"], status["exit_code"]) == ("complete", 123, 123, 0)
    assert "123: 123 ok" in str(status)
    assert "<td" in status._repr_html_()
    assert "complete" in str(run)
    assert str(run.path) in repr(run)
    plan = qb.plan(CHAIN)
    assert (plan.points, plan.shape) == (123, (3, 41))
    assert "123 (N 3 x J 41)" in str(plan)
    assert "on 7 cores" in plan.rows(7)["time"]


def test_best_points_are_marked_at_the_edge(run: qb.Run, tmp_path: Path) -> None:
    best = run.best()
    assert best is not None
    assert [row[0] for row in best.rows] == ["1", "2", "3"]
    assert "edge" not in str(best)
    rising = CHAIN | {"sweep": {"N": list(range(1, 41)), "J": {"geomspace": [0.01, 0.5, 5], "unit": "J_op"}}}
    best = qb.run(rising, tmp_path, executor="serial", progress=False).best()
    assert best is not None
    assert all(row[-1] == "0.5 (edge)" for row in best.rows)
    assert best.note.startswith("and 24 more rows")
    assert str(best).endswith(best.note)


def test_analyses_are_written_and_given(run: qb.Run) -> None:
    results = run.analyze()
    assert set(results) >= {"optimal_coupling", "scaling_exponent"}
    assert "enhancement" in results.left_out
    written = xr.open_datatree(results.path, engine="zarr")
    xr.testing.assert_identical(written["optimal_coupling"].to_dataset().load(), results["optimal_coupling"].load())
    assert (results.path.parent / "optimal_coupling.csv").exists()
    assert "enhancement (`r`)" in repr(results)
    assert "<table>" in results._repr_html_()
    windowed = run.analyze(window=(1, 2))
    assert windowed["scaling_exponent"].attrs["window"] == [1, 2]


def test_refinement_is_used_by_the_analyses(run: qb.Run) -> None:
    refined = run.refine(1e-9, progress=False)
    assert float((refined.J_op_error / refined.J_op).max()) < 1e-9
    xr.testing.assert_identical(run.analyze()["optimal_coupling"].J_op.load(), refined.J_op.load())
    with pytest.raises(qb.QbsweepError, match="between 0 and 1"):
        run.refine(2.0, progress=False)


def test_the_report_is_one_page(run: qb.Run, tmp_path: Path) -> None:
    assert run.report() == run.path / "report.html"
    page = run.report(tmp_path / "page.html", png=True)
    assert page.read_text().startswith("<!doctype html>")
    assert list((run.path / "figures").glob("*.png"))


def test_a_view_to_explore(run: qb.Run) -> None:
    view = run.explore()
    assert "energy_terminal" in repr(view)


def test_failures_say_which_points_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = moments.SOLVER.solve

    def fails(points: Any, outputs: Any) -> Any:
        if points.network.n_batteries == 2:
            raise ArithmeticError("no convergence")
        return whole(points, outputs)

    broken = type(moments.SOLVER)(moments.SOLVER.outputs, fails, moments.SOLVER.cost)
    with monkeypatch.context() as patched:
        patched.setattr("qbsweep.runs.box.solver", lambda name: broken)
        run = qb.run(CHAIN, tmp_path, executor="serial", progress=False)
    assert run.status()["failed"] == 41
    assert {failure["labels"]["N"] for failure in run.failures()} == {2}
    assert "no convergence" in run.failures()[0]["error"]
    qb.run(CHAIN, tmp_path, executor="serial", progress=False)
    assert run.status()["failed"] == 41
    qb.run(CHAIN, tmp_path, executor="serial", progress=False, retry_failed=True)
    assert run.status()["failed"] == 0


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(tasks: Any) -> Any:
        for number, report in enumerate(whole(tasks)):
            yield report
            if number == 1:
                raise KeyboardInterrupt

    whole: Callable[[Any], Any] = loop.serial
    with monkeypatch.context() as patched:
        patched.setattr(loop, "serial", stops)
        with pytest.raises(KeyboardInterrupt):
            qb.run(CHAIN, tmp_path, executor="serial", block_seconds=1e-6, progress=False)
    run = qb.open(tmp_path)
    assert run.status()["state"] == "interrupted"
    assert 0 < run.status()["finished"] < 123
    solved: list[Task] = []

    def counts(tasks: Any) -> Any:
        for report in whole(tasks):
            solved.append(report)
            yield report

    with monkeypatch.context() as patched:
        patched.setattr(loop, "serial", counts)
        assert qb.run(CHAIN, tmp_path, executor="serial", progress=False).complete
    assert all(isinstance(report, Report) for report in solved)
    assert sum(report.points for report in solved) < 123


def test_what_is_no_run_is_said(tmp_path: Path, run: qb.Run) -> None:
    with pytest.raises(qb.QbsweepError, match="not a run directory"):
        qb.open(tmp_path)
    for ask in (run.cancel, run.logs):
        with pytest.raises(qb.QbsweepError, match="not submitted"):
            ask()


def test_scripts_of_jobs_are_shown_without_a_cluster(tmp_path: Path) -> None:
    scripts = qb.job_scripts(CHAIN, tmp_path / "out", workers=2, time="2h")
    assert {path.name for path in scripts} == {"driver.sh", "workers.sh"}
    assert all(text.startswith("#!") for text in scripts.values())
    assert not (tmp_path / "out").exists()


def test_the_schema_is_data() -> None:
    assert qb.json_schema()["properties"]["sweep"]


def test_no_command_is_out_of_reach() -> None:
    """Every command that is not hidden has its function or method in Python."""
    infos = [
        *app.registered_commands,
        *(c for group in app.registered_groups for c in group.typer_instance.registered_commands),
    ]
    names = {info.name for info in infos if not info.hidden}
    reach = {name for name in names if hasattr(qb, name) or hasattr(qb.Run, name)} | {"schema"}
    assert names == reach
    assert callable(qb.json_schema)


def test_what_a_run_ends_with_can_be_pasted(qbsweep: Callable[..., Outcome], tmp_path: Path) -> None:
    file = tmp_path / "chain.yaml"
    file.write_text(YAML)
    out = tmp_path / "a b $c"
    outcome = qbsweep("run", file, "--out", out)
    assert f"next: qbsweep analyze '{out}'; qbsweep report '{out}'" in outcome.out
