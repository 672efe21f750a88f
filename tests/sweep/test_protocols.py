"""Sweeps with protocols: names as axes, blocks, growing, joining, and what the dataset says of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.errors import QbsweepError
from qbsweep.physics.members import member_of
from qbsweep.physics.protocol import SegmentTemplate
from qbsweep.runs import loop, opening
from qbsweep.runs.box import make_points, solve_box
from qbsweep.sweeps.parameters import CALLS
from qbsweep.sweeps.spec import SweepSpec, dump_spec, parse_spec

from ..command import qbsweep

PROTOCOL = [{"until": "switch_off"}, {"until": 9, "drive": [1, "rest"]}, {"drive": "rest", "coupling": "hold"}]
INITIAL = {"charger": {"amplitude": 1}, "2": {"squeezing": "r_0"}}


def content(switch_off: Any = (1, 4, 8), **more: Any) -> dict[str, Any]:
    return {
        "name": "kept",
        "parameters": {"topology": "cascaded", "N": 2, "kappa": 0.003, "epsilon": 0.01, "hold": 0.5, "r_0": 0.3},
        "sweep": {"J": [1e-3, 4e-3], "n_th": [0, 1], "switch_off": list(switch_off), "rest": [0, 0.5]},
        "times": {"linspace": [0, 12, 5], "unit": "1/kappa"},
        "protocol": PROTOCOL,
        "initial": INITIAL,
        **more,
    }


def run(out: Path, *arguments: Any, **more: Any) -> Path:
    qb.run(content(*arguments, **more), out, executor="serial", progress=False)
    return out


def numbers(out: Path) -> xr.Dataset:
    with xr.open_zarr(out / "data.zarr") as ds:
        return ds.drop_vars("solve_seconds").drop_attrs(deep=False).load()


def test_names_are_dimensions_behind_all_others() -> None:
    spec = qb.sweep(content())
    assert list(spec.axes) == ["J", "n_th", "switch_off", "rest"]
    assert [(name, p.units) for name, p in spec.named.items()] == [
        ("switch_off", "1/kappa"),
        ("rest", "1"),
        ("hold", "1"),
        ("r_0", "1"),
    ]


def test_a_sweep_is_written_and_read_back() -> None:
    spec = qb.sweep(content())
    again = parse_spec(dump_spec(spec))
    assert (again, again.digest()) == (spec, spec.digest())
    assert spec.protocol is not None
    assert spec.protocol.segments[1] == SegmentTemplate(9.0, (1.0, "rest"), 1.0)
    assert dict(spec.protocol.states) == {"charger": {"amplitude": 1.0}, 2: {"squeezing": "r_0"}}


@pytest.mark.parametrize(
    "change",
    [
        {"initial": "steady"},
        {"protocol": [*PROTOCOL[:2], {"drive": "rest", "coupling": "hold", "until": 20}]},
        {"protocol": [PROTOCOL[0], {"until": 9, "drive": "rest"}, PROTOCOL[2]]},
    ],
)
def test_what_changes_the_numbers_changes_the_digest(change: dict[str, Any]) -> None:
    plain = content(initial={"2": {"squeezing": 0.3}})
    plain["parameters"].pop("r_0")
    other = {**plain, **change}
    assert qb.sweep(other).digest() != qb.sweep(plain).digest()


def test_a_protocol_that_says_nothing_is_none() -> None:
    plain = content(protocol=[{}], initial="vacuum")
    for section, names in (("sweep", ("switch_off", "rest")), ("parameters", ("hold", "r_0"))):
        for name in names:
            plain[section].pop(name)
    spec = qb.sweep(plain)
    assert spec.protocol is None
    without = {key: value for key, value in plain.items() if key not in ("protocol", "initial")}
    assert spec.digest() == qb.sweep(without).digest()


def test_a_solver_is_told_the_protocol_of_a_point() -> None:
    """Times in 1/omega, whatever the unit in the file."""
    spec = qb.sweep(content())
    labels = {name: spec.values(name)[0] for name in CALLS}
    values = {name: spec.axis(name).array for name in spec.value_names}
    points = make_points(spec, labels, values)
    protocol = points.protocol_at({**dict.fromkeys(points.values, 0), "switch_off": 1, "rest": 1})
    assert protocol is not None
    assert [s.until for s in protocol.segments] == pytest.approx([4 / 0.003, 9 / 0.003, np.inf])
    assert [s.drive for s in protocol.segments] == [(1.0, 1.0), (1.0, 0.5), (0.5, 0.5)]
    assert protocol.segments[2].coupling == 0.5
    assert [mode.amplitude for mode in protocol.initial.modes] == [1, 0, 0]
    assert [mode.squeezing for mode in protocol.initial.modes] == [0, 0, 0.3]


def test_the_dataset_says_what_happened(tmp_path: Path) -> None:
    with xr.open_zarr(run(tmp_path / "out") / "data.zarr") as ds:
        assert ds.energy_t.dims == ("J", "n_th", "switch_off", "rest", "mode", "time")
        assert (ds.status == 1).all()
        assert json.loads(ds.attrs["protocol"])[1] == {"until": 9.0, "drive": [1.0, "rest"], "coupling": 1.0}
        assert json.loads(ds.attrs["initial"]) == {"charger": {"amplitude": 1.0}, "2": {"squeezing": "r_0"}}
        assert ds.switch_off.attrs == {"units": "1/kappa", "long_name": "end of segment 1"}
        assert ds.hold.attrs["long_name"] == "coupling of segment 3"
        assert ds.time.attrs["long_name"] == "time since the beginning of the protocol"
        assert ds.energy_t.attrs["long_name"] == "energy along the protocol"
        assert float(ds.energy_t[0, 0, 0, 0, 0, 0]) == 1.0  # the charger begins displaced


@pytest.mark.parametrize("solver", ["moments", "lindblad"])
def test_steady_outputs_of_the_last_segment_alone(solver: str) -> None:
    """Without times: the same numbers as beside outputs in time, and as those of what the last segment is."""
    pair, settings = qb.cascaded(1), {"solver": solver, "fock_levels": 6, "epsilon": 0.2}
    protocol = [{"until": 5}, {"drive": "rest", "coupling": 0.5}]
    alone = qb.solve(pair, outputs=["purity", "energy"], protocol=protocol, rest=[0.5, 1], **settings)
    with_times = {"outputs": ["purity", "energy", "energy_t"], "times": [0, 1], "protocol": protocol, "rest": [0.5, 1]}
    beside = qb.solve(pair, **with_times, **settings)
    last = qb.solve(qb.cascaded(1, J=0.5), outputs=["purity", "energy"], **settings)
    for name in ("purity", "energy"):
        np.testing.assert_allclose(alone[name], beside[name], rtol=1e-9)
        np.testing.assert_allclose(alone[name].sel(rest=1), last[name], rtol=1e-12)
    given = content(outputs=["energy"], initial={"charger": {"amplitude": "r_0"}})
    with pytest.raises(QbsweepError, match=r"^`initial` needs `times`, but there are none"):
        qb.sweep({key: value for key, value in given.items() if key != "times"})
    del given["times"], given["initial"], given["parameters"]["r_0"]
    assert parse_spec(dump_spec(qb.sweep(given))) == qb.sweep(given)


def test_a_plan_knows_the_named_axes(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(dump_spec(qb.sweep(content())))
    code, out, err = qbsweep("plan", tmp_path / "sweep.yaml")
    assert (code, err) == (0, "")
    assert "24" in out


def _solved(spec: SweepSpec) -> dict[str, Any]:
    return solve_box(spec, tuple(np.arange(len(axis)) for axis in spec.axes.values())).arrays


@pytest.mark.parametrize("squeezed", [[0], [0, 0.4]])
def test_any_blocks_give_the_same_bits(tmp_path: Path, squeezed: list[float]) -> None:
    plain = content()
    plain["sweep"]["r"] = squeezed
    spec = qb.sweep(plain)
    whole = _solved(spec)
    with opening.locked(tmp_path / "out") as directory:
        store = opening.prepare(spec, directory, block_seconds=1e-4)
        assert store.grid.n_blocks > 4
        loop.run_blocks(directory, store, loop.serial)
    with xr.open_zarr(directory.data) as ds:
        for name in spec.outputs:
            np.testing.assert_array_equal(ds[name], whole[name], err_msg=name)


def test_disordered_networks_are_kept_each_as_its_own() -> None:
    """A seed of a sweep is the network of that seed, alone and in units of omega."""
    kept = content((4,), initial="steady")
    kept["parameters"] |= {
        "spread_detuning": {"value": 1, "unit": "J"},
        "spread_kappa": 0.3,
        "J": {"value": 1, "unit": "J_op"},
    }
    kept["parameters"].pop("r_0")
    kept["sweep"] = {"seed": [0, 17], "switch_off": [4], "rest": [0.5]}
    spec = qb.sweep(kept)
    energies = _solved(spec)["energy_t"]
    labels = {name: spec.values(name)[0] for name in CALLS}
    points = make_points(spec, labels, {name: spec.axis(name).array for name in spec.value_names})
    for place, seed in enumerate(spec.values("seed")):
        values = points.at({**dict.fromkeys(points.values, 0), "seed": place})
        alone = qb.solve(
            member_of(points.network, values, "uniform"),
            epsilon=0.01,
            times=points.times_at(dict.fromkeys(points.values, 0)),
            protocol=[{"until": 4 / 0.003}, {"until": 9 / 0.003, "drive": [1, 0.5]}, {"drive": 0.5, "coupling": 0.5}],
            initial="steady",
        )
        np.testing.assert_allclose(energies[place, 0, 0], alone.energy_t, rtol=1e-12, err_msg=f"seed {seed}")


@pytest.mark.parametrize("solver", ["moments", "lindblad"])
@pytest.mark.parametrize("until", [0.3, "off"])
def test_a_sample_at_an_end_is_of_the_segment_that_ends(solver: str, until: float | str) -> None:
    """Also where rounding has put 3 * 0.1 behind 0.3, or a time into 1/omega and not the end."""
    named = {"off": [0.3, 0.5]} if until == "off" else {}
    ds = qb.solve(
        qb.cascaded(1),
        kappa=[0.0007, 0.0037, 0.011, 0.3],
        J=0.002,
        epsilon=0.0002,
        solver=solver,
        fock_levels=3,
        times={"values": [0.1, 0.2, 3 * 0.1, 0.5, 0.6], "unit": "1/kappa"},
        outputs=["drive_power_t"],
        protocol=[{"until": until}, {"drive": 0}],
        **named,
    )
    power = ds.drive_power_t.sel(off=0.3) if named else ds.drive_power_t
    assert (power.isel(time=slice(0, 3)) > 0).all()
    assert (power.isel(time=slice(3, None)) == 0).all()


def test_a_run_grows_along_a_named_axis(tmp_path: Path) -> None:
    run(tmp_path / "out", (1, 8))
    run(tmp_path / "out")
    run(tmp_path / "whole")
    assert numbers(tmp_path / "out").identical(numbers(tmp_path / "whole"))


def test_runs_are_merged_along_a_named_axis(tmp_path: Path) -> None:
    run(tmp_path / "a", (1, 8))
    run(tmp_path / "b", (4,))
    run(tmp_path / "whole")
    code, _, err = qbsweep("merge", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")
    assert (code, err) == (0, "")
    assert numbers(tmp_path / "c").identical(numbers(tmp_path / "whole"))
    assert qbsweep("diff", tmp_path / "c", tmp_path / "whole").code == 0


def test_runs_of_other_protocols_stay_apart(tmp_path: Path) -> None:
    run(tmp_path / "a")
    other = content(initial="vacuum")
    other["parameters"].pop("r_0")
    qb.run(other, tmp_path / "b", executor="serial", progress=False)
    with pytest.raises(QbsweepError, match="`protocol` or `initial` changed"):
        qb.run(other, tmp_path / "a", executor="serial", progress=False)
    assert (
        "`protocol` or `initial` differs"
        in qbsweep("merge", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c").err
    )
    shown = qbsweep("diff", tmp_path / "a", tmp_path / "b")
    assert "`protocol` or `initial` differs" in shown.out + shown.err
    assert "Traceback" not in shown.out + shown.err
