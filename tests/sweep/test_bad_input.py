"""A user's mistake is one clear sentence and exit code 2, and harms nothing that exists."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zarr

from qbsweep.runs.opening import locked

from ..command import MAX_SENTENCE, Outcome
from ..command import qbsweep as in_this_process

FIXED = {"topology": "cascaded", "N": "2", "J": "0.1", "kappa": "0.003", "epsilon": "0.01"}


def text(extra: str = "", name: str = "test", **parameters: str | None) -> str:
    """Return a sweep file on 4 lines without axes; None leaves a parameter out."""
    fixed = {key: value for key, value in (FIXED | parameters).items() if value is not None}
    mapping = ", ".join(f"{key}: {value}" for key, value in fixed.items())
    return f"name: {name}\nparameters: {{{mapping}}}\nsweep: {{}}\n{extra}\n"


def axis(**axes: str) -> str:
    """Return a sweep file whose third line has the axes."""
    mapping = ", ".join(f"{key}: {value}" for key, value in axes.items())
    return text(**dict.fromkeys(axes, None)).replace("sweep: {}", f"sweep: {{{mapping}}}")


def own(form: str, **parameters: str) -> str:
    """Return a sweep file with a network `own` on its fourth line."""
    return text(extra=f"networks: {{own: {form}}}", **{"topology": "own", "N": "1", **parameters})


TIMES = "times: {linspace: [0, 10, 3], unit: 1/kappa}"


def along(protocol: str, content: str | None = None) -> str:
    """Return a sweep file with times on its fourth line and a protocol on its fifth."""
    return (content or text()).rstrip("\n") + f"\n{TIMES}\nprotocol: {protocol}\n"


def from_state(initial: str, **parameters: str) -> str:
    """Return a sweep file with times on its fourth line and an initial state on its fifth."""
    return text(extra=f"{TIMES}\ninitial: {initial}", **parameters)


GOOD = axis(J="[0.1, 0.2]", n_th="[0, 1]")


def contents(path: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run directory, never to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "sweep.yaml").write_text(GOOD)
    outcome = in_this_process("run", folder / "sweep.yaml", "--executor", "serial", "--out", folder / "out")
    assert (outcome.code, outcome.err) == (0, "")
    return folder / "out"


@pytest.fixture
def existing(finished: Path, tmp_path: Path) -> Path:
    """A finished run directory of one's own."""
    return Path(shutil.copytree(finished, tmp_path / "existing"))


HUGE = "1" + "0" * 400
NESTED_ALIASES = "name: a\na0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
SWEEP_FILES = {
    # what is no sweep file at all
    "empty": ("", r"sweep\.yaml is empty$"),
    "only a comment": ("# nothing\n", r"is empty"),
    "blank document": ("~\n", r":1: a sweep file must be a mapping"),
    "number": ("3\n", r":1: a sweep file must be a mapping .* but is a number"),
    "list": ("[1, 2]\n", r":1: a sweep file must be a mapping .* but is a list"),
    "prose": ("hello there\n", r":1: a sweep file must be a mapping .* but is a text"),
    "two documents": ("name: a\n---\nname: b\n", r":2: this is not valid YAML"),
    "tab": ("name: a\n\tsweep: {}\n", r":2: this is not valid YAML"),
    "open bracket": ("name: [a\n", r"not valid YAML"),
    "open quote": ("name: 'a\n", r"not valid YAML"),
    "colon in a value": ("name: a\nsweep: J: 3\n", r":2: this is not valid YAML"),
    "control character": ("name: a\x07\n", r"(not valid YAML|not a text file)"),
    "NUL": ("name: a\x00b\n", r"(not valid YAML|not a text file)"),
    "alias of nothing": ("name: *other\n", r":1: this is not valid YAML: found undefined alias"),
    "alias of itself": ("name: &a [*a]\n", r"refers to itself"),
    "mapping in itself": ("name: a\nsweep: &s {J: *s}\n", r"refers to itself"),
    "aliases of aliases": (NESTED_ALIASES, r"sweep\.yaml: its aliases .* repeat more than 100,000 values; write a"),
    "too deep": ("[" * 3000, r"nests too deeply"),
    "python object": (
        "name: !!python/object/apply:os.getpid []\n",
        r":1: (this is not valid YAML|`name` must be a name)",
    ),
    "int tag": (text(N="!!int two"), r"sweep\.yaml:2: .*two"),
    "float tag": (text(J="!!float much"), r"sweep\.yaml:2: .*much"),
    # keys
    "duplicate key": ("name: a\nname: b\n", r":2: `name` is given twice"),
    "duplicate section": (text(extra="sweep: {}"), r":4: `sweep` is given twice"),
    "duplicate parameter": (text(J="1, J: 2"), r":2: `J` is given twice"),
    "duplicate axis": (axis(J="[1], J: [2]"), r":3: `J` is given twice"),
    "numeric key": ("1: 2\n", r":1: a key must be a name, but is 1"),
    "list as key": ("[1, 2]: 3\n", r":1: a key must be a name"),
    "unknown key": (text(extra="foo: 1"), r":4: key 'foo' is not known; it must be 'name', 'parameters'"),
    "misspelt section": (text(extra="swep: {J: 1}"), r":4: key 'swep' is not known; did you mean 'sweep'\?"),
    "misspelt outputs": (text(extra="output: [energy]"), r":4: key 'output' is not known; did you mean 'outputs'\?"),
    "misspelt name": (text().replace("name: ", "nme: "), r"key 'nme' is not known; did you mean 'name'\?"),
    "misspelt parameter": (text(kapa="1"), r":2: parameter 'kapa' is not known; did you mean 'kappa'\?"),
    "misspelt axis": (axis(epsilom="1"), r":3: parameter 'epsilom' is not known; did you mean 'epsilon'\?"),
    "far-off parameter": (text(zzz="1"), r":2: parameter 'zzz' is not known; it must be 'topology', "),
    "misspelt rule": (axis(J="{linspce: [0, 1, 3]}"), r":3: key 'linspce' is not known; did you mean 'linspace'\?"),
    "merge key": ("name: a\nparameters: &p {N: 2}\nsweep: {<<: *p}\n", r":3: parameter '<<' is not known"),
    # protocols and initial states
    "protocol as a mapping": (along("{until: 8}"), r":5: `protocol` must be a list of segments, but is a mapping"),
    "protocol without segments": (along("[]"), r":5: `protocol` must be a list of segments, but is empty"),
    "protocol without a value": (along(""), r":5: `protocol` is empty"),
    "segment as a number": (along("[8, 10]"), r":5: segment 1 of `protocol` must be a mapping of `until`, .* is 8"),
    "segment without a value": (along("[{until: 1}, null]"), r":5: segment 2 of `protocol` must be a mapping"),
    "misspelled segment key": (along("[{untill: 8}]"), r":5: key 'untill' .*'until'\? \(segment 1 of `protocol`\)"),
    "segment without an end": (
        along("[{}, {drive: 0}]"),
        r":5: segment 1 of `protocol` must have `until`; only the last",
    ),
    "end as a boolean": (along("[{until: true}]"), r":5: `until` of segment 1 .*a number or the name of an axis"),
    "end without a value": (along("[{until: }]"), r":5: `until` of segment 1 .* but is empty"),
    "negative end": (along("[{until: -1}]"), r":5: `until` of segment 1 of `protocol` must be above 0, but is -1"),
    "infinite end": (along("[{until: .inf}]"), r":5: `until` of segment 1 .*, but is inf"),
    "ends descend": (along("[{until: 8}, {until: 5}, {}]"), r":5: `until` of segment 2 .* must be above 8, but is 5"),
    "times go on": (along("[{until: 8}]"), r":5: `times` must end with the protocol, at 8, but go on to 10"),
    "drive of three levels": (along("[{until: 8, drive: [1, 0, 1]}, {}]"), r":5: `drive` .* but has 3 entries"),
    "ramp without an end": (
        along("[{until: 8}, {drive: [1, 0]}]"),
        r":5: `drive` of segment 2 .* ramp.*give it `until`",
    ),
    "negative coupling": (along("[{coupling: -1}]"), r":5: `coupling` of segment 1 .* must be at least 0, but is -1"),
    "ramp of the coupling": (along("[{until: 8, coupling: [1, 0]}, {}]"), r":5: `coupling` of segment 1 .* is a list"),
    "name of nothing": (
        along("[{until: off}, {}]"),
        r":5: `until` in `protocol` is 'off', .* the name of an axis in `sweep`",
    ),
    "axis of another name": (
        along("[{until: switch_of}, {}]", axis(switch_off="[1, 2]", J="[0.1]")),
        r":3: parameter 'switch_off' is not known; did you mean 'switch_of'\?",
    ),
    "name of a parameter": (along("[{until: kappa}, {}]"), r":5: .* cannot be 'kappa': that name has another meaning"),
    "name of an output": (along("[{until: 1}, {drive: energy_t}]"), r":5: .* cannot be 'energy_t': .*another meaning"),
    "name of a dimension": (
        along("[{until: time}, {}]", axis(time="[1, 2]")),
        r":5: `until` of segment 1 of `protocol` cannot be 'time': that name has another meaning",
    ),
    "name with a hyphen": (along("[{until: my-time}, {}]"), r":5: .* cannot be 'my-time': a name has letters, digits"),
    "name of a time and a level": (
        along("[{until: x}, {drive: x}]", axis(x="[1, 2]")),
        r":5: `x` must be a time or a number, but stands for `until` and for `drive`",
    ),
    "named axis of names": (along("[{until: x}, {}]", axis(x="[a, b]")), r":3: `x` must be a number, but axis value 1"),
    "named axis in another unit": (
        along("[{until: x}, {}]", axis(x="{linspace: [1, 2, 3], unit: 1/omega}")),
        r":3: unit '1/omega' is not known; it must be '1/kappa' \(`unit` of `x`\)",
    ),
    "named ends descend": (
        along("[{until: x}, {until: 5}, {}]", axis(x="[1, 9]")),
        r":5: `until` of segment 2 of `protocol` must be above `x` 9, but is 5",
    ),
    "named end of nothing": (
        along("[{until: x}, {}]", axis(x="[0, 9]")),
        r":3: `x` must be above 0, but axis value 1 is 0",
    ),
    "named coupling below 0": (along("[{coupling: g}]", axis(g="[-1, 1]")), r":3: `g` must be at least 0"),
    "name fixed and swept": (
        along("[{until: x}, {}]", text(x="3").replace("sweep: {}", "sweep: {x: [1, 2]}")),
        r":3: `x` is in `parameters` and in `sweep`",
    ),
    "named axis without a protocol": (axis(switch_off="[1, 2]"), r":3: parameter 'switch_off' is not known"),
    "protocol without times": (text("protocol: [{until: 8}, {}]"), r":4: `protocol` needs `times`, but there are none"),
    "initial state without times": (
        text("initial: steady\noutputs: [energy]"),
        r":4: `initial` needs `times`, but there are none",
    ),
    "end of 400 digits": (along(f"[{{until: 1{'0' * 400}}}]"), r":5: `until` of segment 1 .* must be a number or"),
    "name of 300 letters": (
        along(f"[{{until: {'x' * 300}}}, {{}}]"),
        r":5: .* letters, digits and '_' only, at most 100",
    ),
    "state of one mode twice": (
        from_state("{1: {amplitude: 1}, '01': {amplitude: 2}}"),
        r":5: `1` in `initial` is given twice; keep one of them",
    ),
    "misspelled initial state": (from_state("stedy"), r":5: initial state 'stedy' .*'steady'\?"),
    "initial state as a number": (from_state("3"), r":5: `initial` must be 'vacuum', .* or a mapping of modes.* is 3"),
    "initial state as a list": (from_state("[steady]"), r":5: `initial` must be .*, but is a list"),
    "initial state of nothing": (from_state("{}"), r":5: `initial` must be .*, but is empty"),
    "misspelled role": (
        from_state("{batery: {amplitude: 1}}"),
        r":5: `batery` in `initial` must be 'charger' or 'battery'",
    ),
    "state as a number": (from_state("{battery: 1}"), r":5: `battery` in `initial` must be a mapping of `amplitude`"),
    "misspelled state key": (from_state("{battery: {ampltude: 1}}"), r":5: key 'ampltude' .*'amplitude'\?"),
    "state without a value": (from_state("{battery: {amplitude: }}"), r":5: `amplitude` of `battery` .* is empty"),
    "state of a mode beyond N": (
        from_state("{3: {amplitude: 1}}"),
        r":5: mode 3 in `initial` must be at most N, which is 2",
    ),
    "negative occupation": (from_state("{battery: {occupation: -1}}"), r":5: `occupation` of `battery` .* at least 0"),
    "squeezing out of range": (
        from_state("{1: {squeezing: 400}}"),
        r":5: `squeezing` of `1` in `initial` .* at most 300",
    ),
    "complex amplitude": (from_state("{battery: {amplitude: [1, 0]}}"), r":5: `amplitude` of `battery` .* is a list"),
    "displaced qubit": (
        from_state("{battery: {amplitude: 1}}", solver="lindblad", fock_levels="{charger: 8, battery: 2}"),
        r":5: `amplitude` of `battery` in `initial` must be left out: .* makes qubits, .* begin with an `occupation`",
    ),
    "squeezed qubit": (
        from_state("{2: {occupation: 1, squeezing: 1}}", solver="lindblad", fock_levels="{charger: 8, battery: 2}"),
        r":5: `squeezing` of `2` in `initial` must be left out: .* makes qubits, .* begin with an `occupation`",
    ),
    # imperfect and disordered networks
    "negative ratio": (text(gamma_ratio="-0.1"), r":2: `gamma_ratio` must be at least 0, but is -0.1"),
    "ratio beyond digits": (text(gamma_ratio="1e7"), r":2: `gamma_ratio` must be at most 1000000, but is 10000000"),
    "ratio axis below 0": (
        axis(gamma_ratio="{linspace: [-1, 1, 3]}"),
        r":3: `gamma_ratio` must be at least 0, but axis",
    ),
    "ratio with a unit": (
        text(gamma_ratio="{value: 1, unit: J}"),
        r":2: `gamma_ratio` in `parameters` must be a single",
    ),
    "infinite phase": (text(phase_error=".inf"), r":2: `phase_error` must be a finite number"),
    "phase in degrees": (text(phase_error="10deg"), r":2: `phase_error` must be a number, but is the text '10deg'"),
    "no loss of the charger": (text(kappa_charger="0"), r":2: `kappa_charger` must be above 0, but is 0"),
    "negative ratio of losses": (
        text(kappa_charger="{value: -2, unit: kappa}"),
        r":2: `kappa_charger` must be above 0, but is -2",
    ),
    "charger in units of J": (
        text(kappa_charger="{value: 1, unit: J}"),
        r":2: unit 'J' is not known; it must be 'omega' or 'kappa' \(`unit` of `kappa_charger`\)",
    ),
    "detuning in J_op": (
        axis(detuning="{linspace: [0, 1, 3], unit: J_op}"),
        r":3: unit 'J_op' is not known; it must be 'omega' or 'kappa' \(`unit` of `detuning`\)",
    ),
    "detuning per mode": (
        text(detuning="[0, 0, 1]"),
        r":2: `detuning` in `parameters` must be a single value, but is a list",
    ),
    "NaN detuning": (axis(detuning="[0, .nan]"), r":3: `detuning` must be a finite number, but axis value 2 is nan"),
    "negative spread": (text(spread_J="-0.1"), r":2: `spread_J` must be at least 0, but is -0.1"),
    "spread as a percentage": (text(spread_kappa="5%"), r":2: `spread_kappa` must be a number, but is the text '5%'"),
    "negative detuning spread": (
        axis(spread_detuning="{values: [1, -1], unit: J}"),
        r":3: `spread_detuning` must be at least 0, but axis value 2 is -1",
    ),
    "spread in 1/kappa": (
        text(spread_detuning="{value: 1, unit: 1/kappa}"),
        r":2: unit '1/kappa' is not known; .* \(`unit` of `spread_detuning`\)",
    ),
    "unknown distribution": (
        text(spread_distribution="gaussian"),
        r":2: `spread_distribution` must be 'uniform' or 'normal', but is the text 'gaussian'",
    ),
    "negative seed": (text(seed="-1"), r":2: `seed` must be at least 0, but is -1"),
    "half a seed": (text(seed="0.5"), r":2: `seed` must be a whole number, but is 0.5"),
    "seed beyond": (text(seed="1" + "0" * 16), r":2: `seed` must be at most 9007199254740992"),
    "seed twice": (axis(seed="[1, 2, 1]"), r":3: `seed` must not repeat a value, but axis values 1 and 3 are 1"),
    "random seed": (text(seed="random"), r":2: `seed` must be a whole number, but is the text 'random'"),
    "seeds in halves": (
        axis(seed="{linspace: [0, 1, 3]}"),
        r":3: `seed` must be a whole number, but axis value 2 is 0.5",
    ),
    "misspelt spread": (text(spread_j="0.1"), r":2: parameter 'spread_j' is not known; did you mean 'spread_J'\?"),
    # the name
    "no name": (text().replace("name: test\n", ""), r"`name` is missing"),
    "name with a slash": (text(name="a/b"), r":1: `name` must be a name of letters"),
    "name of dots": (text(name=".."), r":1: `name` must be a name of letters"),
    "number as name": (text(name="3"), r":1: `name` must be a name, but is 3"),
    "name with a line break": (text(name='"a\\nb"'), r":1: `name` must be a name of letters"),
    "long name": (text(name="a" * 101), r":1: `name` must be at most 100 characters"),
    "empty name": (text(name=""), r":1: `name` .*empty"),
    # sections
    "parameters as text": (
        "name: a\nparameters: none\n",
        r":2: `parameters` must be a mapping, but is the text 'none'",
    ),
    "sweep as list": ("name: a\nsweep: [J]\n", r":2: `sweep` must be a mapping, but is a list"),
    "sweep as number": ("name: a\nsweep: 3\n", r":2: `sweep` must be a mapping, but is 3"),
    "empty parameter": (text(N="~"), r":2: `N` .*is empty; give it a value"),
    "parameter without a value": (text(N=""), r":2: `N` .*is empty"),
    "axis without a value": (axis(J=""), r":3: `J` .*is empty"),
    "rule without a value": (axis(J="{linspace: }"), r":3: `linspace` of `J` .*empty"),
    "in both": (text().replace("sweep: {}", "sweep: {J: 1}"), r":3: `J` is in `parameters` and in `sweep`; keep one"),
    "missing J": (text(J=None), r"`J` must be given, in `parameters` or as an axis in `sweep`"),
    "missing N": (text(N=None), r"`N` must be given"),
    "missing kappa": (text(kappa=None), r"`kappa` must be given"),
    # values
    "axis in parameters": (text(J="[1, 2]"), r":2: `J` in `parameters` must be a single value, but is a list"),
    "rule in parameters": (text(kappa="{linspace: [1, 2, 3]}"), r":2: `kappa` in `parameters` must be a single value"),
    "text as number": (text(J="strong"), r":2: `J` must be a number, but is the text 'strong'"),
    "truth as number": (axis(J="[true]"), r":3: `J` must be a number, but axis value 1 is True"),
    "blank in a list": (axis(J="[1, ~]"), r":3: `J` must be a number, but axis value 2 is empty"),
    "list in a list": (axis(J="[[1]]"), r":3: `J` must be a number, but axis value 1 is a list"),
    "mapping in a list": (axis(J="[{a: 1}]"), r":3: `J` must be a number, but axis value 1 is a mapping"),
    "not a number": (text(J=".nan"), r":2: `J` must be a finite number, but is nan"),
    "infinite": (axis(J="[1, .inf]"), r":3: `J` must be a finite number, but axis value 2 is inf"),
    "overflowing literal": (text(J="1e999"), r":2: `J` must be a finite number, but is inf"),
    "negative J": (text(J="-1"), r":2: `J` must be at least 0, but is -1"),
    "kappa 0": (text(kappa="0"), r":2: `kappa` must be above 0, but is 0"),
    "kappa through 0": (axis(kappa="{linspace: [0, 1, 3]}"), r":3: `kappa` must be above 0, but axis value 1 is 0"),
    "negative drive": (text(epsilon="-0.1"), r":2: `epsilon` must be at least 0"),
    "omega 0": (text(omega="0"), r":2: `omega` must be above 0"),
    "negative n_th": (axis(n_th="[0, -1]"), r":3: `n_th` must be at least 0, but axis value 2 is -1"),
    "r too large": (text(r="301"), r":2: `r` must be at most 300, but is 301"),
    "r too large on an axis": (
        axis(r="{range: [0, 400, 100]}"),
        r":3: `r` must be at most 300, but axis value 5 is 400",
    ),
    "text as angle": (text(theta_r="pi"), r":2: `theta_r` must be a number, but is the text 'pi'"),
    "no batteries": (text(N="0"), r":2: `N` must be at least 1, but is 0"),
    "half a battery": (text(N="2.5"), r":2: `N` must be a whole number, but is 2\.5"),
    "N as text": (text(N="two"), r":2: `N` must be a whole number, but is the text 'two'"),
    "too many batteries": (axis(N="[1, 100000]"), r":3: `N` must be at most 10000, but axis value 2 is 100000"),
    "halves on the N axis": (
        axis(N="{linspace: [1, 4, 3]}"),
        r":3: `N` must be a whole number, but axis value 2 is 2\.5",
    ),
    "halves on a long N axis": (axis(N="{linspace: [1, 5000, 2001]}"), r":3: `N` must be a whole number"),
    "huge N": (text(N=HUGE), r":2: `N` must be "),
    "huge J": (text(J=HUGE), r":2: `J` must be "),
    "huge stop": (axis(J=f"{{linspace: [0, {HUGE}, 3]}}"), r":3: entry 2 of `linspace` of `J` must be "),
    "number of 5000 digits": (text(N="1" * 5000), r":2: "),
    "number of 5000 digits on an axis": (axis(J=f"[{'1' * 5000}]"), r":3: "),
    # names of things
    "misspelt topology": (text(topology="casaded"), r":2: topology 'casaded' is not known; did you mean 'cascaded'\?"),
    "unknown topology": (axis(topology="[ring]"), r":3: topology 'ring' is not known; it must be 'cascaded' or 'par"),
    "number as topology": (axis(topology="[1]"), r":3: `topology` must be a name, but axis value 1 is 1"),
    "rule as topology": (axis(topology="{linspace: [0, 1, 2]}"), r":3: `topology` must be a name or a list of names"),
    "topology with a line break": (text(topology='"a\\nb"'), r":2: topology 'a.*b' is not known"),
    "long topology": (text(topology="a" * 500), r":2: topology .* is not known"),
    "unknown coupling": (text(coupling="one-way"), r":2: `coupling` must be 'nonreciprocal' or 'reciprocal', but is"),
    "unknown coupling on an axis": (
        axis(coupling="[reciprocal, both]"),
        r":3: `coupling` must be .* but axis value 2 is",
    ),
    "coupling with a line break": (text(coupling='"a\\nb"'), r":2: `coupling` must be"),
    "unknown solver": (text(solver="momments"), r":2: `solver` must be 'moments'"),
    "unknown realization": (text(realization="phase"), r":2: `realization` must be 'phase-half-pi' or 'phase-zero'"),
    # axes
    "empty list": (axis(J="[]"), r":3: `J` must have at least one value, but is empty"),
    "empty rule": (axis(J="{}"), r":3: `J` must have one of values, linspace, .*, but has none"),
    "empty values": (axis(J="{values: []}"), r":3: `values` of `J` must have at least one value"),
    "only a unit": (axis(J="{unit: J_op}"), r":3: `J` must have one of values, linspace, .*, but has none"),
    "two rules": (
        axis(J="{linspace: [0, 1, 2], values: [1]}"),
        r":3: `J` must have one of .* but has `values` and `lin",
    ),
    "repeated value": (axis(J="[1, 2, 1]"), r":3: `J` must not repeat a value, but axis values 1 and 3 are 1"),
    "repeated as float": (axis(J="[1, 1.0]"), r":3: `J` must not repeat a value"),
    "plus and minus 0": (axis(J="[0.0, -0.0]"), r":3: `J` must not repeat a value"),
    "repeated name": (axis(topology="[cascaded, cascaded]"), r":3: `topology` must not repeat a value"),
    "linspace that stands still": (axis(J="{linspace: [1, 1, 5]}"), r":3: `J` must not repeat a value"),
    "linspace of 2": (axis(J="{linspace: [0, 1]}"), r":3: `linspace` of `J` must be \[start, stop, count\], but has 2"),
    "linspace of 4": (axis(J="{linspace: [0, 1, 2, 3]}"), r":3: `linspace` of `J` must be \[start, stop, count\]"),
    "linspace of text": (axis(J="{linspace: [a, 1, 2]}"), r":3: entry 1 of `linspace` of `J` must be a number"),
    "linspace as number": (axis(J="{linspace: 3}"), r":3: `linspace` of `J` must be \[start, stop, count\], but is 3"),
    "count 0": (axis(J="{linspace: [0, 1, 0]}"), r":3: entry 3 of `linspace` of `J` must be at least 1, but is 0"),
    "count 1 over an interval": (
        axis(J="{linspace: [0, 1, 1]}"),
        r":3: `linspace` of `J` with 1 value must start where",
    ),
    "count and a half": (axis(J="{linspace: [0, 1, 2.5]}"), r":3: entry 3 of `linspace` of `J` must be a whole number"),
    "true count": (axis(J="{linspace: [0, 1, true]}"), r":3: entry 3 of `linspace` of `J` must be a whole number"),
    "huge count": (axis(J="{linspace: [0, 1, 1000000000000]}"), r":3: entry 3 of `linspace` of `J` must be at most"),
    "linspace beyond doubles": (axis(theta_r="{linspace: [-1e308, 1e308, 3]}"), r":3: .*`theta_r` .*finite"),
    "infinite stop": (axis(J="{linspace: [0, .inf, 3]}"), r":3: entry 2 of `linspace` of `J` must be a finite number"),
    "geomspace from 0": (axis(J="{geomspace: [0, 1, 3]}"), r":3: `geomspace` of `J` must start and stop above 0"),
    "geomspace through 0": (axis(J="{geomspace: [-1, 1, 3]}"), r":3: `geomspace` of `J` must start and stop above 0"),
    "logspace beyond doubles": (axis(J="{logspace: [1, 400, 3]}"), r":3: `J` must be a finite number"),
    "logspace of nan": (
        axis(J="{logspace: [1, .nan, 3]}"),
        r":3: entry 2 of `logspace` of `J` must be a finite number",
    ),
    "range of 1": (axis(J="{range: [1]}"), r":3: `range` of `J` must be \[start, stop\] or \[start, stop, step\]"),
    "range of 4": (axis(J="{range: [1, 2, 3, 4]}"), r":3: `range` of `J` must be \[start, stop\] or"),
    "range without end": (axis(J="{range: [3, 1]}"), r":3: `range` of `J` must reach 1 from 3, but its step is 1"),
    "range away": (axis(J="{range: [1, 3, -1]}"), r":3: `range` of `J` must reach 3 from 1, but its step is -1"),
    "range step 0": (axis(J="{range: [1, 2, 0]}"), r":3: `range` of `J` must reach 2 from 1, but its step is 0"),
    "long range": (axis(J="{range: [0, 1.0e+9]}"), r":3: `range` of `J` must have at most"),
    "range of tiny steps": (axis(J="{range: [0, 1, 1e-320]}"), r":3: `range` of `J` must have at most"),
    "range beyond doubles": (axis(theta_r="{range: [-1e308, 1e308, 1e308]}"), r":3: `range` of `theta_r` must "),
    "range below resolution": (axis(J="{range: [1e17, 1.000000000000001e17]}"), r":3: `J` must not repeat a value"),
    # units
    "misspelt unit": (axis(J="{values: [1], unit: Jop}"), r":3: unit 'Jop' is not known; did you mean 'J_op'\?"),
    "unit of another": (axis(kappa="{values: [1], unit: J_op}"), r":3: unit 'J_op' is not known; it must be 'omega'"),
    "number as unit": (axis(J="{values: [1], unit: 3}"), r":3: `unit` of `J` must be a name, but is 3"),
    "fixed without a unit": (text(J="{value: 1}"), r":2: `unit` of `J` is missing"),
    "fixed without a value": (text(J="{unit: J_op}"), r":2: `value` of `J` is missing"),
    "fixed values": (text(J="{values: 1, unit: J_op}"), r":2: key 'values' is not known; did you mean 'value'\?"),
    "fixed in a strange unit": (text(J="{value: 1, unit: kappa}"), r":2: unit 'kappa' is not known; it must be"),
    "fixed negative multiple": (text(J="{value: -1, unit: J_op}"), r":2: `(J|value)`.* must be at least 0, but is -1"),
    "unit for kappa": (text(kappa="{value: 1, unit: omega}"), r":2: `kappa` in `parameters` must be a single value"),
    # times and outputs
    "negative time": (text(extra="times: [-1, 1]"), r":4: `times` must be at least 0, but axis value 1 is -1"),
    "negative time in a rule": (text(extra="times: {linspace: [-1, 1, 3]}"), r":4: `times` must be .*at least 0"),
    "times descend": (text(extra="times: [1, 0]"), r":4: `times` must ascend, but value 2 \(0\) does not follow 1"),
    "times repeat": (text(extra="times: [0, 1, 1]"), r":4: `times` must ascend, but value 3"),
    "no times": (text(extra="times: []"), r":4: `times` must have at least one value, but is empty"),
    "times without a value": (text(extra="times:"), r":4: `times` .*empty"),
    "times as text": (text(extra="times: long"), r":4: `times` must be a number, but is the text 'long'"),
    "nan time": (text(extra="times: [.nan]"), r":4: `times` must be a finite number"),
    "infinite times": (text(extra="times: {logspace: [0, 400, 2]}"), r":4: `times` must be finite"),
    "times through 0": (text(extra="times: {geomspace: [0, 1, 3]}"), r":4: `geomspace` of `times` must start and stop"),
    "unit of times": (
        text(extra="times: {values: [1], unit: 1/kapa}"),
        r":4: unit '1/kapa' .*did you mean '1/kappa'\?",
    ),
    "times in J_op": (text(extra="times: {values: [1], unit: J_op}"), r":4: unit 'J_op' is not known; it must be"),
    "no outputs": (text(extra="outputs: []"), r":4: `outputs` must have at least one value, but is empty"),
    "outputs without a value": (text(extra="outputs:"), r":4: `outputs` .*empty"),
    "misspelt output": (
        text(extra="outputs: [enery_terminal]"),
        r":4: output 'enery_terminal' .*mean 'energy_terminal'",
    ),
    "status as output": (text(extra="outputs: [status]"), r":4: output 'status' is not known"),
    "repeated output": (text(extra="outputs: [energy, energy]"), r":4: `outputs` must not repeat a name"),
    "output without brackets": (
        text(extra="outputs: energy"),
        r":4: `outputs` must be a list, but is the text 'energy'",
    ),
    "number as output": (
        text(extra="outputs: [1]"),
        r":4: `outputs` must be 'energy_charger', .* but axis value 1 is 1|:4: .*output",
    ),
    "time output without times": (text(extra="outputs: [energy_t]"), r":4: output `energy_t` needs `times`"),
    "entanglement in time without times": (
        text(extra="outputs: [log_negativity_t]"),
        r":4: output `log_negativity_t` needs `times`, but there are none",
    ),
    "misspelt negativity": (
        text(extra="outputs: [log_negativty]"),
        r":4: output 'log_negativty' is not known; did you mean 'log_negativity'\?",
    ),
    "populations of moments": (
        text(extra="outputs: [ergotropy_incoherent_terminal]"),
        r":4: output `ergotropy_incoherent_terminal` needs `solver` 'lindblad', which this sweep does not have",
    ),
    "populations in the displaced frame": (
        text(solver="lindblad", frame="displaced", extra="outputs: [ergotropy_incoherent_terminal]"),
        r":4: output `ergotropy_incoherent_terminal` needs `frame: lab`, .* but `frame` is displaced",
    ),
    "register of qubits": (
        text(
            solver="lindblad",
            fock_levels="{charger: 5, battery: 2}",
            extra="outputs: [ergotropy_register]",
        ),
        r":4: output `ergotropy_register` needs oscillators, but `fock_levels` charger 5, battery 2 makes qubits",
    ),
    "times for nothing": (text(extra="outputs: [energy]\ntimes: [1]"), r":4: `times` is given, but no output uses it"),
    # networks of one's own
    "N of another network": (own("{edges: [[0, 1]]}", N="2"), r":4: network `own` .*so `N` must be 1, but is 2"),
    "J_op of own network": (
        own("{edges: [[0, 1]]}", J="{value: 1, unit: J_op}"),
        r":4: `unit: J_op` needs a topology that has one: .* 'cascaded' or 'parallel', not 'own'",
    ),
    "name of a built-in": (
        text(extra="networks: {parallel: {edges: [[0, 1]]}}"),
        r":4: network `parallel` must not have",
    ),
    "edge to itself": (own("{edges: [[0, 1], [1, 1]]}"), r":4: network `own`: edge 2 \(1, 1\) must join two different"),
    "no edges": (own("{edges: []}"), r":4: `edges` of `own` .*must have at least one value"),
    "missing edges": (own("{kappa: [1, 1]}"), r":4: `edges` of `own` .*is missing"),
    "misspelt edges": (own("{edgs: [[0, 1]]}"), r":4: key 'edgs' is not known; did you mean 'edges'\?"),
    "misspelt Gamma": (
        own("{edges: [{modes: [0, 1], Gama: 1}]}"),
        r":4: key 'Gama' is not known; did you mean 'Gamma'\?",
    ),
    "misspelt modes": (own("{edges: [{mode: [0, 1]}]}"), r":4: key 'mode' is not known; did you mean 'modes'\?"),
    "edge of three": (own("{edges: [[0, 1, 2]]}"), r":4: .*edges.* must be a pair of modes"),
    "edge of one": (own("{edges: [[1]]}"), r":4: .*edges.* must be a pair of modes"),
    "negative mode": (own("{edges: [[0, -1]]}"), r":4: entry 2 of `modes` .* must be at least 0, but is -1"),
    "mode as text": (own("{edges: [[0, b]]}"), r":4: .* must be a whole number, but is the text 'b'"),
    "edge as number": (own("{edges: [3]}"), r":4: entry 1 of `edges` .* must be a (mapping|pair)"),
    "negative J of an edge": (own("{edges: [{modes: [0, 1], J: -1}]}"), r":4: `J` of entry 1 of `edges` .*at least 0"),
    "nan theta of an edge": (own("{edges: [{modes: [0, 1], theta: .nan}]}"), r":4: `theta` of entry 1 .*finite number"),
    "too few kappa": (own("{edges: [[0, 1]], kappa: [1]}"), r":4: .*`kappa` .*2.* but has 1"),
    "too many kappa": (own("{edges: [[0, 1]], kappa: [1, 1, 1]}"), r":4: .*`kappa` .*2.* but has 3"),
    "too few kappa of three": (
        own("{edges: [[0, 1], [1, 2]], kappa: [1, 1]}", N="2"),
        r":4: .*`kappa` .*3.* but has 2",
    ),
    "no kappa": (own("{edges: [[0, 1]], kappa: []}"), r":4: .*`kappa` .*"),
    "no detuning": (own("{edges: [[0, 1]], detuning: []}"), r":4: .*`detuning` .*"),
    "too few detunings": (own("{edges: [[0, 1]], detuning: [1]}"), r":4: .*`detuning` .*2.* but has 1"),
    "negative kappa": (own("{edges: [[0, 1]], kappa: [1, -1]}"), r":4: entry 2 of `kappa` of `own` .*above 0"),
    "networks as list": (text(extra="networks: [1]"), r":4: `networks` must be a mapping, but is a list"),
    "network without a value": (own(""), r":4: `own` .*empty"),
    "mode far out": (own("{edges: [[0, 100000000000]]}"), r":4: .*network `own`|:4: .*must be at most"),
}


@pytest.mark.parametrize(("content", "pattern"), SWEEP_FILES.values(), ids=SWEEP_FILES.keys())
def test_bad_sweep_file(
    qbsweep: Callable[..., Outcome], tmp_path: Path, finished: Path, content: str, pattern: str
) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_bytes(content.encode())
    before = contents(finished)
    outcome = qbsweep("run", sweep, "--executor", "serial", "--out", finished)
    sentence = outcome.sentence(sweep, finished)
    assert sentence.startswith("sweep.yaml")
    assert re.search(pattern, sentence), sentence
    assert outcome.out == ""
    assert contents(finished) == before


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("name", "make", "pattern"),
    [
        ("missing.yaml", lambda path: None, r"missing\.yaml does not exist"),
        ("folder", Path.mkdir, r"folder is a directory"),
        ("binary.yaml", lambda path: path.write_bytes(bytes(range(128, 256))), r"binary\.yaml is not a text file"),
        ("image.png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00"), r"image\.png is not a text file"),
        ("utf16.yaml", lambda path: path.write_text(GOOD, encoding="utf-16"), r"utf16\.yaml is not a text file"),
        ("loop.yaml", lambda path: path.symlink_to(path), r"loop\.yaml (cannot be read|does not exist)"),
        ("empty.yaml", Path.touch, r"empty\.yaml is empty"),
    ],
)
def test_no_sweep_file(
    qbsweep: Callable[..., Outcome],
    tmp_path: Path,
    command: str,
    name: str,
    make: Callable[[Path], object],
    pattern: str,
) -> None:
    path = tmp_path / name
    make(path)
    options = ["--executor", "serial", "--out", tmp_path / "out"] if command == "run" else []
    assert re.search(pattern, qbsweep(command, path, *options).sentence(path))
    assert not (tmp_path / "out").exists()


def mistakes(outcome: Outcome, sweep: Path) -> list[tuple[int, str]]:
    """The lines and sentences that a command tells of a sweep file, each on a line of its own."""
    assert (outcome.code, outcome.out) == (2, "")
    assert "Traceback" not in outcome.err
    lines = outcome.err.removeprefix("qbsweep: ").splitlines()
    found = [re.fullmatch(rf"{re.escape(str(sweep))}(?::(\d+))?: (.*)", line) for line in lines]
    assert all(found), outcome.err
    assert all(len(match[2]) < MAX_SENTENCE for match in found if match)
    return [(int(match[1] or 0), match[2]) for match in found if match]


def test_every_mistake_is_named_with_its_line(qbsweep: Callable[..., Outcome], tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        """name: a b
parametrs: {x: 1}
parameters: {topology: cascaded, kappa: -1, epsilon: 0.01, r:}
sweep:
  N: [1, two, 3, four]
  J: {geomspace: [0, 1, 5]}
  n_th: [1, 1]
  kerr: {linspace: [0, 1, 2], unit: Hz}
times: [3, 2]
outputs: [energie]
"""
    )
    expected = [
        (1, "`name` must be a name of"),
        (2, "key 'parametrs' is not known; did you mean 'parameters'?"),
        (3, "`r` is empty"),
        (3, "`kappa` must be above 0, but is -1"),
        (5, "`N` must be a whole number, but axis value 2 is the text 'two' (and 1 more of its values)"),
        (6, "`geomspace` of `J` must start and stop above 0"),
        (7, "`n_th` must not repeat a value"),
        (8, "unit 'Hz' is not known"),
        (9, "`times` must ascend"),
        (10, "output 'energie' is not known; did you mean 'energy'?"),
    ]
    found = mistakes(qbsweep("plan", sweep), sweep)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, sentence), (_, start) in zip(found, expected, strict=True):
        assert sentence.startswith(start)


def test_mistakes_of_what_belongs_together_are_all_named(qbsweep: Callable[..., Outcome], tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "name: a\nparameters: {topology: ring, kappa: 1, epsilon: 1}\nsweep:\n  J: [1]\n  N: [1]\n  kerr: [0, 1]\n"
        "outputs: [energy_t]\n"
    )
    found = mistakes(qbsweep("plan", sweep), sweep)
    assert [line for line, _ in found] == [2, 6, 7]
    assert [sentence.split()[0] for _, sentence in found] == ["topology", "`kerr`", "output"]


def test_what_is_missing_is_named_unless_a_misspelt_name_explains_it(
    qbsweep: Callable[..., Outcome], tmp_path: Path
) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("name: a\n")
    found = mistakes(qbsweep("plan", sweep), sweep)
    assert [sentence.split()[0] for _, sentence in found] == ["`topology`", "`N`", "`J`", "`kappa`", "`epsilon`"]
    sweep.write_text("name: a\nparameters: {topology: cascaded, N: 1}\n")
    found = mistakes(qbsweep("plan", sweep), sweep)
    assert [sentence.split()[0] for _, sentence in found] == ["`J`", "`kappa`", "`epsilon`"]
    sweep.write_text(text().replace("name:", "nam:"))
    assert qbsweep("plan", sweep).sentence(sweep) == "sweep.yaml:1: key 'nam' is not known; did you mean 'name'?"


def test_very_many_mistakes_are_counted(qbsweep: Callable[..., Outcome], tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(text(extra="\n".join(f"key{n}: 1" for n in range(100))))
    lines = qbsweep("plan", sweep).err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 80 more mistakes"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "gamma",
            "parameter 'gamma' is not known; did you mean 'gamma_ratio'? (`Gamma` of an edge is given in `networks`",
        ),
        ("modes", "parameter 'modes' is not known; `modes` of an edge is given in `networks`"),
        ("theta", "parameter 'theta' is not known; did you mean 'theta_r'? (`theta` of an edge is given in `networks`"),
    ],
)
def test_a_parameter_that_networks_serve_says_so(
    qbsweep: Callable[..., Outcome], tmp_path: Path, name: str, sentence: str
) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(text().replace("parameters: {", f"parameters: {{{name}: 1, "))
    assert sentence in qbsweep("plan", sweep).sentence(sweep)


def test_billion_laughs(qbsweep: Callable[..., Outcome], tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 6)}]" for n in range(1, 5)]
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(text(extra="\n".join(lines)))
    found = mistakes(qbsweep("plan", sweep), sweep)
    assert [sentence.split(" is not")[0] for _, sentence in found] == [f"key 'a{n}'" for n in range(5)]


def test_a_grid_that_no_disk_holds(qbsweep: Callable[..., Outcome], tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    rule = "{linspace: [0, 1, 100000]}"
    sweep.write_text(axis(J=rule, epsilon=rule, n_th=rule))
    sentence = qbsweep("run", sweep, "--executor", "serial", "--out", tmp_path / "out").sentence(sweep)
    assert re.search(r"points", sentence)


# The command line


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["run", "SWEEP", "--workers", "0"], r"'?--workers'?.*greater than or equal to 1|--workers"),
        (["run", "SWEEP", "--workers", "-3"], r"--workers"),
        (["run", "SWEEP", "--workers", "two"], r"--workers"),
        (["plan", "SWEEP", "--workers", "0"], r"--workers"),
        (["run", "SWEEP", "--block-seconds", "0"], r"--block-seconds"),
        (["run", "SWEEP", "--block-seconds", "nan"], r"--block-seconds"),
        (["run", "SWEEP", "--block-seconds", "soon"], r"--block-seconds"),
        (["run", "SWEEP", "--worker", "2"], r"--worker.*--workers"),
        (["run", "SWEEP", "SWEEP"], r"unexpected extra argument"),
        (["run"], r"[Mm]issing argument.*SWEEP"),
        (["status"], r"[Mm]issing argument.*DIR"),
        (["rnu", "SWEEP"], r"'rnu'.*run"),
        (["run", "SWEEP", "--out"], r"--out"),
        (["run", "a\0b"], r"SWEEP"),
        (["run", "SWEEP", "--out", "a\0b"], r"--out"),
    ],
    ids=lambda value: " ".join(value).replace("\0", "NUL") if isinstance(value, list) else "",
)
def test_bad_command_line(
    qbsweep: Callable[..., Outcome],
    good: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    pattern: str,
) -> None:
    monkeypatch.chdir(good.parent)
    outcome = qbsweep(*(str(good) if argument == "SWEEP" else argument for argument in arguments))
    assert re.search(pattern, outcome.sentence(good), re.DOTALL), outcome.err
    assert sorted(p.name for p in good.parent.iterdir()) == [good.name]


def test_out_is_a_file(qbsweep: Callable[..., Outcome], good: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    for out in (file, file / "below", file / "far" / "below"):
        sentence = qbsweep("run", good, "--executor", "serial", "--out", out).sentence(out)
        assert re.search(r"is or lies in a file, not a directory; take another place", sentence)
    assert file.read_text() == "precious"


def test_out_has_a_name_that_no_file_system_takes(qbsweep: Callable[..., Outcome], good: Path, tmp_path: Path) -> None:
    outcome = qbsweep("run", good, "--executor", "serial", "--out", tmp_path / ("a" * 300))
    assert "cannot be written: File name too long" in outcome.err
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_out_is_not_writable(qbsweep: Callable[..., Outcome], good: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    for out in (closed, closed / "below"):
        sentence = qbsweep("run", good, "--executor", "serial", "--out", out).sentence(out)
        assert re.search(r"cannot be written: Permission denied; mend that, or take another directory", sentence)


@pytest.mark.filterwarnings("ignore")  # of Dask's connections that fail
@pytest.mark.parametrize(
    "address", ["seriall", "127.0.0.1", "localhost:port", "http://127.0.0.1:1", "tcp://127.0.0.1:1"]
)
def test_bad_executor(
    qbsweep: Callable[..., Outcome], good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr("qbsweep.runs.dask._CONNECT_SECONDS", 0.5)
    sentence = qbsweep("run", good, "--executor", address, "--out", tmp_path / "out").sentence()
    assert re.search(rf"'{address}'.*`--executor` must be 'auto', 'serial', 'local' or the address", sentence)
    assert not (tmp_path / "out" / "lock").exists()


# An existing run directory


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (GOOD.replace("kappa: 0.003", "kappa: 0.004"), r"`kappa` was 0\.003 and is 0\.004"),
        (GOOD.replace("N: 2", "N: 3"), r"`N` was 2 and is 3"),
        (GOOD.replace("cascaded", "parallel"), r"`topology` was cascaded and is parallel"),
        (GOOD.replace("epsilon: 0.01", "epsilon: 0.01, omega: 2"), r"`omega` was 1\.0 and is 2\.0"),
        (
            GOOD.replace("epsilon: 0.01", "epsilon: 0.01, coupling: reciprocal"),
            r"`coupling` was nonreciprocal and is rec",
        ),
        (axis(J="[0.1]", n_th="[0, 1]"), r"`J` no longer has 0\.2"),
        (axis(J="[0.1, 0.2000000000000001]", n_th="[0, 1]"), r"`J` no longer has 0\.2"),
        (axis(J="[1, 2]", n_th="[3]"), r"`J` no longer has 0\.1, 0\.2; `n_th` no longer has 0\.0, 1\.0"),
        (axis(J="[0.1, 0.2]"), r"`n_th` was an axis and is fixed"),
        (axis(J="{values: [0.1, 0.2], unit: J_op}", n_th="[0, 1]"), r"the unit of `J` was omega and is J_op"),
        (axis(J="[0.1, 0.2]", n_th="[0, 1]", kappa="[1, 2]"), r"`kappa` no longer has 0\.003"),
        (GOOD + "outputs: [energy]", r"`outputs` were energy_charger, .* and are energy"),
        (GOOD + "outputs: [energy_terminal, energy_t]\ntimes: [1]", r"`outputs` were .*; `times` changed"),
    ],
)
def test_changed_sweep_is_refused(
    qbsweep: Callable[..., Outcome], tmp_path: Path, existing: Path, content: str, pattern: str
) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(content)
    before = contents(existing)
    for _ in range(2):
        sentence = qbsweep("run", sweep, "--executor", "serial", "--out", existing).sentence(sweep, existing)
        assert re.search(rf"existing holds another sweep: {pattern}.*give another --out", sentence), sentence
    assert contents(existing) == before


def _edit_attributes(data: Path, **changes: object) -> None:
    path = data / "zarr.json"
    document = json.loads(path.read_text())
    document["attributes"] = {k: v for k, v in (document["attributes"] | changes).items() if v is not None}
    path.write_text(json.dumps(document))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no zarr.json": (lambda d: (d / "zarr.json").unlink(), "is damaged: .*zarr.json is missing"),
    "garbage in zarr.json": (lambda d: (d / "zarr.json").write_text("{"), "is damaged: .*does not say what this is"),
    "empty zarr.json": (lambda d: (d / "zarr.json").write_text(""), "is damaged: .*zarr.json"),
    "list in zarr.json": (lambda d: (d / "zarr.json").write_text("[1]"), "is damaged: .*zarr.json"),
    "binary zarr.json": (lambda d: (d / "zarr.json").write_bytes(b"\xff\xfe"), "is damaged: .*zarr.json"),
    "no data variable": (lambda d: shutil.rmtree(d / "energy_terminal"), "is damaged: .*energy_terminal.* is missing"),
    "no status": (lambda d: shutil.rmtree(d / "status"), "is damaged: .*status.* is missing"),
    "no coordinate": (lambda d: shutil.rmtree(d / "J"), "is damaged: .*J/.* is missing"),
    "no metadata of an array": (lambda d: (d / "status/zarr.json").unlink(), "is damaged: .*status"),
    "garbage metadata of an array": (lambda d: (d / "status/zarr.json").write_text("x"), "is damaged: .*status"),
    "garbage in a chunk of status": (lambda d: (d / "status/c.0.0").write_bytes(b"garbage"), "is damaged: .*checksum"),
    "garbage in a seal": (
        lambda d: next((d / "seals").glob("*-0.json")).write_text("x"),
        "is damaged: .*can be trusted",
    ),
    "an empty seal of the rest": (lambda d: (d / "seals/rest.json").write_text(""), "is damaged: .*can be trusted"),
    "empty directory": (lambda d: (shutil.rmtree(d), d.mkdir()), "is damaged or not a qbsweep dataset"),
    "a file": (lambda d: (shutil.rmtree(d), d.write_text("x")), "is damaged or not a qbsweep dataset"),
    "newer format": (
        lambda d: (_edit_attributes(d, qbsweep_format=99), shutil.rmtree(d / "seals")),
        "has format 99, but this version .* reads the formats 2 and 3",
    ),
    "no format": (lambda d: _edit_attributes(d, qbsweep_format=None), "is damaged: .*zarr.json"),
    "no spec": (lambda d: _edit_attributes(d, spec=None), "is damaged: .*zarr.json is not what was written"),
    "garbage spec": (lambda d: _edit_attributes(d, spec="name: [a"), "is damaged: .*zarr.json is not"),
    "something else": (lambda d: (shutil.rmtree(d), zarr.create_group(d)), "is damaged or not a qbsweep dataset"),
}


@pytest.mark.parametrize("command", ["status", "run"])
@pytest.mark.parametrize(("damage", "pattern"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_dataset_is_refused(
    qbsweep: Callable[..., Outcome],
    good: Path,
    existing: Path,
    damage: Callable[[Path], object],
    pattern: str,
    command: str,
) -> None:
    data = existing / "data.zarr"
    damage(data)
    before = contents(existing)
    arguments = (
        ["status", existing] if command == "status" else ["run", good, "--executor", "serial", "--out", existing]
    )
    sentence = qbsweep(*arguments).sentence(data, existing)
    assert re.search(rf"data\.zarr {pattern}", sentence), sentence
    assert {k: v for k, v in contents(existing).items() if k.startswith("data.zarr")} == {
        k: v for k, v in before.items() if k.startswith("data.zarr")
    }


@pytest.mark.parametrize("couplings", ["[0.1, 0.2]", "[0.1, 0.2, 0.3]"], ids=["same sweep", "extended"])
def test_garbage_in_a_chunk_of_values(
    qbsweep: Callable[..., Outcome], good: Path, existing: Path, couplings: str
) -> None:
    (existing / "data.zarr/energy_terminal/c.0.0").write_bytes(b"garbage")
    good.write_text(GOOD.replace("[0.1, 0.2]", couplings))
    before = contents(existing / "data.zarr")
    outcome = qbsweep("run", good, "--executor", "serial", "--out", existing)
    assert "damaged" in outcome.sentence(existing)
    assert contents(existing / "data.zarr") == before


def test_a_dataset_that_is_a_link_to_nowhere(qbsweep: Callable[..., Outcome], good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "data.zarr").symlink_to("elsewhere")
    for command in (["status", out], ["run", good, "--executor", "serial", "--out", out]):
        assert "data.zarr" in qbsweep(*command).sentence(out)
    assert (out / "data.zarr").is_symlink()


def test_a_backup_beside_the_dataset_stays(qbsweep: Callable[..., Outcome], good: Path, existing: Path) -> None:
    # "move it away", says the message about a damaged dataset: so somebody will.
    (existing / "data.zarr").rename(existing / "data.zarr.bak")
    before = contents(existing / "data.zarr.bak")
    assert qbsweep("run", good, "--executor", "serial", "--out", existing).code == 0
    assert (existing / "data.zarr").is_dir()
    assert contents(existing / "data.zarr.bak") == before


def test_the_sweep_file_of_somebody_is_not_overwritten(qbsweep: Callable[..., Outcome], tmp_path: Path) -> None:
    # `qbsweep run sweep.yaml --out .`: the run directory's sweep.yaml must not replace the one with the notes.
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("# my notes\n" + GOOD)
    qbsweep("run", sweep, "--executor", "serial", "--out", tmp_path)
    assert sweep.read_text() == "# my notes\n" + GOOD


def test_a_running_directory_is_left_alone(qbsweep: Callable[..., Outcome], good: Path, existing: Path) -> None:
    with locked(existing):
        before = contents(existing)
        sentence = qbsweep("run", good, "--executor", "serial", "--out", existing).sentence(existing)
        assert re.search(
            rf"existing is being run by process {os.getpid()} on .*; wait until it has ended, or stop it", sentence
        )
        assert contents(existing) == before
        status = json.loads(qbsweep("status", existing, "--json").out)
        assert (status["state"], status["running"]["pid"]) == ("running", os.getpid())
    assert qbsweep("run", good, "--executor", "serial", "--out", existing).code == 0


def test_a_directory_run_by_another_process(qbsweep: Callable[..., Outcome], good: Path, existing: Path) -> None:
    script = (
        "import sys, pathlib; from qbsweep.runs.opening import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n    print('locked', flush=True); sys.stdin.read()\n"
    )
    before = contents(existing)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(existing)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            sentence = qbsweep("run", good, "--executor", "serial", "--out", existing).sentence(existing)
            assert f"is being run by process {process.pid} on " in sentence
        finally:
            process.kill()
    # Killed, it left its lock behind; nobody holds the directory any more.
    assert (existing / "lock").exists()
    assert qbsweep("run", good, "--executor", "serial", "--out", existing).code == 0
    after = contents(existing)
    assert {k: v for k, v in after.items() if k.startswith("data.zarr")} == {
        k: v for k, v in before.items() if k.startswith("data.zarr")
    }


@pytest.mark.parametrize(
    "lock",
    [
        "",
        "garbage",
        "[]",
        "{}",
        "null",
        '{"pid": 1}',
        '{"host": "HOST"}',
        '{"host": "HOST", "pid": null, "started": 1.0}',
        '{"host": "HOST", "pid": PID, "started": null}',
        '{"host": "HOST", "pid": -5, "started": 1.0}',
        '{"host": "HOST", "pid": 99999999999999999999, "started": 1.0}',
        '{"host": "HOST", "pid": PID, "started": 1.0}',
    ],
)
def test_a_broken_lock_is_no_traceback(qbsweep: Callable[..., Outcome], good: Path, existing: Path, lock: str) -> None:
    (existing / "lock").write_text(lock.replace("HOST", os.uname().nodename).replace("PID", str(os.getpid())))
    assert qbsweep("status", existing).code in (0, 2)
    outcome = qbsweep("run", good, "--executor", "serial", "--out", existing)
    assert outcome.code in (0, 2)
    if outcome.code:
        outcome.sentence(existing)


@pytest.mark.parametrize("name", ["events.jsonl", "failures.jsonl"])
@pytest.mark.parametrize("line", [b"3\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"block": 0, "time": 1.0}\n', b'{"bl'])
def test_a_broken_log_is_no_traceback(
    qbsweep: Callable[..., Outcome], good: Path, existing: Path, name: str, line: bytes
) -> None:
    with (existing / name).open("ab") as file:
        file.write(line * 3)
    for command in (
        ["status", existing],
        ["failures", existing],
        ["run", good, "--executor", "serial", "--out", existing],
    ):
        outcome = qbsweep(*command)
        assert outcome.code in (0, 2)
        if outcome.code:
            outcome.sentence(existing)


@pytest.mark.parametrize("command", ["status", "failures"])
@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (lambda path: None, r"is not a run directory: it does not exist"),
        (Path.mkdir, r"is not a run directory: it has no data\.zarr"),
        (Path.touch, r"is not a run directory: it is (a file|not a directory)"),
        (lambda path: path.symlink_to("nowhere"), r"is not a run directory: it does not exist"),
    ],
    ids=["missing", "empty", "file", "dangling link"],
)
def test_no_run_directory(
    qbsweep: Callable[..., Outcome], tmp_path: Path, command: str, make: Callable[[Path], object], pattern: str
) -> None:
    path = tmp_path / "thing"
    make(path)
    assert re.search(pattern, qbsweep(command, path).sentence(path))
    assert sorted(tmp_path.rglob("*")) in ([], [path])


def test_no_command_shows_the_help(qbsweep: Callable[..., Outcome]) -> None:
    outcome = qbsweep()
    assert outcome.code in (0, 2)
    assert "Usage: " in outcome.out + outcome.err
    assert not outcome.err.startswith("qbsweep: Usage"), "help is no error sentence"
