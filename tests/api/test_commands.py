"""The command line as a newcomer meets it: its helps, its version, its completion."""

import os
import subprocess
import sys

import pytest

import qbsweep as qb
from qbsweep.cli.main import app

from ..command import qbsweep

APPS = [app, *(group.typer_instance for group in app.registered_groups)]
COMMANDS = sorted(str(info.name) for one in APPS for info in one.registered_commands if not info.hidden)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")


def test_the_list_of_commands_is_whole() -> None:
    code, out, err = qbsweep("--help")
    assert (code, err) == (0, "")
    assert "…" not in out
    assert "..." not in out.partition("Options:")[2]
    listed = out.partition("Commands:\n")[2].splitlines()[: len(COMMANDS)]
    assert sorted(line.split()[0] for line in listed) == COMMANDS
    assert all(line.endswith(".") for line in listed)
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(command: str) -> None:
    code, out, err = qbsweep(command, "--help")
    assert (code, err) == (0, "")
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80
    assert f"Example: qbsweep {command}" in out


def test_version() -> None:
    assert qbsweep("--version") == (0, f"qbsweep {qb.__version__}\n", "")


@pytest.mark.parametrize(
    ("typed", "completed"), [("qbsweep st", "status"), ("qbsweep run --ex", "--executor"), ("qbsweep a", "analyze")]
)
def test_shells_complete_commands_and_options(typed: str, completed: str) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    environment = os.environ | {"_QBSWEEP_COMPLETE": "complete_bash"} | words
    code = "import sys; sys.argv = ['qbsweep']; from qbsweep.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [completed], done.stderr


@pytest.mark.parametrize("window", [["--window", "2,3"], ["--window", "2", "3"], ["--window", "2:3"]])
def test_a_window_is_one_word_or_two(window: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    content = {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01}
    axes = {"N": [1, 2, 3, 4], "J": {"geomspace": [0.2, 5, 41], "unit": "J_op"}}
    folder = tmp_path_factory.getbasetemp() / "windowed"
    qb.run({"name": "w", "parameters": content, "sweep": axes}, folder, executor="serial", progress=False)
    code, out, err = qbsweep("analyze", *window, folder)
    assert (code, err) == (0, "")
    assert "window [2, 3]" in out


def test_a_window_that_is_none_is_said() -> None:
    assert qbsweep("analyze", "x", "--window", "2").sentence() == (
        "`--window` must be the smallest and the largest N, like 10,50, but is '2'"
    )


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError(), RuntimeError("a fault")])
def test_a_fault_is_not_taken_for_a_finding(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of `check` and `diff` exit code 1 is an answer."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("qbsweep.diff", fail)
    code, _, text = qbsweep("diff", "a", "b")
    assert (code, "Traceback" in text) == (4, isinstance(error, RuntimeError))
