"""A run directory of a group: made by one of its people, gone on with by another."""

import os
import shutil
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qbsweep.store.lock import Lock, lock_holder

from ..command import Outcome

GROUP, ANN, BOB = 54321, 54322, 54323
SWEEP = "name: a\nparameters: {topology: cascaded, N: 2, kappa: 0.003, epsilon: 0.01}\nsweep: {J: [0.001, 0.002]}\n"
Command = Callable[..., Outcome]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of the group, outside of what belongs to root alone."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, ANN, GROUP)
    folder.chmod(0o2775)
    yield folder
    shutil.rmtree(folder)


def as_user(user: int, umask: int, call: Callable[[], object]) -> int:
    """Call a function in a process of another user; returns its exit code."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 99
    try:
        os.umask(umask)
        os.setgroups([GROUP])
        os.setgid(GROUP)
        os.setuid(user)
        os.environ["HOME"] = "/nonexistent"
        call()
        code = 0
    except AssertionError:
        traceback.print_exc()
        code = 1
    finally:
        os._exit(code)


def run(qbsweep: Command, folder: Path, values: str) -> Outcome:
    sweep = Path(folder, f"sweep-{os.getuid()}.yaml")
    sweep.write_text(SWEEP.replace("[0.001", f"[{values}"))
    return qbsweep("run", sweep, "--executor", "serial", "--out", folder / "run")


@pytest.fixture(autouse=True)
def _everything_is_loaded(qbsweep: Command, tmp_path: Path) -> None:
    """The interpreter may lie where only root can read."""
    assert run(qbsweep, tmp_path, "0.0005").code == 0
    assert run(qbsweep, tmp_path, "0.0005, 0.0007").code == 0
    assert qbsweep("status", tmp_path / "run").code == 0


def test_one_goes_on_where_another_stopped(qbsweep: Command, shared: Path) -> None:
    def start(values: str) -> None:
        outcome = run(qbsweep, shared, values)
        assert outcome.code == 0, outcome.err

    assert as_user(ANN, 0o002, lambda: start("0.0005")) == 0
    assert as_user(BOB, 0o002, lambda: start("0.0003, 0.0005")) == 0
    assert as_user(ANN, 0o002, lambda: start("0.0001, 0.0003, 0.0005")) == 0


def test_one_is_refused_while_another_runs(qbsweep: Command, shared: Path) -> None:
    (held, say_held), (done, say_done) = os.pipe(), os.pipe()
    (shared / "run").mkdir()
    (shared / "run").chmod(0o2775)

    def hold() -> None:
        with Lock(shared / "run" / "lock"):
            os.write(say_held, b"x")
            os.read(done, 1)

    def refused() -> None:
        said = run(qbsweep, shared, "0.0005").sentence()
        assert "run is being run by process" in said
        assert lock_holder(shared / "run" / "lock") is not None

    holder = threading.Thread(target=as_user, args=(ANN, 0o002, hold))
    holder.start()
    os.read(held, 1)
    assert as_user(BOB, 0o002, refused) == 0
    os.write(say_done, b"x")
    holder.join()


def test_a_directory_that_is_not_the_groups_is_refused_in_a_sentence(qbsweep: Command, shared: Path) -> None:
    def start() -> None:
        assert run(qbsweep, shared, "0.0005").code == 0

    def refused() -> None:
        said = run(qbsweep, shared, "0.0003, 0.0005").sentence(shared)
        assert "cannot be written: Permission denied; mend that, or take another directory" in said
        assert qbsweep("status", shared / "run").code == 0

    assert as_user(ANN, 0o022, start) == 0
    before = {path: path.stat().st_mtime_ns for path in shared.rglob("*")}
    assert as_user(BOB, 0o002, refused) == 0
    changed = {path for path in shared.rglob("*") if before.get(path) != path.stat().st_mtime_ns}
    assert changed == {shared / f"sweep-{BOB}.yaml"}


def test_a_dead_ones_lock_is_taken_over(shared: Path) -> None:
    def die() -> None:
        Lock(shared / "lock").__enter__()
        os._exit(0)

    def take() -> None:
        with Lock(shared / "lock"):
            pass
        assert not (shared / "lock").exists()

    assert as_user(ANN, 0o002, die) == 0
    assert len(list((shared / "lock").iterdir())) == 1
    assert as_user(BOB, 0o002, take) == 0
