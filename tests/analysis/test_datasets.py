"""The analyses on synthetic datasets: what is masked, what is missing, and axes of every kind."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

import qbsweep  # noqa: F401  for `ds.qb`
from qbsweep.analysis.advantage import nonreciprocal_advantage
from qbsweep.analysis.inputs import MissingAxisError
from qbsweep.analysis.optimal_coupling import optimal_coupling
from qbsweep.analysis.scaling import scaling_exponent
from qbsweep.errors import QbsweepError
from qbsweep.physics import closed_forms

Make = Callable[..., xr.Dataset]
Chain = Callable[..., np.ndarray]
J = np.geomspace(0.2, 5, 81)
BAD = {"pending": 0, "failed": 2, "suspect": 3}


@pytest.mark.parametrize("code", BAD.values(), ids=BAD)
def test_points_that_are_not_ok_are_left_out_and_counted(synthetic: Make, chain_energy: Chain, code: int) -> None:
    energy, status = chain_energy(J), np.ones(81, np.int8)
    bad = [3, 40, 44, 80]
    energy[bad], status[bad] = 1e9, code
    found = synthetic(energy, {"J": J}, status=status).qb.optimal_coupling()
    kept = np.delete(np.arange(81), bad)
    expected = synthetic(chain_energy(J)[kept], {"J": J[kept]}).qb.optimal_coupling()
    assert found["masked_points"].item() == 4
    xr.testing.assert_equal(found.drop_vars("masked_points"), expected.drop_vars("masked_points"))
    assert found["verdict"].item() == "peak"
    assert found["J_op"].item() == pytest.approx(float(closed_forms.cascaded_optimal_coupling(3, 1.0)), rel=1e-5)


def test_values_that_are_no_numbers_are_left_out_though_ok(synthetic: Make, chain_energy: Chain) -> None:
    energy = chain_energy(J)
    energy[[10, 20]] = np.nan, np.inf
    found = synthetic(energy, {"J": J}).qb.optimal_coupling()
    assert (found["masked_points"].item(), found["verdict"].item()) == (2, "peak")


def test_a_curve_without_points_is_no_data_and_spoils_no_other(synthetic: Make, chain_energy: Chain) -> None:
    energy = np.stack([chain_energy(J, 2), chain_energy(J, 3)])
    status = np.stack([np.zeros(81), np.ones(81)]).astype(np.int8)
    found = synthetic(energy, {"N": [2, 3], "J": J}, status=status).qb.optimal_coupling()
    assert found["verdict"].values.tolist() == ["no data", "peak"]
    assert found["masked_points"].values.tolist() == [81, 0]
    assert np.isnan(found["J_op"].values[0])


def test_multiples_of_j_op_and_omega_give_the_same(synthetic: Make) -> None:
    N, multiples = np.array([1, 4]), np.geomspace(0.3, 3, 61) * 1.01
    J_abs = multiples * closed_forms.cascaded_optimal_coupling(N, 1.0)[:, None]
    energy = np.stack(
        [closed_forms.nonreciprocal_cascaded_energy(n, n, row, 1.0, 1.0) for n, row in zip(N, J_abs, strict=True)]
    )
    ds = synthetic(energy, {"N": N, "J": multiples})
    relative = ds.assign_coords(J_abs=(("N", "J"), J_abs, {"units": "omega", "long_name": "coherent coupling"}))
    found = optimal_coupling(relative)
    for n, row, values in zip(N, J_abs, energy, strict=True):
        one = optimal_coupling(synthetic(values, {"J": row}))
        assert found["J_op"].sel(N=n).item() == one["J_op"].item()
    assert found["J_op"].attrs["units"] == "omega"


def test_order_of_dimensions_and_of_couplings_does_not_matter(synthetic: Make, chain_energy: Chain) -> None:
    ds = synthetic(np.stack([chain_energy(J, N) for N in (1, 2, 3)]), {"N": [1, 2, 3], "J": J})
    shuffled = ds.isel(J=np.random.default_rng(0).permutation(81)).transpose("J", "N")
    xr.testing.assert_equal(ds.qb.optimal_coupling(), shuffled.qb.optimal_coupling())


def test_other_variables_and_other_units(synthetic: Make, chain_energy: Chain) -> None:
    ds = synthetic(np.ones(81), {"J": J}, ergotropy_terminal=chain_energy(J))
    ds["ergotropy_terminal"].attrs = {"units": "[omega]", "long_name": "ergotropy"}
    found = ds.qb.optimal_coupling(of="ergotropy_terminal")
    assert found["verdict"].item() == "peak"
    assert found["energy_op"].attrs == {"units": "[omega]", "long_name": "ergotropy at the optimal coupling"}
    assert ds.qb.optimal_coupling()["verdict"].item() == "flat"


def optimum(J_op: Any, N: Any, error: float = 0.0) -> xr.Dataset:
    """What `optimal_coupling` could have returned."""
    values = {"J_op": J_op, "energy_op": np.asarray(J_op) ** -2.0}
    data: dict[str, Any] = {name: ("N", np.asarray(array, dtype=float)) for name, array in values.items()}
    data |= {f"{name}_error": ("N", error * array) for name, (_, array) in list(data.items())}
    data["verdict"] = ("N", np.array(["peak"] * len(N), dtype=object))
    return xr.Dataset(data, {"N": N, "topology": "cascaded", "coupling": "nonreciprocal"})


def test_a_power_law_is_found_exactly() -> None:
    N = np.arange(1, 13)
    found = scaling_exponent(optimum(0.3 * N**0.7, N))
    np.testing.assert_allclose(found["exponent"], [0.7, -1.4], atol=1e-12)
    np.testing.assert_allclose(found["limit"], [0.7, -1.4], atol=1e-9)
    np.testing.assert_allclose(found["local_exponent"], [[0.7, -1.4]] * 12, atol=1e-9)
    np.testing.assert_allclose(found["distance"], [-0.3, np.nan], atol=1e-9)


def test_interval_of_an_exponent_covers_noise_and_measured_errors() -> None:
    N, rng = np.arange(2, 8), np.random.default_rng(1)  # 6 values: too few for local exponents, which take time
    covered = []
    for _ in range(60):
        J_op = 0.3 * N**0.7 * (1 + 0.01 * rng.standard_normal(6))
        one = scaling_exponent(optimum(J_op, N)).sel(quantity="J_op")
        covered.append(abs(one["exponent"].item() - 0.7) <= one["exponent_error"].item())
    assert np.mean(covered) >= 0.9
    exact = scaling_exponent(optimum(0.3 * N**0.7, N, error=0.01)).sel(quantity="J_op")
    assert 1e-3 < exact["exponent_error"].item() < 0.02


def test_n_without_an_optimum_is_left_out_of_the_exponent_and_counted() -> None:
    N = np.arange(1, 13)
    best = optimum(0.3 * N**0.7, N)
    best["verdict"][[1, 3]] = "plateau"
    best["J_op"][[1, 3]] = 1e9
    found = scaling_exponent(best)
    np.testing.assert_allclose(found["exponent"].sel(quantity="J_op"), 0.7, atol=1e-12)
    assert found["n_values"].values.tolist() == [10, 10]
    assert found["masked_points"].item() == 2
    few = scaling_exponent(best, window=(1, 4))
    assert few["exponent"].isnull().all()
    assert few["n_values"].values.tolist() == [2, 2]
    with pytest.raises(QbsweepError, match="holds no N"):
        scaling_exponent(best, window=(20, 30))


def test_odd_even_ratio_masks_and_counts(synthetic: Make) -> None:
    energy = np.array([4.0, 6.0, 9.0, 5.0, 1.0])
    ds = synthetic(energy, {"N": [1, 2, 3, 4, 5]})
    found = ds.qb.odd_even_ratio()
    assert found["ratio"].values.tolist() == [1.0, 5 / 3]
    assert "ratio_at_J_op" not in found
    ds["status"][4] = 2
    masked = ds.qb.odd_even_ratio()
    assert masked["ratio"].values[0] == 1.0
    assert np.isnan(masked["ratio"].values[1])
    assert masked["masked_points"].item() == 1


def test_enhancement_and_ergotropy_fraction(synthetic: Make) -> None:
    energy, ergotropy = np.array([0.5, 1.0, 0.0]), np.array([0.5, 0.25, 0.0])
    ds = synthetic(energy, {"r": [0.0, 0.5, 1.0]}, ergotropy_terminal=ergotropy)
    found = ds.qb.enhancement()
    assert found["enhancement"].values.tolist() == [1.0, 2.0, 0.0]
    assert found["ergotropy_enhancement"].values.tolist() == [1.0, 0.5, 0.0]
    np.testing.assert_array_equal(found["ergotropy_fraction"], [1.0, 0.25, np.nan])  # 0/0
    np.testing.assert_array_equal(ds.qb.ergotropy_fraction()["ergotropy_fraction"], [1.0, 0.25, np.nan])
    ds["status"][0] = 3  # without r = 0 there is nothing to compare with
    assert ds.qb.enhancement()["enhancement"].isnull().all()
    assert ds.qb.enhancement()["masked_points"].item() == 1


@pytest.fixture
def pair(synthetic: Make) -> Callable[..., xr.Dataset]:
    """A dataset whose ln(E_NC / E_RC) is given over ln J."""

    def make(log_ratio: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> xr.Dataset:
        energy = np.stack([np.exp(log_ratio(x)), np.ones_like(x)])
        return synthetic(energy, {"coupling": ["nonreciprocal", "reciprocal"], "J": np.exp(x)})

    return make


@pytest.mark.parametrize(
    ("log_ratio", "verdict", "count", "low", "high"),
    [
        (lambda x: (x + 1.03) * (x - 0.71), "window", 1, -1.03, 0.71),
        (lambda x: x - 0.3, "open below", 1, None, 0.3),
        (lambda x: 0.3 - x, "open above", 1, 0.3, None),
        (lambda x: 0 * x - 1, "everywhere", 1, None, None),
        (lambda x: 0 * x + 1, "none", 0, None, None),
        (lambda x: 0 * x, "none", 0, None, None),
        (lambda x: np.cos(2 * x), "window", 2, -3 * np.pi / 4, -np.pi / 4),
    ],
)
def test_windows(pair: Any, log_ratio: Any, verdict: str, count: int, low: float | None, high: float | None) -> None:
    found = nonreciprocal_advantage(pair(log_ratio, np.linspace(-2.5, 2.5, 101)))
    assert (found["verdict"].item(), found["n_windows"].item()) == (verdict, count)
    for name, exact in (("window_low", low), ("window_high", high)):
        if exact is None:
            assert np.isnan(found[name].item())
        else:
            assert abs(found[name].item() - np.exp(exact)) <= found[f"{name}_error"].item() + 1e-14  # ln J is rounded
            assert found[f"{name}_error"].item() < 1e-4


def test_windows_with_gaps_and_few_points(pair: Any) -> None:
    ds = pair(lambda x: (x + 1.03) * (x - 0.71), np.linspace(-2, 2, 41))
    ds["status"][0, [9, 10, 30]] = 2
    found = nonreciprocal_advantage(ds)
    assert found["verdict"].item() == "window"
    assert abs(np.log(found["window_low"].item()) + 1.03) < 1e-6
    assert found["masked_points"].item() == 3
    assert nonreciprocal_advantage(ds.isel(J=slice(0, 41, 8)))["verdict"].item() == "too few points"
    ds["status"][:] = 0
    assert nonreciprocal_advantage(ds)["verdict"].item() == "no data"


MISSING = [
    ("optimal_coupling", "J"),
    ("scaling_exponent", "N"),
    ("odd_even_ratio", "N"),
    ("nonreciprocal_advantage", "coupling"),
    ("enhancement", "r"),
    ("settling_time", "time"),
    ("charging_power", "time"),
]


@pytest.mark.parametrize(("name", "axis"), MISSING)
def test_a_missing_axis_is_named_with_a_sweep_that_has_it(synthetic: Make, name: str, axis: str) -> None:
    ds = synthetic([1.0, 2.0], {"kappa": [1.0, 2.0]})
    with pytest.raises(MissingAxisError) as raised:
        getattr(ds.qb, name)()
    text = str(raised.value)
    assert f"`{axis}`" in text
    assert "a sweep with `" in text
    assert "\n" not in text
    assert raised.value.need == f"`{axis}`"


def test_missing_labels_and_variables_are_named(synthetic: Make) -> None:
    with pytest.raises(QbsweepError, match=r"an even `N` and both its odd neighbours"):
        synthetic([1.0, 2.0], {"N": [1, 2]}).qb.odd_even_ratio()
    with pytest.raises(QbsweepError, match="the value reciprocal of `coupling`"):
        synthetic([1.0], {"coupling": ["nonreciprocal"]}).qb.nonreciprocal_advantage()
    with pytest.raises(QbsweepError, match=r"the value 0.0 of `r`"):
        synthetic([1.0], {"r": [0.5]}).qb.enhancement()
    with pytest.raises(QbsweepError, match=r"`ergotropy_terminal`.*`outputs`"):
        synthetic([1.0], {"r": [0.5]}).qb.ergotropy_fraction()
    with pytest.raises(QbsweepError, match="`status`"):
        synthetic([1.0, 2.0], {"J": [1.0, 2.0]}).drop_vars("status").qb.optimal_coupling()
    with pytest.raises(AttributeError, match="there is no analysis 'nonsense'"):
        _ = synthetic([1.0], {"r": [0.5]}).qb.nonsense
