"""The verdict on stored random nonlinear points, and the truths it is judged by; the whole of it is a benchmark."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from qbsweep.physics.fock import qutip_reference
from qbsweep.physics.fock.verdict import truncation_error

from ..benchmarks import verdicts

LARGEST = 50  # dimension of a solution that is judged here
OF_A_FAMILY = 5


def chosen() -> list[verdicts.Case]:
    """The first points of every family that are small; of a network, only one, bistable ones first."""
    cases, count = {}, Counter()
    for case in sorted(verdicts.cases(), key=lambda case: not case.is_bistable):
        network = case.family, case.number
        small = case.asked.model(case.point).dimension <= LARGEST
        if small and network not in cases and count[case.family] < OF_A_FAMILY:
            cases[network] = case
            count[case.family] += 1
    return list(cases.values())


def test_no_stored_point_is_ok_and_wrong():
    outcomes = [verdicts.judge(case, timed=False) for case in chosen()]
    kinds = Counter(outcome.kind for outcome in outcomes)
    assert len(outcomes) >= 40
    assert sum(outcome.case.is_bistable for outcome in outcomes) >= 15
    assert len({outcome.case.family for outcome in outcomes}) == 10
    assert [outcome.case for outcome in outcomes if outcome.kind == "FALSE OK"] == []
    assert kinds["caught"] > 5
    assert kinds["right, ok"] > 5


def test_a_wrong_point_is_not_called_right():
    case = next(case for case in verdicts.cases() if verdicts.judge(case, timed=False).kind == "right, ok")
    wrong = replace(case, energy=case.energy * (1 + 3 * verdicts.TOLERANCE))
    assert verdicts.judge(wrong, timed=False).kind == "FALSE OK"


@pytest.mark.parametrize("family", ["kerr-charger-qubit", "oscillator-and-qubits", "kerr-battery-directed"])
def test_stored_truths_are_those_of_qutip_at_three_times_the_levels(family):
    def tripled(case):
        model = case.asked.model(case.point)
        return model.with_levels(tuple(d if q else 3 * d for d, q in zip(model.levels, model.qubits, strict=True)))

    small = [case for case in verdicts.cases() if case.family == family and tripled(case).dimension <= 81]
    case = max(small, key=lambda case: tripled(case).dimension)
    model = tripled(case)
    states = qutip_reference.reduced_states(qutip_reference.steady_state(model)[0], model.levels)
    numbers = [np.arange(len(state)) for state in states]
    energy = np.array([np.diagonal(state).real @ n for state, n in zip(states, numbers, strict=True)])
    passive = np.array([np.linalg.eigvalsh(state)[::-1] @ n for state, n in zip(states, numbers, strict=True)])
    assert truncation_error(energy, energy - passive, case.energy, case.ergotropy) < 1e-4
