"""Run a benchmark and keep what it prints in `docs/benchmarks`, from which a page of the documentation is made.

python tests/benchmarks/record.py NAME [ARGUMENTS]
"""

import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("numpy", "scipy", "numba", "qutip", "dask", "xarray", "zarr")


def machine() -> str:
    """Say when, of which commit and on what this is measured; a loaded machine gives itself away."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"measured on {time.strftime('%Y-%m-%d')}, commit {commit}\n"
        f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} before\n"
        f"Python {platform.python_version()}, {versions}\n"
    )


def main(name: str, *arguments: str) -> int:
    """Show the output while it comes; it is kept only if the benchmark ends well."""
    script = Path(__file__).with_name(f"{name}.py")
    kept = [machine()]
    with subprocess.Popen([sys.executable, "-u", script, *arguments], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            kept.append(line)
    if process.returncode == 0:
        text = "\n".join(line.rstrip() for line in "".join(kept).splitlines()) + "\n"
        (ROOT / "docs" / "benchmarks" / f"{name}.txt").write_text(text)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
