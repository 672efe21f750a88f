"""Derivatives from samples, against the ones of functions, and of networks."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.analysis.files import summary
from qbsweep.analysis.sensitivity import derivative
from qbsweep.claims.optimum import energy_of_ratio
from qbsweep.errors import QbsweepError
from qbsweep.figures.gallery import of_result

Make = Callable[..., xr.Dataset]
UNEVEN = np.sort(np.random.default_rng(3).uniform(0.2, 1.2, 40))


@pytest.mark.parametrize("x", [np.linspace(0.2, 1.2, 40), np.geomspace(0.2, 1.2, 40), UNEVEN])
def test_errors_cover_the_truth(x: np.ndarray) -> None:
    slope, error = derivative(x, np.sin(3 * x))
    assert (np.abs(slope - 3 * np.cos(3 * x)) <= error).all()
    assert error.max() < 0.03


@pytest.mark.parametrize("degree", [1, 2])
def test_polynomials_are_exact_up_to_the_ends(degree: int) -> None:
    slope, error = derivative(UNEVEN, UNEVEN**degree)
    np.testing.assert_allclose(slope, degree * UNEVEN ** (degree - 1), atol=1e-9)
    assert (error < 1e-6).all()


def test_halving_the_steps_gains_four_orders_of_two() -> None:
    errors = [
        np.abs(derivative(x, np.exp(x))[0] - np.exp(x)).max() for x in (np.linspace(0, 1, 21), np.linspace(0, 1, 41))
    ]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.15)


def test_few_samples() -> None:
    slope, error = derivative(np.array([1.0, 2.0]), np.array([3.0, 5.0]))
    assert slope.tolist() == [2, 2]
    assert np.isnan(error).all()  # nothing to compare with
    slope, error = derivative(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 4.0]))
    np.testing.assert_allclose(slope, [0, 2, 4], atol=1e-14)
    np.testing.assert_allclose(error, [1, 1, 1], rtol=0.01)


def test_against_the_matrices_of_a_network(sweep: Callable[[str], Path]) -> None:
    out = sweep(
        "name: run\nparameters: {topology: cascaded, J: {value: 1, unit: J_op}, kappa: 0.003, epsilon: 0.01}\n"
        "sweep: {N: [2, 3], gamma_ratio: {linspace: [0, 1.5, 61]}}\n"
    )
    found = qb.open(out).dataset.qb.sensitivity()
    for N in (2, 3):
        one = found.sel(N=N)
        exact = np.array([energy_of_ratio(N, ratio)[1] for ratio in found["gamma_ratio"].values])
        assert (np.abs(one["slope"] - exact) <= one["slope_error"]).all()
        np.testing.assert_allclose(one["slope"], exact, atol=2e-3)
        np.testing.assert_allclose(one["elasticity"][1:], exact[1:] * found["gamma_ratio"][1:], atol=2e-3)
    assert found["elasticity"].isel(gamma_ratio=0).isnull().all()
    np.testing.assert_array_equal(found["ideal_slope"], found["slope"].sel(gamma_ratio=1))
    np.testing.assert_array_equal(np.abs(found["steepest_slope"]), np.abs(found["slope"]).max("gamma_ratio"))
    for N in (2, 3):
        at = found["steepest_at"].sel(N=N).item()
        assert found["slope"].sel(N=N, gamma_ratio=at) == found["steepest_slope"].sel(N=N)
    assert len(summary(found)) == 2
    assert found["slope"].attrs["units"] == "1"
    assert "sensitivity, of energy_terminal, along gamma_ratio" in repr(qb.open(out).analyze(along="gamma_ratio"))


def test_power_laws_in_any_order_of_the_axis(synthetic: Make) -> None:
    J = np.geomspace(0.1, 10, 61)
    ds = synthetic(7 * J**-1.5, {"J": J})
    shuffled = ds.isel(J=np.random.default_rng(0).permutation(61))
    for one in (ds, shuffled):
        found = one.qb.sensitivity(along="J")
        np.testing.assert_allclose(found["elasticity"], -1.5, rtol=3e-4)
        np.testing.assert_allclose(found["slope"], -1.5 / one["J"], rtol=3e-4)
        assert (np.abs(found["elasticity"] + 1.5) <= found["elasticity_error"]).all()


def test_neighbours_that_may_not_be_used(synthetic: Make) -> None:
    J = np.linspace(1, 2, 21)
    status = np.ones(21, np.int8)
    status[10] = 2
    found = synthetic(J, {"J": J}, status=status).qb.sensitivity(along="J")
    assert np.flatnonzero(found["slope"].isnull()).tolist() == [10]
    known = found.isel(J=status == 1)
    assert (np.abs(known["slope"] - 1 / known["J"]) <= known["slope_error"]).all()
    both = synthetic([J, J**2], {"N": [1, 2], "J": J}, status=np.array([status, np.ones(21)], np.int8))
    np.testing.assert_array_equal(both.qb.sensitivity(along="J")["slope"].sel(N=1), found["slope"])
    assert found["masked_points"].item() == 1
    empty = synthetic(J, {"J": J}, status=np.full(21, 2, np.int8)).qb.sensitivity(along="J")
    assert empty["steepest_slope"].isnull() & empty["steepest_at"].isnull()
    assert "ideal_slope" not in empty


@pytest.mark.parametrize(
    ("along", "told"),
    [
        (
            None,
            "sensitivity needs an axis of an imperfection (or, with `along`, any axis of numbers), which this dataset "
            "lacks; a sweep with `gamma_ratio: ",
        ),
        (
            "topology",
            "sensitivity needs an axis of numbers of the sweep, which `topology` is not; this dataset has J, N",
        ),
        ("N", "sensitivity needs two values of `N` at least, but this dataset has one"),
    ],
)
def test_what_it_needs(synthetic: Make, along: str | None, told: str) -> None:
    ds = synthetic(np.ones((2, 3, 1)), {"topology": ["cascaded", "parallel"], "J": [1, 2, 3], "N": [2]})
    with pytest.raises(QbsweepError, match=re.escape(told)):
        ds.qb.sensitivity(along=along)


def test_a_picture_is_of_all_networks(synthetic: Make) -> None:
    """Not of the first of many seeds; and it says what the axis is."""
    ds = synthetic(np.ones((4, 3)), {"gamma_ratio": [0, 0.5, 1, 1.5], "seed": [0, 1, 2]})
    assert of_result(ds.qb.sensitivity()) == []
    (chart,) = of_result(ds.isel(seed=0).qb.sensitivity())
    assert chart.ylabel.endswith("/ d(Γ / (2J))")
