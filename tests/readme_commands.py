"""Run every command, Python snippet and sweep of the README and of `docs/`, in order, from the root of a clone.

Blocks fenced as ``sh`` are run line by line, blocks fenced as ``python`` as one script each, in the order of the page.
A block fenced as ``yaml`` is a whole sweep and is run too, in a temporary folder. ``make`` lines are run by CI itself.
A line that ends in ``# exit N`` must exit with N. A line that starts with ``eval`` holds for the rest of its block.
Other fences (``console``, ``text``) are not run: they show a real cluster, or what is printed.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "index.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCK = re.compile(r"^```(sh|python|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)

Command = tuple[list[str], str, int]


def blocks(language: str) -> list[tuple[str, str]]:
    """Return (page, text) of every block of a language."""
    return [
        (page.relative_to(ROOT).as_posix(), text)
        for page in dict.fromkeys(PAGES)
        for found, text in BLOCK.findall(page.read_text())
        if found == language
    ]


def commands(page: str, folder: Path) -> list[Command]:
    """Return (argv, text, expected exit code) of everything on a page that is to run."""
    found: list[Command] = []
    for language, body in BLOCK.findall(page):
        if language == "python":
            found.append(([sys.executable, "-W", "error", "-c", body], body, 0))
        elif language == "yaml":
            sweep = folder / f"{len(list(folder.iterdir()))}.yaml"
            sweep.write_text(body)
            run = ["qbsweep", "run", str(sweep), "--out", str(sweep.with_suffix(""))]
            found.append((run, body, 0))
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
            found.append((["bash", "-c", setting + line], line, int(expected[1]) if expected else 0))
    return found


def main() -> int:
    """Run them; returns the number of commands that did not do what the pages say."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for page in dict.fromkeys(PAGES):
            for argv, text, expected in commands(page.read_text(), Path(folder)):
                print(f"{page.relative_to(ROOT)}$ {text}", flush=True)
                code = subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode
                if code != expected:
                    wrong += 1
                    print(f"exit code {code}, but the page promises {expected}", flush=True)
    print(f"{wrong} commands of the pages failed")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
