"""The paper's claims from the datasets of its figures. All tolerances are relative to closed forms or given numbers."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

import qbsweep  # noqa: F401  for `ds.qb`
from qbsweep.analysis.scaling import scaling_exponent
from qbsweep.errors import QbsweepError
from qbsweep.physics import closed_forms, topologies

Get = Callable[[str], xr.Dataset]
KAPPA, EPSILON = 0.003, 0.01


def closed_form(best: xr.Dataset, topology: str) -> np.ndarray:
    """Eq. (10), written out."""
    N = best["N"].values.astype(float)
    return KAPPA / 8 * (N + np.sqrt(N**2 + 8 * N)) if topology == "cascaded" else KAPPA / (2 * np.sqrt(N))


def slope(N: np.ndarray, y: np.ndarray) -> float:
    return float(np.polyfit(np.log(N), np.log(y), 1)[0])


# Fig. 1


@pytest.fixture(scope="module")
def best(dataset: Get) -> xr.Dataset:
    return dataset("fig1").qb.optimal_coupling()


def test_optimal_coupling_before_refinement(best: xr.Dataset) -> None:
    # The sampled step is 1.4 %; interpolation leaves 1e-9, and claims to leave 1e-6.
    assert (best["verdict"] == "peak").all()
    for topology in ("cascaded", "parallel"):
        one = best.sel(topology=topology)
        exact = closed_form(best, topology)
        np.testing.assert_allclose(one["J_op"], exact, rtol=1e-9)
        error = np.abs(one["J_op"] - exact)
        assert (error <= one["J_op_error"] + 1e-14 * exact).all()  # the samples themselves have rounding errors
        assert (one["J_op_error"] < 1e-6 * exact).all()


def test_energy_at_the_optimum(best: xr.Dataset) -> None:
    # Reference values at J_op, epsilon = 0.01, to the digits given.
    expected = {"cascaded": {1: 11.1111111, 2: 5.7817733, 3: 3.6171898, 4: 2.4953323}}
    expected["parallel"] = {2: 5.2332892, 3: 3.1909675, 4: 2.1947874}
    for topology, values in expected.items():
        for N, energy in values.items():
            assert best["energy_op"].sel(topology=topology, N=N).item() == pytest.approx(energy, abs=6e-8)


@pytest.mark.parametrize("window", [(1, 50), (10, 50), (30, 50)])
def test_exponents_contain_those_of_the_closed_form_in_the_window(best: xr.Dataset, window: tuple[int, int]) -> None:
    found = scaling_exponent(best, window).sel(quantity="J_op")
    N = np.arange(window[0], window[1] + 1)
    for topology in ("cascaded", "parallel"):
        one = found.sel(topology=topology)
        exact = slope(N, topologies.optimal_coupling(topology, N, KAPPA))
        assert one["exponent"].item() == pytest.approx(exact, abs=1e-9)
        assert abs(one["exponent"].item() - exact) <= one["exponent_error"].item() + 1e-13
        assert one["n_values"].item() == len(N)
    assert found["exponent"].sel(topology="parallel").item() == pytest.approx(-0.5, abs=1e-12)


def test_exponents_tend_to_those_of_the_paper(best: xr.Dataset) -> None:
    found = scaling_exponent(best)
    for topology, exponent in (("cascaded", 1.0), ("parallel", -0.5)):
        one = found.sel(topology=topology, quantity="J_op")
        assert one["asymptote"].item() == exponent
        assert abs(one["limit"].item() - exponent) <= one["limit_error"].item() + 1e-12
        assert one["limit_error"].item() < 1e-4
    energy = found.sel(quantity="energy_op")  # E ~ 64 e^-2 eps^2 / (kappa N)^2, and 16 eps^2 / (kappa N)^2
    assert (np.abs(energy["limit"] + 2) <= energy["limit_error"]).all()
    assert (energy["limit_error"] < 1e-3).all()
    assert energy["asymptote"].isnull().all()


def test_local_exponents(best: xr.Dataset) -> None:
    found = scaling_exponent(best).sel(quantity="J_op", topology="cascaded")
    N = best["N"].values.astype(float)
    root = np.sqrt(N**2 + 8 * N)
    exact = N * (1 + (N + 4) / root) / (N + root)  # d ln J_op / d ln N of (10)
    error = np.abs(found["local_exponent"] - exact)
    assert (error <= found["local_exponent_error"]).all()
    assert (error[6:] < 1e-6).all()
    assert found["distance"].item() == pytest.approx(exact[-1] - 1, abs=1e-8)
    assert found["distance"].item() == pytest.approx(-0.03576, abs=1e-5)


# Fig. 3


@pytest.fixture(scope="module")
def compared(dataset: Get) -> xr.Dataset:
    return dataset("fig3").qb.optimal_coupling()


def test_reciprocal_chains_have_an_optimum_for_odd_n_only(compared: xr.Dataset) -> None:
    chains = compared.sel(topology="cascaded", coupling="reciprocal")
    odd, even = chains.sel(N=[1, 3, 5, 7, 9]), chains.sel(N=[2, 4, 6, 8, 10])
    assert (odd["verdict"] == "peak").all()
    assert (even["verdict"] == "plateau").all()
    assert even["J_op"].isnull().all()
    expected = [0.5, 0.97356, 1.41091, 1.83862]
    np.testing.assert_allclose(odd["J_op"].sel(N=[1, 3, 5, 7]) / KAPPA, expected, atol=5e-6)
    exact = [closed_forms.reciprocal_cascaded_optimum(int(N), KAPPA) for N in odd["N"]]
    np.testing.assert_allclose(odd["J_op"], exact, rtol=1e-8)
    assert (np.abs(odd["J_op"] - exact) <= odd["J_op_error"]).all()
    saturation = [(4 * EPSILON / ((N + 2) * KAPPA)) ** 2 for N in even["N"].values]
    np.testing.assert_allclose(even["saturation"], saturation, rtol=1e-9)
    assert (even["saturation_error"] < 1e-6 * even["saturation"]).all()
    # The last samples are some 3e-4 below, so it is the extrapolation that knows.
    assert (even["energy_best"] < (1 - 1e-4) * even["saturation"]).all()


def test_odd_even_ratios(dataset: Get) -> None:
    # Reference energies of the reciprocal chain at the nonreciprocal J_op(N), to the digits given.
    energy = {1: 11.1111111, 2: 7.8333, 3: 3.3285, 4: 3.5190, 5: 1.6130, 6: 1.9907}
    found = dataset("fig3").qb.odd_even_ratio()
    assert found["N"].values.tolist() == [2, 4, 6, 8]
    chain = found.sel(topology="cascaded", coupling="reciprocal")
    for N in (2, 4):
        expected = energy[N] / np.sqrt(energy[N - 1] * energy[N + 1])
        assert chain["ratio_at_J_op"].sel(N=N).item() == pytest.approx(expected, rel=4e-5)
    # The middle sample is J_op itself.
    np.testing.assert_allclose(found["ratio"].sel(J=1, method="nearest"), found["ratio_at_J_op"], rtol=1e-12)
    assert (chain["ratio_at_J_op"] > 1.2).all()  # an effect the other three do not have
    rest = found["ratio_at_J_op"].where((found.topology == "parallel") | (found.coupling == "nonreciprocal"))
    assert rest.max() < 1


def test_odd_even_ratio_between_samples(dataset: Get) -> None:
    ds = dataset("fig3")
    without = ds.drop_isel(J=200)
    found, exact = (d.qb.odd_even_ratio() for d in (without, ds))
    error = np.abs(found["ratio_at_J_op"] - exact["ratio_at_J_op"])
    assert (error <= found["ratio_at_J_op_error"]).all()
    assert error.max() < 1e-8


def test_window_of_the_reciprocal_star(dataset: Get) -> None:
    found = dataset("fig3").qb.nonreciprocal_advantage()
    stars = found.sel(topology="parallel", N=slice(2, None))
    assert (stars["verdict"] == "window").all()
    np.testing.assert_allclose(stars["window_low"], KAPPA / (2 * stars["N"]), rtol=1e-9)
    np.testing.assert_allclose(stars["window_high"], KAPPA / 2, rtol=1e-9)
    assert (stars[["window_low_error", "window_high_error"]].to_array() < 1e-6 * KAPPA).all()
    single = found.sel(topology="parallel", N=1)  # the two ends meet
    assert (single["verdict"].item(), single["n_windows"].item()) == ("none", 0)


def test_reciprocal_chains_of_even_n_win_at_strong_coupling(dataset: Get) -> None:
    found = dataset("fig3").qb.nonreciprocal_advantage().sel(topology="cascaded")
    even, odd = found.sel(N=[2, 4, 6, 8, 10]), found.sel(N=[1, 3, 5, 7, 9])
    assert (even["verdict"] == "open above").all()
    assert even["window_high"].isnull().all()
    assert even["window_low"].sel(N=2).item() == pytest.approx(KAPPA / 2, rel=1e-9)
    for N in even["N"].values:
        J = even["window_low"].sel(N=N).values
        one = closed_forms.nonreciprocal_cascaded_energy(N, N, J, KAPPA, EPSILON)
        other = closed_forms.reciprocal_cascaded_energy(N, J, KAPPA, EPSILON)
        assert one == pytest.approx(other, rel=1e-8)
    assert (odd["verdict"] == "none").all()


def test_results_say_where_they_come_from(dataset: Get) -> None:
    ds = dataset("fig3")
    for found in (ds.qb.optimal_coupling(), ds.qb.odd_even_ratio(), ds.qb.nonreciprocal_advantage()):
        assert found.attrs["source_dataset_id"] == ds.attrs["dataset_id"]
        assert found.attrs["source_spec_digest"] == ds.attrs["spec_digest"]
    assert scaling_exponent(ds.qb.optimal_coupling()).attrs["source_dataset_id"] == ds.attrs["dataset_id"]


@pytest.mark.parametrize(
    "name",
    ["optimal_coupling", "scaling_exponent", "odd_even_ratio", "nonreciprocal_advantage", "ergotropy_fraction"],
)
def test_everything_has_units_and_a_name(dataset: Get, name: str) -> None:
    found = getattr(dataset("fig3").qb, name)()
    for variable in found.variables.values():
        assert {"units", "long_name"} <= set(variable.attrs)
        assert "flag_meanings" not in variable.attrs
    assert "masked_points" in found


def test_an_analysis_has_no_codes_to_put_into_words(dataset: Get) -> None:
    with pytest.raises(QbsweepError, match="it must be 'status, of the dataset of a sweep'"):
        dataset("fig3").qb.optimal_coupling().qb.words()
