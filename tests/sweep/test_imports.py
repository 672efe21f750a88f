"""What a command loads: a user waits for all of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..command import qbsweep

HEAVY = {
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "zarr",
    "dask",
    "distributed",
    "numba",
    "qutip",
    "yaml",
    "bokeh",
    "holoviews",
    "panel",
    "matplotlib",
}
CODE = """
import json, sys
from qbsweep.__main__ import main
sys.argv = ["qbsweep", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def loaded(*arguments: object) -> set[str]:
    """Return the packages that a command has loaded when it ends."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("run")
    sweep = folder / "sweep.yaml"
    sweep.write_text(
        "name: one\nparameters: {topology: cascaded, N: 2, kappa: 0.003, epsilon: 0.01}\nsweep: {J: [0.1, 0.2]}\n"
    )
    assert qbsweep("run", sweep, "--out", folder / "out").code == 0
    return folder / "out"


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["submit", "--help"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    assert not loaded(*command) & HEAVY


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_look_at_a_run_loads_nothing_heavy(run: Path, options: list[str]) -> None:
    assert not loaded("status", run, *options) & HEAVY
    assert not loaded("failures", run) & HEAVY


def test_a_short_run_loads_neither_dask_nor_xarray_before_its_summary(run: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from qbsweep.runs import executors, loop, opening\n"
        "from qbsweep.sweeps.spec import load_spec\n"
        "with opening.locked(Path(sys.argv[2])) as directory:\n"
        "    store = opening.prepare(load_spec(Path(sys.argv[1])), directory)\n"
        "    with executors.opened('auto', directory.path, 0.0) as execute:\n"
        "        assert loop.run_blocks(directory, store, execute).complete\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    command = [sys.executable, "-c", code, str(run.with_name("sweep.yaml")), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.splitlines()[-1].split())
    assert "zarr" in modules
    assert not modules & {"dask", "distributed", "xarray", "pandas", "numba", "qutip"}


def test_workers_load_neither_xarray_nor_pandas_and_have_one_thread(run: Path, tmp_path: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path\n"
        "from qbsweep.runs import executors, loop, opening\n"
        "from qbsweep.sweeps.spec import load_spec\n"
        "def look():\n"
        "    import os, sys\n"
        "    limits = [os.environ.get(f'{name}_NUM_THREADS') for name in ('OMP', 'OPENBLAS', 'MKL')]\n"
        "    return sorted({name.split('.')[0] for name in sys.modules}), limits\n"
        "if __name__ == '__main__':\n"
        "    import pandas, xarray\n"
        "    with opening.locked(Path(sys.argv[2])) as directory:\n"
        "        store = opening.prepare(load_spec(Path(sys.argv[1])), directory)\n"
        "        with executors.opened('local', directory.path, 0.0, workers=2) as execute:\n"
        "            assert loop.run_blocks(directory, store, execute).complete\n"
        "            print(json.dumps(list(execute._client.run(look).values())))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, str(script), str(run.with_name("sweep.yaml")), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    workers = json.loads(done.stdout.splitlines()[-1])
    assert len(workers) == 2
    for modules, limits in workers:
        assert "distributed" in modules
        assert not set(modules) & {"xarray", "pandas"}
        assert limits == ["1", "1", "1"]
