"""The light look at what is solved, against the whole reading of the dataset."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from qbsweep.errors import QbsweepError
from qbsweep.physics.verdicts import SUSPECT_TRUNCATION
from qbsweep.runs import loop, opening
from qbsweep.runs import state as state_module
from qbsweep.runs.state import Progress, judged_progress_in, judged_progress_of, progress_in, progress_of
from qbsweep.solvers.status import NO_VERDICT, OK, STATUS_NAMES, SUSPECT, VERDICT_CODES
from qbsweep.store.allocate import allocate
from qbsweep.store.dataset import Store
from qbsweep.store.directory import RunDirectory
from qbsweep.store.grid import Grid
from qbsweep.store.metadata import read_metadata
from qbsweep.store.reading import open_dataset
from qbsweep.store.records import append_line
from qbsweep.sweeps.spec import SweepSpec, dump_spec, parse_spec

FIXED = "name: small\nparameters: {topology: cascaded, kappa: 0.003, epsilon: 0.01"
SWEEPS = {
    "cube": f"{FIXED}}}\nsweep: {{N: [1, 3], J: {{geomspace: [1e-3, 1e-2, 7]}}, n_th: [0, 1, 2]}}",
    "point": f"{FIXED}, N: 2, J: 0.1}}\nsweep: {{}}",
}


def allocated(
    path: Path, spec: SweepSpec, block_shape: tuple[int, ...], chunk_shape: tuple[int, ...] | None = None
) -> tuple[RunDirectory, Store]:
    path.mkdir()
    directory = RunDirectory(path)
    shape = tuple(len(axis) for axis in spec.axes.values())
    allocate(directory.data, spec, Grid(tuple(spec.axes), shape, block_shape, chunk_shape or block_shape), {})
    directory.write_sweep(spec.digest(), dump_spec(spec))
    return directory, Store(directory.data, safe=False)


def read_by_xarray(directory: RunDirectory, grid: Grid) -> Progress:
    with open_dataset(directory.data) as ds:
        status = ds.status.values
    done = sum(bool((status[grid.block(number)] != 0).all()) for number in range(grid.n_blocks))
    return Progress({name: int((status == code).sum()) for code, name in STATUS_NAMES.items()}, grid.n_blocks, done)


def verdicts_by_xarray(directory: RunDirectory) -> Counter[str]:
    with open_dataset(directory.data) as ds:
        counted = Counter(ds.load().qb.words().values.ravel().tolist())
    del counted["none"]
    return counted


@pytest.mark.parametrize("filled", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("sweep", "block_shape", "chunk_shape"),
    [
        ("cube", (1, 3, 3), (1, 3, 3)),
        ("cube", (2, 7, 3), (2, 7, 3)),
        ("cube", (1, 1, 1), (1, 1, 1)),
        ("cube", (2, 5, 2), (2, 5, 2)),
        ("cube", (1, 3, 3), (2, 7, 3)),
        ("cube", (1, 1, 1), (1, 4, 3)),
        ("cube", (1, 2, 2), (2, 4, 3)),
        ("cube", (1, 7, 3), (2, 7, 3)),
        ("cube", (1, 2, 3), (2, 4, 3)),
        ("point", (), ()),
    ],
)
def test_the_light_look_equals_the_whole_reading(
    tmp_path: Path, sweep: str, block_shape: tuple[int, ...], chunk_shape: tuple[int, ...], filled: float
) -> None:
    directory, store = allocated(tmp_path / "out", parse_spec(SWEEPS[sweep]), block_shape, chunk_shape)
    random = np.random.default_rng(7)
    for number in range(store.grid.n_blocks):
        if random.random() < filled:
            shape = [s.stop - s.start for s in store.grid.block(number)]
            codes = random.choice([0, 1, 2, 3], shape) if random.random() < 0.5 else random.choice([1, 3], shape)
            arrays = {"status": codes, "verdict": random.integers(0, 8, shape)}
            store.write(number, {**store.read(number), **{name: np.int8(code) for name, code in arrays.items()}})
        if random.random() < 0.2:
            store.fold(store.grid.chunk_of(number))
    light = read_metadata(directory.data).status
    assert light.grid == store.grid
    assert progress_of(light) == progress_of(store) == read_by_xarray(directory, store.grid) == progress_in(directory)
    status = store.status()
    for code in STATUS_NAMES:
        assert store.blocks_with(code) == [
            n for n in range(store.grid.n_blocks) if (status[store.grid.block(n)] == code).any()
        ]
    judged = [judged_progress_of(light), judged_progress_of(store), judged_progress_in(directory)]
    assert judged == [progress_of(light)] * 3
    assert [progress.verdicts for progress in judged] == [verdicts_by_xarray(directory)] * 3


def test_a_chunk_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, store = allocated(tmp_path / "out", parse_spec(SWEEPS["cube"]), (1, 1, 3), (1, 4, 3))
    folded, fold = list[int](), Store.fold
    monkeypatch.setattr(Store, "fold", lambda self, chunk: (folded.append(chunk), fold(self, chunk))[1])
    assert loop.run_blocks(directory, store, loop.serial).complete
    assert folded == list(range(store.grid.chunks.number))


def test_a_finished_and_an_extended_run(tmp_path: Path) -> None:
    for sweep in (SWEEPS["cube"], SWEEPS["cube"].replace("[0, 1, 2]", "[0, 0.5, 1, 2]")):
        with opening.locked(tmp_path / "out") as directory:
            store = opening.prepare(parse_spec(sweep), directory, block_seconds=1e-4)
            before = progress_of(read_metadata(directory.data).status)
            assert before == read_by_xarray(directory, store.grid)
            assert not before.complete
            loop.run_blocks(directory, store, loop.serial)
        assert progress_of(read_metadata(directory.data).status) == read_by_xarray(directory, store.grid)
        assert progress_in(directory).complete


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


DAMAGE = {
    "spec": lambda d: _edit(d / "zarr.json", "n_th: [0.0, 1.0, 2.0]", "n_th: [0.0, 1.0, 3.0]"),
    "array": lambda d: _edit(d / "energy_terminal/zarr.json", '"cname": "lz4"', '"cname": "zstd"'),
    "no array": lambda d: shutil.rmtree(d / "ergotropy_terminal"),
    "consolidated metadata": lambda d: _edit(d / "zarr.json", '"energy_charger": {', '"another": {'),
    "labels": lambda d: shutil.copy(d / "N/c.0", d / "n_th/c.0"),
    "short chunk": lambda d: (d / "status/c.0.0.0").write_bytes(b"\1"),
    "no seal": lambda d: next((d / "seals").glob("*-0.json")).unlink(),
    "no seals": lambda d: shutil.rmtree(d / "seals"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_looks_other_than_a_run_left_it_is_damaged(tmp_path: Path, damage: str) -> None:
    directory, store = allocated(tmp_path / "out", parse_spec(SWEEPS["cube"]), (2, 7, 3))
    Store(store.path).set_status(0, np.ones((2, 7, 3), np.int8))
    assert progress_in(directory).complete
    DAMAGE[damage](directory.data)
    with pytest.raises(QbsweepError, match=r"is damaged: .* is "):
        progress_in(directory)


def test_the_time_left_of_a_run_goes_by_what_its_blocks_should_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by points: half of them are in cheap blocks that come first."""
    spec = parse_spec(SWEEPS["cube"])
    directory, store = allocated(tmp_path / "out", spec, (1, 1, 3))
    predicted = [0.1] * 7 + [10.0] * 7
    directory.plan_file.write_text(json.dumps({"digest": spec.digest(), "block_seconds": predicted}))
    now = 1e9
    monkeypatch.setattr(state_module.time, "time", lambda: now)
    monkeypatch.setattr(state_module, "lock_holder", lambda path: {"started": now - 5})
    assert state_module.state(directory)["eta_seconds"] is None
    for block in range(7):
        store.set_status(block, np.full((1, 1, 3), OK, np.int8))
        event = {"block": block, "points": 3, "seconds": 0.2, "time": now - 1.4 + 0.2 * (block + 1)}
        append_line(directory.events_file, event)
    assert state_module.state(directory)["eta_seconds"] == pytest.approx(70, rel=0.2)
    directory.plan_file.write_text(json.dumps({"digest": spec.digest()}))  # of an older build
    assert state_module.state(directory)["eta_seconds"] == pytest.approx(1.4, rel=0.3)


@pytest.mark.parametrize("seed", range(3))
def test_the_levels_that_are_needed_are_found_a_chunk_at_a_time(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lindblad = f"{FIXED}, N: 1, solver: lindblad, fock_levels: 3}}\nsweep: {{J: [1, 2, 3, 4, 5, 6, 7], r: [0, 1]}}"
    _, store = allocated(tmp_path / "run", parse_spec(lindblad), (2, 2))
    rng = np.random.default_rng(seed)
    whole = {name: rng.integers(0, 6, store.grid.shape) for name in ("status", "verdict", "levels_needed")}
    for chunk in range(1, store.grid.chunks.number):
        arrays = store.read_chunk(chunk)
        store.write_chunk(chunk, arrays | {name: x[store.grid.chunks.region(chunk)] for name, x in whole.items()})
    status, verdict, levels = (store.read_one(name) for name in whole)
    doubted = (status == SUSPECT) & np.isin(verdict, [NO_VERDICT, VERDICT_CODES[SUSPECT_TRUNCATION]])
    known = levels[doubted & (levels > 0)]
    monkeypatch.setattr(Store, "read_one", None)
    found = state_module.levels_needed(store)
    assert found == (known.max() if len(known) else None, int((doubted & (levels <= 0)).sum()))
