"""Paste the Python of the README into an interactive interpreter, as somebody does after ``make quickstart``.

Run by CI in the environment that ``make quickstart`` has made, which has neither tests nor development tools.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def main() -> int:
    """Paste it and look at what it has made; returns the number of things that are not as promised."""
    snippet = README.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-i"], input=snippet + "\n", cwd=folder, capture_output=True, text=True, check=False
        )
        print(done.stdout)
        page = Path(folder, "runs", "cascade", "report.html")
        wrong = []
        if "Error" in done.stderr:
            wrong.append(done.stderr)
        if "J_op" not in done.stdout:
            wrong.append("no optimal coupling was printed")
        if not page.exists() or page.stat().st_size < 100_000:
            wrong.append("no report was written")
    print("\n".join(wrong) or "pasted: a run, its optimal couplings and its report")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
