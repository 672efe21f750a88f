"""What a notebook shows: one bar that stays, tables, and of a mistake its sentence."""

import tempfile
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

CELLS = [
    """import qbsweep as qb
fixed = {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01}
run = qb.run({"name": "a", "parameters": fixed, "sweep": {"N": [1, 2], "J": {"geomspace": [1e-3, 1e-2, 401]}}},
             executor="serial", block_seconds=1e-6)""",
    "run",
    "_ = run.refine(1e-9)",
    'qb.run("nowhere.yaml")',
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The outputs of every cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    where = {"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}}
    with tempfile.TemporaryDirectory() as folder:  # of sockets: no ports, and no warning about them
        sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        NotebookClient(
            notebook, timeout=100, startup_timeout=100, resources=where, config=sockets, allow_errors=True
        ).execute()
    return [cell.outputs for cell in notebook.cells]


def test_a_run_leaves_one_bar_and_no_lines(outputs: list[Any]) -> None:
    (bar,) = outputs[0]
    assert bar.output_type == "display_data"
    done, total = bar.data["text/plain"].split()[0].split("/")
    assert done == total
    assert int(total) > 1
    assert f'<progress value="{done}" max="{total}"' in bar.data["text/html"]


def test_a_run_shows_as_a_table(outputs: list[Any]) -> None:
    (shown,) = outputs[1]
    assert "802 ok" in shown.data["text/plain"]
    assert shown.data["text/html"].startswith("<table>")


def test_a_refinement_leaves_one_bar(outputs: list[Any]) -> None:
    (bar,) = outputs[2]
    assert bar.data["text/plain"] == "2/2 curves"


def test_a_mistake_is_one_sentence(outputs: list[Any]) -> None:
    (error,) = outputs[3]
    assert error.traceback == ["QbsweepError: nowhere.yaml does not exist; give the path of a YAML file"]
