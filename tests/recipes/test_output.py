"""How to add an output: declared once, a function in each solver that has it, and all the rest follows."""

import json

import pytest

from .conftest import Edited

DECLARATION = (
    '        Variable("passive_energy_terminal", "steady-state passive energy of the terminal battery", "scalar"{}),\n'
)
BEFORE = '        Variable("energy", "steady-state energy", "mode"'


def declared(more: str = "") -> list[tuple[str, str]]:
    return [(BEFORE, DECLARATION.format(more) + BEFORE)]


MOMENTS = [
    (
        '    "energy_batteries": _Output(',
        '    "passive_energy_terminal": _Output(lambda state: state.energy(-1) - state.ergotropy(-1)),\n'
        '    "energy_batteries": _Output(',
    )
]
LINDBLAD = [
    (
        '    "energy_batteries": _Output(',
        '    "passive_energy_terminal": _Output(lambda a: a.steady("energy")[-1] - a.steady("ergotropy")[-1]),\n'
        '    "energy_batteries": _Output(',
    )
]
RECIPE = {"sweeps/variables.py": declared(), "solvers/moments.py": MOMENTS, "solvers/lindblad.py": LINDBLAD}
OF_ONE_SOLVER = {
    "sweeps/variables.py": declared(', solvers=("moments",)'),
    "solvers/moments.py": MOMENTS,
}
SWEEP = """
name: passive
parameters: {topology: cascaded, N: 1, J: 0.002, kappa: 0.003, epsilon: 0.0003, fock_levels: 8}
sweep: {solver: [moments, lindblad], n_th: [0, 0.05]}
"""
CODE = """
import json, pathlib, sys
import xarray as xr
from qbsweep.figures.chart import against
from qbsweep.figures.gallery import charts
from qbsweep.runs import loop, opening
from qbsweep.sweeps.spec import load_spec

pathlib.Path("sweep.yaml").write_text(sys.argv[1])
with opening.locked(pathlib.Path("out")) as directory:
    store = opening.prepare(load_spec(pathlib.Path("sweep.yaml")), directory)
    loop.run_blocks(directory, store, loop.serial)
ds = xr.open_zarr(directory.data).load()
found = ds["passive_energy_terminal"]
print(json.dumps({
    "values": found.values.tolist(),
    "status": ds["status"].values.tolist(),
    "attributes": found.attrs,
    "label": against(ds, "passive_energy_terminal", "n_th").ylabel,
    "charts": [chart.variable for chart in charts(ds)],
}))
"""


@pytest.mark.parametrize("recipe", [RECIPE, OF_ONE_SOLVER], ids=["of both solvers", "of one solver"])
def test_an_output_needs_a_declaration_and_a_function_in_its_solvers(edited: Edited, recipe: dict) -> None:
    found = json.loads(edited(recipe)(CODE, SWEEP))
    exact, truncated = found["values"]
    assert exact == pytest.approx([0, 0.05], abs=1e-12)  # the passive energy of a displaced thermal state is n_th
    if recipe is RECIPE:
        assert truncated == pytest.approx([0, 0.05], abs=1e-4)
    else:
        assert all(value != value for value in truncated)
    assert found["status"] == [[1, 1], [1, 1]]
    assert found["attributes"]["units"] == "omega"
    assert found["label"].startswith("steady-state passive energy of the terminal battery")
    assert "passive_energy_terminal" in found["charts"]


REFUSED = """
import pathlib, sys
from qbsweep.errors import QbsweepError
from qbsweep.sweeps.spec import load_spec

pathlib.Path("sweep.yaml").write_text(sys.argv[1])
try:
    load_spec(pathlib.Path("sweep.yaml"))
except QbsweepError as error:
    print(error)
"""


def test_an_output_that_no_solver_of_the_sweep_has_is_refused(edited: Edited) -> None:
    sweep = SWEEP.replace("solver: [moments, lindblad]", "solver: [lindblad]") + "outputs: [passive_energy_terminal]\n"
    told = edited(OF_ONE_SOLVER)(REFUSED, sweep)
    assert "output `passive_energy_terminal` needs `solver` 'moments', which this sweep does not have" in told
