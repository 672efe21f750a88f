"""What a sweep file means: axes, units, defaults, YAML traps, networks, and its way through text and back."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbsweep.errors import QbsweepError
from qbsweep.runs.box import solve_box
from qbsweep.store.layout import attributes_of
from qbsweep.sweeps import parse, syntax, variables
from qbsweep.sweeps.axes import Axis
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.spec import SweepSpec, dump_spec, load_spec, parse_spec, resolve
from qbsweep.sweeps.yamlfile import read_yaml

WORKFLOWS = sorted((Path(__file__).parents[2] / "workflows").glob("*.yaml"))
FIXED = {"topology": "cascaded", "N": "2", "J": "0.1", "kappa": "0.003", "epsilon": "0.01"}

Load = Callable[[str], SweepSpec]


def text(extra: str = "", sweep: dict[str, str] | None = None, name: str = "test", **parameters: str) -> str:
    """Return a sweep file; axes replace the parameters of the same name."""
    axes = sweep or {}
    fixed = {key: value for key, value in (FIXED | parameters).items() if key not in axes}

    def mapping(entries: dict[str, str]) -> str:
        return "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"

    return f"name: {name}\nparameters: {mapping(fixed)}\nsweep: {mapping(axes)}\n{extra}\n"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(content: str) -> SweepSpec:
        path = tmp_path / "sweep.yaml"
        path.write_text(content, encoding="utf-8")
        return load_spec(path)

    return loaded


def from_python(content: dict[str, Any]) -> SweepSpec:
    return resolve(parse.parse(content))


# Axis forms


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("[0.3, 0.1, 0.2]", [0.3, 0.1, 0.2]),
        ("0.5", [0.5]),
        ("[2]", [2.0]),
        ("{values: [3, 1.5]}", [3.0, 1.5]),
        ("{linspace: [0, 1, 5]}", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("{linspace: [1, 0, 3]}", [1.0, 0.5, 0.0]),
        ("{linspace: [2, 2, 1]}", [2.0]),
        ("{geomspace: [1.0e-4, 1.0e-1, 4]}", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("{geomspace: [100, 1, 3]}", [100.0, 10.0, 1.0]),
        ("{logspace: [-2, 1, 4]}", [1e-2, 1e-1, 1.0, 10.0]),
        ("{range: [1, 4]}", [1.0, 2.0, 3.0, 4.0]),
        ("{range: [0, 1, 0.25]}", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("{range: [3, 0, -1]}", [3.0, 2.0, 1.0, 0.0]),
        ("{range: [1, 0, -0.5]}", [1.0, 0.5, 0.0]),
        ("{range: [0, 1, 0.3]}", [0.0, 0.3, 0.6, 0.9]),
        ("{range: [2, 2]}", [2.0]),
        ("{range: [0.5, 2.5]}", [0.5, 1.5, 2.5]),
    ],
)
def test_axis_forms(load: Load, form: str, values: list[float]) -> None:
    axis = load(text(sweep={"J": form})).axes["J"]
    np.testing.assert_allclose(axis.array, values, rtol=1e-15, atol=0)
    assert axis.array.dtype == np.float64
    assert axis.unit == "omega"


@pytest.mark.parametrize("step", [0.1, 0.01, 0.001, 0.7, 1 / 3])
@pytest.mark.parametrize("count", [3, 10, 201, 1001])
def test_range_includes_its_stop_in_spite_of_rounding(load: Load, step: float, count: int) -> None:
    values = load(text(sweep={"J": f"{{range: [0, {step * (count - 1)!r}, {step!r}]}}"})).axes["J"].array
    assert len(values) == count
    assert values[-1] == pytest.approx(step * (count - 1), rel=1e-12)


def test_geomspace_and_linspace_hit_their_ends_exactly(load: Load) -> None:
    axes = load(text(sweep={"J": "{geomspace: [1e-4, 0.1, 201]}", "n_th": "{linspace: [0.1, 0.7, 7]}"})).axes
    assert (axes["J"].array[0], axes["J"].array[-1]) == (1e-4, 0.1)
    assert (axes["n_th"].array[0], axes["n_th"].array[-1]) == (0.1, 0.7)


@pytest.mark.parametrize(
    "form", ["[1, 2, 3]", "{range: [1, 3]}", "{linspace: [1, 3, 3]}", "{values: [1, 2, 3]}", "{range: [1, 3, 1.0]}"]
)
def test_whole_numbers_stay_whole(load: Load, form: str) -> None:
    axis = load(text(sweep={"N": form})).axes["N"]
    assert axis.values == [1, 2, 3]
    assert axis.array.dtype == np.int64


def test_long_whole_number_axis_refuses_halves_like_a_short_one(load: Load) -> None:
    # Long axes are checked by their extremes; 2.4995 must not become 2 on the way.
    with pytest.raises(QbsweepError, match="`N` must be a whole number"):
        load(text(sweep={"N": "{linspace: [1, 5000, 2001]}"}))


def test_names_are_axes_like_numbers(load: Load) -> None:
    spec = load(
        text(
            sweep={
                "solver": "[moments]",
                "realization": "[phase-zero, phase-half-pi]",
                "topology": "[parallel, cascaded]",
                "coupling": "reciprocal",
            }
        )
    )
    assert spec.axes["realization"].values == ["phase-zero", "phase-half-pi"]
    assert spec.axes["topology"].values == ["parallel", "cascaded"]
    assert spec.axes["coupling"].values == ["reciprocal"]
    assert spec.axes["solver"].values == ["moments"]


# Units


@pytest.mark.parametrize(
    "content",
    [
        text(sweep={"J": "{linspace: [0.5, 2, 4], unit: J_op}"}),
        text(J="{value: 1, unit: J_op}"),
        text(sweep={"J": "{values: [1], unit: J_op}"}),
    ],
)
def test_coupling_in_units_of_its_optimum(load: Load, content: str) -> None:
    spec = load(content)
    assert spec.coupling_unit == "J_op"
    assert spec.axis("J").unit == "J_op"
    assert ("J" in spec.axes) == ("linspace" in content or "values" in content)


def test_own_units_may_be_spelled_out(load: Load) -> None:
    plain = load(text(sweep={"J": "[0.1, 0.2]"}, extra="times: [1, 2]"))
    spelled = load(
        text(sweep={"J": "{values: [0.1, 0.2], unit: omega}"}, extra="times: {values: [1, 2], unit: 1/omega}")
    )
    assert plain.digest() == spelled.digest()
    assert load(text(J="{value: 0.1, unit: omega}")).digest() == load(text(J="0.1")).digest()


@pytest.mark.parametrize(
    ("times", "unit", "values"),
    [
        ("{linspace: [0, 10, 3], unit: 1/kappa}", "1/kappa", [0, 5, 10]),
        ("{geomspace: [0.1, 10, 3]}", "1/omega", [0.1, 1, 10]),
        ("[0, 1, 3]", "1/omega", [0, 1, 3]),
        ("7", "1/omega", [7]),
        ("{range: [0, 1, 0.5], unit: 1/kappa}", "1/kappa", [0, 0.5, 1]),
    ],
)
def test_times(load: Load, times: str, unit: str, values: list[float]) -> None:
    spec = load(text(extra=f"times: {times}"))
    assert spec.times is not None
    assert spec.times.unit == unit
    np.testing.assert_allclose(spec.times.array, values, rtol=1e-15)
    assert asked(spec) == variables.DEFAULT_SCALARS + variables.DEFAULT_IN_TIME


# YAML traps


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-4", 1e-4),
        ("1E-3", 1e-3),
        ("1e2", 100.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("+1", 1.0),
        ("+1.5e+1", 15.0),
        ("010", 10.0),
        ("1.0e-3", 1e-3),
        ("0", 0.0),
    ],
)
def test_numbers_are_read_as_meant(load: Load, written: str, meant: float) -> None:
    assert load(text(epsilon=written)).values("epsilon") == [meant]
    assert load(text(sweep={"epsilon": f"[{written}]"})).values("epsilon") == [meant]


def test_a_leading_zero_is_not_octal(load: Load) -> None:
    assert load(text(N="010")).values("N") == [10]


@pytest.mark.parametrize("word", ["on", "no", "yes", "off", "y", "n", "NO", "0x10", "0o17", "1e"])
def test_words_stay_words(load: Load, word: str) -> None:
    spec = load(text(topology=word, N="1", name=word, extra=f"networks: {{{word}: {{edges: [[0, 1]]}}}}"))
    assert spec.name == word
    assert spec.values("topology") == [word]
    assert parse_spec(dump_spec(spec)).digest() == spec.digest()


def test_a_colon_makes_no_sexagesimal_number(load: Load) -> None:
    spec = load(text(topology="12:30", N="1", extra="networks: {12:30: {edges: [[0, 1]]}}"))
    assert spec.values("topology") == ["12:30"]


@pytest.mark.parametrize("word", ["1_000", "0x10", "1:30", "0b1", "1e-4x"])
def test_what_is_no_number_in_yaml_1_2_is_refused_as_one(load: Load, word: str) -> None:
    with pytest.raises(QbsweepError, match="`epsilon` must be a number, but is the text"):
        load(text(epsilon=word))


@pytest.mark.parametrize(
    "name", ["1e5", "010", "on", "3", "true", "1.5", "null", "0x1f", "1_000", "2001-01-01", "1e-3"]
)
def test_a_quoted_name_survives_the_way_through_sweep_yaml(load: Load, name: str) -> None:
    spec = load(
        text(name=f'"{name}"', topology=f'"{name}"', N="1", extra=f'networks: {{"{name}": {{edges: [[0, 1]]}}}}')
    )
    again = load(dump_spec(spec))
    assert (again.name, again.digest()) == (name, spec.digest())
    assert parse_spec(dump_spec(spec)).digest() == spec.digest()


@pytest.mark.parametrize("prefix", ["", "\ufeff", "%YAML 1.2\n---\n", "# a comment\n\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_editors_leave_their_marks(tmp_path: Path, prefix: str, newline: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_bytes((prefix + text()).replace("\n", newline).encode())
    assert load_spec(path).name == "test"


def test_anchors_and_aliases_that_end_somewhere(load: Load) -> None:
    spec = load(text(sweep={"n_th": "&values [0, 1]", "r": "*values"}))
    assert spec.values("n_th") == spec.values("r") == [0.0, 1.0]
    many = ", ".join(str(i / 1e4) for i in range(2000))
    repeated = load(text(sweep={"n_th": f"&values [{many}]", "epsilon": "*values", "r": "*values"}))
    assert len(repeated.axes["epsilon"]) == 2000


# Defaults and order


def test_defaults_are_filled_in(load: Load) -> None:
    spec = load(text())
    given = {name: spec.fixed[name].values[0] for name in spec.fixed if not spec.rests(name)}
    assert given == {
        "topology": "cascaded",
        "coupling": "nonreciprocal",
        "realization": "phase-half-pi",
        "solver": "moments",
        "N": 2,
        "J": 0.1,
        "kappa": 0.003,
        "epsilon": 0.01,
        "omega": 1.0,
        "n_th": 0.0,
        "r": 0.0,
        "theta_r": 0.0,
        "engine": "auto",
        "frame": "lab",
        "fock_levels": "auto",
        "tolerance": 1e-3,
        "memory": 2.0,
        "kerr": 0.0,
        "kerr_charger": 0.0,
    }
    assert not spec.axes
    assert spec.times is None
    assert asked(spec) == variables.DEFAULT_SCALARS


def test_without_sections_a_file_can_still_say_everything(load: Load) -> None:
    axes = "{topology: cascaded, N: 2, J: 0.1, kappa: 0.003, epsilon: 0.01}"
    assert tuple(load(f"name: a\nsweep: {axes}").axes) == ("topology", "N", "J", "kappa", "epsilon")
    assert not load(f"name: a\nparameters: {axes}").axes


@pytest.mark.parametrize(
    ("outputs", "kept"),
    [
        ("[energy, energy_charger]", ("energy_charger", "energy")),
        ("[ergotropy_terminal]", ("ergotropy_terminal",)),
    ],
)
def test_outputs_in_canonical_order(load: Load, outputs: str, kept: tuple[str, ...]) -> None:
    assert asked(load(text(extra=f"outputs: {outputs}"))) == kept


@given(st.permutations(["r", "n_th", "epsilon", "J", "N", "coupling", "topology"]))
@settings(max_examples=20, deadline=None)
def test_dims_have_one_order_whatever_the_order_of_the_file(names: list[str]) -> None:
    values: dict[str, Any] = {
        "topology": ["parallel", "cascaded"],
        "coupling": ["reciprocal"],
        "N": [3, 1],
        "J": [0.2, 0.1],
        "epsilon": [0.01],
        "n_th": [1, 0],
        "r": [0],
    }
    spec = from_python({"name": "a", "parameters": {"kappa": 0.003}, "sweep": {name: values[name] for name in names}})
    assert tuple(spec.axes) == ("topology", "coupling", "N", "J", "epsilon", "n_th", "r")
    assert tuple(spec.axes) == tuple(name for name in PARAMETERS if name in values)
    assert spec.axes["N"].values == [3, 1]  # values keep the order of the file


# Networks


def test_edges_as_pairs_are_those_of_the_built_in_chain(load: Load) -> None:
    own = load(text(topology="chain", extra="networks: {chain: {edges: [[0, 1], [1, 2]]}}"))
    built_in = load(text())
    for coupling in ("nonreciprocal", "reciprocal"):
        assert own.network("chain", 2, coupling, "phase-half-pi") == built_in.network(
            "cascaded", 2, coupling, "phase-half-pi"
        )
    arrays, expected = (solve_box(spec, ()).arrays for spec in (own, built_in))
    for name in variables.DEFAULT_SCALARS:
        np.testing.assert_allclose(arrays[name], expected[name], rtol=1e-12)


def test_edges_as_mappings(load: Load) -> None:
    spec = load(
        text(
            topology="own",
            extra=(
                "networks:\n  own:\n    edges:\n"
                "      - {modes: [0, 1], J: 2, theta: 0.3, Gamma: 1.5}\n"
                "      - {modes: [1, 2], J: 0.5}\n"
                "      - [0, 2]\n"
                "    kappa: [1, 2, 0.5]\n    detuning: [0, 0.1, -0.1]\n"
            ),
        )
    )
    network = spec.network("own", 2, "nonreciprocal", "phase-half-pi")
    assert network.kappa == (1.0, 2.0, 0.5)
    assert network.detuning == (0.0, 0.1, -0.1)
    first, second, third = network.edges
    assert (first.u, first.v, first.J, first.theta, first.Gamma) == (0, 1, 2.0, 0.3, 1.5)
    assert (second.u, second.v, second.J, second.Gamma) == (1, 2, 0.5, 1.0)  # Gamma = 2 J of the edge
    assert (third.J, third.Gamma) == (1.0, 2.0)
    reciprocal = spec.network("own", 2, "reciprocal", "phase-half-pi").edges
    assert [edge.Gamma for edge in reciprocal] == [1.5, 0.0, 0.0]


def test_own_and_built_in_topologies_on_one_axis(load: Load) -> None:
    spec = load(
        text(sweep={"topology": "[cascaded, loop]"}, extra="networks: {loop: {edges: [[0, 1], [1, 2], [2, 0]]}}")
    )
    assert spec.axes["topology"].values == ["cascaded", "loop"]
    assert np.isfinite(solve_box(spec, (np.arange(2),)).arrays["energy_terminal"]).all()


# Digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (text(), text(name="another")),
        (text(), text(n_th="0", r="0.0", theta_r="0", omega="1", coupling="nonreciprocal", solver="moments")),
        (text(epsilon="1"), text(epsilon="1.0")),
        (text(sweep={"J": "[0.25, 0.5]"}), text(sweep={"J": "{linspace: [0.25, 0.5, 2]}"})),
        (text(sweep={"J": "[0.25]"}), text(sweep={"J": "0.25"})),
        (text(sweep={"N": "[1, 2]"}), text(sweep={"N": "{range: [1, 2]}"})),
        (text(sweep={"J": "[1, 2]", "r": "[0, 1]"}), text(sweep={"r": "[0, 1]", "J": "[1, 2]"})),
        (text(extra="outputs: [energy, ergotropy]"), text(extra="outputs: [ergotropy, energy]")),
        (text(extra="times: [0, 1]"), text(extra="times: {linspace: [0, 1, 2]}")),
        (
            text(topology="a", N="1", extra="networks: {a: {edges: [[0, 1]]}}"),
            text(topology="a", N="1", extra="networks: {a: {edges: [{modes: [0, 1], J: 1}]}}"),
        ),
    ],
)
def test_digest_stays_where_the_content_does(load: Load, one: str, other: str) -> None:
    assert load(one).digest() == load(other).digest()


def test_digest_changes_with_everything_that_decides_the_numbers(load: Load) -> None:
    own = "networks: {{a: {{edges: [{edge}], kappa: [1, {kappa}], detuning: [0, {detuning}]}}}}"
    files = [
        text(),
        text(topology="parallel"),
        text(coupling="reciprocal"),
        text(realization="phase-zero"),
        text(N="3"),
        text(J="0.2"),
        text(J="0.10000000000000002"),
        text(J="{value: 0.1, unit: J_op}"),
        text(kappa="0.004"),
        text(epsilon="0.02"),
        text(omega="2"),
        text(n_th="1"),
        text(r="1"),
        text(theta_r="1"),
        text(sweep={"J": "[0.1]"}),
        text(sweep={"J": "[0.1, 0.2]"}),
        text(sweep={"J": "[0.2, 0.1]"}),
        text(sweep={"J": "{values: [0.1, 0.2], unit: J_op}"}),
        text(extra="outputs: [energy_terminal]"),
        text(extra="outputs: [energy]"),
        text(extra="times: [1]"),
        text(extra="times: {values: [1], unit: 1/kappa}"),
        text(extra="times: [1, 2]"),
        text(topology="a", N="1", extra=own.format(edge="[0, 1]", kappa=1, detuning=0)),
        text(topology="a", N="1", extra=own.format(edge="[1, 0]", kappa=1, detuning=0)),
        text(topology="a", N="1", extra=own.format(edge="{modes: [0, 1], Gamma: 0}", kappa=1, detuning=0)),
        text(topology="a", N="1", extra=own.format(edge="[0, 1]", kappa=2, detuning=0)),
        text(topology="a", N="1", extra=own.format(edge="[0, 1]", kappa=1, detuning=1)),
    ]
    digests = [load(file).digest() for file in files]
    assert len(set(digests)) == len(files)
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)


# Through text and back

_starts, _widths = st.floats(0, 10), st.floats(0.1, 10)


@st.composite
def _rules(draw: st.DrawFn, lowest: float = 0.0) -> dict[str, Any]:
    start = draw(_starts) + lowest
    stop, count = start + draw(_widths), draw(st.integers(2, 6))
    return draw(
        st.sampled_from(
            [
                {"linspace": [start, stop, count]},
                {"geomspace": [start + 1e-3, stop + 1, count]},
                {"logspace": [start / 10, stop, count]},
                {"range": [start, stop, (stop - start) / count]},
                {"range": [stop, start, -(stop - start) / 2]},
                {"values": [stop, start]},
            ]
        )
    )


def _axes(name: str) -> st.SearchStrategy[Any]:
    parameter = PARAMETERS[name]
    if parameter.kind == "choice":
        return st.lists(st.sampled_from(parameter.choices), min_size=1, unique=True)
    if parameter.kind == "int":
        return st.one_of(
            st.lists(st.integers(1, 60), min_size=1, max_size=5, unique=True),
            st.integers(1, 60),
            st.builds(lambda a, n: {"range": [a, a + n]}, st.integers(1, 9), st.integers(1, 9)),
        )
    lowest = 1e-3 if parameter.positive else 0.0
    values = st.one_of(st.floats(1e-300, 300), st.integers(1, 300)) if parameter.positive else st.floats(0, 300)
    rules = _rules(lowest).filter(lambda rule: parameter.maximum is None or "logspace" not in rule)
    if name == "J":
        rules = st.builds(lambda r, u: {**r, **u}, rules, st.sampled_from([{}, {"unit": "J_op"}, {"unit": "omega"}]))
    return st.one_of(st.lists(values, min_size=1, max_size=5, unique=True), values, rules)


def _fixed(name: str) -> st.SearchStrategy[Any]:
    parameter = PARAMETERS[name]
    if parameter.kind == "choice":
        return st.sampled_from(parameter.choices)
    if parameter.kind == "int":
        return st.integers(1, 60)
    values = st.floats(1e-300, 300) if parameter.positive else st.floats(0, 300)
    if name == "J":
        return st.one_of(values, st.builds(lambda v: {"value": v, "unit": "J_op"}, values))
    return values


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)),
        "parameters": {},
        "sweep": {},
    }
    for name, parameter in PARAMETERS.items():
        if name in ("fock_levels", "frame", "kerr", "kerr_charger"):
            continue  # only some of their values go with the moment solver
        where = draw(st.sampled_from(["parameters", "sweep"] + ["default"] * (parameter.default is not None)))
        if where != "default":
            content[where][name] = draw((_axes if where == "sweep" else _fixed)(name))
    if draw(st.booleans()):
        content["times"] = {**draw(_rules().filter(_ascends)), "unit": draw(st.sampled_from(["1/omega", "1/kappa"]))}
    wanted = draw(st.lists(st.sampled_from((*variables.DEFAULT_SCALARS, "purity", "energy", "ergotropy")), unique=True))
    if wanted:
        content["outputs"] = wanted + (["energy_t"] if "times" in content else [])
    if draw(st.booleans()):
        content["networks"] = draw(
            st.dictionaries(
                st.from_regex(r"[A-Za-z0-9][A-Za-z0-9:. _-]{0,8}[a-z0-9]", fullmatch=True).filter(
                    lambda n: n not in ("cascaded", "parallel")
                ),
                st.sampled_from(
                    [
                        {"edges": [[0, 1], [1, 2]]},
                        {"edges": [{"modes": [0, 1], "J": 0.5, "theta": 1e-5}, [0, 2]], "kappa": [1, 2, 1e-4]},
                        {"edges": [{"modes": [0, 2], "Gamma": 0}, [1, 2]], "detuning": [0.0, 1e22, -0.5]},
                    ]
                ),
                max_size=2,
            )
        )
    return content


def _ascends(rule: dict[str, Any]) -> bool:
    return "values" not in rule and not ("range" in rule and rule["range"][2] < 0)


def asked(spec: SweepSpec) -> tuple[str, ...]:
    """Return the outputs without those of the verdict, which come with every sweep."""
    return tuple(name for name in spec.outputs if name not in variables.VERDICT)


def described(spec: SweepSpec) -> dict[str, Any]:
    """Return everything a spec means, exactly."""

    def axis(a: Axis) -> tuple[Any, ...]:
        return a.name, a.unit, str(a.array.dtype), [v.hex() if isinstance(v, float) else v for v in a.values]

    return {
        "name": spec.name,
        "axes": [axis(a) for a in spec.axes.values()],
        "fixed": [axis(a) for a in spec.fixed.values()],
        "times": spec.times and axis(spec.times),
        "outputs": spec.outputs,
        "networks": {name: form.model_dump() for name, form in spec.networks.items()},
        "digest": spec.digest(),
    }


@given(contents())
@settings(max_examples=80, deadline=None)
def test_a_dumped_sweep_is_the_same_sweep(content: dict[str, Any]) -> None:
    spec = from_python(content)
    dumped = dump_spec(spec)
    assert described(parse_spec(dumped)) == described(spec)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sweep.yaml")
        path.write_text(dumped, encoding="utf-8")
        assert described(load_spec(path)) == described(spec)
    assert dump_spec(parse_spec(dumped)) == dumped


@given(contents(), contents())
@settings(max_examples=40, deadline=None)
def test_digests_tell_random_sweeps_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = described(from_python(one)), described(from_python(other))
    digests = first.pop("digest"), second.pop("digest")
    first.pop("name"), second.pop("name")
    assert (digests[0] == digests[1]) == (first == second)


# Schema and workflows


def test_schema_knows_every_parameter_and_output() -> None:
    document = json.loads(json.dumps(syntax.json_schema()))
    assert document["$schema"].startswith("https://json-schema.org/")
    assert document["additionalProperties"] is False
    assert set(document["properties"]) == set(syntax.SweepFile.model_fields)
    assert document["required"] == ["name"]
    for section in ("Parameters", "Sweep"):
        definition = document["$defs"][section]
        assert set(definition["properties"]) == set(PARAMETERS)
        assert all(entry["description"] for entry in definition["properties"].values())
    for output in variables.OUTPUTS:
        assert f'"{output}"' in json.dumps(document["properties"]["outputs"])


def test_schema_knows_names_of_one_s_own_beside_a_protocol_only() -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator(syntax.json_schema())
    content = {"name": "named", "sweep": {"switch_off": {"linspace": [1, 20, 5]}}}
    assert not validator.is_valid(content)
    assert validator.is_valid(content | {"protocol": [{"until": "switch_off"}, {"drive": 0}]})
    assert not validator.is_valid(content | {"protocol": [{"until": "switch_off"}, {"dirve": 0}]})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_shipped_workflows_load(path: Path) -> None:
    spec = load_spec(path)
    assert spec.name == path.stem or spec.name.startswith(path.stem)
    assert described(parse_spec(dump_spec(spec))) == described(spec)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_schema_accepts_the_shipped_workflows(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    content, _ = read_yaml(path)
    jsonschema.Draft202012Validator(syntax.json_schema()).validate(content)


def test_there_are_workflows() -> None:
    assert "quickstart" in {path.stem for path in WORKFLOWS}


def test_lines_of_values_are_known(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("name: a\n\nsweep:\n  J:\n    linspace: [0, 1, 3]\n  N: [1]\n")
    _, lines = read_yaml(path)
    assert lines["name",] == 1
    assert lines["sweep", "J"] == 4
    assert lines["sweep", "J", "linspace"] == 5
    assert lines["sweep", "N"] == 6


def test_units_of_the_outputs_of_the_whole_network(load: Load) -> None:
    """Energies are in units of what `omega` is given in; a rate, and so a power, is in omega besides."""
    names = ("ergotropy_register", "energy_variance_terminal", "drive_power", "purity")
    units = {}
    for omega in ("1", "2"):
        spec = load(text(extra=f"outputs: [{', '.join(names)}]", omega=omega))
        units[omega] = [attributes_of(spec, variables.VARIABLES[name])["units"] for name in names]
    assert units == {
        "1": ["omega", "omega^2", "omega^2", "1"],
        "2": ["[omega]", "[omega]^2", "[omega] omega", "1"],
    }
