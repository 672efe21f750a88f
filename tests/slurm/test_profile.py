"""A site profile says what a cluster wants to be told; a mistake in it is one sentence with file and line."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbsweep.errors import QbsweepError
from qbsweep.runs.plan import Plan
from qbsweep.slurm import commands
from qbsweep.slurm.profile import DriverForm, Profile, load_profile, parse_minutes
from qbsweep.slurm.resources import resources

MAX_SENTENCE = 400  # the longest lists all keys of a profile
HUGE = "1" + "0" * 400

WORD = "must be one word, but is"
TIME = "must be a time like 90min, 12h or 1-00:00:00, but is"
SIZE = "must be a size like 2GB, at least 300MB, or 'site' for the site's own, but is"
LINE = "must be one line of text, but is"
FOLDER = "must be a folder like /scratch or $TMPDIR, but is"
BAD: dict[str, tuple[str, int | None, str]] = {
    # unknown keys
    "a slip": ("time: 1h\npartion: debug\n", 2, "key 'partion' is not known; did you mean 'partition'?"),
    "another slip": ("memmory: 2GB\n", 1, "key 'memmory' is not known; did you mean 'memory'?"),
    "a slip in driver": (
        "time: 1h\ndriver:\n  memory: 2GB\n  tiem: 1h\n",
        4,
        "key 'tiem' is not known; did you mean 'time'?",
    ),
    "a key that driver does not have": (
        "driver: {workers: 3}\n",
        1,
        "key 'workers' is not known; it must be 'partition', 'qos', 'time', 'memory' or 'directives'",
    ),
    "the slip explains the rest": (
        "cpus: many\nlayuot: jobs\n",
        2,
        "key 'layuot' is not known; did you mean 'layout'?",
    ),
    # words
    "number": ("partition: 3\n", 1, f"`partition` {WORD} 3"),
    "list": ("account: [a, b]\n", 1, f"`account` {WORD} a list"),
    "mapping": ("qos: {a: 1}\n", 1, f"`qos` {WORD} a mapping"),
    "boolean": ("constraint: true\n", 1, f"`constraint` {WORD} True"),
    "empty text": ('interface: ""\n', 1, f"`interface` {WORD} empty"),
    "space": ("partition: a b\n", 1, f"`partition` {WORD} the text 'a b'"),
    "newline": ('partition: "a\\nsrun"\n', 1, f"`partition` {WORD} the text 'a srun'"),
    "newline at the end": ('partition: "a\\n"\n', 1, f"`partition` {WORD} the text 'a'"),
    "double quote": ("partition: 'a\"b'\n", 1, f"`partition` {WORD} the text 'a\"b'"),
    "single quote": ('partition: "a\'b"\n', 1, f"`partition` {WORD} the text 'a'b'"),
    "comment": ("partition: a#b\n", 1, f"`partition` {WORD} the text 'a#b'"),
    "command": ("account: $(id)\n", 1, f"`account` {WORD} the text '$(id)'"),
    "command in backquotes": ("account: '`id`'\n", 1, f"`account` {WORD} the text '`id`'"),
    "variable": ("qos: $HOME\n", 1, f"`qos` {WORD} the text '$HOME'"),
    "backslash": ("constraint: a\\b\n", 1, f"`constraint` {WORD} the text 'a\\b'"),
    "redirection": ("interface: a>b\n", 1, f"`interface` {WORD} the text 'a>b'"),
    "word of driver": ("driver:\n  qos: a b\n", 2, f"`qos` of `driver` {WORD} the text 'a b'"),
    # times
    "word for time": ("time: soon\n", 1, f"`time` {TIME} the text 'soon'"),
    "no time": ("time: 0\n", 1, f"`time` {TIME} 0"),
    "negative time": ("time: -5\n", 1, f"`time` {TIME} -5"),
    "fraction of a minute": ("time: 1.5\n", 1, f"`time` {TIME} 1.5"),
    "time is true": ("time: true\n", 1, f"`time` {TIME} True"),
    "unit of time": ("time: 3 weeks\n", 1, f"`time` {TIME} the text '3 weeks'"),
    "too long": ("time: 1000000\n", 1, f"`time` {TIME} 1000000"),
    "far too long": (f"time: {HUGE}h\n", 1, f"`time` {TIME} the text '{HUGE[:40]}...'"),
    "days without end": (f"time: {HUGE}-00:00:00\n", 1, f"`time` {TIME} the text '{HUGE[:40]}...'"),
    "list of times": ("time: [1h]\n", 1, f"`time` {TIME} a list"),
    "time of driver": ("cpus: 2\ndriver: {time: never}\n", 2, f"`time` of `driver` {TIME} the text 'never'"),
    # sizes
    "number for memory": ("memory: 2000\n", 1, f"`memory` {SIZE} 2000"),
    "unit of memory": ("memory: 2kB\n", 1, f"`memory` {SIZE} the text '2kB'"),
    "too little memory": ("memory: 299MB\n", 1, f"`memory` {SIZE} the text '299MB'"),
    "negative memory": ("memory: -2GB\n", 1, f"`memory` {SIZE} the text '-2GB'"),
    "endless memory": (f"memory: {HUGE}GB\n", 1, f"`memory` {SIZE} the text '{HUGE[:40]}...'"),
    "memory of driver": ("driver: {memory: much}\n", 1, f"`memory` of `driver` {SIZE} the text 'much'"),
    # counts
    "no cpus": ("cpus: 0\n", 1, "`cpus` must be a whole number from 1 to 1024, but is 0"),
    "cpus as text": ('cpus: "4"\n', 1, "`cpus` must be a whole number from 1 to 1024, but is the text '4'"),
    "half a cpu": ("cpus: 1.5\n", 1, "`cpus` must be a whole number from 1 to 1024, but is 1.5"),
    "cpus is true": ("cpus: true\n", 1, "`cpus` must be a whole number from 1 to 1024, but is True"),
    "cpus left empty": ("cpus:\n", 1, "`cpus` must be a whole number from 1 to 1024, but is empty"),
    "too many workers": ("workers: 10001\n", 1, "`workers` must be a whole number from 1 to 10000, but is 10001"),
    # the rest
    "layout": ("layout: job\n", 1, "`layout` must be 'jobs' or 'allocation', but is the text 'job'"),
    "layout is a list": ("layout: [jobs]\n", 1, "`layout` must be 'jobs' or 'allocation', but is a list"),
    "one directive as text": (
        "directives: --exclusive\n",
        1,
        "`directives` must be a list of lines, but is the text '--exclusive'",
    ),
    "directive without dashes": (
        "directives:\n  - exclusive\n",
        1,
        "`directives` must be options of sbatch like --exclusive, but one is the text 'exclusive'",
    ),
    "directive of two lines": ('directives: ["--a\\nid"]\n', 1, f"`directives` {LINE} the text '--a id'"),
    "directive is a number": ("directives: [3]\n", 1, f"`directives` {LINE} 3"),
    "directives of driver": (
        "driver:\n  directives: [id]\n",
        2,
        "`directives` of `driver` must be options of sbatch like --exclusive, but one is the text 'id'",
    ),
    "setup as text": (
        "setup: module load python\n",
        1,
        "`setup` must be a list of lines, but is the text 'module load python'",
    ),
    "setup of two lines": ('setup: ["a\\nb"]\n', 1, f"`setup` {LINE} the text 'a b'"),
    "carriage return in setup": ('setup: ["a\\rb"]\n', 1, f"`setup` {LINE} the text 'a b'"),
    "block text in setup": ("setup:\n  - |\n    a\n    b\n", 1, f"`setup` {LINE} the text 'a b'"),
    "empty setup line": ('setup: [""]\n', 1, f"`setup` {LINE} empty"),
    "zero byte in setup": ('setup: ["a\\0b"]\n', 1, f"`setup` {LINE} the text 'a?b'"),
    "escape sequence in setup": ('setup: ["a\\eb"]\n', 1, f"`setup` {LINE} the text 'a?b'"),
    "mapping in setup": ("setup: [{a: b}]\n", 1, f"`setup` {LINE} a mapping"),
    "quote in scratch": ("scratch: '/a\"; id; \"'\n", 1, f"`scratch` {FOLDER} the text '/a\"; id; \"'"),
    "command in scratch": ("scratch: /a$(id)\n", 1, f"`scratch` {FOLDER} the text '/a$(id)'"),
    "backquotes in scratch": ("scratch: /a`id`\n", 1, f"`scratch` {FOLDER} the text '/a`id`'"),
    "newline in scratch": ('scratch: "/a\\nid"\n', 1, f"`scratch` {FOLDER} the text '/a id'"),
    "home in scratch": ("scratch: ~/tmp\n", 1, f"`scratch` {FOLDER} the text '~/tmp'"),
    "open brace in scratch": ("scratch: ${TMPDIR\n", 1, f"`scratch` {FOLDER} the text '${{TMPDIR'"),
    "lone dollar in scratch": ("scratch: /a/$\n", 1, f"`scratch` {FOLDER} the text '/a/$'"),
    "number for scratch": ("scratch: 3\n", 1, f"`scratch` {FOLDER} 3"),
    "driver is a text": ("driver: fat\n", 1, "`driver` must be a mapping, but is the text 'fat'"),
    "driver left empty": ("cpus: 1\ndriver:\n", 2, "`driver` must be a mapping, but is empty"),
    # what is no profile at all
    "list for all": (
        "- partition: a\n",
        None,
        "a profile must be a mapping of `partition`, `time`, ..., but is a list",
    ),
    "text": ("debug\n", None, "a profile must be a mapping of `partition`, `time`, ..., but is the text 'debug'"),
    "blank document": ("~\n", None, "a profile must be a mapping of `partition`, `time`, ..., but is empty"),
    "given twice": ("cpus: 1\ntime: 1h\ncpus: 2\n", 3, "`cpus` is given twice; keep one of them"),
    "number as key": ("3: 4\n", 1, "a key must be a name, but is 3"),
}


def refusal(name: object) -> str:
    with pytest.raises(QbsweepError) as caught:
        load_profile(str(name))
    return str(caught.value)


@pytest.mark.parametrize(("text", "line", "sentence"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, line: int | None, sentence: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    said = refusal(path)
    assert said == f"{path}{'' if line is None else f':{line}'}: {sentence}"
    assert "\n" not in said
    assert len(said.removeprefix(str(path))) < MAX_SENTENCE


@pytest.mark.parametrize(
    ("directive", "option"),
    [
        ("--array=0-3", "--array"),
        ("--array 0-3", "--array"),
        ("-a0-3", "-a"),
        ("-J mine", "-J"),
        ("--job-name=mine", "--job-name"),
        ("--mem=3G", "--mem"),
        ("--mem-per-cpu=3G", "--mem-per-cpu"),
        ("--time=1:00", "--time"),
        ("--no-requeue", "--no-requeue"),
        ("--dependency=after:1", "--dependency"),
        ("-D /tmp", "-D"),
        ("--hold", "--hold"),
    ],
)
@pytest.mark.parametrize("owner", ["", "driver"])
def test_directives_that_are_not_the_users(tmp_path: Path, directive: str, option: str, owner: str) -> None:
    path = tmp_path / "site.yaml"
    line = f"directives: [--exclusive, '{directive}']"
    path.write_text(f"driver: {{{line}}}\n" if owner else f"{line}\n")
    assert refusal(path) == (
        f"{path}:1: `directives`{' of `driver`' if owner else ''} must not have {option}: qbsweep sets it itself, "
        "by `time`, `memory`, `cpus` and so on"
    )


def test_directives_that_only_look_like_qbsweeps_own(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("directives: [--mem-bind=local, --timeout-x, --ntasks-per-core=1, -x node7]\n")
    assert load_profile(str(path)).directives == ("--mem-bind=local", "--timeout-x", "--ntasks-per-core=1", "-x node7")


@pytest.mark.parametrize("scratch", ["/scratch", "$TMPDIR", "${TMPDIR}/my dir", "/local/$USER.x-1"])
def test_folders_for_scratch(tmp_path: Path, scratch: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(f"scratch: {scratch}\n")
    assert load_profile(str(path)).scratch == scratch


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (b"partition: [a\n", r":2: this is not valid YAML: "),
        (b"a: b: c\n", r":1: this is not valid YAML: "),
        (b"cpus: 1\n\ttime: 1h\n", r":2: this is not valid YAML: "),
        (b"cpus: 1\n---\ncpus: 2\n", r":2: this is not valid YAML: "),
        (b"time: &a [*a]\n", r": this file is of no use: it refers to itself or nests too deeply$"),
        (b"partition: !!python/object/apply:os.getcwd []\n", r":1: this is not valid YAML: .*not allowed"),
        (b"", r" is empty$"),
        (b"# nothing yet\n", r" is empty$"),
        (b"\xff\xfe\x00", r" is not a text file; give the path of a YAML file$"),
        (b"partition: a\0b\n", r": this is not valid YAML: "),
    ],
)
def test_no_yaml(tmp_path: Path, content: bytes, pattern: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(content)
    said = refusal(path)
    assert re.match(re.escape(str(path)) + f"(?:{pattern})", said), said
    assert "\n" not in said


def test_a_profile_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "site.yaml"
    assert refusal(path) == f"{path} does not exist; give the path of a YAML file"
    assert refusal("site.yml") == "site.yml does not exist; give the path of a YAML file"
    assert refusal(f"{tmp_path}/") == f"{tmp_path} is a directory; give the path of a YAML file"
    user = tmp_path / "home/.config/qbsweep/big.yaml"
    assert refusal("big") == f"there is no profile 'big': neither slurm/big.yaml nor {user} exists; give a file"


def test_where_a_name_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    places = [Path("home/.config/qbsweep/big.yaml"), Path("slurm/big.yaml"), Path("big")]
    for cpus, place in enumerate(places, 1):
        # Each is found before those that are there already.
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"cpus: {cpus}\n")
        assert load_profile("big").cpus == cpus
    places[1].write_text("cpus: x\n")
    places[2].unlink()
    assert refusal("big").startswith("slurm/big.yaml:1: `cpus` must be")


def test_a_full_profile(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("""
partition: gpu,cpu
account: proj-1_a.b@c
qos: normal
constraint: "[rack1*2&rack2*4]|(a&b)"
time: 1-12:00:00
cpus: 4
memory: 1.5 GB
workers: 32
layout: allocation
directives: [--exclusive, -x node7, "--mail-user=a@b.c"]
setup: [module load python, 'export X="$(hostname)"']
interface: ib0
scratch: ${TMPDIR}/my dir
driver: {partition: long%1, qos: low, time: 5 days, memory: 3G, directives: [--nice=10]}
""")
    assert load_profile(str(path)) == Profile.model_construct(
        partition="gpu,cpu",
        account="proj-1_a.b@c",
        qos="normal",
        constraint="[rack1*2&rack2*4]|(a&b)",
        time=2160,
        cpus=4,
        memory=1500,
        workers=32,
        layout="allocation",
        directives=("--exclusive", "-x node7", "--mail-user=a@b.c"),
        setup=("module load python", 'export X="$(hostname)"'),
        interface="ib0",
        scratch="${TMPDIR}/my dir",
        driver=DriverForm.model_construct(
            partition="long%1", qos="low", time=7200, memory=3000, directives=("--nice=10",)
        ),
    )


def test_everything_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    for text in ("{}\n", "partition:\ntime: null\ndriver: {}\n"):
        path.write_text(text)
        assert load_profile(str(path)) == Profile() == load_profile(None)


@pytest.mark.parametrize(
    ("value", "minutes"),
    [
        (1, 1),
        ("90", 90),
        (" 90 ", 90),
        ("90min", 90),
        ("90m", 90),
        ("90 minutes", 90),
        ("1 minute", 1),
        ("2h", 120),
        ("1.5h", 90),
        ("1 hour", 60),
        ("12 hours", 720),
        ("3 days", 4320),
        ("1 day", 1440),
        ("0.5d", 720),
        ("60s", 1),
        ("61 sec", 2),
        ("30 seconds", 1),
        ("180s", 3),
        ("30:00", 30),
        ("0:01", 1),
        ("90:01", 91),
        ("1:00:00", 60),
        ("36:00:00", 2160),
        ("0:00:01", 1),
        ("1-00:00", 1440),
        ("1-00:00:00", 1440),
        ("2-03:04:05", 2 * 1440 + 3 * 60 + 4 + 1),
        ("999999", 999_999),
    ],
)
def test_forms_of_a_time(value: Any, minutes: int) -> None:
    found = parse_minutes(value)
    assert (found, type(found)) == (minutes, int)


@pytest.mark.parametrize(
    "value",
    [0, -1, 10**6, True, None, 1.5, "", "h", "0h", "0:00", "1h30", "1 h 30 min", "-1h", "+1h", "1e3", "1:2", "1-2"],
)
def test_what_is_no_time(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^must be a time like 90min, 12h or 1-00:00:00, but is "):
        parse_minutes(value)


@pytest.mark.parametrize("value", ["1:00:0", ":30", "1-", "3 mays", "3 hays", "2 sonds", "1,5h", "1h\n2h"])
def test_what_looks_like_a_time(value: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a time like 90min, 12h or 1-00:00:00, but is "):
        parse_minutes(value)


@pytest.mark.parametrize("form", ["{}", "{}h", "{}:00", "{}-00:00:00"])
def test_a_time_of_thousands_of_digits(form: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a time like 90min, 12h or 1-00:00:00, but is ") as caught:
        parse_minutes(form.format("9" * 5000))
    assert len(str(caught.value)) < 150


@given(st.integers(1, 10**6 - 1), st.integers(0, 59))
def test_times_in_slurms_own_forms(minutes: int, spare: int) -> None:
    """What Slurm prints is read as what it means, and seconds round up."""
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    assert parse_minutes(f"{days}-{hours:02}:{rest:02}:00") == minutes
    assert parse_minutes(f"{minutes // 60}:{rest:02}:00") == minutes
    assert parse_minutes(f"{minutes}:00") == minutes
    assert parse_minutes(minutes) == parse_minutes(str(minutes)) == parse_minutes(f"{minutes} min") == minutes
    if minutes > 1:
        assert parse_minutes(f"{(minutes - 1) // 60}:{(minutes - 1) % 60:02}:{spare:02}") == minutes - (not spare)
    assert parse_minutes(f"{60 * minutes}s") == minutes


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [
        ("300MB", 300),
        ("300M", 300),
        ("2GB", 2000),
        ("2 G", 2000),
        ("1.5GB", 1500),
        ("0.3GB", 300),
        ("1TB", 10**6),
        ("300.2MB", 301),
    ],
)
def test_forms_of_a_size(text: str, megabytes: int) -> None:
    assert Profile(memory=text).memory == megabytes  # type: ignore[arg-type]


def plan(points: int = 1000, point_memory: int = 0, block_bytes: int = 0, blocks: int = 100) -> Plan:
    return Plan(
        name="x",
        digest="d",
        dims=("J",),
        shape=(points,),
        block_shape=(1,),
        points=points,
        blocks=blocks,
        seconds=1.0,
        block_bytes=block_bytes,
        point_memory=point_memory,
        bytes=1,
        files=1,
    )


def test_resources_without_a_profile() -> None:
    found = resources(Profile(), plan(), [1.0] * 100, None, None)
    assert (found.workers, found.jobs, found.cpus) == (8, 8, 1)
    assert (found.minutes, found.driver_minutes) == (30, 120)
    assert (found.memory, found.driver_memory) == (1000, 1500)


@pytest.mark.parametrize(
    ("profile", "workers", "pending", "expected"),  # workers in all, jobs, cpus
    [
        (Profile(), None, 3, (3, 3, 1)),
        (Profile(), None, 0, (1, 1, 1)),
        (Profile(workers=20), None, 100, (20, 20, 1)),
        (Profile(workers=20), 5, 100, (5, 5, 1)),
        (Profile(workers=20), None, 7, (7, 7, 1)),
        (Profile(cpus=4), None, 100, (8, 2, 4)),
        (Profile(cpus=4), 12, 100, (12, 3, 4)),
        (Profile(cpus=4), 10, 100, (12, 3, 4)),  # whole jobs
        (Profile(cpus=16), None, 100, (8, 1, 8)),
        (Profile(cpus=4), None, 2, (2, 1, 2)),
        (Profile(cpus=4, layout="allocation", workers=6), None, 100, (6, 6, 1)),
        (Profile(workers=1000), None, 5000, (1000, 1000, 1)),
        (Profile(cpus=4, workers=4000), None, 5000, (4000, 1000, 4)),
    ],
)
def test_how_many_workers(profile: Profile, workers: int | None, pending: int, expected: tuple[int, int, int]) -> None:
    found = resources(profile, plan(), [1.0] * pending, workers, None)
    assert (found.workers, found.jobs, found.cpus) == expected


@pytest.mark.parametrize(
    ("seconds", "minutes"),
    [
        ([], 30),
        ([600.0], 50),  # a block may take twice what is predicted, and twice that is asked for; and ten minutes
        ([60.0] * 8, 30),
        ([600.0] * 80, 210),  # 100 min on each of 8 workers, doubled
        ([1.0] * 799 + [3600.0], 250),  # one long block rules
        ([10_000.0] * 80, 1440),  # a day is enough: the next job goes on
    ],
)
def test_walltime_from_the_plan(seconds: list[float], minutes: int) -> None:
    found = resources(Profile(), plan(), seconds, None, None)
    assert found.minutes == minutes
    assert found.driver_minutes == min(4 * minutes, 1440)


@pytest.mark.parametrize(
    ("profile", "minutes", "expected"),  # minutes of workers and driver
    [
        (Profile(time=60), None, (60, 60)),  # type: ignore[arg-type]
        (Profile(time=60), 20, (20, 20)),
        (Profile(), 20, (20, 20)),
        (Profile(driver=DriverForm(time=600)), None, (30, 600)),
        (Profile(time=60, driver=DriverForm(time=600)), 20, (20, 600)),
    ],
)
def test_walltime_that_is_given(profile: Profile, minutes: int | None, expected: tuple[int, int]) -> None:
    found = resources(profile, plan(), [1.0] * 100, None, minutes)
    assert (found.minutes, found.driver_minutes) == expected


def test_memory_of_workers_and_driver() -> None:
    found = resources(Profile(), plan(point_memory=200_000_000, blocks=12_345), [1.0], None, None)
    assert (found.memory, found.driver_memory) == (1100, 1512)
    found = resources(Profile(), plan(point_memory=200_000_001), [1.0], None, None)
    assert found.memory == 1200
    found = resources(Profile(), plan(block_bytes=100_000_000), [1.0], None, None)
    assert found.memory == 1500
    profile = Profile(memory="4GB", driver=DriverForm(memory="400MB"))  # type: ignore[arg-type]
    found = resources(profile, plan(point_memory=10**10), [1.0], None, None)
    assert (found.memory, found.driver_memory) == (4000, 400)


@pytest.mark.parametrize(
    ("memory", "driver", "expected"),
    [
        ("site", None, (0, 0)),
        ("site", "2GB", (0, 2000)),
        (None, "site", (1000, 0)),
        ("4GB", "site", (4000, 0)),
    ],
)
def test_memory_that_the_site_decides(
    tmp_path: Path, memory: str | None, driver: str | None, expected: tuple[int, int]
) -> None:
    path = tmp_path / "site.yaml"
    lines = [f"memory: {memory}\n"] if memory else []
    path.write_text("".join([*lines, f"driver: {{memory: {driver}}}\n" if driver else "driver: {}\n"]))
    found = resources(load_profile(str(path)), plan(), [1.0], None, None)
    assert (found.memory, found.driver_memory) == expected


@pytest.mark.parametrize(("cpus", "workers", "jobs"), [(1, 1001, 1001), (4, 4001, 1001), (2, 10_000, 5000)])
def test_more_jobs_than_an_array_has(cpus: int, workers: int, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_call", lambda *argv: None)  # Slurm does not answer
    with pytest.raises(QbsweepError) as caught:
        resources(Profile(cpus=cpus), plan(), [1.0] * 10_000, workers, None)
    assert str(caught.value) == (
        f"{workers} workers with `cpus: {cpus}` would be {jobs} jobs, but arrays of Slurm have at most 1000; "
        "put more workers into one job with `cpus` in the profile"
    )


def test_an_allocation_is_no_array() -> None:
    profile = Profile(layout="allocation", workers=2000)
    assert resources(profile, plan(), [1.0] * 5000, None, None).workers == 2000


@pytest.mark.parametrize("line", ["--exclusive --array=0-3", "--arra=0-3", "-Jmine", "-J mine", "--wrap=x", "--hol"])
def test_reserved_options_hide_nowhere(tmp_path: Path, line: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"directives: ['{line}']\n")
    with pytest.raises(QbsweepError, match=r"`directives` must not have -.*qbsweep sets it itself"):
        load_profile(str(path))


@pytest.mark.parametrize(
    "line", ["--exclusive", "--mail-type=FAIL --mail-user=me", "--exclude=node[13-14]", "-x node3", "--gres=gpu:1"]
)
def test_other_options_pass(tmp_path: Path, line: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"directives: ['{line}']\n")
    assert load_profile(str(path)).directives == (line,)
