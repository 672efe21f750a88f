"""What a power cut may interrupt. Another one is a record in `OPERATIONS`."""

import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import qbsweep as qb
from qbsweep.api import keep, move
from qbsweep.runs import opening
from qbsweep.runs.block import Task, solve_block
from qbsweep.runs.state import pending_blocks
from qbsweep.store.scratch import clear

from .judging import BLOCK_SECONDS, WORTH, failing, run, solving
from .sweeps import larger, moments

PLACE = Path("runs", "crash")
"""The run directory, in what is watched; those above it are made by the run too, and others are beside it."""
FORMAT_2 = Path(__file__).with_name("format2.tar.xz")


def _nothing(out: Path) -> None:
    """Nothing is there."""


def _run_moments(out: Path, **options: Any) -> None:
    run(moments(), out, **options)


def _solve_some(out: Path, count: int = 5) -> None:
    """Be stopped after some blocks, none of which is in its chunk if a chunk has several."""
    from qbsweep.api.running import given

    with opening.locked(out) as directory:
        store = opening.prepare(given(moments()), directory, BLOCK_SECONDS)
        for number in pending_blocks(store)[1 : 1 + count]:
            assert not solve_block(Task(str(out), store.id, number)).error


def _fail_some(out: Path) -> None:
    with solving(failing):
        run(moments(), out)


def _damage_some(out: Path) -> None:
    run(moments(), out)
    for name in ("status", "energy_terminal"):
        file = sorted((out / "data.zarr" / name).glob("c.*"))[0 if name == "status" else -1]
        content = bytearray(file.read_bytes())
        content[0] ^= 1
        file.write_bytes(content)


def _unpack_format_2(out: Path) -> None:
    with tarfile.open(FORMAT_2) as archive:
        archive.extractall(out, filter="data")


def upgrade(out: Path) -> None:
    """Bring a run directory to the current format."""
    with opening.locked(out) as directory:
        opening.upgrade(directory)


def _upgrade_and_run(goal: dict[str, Any], out: Path) -> Any:
    if (out / "data.zarr").exists() or list(out.glob(".data.zarr*")):
        upgrade(out)
    return run(goal, out)


def _repair(out: Path) -> None:
    keep.check(out, repair=True, points=0)


def _repair_and_run(goal: dict[str, Any], out: Path) -> Any:
    _repair(out)
    return run(goal, out)


def _pack(out: Path) -> None:
    move.pack(out, out.with_name("packed.qbz"))


def _packed(out: Path) -> None:
    run(moments(), out)
    _pack(out)


def _unpack(out: Path) -> None:
    move.unpack(out.with_name("packed.qbz"), out.with_name("other"))


def _with_another(out: Path) -> None:
    run(moments(), out)
    run(moments([16e-3]), out.with_name("other"))


def _merge(out: Path) -> None:
    qb.merge(out, out.with_name("other"), out=out.with_name("both"))


def _again(act: Callable[[Path], Any], made: str) -> Callable[[dict[str, Any], Path], Any]:
    """Go on by doing it once more, unless it is done: what it makes is there whole, or not at all."""

    def finish(goal: dict[str, Any], out: Path) -> Any:
        target = out.with_name(made)
        for folder in out.parent.glob(f".{made}.*"):
            os.utime(folder, (0, 0))  # long ago
        if target.exists():
            clear(target)
        else:
            act(out)
        assert qb.open(target).check().exit_code == 0, "check"
        assert qb.open(target).complete, "not complete"
        assert not list(out.parent.glob(f".{made}.*")), "something was left"
        return run(goal, out)

    return finish


def _remove(out: Path) -> None:
    move.rm(out.with_name("other"))


def _is_whole_or_gone(goal: dict[str, Any], out: Path) -> Any:
    if out.with_name("other").exists():
        assert qb.open(out.with_name("other")).check().exit_code == 0
        _remove(out)
    return run(goal, out)


def _move(out: Path) -> None:
    move.mv(out.with_name("other"), out.with_name("moved"))


def _is_at_one_place(goal: dict[str, Any], out: Path) -> Any:
    assert out.with_name("other").exists() != out.with_name("moved").exists()
    if out.with_name("other").exists():
        _move(out)
    assert qb.open(out.with_name("moved")).check().exit_code == 0
    assert qb.open(out.with_name("moved")).status()["state"] == "complete"
    return run(goal, out)


def _extend(out: Path, **options: Any) -> None:
    run(larger(), out, **options)


def _retry_moments(out: Path, **options: Any) -> None:
    run(moments(), out, retry_failed=True, **options)


def _fast(name: str, act: Callable[..., Any], *rest: Any, **options: Any) -> "Operation":
    """Do it without waiting for the disk."""
    return Operation(f"{name}, fast", lambda out: act(out, durability="fast"), *rest, **options, is_fast=True)


def _retry(goal: dict[str, Any], out: Path) -> Any:
    return run(goal, out, retry_failed=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that changes a run directory.

    Attributes
    ----------
    name : str
    act : callable
        What a power cut interrupts.
    before : callable
        Makes what is on the disk before it.
    goal : dict
        The sweep whose results there are to be in the end.
    finish : callable
        Goes on after the power cut: with `goal`, in a directory.
    is_damaged : bool
        Whether it has damaged files before.
    is_fast : bool
        Whether it does not wait for the disk.
    seconds : float
        What every block counts for: less than `WORTH` may be lost again.
    """

    name: str
    act: Callable[[Path], Any]
    before: Callable[[Path], None] = _nothing
    goal: dict[str, Any] = field(default_factory=moments)
    finish: Callable[[dict[str, Any], Path], Any] = run
    is_damaged: bool = False
    is_fast: bool = False
    seconds: float = WORTH

    @property
    def may_lose(self) -> bool:
        """Whether what is told to be finished may be lost with the power, unless it was on the disk before."""
        return self.is_fast or self.seconds < WORTH


OPERATIONS = [
    Operation("first run", _run_moments),
    Operation("resume", _run_moments, _solve_some),
    Operation("extension", _extend, _run_moments, larger()),
    Operation("extension of a half", _extend, _solve_some, larger()),
    Operation("retry", _retry_moments, _fail_some, finish=_retry),
    Operation("compaction", lambda out: keep.compact(out), _solve_some),
    Operation("repair", _repair, _damage_some, finish=_repair_and_run, is_damaged=True),
    Operation("pack", _pack, _run_moments, finish=_again(_pack, "packed.qbz")),
    Operation("unpack", _unpack, _packed, finish=_again(_unpack, "other")),
    Operation("merge", _merge, _with_another, finish=_again(_merge, "both")),
    Operation("removal", _remove, _with_another, finish=_is_whole_or_gone),
    Operation("move", _move, _with_another, finish=_is_at_one_place),
    Operation("upgrade", upgrade, _unpack_format_2, finish=_upgrade_and_run),
    _fast("first run", _run_moments),
    _fast("resume", _run_moments, _solve_some),
    _fast("extension of a half", _extend, _solve_some, larger()),
    _fast("retry", _retry_moments, _fail_some, finish=_retry),
    Operation("first run, in pieces", _run_moments, seconds=WORTH / 3),
    Operation("resume, in pieces", _run_moments, _solve_some, seconds=WORTH / 3),
    Operation("retry, in pieces", _retry_moments, _fail_some, finish=_retry, seconds=WORTH / 3),
]
