"""Blocks partition the grid, boxes cover what is pending, and a plan keeps blocks few and small."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from qbsweep.runs.plan import BLOCK_SECONDS, make_grid, make_plan
from qbsweep.store.grid import Grid, boxes, fit_blocks, fit_chunks
from qbsweep.store.layout import bytes_per_point, stored_variables
from qbsweep.sweeps import parse
from qbsweep.sweeps.spec import SweepSpec, resolve

MAX_BLOCK_BYTES = 64_000_000

shapes = st.lists(st.integers(1, 9), max_size=5).map(tuple)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    shape = draw(shapes)
    block = tuple(draw(st.integers(1, size)) for size in shape)
    return Grid(tuple("abcde"[: len(shape)]), shape, block, block)


@given(grids())
@settings(max_examples=100, deadline=None)
def test_blocks_partition_the_grid(grid: Grid) -> None:
    owners = np.zeros(grid.shape, dtype=int)
    for number in range(grid.n_blocks):
        region = grid.block(number)
        assert all(s.step is None and 0 <= s.start < s.stop <= n for s, n in zip(region, grid.shape, strict=True))
        # Every block starts on a chunk boundary, so that it owns its chunks.
        assert all(s.start % step == 0 for s, step in zip(region, grid.block_shape, strict=True))
        owners[region] += 1
    assert (owners == 1).all()
    assert grid.n_points == owners.size
    assert math.prod(grid.blocks.counts) == grid.n_blocks


@given(grids(), st.data())
@settings(max_examples=100, deadline=None)
def test_chunks_partition_the_blocks(grid: Grid, data: st.DataObject) -> None:
    across = [data.draw(st.integers(1, count)) for count in grid.blocks.counts]
    chunk = fit_chunks(grid.blocks, lambda n: all(a <= b for a, b in zip(n, across, strict=True)))
    grid = replace(grid, chunk_shape=chunk)
    owners = np.full(grid.shape, -1)
    for number in range(grid.chunks.number):
        blocks = grid.blocks_of(number)
        assert blocks == sorted(blocks)
        assert blocks
        region = grid.chunks.region(number)
        for block in blocks:
            assert grid.chunk_of(block) == number
            assert (owners[grid.block(block)] == -1).all()
            owners[grid.block(block)] = number
            pairs = zip(region, grid.within(block), grid.block(block), strict=True)
            assert all((c.start + s.start, c.start + s.stop) == (b.start, b.stop) for c, s, b in pairs)
        assert (owners[region] == number).all()
    assert (owners >= 0).all()


@given(grids())
@settings(max_examples=30, deadline=None)
def test_blocks_are_numbered_with_the_last_dimension_fastest(grid: Grid) -> None:
    corners = [tuple(s.start for s in grid.block(number)) for number in range(grid.n_blocks)]
    assert corners == sorted(corners)


def test_a_grid_without_dimensions_is_one_point() -> None:
    grid = Grid((), (), (), ())
    assert (grid.n_points, grid.n_blocks, grid.block(0)) == (1, 1, ())
    assert fit_blocks((), lambda block: False) == ()


@given(shapes, st.integers(0, 3000))
@settings(max_examples=150, deadline=None)
def test_fitted_blocks_fit(shape: tuple[int, ...], limit: int) -> None:
    def fits(block: tuple[int, ...]) -> bool:
        return math.prod(block) <= limit

    block = fit_blocks(shape, fits)
    assert len(block) == len(shape)
    assert all(1 <= length <= size for length, size in zip(block, shape, strict=True))
    assert fits(block) or set(block) <= {1}
    if math.prod(shape) <= limit:
        assert block == shape


@given(shapes, st.integers(1, 3000))
@settings(max_examples=100, deadline=None)
def test_outer_dimensions_are_cut_first(shape: tuple[int, ...], limit: int) -> None:
    block = fit_blocks(shape, lambda lengths: math.prod(lengths) <= limit)
    cut = [length < size for length, size in zip(block, shape, strict=True)]
    for dim, is_cut in enumerate(cut):
        if is_cut:
            assert set(block[:dim]) <= {1}  # what lies further out is down to single values


@given(shapes, st.integers(1, 3000))
@settings(max_examples=100, deadline=None)
def test_blocks_are_not_much_smaller_than_they_may_be(shape: tuple[int, ...], limit: int) -> None:
    block = fit_blocks(shape, lambda lengths: math.prod(lengths) <= limit)
    assert math.prod(block) * 4 > min(limit, math.prod(shape))


masks = shapes.flatmap(lambda shape: st_numpy.arrays(np.bool_, shape))


@given(masks)
@settings(max_examples=150, deadline=None)
def test_boxes_cover_a_mask_exactly_once(mask: np.ndarray) -> None:
    covered = np.zeros(mask.shape, dtype=int)
    for box in boxes(mask):
        assert len(box) == mask.ndim
        assert all(len(index) for index in box)
        assert all(a < b for index in box for a, b in pairwise(index.tolist()))
        covered[np.ix_(*box)] += 1
    assert (covered == mask).all()


@given(shapes, st.data())
@settings(max_examples=100, deadline=None)
def test_an_extended_grid_lacks_few_boxes(shape: tuple[int, ...], data: st.DataObject) -> None:
    old = [np.array(data.draw(st_numpy.arrays(np.bool_, size))) for size in shape]
    done = np.ones(shape, dtype=bool)
    for axis, kept in enumerate(old):
        done &= kept.reshape(*(1,) * axis, -1, *(1,) * (len(shape) - axis - 1))
    grown = sum(not kept.all() for kept in old)
    assert len(list(boxes(~done))) <= grown


def spec_of(sweep: dict, **content: object) -> SweepSpec:
    fixed = {"topology": "cascaded", "N": 4, "J": 0.1, "kappa": 0.003, "epsilon": 0.01}
    fixed = {name: value for name, value in fixed.items() if name not in sweep}
    return resolve(parse.parse({"name": "a", "parameters": fixed, "sweep": sweep, **content}))


def sized(points: int) -> SweepSpec:
    return spec_of(
        {
            "N": {"range": [1, 10]},
            "J": {"geomspace": [1e-4, 1e-1, points // 1000]},
            "n_th": {"linspace": [0, 1, 10]},
            "r": {"linspace": [0, 1, 10]},
        }
    )


@pytest.mark.parametrize("points", [10**5, 10**6, 10**7])
def test_blocks_grow_coarser_as_points_grow(points: int) -> None:
    grid = make_grid(sized(points))
    assert grid.n_points == points
    assert grid.n_blocks <= 300
    assert make_grid(sized(points)) == grid


@pytest.mark.parametrize(
    "spec",
    [
        sized(10**6),
        spec_of({"J": {"linspace": [0.1, 1, 1000]}, "N": [1, 100]}, outputs=["energy", "ergotropy"]),
        spec_of({"J": {"linspace": [0.1, 1, 500]}, "N": [100]}, times={"linspace": [0, 1, 1000]}),
        spec_of({"J": {"linspace": [0.1, 1, 3]}, "N": [2000]}, times={"linspace": [0, 1, 5000]}),
        spec_of({}),
        spec_of({"topology": ["cascaded", "parallel"]}),
    ],
    ids=["scalars", "modes", "times", "one point exceeds the limit", "one point", "names only"],
)
def test_blocks_are_bounded_in_bytes(spec: SweepSpec) -> None:
    grid = make_grid(spec)
    points = math.prod(grid.block_shape)
    assert points * bytes_per_point(spec) <= MAX_BLOCK_BYTES or points == 1
    assert grid.dims == tuple(spec.axes)
    assert grid.shape == tuple(len(axis) for axis in spec.axes.values())


def test_fewer_seconds_make_more_blocks() -> None:
    spec = sized(10**6)
    counts = [make_grid(spec, seconds).n_blocks for seconds in (BLOCK_SECONDS, 1e-2, 1e-3, 1e-4)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


@pytest.mark.parametrize("spec", [spec_of({}), sized(10**5), spec_of({"N": [3, 1]}, times=[0, 1])])
def test_a_plan_is_plain_data(spec: SweepSpec) -> None:
    grid = make_grid(spec)
    plan = make_plan(spec, grid)
    data = json.loads(json.dumps(plan.to_json(), allow_nan=False))
    assert data["points"] == grid.n_points == math.prod(grid.shape)
    assert data["blocks"] == grid.n_blocks
    assert tuple(data["dims"]) == tuple(spec.axes)
    assert tuple(data["block_shape"]) == grid.block_shape
    assert data["bytes"] == grid.n_points * bytes_per_point(spec)
    assert data["files"] == grid.chunks.number * (len(stored_variables(spec)) + 1)
    assert data["digest"] == spec.digest()
    assert 0 < data["seconds"] < 60
    again = make_plan(spec, make_grid(spec)).to_json()
    assert {**again, "seconds": 0} == {**plan.to_json(), "seconds": 0}
