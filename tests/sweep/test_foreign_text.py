"""Names, paths and errors are printed as they are, whatever markup they look like."""

import html
import io
import shutil
from pathlib import Path

import pytest
import xarray as xr
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from qbsweep.figures.chart import against
from qbsweep.figures.explore import explorer
from qbsweep.figures.print import draw
from qbsweep.runs.block import Report
from qbsweep.runs.watch import Watcher

from ..command import Outcome, qbsweep

NAMES = ["[/b] :smile: %s", '</script><b>x</b> & "y"', "$x_{$ $y$", "_u {0}"]
FOLDER = "x[test]y[/b] :smile: $<i>"


def sweep_of(names: list[str]) -> dict[str, object]:
    fixed = {"kappa": 0.01, "epsilon": 0.01, "N": 2}
    networks = {name: {"edges": [[0, 1], [1, 2]]} for name in names}
    axes = {"topology": names, "J": [0.001, 0.02, 0.1]}
    return {"name": "t", "parameters": fixed, "sweep": axes, "networks": networks}


def ran(folder: Path, names: list[str]) -> Outcome:
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep_of(names)))
    return qbsweep("run", folder / "sweep.yaml", "--executor", "serial", "--out", folder / FOLDER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("foreign")


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Outcome:
    return ran(folder, NAMES)


@pytest.fixture
def run(folder: Path, outcome: Outcome) -> Path:
    assert outcome.code == 0
    return folder / FOLDER


def test_run_prints_the_names_of_networks_and_the_path(outcome: Outcome) -> None:
    assert outcome.code == 0
    for text in (*NAMES, FOLDER):
        assert text in outcome.out


def test_analyze_prints_them_all(run: Path) -> None:
    outcome = qbsweep("analyze", run)
    assert (outcome.code, outcome.err) == (0, "")
    assert FOLDER in outcome.out
    shown = {line.split("  ")[0] for line in outcome.out.splitlines()}
    assert set(NAMES) <= shown


def test_report_shows_them_as_text(run: Path) -> None:
    outcome = qbsweep("report", run, "--png")
    assert (outcome.code, outcome.err) == (0, "")
    assert str(run / "report.html") in outcome.out
    page = (run / "report.html").read_text()
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt; &amp; &quot;y&quot;" in page  # in the tables
    assert ":smile:" in page


def test_the_legend_of_a_figure_for_print_has_every_network_as_text(run: Path) -> None:
    with xr.open_zarr(run / "data.zarr") as ds:
        figure = draw(against(ds, "energy_terminal", "J", by=("topology",)))
    figure.savefig(io.BytesIO(), format="png")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [name.replace("$", r"\$") for name in NAMES]


def test_explore_shows_the_title_of_a_dataset_as_text() -> None:
    title = '<b>x</b> & "y" [/b] **z**'
    ds = xr.Dataset({"energy_terminal": ("topology", [1.0])}, {"topology": ["a"]}, {"title": title})
    shown = explorer(ds).object
    assert shown.startswith(f"<b>{html.escape(title)}</b> has no axis")


def test_what_is_wrong_names_them_as_they_are(folder: Path, run: Path) -> None:
    for arguments in (("logs", run), ("cancel", run), ("status", run / "none")):
        assert FOLDER in qbsweep(*arguments).sentence(folder)
    (folder / "bad.yaml").write_text("name: t\nparameters: {solver: '[/b]', kappa: 0.1, epsilon: 1, J: 1, N: 2}\n")
    assert "'[/b]'" in qbsweep("plan", folder / "bad.yaml").sentence(folder)
    shutil.copytree(run, folder / "other")
    (folder / "other" / "failures.jsonl").write_text('{"labels": {"topology": "[/b]"}, "points": 1, "error": "[/x]"}\n')
    outcome = qbsweep("failures", folder / "other")
    assert (outcome.code, outcome.err) == (0, "")
    assert "topology [/b]\n    [/x]\n" in outcome.out


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30))
@pytest.mark.parametrize("terminal", [False, True])
def test_what_a_run_says_is_printed_as_it_is(terminal: bool, text: str) -> None:
    screen = io.StringIO()
    watcher = Watcher(Console(file=screen, force_terminal=terminal, width=200, soft_wrap=True))
    watcher.say(f"{text} [/b] :smile:")
    with watcher.showing(xr.DataArray([1.0]).values, [0]):
        watcher(Report(0, 1, failed=1, error="[/b]"))
    assert f"{text} [/b] :smile:\n" in screen.getvalue()
