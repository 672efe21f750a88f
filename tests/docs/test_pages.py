"""README and docs: every sweep on a page is one, and the site that they build into needs no network."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qbsweep.runs.plan import make_grid
from qbsweep.sweeps.spec import load_spec

from ..readme_commands import PAGES, ROOT, blocks

SWEEPS = blocks("yaml")
SNIPPETS = blocks("python")


@pytest.mark.parametrize(("page", "text"), SWEEPS, ids=[page for page, _ in SWEEPS])
def test_every_sweep_on_a_page_is_a_whole_one(page: str, text: str, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(text)
    assert make_grid(load_spec(sweep)).n_blocks > 0


def test_fences_are_of_a_kind_that_is_known() -> None:
    """A misspelt fence would be run by nobody."""
    fences = {fence for page in PAGES for fence in re.findall(r"^```(\S+)", page.read_text(), re.MULTILINE)}
    assert fences <= {"sh", "python", "yaml", "console", "text", "{.yaml"}  # the last: a file that is shown as it is


@pytest.mark.parametrize(("page", "text"), SNIPPETS, ids=[page for page, _ in SNIPPETS])
def test_python_on_a_page_says_all_that_it_needs(page: str, text: str) -> None:
    """Each block is pasted alone; to run them all takes CI minutes, to miss an import a moment."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--quiet", "--select=F821,E9", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{page}:\n{done.stdout}{done.stderr}"


def test_first_pages_lead_to_every_task() -> None:
    """In the README and the start page, whatever the menu of the site has under Tasks."""
    menu = (ROOT / "mkdocs.yml").read_text().partition("- Tasks:\n")[2].partition("\n  - ")[0]
    tasks = re.findall(r"(\w+\.md)", menu)
    assert len(tasks) >= 8
    for first, folder in ((ROOT / "README.md", "docs/"), (ROOT / "docs" / "index.md", "")):
        text = first.read_text()
        assert [task for task in tasks if f"]({folder}{task})" not in text.partition("\n## ")[2]] == [], first.name


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a link or an anchor that leads nowhere is an error."""
    if importlib.util.find_spec("latex2mathml") is None and not os.environ.get("CI"):
        pytest.skip("needs the extra `docs`")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_pages_load_nothing_from_a_network(site: Path) -> None:
    loaded = re.compile(r"""<(?:script|img|iframe)[^>]*?\ssrc=["']?(https?:)?//|<link[^>]*?\shref=["']?(https?:)?//""")
    pages = sorted(site.glob("**/*.html"))
    assert len(pages) > 15
    for page in pages:
        assert not loaded.search(page.read_text()), page


def test_equations_are_mathml(site: Path) -> None:
    physics = (site / "physics.html").read_text()
    assert physics.count("<math") > 20
    for page in site.glob("**/*.html"):
        assert "arithmatex" not in page.read_text(), page


def test_declared_parameters_variables_and_commands_are_in_the_reference(site: Path) -> None:
    from qbsweep.sweeps.parameters import PARAMETERS
    from qbsweep.sweeps.variables import VARIABLES

    text = (site / "reference" / "sweep-file.html").read_text()
    for name in (*PARAMETERS, *VARIABLES):
        assert f"<td><code>{name}</code></td>" in text
    commands = (site / "reference" / "commands.html").read_text()
    for name in ("plan", "run", "submit", "status", "analyze", "report", "verify"):
        assert f'id="{name}"' in commands
    assert "default runs/&lt;name&gt;" in commands  # not taken for a tag
    assert "<!-- generated" not in text + commands
