"""Members that differ edge by edge and mode by mode, by the moment solver: against the reference, and 900 bits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qbsweep as qb
from qbsweep.physics.members import OF_MEMBERS, Members
from qbsweep.physics.moments.elimination import eliminated_populations
from qbsweep.physics.moments.family import family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.steady import CARRIED, coherent_populations
from qbsweep.physics.network import Edge, Network, imperfect
from qbsweep.physics.topologies import cascaded, parallel
from qbsweep.solvers import moment_members, moments
from qbsweep.solvers.interface import Labelled, Points, values_of
from qbsweep.solvers.moments import SOLVER, solve_moments

from ..accuracy.reference import steady_modes

TIMES = np.array([0.0, 0.7, 3.0])
IDEAL = {"J": 0.8, "kappa": 1.1, "kappa_charger": 1.1, "detuning": 0.0, "seed": 0} | dict.fromkeys(
    ("spread_J", "spread_kappa", "spread_detuning"), 0.0
)
BATH = {"epsilon": 0.7, "omega": 1.3, "n_th": [0.0, 0.4], "r": [0.0, 0.5], "theta_r": 0.3}
STEADY = ("energy", "ergotropy", "energy_charger", "energy_terminal", "ergotropy_terminal", "energy_batteries")
KINDS = {
    "detuned": {"detuning": 0.6},
    "uneven": {"kappa_charger": 0.3},
    "disordered": {"spread_J": 0.7},
    "losses": {"spread_kappa": 0.6},
    "detunings": {"spread_detuning": 1.5},
    "all": {"detuning": -0.4, "kappa_charger": 2.0, "spread_J": 0.5, "spread_kappa": 0.4, "spread_detuning": 0.8},
}


def points(network, distribution="uniform", times=None, **values):
    of_time = None if times is None else Labelled(("time",), np.asarray(times, dtype=float))
    return Points(network, values_of(IDEAL | BATH | values), {"spread_distribution": distribution}, of_time)


def members(product):
    """All members of a product one by one, and their places along the axes that make them."""
    sizes = product.sizes
    for where in itertools.product(*(range(sizes[name]) for name in OF_MEMBERS)):
        values = product.at(dict.fromkeys(sizes, 0) | dict(zip(OF_MEMBERS, where, strict=True)))
        one = {name: np.array([values[name]]) for name in OF_MEMBERS} | {"seed": np.array([int(values["seed"])])}
        yield where, Members(**one, distribution=product.settings["spread_distribution"]).network(product.network)


def assert_reference(product, steady_energies, evolved_energies):
    solved = solve_moments(product, (*STEADY, "energy_t", "ergotropy_t"))
    assert solved["numerical_error"].values.max() < 1e-9
    axes = (*OF_MEMBERS, "n_th", "r")
    behind = {name: tuple(dim for dim in ("mode", "time") if dim in solved[name].dims) for name in solved}
    found = {name: solved[name].along((*axes, *behind[name])) for name in solved}
    lengths = tuple(product.sizes[name] for name in axes)
    found = {name: np.broadcast_to(array, (*lengths, *array.shape[len(axes) :])) for name, array in found.items()}
    for where, network in members(product):
        for i, j in np.ndindex(2, 2):
            bath = (BATH["epsilon"], BATH["n_th"][i], BATH["r"][j], BATH["theta_r"])
            energy, ergotropy = (1.3 * x for x in steady_energies(network, *bath))
            expected = {
                "energy": energy,
                "ergotropy": ergotropy,
                "energy_charger": energy[0],
                "energy_terminal": energy[-1],
                "ergotropy_terminal": ergotropy[-1],
                "energy_batteries": energy[1:].sum(),
            }
            in_time = (1.3 * x.T for x in evolved_energies(network, TIMES, *bath))
            expected |= dict(zip(("energy_t", "ergotropy_t"), in_time, strict=True))
            for name, values in expected.items():
                np.testing.assert_allclose(found[name][(*where, i, j)], values, 1e-9, 1e-11, err_msg=f"{name} {where}")


NETWORKS = {
    "chain": cascaded(3),
    "phase-zero chain": cascaded(3, realization="phase-zero"),
    "reciprocal chain": cascaded(3, coupling="reciprocal"),
    "imperfect chain": imperfect(cascaded(3), 0.4, 0.1),
    "star": parallel(3, realization="phase-zero"),
    "two edges between two modes": Network((1, 0.5, 1), (Edge(0, 1, 1, 1.0), Edge(1, 0, 0.5, 0, 0.3), Edge(1, 2, 1))),
    "detuned tree": Network(
        (1, 2, 1, 0.5), (Edge(0, 1, 1, 1.0, 0.5, 1j), Edge(1, 2, 0.7), Edge(1, 3, 1.2, 0, 2.4, 1j, 1)), (0, 0.3, 0, -1)
    ),
}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("name", list(NETWORKS))
def test_members_equal_the_reference(name, kind, steady_energies, evolved_energies):
    """Steady and in time, in vacuum, thermal and squeezed baths."""
    product = points(NETWORKS[name], times=TIMES, J=[0.3, 1.2], seed=[2, 5], **KINDS[kind])
    assert_reference(product, steady_energies, evolved_energies)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_members_of_any_network_equal_the_reference(networks, steady_energies, evolved_energies, data):
    network = data.draw(networks(max_modes=4))
    rate, spread = st.floats(0.2, 3), st.one_of(st.just(0.0), st.floats(0.01, 0.9))
    values = {name: data.draw(rate) for name in ("J", "kappa", "kappa_charger")}
    values |= {name: data.draw(spread) for name in ("spread_J", "spread_kappa", "spread_detuning")}
    values |= {"detuning": data.draw(st.floats(-2, 2)), "seed": data.draw(st.integers(0, 2**53))}
    product = points(network, times=TIMES, **values)
    assert_reference(product, steady_energies, evolved_energies)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_ring_equals_the_reference(ring, kind, steady_energies, evolved_energies):
    product = points(ring(4, detuning=(0.2, 0, -0.3, 0)), times=TIMES, seed=[2, 5], **KINDS[kind])
    assert_reference(product, steady_energies, evolved_energies)


def test_a_member_does_not_depend_on_those_beside_it(monkeypatch):
    """Not even on the path that they take: ideal ones among them are those of an ideal sweep, to the bit."""
    network, axes = cascaded(4, coupling="reciprocal"), {"r": 0.5, "n_th": 0.0}
    values = {"J": [0.4, 1.3], "spread_J": [0.0, 0.3], "detuning": [0.0, 0.2], "seed": range(40)}
    outputs = ("energy", "ergotropy")

    def found(**values):
        return {
            name: solved.values for name, solved in solve_moments(points(network, **axes, **values), outputs).items()
        }

    whole = found(**values)
    ideal = found(J=values["J"])
    for name in outputs:
        expected = ideal[name].reshape(2, -1)
        for seed in (0, 39):
            assert np.array_equal(whole[name][:, :, :, 0, 0, :, :, seed].reshape(2, -1), expected)
    monkeypatch.setattr(moments, "_COMPILED_TILE", 7)
    assert all(np.array_equal(found(**values)[name], whole[name]) for name in outputs)
    for seed, place in ((13, 13), (39, 39)):
        alone = found(**{**values, "seed": [seed], "J": [1.3], "spread_J": [0.3], "detuning": [0.2]})
        for name in outputs:
            assert np.array_equal(alone[name].ravel(), whole[name][1, :, :, 1, 1, :, :, place].ravel())


def test_a_longer_chain_begins_with_the_same_draws():
    """Of a directed chain the charger does not feel what is behind: its energy is the same for every N."""
    values = {"spread_J": 0.3, "spread_kappa": 0.2, "spread_detuning": 0.5, "seed": range(20), "n_th": 0, "r": 0}
    first, second = (solve_moments(points(cascaded(N), **values), ["energy"])["energy"].values for N in (3, 6))
    assert np.array_equal(first[..., :3].ravel(), second[..., :3].ravel())


def test_pair_of_any_rates_equals_its_closed_form():
    """``E_B = eps^2 (J + Gamma/2)^2 / |(Lambda/2 + i Delta)^2 + J^2 - Gamma^2/4|^2``, at 2,000 random points."""
    rng = np.random.default_rng(12)
    J, kappa, detuning = 10 ** rng.uniform(-3, 2, 10), 10 ** rng.uniform(-2, 1, 10), rng.normal(size=10)
    ratios = np.array([0.0, *10 ** rng.uniform(-2, 1, 19)])
    ds = qb.solve(qb.cascaded(1), J=J, kappa=kappa[:5], detuning=detuning[:2], epsilon=0.3, gamma_ratio=ratios)
    Gamma = 2 * J * ratios[:, None]
    Lambda = Gamma[..., None] + kappa[:5]
    square = (Lambda[..., None] / 2 + 1j * detuning[:2]) ** 2 + (J**2 - Gamma**2 / 4)[..., None, None]
    expected = 0.09 * (J + Gamma / 2)[..., None, None] ** 2 / np.abs(square) ** 2
    found = ds["energy_terminal"].transpose("gamma_ratio", "J", "kappa", "detuning")
    assert found.size == 2000
    np.testing.assert_allclose(found, expected, 1e-12)


def test_seeds_of_an_ideal_network_are_solved_once():
    product = points(cascaded(3), seed=range(1000), J=[0.1, 0.2])
    assert solve_moments(product, ["energy_terminal"])["energy_terminal"].dims[:2] == moment_members.UNIFORM


def test_negative_rates_fail_with_the_mode_or_edge_and_the_others_are_solved():
    product = points(cascaded(2), seed=range(30), spread_kappa=[0.0, 1.4], J=[0.3, 0.5])
    solved = SOLVER.solve(product, ["energy_terminal"])
    axes = tuple(product.values)
    failed = solved.status.along(axes) == moments.FAILED
    finite = np.isfinite(np.broadcast_to(solved.arrays["energy_terminal"].along(axes), failed.shape))
    assert np.array_equal(finite, ~failed)
    assert 0 < failed.sum() < failed.size / 2
    assert {tuple(place) for place in np.argwhere(failed)} == set(solved.reasons)
    for place, reason in solved.reasons.items():
        at = dict(zip(axes, place, strict=True))
        assert at["spread_kappa"] == 1
        assert reason.startswith(f"seed {at['seed']} makes the kappa of mode ")


def _resonant(J, kappa, count, seed=0):
    """Rates of a detuned reciprocal chain of three, driven at a normal mode of its couplings: digits cancel."""
    couplings = J * (1 + 0.5 * np.random.default_rng(seed).uniform(-1, 1, (3, count)))
    detunings = np.empty((4, count))
    for i, (a, b, c) in enumerate(couplings.T):
        h = np.diag([a, b, c], 1) + np.diag([a, b, c], -1)
        detunings[:, i] = -np.linalg.eigvalsh(h)[0]
    return Rates(couplings, np.full((4, count), kappa), detunings)


@pytest.mark.parametrize("ratio", [1e2, 1e5, 1e8])
def test_elimination_keeps_its_digits_where_they_cancel(ratio):
    """Against 900 bits, and within its bound; where the bound is large, only a second look has the digits."""
    network, rates = cascaded(3, coupling="reciprocal"), _resonant(ratio, 1.0, 5)
    net = family(network, is_disordered=True, is_uneven=True, is_detuned=True)
    populations, error = coherent_populations(net, rates)
    plain, bound = eliminated_populations(net, rates, np.inf)
    for i in range(5):
        edges = tuple(Edge(m, m + 1, J) for m, J in enumerate(rates.J[:, i]))
        one = Network(tuple(rates.kappa[:, i]), edges, tuple(rates.detuning[:, i]))
        exact = np.array([float(x) for x in steady_modes(one, 1.0, 1.0, 1.0, 0.0, 0.0).energy])
        assert np.abs(populations[:, i] / exact - 1).max() < error[i] < 1e-12
        assert np.abs(plain[:, i] / exact - 1).max() < bound[i]
    assert (bound > CARRIED).all() == (ratio > 1e4)
