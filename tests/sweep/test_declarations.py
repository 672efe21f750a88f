"""What is declared, and what the solvers really have, is the same."""

import pytest

from qbsweep.solvers.registry import MODULES, solver
from qbsweep.sweeps.parameter import SOLVERS
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.variables import VARIABLES, computed_by


def test_every_declared_solver_exists() -> None:
    assert tuple(MODULES) == SOLVERS
    for declared in (*PARAMETERS.values(), *VARIABLES.values()):
        assert set(declared.solvers) <= set(SOLVERS), declared.name
        assert declared.solvers, declared.name


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_has_the_outputs_that_are_declared(name: str) -> None:
    assert set(solver(name).outputs) == set(computed_by([name]))
