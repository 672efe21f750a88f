"""`qbsweep report`: what the page says for datasets of every kind, and that it works in a browser without a network."""

import base64
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import xarray as xr

from qbsweep.api import pages
from qbsweep.figures.gallery import of_dataset
from qbsweep.runs import loop, opening
from qbsweep.sweeps.spec import load_spec

from ..command import qbsweep
from ..datasets import put
from .browser import browser

SWEEP = "name: run\nparameters: {{kappa: 0.003, epsilon: 0.01{0}}}\nsweep: {{{1}}}\n{2}"
NETWORKS = "topology: [cascaded, parallel], coupling: [nonreciprocal, reciprocal]"


def page(directory: Path, *options: str) -> str:
    code, out, err = qbsweep("report", directory, *options)
    assert (code, err) == (0, "")
    assert f"{directory}/report.html" in out
    assert not list(directory.glob(".report*"))
    return (directory / "report.html").read_text()


def said(text: str) -> str:
    """What a reader sees of a page: nothing of the scripts."""
    return text[text.index("</head>\n<body>") :].split("<script")[0]


KINDS = {
    "one point": (
        SWEEP.format(", topology: cascaded, N: 2, J: 0.002", "n_th: [0]", ""),
        ["One point", "steady-state energy of the terminal battery"],
        0,
    ),
    "coupling": (
        SWEEP.format("", f"{NETWORKS}, N: [2, 3, 4], J: {{geomspace: [0.1, 10, 41], unit: J_op}}", ""),
        ["Complete", "optimal_coupling", "plateau", "41 from 0.1 to 10 J_op"],
        5,
    ),
    "time": (
        SWEEP.format(
            ", J: {value: 1, unit: J_op}", f"{NETWORKS}, N: [2, 3]", "times: {linspace: [0, 10, 61], unit: 1/kappa}\n"
        ),
        ["61 from 0 to 10 1/κ", "settling_time"],
        6,
    ),
    "the whole network in time": (
        SWEEP.format(
            ", J: 0.002, N: 1, topology: cascaded",
            "late: [0, 0.5]",
            "times: {linspace: [0, 1000, 9]}\nprotocol: [{until: 400}, {drive: late}]\n"
            "outputs: [energy_t, ergotropy_register_t, drive_power_t]\n",
        ),
        ["rate at which the drive gives energy", "energy of the terminal battery; shaded"],
        3,
    ),
    "baths": (
        SWEEP.format(", J: 0.002, N: 2, topology: cascaded", "n_th: [0, 1, 2], r: {linspace: [0, 1, 5]}", ""),
        ["enhancement", "ergotropy"],
        7,
    ),
    "levels by role, and a branch above them": (
        SWEEP.format(
            ", topology: cascaded, N: 1, J: 0.003, solver: lindblad",
            "fock_levels: [{charger: 3, battery: 3}, {charger: 4, battery: 3}], kerr_charger: [0.0001, 0.001]",
            "",
        ),
        ["suspect-branches", "classical branch"],
        3,
    ),
    "text axes only": (SWEEP.format(", J: 0.002, N: 2", "topology: [cascaded, parallel]", ""), ["no axis to draw"], 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_dataset(sweep: Callable[[str], Path], kind: str) -> None:
    text, expected, figures = KINDS[kind]
    out = sweep(text)
    body = said(page(out, "--png"))
    for words in (*expected, "Provenance", "spec_digest"):
        assert words in body
    assert body.count("<figure") == figures
    assert len(list((out / "figures").glob("*.png"))) == figures


def test_interrupted_failed_and_suspect_points(sweep: Callable[[str], Path]) -> None:
    truncated = ", topology: cascaded, N: 1, solver: lindblad, fock_levels: 3"
    out = sweep(SWEEP.format(truncated, "J: {geomspace: [1e-3, 5e-3, 12]}", ""))
    put(out, "status", ..., [1, 2, 3, 3, *[1] * 6, 0, 0])
    record = {"block": 0, "attempt": 1, "labels": {"J": 0.00115}, "points": 1, "error": "singular <matrix>"}
    (out / "failures.jsonl").write_text(json.dumps(record) + "\n")
    body = said(page(out))
    for words in ("Interrupted", "10 of 12 points", "2 suspect, 1 failed", "2 points are not solved yet"):
        assert words in body
    assert "singular &lt;matrix&gt;" in body


def test_a_truncated_solution_says_how_far_to_trust_it(sweep: Callable[[str], Path]) -> None:
    text = "topology: cascaded, N: 1, J: {value: 1, unit: J_op}, kappa: 0.003, epsilon: 0.001, n_th: 0.3"
    out = sweep(f"name: run\nparameters: {{{text}}}\nsweep: {{solver: [moments, lindblad], fock_levels: [3, 4, 8]}}\n")
    body = said(page(out))
    for words in ("suspect points are marked", "should meet the tolerance", "truncation_error-fock_levels"):
        assert words.lower() in body.lower()
    assert re.search(r"<code>fock_levels: \d+</code> should meet", body)
    assert "`" not in body


def test_an_error_without_a_bound_is_drawn_at_the_top(synthetic: Callable[..., xr.Dataset]) -> None:
    error, status, verdict = [1e-5, 0.2, 3.0, np.inf, np.nan], [1, 3, 3, 3, 2], [3, 5, 5, 6, 0]
    ds = synthetic([1.0] * 5, {"J": [1.0, 2, 3, 4, 5]}, status=status, verdict=verdict, truncation_error=error)
    ds["truncation_error"].attrs["long_name"] = "error"
    *_, chart = of_dataset(ds.assign_coords(tolerance=1e-3))
    assert "no bound" in chart.caption
    (line,) = chart.lines()
    np.testing.assert_array_equal(line.y, [1e-5, 0.2, 1, 1, np.nan])
    np.testing.assert_array_equal(line.suspect["suspect-truncation"], [np.nan, 0.2, 1, np.nan, np.nan])
    np.testing.assert_array_equal(line.suspect["suspect-branches"], [np.nan] * 3 + [1, np.nan])


def test_a_large_dataset_is_thinned(sweep: Callable[[str], Path]) -> None:
    axes = "n_th: {linspace: [0, 2, 25]}, J: {geomspace: [0.1, 10, 4001], unit: J_op}"
    out = sweep(SWEEP.format(", topology: cascaded, N: 3", axes, ""))
    text = page(out)
    assert "Thinned for this page" in said(text)
    assert len(text) < 8e6


@pytest.mark.parametrize(("command", "module"), [("report", "hvplot"), ("explore", "panel")])
def test_a_missing_extra_is_one_sentence(
    sweep: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, command: str, module: str
) -> None:
    out = sweep(KINDS["text axes only"][0])
    found = pages.importlib.util.find_spec
    monkeypatch.setattr(pages.importlib.util, "find_spec", lambda name: None if name == module else found(name))
    code, stdout, err = qbsweep(command, out)
    assert (code, stdout) == (2, "")
    assert "pip install -e '.[figures]'" in err
    assert err.count("\n") == 1


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    for command in ("report", "explore"):
        code, out, err = qbsweep(command, tmp_path / "nowhere")
        assert (code, out) == (2, "")
        assert "not a run directory" in err


# In a browser

PIXELS = """
function all(root, selector, found) {
    for (const e of root.querySelectorAll('*')) {
        if (e.matches(selector)) found.push(e);
        if (e.shadowRoot) all(e.shadowRoot, selector, found);
    }
    return found;
}
"""
COLOURS = """
return all(document, 'canvas', []).filter(c => c.width > 300).map(c => {
    const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    let drawn = 0, hash = 0;
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] && (data[i] !== data[i + 1] || data[i] !== data[i + 2])) drawn++;
        hash = (hash * 31 + data[i] + 7 * data[i + 1] + 13 * data[i + 2]) | 0;
    }
    return [drawn, hash];
}).filter(([drawn]) => drawn); // Bokeh has an empty one over every plot
"""
CHOOSE = """
for (const s of all(document, 'select', [])) { s.selectedIndex = (s.selectedIndex + 1) % s.options.length;
    s.dispatchEvent(new Event('change')); }
const sliders = all(document, '.noUi-handle', []);
for (const handle of sliders) handle.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', cancelable: true}));
return [all(document, 'select', []).length, sliders.length];
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    (folder / "sweep.yaml").write_text(KINDS["coupling"][0])
    with opening.locked(folder / "run") as directory:
        loop.run_blocks(directory, opening.prepare(load_spec(folder / "sweep.yaml"), directory), loop.serial)
    page(folder / "run", "--png")
    return folder / "run" / "report.html"


def test_figures_for_print(shown: Path) -> None:
    pictures = list((shown.parent / "figures").iterdir())
    assert len(pictures) == 5
    for path in pictures:
        image = matplotlib.image.imread(path)
        assert image.shape[1] == pytest.approx(86 / 25.4 * 300, abs=1)  # single column
        assert image[..., :3].std() > 0.01


def canvases(driver: Any, count: int) -> list[list[int]]:
    """Return how many coloured pixels every plot has and a hash of all, once there are so many plots."""
    deadline = time.monotonic() + 60
    while True:
        found: list[list[int]] = driver.execute_script(PIXELS + COLOURS)
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _changes(before: list[list[int]], after: list[list[int]]) -> int:
    return sum(a != b for a, b in zip(before, after, strict=True))


def test_the_page_works_in_a_browser(shown: Path) -> None:
    with browser() as driver:
        driver.get(shown.resolve().as_uri())
        before = canvases(driver, 5)
        assert len(before) == 5
        assert all(drawn > 200 for drawn, _ in before)
        assert driver.execute_script(PIXELS + CHOOSE) == [1, 1]
        deadline = time.monotonic() + 30
        while _changes(before, canvases(driver, 5)) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert _changes(before, canvases(driver, 5)) == 2
        wide = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        pdf = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {})["data"])
        assert pdf.startswith(b"%PDF")
        assert len(pdf) > 50_000
        events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        assert {url.split(":")[0] for url in sent} <= {"file", "data", "blob"}
        assert sum(url.startswith("file:") for url in sent) == 1  # the page itself, and nothing beside it
        said_aloud = [
            entry for entry in driver.get_log("browser") if entry["source"] != "rendering"
        ]  # of reading pixels
        assert [entry for entry in said_aloud if entry["level"] in ("SEVERE", "WARNING")] == []
