"""Who vouches for a point: in the dataset, in `status`, in the report; and datasets from before there were verdicts."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.errors import QbsweepError
from qbsweep.figures.chart import against
from qbsweep.runs import state as state_module
from qbsweep.runs.state import judged_progress_in, progress_in, state, suspect_text
from qbsweep.solvers.status import VERDICT_NAMES
from qbsweep.store.directory import RunDirectory

from ..command import qbsweep
from ..datasets import put, to_format_2

PARAMETERS = "topology: cascaded, J: {value: 1, unit: J_op}, kappa: 0.003, epsilon: 0.001, n_th: 0.3"
BOTH = f"name: both\nparameters: {{{PARAMETERS}, N: 1}}\nsweep: {{solver: [moments, lindblad], fock_levels: [3, 20]}}\n"
EXACT = f"name: exact\nparameters: {{{PARAMETERS}}}\nsweep: {{N: %s}}\n"


def run(path: Path, sweep: str) -> Path:
    (path / "sweep.yaml").write_text(sweep)
    code, out, _ = qbsweep("run", path / "sweep.yaml", "--out", path / "out")
    assert code == 0, out
    return path / "out"


def verdicts_in(out: Path) -> dict[str, int]:
    counted = judged_progress_in(RunDirectory(out))
    assert counted == progress_in(RunDirectory(out))
    return counted.verdicts


def words(out: Path, variable: str = "verdict") -> xr.DataArray:
    with xr.open_zarr(out / "data.zarr") as ds:
        return ds.load().qb.words(variable)


def test_each_solver_says_who_vouches(tmp_path: Path) -> None:
    found = words(run(tmp_path, BOTH))
    assert found.sel(solver="moments").values.tolist() == ["exact", "exact"]
    assert found.sel(solver="lindblad").values.tolist() == ["suspect-truncation", "certified"]


def test_a_value_that_has_turned_too_often_is_suspect() -> None:
    fast = qb.cascaded(2, J=1e10, kappa=1.0, coupling="reciprocal")
    late = qb.solve(fast, epsilon=1.0, times=[0.1, 1.0], outputs=["energy_t"])
    assert late.qb.words().item() == "suspect-numerics"
    assert late.numerical_error.item() > 1e-9
    assert np.isfinite(late.energy_t).all()


def test_codes_are_words_of_the_datasets_own_attributes(tmp_path: Path) -> None:
    out = run(tmp_path, BOTH)
    assert words(out, "status").values.tolist() == [["ok", "ok"], ["suspect", "ok"]]
    for name in ("energy_terminal", "verdicts", "nothing"):
        with pytest.raises(QbsweepError, match=f"variable of codes '{name}' is not known"):
            words(out, name)
    of_an_earlier_version(out)
    with pytest.raises(QbsweepError, match="it must be 'status'"):
        words(out)


def test_what_is_masked_or_not_there_is_none(tmp_path: Path) -> None:
    run(tmp_path, BOTH)
    with xr.open_zarr(tmp_path / "out/data.zarr") as ds:
        ds.load()
    good = ds.where(ds.status == 1)
    assert good.qb.words().values.tolist() == [["exact", "exact"], ["none", "certified"]]
    assert good.qb.words("status").values.tolist() == [["ok", "ok"], ["none", "ok"]]
    assert ds.reindex(fock_levels=[20, 40]).qb.words().sel(solver="moments").values.tolist() == ["exact", "none"]


def test_a_point_that_is_pending_or_failed_has_no_verdict_whatever_was_written(tmp_path: Path) -> None:
    out = run(tmp_path, BOTH)
    put(out, "status", 0, [0, 2])
    assert words(out).values.tolist() == [["none", "none"], ["suspect-truncation", "certified"]]


def test_the_report_writes_codes_as_words(tmp_path: Path) -> None:
    out = run(tmp_path, BOTH.replace("fock_levels: [3, 20]", "fock_levels: [3]"))
    assert qbsweep("report", out)[0] == 0
    assert "<td>exact</td>" in (out / "report.html").read_text().partition("<h2>Values")[2]
    put(out, "status", 0, 2)
    assert qbsweep("report", out)[0] == 0
    values = (out / "report.html").read_text().partition("<h2>Values")[2]
    assert "<td>none</td>" in values
    assert "<td>failed</td>" in values
    assert "<td>exact</td>" not in values


def test_status_counts_what_the_dataset_says(tmp_path: Path) -> None:
    out = run(tmp_path, BOTH)
    told = json.loads(qbsweep("status", out, "--json")[1])["verdicts"]
    assert told == Counter(words(out).values.ravel().tolist())
    assert "2 exact, 1 certified, 1 suspect-truncation" in qbsweep("status", out)[1]


def test_pending_points_have_no_verdict(tmp_path: Path) -> None:
    out = run(tmp_path, EXACT % "[1, 2, 3]")
    put(out, "status", 0, 0)  # as if a worker had been killed before it wrote that
    assert verdicts_in(out) == {"exact": 2}


def test_a_point_that_was_marked_failed_has_no_verdict(tmp_path: Path) -> None:
    out = run(tmp_path, EXACT % "[1, 2, 3]")
    put(out, "status", slice(1, None), 2)
    assert verdicts_in(out) == {"exact": 1}
    put(out, "status", ..., 2)
    assert verdicts_in(out) == {}


def test_all_is_counted_at_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are looked at once: what a worker writes meanwhile is in both counts or in none."""
    out = run(tmp_path, BOTH)
    looks = []
    original = state_module.read_metadata
    monkeypatch.setattr(state_module, "read_metadata", lambda path: looks.append(path) or original(path))
    data = state(RunDirectory(out))
    assert sum(data["verdicts"].values()) == data["ok"] + data["suspect"] == 4
    assert len(looks) == 1


def test_a_failed_point_has_no_verdict(tmp_path: Path) -> None:
    axes = "epsilon: [0.01, 1.0e+200]"
    out = run_failing(
        tmp_path, f"name: far\nparameters: {{topology: cascaded, N: 1, J: 1, kappa: 1}}\nsweep: {{{axes}}}\n"
    )
    with xr.open_zarr(out / "data.zarr") as ds:
        assert ds.status.values.tolist() == [1, 2]
        assert [VERDICT_NAMES[code] for code in ds.verdict.values] == ["exact", "none"]


def run_failing(path: Path, sweep: str) -> Path:
    (path / "sweep.yaml").write_text(sweep)
    assert qbsweep("run", path / "sweep.yaml", "--out", path / "out")[0] == 3
    return path / "out"


def of_an_earlier_version(out: Path) -> None:
    """Turn a dataset into one from before there were verdicts."""
    to_format_2(out, without=("verdict", "numerical_error"))


def test_a_dataset_of_an_earlier_version_is_read_finished_and_extended(tmp_path: Path) -> None:
    out = run(tmp_path, EXACT % "[1, 2]")
    put(out, "status", 0, 0)
    of_an_earlier_version(out)
    assert verdicts_in(out) == {}
    assert qbsweep("report", out)[0] == 0
    assert "qbsweep upgrade" in qbsweep("run", tmp_path / "sweep.yaml", "--out", out).sentence(out)
    assert qbsweep("upgrade", out)[0] == 0
    assert verdicts_in(out) == {}
    assert qbsweep("run", tmp_path / "sweep.yaml", "--out", out)[0] == 0
    run(tmp_path, EXACT % "[1, 2, 3]")
    assert words(out).values.tolist() == ["exact", "none", "exact"]


def test_a_suspect_point_of_an_earlier_version_is_still_shown(tmp_path: Path) -> None:
    out = run(tmp_path, BOTH)
    of_an_earlier_version(out)
    data = state(RunDirectory(out))
    assert data["verdicts"] == {}
    assert suspect_text(data) == "1 cannot tell how many levels it needs"
    assert qbsweep("report", out)[0] == 0
    assert "suspect" in (out / "report.html").read_text()


def test_a_lost_verdict_is_damage(tmp_path: Path) -> None:
    out = run(tmp_path, EXACT % "[1, 2]")
    shutil.rmtree(out / "data.zarr/verdict")
    with pytest.raises(QbsweepError, match="is damaged"):
        verdicts_in(out)


def test_the_report_counts_and_explains_the_verdicts(tmp_path: Path) -> None:
    out = run(tmp_path, BOTH)
    assert qbsweep("report", out)[0] == 0
    page = (out / "report.html").read_text()
    for word, points in verdicts_in(out).items():
        assert f'<span class="{word}" style="flex-grow: {points}"' in page
        assert f'<td><span class="{word}"></span></td><td>{word}</td><td>{points}</td>' in page
        assert f".verdicts .{word}" in page or word == "exact"


NUMERICS = "`numerical_error` above 1e-09, or too large for an energy so small"
HOLDS = "`fock_levels: auto` holds as many as `memory` allows"


@pytest.mark.parametrize(
    ("verdicts", "needed", "unknown", "said"),
    [
        ({"suspect-truncation": 1}, 9, 0, "`fock_levels: 9` should meet the tolerance"),
        ({"suspect-truncation": 1}, None, 1, "1 cannot tell how many levels it needs"),
        ({"suspect-numerics": 2}, None, 0, f"2 have a {NUMERICS}"),
        ({"suspect-numerics": 1}, None, 0, f"1 has a {NUMERICS}"),
        ({"suspect-branches": 1}, None, 0, f"1 misses a classical branch, or cannot weigh its branches: {HOLDS}"),
        (
            {"suspect-branches": 1200, "suspect-truncation": 2},
            9,
            0,
            f"1,200 miss a classical branch, or cannot weigh their branches: {HOLDS}; "
            "`fock_levels: 9` should meet the tolerance of the others",
        ),
        ({}, None, 0, "nothing says why"),
    ],
)
def test_every_kind_of_suspect_is_said(verdicts: dict[str, int], needed: int | None, unknown: int, said: str) -> None:
    assert suspect_text({"verdicts": verdicts, "levels_needed": needed, "levels_unknown": unknown}) == said


BISTABLE = """name: bistable
networks: {kerr: {edges: [[0, 1]], detuning: [-3, 0]}}
parameters: {topology: kerr, coupling: reciprocal, N: 1, J: 0.001, kappa: 1, kerr_charger: 0.2, solver: lindblad}
sweep: {epsilon: [1.2, 3.4], fock_levels: [{charger: 4, battery: 3}]}
"""


def test_levels_that_hold_a_branch_are_not_said_to_meet_the_tolerance(tmp_path: Path) -> None:
    out = run(tmp_path, BISTABLE)
    assert words(out).values.ravel().tolist() == ["suspect-truncation", "suspect-branches"]
    with xr.open_zarr(out / "data.zarr") as ds:
        assert ds.levels_needed.values.ravel().tolist() == [0, 32]
    data = state(RunDirectory(out))
    assert (data["levels_needed"], data["levels_unknown"]) == (None, 1)
    assert "fock_levels: 32" not in qbsweep("status", out)[1]


@pytest.mark.parametrize("more", ["3, 4, 20", "3, 20, 24"], ids=["with new suspects", "without"])
def test_suspect_points_of_an_earlier_version_are_said_beside_those_of_this_one(tmp_path: Path, more: str) -> None:
    out = run(tmp_path, BOTH)
    of_an_earlier_version(out)
    assert qbsweep("upgrade", out)[0] == 0
    run(tmp_path, BOTH.replace("3, 20", more))
    with xr.open_zarr(out / "data.zarr") as ds:
        chart = against(ds.load(), "energy_terminal", "fock_levels")
    marked = {word: np.nansum(np.isfinite([line.suspect[word] for line in chart.lines()])) for word in chart.doubts}
    assert marked == ({"suspect": 1, "suspect-truncation": 1} if more == "3, 4, 20" else {"suspect": 1})
    data = state(RunDirectory(out))
    assert data["levels_unknown"] == data["suspect"] == len(marked)
    assert "cannot tell how many levels" in suspect_text(data)


def test_no_more_points_are_doubted_than_are_suspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(run(tmp_path, BOTH))
    monkeypatch.setattr(state_module, "levels_needed", lambda _: (None, 26))  # of a run that has gone on since
    assert state(directory)["levels_unknown"] == 1
