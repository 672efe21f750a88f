"""Sweeps over disorder: the mean of the logarithm is known, and who solves what does not matter to a bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.physics.imperfect import mean_log_detuned
from qbsweep.physics.topologies import optimal_coupling
from qbsweep.runs import opening
from qbsweep.runs.block import Task, solve_block
from qbsweep.runs.box import MAX_LOGGED_FAILURES, solve_box

KAPPA = 0.003


def sweep(seeds: list[int], N: list[int] | int = 20, **fixed: Any) -> dict[str, Any]:
    parameters = {"topology": "cascaded", "kappa": KAPPA, "epsilon": 0.01, "J": {"value": 1, "unit": "J_op"}}
    axes: dict[str, Any] = {"seed": {"range": seeds}}
    (axes if isinstance(N, list) else parameters)["N"] = N
    return {"name": "disorder", "parameters": {**parameters, **fixed}, "sweep": axes, "outputs": ["energy_terminal"]}


DETUNED = {"spread_detuning": {"value": 1, "unit": "J"}}
MIXED = {**DETUNED, "spread_J": 0.3, "spread_kappa": 0.2, "spread_distribution": "normal", "gamma_ratio": 0.4}


def run(out: Path, *asked: Any, **options: Any) -> xr.Dataset:
    qb.run(sweep(*asked, **options), out, executor="serial", progress=False)
    return numbers(out)


def numbers(out: Path) -> xr.Dataset:
    return qb.open(out).dataset.drop_vars("solve_seconds").drop_attrs(deep=False).load()


@pytest.mark.parametrize("N", [1, 20])
def test_ten_thousand_seeds_have_the_mean_that_is_known(N: int, tmp_path: Path) -> None:
    """Of ln(E / E_clean), within 3 standard errors, which a wrong distribution or draws that depend would miss."""
    energies = run(tmp_path / "out", [0, 9999], N, **DETUNED)["energy_terminal"].values
    clean = run(tmp_path / "clean", [0, 0], N)["energy_terminal"].item()
    J = float(optimal_coupling("cascaded", N, KAPPA))
    exact = mean_log_detuned([2 * J + KAPPA, *[4 * J + KAPPA] * (N - 1), 2 * J + KAPPA], J)
    logarithms = np.log(energies / clean)
    error = logarithms.std(ddof=1) / np.sqrt(len(logarithms))
    assert abs(logarithms.mean() - exact) < 3 * error
    assert error < 0.02 * abs(exact)


@pytest.mark.parametrize("disorder", [DETUNED, MIXED], ids=["detuned", "mixed"])
def test_blocks_and_interruptions_do_not_matter_to_a_bit(disorder: dict[str, Any], tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", [0, 59], [1, 5, 20], **disorder)
    spec = qb.sweep(sweep([0, 59], [1, 5, 20], **disorder))
    with opening.locked(tmp_path / "small") as directory:
        store = opening.prepare(spec, directory, block_seconds=1e-6)
        assert store.grid.n_blocks > 20
        for block in (17, 3, 8):  # in any order, and then no more
            assert solve_block(Task(str(directory.path), store.id, block)).ok
    qb.run(sweep([0, 59], [1, 5, 20], **disorder), tmp_path / "small", executor="serial", progress=False)
    xr.testing.assert_identical(numbers(tmp_path / "small"), whole)


def test_seeds_split_over_two_runs(tmp_path: Path) -> None:
    """Merged they are the dataset of the whole, to the bit."""
    whole = run(tmp_path / "whole", [0, 59], [1, 5, 20], **MIXED)
    for name, seeds in (("a", [0, 22]), ("b", [23, 59])):
        run(tmp_path / name, seeds, [1, 5, 20], **MIXED)
    qb.merge(tmp_path / "a", tmp_path / "b", out=tmp_path / "merged")
    xr.testing.assert_identical(numbers(tmp_path / "merged"), whole)


@pytest.mark.parametrize(
    ("name", "unit"), [("spread_detuning", "J"), ("spread_detuning", "kappa"), ("detuning", "kappa"), ("spread_J", "1")]
)
def test_a_run_grows_into_disorder(name: str, unit: str, tmp_path: Path) -> None:
    """Nothing is nothing in any unit: what was solved without is there, and nothing of it is solved again."""
    plain = run(tmp_path / "out", [0, 3], [1, 5])
    content = sweep([0, 3], [1, 5])
    content["sweep"][name] = {"values": [0, 1], "unit": unit}
    qb.run(content, tmp_path / "out", executor="serial", progress=False)
    events = (tmp_path / "out" / "events.jsonl").read_text().splitlines()
    assert sum(json.loads(event)["points"] for event in events) == 16
    grown = numbers(tmp_path / "out")
    xr.testing.assert_identical(grown.sel({name: 0}, drop=True), plain)
    part = {**content, "sweep": {**content["sweep"], name: {"values": [1], "unit": unit}}}
    qb.run(part, tmp_path / "part", executor="serial", progress=False)
    run(tmp_path / "plain", [0, 3], [1, 5])
    for number, order in enumerate((("plain", "part"), ("part", "plain"))):
        qb.merge(*(tmp_path / of for of in order), out=tmp_path / f"merged{number}")
        merged = numbers(tmp_path / f"merged{number}").sortby(name)
        xr.testing.assert_identical(merged, grown)


def test_the_loss_of_the_charger_has_a_unit_to_keep(tmp_path: Path) -> None:
    run(tmp_path / "out", [0, 0])
    content = sweep([0, 0])
    content["sweep"]["kappa_charger"] = [0.003, 0.006]
    with pytest.raises(qb.QbsweepError, match="the unit of `kappa_charger` was kappa and is omega"):
        qb.run(content, tmp_path / "out", executor="serial", progress=False)


def test_both_solvers_draw_the_same_network() -> None:
    """The truncated solver's own error aside: its frame is displaced, so that a vacuum bath has none."""
    fixed = {"kappa": 0.3, "epsilon": 0.1, "J": 0.2, "frame": "displaced", "fock_levels": 3}
    disorder = {"spread_J": 0.3, "spread_kappa": 0.2, "spread_detuning": 0.1, "seed": range(4), "kappa_charger": 0.2}
    ds = qb.solve(qb.cascaded(2), solver=["moments", "lindblad"], **fixed, **disorder)
    energies = ds["energy_terminal"]
    assert energies.sel(solver="lindblad").values == pytest.approx(energies.sel(solver="moments").values, rel=1e-8)
    assert len(np.unique(energies.values)) == 8


@pytest.mark.parametrize(
    ("fixed", "what"),
    [({"spread_kappa": 1.5}, "kappa of mode [012]"), ({"spread_J": 1.5}, r"J of edge [12] \([01], [12]\)")],
)
@pytest.mark.parametrize("solver", ["moments", "lindblad"])
def test_a_negative_rate_fails_its_own_points(fixed: dict[str, float], what: str, solver: str) -> None:
    """With the seed, and the mode or edge; the others are solved."""
    settings = {"frame": "displaced", "fock_levels": 2} if solver == "lindblad" else {}
    asked = {"J": 0.2, "kappa": 0.3, "epsilon": 0.1, "solver": solver, **fixed, **settings}
    ds = qb.solve(qb.cascaded(2), seed=range(20), **asked)
    failed = ds["status"].values == 2
    assert 0 < failed.sum() < 20
    assert np.isnan(ds["energy_terminal"].values[failed]).all()
    assert np.isfinite(ds["energy_terminal"].values[~failed]).all()
    one = int(ds["seed"].values[failed.ravel()][0])
    with pytest.raises(qb.QbsweepError, match=f"seed {one} makes the {what} negative"):
        qb.solve(qb.cascaded(2), seed=one, **asked)


def test_seeds_without_disorder_are_all_the_same() -> None:
    ds = qb.solve(qb.cascaded(3), J=[0.1, 0.2], kappa=0.3, epsilon=0.1, seed=range(5))
    assert ds["energy_terminal"].dims == ("J", "seed")
    assert len(np.unique(ds["energy_terminal"].values)) == 2


RING = qb.Network((1.0,) * 4, (qb.Edge(0, 1, 1.0), qb.Edge(1, 2, 1.0), qb.Edge(2, 3, 1.0), qb.Edge(3, 0, 0.5, 0.3)))
WHOLE = ["ergotropy_register", "log_negativity", "purity"]


@pytest.mark.parametrize("network", [RING, qb.cascaded(3), qb.cascaded(3, realization="phase-zero")])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"times": [0.0, 0.3, 2.0], "n_th": 0.5},
        {"outputs": WHOLE},
        {"outputs": ["ergotropy_register_t", "drive_power_t"], "times": [0.0, 1.0]},
        {"times": [0.0, 1.0], "initial": "steady", "protocol": [{"drive": 0}]},
    ],
)
@pytest.mark.parametrize(("spread", "what"), [("spread_J", "J of edge"), ("spread_kappa", "kappa of mode")])
def test_where_every_draw_fails_the_reason_is_said(
    network: qb.Network, asked: dict[str, Any], spread: str, what: str
) -> None:
    with pytest.raises(qb.QbsweepError, match=f"seed 0 makes the {what} .* negative"):
        qb.solve(network, J=0.003, kappa=0.003, epsilon=0.01, seed=0, **{"r": 0.5, spread: 30.0}, **asked)


def test_a_seed_alone_has_the_numbers_that_it_has_beside_others() -> None:
    """Of more batteries than NumPy adds one after the other."""
    fixed = {"kappa": 0.003, "J": 0.006, "epsilon": 0.01, "spread_detuning": 0.003}
    whole = qb.solve(qb.cascaded(20), seed=range(30), **fixed)
    alone = [qb.solve(qb.cascaded(20), seed=[seed], **fixed) for seed in range(30)]
    for name in ("energy_batteries", "energy_terminal", "energy_charger"):
        np.testing.assert_array_equal(whole[name], [one[name].item() for one in alone])


def test_of_very_many_points_that_fail_some_are_logged_and_all_counted() -> None:
    spec = qb.sweep(
        name="fails",
        parameters={"topology": "cascaded", "N": 2, "J": 0.2, "kappa": 0.3, "epsilon": 0.1, "spread_kappa": 1.5},
        sweep={"seed": range(2000), "n_th": [0, 1]},
    )
    solution = solve_box(spec, tuple(np.arange(len(axis)) for axis in spec.axes.values()))
    failed = solution.arrays["status"] == 2
    assert failed.sum() > 1000
    assert sum(failure.points for failure in solution.failures) == failed.sum()
    assert len(solution.failures) == MAX_LOGGED_FAILURES + 1
    assert np.isnan(solution.arrays["numerical_error"][failed]).all()
