"""The shipped workflows, read as a user reads them."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from qbsweep.physics import closed_forms, topologies
from qbsweep.runs import loop, opening
from qbsweep.sweeps.spec import load_spec

pytestmark = pytest.mark.timeout(600)  # all workflows are run first

WORKFLOWS = sorted((Path(__file__).parents[2] / "workflows").glob("*.yaml"))


# The truncated solver takes minutes for what the workflows ask of it; a few levels and times show the same.
FEWER = {
    "fig5": {"fock_levels: [6, 8, 10]": "fock_levels: [3, 4]", "201]": "11]"},
    "fig6": {"fock_levels: 8": "fock_levels: 4", "[0, 1, 5]": "[0, 1, 3]", "101]": "11]"},
    "convergence": {"[3, 4, 6, 8, 12, 16, 24]": "[3, 4, 8]"},
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, xr.Dataset]:
    """All workflows, run serially."""
    folder = tmp_path_factory.mktemp("runs")
    result = {}
    for path in WORKFLOWS:
        text = path.read_text()
        for full, few in FEWER.get(path.stem, {}).items():
            assert full in text
            text = text.replace(full, few)
        (folder / path.name).write_text(text)
        spec = load_spec(folder / path.name)
        assert spec.name == path.stem
        with opening.locked(folder / spec.name) as directory:
            store = opening.prepare(spec, directory)
            assert loop.run_blocks(directory, store, loop.serial).exit_code == 0
        with xr.open_zarr(directory.data) as ds:
            result[spec.name] = ds.load()
    return result


def test_all_figures_are_there(datasets: dict[str, xr.Dataset]) -> None:
    assert {"quickstart", "convergence", *(f"fig{n}" for n in range(1, 7))} <= set(datasets)
    for ds in datasets.values():
        exact = ds.solver == "moments"
        assert (ds.status.where(exact, 1) == 1).all()
        assert ds.status.isin([1, 3]).all()


def test_bistable_is_suspect_where_a_branch_does_not_fit(datasets: dict[str, xr.Dataset]) -> None:
    words = datasets["bistable"].qb.words()
    assert (words.isel(fock_levels=slice(3)) == "suspect-branches").all()
    assert (words.isel(fock_levels=3) == "converged").all()


def test_fig1_energy_peaks_at_the_closed_form(datasets: dict[str, xr.Dataset]) -> None:
    ds = datasets["fig1"]
    best = ds.J_abs.isel(J=ds.energy_terminal.argmax("J"))
    step = ds.J.values[1] / ds.J.values[0]
    for topology in ("cascaded", "parallel"):
        law = topologies.optimal_coupling(topology, ds.N.values, ds.kappa.item())
        assert np.abs(np.log(best.sel(topology=topology).values / law)).max() < np.log(step)


def test_fig1_energies_are_the_closed_forms(datasets: dict[str, xr.Dataset]) -> None:
    ds = datasets["fig1"]
    for N in ds.N.values.tolist():
        chain, star = (ds.sel(topology=t, N=N) for t in ("cascaded", "parallel"))
        expected = closed_forms.nonreciprocal_cascaded_energy(N, N, chain.J_abs.values, 0.003, 0.01)  # (5)
        np.testing.assert_allclose(chain.energy_terminal, expected, rtol=1e-10)
        expected = closed_forms.nonreciprocal_parallel_energy(N, star.J_abs.values, 0.003, 0.01)  # (9)
        np.testing.assert_allclose(star.energy_terminal, expected, rtol=1e-10)
        np.testing.assert_allclose(star.energy_batteries, N * expected, rtol=1e-10)


def test_fig2_charges_from_vacuum_to_the_steady_state(datasets: dict[str, xr.Dataset]) -> None:
    ds = datasets["fig2"]
    assert (ds.energy_t.isel(time=0) == 0).all()
    # At J >= J_op the slowest rate is (Gamma + kappa)/2 >= kappa, and (1 - e^-10)^2 is 1e-4 from 1.
    settled = ds.energy_t.isel(time=-1) / ds.energy
    np.testing.assert_allclose(settled.sel(J=0.01), 1, atol=1e-4)


def test_fig3_reciprocal_chains_of_even_n_saturate(datasets: dict[str, xr.Dataset]) -> None:
    ds = datasets["fig3"].sel(topology="cascaded", coupling="reciprocal")
    position = ds.energy_terminal.argmax("J")
    assert (position.sel(N=[2, 4, 6, 8, 10]) == ds.sizes["J"] - 1).all()
    assert (position.sel(N=[1, 3, 5, 7, 9]) < ds.sizes["J"] - 1).all()


def test_fig4_nonreciprocal_chains_settle_first(datasets: dict[str, xr.Dataset]) -> None:
    ds = datasets["fig4"].sel(topology="cascaded")
    for N in (3, 4):
        one = ds.sel(N=N)
        outside = np.abs(one.energy_t.sel(mode=N) / one.energy_terminal - 1) > 0.01
        last = one.time.where(outside).max("time")
        assert last.sel(coupling="nonreciprocal") < last.sel(coupling="reciprocal")


def test_fig5_ergotropy_falls_with_temperature_in_a_truncated_space_only(datasets: dict[str, xr.Dataset]) -> None:
    ds = datasets["fig5"].sel(topology="cascaded", N=1, mode=1)
    exact = ds.sel(solver="moments")
    assert (exact.ergotropy_t.sel(n_th=2) == exact.ergotropy_t.sel(n_th=0)).all()
    np.testing.assert_allclose(exact.energy_terminal.sel(n_th=2) - exact.energy_terminal.sel(n_th=0), 2, rtol=1e-14)
    truncated = ds.sel(solver="lindblad", fock_levels=4)
    assert (truncated.ergotropy_terminal.diff("n_th") < 0).all()
    assert (truncated.status.sel(n_th=[1, 2]) == 3).all()


def test_fig6_squeezing_survives_in_one_realization_only(datasets: dict[str, xr.Dataset]) -> None:
    ds = datasets["fig6"].sel(r=0.5, solver="moments")
    ergotropy = ds.ergotropy_terminal.sel(coupling="nonreciprocal")
    expected = {("cascaded", "phase-half-pi"): 0.329358, ("cascaded", "phase-zero"): 0.058491}
    expected |= {("parallel", "phase-half-pi"): 0.323873, ("parallel", "phase-zero"): 0.196598}
    for (topology, realization), value in expected.items():
        assert ergotropy.sel(topology=topology, realization=realization).item() == pytest.approx(value, abs=5e-7)
    reciprocal = ds.sel(coupling="reciprocal")
    xr.testing.assert_equal(
        reciprocal.sel(realization="phase-zero", drop=True).drop_vars("solve_seconds"),
        reciprocal.sel(realization="phase-half-pi", drop=True).drop_vars("solve_seconds"),
    )


def test_convergence_error_falls_with_the_levels(datasets: dict[str, xr.Dataset]) -> None:
    error = datasets["convergence"].truncation_error.sel(solver="lindblad", n_th=0.3, r=0)
    assert (error.diff("fock_levels") < 0).all()
