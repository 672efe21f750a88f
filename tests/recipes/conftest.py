"""The recipes of CONTRIBUTING.md, tried: a copy of the package is edited as a recipe says, and used."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Edits = Mapping[str, Sequence[tuple[str, str]]]
"""By file of the package: texts that stand there exactly once, and what takes their places."""
Edited = Callable[[Edits], Callable[..., str]]


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    """Return a function that edits a copy of the package and returns one that runs Python code with it."""

    def edit(edits: Edits) -> Callable[..., str]:
        # With its compiled code, numba's too: a copy keeps the times that say for which source it is.
        shutil.copytree(ROOT / "qbsweep", tmp_path / "qbsweep")
        for name, pairs in edits.items():
            path = tmp_path / "qbsweep" / name
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            for old, new in pairs:
                assert not old or text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
                text = text.replace(old, new, 1) if old else text + new
            path.write_text(text, encoding="utf-8")
            for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
                compiled.unlink()

        def run(code: str, *arguments: str) -> str:
            environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
            command = [sys.executable, "-c", code, *arguments]
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=110, check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        return run

    return edit
