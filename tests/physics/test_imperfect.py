"""Imperfect and disordered networks: closed forms, bounds, and draws."""

import math
import tracemalloc

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import qbsweep as qb
from qbsweep.errors import QbsweepError
from qbsweep.physics import imperfect as forms
from qbsweep.physics.disorder import DISTRIBUTIONS, MAX_SEED, draws
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.members import member_of
from qbsweep.physics.network import Edge, Network, imperfect
from qbsweep.physics.reference import steady_moments
from qbsweep.physics.topologies import cascaded, optimal_coupling, parallel

PLAIN = {"J": 1.0, "kappa": 1.0, "kappa_charger": 1.0, "detuning": 0.0, "seed": 0} | dict.fromkeys(
    ("spread_J", "spread_kappa", "spread_detuning"), 0.0
)


def member(network: Network, distribution: str = "uniform", **values: float) -> Network:
    return member_of(network, PLAIN | values, distribution)


# Draws


def test_a_draw_is_a_function_of_seed_quantity_and_place_alone():
    """Whatever is drawn beside it, in whatever order: a word of a counter-based generator."""
    seeds = np.array([5, 10**9, 3, 0, MAX_SEED, 5, 4097 * 3, 1])
    for quantity in ("J", "kappa", "detuning"):
        for item in (0, 1, 9_999):
            together = draws(seeds, quantity, item)
            alone = [draws(np.array([seed]), quantity, item)[0] for seed in seeds]
            assert together.tolist() == alone
            shuffled = draws(seeds[::-1].reshape(2, 4), quantity, item)
            assert shuffled.ravel()[::-1].tolist() == alone


def test_draws_are_words_of_philox():
    """As documented, with numpy's generator itself: stored results must not change with this package."""
    words = np.random.Philox(key=np.array([2, 7], dtype=np.uint64), counter=25).random_raw(4)
    expected = (words >> np.uint64(11)) / 2.0**52 - 1
    assert draws(np.arange(100, 104), "detuning", 7).tolist() == expected.tolist()
    for number, quantity in enumerate(("J", "kappa", "detuning")):
        for first, step in ((0, 1), (3, 1), (6, 7), (1, 4096), (2**40 + 3, 10**9 + 1)):
            seeds = [first + step * place for place in range(9)]
            key = np.array([number, 9_999], dtype=np.uint64)
            words = [np.random.Philox(key=key, counter=s // 4).random_raw(4)[s % 4] >> np.uint64(11) for s in seeds]
            assert draws(np.array(seeds), quantity, 9_999).tolist() == (np.array(words) / 2.0**52 - 1).tolist()
            normal = scipy.special.ndtri((np.array(words) + 0.5) / 2.0**53)
            assert draws(np.array(seeds), quantity, 9_999, "normal").tolist() == normal.tolist()


def test_seeds_far_apart_take_no_more_memory():
    """Than consecutive ones: what lies between is not drawn."""
    net, fixed = (
        qb.cascaded(2),
        {"J": 0.1, "kappa": 0.3, "epsilon": 0.1, "spread_J": 0.1, "outputs": ["energy_terminal"]},
    )
    qb.solve(net, seed=[0, 1], **fixed)
    tracemalloc.start()
    qb.solve(net, seed=np.arange(20_000) * 4000, **fixed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


@pytest.mark.parametrize(("distribution", "deviation"), [("uniform", 3**-0.5), ("normal", 1.0)])
def test_draws_have_their_distribution(distribution, deviation):
    """Mean, standard deviation and largest sizes of 40,000 draws, and no correlation between any two kinds of them."""
    seeds = np.arange(40_000)
    rows = np.array([draws(seeds, q, item, distribution) for q in ("J", "kappa", "detuning") for item in range(3)])
    sigma = 1 / math.sqrt(len(seeds))
    assert np.all(np.abs(rows.mean(axis=1)) < 4.5 * deviation * sigma)
    assert np.all(np.abs(rows.std(axis=1) / deviation - 1) < 4.5 * sigma)
    assert np.all(np.abs(np.corrcoef(rows) - np.eye(len(rows))) < 4.5 * sigma)
    assert np.isfinite(rows).all()
    if distribution == "uniform":
        assert -1 <= rows.min() < -0.9998
        assert 0.9998 < rows.max() < 1


def test_both_distributions_are_of_the_same_word():
    seeds = np.arange(1000)
    uniform, normal = (draws(seeds, "J", 0, distribution) for distribution in DISTRIBUTIONS)
    assert np.array_equal(np.argsort(uniform), np.argsort(normal))


def test_an_unknown_distribution_is_refused():
    with pytest.raises(QbsweepError, match="distribution 'gauss' is not known; it must be 'uniform' or 'normal'"):
        draws(np.array([0]), "J", 0, "gauss")


def test_networks_of_another_size_share_their_draws():
    """Common random numbers: the first modes and edges of a longer chain are those of the shorter one."""
    short, long = (member(cascaded(N), spread_J=0.3, spread_kappa=0.2, spread_detuning=0.1, seed=4) for N in (3, 7))
    assert long.kappa[:4] == short.kappa
    assert long.detuning[:4] == short.detuning
    assert long.edges[:3] == short.edges


def test_disorder_is_relative_or_absolute_as_declared():
    """J and Gamma and kappa by a factor ``1 + s x``, detunings by an addend ``s x`` beside their own."""
    own = Network((1.0, 2.0, 1.0), (Edge(0, 1, 1.0, Gamma=2.0), Edge(1, 2, 0.5)), (0.0, 0.1, 0.2))
    net = member(
        own,
        J=3.0,
        kappa=0.5,
        kappa_charger=0.7,
        detuning=0.01,
        spread_J=0.3,
        spread_kappa=0.2,
        spread_detuning=0.4,
        seed=9,
    )
    x = {q: [draws(np.array([9]), q, item)[0] for item in range(3)] for q in ("J", "kappa", "detuning")}
    assert [e.J for e in net.edges] == pytest.approx(
        [3 * (1 + 0.3 * x["J"][0]), 1.5 * (1 + 0.3 * x["J"][1])], rel=1e-15
    )
    assert net.edges[0].Gamma == 2 * net.edges[0].J
    rates = [0.7 * (1 + 0.2 * x["kappa"][0]), (1 + 0.2 * x["kappa"][1]), 0.5 * (1 + 0.2 * x["kappa"][2])]
    assert net.kappa == pytest.approx(rates, rel=1e-15)
    assert net.detuning == pytest.approx([own.detuning[m] + 0.01 + 0.4 * x["detuning"][m] for m in range(3)], rel=1e-14)


@pytest.mark.parametrize(
    ("spread", "sentence"),
    [
        ("spread_kappa", r"seed \d+ makes the kappa of mode \d negative .* take a smaller `spread_kappa` than 30"),
        ("spread_J", r"seed \d+ makes the J of edge \d \(\d, \d\) negative .* take a smaller `spread_J` than 30"),
    ],
)
def test_a_draw_that_makes_a_rate_negative_is_an_error(spread, sentence):
    with pytest.raises(QbsweepError, match=sentence):
        member(cascaded(5), **{spread: 30.0, "seed": 1})


# Imperfect nonreciprocity


@pytest.mark.parametrize("build", [cascaded, parallel])
@pytest.mark.parametrize("realization", ["phase-half-pi", "phase-zero"])
def test_ratio_zero_is_reciprocal_and_one_is_directed(build, realization):
    """Of energies: the phases of a tree are a gauge."""
    net = build(4, 0.3, 0.2, realization=realization)
    reciprocal = steady_moments(imperfect(net, gamma_ratio=0.0), 1.0).coherent
    assert reciprocal == pytest.approx(
        steady_moments(build(4, 0.3, 0.2, coupling="reciprocal"), 1.0).coherent, rel=1e-12
    )
    assert imperfect(net) is net


@pytest.mark.parametrize("phase", [1e-3, 1e-8, 1e-12, -1e-10])
def test_a_small_phase_error_keeps_its_digits(phase):
    """The backward amplitude ``J (e^{i phi} - 1)`` of a directed pair: what it is made of to rounding of J at most."""
    back = drift_matrix(imperfect(cascaded(1, 0.3, 0.2), phase_error=phase))[0, 1]
    assert back.imag == pytest.approx(0.3 * math.sin(phase), rel=4e-16)
    assert back.real == pytest.approx(-0.6 * math.sin(phase / 2) ** 2, abs=1e-16)


# Closed forms


def test_pair_of_any_ratio_detuning_and_losses():
    """Against the matrices, 500 random points, to 1e-12."""
    rng = np.random.default_rng(1)
    for _ in range(500):
        J, ratio, kappa, charger = 10.0 ** rng.uniform(-2, 1, 4)
        detuning = rng.normal() * 10.0 ** rng.uniform(-3, 0)
        net = member(imperfect(cascaded(1), ratio), J=J, kappa=kappa, kappa_charger=charger, detuning=detuning)
        expected = forms.pair_energy(J, 2 * J * ratio, kappa, 1.0, charger, detuning)
        assert steady_moments(net, 1.0).coherent[1] == pytest.approx(expected, rel=1e-12)


def test_pair_at_half_its_loss_does_not_depend_on_gamma():
    assert forms.pair_energy(0.1, np.geomspace(1e-3, 1e3, 50), 0.2, 0.7) == pytest.approx((0.7 / 0.2) ** 2, rel=1e-12)


def test_directed_pair_of_unequal_losses():
    """The maximum is stationary and where it is said to be; of 100 times unequal losses it is 0.109 of the bound."""
    a, b = 0.3, 0.003
    best = math.sqrt(a * b)
    energies = forms.pair_energy(
        best * np.array([0.5 - 1e-4, 0.5, 0.5 + 1e-4]), best * np.array([1 - 2e-4, 1, 1 + 2e-4]), b, 1.0, a
    )
    assert energies[1] == pytest.approx(forms.directed_pair_maximum(a, b, 1.0), rel=1e-14)
    assert energies[1] > max(energies[0], energies[2])
    assert energies[1] / forms.passive_bound(a, b, 1.0) == pytest.approx(0.1092821528, abs=1e-10)
    reciprocal = forms.pair_energy(math.sqrt(a * b) / 2, 0.0, b, 1.0, a)
    assert reciprocal == pytest.approx(forms.passive_bound(a, b, 1.0), rel=1e-14)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), n=st.integers(2, 7))
def test_no_passive_network_stores_more_than_the_bound(data, n):
    """Random graphs with random couplings, phases, jumps, losses and detunings."""
    rate, phase = st.floats(0.01, 3), st.floats(-4, 4)
    pairs = [(u, v) for v in range(1, n) for u in range(v)]
    chosen = data.draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=9, unique=True))
    edges = [
        Edge(u, v, data.draw(rate), data.draw(phase), data.draw(rate), complex(data.draw(phase), data.draw(phase)))
        for u, v in chosen
    ]
    kappa = data.draw(st.lists(rate, min_size=n, max_size=n))
    net = Network(tuple(kappa), tuple(edges), tuple(data.draw(st.lists(phase, min_size=n, max_size=n))))
    bound = forms.passive_bound(kappa[0], np.array(kappa[1:]), 0.3)
    assert np.all(steady_moments(net, 0.3).coherent[1:] <= bound * (1 + 1e-12))


# Disorder


def test_mean_log_of_detuned_paths():
    """The integral, and the number of the chain of 20 at its optimal coupling: -1.8148878."""
    a = 1.7
    integral = quad(lambda x: math.log1p((a * x) ** 2) / 2, -1, 1, epsabs=1e-14)[0]
    assert forms.mean_log_detuned([2.0], a) == pytest.approx(-integral, rel=1e-12)
    J, kappa = float(optimal_coupling("cascaded", 20, 0.003)), 0.003
    Lambda = [2 * J + kappa, *[4 * J + kappa] * 19, 2 * J + kappa]
    assert forms.mean_log_detuned(Lambda, J) == pytest.approx(-1.8148878, abs=5e-8)
    assert forms.mean_log_detuned(Lambda, 0.0) == 0
