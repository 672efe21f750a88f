"""How to add a topology: a hub, whose charger feeds one battery that all others hang on."""

import csv
import json
from pathlib import Path

import pytest

from qbsweep.claims.paper import CLAIMS

from ..analysis.test_claims import VERDICTS
from .conftest import Edited

TOPOLOGIES, CLOSED_FORMS = "physics/topologies.py", "physics/closed_forms.py"
BEFORE_RECORDS = "@dataclass(frozen=True, slots=True)\nclass Topology:"
LAST_RECORD = '        Topology("parallel", '
BUILDER = '''def hub(
    N: int,
    J: float | Sequence[float] = 1.0,
    kappa: float | Sequence[float] = 1.0,
    coupling: str = "nonreciprocal",
    realization: str = "phase-half-pi",
    detuning: float | Sequence[float] = 0.0,
) -> Network:
    """Edges (0,1), (1,2), (1,3), ..., (1,N)."""
    _check_build(N, coupling, realization)
    couplings = _per_item(J, N, "J", "edge")
    outer = [uniform_edge(1, n, couplings[n - 1], coupling, realization, 1, -1j) for n in range(2, N + 1)]
    return Network(
        kappa=_per_item(kappa, N + 1, "kappa", "mode"),
        edges=(uniform_edge(0, 1, couplings[0], coupling, realization, 1j, 1), *outer),
        detuning=_per_item(detuning, N + 1, "detuning", "mode"),
    )


'''
# With Gamma = 2 J the last battery of N > 1 holds 4^3 eps^2 Gamma^4 / [(Gamma + kappa)^2 (N Gamma + kappa)]^2.
LAW = '''

def hub_optimal_coupling(N: ArrayLike, kappa: ArrayLike) -> FloatArray:
    """Coupling that maximises the terminal energy of the nonreciprocal hub."""
    N, kappa = _float(N), _float(kappa)
    return np.asarray(np.where(N > 1, kappa / 4 * (1 + np.sqrt(1 + 8 / N)), kappa / 2))
'''
WITHOUT_LAW = {
    TOPOLOGIES: [
        (BEFORE_RECORDS, BUILDER + BEFORE_RECORDS),
        (LAST_RECORD, f'        Topology("hub", hub, "hub"),\n{LAST_RECORD}'),
    ],
}
RECORD = 'Topology("hub", hub, "hub", hub_optimal_coupling, ("nonreciprocal",), 0.0)'
WITH_LAW = {
    CLOSED_FORMS: [("", LAW)],
    TOPOLOGIES: [
        ("import cascaded_optimal_coupling, ", "import cascaded_optimal_coupling, hub_optimal_coupling, "),
        (BEFORE_RECORDS, BUILDER + BEFORE_RECORDS),
        (LAST_RECORD, f"        {RECORD},\n{LAST_RECORD}"),
    ],
}
SWEEP = """\
name: hubs
parameters: {kappa: 0.003, epsilon: 0.01}
sweep:
  topology: [cascaded, hub]
  coupling: [nonreciprocal, reciprocal]
  N: [1, 2, 3, 4, 5, 6, 7, 8]
  J: {geomspace: %s}
"""
COMMANDS = """
import sys
from qbsweep.__main__ import main
for line in sys.argv[1:]:
    sys.argv = ["qbsweep", *line.split()]
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            print(line, "ends with", stop.code)
"""


def rows(path: Path, **labels: str) -> list[dict[str, str]]:
    """Return the rows of a table of an analysis that have these labels."""
    with path.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if labels.items() <= row.items()]


def test_a_topology_without_a_law_is_swept_and_analysed(edited: Edited, tmp_path: Path) -> None:
    run = edited(WITHOUT_LAW)
    (tmp_path / "hubs.yaml").write_text(SWEEP % "[1e-4, 1e-1, 61]")
    said = run(COMMANDS, "run hubs.yaml --executor serial", "analyze runs/hubs", "report runs/hubs", "schema")
    assert "ends with" not in said, said
    assert "cascaded (chain), hub (hub), parallel (star)" in said  # the description of `topology` for editors
    tables = tmp_path / "runs" / "hubs" / "analysis"
    found = rows(tables / "optimal_coupling.csv", topology="hub", coupling="nonreciprocal")
    assert [row["verdict"] for row in found] == ["peak"] * 8
    (scaling,) = rows(tables / "scaling_exponent.csv", topology="hub", coupling="nonreciprocal", quantity="J_op")
    assert (bool(scaling["exponent"]), scaling["asymptote"], scaling["distance"]) == (True, "", "")
    assert {row["ratio_at_J_op"] for row in rows(tables / "odd_even_ratio.csv", topology="hub")} == {""}
    assert all(row["ratio_at_J_op"] for row in rows(tables / "odd_even_ratio.csv", topology="cascaded"))


def test_a_topology_without_a_law_has_no_unit_of_its_own(edited: Edited, tmp_path: Path) -> None:
    run = edited(WITHOUT_LAW)
    (tmp_path / "hubs.yaml").write_text(SWEEP % "[0.1, 10, 61], unit: J_op")
    code = """
from pathlib import Path
from qbsweep.errors import QbsweepError
from qbsweep.sweeps.spec import load_spec
try:
    load_spec(Path("hubs.yaml"))
except QbsweepError as error:
    print(error)
"""
    assert run(code).splitlines() == [
        "hubs.yaml:4: `unit: J_op` needs a topology that has one: "
        "J_op is known for `topology` 'cascaded' or 'parallel', not 'hub'"
    ]


def test_a_topology_with_a_law_has_its_unit_and_its_asymptote(edited: Edited, tmp_path: Path) -> None:
    run = edited(WITH_LAW)
    (tmp_path / "hubs.yaml").write_text(SWEEP % "[0.1, 10, 61], unit: J_op")
    said = run(COMMANDS, "run hubs.yaml --executor serial", "analyze runs/hubs")
    assert "ends with" not in said, said
    tables = tmp_path / "runs" / "hubs" / "analysis"
    found = rows(tables / "optimal_coupling.csv", topology="hub", coupling="nonreciprocal")
    J_op = [0.0015, *(0.00075 * (1 + (1 + 8 / N) ** 0.5) for N in range(2, 9))]
    assert [float(row["J_op"]) for row in found] == pytest.approx(J_op, rel=1e-4)
    for coupling, asymptote in (("nonreciprocal", "0"), ("reciprocal", "")):
        (scaling,) = rows(tables / "scaling_exponent.csv", topology="hub", coupling=coupling, quantity="J_op")
        assert scaling["asymptote"].removesuffix(".0") == asymptote
    assert all(row["ratio_at_J_op"] for row in rows(tables / "odd_even_ratio.csv", topology="hub"))


def test_a_third_topology_changes_no_verdict(edited: Edited) -> None:
    said = edited(WITHOUT_LAW)(COMMANDS, "verify --json")
    found = {row["claim"]: row["verdict"] for row in json.JSONDecoder().raw_decode(said)[0]}
    assert found == {claim.statement: VERDICTS[claim.test] for claim in CLAIMS}
