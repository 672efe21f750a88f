"""Truncated solutions where the Liouvillian relaxes slowly, holds next to nothing, or evolves for long."""

import mpmath as mp
import numpy as np
import pytest

from qbsweep.physics.fock import qutip_reference
from qbsweep.physics.fock.climb import solve_fixed
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.task import Task
from qbsweep.physics.fock.verdict import truncation_error
from qbsweep.physics.network import Edge, Network


def two_qubits(kappa, J, **parameters):
    return fock_model(Network(kappa, (Edge(0, 1, J),)), (2, 2), **parameters)


def exact_qubits(model):
    """Energy and ergotropy of both qubits, each an array, from a solution of the 16 equations in 120 digits."""
    with mp.workdps(120):
        L = mp.matrix(qutip_reference.liouvillian(model).full().tolist())
        for column in range(16):
            L[0, column] = 1 if column % 5 == 0 else 0  # the trace in place of the vacuum's own equation
        rho = mp.lu_solve(L, mp.matrix([1] + [0] * 15))
        entry = lambda row, column: rho[4 * column + row]  # noqa: E731 - of column-stacked rho
        values = []
        for excited, coherence in (
            (entry(2, 2) + entry(3, 3), entry(0, 2) + entry(1, 3)),
            (entry(1, 1) + entry(3, 3), entry(0, 1) + entry(2, 3)),
        ):
            energy = mp.re(excited)
            length = mp.sqrt((1 - 2 * energy) ** 2 + 4 * abs(coherence) ** 2)
            values.append((float(energy), float(energy - (1 - length) / 2)))
    return np.array(values).T


def wrong_by(model, task=None):
    """Return the verdict on two qubits, and by how much they are off in the measure of `truncation_error`."""
    found = solve_fixed(model, task or Task())
    return found.verdict, truncation_error(found.result.energy, found.result.ergotropy, *exact_qubits(model))


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 30.0, 400.0, 1e3])
@pytest.mark.parametrize("kappa", [(1.0, 0.0), (0.2, 0.0), (1.0, 1e-6), (1.0, 1.0)])
def test_a_saturated_qubit_that_relaxes_through_another_is_right_or_suspect(kappa, epsilon):
    """At a rate of ``J^2 kappa / epsilon^2``, of which the amplitudes know nothing: ``sqrt(D)`` residuals over theirs
    were taken for the error, and an ergotropy of 6e-11 came out as 1e-4, certified."""
    verdict, wrong = wrong_by(two_qubits(kappa, 1.0, epsilon=epsilon))
    assert verdict.suspect or wrong < 1e-3
    assert not verdict.suspect or epsilon > 10


@pytest.mark.parametrize("engine", ["fast", "qutip"])
@pytest.mark.parametrize("epsilon", [1e-3, 1e-7, 1e-9, 1e-11, 1e-100])
def test_next_to_nothing_is_right_or_suspect(epsilon, engine):
    """What the drive reaches is not empty, whatever is computed of it."""
    verdict, wrong = wrong_by(two_qubits((1.0, 0.5), 0.5, epsilon=epsilon), Task(engine=engine))
    assert verdict.suspect or wrong < 1e-3
    assert not verdict.suspect or epsilon < 1e-6


@pytest.mark.parametrize("levels", [(2, 2), (6, 2)])
def test_an_undriven_network_is_thermal_however_its_modes_are_damped(levels):
    """The state that the solution begins with, to rounding, and its number conserving equations are others."""
    network = Network((0.0, 0.0197), (Edge(0, 1, 2.7196, 2.6755, 0.0408),), (1.6246, 0.6875))
    found = solve_fixed(fock_model(network, levels, epsilon=0.0, n_th=0.1), Task(tolerance=1e-2))
    assert not found.verdict.suspect, found.verdict.reason
    assert found.result.energy[1] == pytest.approx(0.1 / 1.2, rel=1e-12)
    assert found.result.error < 1e-12


def test_what_nothing_reaches_is_empty():
    found = solve_fixed(two_qubits((1.0, 0.5), 0.0, epsilon=0.1), Task())
    assert found.verdict.word == "certified"
    assert found.result.energy[1] == 0


@pytest.mark.parametrize("K", [1e3, 1e5])
def test_a_hard_kerr_mode_that_relaxes_through_another_is_right_or_suspect(K):
    """Two photons in it are detuned from all that could take one away: 0.02911 quanta were found for 0.03027."""
    model = fock_model(Network((1.0, 0.0), (Edge(0, 1, 1.0),)), (7, 4), epsilon=0.1, n_th=0.02, kerr=K)
    found = solve_fixed(model, Task())
    assert found.verdict.suspect or found.result.energy[1] == pytest.approx(0.03027, rel=1e-3)
    assert found.result.gap < 1e-6


def test_a_long_evolution_is_not_given_up_for_its_rounding():
    """Of 3,000 turns, each of which rounds; bounds of all coefficients at once were 170 times as large as these are."""
    network = Network((1e-4, 1e-4), (Edge(0, 1, 0.0),), (-2.0, 0.0))
    task = Task([3000.0], steady=False)
    few, more = (solve_fixed(fock_model(network, (d, 2), epsilon=0.1, kerr=(1.0, 0.0)), task) for d in (8, 10))
    assert few.verdict.word == "converged", few.verdict.reason
    assert few.result.error < 1e-9
    np.testing.assert_allclose(few.result.energy_t[0], more.result.energy_t[0], 1e-6)
