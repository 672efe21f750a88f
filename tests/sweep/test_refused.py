"""What the system refuses while a dataset is read is said as what it is, and not blamed on the dataset."""

import contextlib
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import qbsweep as qb
from qbsweep.analysis import registry
from qbsweep.errors import QbsweepError

from ..command import Outcome, qbsweep

NOBODY = 65534
SWEEP = {
    "name": "x",
    "parameters": {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01, "N": 2},
    "sweep": {"coupling": ["nonreciprocal", "reciprocal"], "J": [0.001, 0.002, 0.004]},
}
FILES = ["zarr.json", "status/c*", "energy_terminal/c*", "J/c*", "seals/*"]


@pytest.fixture
def run() -> Iterator[Path]:
    """Return a finished run where anybody may look, the modules of all commands loaded."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    out = folder / "run"
    qb.run(SWEEP, out, executor="serial", progress=False)
    for command in ("status", "analyze"):
        assert qbsweep(command, out).code == 0
    for path in out.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o644)
    try:
        yield out
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody for whom permissions count."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Take all files that this process may have open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def judged(outcome: Outcome, reason: str) -> None:
    assert outcome.code in (1, 2)
    assert outcome.err.count("\n") == 1, outcome.err
    assert reason in outcome.err
    assert "damaged" not in outcome.err
    assert "repair" not in outcome.err


@pytest.mark.parametrize("pattern", FILES)
def test_no_permission(pattern: str, run: Path) -> None:
    for file in (run / "data.zarr").glob(pattern):
        file.chmod(0)
    with as_nobody():
        analyzed = qbsweep("analyze", run)
        with pytest.raises((QbsweepError, OSError), match="Permission denied"):
            qb.open(run).dataset.load()
        looked = qbsweep("status", run)
    judged(analyzed, "Permission denied")
    if looked.code:
        judged(looked, "Permission denied")
    else:
        assert not pattern.startswith(("status", "zarr"))


def test_no_permission_for_the_directory(run: Path) -> None:
    run.chmod(0)
    with as_nobody():
        outcomes = [qbsweep(command, run) for command in ("status", "analyze", "report", "failures")]
    for outcome in outcomes:
        judged(outcome, "Permission denied")


def test_too_many_open_files(run: Path) -> None:
    with no_more_files():
        outcomes = [qbsweep(command, run) for command in ("status", "analyze")]
    for outcome in outcomes:
        judged(outcome, "Too many open files")


def test_an_analysis_of_a_damaged_dataset_is_not_just_left_out(run: Path) -> None:
    (file,) = (run / "data.zarr/energy_terminal").glob("c*")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    for command in ("analyze", "report"):
        assert "its checksum is wrong" in qbsweep(command, run).sentence(run)


def test_what_goes_wrong_elsewhere_is_not_blamed_on_the_dataset(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(registry, "analyze", broken)
    with pytest.raises(ZeroDivisionError):
        qb.open(run).analyze()


def test_a_run_that_is_only_to_be_read(run: Path) -> None:
    """A colleague's, in his folder."""
    shutil.rmtree(run / "analysis")
    elsewhere = Path(tempfile.mkdtemp())
    elsewhere.chmod(0o777)
    qb.open(qb.open(run).pack(elsewhere / "a.qbz")).analyze()  # the modules of all commands are loaded
    with as_nobody():
        said = {
            " ".join(map(str, command)): qbsweep(*command).sentence(run)
            for command in (["pack", run], ["mv", run, elsewhere / "b"], ["rm", run, "--yes"], ["analyze", run])
        }
        if os.geteuid() == NOBODY:
            for command, sentence in said.items():
                right = "`qbsweep pack run FILE.qbz`" if command.startswith(("pack", "analyze")) else "ask its owner"
                assert " cannot be written to; " in sentence, command
                assert right in sentence, command
        assert qbsweep("pack", run, elsewhere / "b.qbz").code == 0
        assert qbsweep("analyze", elsewhere / "b.qbz").code == 0
    shutil.rmtree(elsewhere)
