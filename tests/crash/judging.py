"""Judge a run directory that something happened to: nothing lost, nothing wrong, and it goes on."""

import functools
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import xarray as xr

import qbsweep as qb
from qbsweep.errors import QbsweepError
from qbsweep.runs import block, box
from qbsweep.store import blocks
from qbsweep.store.blocks import BlockFiles
from qbsweep.store.directory import FORMAT
from qbsweep.store.grid import Indices
from qbsweep.sweeps.spec import SweepSpec

BLOCK_SECONDS = 4e-4
WORTH = blocks._AT_RISK  # of a block that is brought to the disk as soon as it is written
SOLVED = (1, 3)  # ok, suspect
Point = tuple[Any, ...]

_solve_box, _write = box.solve_box, BlockFiles.write
_solved: dict[Any, box.Solution] = {}


def remembered(spec: SweepSpec, indices: Indices) -> box.Solution:
    """Solve every product of points once: hundreds of directories are finished here."""
    key = (spec.digest(), tuple(tuple(index.tolist()) for index in indices))
    if key not in _solved:
        _solved[key] = _solve_box(spec, indices)
    found = _solved[key]
    return box.Solution({name: array.copy() for name, array in found.arrays.items()}, list(found.failures))


def failing(spec: SweepSpec, indices: Indices) -> box.Solution:
    """Fail at the largest coupling."""
    solution = remembered(spec, indices)
    last = indices[list(spec.axes).index("J")] == len(spec.values("J")) - 1
    at = (*(slice(None),) * list(spec.axes).index("J"), last)
    for name, array in solution.arrays.items():
        array[at] = 2 if name == "status" else np.nan if array.dtype.kind == "f" else 0
    return solution


@contextmanager
def solving(
    solve: Callable[[SweepSpec, Indices], box.Solution] = remembered, per_chunk: int = 4, seconds: float = WORTH
) -> Iterator[None]:
    """Cut sweeps into chunks of so many blocks, of which each counts as so many seconds of solving."""

    def slowly(self: BlockFiles, number: int, arrays: dict[str, Any], _: float, safe: bool) -> None:
        _write(self, number, arrays, seconds, safe)

    with (
        mock.patch.object(block, "solve_box", solve),
        mock.patch("qbsweep.runs.plan._CHUNK_BLOCKS", per_chunk),
        mock.patch.object(BlockFiles, "write", slowly),
    ):
        block._open.cache_clear()
        yield


def run(sweep: dict[str, Any], out: Path, **options: Any) -> qb.Run:
    """Run a sweep, or go on with it."""
    block._open.cache_clear()
    return qb.run(sweep, out, executor="serial", progress=False, block_seconds=BLOCK_SECONDS, **options)


@functools.lru_cache
def _truth(key: str) -> xr.Dataset:
    with tempfile.TemporaryDirectory() as folder:
        return run(json.loads(key), Path(folder, "truth")).dataset.load()


def truth(sweep: dict[str, Any]) -> xr.Dataset:
    """Return the dataset of an undisturbed run."""
    return _truth(json.dumps(sweep))


def load(out: Path) -> xr.Dataset:
    """Read the dataset of a run through the product."""
    return qb.open(out).dataset.load()


def load_plainly(out: Path) -> xr.Dataset:
    """Read it as any reader of Zarr does."""
    with xr.open_zarr(out / "data.zarr", chunks=None) as ds:
        return ds.load()


def points(ds: xr.Dataset, *codes: int) -> set[Point]:
    """Return the labels of the points of some status."""
    status = ds["status"]
    at = np.argwhere(np.isin(status.values, codes))
    axes = [ds[dim].values.tolist() for dim in status.dims]
    return {tuple(axis[i] for axis, i in zip(axes, index, strict=True)) for index in at}


def wrong(ds: xr.Dataset, right: xr.Dataset, ignored: tuple[str, ...] = ("solve_seconds", "status")) -> list[str]:
    """Return what is wrong with the labels, and with the numbers at the points that are solved."""
    problems = []
    for name, labels in ds.coords.items():
        if labels.dims == (name,) and not set(labels.values.tolist()) <= set(right[name].values.tolist()):
            return [f"labels of {name}: {labels.values.tolist()}"]
        if labels.dims != (name,) and not (name in right.coords and np.array_equal(labels.values, right[name].values)):
            return [f"label {name}: {labels.values}"]
    if missing := set(right.coords) - set(ds.coords):
        return [f"labels without {sorted(missing)}"]
    places = [[right[dim].values.tolist().index(label) for label in ds[dim].values.tolist()] for dim in right.dims]
    index = dict(zip(right.dims, places, strict=True))
    is_solved = np.isin(ds["status"].values, SOLVED)
    for name in sorted(set(right.data_vars) - {*ignored}):
        if name not in ds or ds[name].dims != right[name].dims:
            problems.append(f"{name} is missing, or of another shape")
            continue
        mine = ds[name].values[is_solved]
        other = right[name].values[np.ix_(*(index[dim] for dim in right[name].dims))][is_solved]
        if count := int((~((mine == other) | ((mine != mine) & (other != other)))).sum()):
            problems.append(f"{count} wrong numbers in {name}")
    return problems


def judge(
    out: Path,
    goal: dict[str, Any],
    promised: set[Point],
    chance: random.Random,
    finish: Callable[..., Any] = run,
    is_damaged: bool = False,
    is_fast: bool = False,
) -> list[str]:
    """Return what is wrong with a run directory after a power cut.

    Parameters
    ----------
    out : Path
    goal : dict
        The sweep to be gone on with.
    promised : set
        Labels of the points that certainly were on the disk.
    chance : random.Random
        Every fourth directory is analysed too.
    finish : callable
        Goes on with `goal` in `out`.
    is_damaged : bool
        Whether it was so before the power cut.
    is_fast : bool
        Whether it was written without waiting for the disk. Then what xarray alone reads is right again once a run
        has gone on: it cannot know what is missing.
    """
    right = truth(goal)
    problems: list[str] = []
    try:
        problems += _judge_as_it_is(out, right, promised, is_damaged, is_fast)
    except QbsweepError as error:
        is_absent = not (out / "data.zarr").exists() and "is not a run directory" in str(error)
        if (promised or not is_absent) and not is_damaged:
            problems.append(f"before: {error}")
    except Exception as error:
        problems.append(f"before: {type(error).__name__}: {error}")
    try:
        done = finish(goal, out)
        status = done.status()
        if status["pending"] or status["failed"]:
            problems.append(f"after: {status['pending']} pending, {status['failed']} failed")
        ds = load(out)
        problems += [f"after: {problem}" for problem in wrong(ds, right)]
        if points(ds, *SOLVED) != points(right, *SOLVED):
            problems.append("after: not all points are solved")
        plain = load_plainly(out)
        problems += [f"after, plainly: {problem}" for problem in wrong(plain, right)]
        if points(plain, *SOLVED) != points(right, *SOLVED):
            problems.append("after, plainly: not all points are solved")
        problems += [f"after, check: {damage}" for damage in done.check().damages]
        if chance.random() < 0.05:
            done.analyze()
    except Exception as error:
        problems.append(f"after: {type(error).__name__}: {error}")
    return problems


def _judge_as_it_is(out: Path, right: xr.Dataset, promised: set[Point], is_damaged: bool, is_fast: bool) -> list[str]:
    status = qb.open(out).status()
    ds = load(out)
    problems = [f"before: {problem}" for problem in wrong(ds, right)]
    if ds.attrs["qbsweep_format"] == FORMAT and not is_damaged:
        problems += [f"before, check: {damage}" for damage in qb.open(out).check().damages]
    there = points(ds, *SOLVED)
    if status["ok"] + status["suspect"] != len(there):
        problems.append(f"before: status counts {status['ok'] + status['suspect']}, the dataset {len(there)}")
    if lost := promised - there:
        problems.append(f"before: {len(lost)} points lost that were on the disk")
    if is_fast:
        return problems
    try:
        plain = load_plainly(out)
    except Exception:  # nobody is told anything wrong
        return problems
    return problems + [f"before, plainly: {problem}" for problem in wrong(plain, right)]
