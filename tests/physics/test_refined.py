"""Residuals of 32 digits and what they refine, against exact fractions; bounds of rounding against what was rounded."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qbsweep.errors import QbsweepError
from qbsweep.physics.matrices import drift_matrix, squeezing_matrix
from qbsweep.physics.moments.bounded import Bounded
from qbsweep.physics.moments.doubled import expansion, plus, times, two_product, two_sum
from qbsweep.physics.moments.family import family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.refined import ergotropy_error, refined_amplitudes, refined_deficits
from qbsweep.physics.moments.sparse import deviation_source, drift_of
from qbsweep.physics.network import Edge, Network, scaled

NUMBER = st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-100)


def _exact(number):
    high, low = (Fraction(float(part)) for part in number)
    return high + low


def _doubled(high, low):
    """A number whose low part is at most a rounding of the high one."""
    return np.array(high), np.array(low * abs(high) * 2.0**-53)


# ---------------------------------------------------------------------------- double-double arithmetic


@given(a=NUMBER, b=NUMBER)
def test_sums_and_products_of_doubles_are_exact(a, b):
    x, y = np.array(a), np.array(b)
    assert _exact(two_sum(x, y)) == Fraction(a) + Fraction(b)
    assert _exact(two_product(x, y)) == Fraction(a) * Fraction(b)


@given(a=NUMBER, b=NUMBER, c=st.floats(-1, 1), d=st.floats(-1, 1))
def test_sums_and_products_of_pairs_keep_32_digits(a, b, c, d):
    assume(all(abs(x) > 1e-80 for x in (a, b)))
    x, y = _doubled(a, c), _doubled(b, d)
    product, total = _exact(x) * _exact(y), _exact(x) + _exact(y)
    assert abs(_exact(times(x, y)) - product) <= abs(product) * Fraction(2) ** -102
    assert abs(_exact(plus(x, y)) - total) <= (abs(_exact(x)) + abs(_exact(y))) * Fraction(2) ** -103


@given(st.lists(NUMBER, max_size=6))
def test_an_expansion_is_the_sum_and_each_part_the_nearest_to_the_rest(terms):
    terms = [*terms, *(-0.75 * x for x in terms)]
    rest = sum(map(Fraction, terms))
    for part in expansion(terms):
        assert part == float(rest)
        rest -= Fraction(part)
    assert rest == 0


def test_a_sum_that_overflows_is_no_number():
    assert np.isnan(expansion([1e308, 1e308])).all()
    assert np.isnan(expansion([np.inf, -np.inf])).all()
    assert np.isnan(expansion([np.inf, 1.0])).all()


# ---------------------------------------------------------------------------- running bounds


def _complex_fraction(z):
    return Fraction(z.real), Fraction(z.imag)


@given(st.lists(st.complex_numbers(min_magnitude=1e-3, max_magnitude=1e3), min_size=3, max_size=12), st.floats(1, 1e8))
def test_bounds_hold_what_rounding_did(numbers, J):
    """A continued fraction, as the elimination of a chain is: complex, so that parts of it cancel."""
    found = Bounded.rounded(np.array([numbers[0]]))
    re, im = _complex_fraction(numbers[0])
    for z in numbers[1:]:
        assume(abs(found.value[0]) > 1e-3)
        found = Bounded.rounded(np.array([z])) - np.array([2.0]) * (np.array([J]) / found)
        square, (x, y) = re * re + im * im, _complex_fraction(z)
        re, im = x - 2 * Fraction(J) * re / square, y + 2 * Fraction(J) * im / square
    assume(found.error[0] < 1e-6 * abs(found.value[0]))  # to first order
    x, y = _complex_fraction(found.value[0])
    assert (x - re) ** 2 + (y - im) ** 2 <= Fraction(float(1.001 * found.error[0])) ** 2


def test_a_sum_that_cancels_has_a_large_bound():
    """1 + 1e-8 - 1 is 1e-8 with eight digits lost, and says so."""
    one = Bounded.rounded(np.array([1.0]))
    rest = (one + Bounded(np.array([1e-8]), np.zeros(1))) - one
    assert 1e-8 < rest.error[0] / rest.value[0] < 1e-6


# ---------------------------------------------------------------------------- sparse matrices


def _networks():
    rng = np.random.default_rng(8)
    p = [complex(*rng.normal(size=2)) for _ in range(4)]
    ring = [(0, 1), (1, 2), (2, 3), (3, 0)]
    return {
        "reciprocal": Network((1.0, 0.1, 3.0), (Edge(0, 1, 0.7), Edge(1, 2, 1e-5))),
        "phase-zero": Network((1.0,) * 3, (Edge(0, 1, 0.3, 0.0, 0.6, 1j, 1), Edge(1, 2, 0.1, 0.0, 0.2, 1, -1j))),
        "any": Network(
            (1.0, 0.1, 3.0, 1e-6),
            tuple(Edge(u, v, 0.1 * u + 0.7, 1.3 * u, 0.9, p[u], p[v]) for u, v in ring),
            (0.1, 0, -3, 7),
        ),
    }


@pytest.mark.parametrize("kind", list(_networks()))
def test_residuals_are_those_of_the_matrices(kind):
    """``M y`` against the same sums in fractions, to 1e-30, and M against the matrix in doubles."""
    network = _networks()[kind]
    net, J, kappa = family(network), np.array([0.3, 1e6]), np.array([0.7, 1e-3])
    drift = drift_of(net, Rates(J, kappa))
    rows = drift.shape[1]
    y = np.random.default_rng(1).normal(size=(2, rows, 2))
    found = drift.of((y, np.zeros_like(y)))
    for member in range(2):
        # The matrix by its columns, exactly: products with unit vectors have no sums in them.
        units = np.broadcast_to(np.eye(rows), (2, rows, rows))
        high, low = drift.of((units, np.zeros_like(units)))
        for j in range(rows):
            for c in range(2):
                exact = sum(
                    _exact((high[member, j, k], low[member, j, k])) * Fraction(y[member, k, c]) for k in range(rows)
                )
                size = sum(abs(high[member, j, k] * y[member, k, c]) for k in range(rows))
                assert abs(_exact((found[0][member, j, c], found[1][member, j, c])) - exact) <= Fraction(1e-30 * size)
        M = drift_matrix(scaled(network, J[member], kappa[member]))
        gauged = net.phases.conj()[:, None] * M * net.phases
        n = net.n_modes
        joined = high[member][:n, :n] + (1j * high[member][n:, :n] if rows > n else 0)
        np.testing.assert_allclose(joined, gauged, 1e-15, 1e-15 * np.abs(M).max())


@pytest.mark.parametrize("kind", list(_networks()))
def test_the_source_of_deviations_is_what_their_equation_leaves(kind):
    """``R = M + M^T + K_sq`` before the gauge: the deviation from X = 1, in which local losses cancel."""
    network = _networks()[kind]
    net, n = family(network), network.n_modes
    high, _ = deviation_source(net, Rates(np.array([0.3]), np.ones(1)))
    found = high[0][:n] + (1j * high[0][n:] if len(high[0]) > n else 0)
    one = scaled(network, 0.3, 0.5)
    M = drift_matrix(one)
    expected = net.phases.conj()[:, None] * (M + M.T + squeezing_matrix(one)) * net.phases.conj()
    np.testing.assert_allclose(found, expected, 0, 1e-15 * np.abs(M).max())


def test_quarter_turns_of_the_gauge_are_exact():
    of_numpy = Network((1.0, 1.0), (Edge(0, 1, 49.0, np.pi / 2, np.float64(98.0)),))
    for network in (*_networks().values(), of_numpy):
        assert set(family(network).phases.tolist()) <= {1, 1j, -1, -1j}


# ---------------------------------------------------------------------------- refinement


def test_ways_that_cancel_each_other_leave_a_mode_dark():
    """Two ways around a ring, half a turn apart: nothing arrives, and no relative error of nothing is made up."""
    edges = (Edge(0, 1, 0.3), Edge(1, 2, 0.7), Edge(0, 3, 0.3), Edge(3, 2, 0.7, np.pi))
    net = family(Network((1.0,) * 4, edges))
    J = np.geomspace(1e-4, 1e6, 11)
    alpha, error = refined_amplitudes(net, Rates(J, np.ones(11)))
    assert not alpha[:, 2].any()
    assert np.all(np.abs(alpha[:, 1]) > 0)
    assert np.all(error < 1e-13)


def test_one_bright_way_around_a_ring_is_not_called_dark():
    """Hops of 1e-12 each: amplitudes of 1e-36 beside 1, which are none the less real."""
    net = family(Network((1.0,) * 6, tuple(Edge(m, (m + 1) % 6, 1e-12) for m in range(6))))
    alpha, error = refined_amplitudes(net, Rates(np.ones(1), np.ones(1)))
    assert np.abs(alpha[0, 3]) == pytest.approx(2 * 2**4 * 1e-36, rel=1e-12)  # both ways
    assert error[0] < 1e-13


@pytest.mark.parametrize("kappa", [0.0, 1e-30, 1e-17])
def test_a_damping_that_is_lost_beside_the_couplings_leaves_no_digit(kappa):
    """The corrections may be 1e-13 here, while the solution is off by 1; rounding makes some damping look larger."""
    rng = np.random.default_rng(4)
    for n in (3, 4, 5, 6) * 5:
        edges = tuple(Edge(m, m + 1, J) for m, J in enumerate(rng.uniform(0.5, 1, n - 1)))
        net = family(Network(tuple(kappa * rng.uniform(0.5, 1, n)), edges))
        assert refined_deficits(net, Rates(np.ones(1), np.ones(1)))[1] == 1


@pytest.mark.parametrize("edges", [(Edge(0, 1, 1.0),), (Edge(0, 1, 1.0), Edge(1, 2, 0.0))])
def test_a_mode_that_nothing_damps_has_no_steady_state(edges):
    with pytest.raises(QbsweepError, match="a steady state needs losses that reach every mode"):
        refined_amplitudes(family(Network((1.0, 1.0, 0.0), edges)), Rates(np.ones(1), np.ones(1)))


def test_a_battery_without_a_loss_of_its_own_is_damped_by_the_others():
    net = family(Network((1.0, 1.0, 0.0), (Edge(0, 1, 1.0), Edge(1, 2, 0.7))))
    assert refined_deficits(net, Rates(np.ones(1), np.ones(1)))[1] < 1e-14


@given(lost=st.floats(0, 1), error=st.floats(-12, -2), n_th=st.floats(0, 100), r=st.floats(0.01, 8))
def test_no_ergotropy_moves_by_more_than_is_said(mp, lost, error, n_th, r):
    """The share of the bath at X and at X - dX, against the bound for any bath; 1.1 for what is not of first order."""
    dX = (1 - lost) ** 0.5 * 10**error
    with mp.workdps(60):
        n, x = mp.mpf(n_th), mp.mpf(r)
        P = n * mp.cosh(2 * x) + mp.sinh(x) ** 2
        Q = (2 * n + 1) * mp.sinh(x) * mp.cosh(x)

        def share(kept):
            return P + 0.5 - mp.sqrt((n + 0.5) ** 2 + Q**2 * (1 - kept**2))

        kept = mp.sqrt(1 - mp.mpf(lost))
        before, after = share(kept), share(kept - mp.mpf(dX))
        moved = float(abs(after - before) / max(before, P / 100)) if dX else 0.0
    assert moved <= 1.1 * ergotropy_error(np.array([lost]), np.array([dX]))[0] + 1e-15
