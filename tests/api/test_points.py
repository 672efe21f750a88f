"""`qb.solve`: points of a network without a store."""

import inspect
import math

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.physics.network import scaled
from qbsweep.physics.reference import Moments, evolved_moments, steady_moments

RING = qb.Network(
    kappa=(1.0, 2.0, 1.0),
    edges=(qb.Edge(0, 1, 1.0, theta=0.4, Gamma=1.5), qb.Edge(1, 2, 0.5, p_u=1j), qb.Edge(0, 2, 1.0, Gamma=2.0, p_v=1j)),
    detuning=(0.0, 0.001, -0.002),
)
NETWORKS = {
    "chain": qb.cascaded(3),
    "star with values of its own": qb.parallel(2, J=[0.7, 1.2], kappa=[1, 2, 0.5], coupling="reciprocal"),
    "ring whose amplitudes no sweep file has": RING,
}


def energies(moments: Moments, omega: float) -> tuple[np.ndarray, np.ndarray]:
    """Energy and ergotropy of every mode."""
    spread = np.sqrt((moments.occupation + 0.5) ** 2 - moments.anomaly**2) - 0.5
    energy = moments.coherent + moments.occupation
    return omega * energy, omega * (energy - spread)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_products_agree_with_the_reference(network: qb.Network) -> None:
    J, n_th, times, bath = [0.002, 0.01], np.array([0.0, 1.5]), [0.0, 200.0, 900.0], {"r": 0.4, "theta_r": 0.7}
    outputs = ["energy_terminal", "energy", "ergotropy", "energy_t", "ergotropy_t"]
    ds = qb.solve(network, J=J, kappa=0.003, epsilon=0.01, n_th=n_th, omega=1.3, times=times, outputs=outputs, **bath)
    assert dict(ds.sizes) == {"J": 2, "n_th": 2, "mode": network.n_modes, "time": 3}
    assert (ds.status == 1).all()
    for j in J:
        for n in n_th:
            point, one = scaled(network, j, 0.003), ds.sel(J=j, n_th=n)
            energy, ergotropy = energies(steady_moments(point, 0.01, n, **bath), 1.3)
            np.testing.assert_allclose(one.energy, energy, rtol=1e-12)
            np.testing.assert_allclose(one.ergotropy, ergotropy, rtol=1e-12)
            np.testing.assert_allclose(one.energy_terminal, energy[-1], rtol=1e-12)
            energy, ergotropy = energies(evolved_moments(point, np.array(times), 0.01, n, **bath), 1.3)
            np.testing.assert_allclose(one.energy_t.T, energy, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(one.ergotropy_t.T, ergotropy, rtol=1e-9, atol=1e-12)


def test_a_point_is_that_of_a_sweep_to_the_last_bit(tmp_path: object) -> None:
    J = np.geomspace(1e-3, 1e-2, 5)
    fixed = {"kappa": 0.003, "epsilon": 0.01, "n_th": 0.3, "r": 0.2}
    run = qb.run(
        {"name": "same", "parameters": {"topology": "parallel", "N": 3, **fixed}, "sweep": {"J": J}},
        f"{tmp_path}/run",
        executor="serial",
        progress=False,
    )
    ds, swept = qb.solve(qb.parallel(3), J=J, **fixed), run.dataset.load()
    assert set(ds.data_vars) == set(swept.data_vars) - {"solve_seconds"}
    for name in ds.data_vars:
        xr.testing.assert_identical(ds[name].variable, swept[name].variable)
    for name in ds.coords:
        xr.testing.assert_identical(ds[name].variable, swept[name].variable)


def test_everything_is_labelled_and_factors_say_so() -> None:
    ds = qb.solve(qb.cascaded(2, J=0.1, kappa=0.05), epsilon=0.01, J=[1, 2], outputs=["energy"])
    for name, variable in ds.variables.items():
        assert variable.attrs["units"], name
        assert variable.attrs["long_name"], name
    assert ds.J.attrs == {"units": "1", "long_name": "factor of the network's own J"}
    assert qb.solve(qb.cascaded(2), epsilon=0.01, J=[1, 2]).J.attrs["units"] == "omega"


def test_the_loss_of_the_charger_is_a_factor_as_that_of_the_others_is() -> None:
    own = qb.cascaded(1, J=0.0015, kappa=0.003)
    ds = qb.solve(own, epsilon=0.01, kappa_charger=[1, 2])
    assert ds.kappa_charger.attrs == {"units": "1", "long_name": "factor of the network's own kappa of the charger"}
    assert ds.energy_terminal.values[0] == qb.solve(own, epsilon=0.01).energy_terminal.item()
    twice = qb.cascaded(1, J=0.0015, kappa=[0.006, 0.003])
    assert ds.energy_terminal.values[1] == pytest.approx(qb.solve(twice, epsilon=0.01).energy_terminal.item(), 1e-14)
    assert qb.solve(qb.cascaded(1), epsilon=0.01, kappa_charger=[1, 2]).kappa_charger.attrs["units"] == "omega"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"detuning": {"values": [1], "unit": "kappa"}}, "`detuning` cannot be in units of kappa beside .* own losses"),
        ({"spread_detuning": {"value": 1, "unit": "kappa"}}, "`spread_detuning` cannot be in units of kappa"),
        (
            {"spread_detuning": {"values": [1, 2], "unit": "J"}},
            "`spread_detuning` cannot be .* J beside .* own couplings",
        ),
        ({"kappa_charger": {"value": 2, "unit": "kappa"}}, "`kappa_charger` cannot be in units of kappa"),
        ({"times": {"values": [1], "unit": "1/kappa"}}, "`times` cannot be in units of 1/kappa"),
    ],
)
def test_units_are_not_taken_for_the_factors_of_a_network(parameters: dict[str, object], sentence: str) -> None:
    with pytest.raises(qb.QbsweepError, match=sentence):
        qb.solve(qb.cascaded(1, J=0.0015, kappa=0.003), epsilon=0.01, **parameters)


def test_units_are_those_of_the_network_where_factors_are_rates() -> None:
    of_kappa = qb.solve(qb.cascaded(1), kappa=0.003, J=0.002, epsilon=0.01, detuning={"value": 2, "unit": "kappa"})
    assert (
        of_kappa.energy_terminal
        == qb.solve(qb.cascaded(1), kappa=0.003, J=0.002, epsilon=0.01, detuning=2 * 0.003).energy_terminal
    )


def test_the_truncated_solver_judges_itself() -> None:
    levels = {"charger": 8, "battery": 10}
    ds = qb.solve(qb.cascaded(1), epsilon=0.3, solver="lindblad", kerr=[0, 0.2], fock_levels=levels)
    exact = qb.solve(qb.cascaded(1), epsilon=0.3)
    assert float(ds.energy_terminal.sel(kerr=0)) == pytest.approx(exact.energy_terminal.item(), rel=1e-5)
    assert (ds.truncation_error < 1e-3).all()
    assert ds.energy_terminal.diff("kerr").item() != 0


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "`epsilon` must be given"),
        ({"epsilon": -1}, "`epsilon` must be at least 0, but is -1"),
        ({"epsilon": 1, "n_th": [0, -1]}, "`n_th` must be at least 0, but axis value 2 is -1"),
        ({"epsilon": 1, "N": 3}, "parameter 'N' is not known"),
        ({"epsilon": 1, "kerr": 0.1}, "needs `solver: lindblad`"),
        ({"epsilon": 1, "outputs": ["energie"]}, "did you mean 'energy'"),
        ({"epsilon": 1, "J": {"linspace": [0, 1, 2], "unit": "J_op"}}, "J_op"),
        ({"epsilon": 1, "times": [1, 0]}, "`times` must ascend"),
        ({"epsilon": 1, "kappa": math.nan}, "`kappa` must be a finite number"),
        ({"epsilon": 1, "initial": {(0,): {"amplitude": 1}}}, r"^`\(0,\)` in `initial` must be 'charger' or 'battery'"),
        ({"epsilon": 1, "initial": {1: {"amplitude": 1}, "1": {"amplitude": 2}}}, "^`1` in `initial` is given twice"),
        (
            {"epsilon": 1, "protocol": [{"until": "status"}, {}], "status": 1.0},
            "'status': that name has another meaning",
        ),
    ],
)
def test_mistakes_are_one_sentence(parameters: dict[str, object], sentence: str) -> None:
    with pytest.raises(qb.QbsweepError, match=sentence) as caught:
        qb.solve(qb.cascaded(2), **parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("solver", ["moments", "lindblad"])
def test_a_point_that_cannot_be_solved_says_why(solver: str) -> None:
    dark = qb.Network(kappa=(1, 0, 0), edges=(qb.Edge(0, 1, 1), qb.Edge(0, 2, 1)))
    with pytest.raises(qb.QbsweepError, match=r"^a steady state needs losses that reach every mode"):
        qb.solve(dark, epsilon=0.1, outputs=["energy_terminal"], solver=solver)


def test_what_is_no_network_is_said() -> None:
    with pytest.raises(qb.QbsweepError, match=r"must be a qbsweep\.Network"):
        qb.solve("cascaded", epsilon=1)


def test_the_signature_lists_what_is_declared() -> None:
    parameters = inspect.signature(qb.solve).parameters
    assert {"epsilon", "n_th", "r", "theta_r", "omega", "kerr", "solver", "fock_levels"} <= set(parameters)
    assert parameters["n_th"].default == 0
