"""`qbsweep explore`: a page on this machine only, which ends when it is told to. And the notebooks' form."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import xarray as xr

from qbsweep.errors import QbsweepError

SWEEP = """
name: run
parameters: {topology: cascaded, kappa: 0.003, epsilon: 0.01}
sweep: {coupling: [nonreciprocal, reciprocal], N: [2, 3], J: {geomspace: [0.1, 10, 21], unit: J_op}}
times: {linspace: [0, 5, 11], unit: 1/kappa}
"""
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_serves_this_machine_and_ends_with_one_line(sweep: Callable[[str], Path]) -> None:
    port = free_port()
    command = [sys.executable, "-m", "qbsweep", "explore", str(sweep(SWEEP)), "--port", str(port), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert f"http://127.0.0.1:{port}" in process.stdout.readline()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=60) as answer:
                assert answer.status == 200
                assert b"qbsweep" in answer.read()
            listening = [c.laddr for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"]
            assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", port)]
        finally:
            process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=100)
    assert process.returncode == 0
    assert (rest, errors) == ("ended\n", "")


def test_a_port_in_use_is_one_sentence(sweep: Callable[[str], Path]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "qbsweep", "explore", str(sweep(SWEEP)), "--port", str(port), "--no-browser"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"port {port} cannot be used" in done.stderr
    assert done.stderr.count("\n") == 1


def test_every_choice_can_be_drawn(sweep: Callable[[str], Path]) -> None:
    import panel as pn

    from qbsweep.figures.explore import explorer

    with xr.open_zarr(sweep(SWEEP) / "data.zarr", chunks=None) as ds:
        view = explorer(ds)
        variable, x, lines = view[0]
        for name in variable.options.values():
            variable.value = name
            assert x.value in ds[name].dims
            for axis in x.options:
                x.value = axis
                assert isinstance(pn.panel(view[1]), pn.viewable.Viewable)
                assert lines.value in lines.options


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebooks_are_committed_without_outputs(path: Path) -> None:
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 8


def test_starting_up_does_not_load_the_figures() -> None:
    code = "import sys, qbsweep.cli.main; print(sorted({'panel', 'holoviews', 'hvplot', 'bokeh'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("energy", [0.00326, 3.26, 326.0])
def test_a_constant_on_a_logarithmic_axis_lies_within_its_plot(
    synthetic: Callable[..., xr.Dataset], energy: float
) -> None:
    import holoviews as hv

    ds = synthetic([[energy] * 4, [1e3 * energy] * 4], {"theta_r": [0, 1], "n_th": [0.0, 1.0, 2.0, 3.0]})
    figure = ds.isel(theta_r=[0]).qb.plot("energy_terminal", "n_th", logy=True)
    drawn = hv.render(figure)
    assert drawn.y_range.start < energy < drawn.y_range.end
    assert drawn.y_range.end < 10 * energy


@pytest.mark.parametrize("what", [("energy_terminal", "J"), ()], ids=["a variable", "what tells most"])
def test_lines_of_one_axis_or_of_several(synthetic: Callable[..., xr.Dataset], what: tuple[str, ...]) -> None:
    ds = synthetic([[[1.0], [2.0]], [[3.0], [4.0]]], {"N": [1, 2], "J": [0.1, 0.2], "n_th": [0.3]})
    for by in ("N", ["N"], ("N",), ("N", "N"), ("N", "n_th"), None):
        assert {part.label for part in ds.qb.plot(*what, by=by)} == {"N = 1", "N = 2"}
    assert ds.qb.plot(*what, by=()).kdims[0].values == ["N = 1", "N = 2"]
    for by, told in (("M", "'M'"), (("N", "nope"), "'nope'"), ("J", "'J'")):
        with pytest.raises(QbsweepError, match=f"axis of `energy_terminal` {told} is not known; it must be 'N'"):
            ds.qb.plot(*what, by=by)
    with pytest.raises(QbsweepError, match="`energy_terminal` is drawn over an axis: give it `x`, 'N', 'J' or 'n_th'"):
        ds.qb.plot("energy_terminal")
    with pytest.raises(QbsweepError, match="no axis is left for lines"):
        ds.isel(N=0).qb.plot(*what, by="N")
