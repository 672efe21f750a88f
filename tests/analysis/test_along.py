"""Optimal values of other axes than J: the best gamma_ratio of a chain, by itself and beside J."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.analysis.inputs import perfect, typical
from qbsweep.analysis.optimal_coupling import optimal_coupling
from qbsweep.analysis.peaks import Scale, find_optimum
from qbsweep.analysis.refine import next_couplings, open_refined, refine
from qbsweep.claims.optimum import best_ratio
from qbsweep.errors import QbsweepError
from qbsweep.figures.gallery import of_result

Sweep = Callable[..., Path]
LINEAR = Scale(False, 0.0, np.inf)
SWEEP = """
name: run
parameters: {{topology: cascaded, kappa: 0.003, epsilon: 0.01}}
sweep: {{{axes}}}
"""
RATIOS = "gamma_ratio: {linspace: [0, 1.5, 16]}"


def axes(text: str) -> str:
    return SWEEP.format(axes=text)


def test_the_best_gamma_ratio_of_chains(sweep: Sweep) -> None:
    out = sweep(axes(f"N: [2, 3, 5], J: {{values: [1], unit: J_op}}, {RATIOS}"))
    found = refine(out, 1e-9, along="gamma_ratio").squeeze("J")
    assert found["verdict"].values.tolist() == ["edge", "peak", "peak"]  # even chains are best without Gamma
    assert found["gamma_ratio_best"].sel(N=2) == 0
    assert np.isnan(found["gamma_ratio_op"].sel(N=2))
    perfect = qb.open(out).dataset["energy_terminal"].sel(gamma_ratio=1).squeeze("J")
    for N in (3, 5):
        ratio, gain = best_ratio(N)
        one = found.sel(N=N)
        assert abs(one["gamma_ratio_op"] - ratio) <= one["gamma_ratio_op_error"] + 1e-9 < 2e-9
        assert float(one["energy_op"] / perfect.sel(N=N)) == pytest.approx(gain, rel=1e-10)
    assert found["gamma_ratio_op"].attrs["units"] == "1"


def test_gamma_ratio_beside_j(sweep: Sweep) -> None:
    out = sweep(axes(f"N: [3], J: {{geomspace: [0.5, 2, 15], unit: J_op}}, {RATIOS}"))
    ds = qb.open(out).dataset
    over_J = ds.qb.optimal_coupling().squeeze("N")
    assert over_J["J_op"].dims == ("gamma_ratio",)
    np.testing.assert_allclose(over_J["J_op"].sel(gamma_ratio=1) / ds["J_abs"].sel(J=1, N=3), 1, rtol=1e-4)
    over_ratio = ds.qb.optimal_coupling(along="gamma_ratio").squeeze("N")
    assert over_ratio["gamma_ratio_op"].dims == ("J",)
    assert float(over_ratio["gamma_ratio_op"].sel(J=1)) == pytest.approx(best_ratio(3)[0], rel=1e-2)
    best = max(float(over_J["energy_op"].max()), float(over_ratio["energy_op"].max()))
    gain = best / float(ds["energy_terminal"].sel(J=1, gamma_ratio=1).item())
    assert best_ratio(3)[1] < gain < 1.04895  # of J and gamma_ratio together, on this grid


def test_samples_lie_along_one_axis(sweep: Sweep) -> None:
    out = sweep(axes(f"N: [3], J: {{geomspace: [0.5, 2, 11], unit: J_op}}, {RATIOS}"))
    refine(out, 1e-4, along="gamma_ratio")
    samples = open_refined(out)
    assert samples is not None
    assert samples.attrs["along"] == "gamma_ratio"
    assert "gamma_ratio_sample" in samples.coords
    with pytest.raises(QbsweepError, match="has samples along gamma_ratio; move it away to sample along J"):
        refine(out, 1e-4)
    ds = qb.open(out).dataset.load()
    xr.testing.assert_identical(optimal_coupling(ds, refined=samples), optimal_coupling(ds))
    plain, finer = (optimal_coupling(ds, along="gamma_ratio", refined=one) for one in (None, samples))
    known = plain["gamma_ratio_op_error"].notnull()
    assert known.any()
    assert (finer["gamma_ratio_op_error"] < plain["gamma_ratio_op_error"]).where(known, True).all()
    one = ds.sel(J=1.0)
    found = optimal_coupling(one, refined=samples)["gamma_ratio_op"]
    np.testing.assert_array_equal(found, finer["gamma_ratio_op"].sel(J=1.0))


def test_exponents_of_another_optimum(synthetic: Callable[..., xr.Dataset]) -> None:
    N, x = np.arange(1, 6), np.linspace(0, 8, 81)
    ds = synthetic(np.exp(-((x - np.sqrt(N)[:, None]) ** 2)), {"N": N, "gamma_ratio": x})
    found = ds.qb.scaling_exponent()
    assert found["quantity"].values.tolist() == ["gamma_ratio_op", "energy_op"]
    assert float(found["exponent"].sel(quantity="gamma_ratio_op")) == pytest.approx(0.5, abs=1e-4)


def test_peaks_of_a_parameter_itself() -> None:
    x = np.linspace(-1, 1, 41)
    found = find_optimum(x, np.exp(-((x + 0.2) ** 2)), Scale(False))
    assert found.verdict == "peak"
    assert abs(found.J + 0.2) <= found.J_error < 1e-5
    assert find_optimum(x, 1 - np.exp(-5 * (x + 2)), Scale(False)).verdict == "edge"  # no plateau: it has no infinity


def test_samples_stay_within_the_limits_of_a_parameter() -> None:
    x = np.linspace(0, 1, 11)
    assert not len(next_couplings(x, np.exp(-x), 1e-6, LINEAR))
    new = next_couplings(x, np.exp(x), 1e-6, LINEAR)
    assert new[0] > 1
    assert new[-1] == 2
    inside = next_couplings(x, np.exp(-((x - 0.52) ** 2)), 1e-12, LINEAR)
    assert ((inside > 0.4) & (inside < 0.6)).all()


@pytest.mark.parametrize(
    ("along", "told"),
    [
        ("seed", "optimal_coupling needs an axis of numbers of the sweep, which `seed` is not; this dataset has J"),
        ("r", "optimal_coupling needs an axis `r`, which this dataset lacks"),
    ],
)
def test_what_cannot_be_optimised(synthetic: Callable[..., xr.Dataset], along: str, told: str) -> None:
    ds = synthetic(np.ones((3, 4)), {"J": [1, 2, 3], "seed": [0, 1, 2, 3]})
    with pytest.raises(QbsweepError, match=re.escape(told)):
        ds.qb.optimal_coupling(along=along)


def test_the_law_of_the_ideal_network_is_told_of_it_only(sweep: Sweep) -> None:
    couplings = "N: [1, 3, 5], J: {geomspace: [0.25, 4, 31], unit: J_op}"
    ratio = qb.open(sweep(axes(f"{couplings}, gamma_ratio: [0.5, 1]"))).dataset
    lossy = qb.open(sweep(axes(f"{couplings}, kappa_charger: {{values: [1, 10], unit: kappa}}"), "lossy")).dataset
    own = qb.open(sweep(axes(f"{couplings}, kappa_charger: {{values: [0.003, 0.03], unit: omega}}"), "own")).dataset
    for ds, dim, ideal in ((ratio, "gamma_ratio", 1.0), (lossy, "kappa_charger", 1.0), (own, "kappa_charger", 0.003)):
        best = ds.qb.optimal_coupling()
        law = best.qb.scaling_exponent()["asymptote"].sel(quantity="J_op")
        assert float(law.sel({dim: ideal})) == 1
        assert law.notnull().sum() == 1
        (chart,) = (chart for chart in of_result(best) if chart.variable == "J_op")
        assert chart.reference is not None
        assert chart.reference.sel({dim: ideal}).notnull().all()
        assert chart.reference.notnull().sum() == 3
        imperfect = best.drop_sel({dim: [ideal]})
        assert imperfect.qb.scaling_exponent()["asymptote"].isnull().all()
        assert all(chart.reference is None for chart in of_result(imperfect))


def test_a_protocol_may_end_with_other_couplings() -> None:
    def at(coupling: str, **coords: object) -> xr.Dataset:
        return xr.Dataset(coords=coords, attrs={"protocol": f'[{{"until": 3}}, {{"coupling": {coupling}}}]'})

    assert [bool(perfect(at(coupling))) for coupling in ("1.0", "0.5", '"gone"')] == [True, False, False]
    assert perfect(at('"hold"', hold=[0.5, 1.0])).values.tolist() == [False, True]
    assert bool(perfect(xr.Dataset()))


def test_each_analysis_asks_for_its_own_axis(synthetic: Callable[..., xr.Dataset]) -> None:
    ds = synthetic(np.ones(3), {"N": [1, 2, 3]})
    for name in ("optimal_coupling", "scaling_exponent"):
        with pytest.raises(QbsweepError, match=f"{name} needs an axis `J`"):
            getattr(ds.qb, name)()


def test_what_is_shown_first_is_perfect_or_has_noise() -> None:
    """Wherever it may be among the values of an axis."""
    for dim, values, units, first in (
        ("gamma_ratio", [0, 0.5, 1, 1.5], "1", 2),
        ("phase_error", [0.1, 0.0], "rad", 1),
        ("kappa_charger", [10.0, 3, 1], "kappa", 2),
        ("kappa_charger", [1e-3, 1e-2, 1e-1, 1], "omega", 2),
        ("detuning", [-1.0, 0, 1], "kappa", 1),
        ("spread_detuning", [0.0, 1], "J", 1),
        ("n_th", [0.0, 1], "1", 1),
        ("seed", [0, 1, 2, 3], "1", 0),
    ):
        assert typical(xr.Dataset(coords={dim: (dim, values, {"units": units})}), dim) == first
