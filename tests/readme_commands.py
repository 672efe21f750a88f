"""Run every command, Python snippet and sweep of the README and of `docs/`, in order, from the root of a clone.

Blocks fenced as ``sh`` are run line by line, blocks fenced as ``python`` as one script each, in the order of the page.
A block fenced as ``yaml`` is a whole sweep and is run too, in a temporary folder. ``make`` lines are run by CI itself.
A line that ends in ``# exit N`` must exit with N. A line that starts with ``eval`` holds for the rest of its block.
A block fenced as ``text`` is what the command before it prints. Blocks fenced as ``console`` are not run: they show a
real cluster, or a server.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "index.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCK = re.compile(r"^```(sh|python|yaml|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass
class Command:
    """What is to run, as its page has it, the exit code that it promises, and what it is said to print."""

    argv: list[str]
    text: str
    code: int = 0
    printed: str | None = None


def blocks(language: str) -> list[tuple[str, str]]:
    """Return (page, text) of every block of a language."""
    return [
        (page.relative_to(ROOT).as_posix(), text)
        for page in dict.fromkeys(PAGES)
        for found, text in BLOCK.findall(page.read_text())
        if found == language
    ]


def commands(page: str, folder: Path) -> list[Command]:
    """Return everything on a page that is to run."""
    found: list[Command] = []
    for language, body in BLOCK.findall(page):
        if language == "python":
            found.append(Command([sys.executable, "-W", "error", "-c", body], body))
        elif language == "yaml":
            sweep = folder / f"{len(list(folder.iterdir()))}.yaml"
            sweep.write_text(body)
            found.append(Command(["qbsweep", "run", str(sweep), "--out", str(sweep.with_suffix(""))], body))
        elif language == "text":
            found[-1].printed = body
        else:
            found += _lines(body)
    return found


def _lines(body: str) -> list[Command]:
    found: list[Command] = []
    setting = ""
    for line in body.splitlines():
        if line.startswith("eval "):
            setting += f"{line}\n"
            continue
        expected = re.search(r"# exit (\d+)$", line)
        if line.strip() and not line.startswith(("#", "make ", "git clone", "cd ")):
            found.append(Command(["bash", "-c", setting + line], line, int(expected[1]) if expected else 0))
    return found


def complaint(command: Command) -> str | None:
    """Run a command and say what it did not do as promised."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    shown = {} if command.printed is None else {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command.argv, cwd=ROOT, env=environment, text=True, check=False, **shown)
    if done.returncode != command.code:
        return f"exit code {done.returncode}, but the page promises {command.code}"
    if command.printed is not None and done.stdout != command.printed:
        return f"it prints\n{done.stdout}but the page shows\n{command.printed}"
    return None


def main() -> int:
    """Run them; returns the number of commands that did not do what the pages say."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for page in dict.fromkeys(PAGES):
            for command in commands(page.read_text(), Path(folder)):
                print(f"{page.relative_to(ROOT)}$ {command.text}", flush=True)
                if said := complaint(command):
                    wrong += 1
                    print(said, flush=True)
    print(f"{wrong} commands of the pages failed")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
