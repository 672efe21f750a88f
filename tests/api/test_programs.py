"""Programs that call qbsweep as they come: scripts without a guard, notebooks whose numpy has many threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import qbsweep as qb

print("begins")
fixed = {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01}
run = qb.run({"name": "a", "parameters": fixed, "sweep": {"N": [1, 2], "J": [0.1, 0.2]}}, executor="local", workers=1)
print(run.status()["state"])
"""
RING = """
import hashlib
import qbsweep as qb

edges = tuple(qb.Edge(m, (m + 1) % 201, 1.0) for m in range(201))
ring = qb.Network(kappa=(1.0,) * 201, edges=edges)
ds = qb.solve(ring, J=0.01, kappa=0.003, epsilon=0.01, n_th=[0, 1], r=[0, 0.3], outputs=["energy", "ergotropy"])
print(hashlib.sha256(ds.energy.values.tobytes() + ds.ergotropy.values.tobytes()).hexdigest())
"""


def printed(command: list[str], threads: str = "1", text: str | None = None) -> list[str]:
    """The lines that a program prints, with so many threads for linear algebra."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, threads)
    done = subprocess.run(
        [sys.executable, *command], env=environment, input=text, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("pasted", [False, True])
def test_workers_do_not_run_the_script_that_starts_them(
    pasted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    lines = printed(["-"], text=SCRIPT) if pasted else printed(["script.py"])
    assert lines.count("begins") == 1
    assert lines[-1] == "complete"


def test_a_notebook_with_many_threads_gets_the_same_bits() -> None:
    assert printed(["-c", RING], threads="4") == printed(["-c", RING])
