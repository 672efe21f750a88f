"""Add an analysis: a module of its own and its name in the registry; all that shows analyses follows."""

import json

import pytest

from .conftest import Edited

MODULE = '''
"""How much of the energy stays in the charger."""

import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.inputs import good_values, in_memory, ratio_of
from qbsweep.analysis.outputs import labelled, masked_points


def charger_share(ds: xr.Dataset, power: float = 1.0) -> xr.Dataset:
    """Return which part of the energy of charger and terminal battery is the charger's."""
    CHARGER_SHARE.require(ds)
    ds = in_memory(ds, ("energy_charger", "energy_terminal"), "charger_share")
    charger, good = good_values(ds, "energy_charger")
    share = ratio_of(charger, charger + ds["energy_terminal"]) ** power
    variables = {
        "share": (share, "1", "energy of the charger over that of charger and terminal battery"),
        "masked_points": masked_points(good),
    }
    return labelled(ds, variables, "charger_share", power=power)


CHARGER_SHARE = Analysis(
    charger_share,
    axes={"N": ()},
    pictures=(Picture("share", ("N",), title="What stays in the charger", level=0.5),),
    labels={"share": "charger's share"},
    settings=("power",),
)
ANALYSES = (CHARGER_SHARE,)
'''
EDITS = {
    "analysis/sharing.py": [("", MODULE)],
    "analysis/registry.py": [
        ("    sensitivity,\n", "    sensitivity,\n    sharing,\n"),
        ("sensitivity, storage)", "sensitivity, storage, sharing)"),
    ],
}
USE = """
import contextlib, io, json, sys
import xarray as xr
import qbsweep as qb
from qbsweep.cli.main import main
from qbsweep.figures.gallery import charts

parameters = {"topology": "cascaded", "J": 0.002, "kappa": 0.003, "epsilon": 0.01}
run = qb.run({"name": "shared", "parameters": parameters, "sweep": {"N": [1, 2, 3]}}, executor="serial", progress=False)
results = run.analyze()
with xr.open_zarr(run.path / "analysis" / "analysis.zarr", group="charger_share") as written:
    on_disk = written["share"].values.tolist()
csv = (run.path / "analysis" / "charger_share.csv").read_text()
ds = run.dataset
own = ds.qb.charger_share(power=2.0)["share"].values.tolist()
shown = {chart.title: (chart.ylabel, chart.level) for chart in charts(ds, results)}



def printed(*options):
    sys.argv = ["qbsweep", "analyze", str(run.path), *options]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    return out.getvalue()


table, rows = printed(), json.loads(printed("--json"))["results"]["charger_share"]
page = run.report().read_text()
print(json.dumps([on_disk, csv, own, shown, table, rows, dir(ds.qb), page]))
"""


def test_an_analysis_is_a_module_and_its_name_in_the_registry(edited: Edited) -> None:
    output = edited(EDITS)(USE)
    on_disk, csv, own, shown, table, rows, listed, page = json.loads(output.splitlines()[-1])
    assert len(on_disk) == 3
    assert all(0 < share < 1 for share in on_disk)
    assert csv.splitlines()[0] == "N,share"
    assert own == [share**2 for share in on_disk]
    assert shown["What stays in the charger"] == ["charger's share", 0.5]
    assert "charger_share, power 1.0" in table
    assert [row["share"] for row in rows] == pytest.approx(on_disk)
    assert "charger_share" in listed
    assert "What stays in the charger" in page
