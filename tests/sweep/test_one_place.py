"""What is said in one place of the package only."""

import ast
import re
import socket
from functools import cache
from pathlib import Path

import pytest

import qbsweep
from qbsweep import context
from qbsweep.context import JobContext
from qbsweep.store.directory import RunDirectory

PACKAGE = Path(qbsweep.__file__).parent
FILES = sorted(
    {
        getattr(RunDirectory(Path("x")), name).name
        for name, kind in vars(RunDirectory).items()
        if isinstance(kind, property)
    }
)
"""Names of all files and folders of a run directory."""


@cache
def strings(path: Path) -> tuple[tuple[str, bool], ...]:
    """All strings of a module but its docstrings, parts of f-strings included, and whether it is joined to a path."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    joined = {id(node.right) for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)}
    return tuple(
        (node.value, id(node) in joined)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    )


def test_a_run_directory_has_these_files() -> None:
    assert {"data.zarr", "refined", "sweep.yaml", "plan.json", "events.jsonl", "failures.jsonl", "lock"} <= set(FILES)
    assert {"slurm", "analysis", "analysis.zarr", "report.html", "figures"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_the_names_of_its_files_stand_in_one_module(name: str) -> None:
    """A name with a dot in no other string at all; one that is also a word, like `analysis`, in no other path."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for text, is_joined in strings(path)
        if (name in text if "." in name else is_joined and name == text)
    }
    assert found - {"store/directory.py"} == set()


def test_what_slurm_tells_a_job_is_read_in_one_module() -> None:
    """Beside it only what speaks to Slurm knows names of its variables: commands must not inherit them."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for text, _ in strings(path)
        if re.search("SLURMD?_", text)
    }
    assert found == {"context.py", "slurm/commands.py"}


def test_only_the_registry_knows_slurm() -> None:
    """Its commands stand in one module, which nothing else imports."""
    words = re.compile(r"\b(SBATCH|sbatch|srun|scontrol|scancel|requeuehold)\b")
    speakers, importers = set(), set()
    for path in PACKAGE.rglob("*.py"):
        name = str(path.relative_to(PACKAGE))
        speakers |= {name for text, _ in strings(path) if words.search(text)}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                modules = {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
                importers |= {name} if "qbsweep.slurm.commands" in modules else set()
    assert speakers == {"slurm/commands.py"}
    assert importers == {"slurm/registry.py"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, JobContext(None, None, None, 0, socket.gethostname())),
        (
            {"SLURM_JOB_ID": "17", "SLURM_JOB_NAME": "a", "SLURMD_NODENAME": "n1"},
            JobContext("17", "17", "a", 0, "n1"),
        ),
        (
            {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "15", "SLURM_ARRAY_TASK_ID": "2", "SLURM_RESTART_COUNT": "3"},
            JobContext("17", "15_2", None, 3, socket.gethostname()),
        ),
    ],
    ids=["no job", "job", "job of an array"],
)
def test_the_job_of_a_process(variables: dict[str, str], expected: JobContext) -> None:
    assert JobContext.current(variables) == expected


def test_the_job_of_another_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    other = context.Variables("MEM_ID", "MEM_ARRAY", "MEM_INDEX", "MEM_NAME", "MEM_STARTS", "MEM_NODE")
    monkeypatch.setattr(context, "_KNOWN", (*context._KNOWN, other))
    told = {"MEM_ID": "7", "MEM_NAME": "a", "MEM_STARTS": "2", "MEM_NODE": "n"}
    assert JobContext.current(told) == JobContext("7", "7", "a", 2, "n")
    assert JobContext.current({"SLURM_JOB_ID": "17"}).job == "17"
