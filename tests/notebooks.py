"""Run every notebook from nothing and fail at an error, a warning or anything else on stderr: `make notebooks`.

Nothing is written back: notebooks are committed without outputs. QBSWEEP_SMALL=1 takes the small sweeps.
"""

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

FOLDER = Path(__file__).parents[1] / "notebooks"


def complaints(path: Path) -> list[str]:
    """Execute a notebook; returns what a reader should not have to see."""
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    try:
        where = {"metadata": {"path": str(FOLDER)}}
        with tempfile.TemporaryDirectory() as folder:  # of sockets: no ports, and no warning about them
            sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
            NotebookClient(notebook, timeout=600, startup_timeout=300, resources=where, config=sockets).execute()
        found = []
    except CellExecutionError as error:
        found = [str(error)]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    found += [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    figures = sum("text/html" in output.get("data", {}) for output in outputs)
    print(f"{path.name}: {figures} outputs, {time.perf_counter() - started:.0f} s", flush=True)
    return found


def main() -> int:
    """Run them, two at a time; returns how many have something to complain about."""
    notebooks = sorted(FOLDER.glob("*.ipynb"))
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(notebooks, pool.map(complaints, notebooks), strict=True))
    for path, texts in found.items():
        for text in texts:
            print(f"\n{path.name}:\n{text}")
    bad = sum(bool(texts) for texts in found.values())
    print(f"{len(notebooks) - bad} passed, {bad} failed")
    return bad


if __name__ == "__main__":
    sys.exit(min(main(), 1))
