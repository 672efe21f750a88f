"""The table at the end of a run: the best point of every network, what is hidden, and where an axis ends too soon."""

from pathlib import Path

import pytest
import xarray as xr

from ..command import qbsweep


def ended(tmp_path: Path, sweep: str) -> list[str]:
    """Return the lines that a run of a chain ends with."""
    path = tmp_path / "given.yaml"
    fixed = "" if "coupling" in sweep else ", coupling: nonreciprocal"
    path.write_text(
        f"name: best\nparameters: {{topology: cascaded, kappa: 0.003, epsilon: 0.01{fixed}}}\nsweep: {{{sweep}}}\n"
    )
    code, out, _ = qbsweep("run", path, "--executor", "serial", "--out", tmp_path / "run")
    assert code == 0
    return out.splitlines()


def test_hidden_rows_are_counted_with_what_shows_them(tmp_path: Path) -> None:
    lines = ended(tmp_path, "N: {range: [1, 50]}, J: {linspace: [0.5, 1.5, 3], unit: J_op}")
    assert sum(line.split()[-1:] == ["1"] for line in lines) == 16
    note = next(line for line in lines if "more rows" in line)
    assert note.startswith("and 34 more rows: ")
    shown = eval(note.split(": ", 1)[1], {"xarray": xr})  # what it says is Python
    assert shown.dims == ("N",)
    assert not any("(edge)" in line for line in lines)


def test_nothing_is_said_where_nothing_is_hidden(tmp_path: Path) -> None:
    assert not any("more rows" in line for line in ended(tmp_path, "N: [1, 2], J: [0.001, 0.002, 0.003]"))


@pytest.mark.parametrize(
    ("couplings", "best"),
    [("[2, 4, 8]", "2 (edge)"), ("[0.4, 0.2, 0.1]", "0.4 (edge)"), ("[0.5, 1, 2]", "1"), ("[0.5]", "0.5")],
)
def test_an_optimum_at_the_end_of_its_axis_is_marked(tmp_path: Path, couplings: str, best: str) -> None:
    lines = ended(tmp_path, f"N: [2], J: {{values: {couplings}, unit: J_op}}, r: [0, 0.1]")
    row = next(line for line in lines if line.startswith("2 "))
    assert row.endswith(best) or f" {best} " in row
    assert any(line.startswith("(edge): its axis ends there") for line in lines) == ("(edge)" in row)


def test_an_axis_on_which_nothing_depends_has_no_edge(tmp_path: Path) -> None:
    lines = ended(tmp_path, "N: [2], J: [0.002], n_th: [0, 1, 2], theta_r: [0, 1, 2]")
    row = next(line for line in lines if line.startswith("2 "))
    assert row.split()[-3:] == ["2", "(edge)", "0"]
