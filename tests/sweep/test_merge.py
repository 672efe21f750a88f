"""`merge` and `diff`: runs beside each other, matched by the values of their parameters."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.sweeps.joining import matched

from ..command import qbsweep
from ..datasets import put, to_format_2

J = [1e-3, 2e-3, 4e-3]


def sweep(
    J: list[float] = J, N: list[int] | int = 2, kappa: float = 0.003, outputs: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    fixed: dict[str, Any] = {"topology": "cascaded", "kappa": kappa, "epsilon": 0.01}
    swept: dict[str, Any] = {"J": J, "n_th": [0, 1]}
    (swept if isinstance(N, list) else fixed)["N"] = N
    content = {
        "name": "small",
        "parameters": fixed,
        "sweep": swept,
        "outputs": outputs or ("energy_terminal", "energy"),
    }
    return {**content, **more}


def run(out: Path, **options: Any) -> Path:
    qb.run(sweep(**options), out, executor="serial", progress=False)
    return out


@pytest.fixture(scope="module")
def a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("a") / "a")


def numbers(out: Path) -> xr.Dataset:
    return qb.open(out).dataset.drop_vars("solve_seconds").drop_attrs(deep=False).load()


@pytest.mark.parametrize(
    ("options", "whole", "pending"),
    [
        ({"J": [5e-4, 2e-3, 8e-3]}, {"J": [5e-4, 1e-3, 2e-3, 4e-3, 8e-3]}, 0),
        ({"kappa": 0.004}, {"kappa": [0.003, 0.004]}, 0),
        ({"N": [1, 3]}, {"N": [1, 2, 3]}, 0),
        ({"N": 3, "J": [1e-3, 3e-3]}, {"N": [2, 3], "J": [1e-3, 2e-3, 3e-3, 4e-3]}, 6),
    ],
)
def test_the_points_of_both(
    options: dict[str, Any], whole: dict[str, Any], pending: int, a: Path, tmp_path: Path
) -> None:
    b, c = run(tmp_path / "b", **options), tmp_path / "c"
    code, text, _ = qbsweep("merge", a, b, "--out", c)
    assert code == 0
    assert f"{pending} pending" in text
    content = sweep(**{name: value for name, value in whole.items() if name != "kappa"})
    if "kappa" in whole:
        content["sweep"]["kappa"] = content["parameters"].pop("kappa") and whole["kappa"]
    assert qb.open(c).spec.digest() == qb.sweep(content).digest()
    assert qbsweep("check", c)[0] == 0
    qb.run(content, c, executor="serial", progress=False)
    qb.run(content, tmp_path / "d", executor="serial", progress=False)
    assert numbers(c).identical(numbers(tmp_path / "d"))
    sources = json.loads(qb.open(c).dataset.attrs["merges"])
    assert [source["path"] for source in sources] == [str(a), str(b)]


def test_values_that_differ_in_the_last_digit_are_one(a: Path, tmp_path: Path) -> None:
    b = run(tmp_path / "b", J=[float(np.nextafter(2e-3, 1)), 3e-3])
    code, text, _ = qbsweep("merge", a, b, "--out", tmp_path / "c")
    assert code == 0
    assert f"{b}: `J`: 0.0020000000000000005 is taken as 0.002\n" in text
    assert qb.open(tmp_path / "c").spec.values("J") == [1e-3, 2e-3, 3e-3, 4e-3]
    assert qb.open(tmp_path / "c").complete


def test_many_such_values_are_one_line(a: Path, tmp_path: Path) -> None:
    b = run(tmp_path / "b", J=[1e-3, 2e-3 * (1 + 4e-16), 4e-3 * (1 - 8e-16)])
    said = "`J`: 2 values are taken as ones beside them; 0.003999999999999997 and 0.004 differ most\n"
    assert qbsweep("diff", a, b)[1].startswith(said)
    assert qbsweep("merge", a, b, b, "--out", tmp_path / "c")[1].count(f"{b}: {said}") == 2


def test_matched() -> None:
    up = float(np.nextafter(1.0, 2))
    assert matched([1.0, up], [up, 1.0]).tolist() == [1, 0]
    assert matched([1.0, up], [1.0]).tolist() == [0, -1]
    assert matched([up], [1.0, 2.0]).tolist() == [0]
    assert matched(["a", "b"], ["b"]).tolist() == [-1, 0]
    assert matched([1, 2], [2.0, 3.0]).tolist() == [-1, 0]
    assert matched([1.0 + 1e-12], [1.0]).tolist() == [-1]


def test_the_better_of_two_points(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    put(a, "status", np.s_[0, :], 2)
    put(a, "energy_terminal", np.s_[0, :], np.nan)
    put(a, "status", np.s_[1, 0], 3)
    put(a, "energy_terminal", np.s_[1, 0], 7.0)
    put(b, "status", np.s_[2, :], 0)
    (a / "failures.jsonl").write_text('{"labels": {"J": 0.001}, "points": 1, "error": "why"}\n')
    for number, runs in enumerate(((a, b), (b, a))):
        merged = qb.merge(*runs, out=tmp_path / f"{number}")
        assert merged.status()["ok"] == 6
        assert merged.dataset.energy_terminal.max() < 7
        assert merged.failures() == []  # another run has solved its points


def test_failures_of_both_know_their_new_axis(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b", kappa=0.004)
    put(b, "status", np.s_[0, 1], 2)
    lines = [
        {"block": 0, "attempt": 1, "labels": labels, "points": 1, "error": "why"}
        for labels in ({"J": 0.001, "n_th": 1}, {"J": 0.002, "n_th": [0, 1]}, {}, {"J": [{}]}, {"J": 7.0})
    ]
    for out in (a, b):
        (out / "failures.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    merged = qb.merge(a, b, out=tmp_path / "c")
    of_b = [failure["labels"] for failure in merged.failures() if failure["labels"]["kappa"] == 0.004]
    assert of_b == [{"kappa": 0.004, **lines[i]["labels"]} for i in (0, 2, 3, 4)]
    assert qb.open(tmp_path / "c").check().notes == []


def test_what_the_new_run_lacks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = run(Path("a")), run(Path("b"), J=[5e-3, 6e-3], kappa=0.004)
    qb.open(a).refine(tolerance=0.5, progress=False)
    code, text, _ = qbsweep("merge", a, b, "--out", "c")
    assert code == 0
    assert "10 of the 20 points of the merged run are solved in none of these runs, and pending\n" in text
    again = "`qbsweep analyze c --refine 1e-9` adds some to the new run"
    assert f"the samples that `analyze --refine` has added to a are not merged; {again}\n" in text
    assert text.splitlines()[-2] == "10 ok, 0 suspect, 0 failed, 10 pending"


def test_contradictions_are_named_and_nothing_is_written(a: Path, tmp_path: Path) -> None:
    b = run(tmp_path / "b")
    value = float(numbers(b).energy_terminal[1, 0])
    put(b, "energy_terminal", np.s_[1, 0], value * (1 + 1e-11))
    qb.merge(a, b, out=tmp_path / "c")
    put(b, "energy_terminal", np.s_[1, 0], value * 1.5)
    said = qbsweep("merge", a, b, "--out", tmp_path / "d").sentence(a, b)
    assert "contradict each other in 1 number: `energy_terminal` at J 0.002, n_th 0 differs by" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]


def test_the_new_run_agrees_with_all_its_parts(tmp_path: Path) -> None:
    """Values that are one with a third, but not with each other, come to one place."""
    a, b, c = (run(tmp_path / name, J=[2e-3 * (1 + apart)]) for name, apart in (("a", 1e-15), ("b", 0), ("c", -1e-15)))
    qb.merge(b, a, c, out=tmp_path / "d")
    put(b, "status", np.s_[0, 0], 0)
    put(c, "energy_terminal", np.s_[0, 0], 1.0)
    said = qbsweep("merge", b, a, c, "--out", tmp_path / "e").sentence(a, b, c)
    assert "e and " in said
    assert "c contradict each other in 1 number: `energy_terminal` at J 0.002, n_th 0 differs by" in said
    assert not (tmp_path / "e").exists()


def test_one_point_that_is_pending(a: Path, tmp_path: Path) -> None:
    b = run(tmp_path / "b")
    put(b, "status", np.s_[1, 0], 0)
    text = qbsweep("merge", b, b, "--out", tmp_path / "c")[1]
    assert text.startswith("1 of the 6 points of the merged run is solved in none of these runs, and pending\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"outputs": ("energy_terminal",)}, "`outputs` are energy_terminal, energy in one and energy_terminal in"),
        (
            {"outputs": ("energy_terminal", "energy", "energy_t"), "times": {"linspace": [0, 1, 3], "unit": "1/kappa"}},
            "`times` differ",
        ),
        ({"J": {"values": [1, 2], "unit": "J_op"}}, "the unit of `J` is omega in one and J_op in the other"),
    ],
)
def test_what_no_axis_can_hold(options: dict[str, Any], why: str, a: Path, tmp_path: Path) -> None:
    b = run(tmp_path / "b", **options)
    said = qbsweep("merge", a, b, "--out", tmp_path / "c").sentence(a, b)
    assert said.startswith("the runs are of sweeps that cannot be merged: ")
    assert why in said
    assert why in qbsweep("diff", a, b)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_grid_that_is_no_sweep(a: Path, tmp_path: Path) -> None:
    content = sweep()
    content["parameters"] |= {"solver": "lindblad", "kerr": 1e-3, "fock_levels": 2}
    b = qb.run(content, tmp_path / "b", executor="serial", progress=False).path
    assert qbsweep("merge", a, b, "--out", tmp_path / "c").sentence(a, b) == (
        "the runs cannot be merged: one grid with all their points is no sweep, as `kerr` is 0.001, which needs "
        "`solver: lindblad`: the moment solver is for Gaussian networks only; nothing was written"
    )


def test_packs_three_runs_and_an_earlier_format(a: Path, tmp_path: Path) -> None:
    b, c = run(tmp_path / "b", J=[8e-3]), run(tmp_path / "c", J=[9e-3])
    to_format_2(c)
    merged = qb.merge(qb.open(a).pack(tmp_path / "a.qbz"), qb.open(b), c, out=tmp_path / "all")
    assert merged.status()["ok"] == 10
    assert "needs two runs" in qbsweep("merge", b, "--out", tmp_path / "x").sentence(b)
    assert "exists already" in qbsweep("merge", b, b, "--out", tmp_path / "b").sentence(b)


def test_a_merged_run_is_extended(a: Path, tmp_path: Path) -> None:
    qb.merge(a, run(tmp_path / "b", J=[8e-3]), out=tmp_path / "c")
    qb.run(sweep(J=[*J, 8e-3, 9e-3]), tmp_path / "c", executor="serial", progress=False)
    before = json.loads(qb.open(tmp_path / "c").dataset.attrs["extends"])
    assert len(json.loads(before[0]["merges"])) == 2


def test_nothing_differs(a: Path, tmp_path: Path) -> None:
    b = run(tmp_path / "b")
    assert qbsweep("diff", a, b)[:2] == (
        0,
        "6 points in both, 0 only in the first, 0 only in the second\n"
        "the numbers are the same to the last bit, at 6 points that both have solved\n",
    )
    found = qb.diff(a, b)
    assert repr(found) == str(found)


def test_nothing_to_compare(a: Path, tmp_path: Path) -> None:
    b = run(tmp_path / "b")
    put(b, "status", np.s_[...], 0)
    found = qb.diff(b, b)
    assert (found.points, found.compared) == (6, 0)
    assert str(found).endswith("no point is solved in both, so no numbers were compared")


def test_a_value_apart_by_an_ulp_differs(a: Path, tmp_path: Path) -> None:
    b = run(tmp_path / "b", J=[1e-3, float(np.nextafter(2e-3, 1)), 4e-3])
    code, text, _ = qbsweep("diff", a, b)
    assert code == 1
    assert text.startswith("`J`: 0.0020000000000000005 is taken as 0.002\n")


def test_labels_of_modes_and_times(tmp_path: Path) -> None:
    more: dict[str, Any] = {"outputs": ("energy", "energy_t"), "times": {"linspace": [0, 10, 3], "unit": "1/kappa"}}
    a, b = run(tmp_path / "a", **more), run(tmp_path / "b", **more)
    put(b, "energy", np.s_[1, 0, 2], 7.0)
    put(b, "energy_t", np.s_[2, 1, 1, 2], 8.0)
    found = qb.diff(a, b)
    assert found.variables["energy"]["absolute"]["labels"] == {"J": 2e-3, "n_th": 0, "mode": 2}
    assert found.variables["energy_t"]["relative"]["labels"] == {"J": 4e-3, "n_th": 1, "mode": 1, "time": 10.0}
    assert "energy_t: largest relative difference" in str(found)
    assert "at J 0.004, n_th 1, mode 1, time 10: " in str(found)


def test_a_sweep_without_axes(tmp_path: Path) -> None:
    content = sweep()
    content["parameters"] |= {"J": 1e-3}
    del content["sweep"]
    a, b = (qb.run(content, tmp_path / name, executor="serial", progress=False).path for name in "ab")
    assert qbsweep("diff", a, b)[0] == 0
    assert qb.merge(a, b, out=tmp_path / "c").status()["ok"] == 1
    put(b, "energy", np.s_[1], 7.0)
    found = qb.diff(a, b).variables
    assert found.keys() == {"energy"}
    assert found["energy"]["absolute"]["labels"] == {"mode": 1}
    assert "in 1 number: `energy` differs by" in qbsweep("merge", a, b, "--out", tmp_path / "d").sentence(a, b)


def test_what_differs(a: Path, tmp_path: Path) -> None:
    b = run(tmp_path / "b", N=[2, 3], J=[1e-3, 2e-3, 5e-3])
    value = float(numbers(b).energy_terminal.sel(N=2, J=2e-3, n_th=1))
    put(b, "energy_terminal", np.s_[0, 1, 1], value * 2)
    put(b, "energy", np.s_[0, 0, 0, 1], np.nan)
    put(b, "status", np.s_[0, 1, 0], 2)
    code, text, _ = qbsweep("diff", a, b)
    assert code == 1
    assert "only the second has 3 of `N`" in text
    assert "4 points in both, 2 only in the first, 8 only in the second" in text
    assert "\n1 point in another state\n" in text
    assert f"energy_terminal: largest relative difference 5.00e-01, at N 2, J 0.002, n_th 1: {value!r} and" in text
    assert "energy: largest absolute difference inf, at N 2, J 0.001, n_th 0, mode 1: " in text
    found = json.loads(qbsweep("diff", a, b, "--json")[1])
    assert found["variables"]["energy_terminal"]["absolute"]["labels"] == {"N": 2, "J": 0.002, "n_th": 1}
    assert found["variables"]["energy"]["absolute"]["difference"] is None
    back = qb.diff(b, qb.open(a))
    assert (back.points, back.only_first, back.only_second, back.equal) == (4, 8, 2, False)


def test_nothing_in_common(a: Path, tmp_path: Path) -> None:
    found = qb.diff(a, run(tmp_path / "b", kappa=0.004))
    assert (found.points, found.only_first, found.variables) == (0, 6, {})
    assert found.sweep == ["`kappa` is 0.003 in one and 0.004 in the other"]
