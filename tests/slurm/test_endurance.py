"""The tests that take minutes; their file comes early in the alphabet, so that they do not finish last."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from qbsweep.solvers.status import OK
from qbsweep.store.dataset import Store

COUPLINGS = 120
POISON = 60
BLOCKS = 40
Sweep = Any  # the class is in conftest.py, which tests cannot import

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("profile", "poison"),
    [
        ("memory: 9GB\ntime: 1min\ndriver: {time: 10min}\n", POISON),
        ("layout: allocation\nmemory: 2GB\ntime: 1min\n", 0),
    ],
    ids=["jobs", "allocation"],
)
def test_block_longer_than_the_walltime(
    make_sweep: Callable[..., Sweep], clean: xr.Dataset, profile: str, poison: int
) -> None:
    """In an allocation its driver leaves early, with the warning; the block has the time until then and after."""
    sweep = make_sweep(kind="slow", seconds=1000, sleep=0.05, J=float(np.geomspace(1e-4, 1e-1, COUPLINGS)[poison]))
    started = time.monotonic()
    sweep.profile.write_text(profile)
    sweep.submit()
    sweep.wait_for_the_end(seconds=300)
    assert time.monotonic() - started < 300
    ds = sweep.dataset()
    failed = (ds["status"] == 2).any(["n_th", "r"])
    assert failed.sum() == 3
    assert failed[poison]
    xr.testing.assert_identical(
        ds.isel(J=~failed.values).drop_attrs(deep=False), clean.isel(J=~failed.values).drop_attrs(deep=False)
    )
    (record,) = [json.loads(line) for line in (sweep.out / "failures.jsonl").read_text().splitlines()]
    assert "the block does not fit the walltime of its job" in record["error"]


@pytest.mark.timeout(400)
def test_ten_thousand_small_blocks(make_sweep: Callable[..., Sweep], record_property: Callable[..., None]) -> None:
    sweep = make_sweep(sleep=0)
    sweep.sweep.write_text(
        "name: many\nparameters: {topology: cascaded, N: 3, kappa: 0.003, epsilon: 0.01}\n"
        "sweep: {J: {geomspace: [1e-4, 1e-1, 440000]}}\noutputs: [energy_terminal]\n"
    )
    sweep.profile.write_text("cpus: 4\nmemory: 1GB\n")
    sweep.submit("--workers", "8", "--block-seconds", "1e-6")
    blocks = json.loads((sweep.out / "plan.json").read_text())["blocks"]
    assert blocks >= 10_000
    sizes = []
    sweep.wait_for_events(1000)
    started, done = time.monotonic(), sweep.n_events()
    while (count := sweep.n_events()) < blocks - 500:
        (driver,) = sweep.processes("driver")
        sizes.append(driver.memory_info().rss / 1e6)
        assert time.monotonic() - started < 300, sweep.story()
        time.sleep(1)
    per_block = (time.monotonic() - started) / (count - done)
    sweep.wait_for_the_end()
    assert (Store(sweep.out / "data.zarr").status() == OK).all()
    # Logs of bounded length fill up in the first half. A scheduler that kept what is finished would grow by 5 kB a
    # block, 20 MB in the second half alone.
    assert max(sizes) - sizes[len(sizes) // 2] < 12, sizes
    record_property("milliseconds_per_block", 1e3 * per_block)
    print(f"{1e3 * per_block:.2f} ms a block with 8 workers; driver {sizes[0]:.0f} to {max(sizes):.0f} MB")


@pytest.mark.timeout(300)
def test_long_block_outlives_its_driver(make_sweep: Callable[..., Sweep], clean: xr.Dataset) -> None:
    """A driver that is requeued does not cost the work of its workers: it waits for what they are at."""
    sweep = make_sweep(kind="slow", seconds=30, sleep=0.05)
    sweep.submit()
    sweep.wait_for_events(BLOCKS - 1)
    (job,) = sweep.running("driver")
    sweep.cluster.run("scontrol", "requeue", job["id"])
    sweep.wait_for_the_end()
    sweep.assert_complete(clean, faults=0)
