"""The numbers of the gallery, computed again: from whole workflows, truncated ones from as few points as say it."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.analysis.charging import settling_time
from qbsweep.analysis.odd_even import odd_even_ratio
from qbsweep.analysis.optimal_coupling import optimal_coupling
from qbsweep.analysis.scaling import scaling_exponent
from qbsweep.physics.closed_forms import nonreciprocal_cascaded_energy

from ..command import qbsweep
from ..readme_commands import ROOT

PICTURES = sorted((ROOT / "docs" / "gallery").glob("*.png"))
# What the truncated solver need not do for the numbers on the page.
FEWER = {
    "fig5": {"[6, 8, 10]": "[6]", "N: [1, 2]": "N: [1]", "[cascaded, parallel]": "[cascaded]", "201]": "2]"},
    "fig6": {"[moments, lindblad]": "[moments]", "[cascaded, parallel]": "[cascaded]"},
}


def conclusions(name: str) -> str:
    """What the page says beside the picture of a workflow."""
    page = (ROOT / "docs" / "gallery.md").read_text()
    (section,) = [part for part in re.split(r"^## ", page, flags=re.MULTILINE) if f"workflows/{name}.yaml" in part]
    return " ".join(section.split("```")[0].split())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory):
    """A workflow's dataset by its name."""
    folder: Path = tmp_path_factory.mktemp("gallery")

    def solved(name: str) -> xr.Dataset:
        text = (ROOT / "workflows" / f"{name}.yaml").read_text()
        for full, few in FEWER.get(name, {}).items():
            assert full in text
            text = text.replace(full, few)
        (folder / f"{name}.yaml").write_text(text)
        code, _, err = qbsweep("run", folder / f"{name}.yaml", "--out", folder / name, "--executor", "serial")
        assert code == 0, err
        with xr.open_zarr(folder / name / "data.zarr", chunks=None) as ds:
            return ds.load()

    return solved


def said(name: str, values: object, form: str) -> None:
    """Assert that the page says these numbers, written like this."""
    text = conclusions(name)
    for value in np.ravel(values):
        assert re.search(rf"(?<![\d.]){re.escape(format(float(value), form))}(?![\d])", text), (name, value)


def test_fig1(dataset) -> None:
    best = optimal_coupling(dataset("fig1"))
    said("fig1", (best.J_op / 0.003).sel(topology="cascaded", N=[1, 50]), ".4f")
    said("fig1", (best.J_op / 0.003).sel(topology="parallel", N=50), ".4f")
    said("fig1", best.energy_op.sel(N=50), ".4f")
    said("fig1", scaling_exponent(best).limit, ".3f")


def test_fig2(dataset) -> None:
    chain = dataset("fig2").energy.sel(topology="cascaded")
    said("fig2", chain.sel(J=0.0024270509831248424), ".3f")
    said("fig2", chain.sel(J=0.01, mode=2), ".3f")


def test_fig3(dataset) -> None:
    ds = dataset("fig3")
    ratio = odd_even_ratio(ds).ratio_at_J_op
    said("fig3", ratio.sel(N=2), ".3f")
    said("fig3", ratio.sel(N=8, topology="cascaded", coupling="reciprocal"), ".3f")
    others = [
        ratio.sel(N=8, topology=t, coupling=c) for t, c in (("cascaded", "nonreciprocal"), ("parallel", "reciprocal"))
    ]
    assert all(value > 0.9895 for value in others)
    at_optimum = ds.energy_terminal.sel(topology="parallel").sel(J=1, method="nearest")
    more = at_optimum.sel(coupling="reciprocal") / at_optimum.sel(coupling="nonreciprocal")
    said("fig3", more.sel(N=[2, 10]), ".3f")
    assert (more.sel(N=slice(2, None)) > 1).all()


def test_fig4(dataset) -> None:
    ds = dataset("fig4")
    said("fig4", ds.energy_terminal, ".3f")
    highest = ds.energy_t.sel(mode=3, N=3).max("time")
    said("fig4", highest.sel(coupling="reciprocal"), ".3f")
    assert (highest <= ds.energy_terminal.sel(N=3)).sel(coupling="nonreciprocal").all()


def test_fig5(dataset) -> None:
    ds = dataset("fig5").squeeze()
    said("fig5", ds.ergotropy_terminal.sel(solver="moments"), ".4f")
    truncated = ds.sel(solver="lindblad", n_th=[1, 2])
    said("fig5", truncated.ergotropy_terminal, ".4f")
    said("fig5", truncated.truncation_error, ".2f")
    assert (truncated.status == 3).all()


def test_fig6(dataset) -> None:
    ergotropy = dataset("fig6").squeeze().ergotropy_terminal
    said("fig6", ergotropy.sel(r=1, coupling="nonreciprocal"), ".3f")
    said("fig6", ergotropy.sel(r=0, coupling="nonreciprocal"), ".3f")
    said("fig6", ergotropy.sel(r=1, coupling="reciprocal"), ".3f")
    kept = ergotropy.sel(coupling="nonreciprocal", realization="phase-half-pi")
    np.testing.assert_allclose(kept - kept.sel(r=0), np.sinh(kept.r) ** 2, atol=1e-12)


def test_convergence() -> None:
    network = qb.cascaded(1, J=0.0015, kappa=0.003)  # as in the workflow, which takes a minute
    for n_th, levels, form in ((0, 12, ".0e"), (1, 16, ".3f")):
        point = qb.solve(network, epsilon=0.001, n_th=n_th, r=0.3, solver="lindblad", fock_levels=levels)
        said("convergence", point.truncation_error, form)


def test_bistable() -> None:
    K, detuning, epsilon = 0.2, -3.0, 3.4  # as in the workflow, which takes a minute
    roots = np.roots([K**2, 2 * K * detuning, detuning**2 + 0.25, -(epsilon**2)])
    assert np.all(roots.imag == 0)
    said("bistable", [roots.min(), roots.max()], ".2f")
    n = np.linspace(0, 25, 100_001)
    drive = np.sqrt(n * (0.25 + (detuning + K * n) ** 2))
    folds = drive[1:-1][np.diff(np.sign(np.diff(drive))) != 0]
    said("bistable", folds, ".2f")
    network = qb.cascaded(1, J=0.001, kappa=1, coupling="reciprocal", detuning=[detuning, 0.0])
    levels = [{"charger": d, "battery": 3} for d in (15, 17, 30, 50)]
    point = qb.solve(network, epsilon=epsilon, kerr_charger=K, solver="lindblad", fock_levels=levels)
    energy = point.energy_charger.values
    said("bistable", energy, ".4f")
    said("bistable", energy[1] / energy[0] - 1, ".1g")
    said("bistable", point.top_population[0], ".1e")
    assert point.qb.words().values.tolist() == ["suspect-branches"] * 3 + ["converged"]
    far = qb.solve(network, epsilon=3.4, kerr_charger=K, solver="lindblad", fock_levels={"charger": 8, "battery": 3})
    assert far.levels_needed.item() == point.levels_needed[0].item() > 3 * 8  # known, however far


def test_settling(dataset) -> None:
    time = settling_time(dataset("settling")).settling_time
    said("settling", time.sel(N=[1, 32]), ".2f")
    said("settling", time.sel(topology="cascaded", coupling="reciprocal").max(), ".2f")
    assert float(time.sel(topology="cascaded", coupling="reciprocal").idxmax("N")) == 4


def test_imperfect(dataset) -> None:
    ds = dataset("imperfect")
    perfect = ds.sel(J=1, phase_error=0)
    best = perfect.qb.optimal_coupling(along="gamma_ratio")
    at_1 = perfect.energy_terminal.sel(gamma_ratio=1)
    said("imperfect", best.gamma_ratio_op.sel(N=[3, 5]), ".5f")
    said("imperfect", (best.energy_op / at_1).sel(N=[3, 5]), ".5f")
    assert (best.gamma_ratio_best.sel(N=[2, 4, 6, 8]) == 0).all()
    said("imperfect", perfect.energy_terminal.sel(N=2, gamma_ratio=0) / at_1.sel(N=2), ".3f")
    near = perfect.energy_terminal.sel(gamma_ratio=[0.9, 1.1], method="nearest") / at_1 - 1
    said("imperfect", 100 * np.abs(near).max(), ".1f")
    energy = ds.energy_terminal.sel(J=1, gamma_ratio=1)
    loss = 100 * (1 - energy / energy.sel(phase_error=0))
    said("imperfect", [loss.sel(N=N, phase_error=p) for N, p in ((1, 0.1), (8, 0.1), (8, 0.3))], ".1f")


def test_disorder(dataset) -> None:
    ds = dataset("disorder")
    found = ds.qb.ensemble().sel(N=20)
    said("disorder", found["median"], ".4f")
    said("disorder", found.upper / found.lower, ".1f")
    clean = nonreciprocal_cascaded_energy(20, 20, ds.J_abs.sel(N=20), ds.kappa.item(), ds.epsilon.item())
    directed = found.sel(coupling="nonreciprocal")
    said("disorder", directed.mean_log - np.log(clean), ".3f")
    said("disorder", directed.mean_log_error, ".3f")
    assert abs(directed.mean_log - np.log(clean) + 1.8148878) < 3 * directed.mean_log_error


def test_storage(dataset) -> None:
    ds = dataset("storage")
    times = ds.qb.storage_time()
    pair = times.energy_half_life.sel(coupling="nonreciprocal", N=1).isel(switch_off=-1).item()
    said("storage", pair, ".5f")
    said("storage", 2 * pair, ".5f")
    left = ds.energy_t.sel(mode=ds.N).isel(time=-1, drop=True).transpose(*ds.status.dims)
    best = ds.assign(kept=left).qb.optimal_coupling(of="kept", along="switch_off")
    gain = best.energy_op / (times.energy_stored.isel(switch_off=0) * np.exp(-8))
    assert abs(gain.sel(coupling="nonreciprocal", N=1) - 4 / np.e) < 1e-4
    for coupling, N in (("nonreciprocal", 1), ("reciprocal", 3)):
        said("storage", best.switch_off_op.sel(coupling=coupling, N=N) - 20, ".3f")
        said("storage", gain.sel(coupling=coupling, N=N), ".3f")


@pytest.mark.parametrize("picture", PICTURES, ids=[picture.stem for picture in PICTURES])
def test_pictures_are_small_and_shown(picture: Path) -> None:
    assert picture.stat().st_size < 120_000
    shown = [page.name for page in (ROOT / "docs").glob("*.md") if f"gallery/{picture.name}" in page.read_text()]
    assert shown
