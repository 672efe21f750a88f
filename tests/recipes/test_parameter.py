"""How to add a parameter: declared once, read by the solvers, and all the rest follows."""

import json

from .conftest import Edited

DECLARATION = """        Parameter(
            "attenuation",
            "float",
            "attenuation of the drive line",
            "part of the drive's power that is lost on its way to the charger",
            label="attenuation",
            default=0.0,
            minimum=0,
            maximum=1,
        ),
"""
RECIPE = {
    "sweeps/parameters.py": [
        (
            '        Parameter(\n            "omega",\n',
            DECLARATION + '        Parameter(\n            "omega",\n',
        )
    ],
    "solvers/moment_states.py": [
        ('BATH = ("epsilon", "omega", "n_th", "r")', 'BATH = ("epsilon", "attenuation", "omega", "n_th", "r")'),
        (
            "self.epsilon, self.omega, self.n_th, self.r = (axis(name) for name in BATH)\n",
            "epsilon, attenuation, self.omega, self.n_th, self.r = (axis(name) for name in BATH)\n"
            "        self.epsilon = epsilon * np.sqrt(1 - attenuation)\n",
        ),
    ],
    "solvers/lindblad.py": [
        ('epsilon=values["epsilon"],', 'epsilon=values["epsilon"] * (1 - values["attenuation"]) ** 0.5,')
    ],
}
SWEEP = """
name: attenuated
parameters: {topology: cascaded, N: 1, J: 0.002, kappa: 0.003, epsilon: 0.001, fock_levels: 6, frame: displaced}
sweep: {solver: [moments, lindblad], attenuation: [0, 0.75], n_th: [0, 0.1]}
"""
CODE = """
import json, pathlib, sys
import xarray as xr
from qbsweep.figures.labels import axis_label
from qbsweep.errors import QbsweepError
from qbsweep.runs import loop, opening
from qbsweep.sweeps.spec import load_spec
from qbsweep.sweeps.syntax import json_schema

pathlib.Path("sweep.yaml").write_text(sys.argv[1])
with opening.locked(pathlib.Path("out")) as directory:
    store = opening.prepare(load_spec(pathlib.Path("sweep.yaml")), directory)
    loop.run_blocks(directory, store, loop.serial)
ds = xr.open_zarr(directory.data).load()
pathlib.Path("bad.yaml").write_text(sys.argv[1].replace("0.75", "1.5"))
try:
    load_spec(pathlib.Path("bad.yaml"))
except QbsweepError as error:
    refusal = str(error)
print(json.dumps({
    "dims": ds["energy_terminal"].dims,
    "ratio": (ds["energy_terminal"].sel(n_th=0) / ds["energy_terminal"].sel(n_th=0, attenuation=0)).values.tolist(),
    "status": sorted(set(ds["status"].values.ravel().tolist())),
    "attributes": ds["attenuation"].attrs,
    "label": axis_label(ds["attenuation"], "attenuation"),
    "schema": "attenuation" in json.dumps(json_schema()),
    "refusal": refusal,
}))
"""


def test_a_parameter_needs_a_declaration_and_the_solvers(edited: Edited) -> None:
    found = json.loads(edited(RECIPE)(CODE, SWEEP))
    assert found["dims"] == ["solver", "attenuation", "n_th"]
    assert found["status"] == [1]
    for of_solver in found["ratio"]:
        assert abs(of_solver[0] - 1) < 1e-12
        assert abs(of_solver[1] - 0.25) < 1e-6  # the truncated solver's own error
    assert found["attributes"] == {"units": "1", "long_name": "attenuation of the drive line"}
    assert found["label"] == "attenuation"
    assert found["schema"]
    assert found["refusal"].endswith("`attenuation` must be at most 1, but axis value 2 is 1.5")
