"""Run every command and every Python snippet of the README, in order, from the root of a clone.

Blocks fenced as ``sh`` are run line by line, blocks fenced as ``python`` as one script; ``make`` lines are run by
CI itself. A line that ends in ``# exit N`` must exit with N. A line that starts with ``eval`` holds for the rest of
its block.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(readme: str) -> list[tuple[list[str], str, int]]:
    """Return (argv, text, expected exit code) of everything that is to run."""
    found: list[tuple[list[str], str, int]] = []
    for language, body in BLOCK.findall(readme):
        if language == "python":
            found.append(([sys.executable, "-W", "error", "-c", body], body, 0))
            continue
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
    """Run them; returns the number of commands that did not do what the README says."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    wrong = 0
    for argv, text, expected in commands((ROOT / "README.md").read_text()):
        print(f"$ {text}", flush=True)
        code = subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode
        if code != expected:
            wrong += 1
            print(f"exit code {code}, but the README promises {expected}", flush=True)
    print(f"{wrong} commands of the README failed")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
