"""The run loop, the store and the lock, in one process; `test_faults.py` has the real kills."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from qbsweep.errors import QbsweepError
from qbsweep.physics import reference
from qbsweep.physics.network import Edge, Network
from qbsweep.runs import loop, opening
from qbsweep.runs.block import Report, Task, solve_block
from qbsweep.runs.dask import DaskExecutor, local_executor, remote_executor
from qbsweep.runs.plan import make_grid
from qbsweep.runs.state import progress_of
from qbsweep.store.allocate import allocate
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.grid import Grid
from qbsweep.store.records import append_line
from qbsweep.sweeps.axes import Axis
from qbsweep.sweeps.spec import SweepSpec, parse_spec

SWEEP = """
name: small
parameters: {topology: cascaded, kappa: 0.003, epsilon: 0.01}
sweep: {N: [1, 3], J: {geomspace: [1e-3, 1e-2, 6]}, n_th: [0, 1]}
times: {linspace: [0, 10, 5], unit: 1/kappa}
"""


@pytest.fixture
def spec(tmp_path: Path) -> SweepSpec:
    return load(tmp_path, SWEEP)


def load(folder: Path, text: str) -> SweepSpec:
    from qbsweep.sweeps.spec import load_spec

    path = folder / "sweep.yaml"
    path.write_text(text)
    return load_spec(path)


@pytest.fixture
def opened(tmp_path: Path, spec: SweepSpec) -> Iterator[tuple[RunDirectory, Store]]:
    """A new run directory, locked, in blocks of a few points."""
    with opening.locked(tmp_path / "out") as directory:
        yield directory, opening.prepare(spec, directory, block_seconds=2e-5)


def values(directory: RunDirectory) -> xr.Dataset:
    with xr.open_zarr(directory.data) as ds:
        return ds.drop_vars("solve_seconds").load()


def test_own_graph_is_solved_as_the_reference_does(tmp_path: Path) -> None:
    spec = load(
        tmp_path,
        """
name: ring
parameters: {topology: ring, coupling: reciprocal, N: 3, kappa: 0.003, epsilon: 0.01, n_th: 0.2, r: 0.3}
sweep: {J: [0.001, 0.004]}
outputs: [energy, ergotropy]
networks:
  ring:
    edges: [[0, 1], [1, 2], {modes: [2, 3], Gamma: 0.7}, {modes: [3, 0], J: 0.5, theta: 0.3}]
    kappa: [1, 2, 1, 1]
    detuning: [0, 0.001, 0, 0]
""",
    )
    with opening.locked(tmp_path / "out") as directory:
        loop.run_blocks(directory, opening.prepare(spec, directory), loop.serial)
    ds = values(directory)
    for J in (0.001, 0.004):
        edges = (
            Edge(0, 1, J),
            Edge(1, 2, J),
            Edge(2, 3, J, Gamma=0.7 * J, p_u=1, p_v=1),
            Edge(3, 0, 0.5 * J, theta=0.3),
        )
        network = Network(kappa=(0.003, 0.006, 0.003, 0.003), edges=edges, detuning=(0, 0.001, 0, 0))
        moments = reference.steady_moments(network, 0.01, n_th=0.2, r=0.3)
        np.testing.assert_allclose(ds.energy.sel(J=J), moments.coherent + moments.occupation, rtol=1e-12)
        passive = np.sqrt((moments.occupation + 0.5) ** 2 - moments.anomaly**2) - 0.5
        expected = moments.coherent + moments.occupation - passive
        np.testing.assert_allclose(ds.ergotropy.sel(J=J), expected, rtol=1e-12)


def test_a_chunk_has_the_same_points_of_every_variable(opened: tuple[RunDirectory, Store]) -> None:
    directory, store = opened
    assert store.grid.n_blocks > 4
    group = zarr.open_group(str(directory.data), mode="r")
    for name in (*store.spec.outputs, "status", "solve_seconds"):
        array = group[name]
        assert isinstance(array, zarr.Array)
        assert array.chunks[: len(store.grid.dims)] == store.grid.chunk_shape
        assert array.chunks[len(store.grid.dims) :] == array.shape[len(store.grid.dims) :]


def ungrouped(directory: RunDirectory, spec: SweepSpec) -> Store:
    """Allocate a dataset of which every block is a chunk, as of long blocks."""
    grid = make_grid(spec, 2e-5)
    allocate(directory.data, spec, replace(grid, chunk_shape=grid.block_shape), {})
    return Store(directory.data)


@pytest.mark.parametrize("grouped", [True, False])
def test_a_block_writes_its_own_file_or_chunk_only(
    opened: tuple[RunDirectory, Store], spec: SweepSpec, tmp_path: Path, grouped: bool
) -> None:
    directory, store = opened
    assert store.grid.is_grouped
    if not grouped:
        directory = RunDirectory(tmp_path)
        store = ungrouped(directory, spec)
    before = set(directory.path.rglob("*"))
    report = solve_block(Task(str(directory.path), store.id, 2))
    assert not report.error
    done = store.status() == 1
    inside = np.zeros_like(done)
    inside[store.grid.block(2)] = True
    np.testing.assert_array_equal(done, inside)
    files = {path.relative_to(directory.path) for path in set(directory.path.rglob("*")) - before if path.is_file()}
    if grouped:
        assert files == {Path("blocks", store.id, "2.block")}
    else:
        assert {path.parts[:2] for path in files} == {("data.zarr", name) for name in (*store.variables, "seals")}
        assert len(files) == len(store.variables) + 1


def test_the_seal_is_written_first_and_status_last(
    tmp_path: Path, spec: SweepSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ungrouped(RunDirectory(tmp_path), spec)
    written: list[str] = []
    original = Path.replace

    def spy(self: Path, target: Path) -> Path:
        assert store.chunks.seals.read(0)
        written.append(target.parent.name)
        return original(self, target)

    monkeypatch.setattr(Path, "replace", spy)
    solve_block(Task(str(tmp_path), store.id, 0))
    assert sorted(written) == sorted(store.variables)
    assert written[-1] == "status"


@pytest.mark.parametrize("block_shape", [(1, 1, 1), (2, 4, 2), (1, 5, 2), (2, 6, 1), (2, 6, 2)])
def test_status_is_what_xarray_reads(tmp_path: Path, spec: SweepSpec, block_shape: tuple[int, ...]) -> None:
    path = tmp_path / "data.zarr"
    allocate(path, spec, Grid(tuple(spec.axes), (2, 6, 2), block_shape, block_shape), {})
    store = Store(path)
    expected = np.zeros((2, 6, 2), np.int8)
    for number in range(0, store.grid.n_blocks, 2):  # the others have no file
        region = store.grid.block(number)
        expected[region] = np.random.default_rng(number).integers(0, 4, expected[region].shape)
        store.set_status(number, expected[region])
    np.testing.assert_array_equal(store.status(), expected)
    with xr.open_zarr(path) as ds:
        np.testing.assert_array_equal(ds["status"], expected)


def test_status_of_a_single_point(tmp_path: Path) -> None:
    fixed = load(tmp_path, "name: one\nparameters: {topology: cascaded, N: 1, J: 1, kappa: 1, epsilon: 1}\nsweep: {}\n")
    allocate(tmp_path / "data.zarr", fixed, Grid((), (), (), ()), {})
    store = Store(tmp_path / "data.zarr")
    assert store.status() == 0
    store.set_status(0, np.array(3, np.int8))
    assert store.status() == 3


def test_a_damaged_status_is_one_sentence(tmp_path: Path, spec: SweepSpec) -> None:
    store = ungrouped(RunDirectory(tmp_path), spec)
    assert not solve_block(Task(str(tmp_path), store.id, 0)).error
    (chunk,) = (store.path / "status").glob("c*")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(QbsweepError, match="damaged"):
        store.status()


def test_status_of_zero_is_on_disk(tmp_path: Path, spec: SweepSpec) -> None:
    store = ungrouped(RunDirectory(tmp_path), spec)
    store.set_status(0, np.zeros_like(store.block_status(0)))
    assert list((store.path / "status").glob("c*"))


def test_a_block_cut_off_before_its_status_is_solved_again(
    tmp_path: Path, spec: SweepSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory(tmp_path)
    store = ungrouped(directory, spec)
    original = Path.replace

    def power_cut(self: Path, target: Path) -> Path:
        if target.parent.name == "status":
            raise OSError(5, "Input/output error")
        return original(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", power_cut)
        report = solve_block(Task(str(tmp_path), store.id, 0))
        assert report.cause == "write"
    assert (store.status() == 0).all()
    assert loop.run_blocks(directory, store, loop.serial).exit_code == 0


def test_a_point_without_a_number_is_failed_and_says_why(tmp_path: Path) -> None:
    spec = load(tmp_path, SWEEP.replace("n_th: [0, 1]", "n_th: [0, 1.0e+308], r: [0, 1]"))
    with opening.locked(tmp_path / "out") as directory:
        store = opening.prepare(spec, directory)
        assert loop.run_blocks(directory, store, loop.serial).exit_code == 3
    failed = values(directory).status == 2
    assert failed.sel(n_th=1e308, r=1).all()  # n_th cosh 2r is beyond double precision
    assert not failed.sel(n_th=0).any()
    assert all("not finite" in record["error"] for record in directory.failures())


def test_every_finished_block_has_one_event_even_if_the_driver_died_before_it(
    opened: tuple[RunDirectory, Store],
) -> None:
    directory, store = opened
    solve_block(Task(str(directory.path), store.id, 0))  # written, but its report never arrived
    append_line(directory.events_file, {"block": 1, "dataset": "another"})
    with directory.events_file.open("a") as file:
        file.write('{"block": 5, "cut short')
    loop.run_blocks(directory, store, loop.serial)
    events = [event for event in directory.events() if event["dataset"] == store.id]
    assert sorted(event["block"] for event in events) == list(range(store.grid.n_blocks))
    assert [event["block"] for event in events if event.get("recovered")] == [0]


def test_unwritable_block_is_tried_three_times_then_failed(opened: tuple[RunDirectory, Store]) -> None:
    directory, store = opened
    tried: list[Task] = []

    def executor(tasks: Iterator[Task]) -> Iterator[Report]:
        for task in tasks:
            if task.block == 3:
                tried.append(task)
                yield Report(task.block, task.attempt, error="OSError: the disk is on fire", cause="write")
            else:
                yield solve_block(task)

    progress = loop.run_blocks(directory, store, executor)  # type: ignore[arg-type]
    assert [task.attempt for task in tried] == [1, 2, 3]
    assert progress.exit_code == 3
    assert (store.status()[store.grid.block(3)] == 2).all()
    (failure,) = directory.failures()
    assert failure["error"] == "OSError: the disk is on fire (3 attempts)"
    assert opening.reset_failed(directory, store) == failure["points"]
    assert loop.run_blocks(directory, store, loop.serial).exit_code == 0


@pytest.mark.parametrize("moment", ["before the swap", "between the renames", "before the clean-up"])
def test_an_interrupted_extension_loses_nothing(tmp_path: Path, spec: SweepSpec, moment: str) -> None:
    with opening.locked(tmp_path / "out") as directory:
        loop.run_blocks(directory, opening.prepare(spec, directory), loop.serial)
    before = values(directory)
    data = directory.data
    if moment == "before the swap":
        (directory.replacement / "half").mkdir(parents=True)
    elif moment == "between the renames":
        data.rename(data.with_name(".data.zarr.previous"))
        directory.replacement.mkdir()
    else:
        (data.with_name(".data.zarr.previous") / "half").mkdir(parents=True)
    with opening.locked(tmp_path / "out") as directory:
        store = opening.prepare(spec, directory)
        assert progress_of(store).complete
    xr.testing.assert_identical(values(directory), before)
    assert [path.name for path in directory.path.glob("*data.zarr*")] == ["data.zarr"]


def test_dask_executor_keeps_a_bounded_number_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = 0

    def tasks() -> Iterator[Task]:
        nonlocal drawn
        for block in range(200):
            drawn += 1
            yield Task("nowhere", "none", block)

    with local_executor(1) as executor:
        ahead = []
        for finished, report in enumerate(executor(tasks()), start=1):
            assert "damaged" in report.error  # there is no such directory
            ahead.append(drawn - finished)
    assert len(ahead) == 200
    assert max(ahead) <= 4


def test_external_scheduler(tmp_path: Path, opened: tuple[RunDirectory, Store]) -> None:
    from distributed import LocalCluster

    directory, store = opened
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        remote_executor(cluster.scheduler_address) as executor,
    ):
        assert isinstance(executor, DaskExecutor)
        assert loop.run_blocks(directory, store, executor).exit_code == 0


def test_scheduler_refuses_clients_without_the_credentials_of_the_run() -> None:
    from distributed import Client
    from distributed.security import Security

    with local_executor(1) as executor:
        address = executor._client.scheduler.address
        assert address.startswith("tls://127.0.0.1")
        with Client(address, security=executor._client.security, set_as_default=False, timeout=60):
            pass  # the same address answers to whoever has them
        with pytest.raises(OSError, match=r"Timed out|certificate"):
            Client(address, security=Security.temporary(), set_as_default=False, timeout=2)


def test_a_worker_of_a_replaced_dataset_writes_nothing(opened: tuple[RunDirectory, Store], spec: SweepSpec) -> None:
    directory, store = opened
    late = Store(directory.data)  # as a worker holds it that outlives its run
    results = late.read(0)
    extend = load(directory.path.parent, SWEEP.replace("n_th: [0, 1]", "n_th: [2, 0, 1]"))
    store = opening.prepare(extend, directory, block_seconds=2e-5)
    loop.run_blocks(directory, store, loop.serial)
    before = values(directory)
    with pytest.raises(QbsweepError, match="was replaced while it was being run"):
        late.write(0, results)
    assert solve_block(Task(str(directory.path), late.id, 0)).error
    xr.testing.assert_identical(values(directory), before)


def test_blocks_do_not_depend_on_how_the_grid_is_cut(tmp_path: Path, spec: SweepSpec) -> None:
    results = []
    for seconds in (1e-4, 1e-3, 10.0):
        with opening.locked(tmp_path / f"out-{seconds}") as directory:
            store = opening.prepare(spec, directory, block_seconds=seconds)
            loop.run_blocks(directory, store, loop.serial)
        results.append(values(directory).drop_attrs(deep=False))
    assert make_grid(spec, 1e-4).n_blocks > make_grid(spec, 1e-3).n_blocks > 1
    for other in results[1:]:
        xr.testing.assert_identical(results[0], other)


def test_spec_in_the_dataset_is_the_spec(opened: tuple[RunDirectory, Store], spec: SweepSpec) -> None:
    directory, store = opened
    assert store.spec.digest() == spec.digest()
    assert parse_spec((directory.path / "sweep.yaml").read_text()).digest() == spec.digest()
    assert isinstance(store.spec.axes["J"], Axis)
