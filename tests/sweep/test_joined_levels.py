"""Runs with Fock levels: a number is the same level on an axis of numbers and on one that has 'auto' or roles."""

import itertools
import shutil
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qbsweep as qb
from qbsweep.analysis.optimal_coupling import optimal_coupling
from qbsweep.analysis.refine import open_refined
from qbsweep.errors import QbsweepError
from qbsweep.runs import merging
from qbsweep.store import extend
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.sweeps.joining import joined

from ..command import qbsweep
from ..datasets import put

ROLES = {"charger": 3, "battery": 2}
Runs = Callable[..., qb.Run]


def sweep(levels: Any = None, **more: Any) -> dict[str, Any]:
    fixed: dict[str, Any] = {"topology": "cascaded", "N": 1, "J": 0.0015, "kappa": 0.003, "epsilon": 1e-3}
    swept: dict[str, Any] = {}
    for name, value in {"solver": "lindblad", **more, **({} if levels is None else {"fock_levels": levels})}.items():
        (swept if isinstance(value, list) else fixed)[name] = value
    fixed = {name: value for name, value in fixed.items() if name not in swept}
    return {"name": "levels", "parameters": fixed, "sweep": swept, "outputs": ["energy_terminal"]}


def run(out: Path, content: dict[str, Any]) -> qb.Run:
    return qb.run(content, out, executor="serial", progress=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Return a run of some levels, made once."""
    folder, made = tmp_path_factory.mktemp("runs"), dict[str, qb.Run]()

    def of(levels: Any = None, **more: Any) -> qb.Run:
        key = f"{levels} {more}"
        if key not in made:
            made[key] = run(folder / f"{len(made)}", sweep(levels, **more))
        return made[key]

    return of


@pytest.mark.parametrize(
    ("one", "other", "whole"),
    [
        (3, "auto", ["3", "auto"]),
        (3, [3, "auto"], ["3", "auto"]),
        ([3, "auto"], [5], ["3", "auto", "5"]),
        ([3, 5], "auto", ["3", "5", "auto"]),
        ([ROLES, 5], [ROLES, 3], ["charger 3, battery 2", "5", "3"]),
        ([3, 5], 3, [3, 5]),
    ],
)
def test_merged_runs_have_all_points(one: Any, other: Any, whole: list[Any], runs: Runs, tmp_path: Path) -> None:
    parts = runs(one), runs(other)
    merged = qb.merge(*parts, out=tmp_path / "merged")
    assert merged.status()["pending"] == 0
    assert merged.spec.values("fock_levels") == whole
    for part in parts:
        found, back = qb.diff(part, merged), qb.diff(merged, part)
        assert (found.points, found.only_first, found.variables) == (part.status()["points"], 0, {})
        assert (back.points, back.only_second) == (found.points, 0)


def test_a_difference_names_the_levels_that_one_has(runs: Runs) -> None:
    assert qb.diff(runs(3), runs([3, "auto"])).sweep == ["only the second has auto of `fock_levels`"]


@pytest.mark.parametrize(("before", "after"), [(3, [3, "auto"]), ([3, 5], ["auto", 5, 3]), ([3], [ROLES, 3])])
def test_labels_are_added(
    before: Any, after: list[Any], runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(runs(before).path, tmp_path / "out")
    put(out, "solve_seconds", np.s_[...], 7.0)
    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "swap", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(out, sweep(after))
    ds = run(out, sweep(after)).dataset.load()
    assert (ds.status != 0).all()
    old = [str(level) for level in (before if isinstance(before, list) else [before])]
    assert [level for level in ds.fock_levels.values if (ds.solve_seconds.sel(fock_levels=level) == 7).all()] == [
        level for level in ds.fock_levels.values if level in old
    ]


def interrupted(_: RunDirectory) -> None:
    raise KeyboardInterrupt


def test_levels_that_are_gone_are_named(runs: Runs) -> None:
    with pytest.raises(QbsweepError, match="`fock_levels` no longer has 5"):
        run(runs([3, 5]).path, sweep([3, "auto"]))


def test_failures_of_levels_are_kept(runs: Runs, tmp_path: Path) -> None:
    out = shutil.copytree(runs([3, 5]).path, tmp_path / "out")
    put(out, "status", np.s_[1], 2)
    labels = ({"fock_levels": 3}, {"fock_levels": 5})
    (out / "failures.jsonl").write_text(
        "".join(
            f'{{"labels": {{"fock_levels": {one["fock_levels"]}}}, "points": 1, "error": "why"}}\n' for one in labels
        )
    )
    merged = qb.merge(out, runs("auto"), out=tmp_path / "merged")
    assert [failure["labels"] for failure in merged.failures()] == [labels[1]]


def test_moments_take_the_levels_of_others(runs: Runs, tmp_path: Path) -> None:
    moments, three, five = runs(solver="moments"), runs(3), runs(5, tolerance=0.01)
    for number, parts in enumerate(((moments, three), (three, moments))):
        merged = qb.merge(*parts, out=tmp_path / f"{number}")
        assert merged.spec.axes.keys() == {"solver"}
        assert merged.status()["pending"] == 0
        assert qb.diff(merged, moments).points == 1
    merged = qb.merge(three, five, moments, out=tmp_path / "three")
    assert (merged.dataset.status.sel(solver="moments") == 1).all()
    assert merged.status()["pending"] == 2  # levels and tolerance are an axis each
    specs = (moments.spec, runs(7, solver="moments").spec, three.spec, five.spec)
    for order in itertools.permutations(specs):
        assert reduce(joined, order).values("fock_levels") == [3, 5]


def test_failures_of_moments_are_at_all_levels(runs: Runs, tmp_path: Path) -> None:
    failed = run(tmp_path / "failed", sweep(7, solver="moments"))
    put(failed.path, "status", np.s_[...], 2)
    (failed.path / "failures.jsonl").write_text('{"labels": {}, "points": 1, "error": "why"}\n')
    merged = qb.merge(failed, runs([3, 5]), out=tmp_path / "merged")
    assert [failure["labels"] for failure in merged.failures()] == [{"solver": "moments"}]


def test_moments_are_compared_at_all_levels(runs: Runs, tmp_path: Path) -> None:
    both = runs([3, 4], solver=["moments", "lindblad"])
    wrong = run(tmp_path / "wrong", sweep(5, solver="moments"))
    assert qb.diff(both, wrong).variables == {}
    assert qb.merge(wrong, both, out=tmp_path / "right").status()["pending"] == 0
    put(wrong.path, "energy_terminal", np.s_[...], 0.1)
    for parts, only in (((both, wrong), (2, 0)), ((wrong, both), (0, 2))):
        found = qb.diff(*parts)
        assert (found.points, found.compared, found.only_first, found.only_second) == (2, 2, *only)
        labels = found.variables["energy_terminal"]["absolute"]["labels"]
        assert labels == {"solver": "moments", "fock_levels": 3}
        said = qbsweep("merge", *(one.path for one in parts), "--out", tmp_path / "out").sentence(*tmp_path.iterdir())
        assert "contradict each other in 2 numbers: `energy_terminal` at solver moments, fock_levels 3" in said
    assert not (tmp_path / "out").exists()


def test_samples_know_the_labels(tmp_path: Path) -> None:
    def content(levels: list[Any]) -> dict[str, Any]:
        return sweep(levels, J=[5e-4, 1e-3, 1.5e-3, 2e-3, 3e-3], solver="moments")

    run(tmp_path / "out", content([3, 4])).refine(1e-3, progress=False)
    before = open_refined(tmp_path / "out")
    extended = run(tmp_path / "out", content([3, 4, "auto"]))
    samples = open_refined(tmp_path / "out")
    assert before is not None
    assert samples is not None
    assert samples.fock_levels.values.tolist() == ["3", "4"]
    errors = optimal_coupling(extended.dataset, refined=samples).J_op_error
    assert np.isfinite(errors).values.tolist() == [True, True, False]
    extended.refine(1e-3, progress=False)


def test_what_would_be_lost_is_refused(runs: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(QbsweepError, match="the results at `fock_levels` 5 have no place in the new dataset"):
        extend.fill(Store(runs(3).data), [Store(runs([3, 5]).data)])
    monkeypatch.setattr(merging, "fill", lambda merged, stores: extend.fill(merged, stores[:1]))
    a, b = runs(3).path, runs([3, "auto"]).path
    assert qbsweep("merge", a, b, "--out", tmp_path / "out").sentence() == (
        "1 solved point would be lost; nothing was written"
    )
    assert not [*tmp_path.iterdir()]
