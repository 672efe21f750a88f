"""Sweeps far larger than this machine could solve: the real driver and store, blocks that cost nothing.

`python tests/benchmarks/scale.py [--full]`; with it, the largest sizes too: half an hour, and 4 GB of disk. Times are
of the processor, so that they hardly depend on what else the machine does; a process of its own measures every row.
"""

import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import qbsweep as qb
from qbsweep.errors import QbsweepError
from qbsweep.runs import loop
from qbsweep.runs.block import Report, Task
from qbsweep.runs.plan import make_grid
from qbsweep.store.allocate import allocate
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.grid import Grid, Tiling, fit_chunks
from qbsweep.sweeps.spec import SweepSpec

OUTPUTS = ["energy_terminal", "ergotropy_terminal"]
MANY_WORKERS = """
import asyncio, logging, sys
import dask
from distributed import Worker

# So many share a core here: what each does for itself at every moment is left out.
dask.config.set({"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.interval": "60s"})
dask.config.set({"distributed.admin.tick.interval": "10s", "distributed.worker.memory.monitor-interval": "60s"})

async def main():
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    options = dict(nthreads=1, memory_limit=0, host="127.0.0.1", dashboard_address="127.0.0.1:0")
    workers = [Worker(sys.argv[1], name=f"{sys.argv[3]}-{number}", **options) for number in range(int(sys.argv[2]))]
    await asyncio.gather(*workers)
    await asyncio.gather(*(worker.finished() for worker in workers))

asyncio.run(main())
"""

LOOKED_AT = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def sweep(points: int, solver: str = "moments") -> SweepSpec:
    """A sweep of so many points, a multiple of 10^4."""
    fixed = {"topology": "cascaded", "kappa": 0.003, "epsilon": 0.001, "solver": solver}
    fixed |= {"N": 1, "fock_levels": 3} if solver == "lindblad" else {"N": 8}
    axes: dict[str, Any] = {"n_th": {"linspace": [0, 0.2, 100]}, "r": {"linspace": [0, 0.1, 50]}}
    axes["J"] = {"geomspace": [0.001, 1, points // 5000]}
    return qb.sweep({"name": "scale", "parameters": fixed, "sweep": axes, "outputs": OUTPUTS})


def memory() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:5.0f} MB"


def allocated(folder: Path, spec: SweepSpec, grid: Grid) -> tuple[RunDirectory, Store]:
    folder.mkdir()
    directory = RunDirectory(folder)
    allocate(directory.data, spec, grid, {})
    return directory, Store(directory.data, safe=False)


def single_points(spec: SweepSpec) -> Grid:
    """The grid of a sweep of which every point is a block."""
    shape = tuple(len(axis) for axis in spec.axes.values())
    blocks = Tiling(shape, (1,) * len(shape))
    chunk = fit_chunks(blocks, lambda across: int(np.prod(across)) <= 4096)
    return Grid(tuple(spec.axes), shape, blocks.tile, chunk)


def constants(store: Store, shape: Iterable[int]) -> dict[str, Any]:
    """Arrays of a box of solved points; numbers that do not compress, as those of a solver."""
    random, codes = np.random.default_rng(1), ("status", "verdict")
    shape = tuple(shape)
    return {name: np.ones(shape, np.int8) if name in codes else random.random(shape) for name in store.variables}


def fill(store: Store, share: float) -> None:
    """Write so much of the chunks of a dataset."""
    for chunk in range(round(store.grid.chunks.number * share)):
        store.write_chunk(chunk, constants(store, (s.stop - s.start for s in store.grid.chunks.region(chunk))))


def plan(solver: str, points: str) -> None:
    spec = sweep(int(points), solver)
    started = time.process_time()
    try:
        found = qb.plan(spec)
        what = f"{found.blocks:9,} blocks {found.files:7,} files"
    except QbsweepError as error:
        what = f"refused: {str(error).partition(',')[0]}"[:70]
    print(f"{solver:8} {int(points):14,} points {time.process_time() - started:6.2f} s {memory()} {what}")


def driver(kind: str, blocks: str, folder: str) -> None:
    """The run loop over blocks of one point: reports alone, or files that are folded into chunks."""
    spec, n = sweep(int(blocks), "lindblad"), int(blocks)
    directory, store = allocated(Path(folder) / "run", spec, single_points(spec))
    arrays, elsewhere, most = constants(store, (1, 1, 1)), 0.0, 0

    def no_op(tasks: Iterable[Task]) -> Iterator[Report]:
        nonlocal elsewhere, most
        for task in tasks:
            started = time.process_time()
            if kind == "files":
                store.write(task.block, arrays)
            if task.block % 1000 == 999:
                most = max(most, sum(len(names) for _, _, names in os.walk(directory.path)))
            report = Report(task.block, 1, ok=1, seconds=1.0, host="node", pid=1)
            elsewhere += time.process_time() - started  # a worker's
            yield report

    started = time.process_time()
    loop.run_blocks(directory, store, no_op)
    spent = time.process_time() - started - elsewhere
    files = sum(len(names) for _, _, names in os.walk(directory.path))
    print(
        f"{kind:8} {n:10,} blocks {1e3 * spent / n:6.3f} ms of the driver, {1e3 * elsewhere / n:6.3f} ms of a worker,"
        f" {memory()}, {most:6,} files at most, {files:4,} in the end"
    )


class IdlePool:
    """Blocks that cost nothing."""

    def send(self, client: Any, task: Task) -> Any:
        return client.submit(Report, task.block, task.attempt, ok=1, pure=False)

    def judge(self, loss: Any) -> Report:
        raise AssertionError(f"{loss} was lost")

    def watch(self, workers: int, waiting: bool) -> None:
        pass


def scheduler(workers: str, blocks: str) -> None:
    """One scheduler in the driver, as in a job of Slurm; several hundred workers share a process."""
    import dask
    from distributed import Client, LocalCluster

    from qbsweep.runs.dask import CONFIG, DaskExecutor

    n = int(workers)
    groups = [min(125, n - first) for first in range(0, n, 125)]
    with (
        dask.config.set(CONFIG),
        LocalCluster(
            n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
        ) as cluster,
        Client(cluster) as client,
    ):
        started, cpu = time.monotonic(), time.process_time()
        processes = [
            subprocess.Popen([sys.executable, "-c", MANY_WORKERS, cluster.scheduler_address, str(size), str(number)])
            for number, size in enumerate(groups)
        ]
        try:
            client.wait_for_workers(n, timeout=900)
            joined, joining = time.monotonic() - started, time.process_time() - cpu
            started, cpu = time.monotonic(), time.process_time()
            tasks = (Task("", "", block) for block in range(int(blocks)))
            reports = sum(1 for _ in DaskExecutor(client, IdlePool())(tasks))
            spent, wall = time.process_time() - cpu, time.monotonic() - started
        finally:
            for process in processes:
                process.kill()
                process.wait()
        print(
            f"{n:6,} workers {reports:6,} blocks {1e3 * spent / reports:6.2f} ms of the driver a block, {memory()};"
            f" joined in {joined:5.1f} s, {1e3 * joining / n:5.1f} ms of the driver each; {wall:5.1f} s in all"
        )


def status(points: str, share: str, folder: str) -> None:
    spec = sweep(int(points))
    directory, store = allocated(Path(folder) / "run", spec, make_grid(spec))
    fill(store, float(share))
    command = [sys.executable, "-m", "qbsweep", "status", str(directory.path)]
    started = time.perf_counter()
    # Through a small process: the system counts the memory of whoever starts one as its own.
    found = subprocess.run([sys.executable, "-c", LOOKED_AT, *command], capture_output=True, text=True, check=True)
    wall, (spent, most) = time.perf_counter() - started, map(float, found.stdout.split())
    print(
        f"{int(points):12,} points, {float(share):4.0%} solved {spent:6.2f} s of the processor,"
        f" {wall:6.2f} s in all, {most / 1e3:5.0f} MB"
    )


def check(points: str, folder: str) -> None:
    from qbsweep.runs.check import check_files

    spec = sweep(int(points))
    directory, store = allocated(Path(folder) / "run", spec, make_grid(spec))
    fill(store, 1.0)
    check_files(directory, mend=False)
    started = time.process_time()
    found = check_files(directory, mend=False)
    spent = time.process_time() - started
    print(f"check    {int(points):12,} points {found.bytes / 1e6:7.0f} MB {found.bytes / spent / 1e6:6.0f} MB/s a core")


def compact(blocks: str, folder: str) -> None:
    spec = sweep(int(blocks), "lindblad")
    _, store = allocated(Path(folder) / "run", spec, single_points(spec))
    arrays = constants(store, (1, 1, 1))
    for number in range(int(blocks)):
        store.write(number, arrays)
    started = time.process_time()
    store.fold_all()
    print(f"compact  {int(blocks):12,} blocks {time.process_time() - started:7.2f} s {memory()}")


PARTS: dict[str, Callable[..., None]] = {
    "plan": plan,
    "driver": driver,
    "scheduler": scheduler,
    "status": status,
    "check": check,
    "compact": compact,
}


def measured(part: str, *arguments: object) -> None:
    """Print a row that a process of its own measures."""
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        given = [*map(str, arguments), *([] if part in ("plan", "scheduler") else [folder])]
        subprocess.run([sys.executable, __file__, part, *given], check=True)


def main(full: bool) -> None:
    print("\nplan: time of the processor, memory, blocks and files")
    for points in (10**4, 10**6, 10**8, 10**10):
        measured("plan", "moments", points)
    for points in (10**4, 10**6, 10**7, 10**8):
        measured("plan", "lindblad", points)
    print("\nthe run loop over blocks of one point: reports alone, and blocks as files that are folded into chunks")
    for blocks in (10**4, 10**5):
        for kind in ("reports", "files"):
            measured("driver", kind, blocks)
    if full:
        measured("driver", "reports", 10**6)
    print("\none scheduler and many workers, blocks that do nothing")
    for workers, blocks in ((10, 5000), (100, 5000), (1000, 10_000))[: 3 if full else 2]:
        measured("scheduler", workers, blocks)
    print("\nqbsweep status, as a process")
    for points in (10**4, 10**6, 10**7, *([10**8] if full else [])):
        for share in (0.5, 1.0):
            measured("status", points, share)
    print("\nwhat keeps a run")
    measured("check", 10**7)
    measured("compact", 10_000)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main("--full" in sys.argv)
