"""What points and blocks cost by model: nothing is solved, few points are looked at, and blocks add up."""

import contextlib
import math
from pathlib import Path

import numpy as np
import pytest

import qbsweep
from qbsweep.errors import QbsweepError
from qbsweep.physics.fock import evolution, relaxed, task
from qbsweep.runs import costs, plan
from qbsweep.runs.costs import MAX_CALLS, MAX_POINTS, block_costs, block_sums, point_costs
from qbsweep.runs.plan import make_grid, make_plan
from qbsweep.solvers import lindblad, moment_states, moments
from qbsweep.store.grid import Grid
from qbsweep.sweeps.axes import swept_axis
from qbsweep.sweeps.given import sweep
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.spec import load_spec

WORKFLOWS = sorted((Path(__file__).parents[2] / "workflows").glob("*.yaml"))
FIXED = {"topology": "cascaded", "N": 1, "J": 0.003, "kappa": 0.003, "epsilon": 0.001}


def spec_of(parameters=None, axes=None, **rest):
    axes = axes or {"n_th": [0, 1]}
    fixed = {name: value for name, value in (FIXED | (parameters or {})).items() if name not in axes}
    return sweep({"name": "costs", "parameters": fixed, "sweep": axes, **rest})


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(costs, "_latest", {})


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_plan_solves_nothing(file, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a plan must not solve")

    for module, name in (
        (relaxed, "steady_state"),
        (evolution, "propagate"),
        (task, "solve_model"),
        (moments, "solve_moments"),
        (moments, "solve_protocols"),
        (moment_states, "evolved_populations"),
        (moment_states, "coherent_populations"),
    ):
        monkeypatch.setattr(module, name, refuse)
    spec = load_spec(file)
    assert make_plan(spec, make_grid(spec)).seconds > 0


@pytest.mark.parametrize(
    "axes",
    [
        {"J": {"geomspace": [1e-3, 1e-1, 50]}, "n_th": {"linspace": [0, 1, 50]}, "r": {"linspace": [0, 0.5, 50]}},
        {"coupling": ["reciprocal", "nonreciprocal"], "fock_levels": {"range": [3, 40]}, "J": [1e-3, 2e-3, 1e-2, 0.1]},
        {"frame": ["lab", "displaced"], "tolerance": {"geomspace": [1e-4, 1e-2, 60]}, "fock_levels": [3, 4]},
    ],
    ids=["values", "levels", "settings"],
)
def test_few_points_of_a_large_sweep_are_looked_at(axes, monkeypatch):
    looked_at = []
    cost = lindblad._Point.cost
    monkeypatch.setattr(lindblad._Point, "cost", lambda self, outputs: looked_at.append(1) or cost(self, outputs))
    spec = spec_of({"solver": "lindblad", "fock_levels": 4}, axes)
    seconds = point_costs(spec).seconds
    assert len(looked_at) <= MAX_POINTS
    assert np.broadcast_to(seconds, [len(axis) for axis in spec.axes.values()]).min() > 0
    make_plan(spec, make_grid(spec))
    before = len(looked_at)
    make_plan(spec, make_grid(spec)), block_costs(spec, make_grid(spec))
    assert len(looked_at) == before  # and once


def test_costs_between_the_points_looked_at_are_near(monkeypatch):
    axes = {"N": [40, 1, 300, 7, 2, 110, 60, 20], "J": {"geomspace": [1e-3, 1e-1, 9]}}
    every = point_costs(spec_of(axes=axes)).seconds
    monkeypatch.setattr(costs, "MAX_CALLS", 3)
    monkeypatch.setattr(costs, "_latest", {})
    some = point_costs(spec_of(axes=axes)).seconds
    np.testing.assert_allclose(some, every, rtol=0.5)
    assert list(np.argsort(every.ravel())) == list(np.argsort(some.ravel())) == [1, 4, 3, 7, 0, 6, 5, 2]


def test_without_a_bath_a_point_is_another_problem():
    """The vacuum's displaced state is known at once, and must not be averaged with its neighbours."""
    axes = {"n_th": [0], "r": {"linspace": [0, 0.5, 300]}}
    seconds = point_costs(
        spec_of({"solver": "lindblad", "frame": "displaced", "fock_levels": 10}, axes)
    ).seconds.ravel()
    assert seconds[1] > 2 * seconds[0]
    assert seconds[1] == pytest.approx(seconds[2], rel=0.1)


def test_every_solver_has_its_own_cost():
    spec = spec_of({"frame": "displaced", "r": 0.3}, {"solver": ["lindblad", "moments"], "fock_levels": [4, 12]})
    seconds = point_costs(spec).seconds
    assert seconds.shape == (2, 2)  # fock_levels stand behind the solver
    assert seconds[0, 0] < seconds[0, 1]
    assert seconds[1, 0] == seconds[1, 1] < 0.1 * seconds[0, 0]


def test_a_climb_and_a_verdict_cost_all_their_solutions():
    def seconds(levels, **more):
        return float(point_costs(spec_of({"solver": "lindblad", "fock_levels": levels, **more})).seconds.max())

    assert seconds("auto") > seconds(8)
    assert seconds(8, kerr=0.001) > 1.2 * seconds(8)  # measured against seven levels


def test_blocks_add_up():
    rng = np.random.default_rng(0)
    for shape in [(5, 7), (3, 1, 8), (11,), ()]:
        blocks = tuple(int(rng.integers(1, size + 1)) for size in shape)
        grid = Grid(tuple("abc"[: len(shape)]), shape, blocks, blocks)
        some = tuple(size if rng.random() < 0.5 else 1 for size in shape)
        points = rng.random(some)
        whole = np.broadcast_to(points, shape)
        sums = [whole[grid.block(number)].sum() for number in range(grid.n_blocks)]
        np.testing.assert_allclose(block_sums(points, grid).ravel(), sums)


def test_blocks_cost_their_points_and_their_writing():
    spec = spec_of(axes={"N": [1, 2, 30], "n_th": [0, 1]})
    one, each = (block_costs(spec, Grid(("N", "n_th"), (3, 2), shape, shape)) for shape in ((3, 2), (1, 1)))
    assert (len(one), len(each)) == (1, 6)
    assert one.sum() < each.sum()
    assert each[4] == each[5] > each[0]


def test_the_speed_of_a_machine_changes_the_time_and_no_block(monkeypatch):
    spec = spec_of(axes={"J": {"geomspace": [1e-3, 1e-1, 40]}}, parameters={"solver": "lindblad", "fock_levels": 6})
    monkeypatch.setattr(plan, "slowness", lambda: 1.0)
    grid = make_grid(spec, 0.1)
    here = make_plan(spec, grid).seconds
    monkeypatch.setattr(plan, "slowness", lambda: 3.0)
    assert make_grid(spec, 0.1) == grid
    assert make_plan(spec, grid).seconds == pytest.approx(3 * here)


def test_where_all_points_cost_the_same_nothing_is_added_up(monkeypatch):
    monkeypatch.setattr(plan, "block_sums", lambda costs, grid: pytest.fail("that takes long on a large grid"))
    spec = spec_of(axes={name: {"linspace": [0.001, 0.1, 1000]} for name in ("J", "n_th")})
    assert make_grid(spec).n_points == 10**6


def test_a_thousand_networks_need_few(monkeypatch):
    built = []
    make = costs.box.make_points
    monkeypatch.setattr(costs.box, "make_points", lambda *given: built.append(1) or make(*given))
    spec = spec_of(axes={"coupling": ["nonreciprocal", "reciprocal"], "N": {"range": [1, 1000]}})
    assert point_costs(spec).seconds.shape == (2, 1000)
    assert 2 <= len(built) <= MAX_CALLS
    assert math.isfinite(block_costs(spec, make_grid(spec)).sum())


# What cannot be, and what leaves double precision

POINT = {"kappa": 0.01, "epsilon": 0.01, "J": 0.01, "topology": "cascaded", "solver": "lindblad", "N": 2}
DETUNED = {"networks": {"n": {"edges": [[0, 1], [1, 2]], "detuning": [-1e308, 0, 0]}}}


@pytest.mark.parametrize("N", [20, 40, 64, 100, 1000])
@pytest.mark.parametrize("levels", [2, 3, 1000, "auto"])
def test_networks_that_fit_no_machine_are_refused_at_once(N, levels):
    for memory in (2.0, 10_000.0):
        parameters = POINT | {"N": N, "fock_levels": levels, "memory": memory}
        with pytest.raises(QbsweepError, match=rf"^a point with N = {N} .* needs .* GB, but `memory` allows") as error:
            qbsweep.plan({"name": "x", "parameters": parameters})
        assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    "extreme",
    [
        {"kerr": 1e200},
        {"kerr_charger": -1e308},
        {"n_th": 1e308},
        {"n_th": 1e308, "frame": "displaced"},
        {"epsilon": 1e308},
        {"J": 1e308},
        {"r": 300},
        {"topology": "n"},
        {"kappa": 1e-308},
    ],
)
@pytest.mark.parametrize(("levels", "times"), [(3, None), (3, [0.0, 1e10, 1e308]), ("auto", [0.0, 1e308])])
def test_points_beyond_double_precision_can_be_planned(extreme, levels, times):
    sweep = {"name": "x", "parameters": POINT | {"fock_levels": levels} | extreme, **DETUNED}
    with contextlib.suppress(QbsweepError):  # `memory` is too little, say
        assert 0 <= qbsweep.plan(sweep | ({"times": times} if times else {})).seconds < math.inf


def test_between_the_values_that_were_looked_at_the_logarithm_is_interpolated():
    values = np.random.default_rng(0).permutation(np.geomspace(1e-3, 10, 23))
    axis = swept_axis(PARAMETERS["J"], values.tolist())
    looked_at = np.argsort(values)[[0, 1, 9, 22]]
    known = np.random.default_rng(1).uniform(1e-6, 1, (2, 4, 3))
    filled = costs._filled(known, 1, axis, looked_at)
    x = np.log(values)
    for i, k in np.ndindex(2, 3):
        np.testing.assert_allclose(filled[i, :, k], np.exp(np.interp(x, x[looked_at], np.log(known[i, :, k]))))
    assert (costs._filled(known[:, :1], 1, axis, looked_at[:1]) == known[:, :1]).all()


# What a run could not keep in memory


def test_a_sweep_of_too_many_points_of_their_own_cost_is_refused():
    lindblad_points = {"solver": "lindblad", "fock_levels": 4}
    axes = {name: {"linspace": [0.001, 0.1, 1000]} for name in ("J", "n_th", "r")}
    with pytest.raises(QbsweepError, match=r"this one has 1,000,000,000 of `solver: lindblad`; take fewer values"):
        make_grid(spec_of(lindblad_points, axes))
    assert make_grid(spec_of({}, axes)).n_points == 10**9


def test_a_sweep_of_too_many_blocks_is_refused_with_what_helps(monkeypatch):
    spec = spec_of({}, {"J": {"linspace": [0.001, 0.1, 1000]}})
    monkeypatch.setattr(plan, "MAX_BLOCKS", make_grid(spec, 1e-3).n_blocks)
    with pytest.raises(QbsweepError, match=r"blocks, of 1 points at most, .* give a longer `--block-seconds`"):
        make_grid(spec, 1e-9)
    assert make_grid(spec, 1e-3).n_points == 1000


def test_blocks_of_one_point_are_called_so():
    spec = spec_of(axes={"n_th": [0]})
    assert make_plan(spec, make_grid(spec)).rows()["blocks"] == "1 of 1 point"
