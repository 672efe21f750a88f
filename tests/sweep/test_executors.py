"""Which processes solve a run, and that its dataset does not depend on that."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import xarray as xr

from qbsweep.errors import QbsweepError
from qbsweep.runs import dask, executors, loop
from qbsweep.runs.block import Report, Task

from ..command import Outcome

SWEEP = """
name: both
parameters: {topology: cascaded, kappa: 0.003, epsilon: 0.01, fock_levels: 4, frame: displaced, coupling: reciprocal}
sweep: {solver: [moments, lindblad], N: [1, 2], J: {geomspace: [0.001, 0.1, 7]}, n_th: [0, 0.3]}
"""
LONG, SHORT = executors.START_SECONDS * 1.01, executors.START_SECONDS * 0.99


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


@pytest.mark.parametrize(
    ("name", "seconds", "workers", "expected"),
    [
        ("auto", SHORT, None, "serial"),
        ("auto", LONG, None, "local"),
        ("auto", SHORT, 1, "local"),
        ("auto", LONG, 3, "local"),
        ("local", SHORT, None, "local"),
        ("serial", LONG, 3, "serial"),
        ("tcp://there:1", SHORT, None, "tcp://there:1"),
    ],
)
def test_auto_weighs_the_computing_against_the_start_of_workers(
    name: str, seconds: float, workers: int | None, expected: str
) -> None:
    assert executors.decided(name, seconds, workers) == expected
    cores = 1 if expected == "serial" else workers or executors.available_cores()
    assert executors.cores(name, seconds, workers) == cores


@pytest.mark.parametrize("name", ["", "Auto", "dask", "localhost"])
def test_a_name_of_no_executor_is_refused(name: str, tmp_path: Path) -> None:
    refusal = pytest.raises(QbsweepError, match=f"'{name}' is no executor")
    with refusal, executors.opened(name, tmp_path, SHORT):
        pass


def pids(out: Path) -> set[int]:
    return {int(line.split('"pid": ')[1].split(",")[0]) for line in (out / "events.jsonl").read_text().splitlines()}


def results(out: Path) -> xr.Dataset:
    with xr.open_zarr(out / "data.zarr") as ds:
        return ds.drop_vars("solve_seconds").drop_attrs(deep=False).load()


def test_all_executors_give_the_same_dataset(
    qbsweep: Callable[..., Outcome], sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, *options: str) -> Outcome:
        outcome = qbsweep("run", sweep, "--block-seconds", "0.01", "--out", tmp_path / name, *options)
        assert outcome.code == 0, outcome.err
        return outcome

    quick = run("quick")
    assert "solved in this process; starting workers would take longer" in quick.out
    assert pids(tmp_path / "quick") == {os.getpid()}
    serial = run("serial", "--executor", "serial")
    assert "solved in this process\n" in serial.out
    monkeypatch.setattr(executors, "START_SECONDS", 0.0)
    long = run("long")
    assert f"{executors.available_cores()} workers, dashboard http" in long.out
    assert os.getpid() not in pids(tmp_path / "long")
    for name in ("serial", "long"):
        xr.testing.assert_identical(results(tmp_path / "quick"), results(tmp_path / name))


def test_what_is_left_decides_and_not_the_whole(
    qbsweep: Callable[..., Outcome], sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--block-seconds", "0.01", "--out", tmp_path / "out")
    seen = []

    @contextlib.contextmanager
    def observed(name: str, directory: Path, seconds: float, *_: object) -> Iterator[loop.Executor]:
        def stopping(tasks: Iterable[Task]) -> Iterator[Report]:
            return (report for report, _ in zip(loop.serial(tasks), range(2), strict=False))

        seen.append(seconds)
        yield stopping

    with monkeypatch.context() as patched:
        patched.setattr(executors, "opened", observed)
        while qbsweep("run", sweep, *options).code == 1 and len(seen) < 50:
            pass
    assert len(seen) > 2
    assert seen[-1] < seen[0] / 2


def test_workers_that_are_asked_for_are_started(
    qbsweep: Callable[..., Outcome], sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    @contextlib.contextmanager
    def counted(workers: int) -> Iterator[loop.Executor]:
        asked.append(workers)
        raise QbsweepError("seen")
        yield

    monkeypatch.setattr(dask, "local_executor", counted)
    for options in (["--workers", "1"], ["--executor", "local"]):
        assert qbsweep("run", sweep, "--out", tmp_path / "out", *options).sentence() == "seen"
    assert asked == [1, executors.available_cores()]
