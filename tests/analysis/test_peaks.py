"""The verdict on one curve, and what must not change it."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbsweep.analysis.peaks import find_optimum
from qbsweep.physics import closed_forms

Chain = Callable[..., np.ndarray]
J_OP = float(closed_forms.cascaded_optimal_coupling(3, 1.0))
GRID = J_OP * np.geomspace(0.2, 5, 61) * 1.013


def test_a_peak(chain_energy: Chain) -> None:
    found = find_optimum(GRID, chain_energy(GRID))
    assert (found.verdict, found.n_maxima) == ("peak", 1)
    assert abs(found.J - J_OP) <= found.J_error < 1e-4 * J_OP
    assert abs(found.J / J_OP - 1) < 1e-6
    assert found.energy == pytest.approx(chain_energy(np.array(J_OP)), rel=1e-8)
    assert math.isnan(found.saturation)


def test_two_peaks_give_the_higher_one_and_their_number() -> None:
    x = np.linspace(-3, 3, 301)
    energy = np.exp(-((x + 1.234) ** 2) / 0.1) + 0.9 * np.exp(-((x - 1) ** 2) / 0.2)
    found = find_optimum(np.exp(x), energy)
    assert (found.verdict, found.n_maxima) == ("several peaks", 2)
    assert abs(math.log(found.J) + 1.234) < 1e-5


def test_a_second_maximum_at_the_end_counts_as_one() -> None:
    x = np.linspace(-3, 3, 301)
    found = find_optimum(np.exp(x), np.exp(-(x**2)) + 0.1 * x**2 / 9)
    assert (found.verdict, found.n_maxima) == ("several peaks", 3)
    assert find_optimum(np.exp(x), np.exp(-(x**2)) + 2 * (x > 2) * (x - 2)).verdict == "edge"


@pytest.mark.parametrize("cut", [slice(None, 25), slice(40, None)])
def test_a_maximum_at_an_end_is_an_edge(chain_energy: Chain, cut: slice) -> None:
    J = GRID[cut]
    found = find_optimum(J, chain_energy(J))
    assert found.verdict == "edge"
    assert math.isnan(found.J)
    assert found.J_best == (J[-1] if cut.stop else J[0])
    assert math.isnan(found.saturation)


@pytest.mark.parametrize("N", [2, 4, 10])
@pytest.mark.parametrize("top", [5.0, 10.0, 100.0, 1e4, 1e9])
def test_a_reciprocal_chain_of_even_n_saturates(N: int, top: float) -> None:
    J = np.geomspace(0.03, top, 201)
    found = find_optimum(J, closed_forms.reciprocal_cascaded_energy(N, J, 1.0, 1.0))
    exact = float(closed_forms.reciprocal_cascaded_saturation(N, 1.0, 1.0))
    if found.verdict == "edge":  # 5 kappa is not far enough for a long chain
        assert (N, top) == (10, 5.0)
        return
    assert found.verdict == "plateau"
    assert math.isnan(found.J)
    assert found.saturation == pytest.approx(exact, rel=1e-6)
    assert abs(found.saturation - exact) <= found.saturation_error + 1e-15 * exact


def test_a_flat_curve_has_no_optimum() -> None:
    assert find_optimum(GRID, np.full(61, 0.3)).verdict == "flat"
    assert find_optimum(GRID, np.zeros(61)).verdict == "flat"
    wiggled = find_optimum(GRID, 0.3 * (1 + 1e-14 * np.cos(7.0 * np.arange(61))))
    assert (wiggled.verdict, math.isnan(wiggled.J)) == ("flat", True)


@pytest.mark.parametrize("count", [1, 3, 6])
def test_too_few_points(chain_energy: Chain, count: int) -> None:
    J = np.linspace(0.5, 2, count) * J_OP
    found = find_optimum(J, chain_energy(J))
    assert found.verdict == "too few points"
    assert math.isnan(found.J)
    assert found.J_best in J


def test_no_data() -> None:
    assert find_optimum(np.array([]), np.array([])).verdict == "no data"
    assert find_optimum(np.array([1.0, 2.0]), np.full(2, np.nan)).verdict == "no data"
    assert find_optimum(np.array([0.0]), np.array([1.0])).verdict == "no data"  # nothing is coupled at J = 0


@pytest.mark.parametrize("noise", [1e-4, 1e-3, 1e-2])
def test_noise_makes_no_peaks(chain_energy: Chain, noise: float) -> None:
    rng = np.random.default_rng(3)
    J = J_OP * np.geomspace(0.1, 10, 301)
    verdicts = []
    for _ in range(20):
        found = find_optimum(J, chain_energy(J) * (1 + noise * rng.standard_normal(301)))
        verdicts.append(found.verdict)
        assert abs(found.J - J_OP) < 3 * found.J_error
    assert verdicts.count("peak") >= 18


@given(st.floats(1e-30, 1e30), st.floats(1e-12, 1e12), st.integers(1, 6))
def test_scales_of_energy_and_coupling_do_not_matter(of_energy: float, of_J: float, N: int) -> None:
    energy = closed_forms.nonreciprocal_cascaded_energy(N, N, GRID, 1.0, 1.0)
    one, other = find_optimum(GRID, energy), find_optimum(of_J * GRID, of_energy * energy)
    assert (one.verdict, one.n_maxima) == (other.verdict, other.n_maxima)
    assert pytest.approx(of_J * one.J, rel=1e-9) == other.J
    assert other.energy == pytest.approx(of_energy * one.energy, rel=1e-9)
    assert other.J_error == pytest.approx(of_J * one.J_error, rel=1e-3)


@given(st.permutations(range(len(GRID))), st.lists(st.integers(0, len(GRID) - 1), max_size=20))
def test_order_and_repetition_of_samples_do_not_matter(order: list[int], repeated: list[int]) -> None:
    energy = closed_forms.nonreciprocal_cascaded_energy(3, 3, GRID, 1.0, 1.0)
    index = np.array([*order, *repeated])
    one, other = find_optimum(GRID, energy), find_optimum(GRID[index], energy[index])
    assert pytest.approx(one.J, rel=1e-12) == other.J
    assert other.verdict == one.verdict


@given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.integers(0, len(GRID))), max_size=10))
def test_samples_without_a_value_do_not_matter(masked: list[tuple[float, int]]) -> None:
    energy = closed_forms.nonreciprocal_cascaded_energy(3, 3, GRID, 1.0, 1.0)
    J, values = GRID, energy
    for where, position in masked:
        J, values = np.insert(J, position, where), np.insert(values, position, np.nan)
    assert str(find_optimum(J, values)) == str(find_optimum(GRID, energy))
