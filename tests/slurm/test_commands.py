"""submit, status, logs and cancel before a Slurm that is played by shell scripts: what they ask, and what they say."""

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbsweep.context import JobContext
from qbsweep.runs.opening import locked, prepare
from qbsweep.slurm import commands as slurm
from qbsweep.slurm.files import JobFiles, Record
from qbsweep.slurm.interface import Job
from qbsweep.slurm.profile import load_profile
from qbsweep.slurm.submit import decide
from qbsweep.solvers.status import FAILED
from qbsweep.store.dataset import Store
from qbsweep.sweeps.spec import load_spec

from ..command import Outcome

SWEEP = """\
name: test
parameters: {topology: cascaded, N: 2, kappa: 0.003, epsilon: 0.01}
sweep: {J: [0.1, 0.2], n_th: [0, 1]}
times: {linspace: [0, 10, 100], unit: 1/kappa}
"""
OPTIONS = ("--block-seconds", "1e-6")  # 4 blocks

# A queue is a file of lines as squeue prints them. A command first does what its file in `before` says.
PRELUDE = r"""#!/bin/bash
PATH=/usr/bin:/bin
D=FOLDER
command=${0##*/}
{ printf '%s' "$command"; printf '\t%s' "$@"; echo; } >> "$D/calls"
names= user= ids=
for word; do
    case $word in
        --name=*) names=${word#*=} ;;
        --user=*) user=${word#*=} ;;
        --jobs=*) ids=${word#*=} ;;
        -*) ;;
        *) ids=$word ;;
    esac
done
if [ "$command" = sbatch ]; then
    script=$(cat)
    role=driver kind=submit
    [[ $script == *--array=* ]] && role=workers
    [[ " $* " == *" --test-only "* ]] && kind=test
    command=$kind-$role
    printf '%s\n' "$script" > "$D/$command.sh"
    env > "$D/$command.env"
fi
[ ! -f "$D/before/$command" ] || . "$D/before/$command"
"""
COMMANDS = {
    "sbatch": r"""
[ $kind = submit ] || { echo "sbatch: Job 100 to start at 2030-01-01T00:00:00" >&2; exit 0; }
name=$(sed -n 's/^#SBATCH --job-name=//p' <<< "$script")
id=$(( $(wc -l < "$D/queue") + 101 ))
echo "$id|$name|PENDING|Priority||1:00:00" >> "$D/queue"
echo "$id"
""",
    "squeue": r"""
awk -F'|' -v names=",$names," -v ids=",$ids," \
    'index(names, "," $2 ",") || (names == ",," && index(ids, "," $1 ","))' "$D/queue"
""",
    "scancel": r"""
awk -F'|' -v OFS='|' -v name="$names" -v id="$ids" '$2 == name || $1 == id { $3 = "CANCELLED" } 1' \
    "$D/queue" > "$D/queue.new" && mv "$D/queue.new" "$D/queue"
""",
    "scontrol": "",
}


class FakeSlurm:
    """Slurm's commands as shell scripts, alone on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        for path in (self.bin, folder / "before"):
            path.mkdir(parents=True)
        self.queue = folder / "queue"
        self.queue.touch()
        for name, text in COMMANDS.items():
            (self.bin / name).write_text(PRELUDE.replace("FOLDER", f"'{folder}'") + text)
            (self.bin / name).chmod(0o755)

    def before(self, command: str, text: str) -> None:
        """Have a command do this first; sbatch is test-driver, test-workers, submit-driver and submit-workers."""
        (self.folder / "before" / command).write_text(text)

    def hang(self, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have a command never end; its time is over once it is on its way, however long that takes here."""
        hangs = self.folder / "hangs"
        self.before(command, f"touch '{hangs}'; exec sleep 100")

        def run(argv: list[str], *, input: str | None, env: dict[str, str], timeout: float, **_: Any) -> Any:
            assert timeout == slurm._SECONDS
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            with subprocess.Popen(argv, env=env, text=True, **pipes) as process:
                while True:
                    try:
                        out, err = process.communicate(input, timeout=0.05)
                    except subprocess.TimeoutExpired:
                        input = None  # which has been sent
                    else:
                        return subprocess.CompletedProcess(argv, process.returncode, out, err)
                    if hangs.exists():
                        hangs.unlink()
                        process.kill()
                        raise subprocess.TimeoutExpired(argv, timeout)

        patched = SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired)
        monkeypatch.setattr(slurm, "subprocess", patched)

    def refuse(self, command: str, *lines: str) -> None:
        self.before(command, "".join(f"echo '{line}' >&2\n" for line in lines) + "exit 1\n")

    @property
    def calls(self) -> list[list[str]]:
        """Every command so far with its arguments."""
        path = self.folder / "calls"
        return [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []

    def called(self, command: str) -> list[list[str]]:
        return [call[1:] for call in self.calls if call[0] == command]

    @property
    def submitted(self) -> int:
        """How often sbatch was to submit something."""
        return sum("--test-only" not in arguments for arguments in self.called("sbatch"))

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink()

    @property
    def jobs(self) -> list[tuple[str, str, str]]:
        """Id, name and state of all jobs."""
        lines = [line.split("|") for line in self.queue.read_text().splitlines()]
        return [(line[0], line[1], line[2]) for line in lines]

    def set_queue(self, *lines: str) -> None:
        self.queue.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "fake slurm")
    monkeypatch.setenv("PATH", str(fake.bin))
    return fake


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def submit(qbsweep: Callable[..., Outcome], sweep: Path, out: Path) -> Callable[..., Outcome]:
    """Submit the sweep into `out`."""
    return lambda *options: qbsweep("submit", sweep, "--out", out, *OPTIONS, *options)


@pytest.fixture(scope="module")
def allocated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory in which nothing is solved; never to be changed."""
    folder = tmp_path_factory.mktemp("allocated")
    (folder / "sweep.yaml").write_text(SWEEP)
    with locked(folder / "out") as directory:
        prepare(load_spec(folder / "sweep.yaml"), directory, 1e-6)
    return folder / "out"


@pytest.fixture
def record(submit: Callable[..., Outcome], fake: FakeSlurm, allocated: Path, out: Path) -> Record:
    """The record of a sweep that is submitted; what was asked for that is forgotten."""
    shutil.copytree(allocated, out)
    outcome = submit("--workers", "3")
    assert outcome.code == 0, outcome.err
    fake.forget_calls()
    found = JobFiles(out).record()
    assert found is not None
    return found


def contents(path: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def user() -> str:
    return f"--user={os.getuid()}"


# submit


def test_what_submit_asks_of_slurm(submit: Callable[..., Outcome], fake: FakeSlurm, out: Path) -> None:
    outcome = submit("--workers", "3", "--time", "2h")
    assert (outcome.code, outcome.err) == (0, "")
    assert re.search(
        r"^submitted: driver 101, workers 102 \(3 processes, 1000 MB each, up to 120 min a job\)$", outcome.out, re.M
    )
    for command in ("status", "logs", "cancel"):
        assert f"{command} {out}" in outcome.out
    assert fake.calls == [
        ["sbatch", "--test-only"],
        ["sbatch", "--test-only"],
        ["sbatch", "--parsable"],
        ["sbatch", "--parsable", "--dependency=after:101"],
    ]
    record = JobFiles(out).record()
    assert record is not None
    assert re.fullmatch(r"[0-9a-f]{8}", record.token)
    assert record.driver_name == f"qb-test-{record.token}"
    assert record.worker_name == f"qb-test-{record.token}-workers"
    assert (record.driver_id, record.worker_id) == ("101", "102")
    assert (record.layout, record.workers, record.seconds, record.memory) == ("jobs", 3, 7200, 1000)
    for name in ("driver", "workers"):
        # What was tried, what was submitted and what can be looked up are the same.
        sent = (fake.folder / f"submit-{name}.sh").read_text()
        assert sent == (fake.folder / f"test-{name}.sh").read_text() == (out / f"slurm/{name}.sh").read_text()
    assert f"#SBATCH --job-name={record.driver_name}\n" in (out / "slurm/driver.sh").read_text()
    assert f"#SBATCH --job-name={record.worker_name}\n" in (out / "slurm/workers.sh").read_text()
    assert not (out / "lock").exists()


@pytest.mark.parametrize(
    ("said", "most"),
    [
        ("MaxArraySize            = 4000", 4000),
        ("MaxArrayTasks = 7\nMaxArraySize=12\nMaxMemPerNode = 5", 12),
        ("Configuration data as of 2030-01-01", 1000),
    ],
)
def test_how_large_an_array_may_be(fake: FakeSlurm, said: str, most: int) -> None:
    fake.before("scontrol", f"cat <<'END'\n{said}\nEND\n")
    assert slurm.max_jobs() == most
    assert fake.calls == [["scontrol", "show", "config"]]


def test_a_small_array_is_not_asked_about(submit: Callable[..., Outcome], fake: FakeSlurm) -> None:
    assert submit("--workers", "2").code == 0
    assert fake.called("scontrol") == []


def test_one_allocation_is_one_job(submit: Callable[..., Outcome], fake: FakeSlurm, out: Path, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("layout: allocation\ninterface: ib0\n")
    outcome = submit("--profile", tmp_path / "site.yaml", "--workers", "2")
    assert outcome.code == 0, outcome.err
    assert "submitted: driver 101 (2 processes" in outcome.out
    assert fake.calls == [["sbatch", "--test-only"], ["sbatch", "--parsable"]]
    record = JobFiles(out).record()
    assert record is not None
    assert record.driver_name == record.worker_name
    assert (record.layout, record.driver_id, record.worker_id, record.interface) == ("allocation", "101", "", "ib0")


def test_the_cluster_is_part_of_parsable(submit: Callable[..., Outcome], fake: FakeSlurm, out: Path) -> None:
    fake.before("submit-driver", 'echo "warning: from the site"; echo "55;cluster"; exit 0')
    assert submit().code == 0
    assert fake.calls[-1] == ["sbatch", "--parsable", "--dependency=after:55"]


def test_every_submission_has_a_name_of_its_own(
    submit: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path
) -> None:
    fake.set_queue()
    assert submit().code == 0
    again = JobFiles(out).record()
    assert again is not None
    assert again.token != record.token
    assert again.driver_name != record.driver_name


@pytest.mark.parametrize("missing", ["sbatch", "squeue", "scancel", "scontrol"])
def test_no_slurm_here(submit: Callable[..., Outcome], fake: FakeSlurm, out: Path, missing: str) -> None:
    (fake.bin / missing).unlink()
    sentence = submit().sentence()
    assert sentence == (
        f"`{missing}` is not on the PATH of this machine; submit from a login node of a Slurm cluster "
        "(`module load slurm`?), or use `qbsweep run`"
    )
    assert not out.exists()
    assert fake.calls == []


REASONS = {
    "partition": (
        [
            "sbatch: error: invalid partition specified: nope",
            "sbatch: error: Batch job submission failed: Invalid partition name specified",
        ],
        "invalid partition specified: nope; Invalid partition name specified",
    ),
    "account": (
        ["sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"],
        "Invalid account or account/partition combination specified",
    ),
    "limit": (
        [
            "sbatch: error: QOSMaxWallDurationPerJobLimit",
            "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit)",
        ],
        "QOSMaxWallDurationPerJobLimit; Job violates accounting/QOS policy (job submit limit)",
    ),
    "said twice": (["sbatch: error: Memory", "sbatch: error: Memory"], "Memory"),
    "test only": (
        ["allocation failure: Requested node configuration is not available"],
        "Requested node configuration is not available",
    ),
    "two lines": (["sbatch: one", "sbatch: two"], "sbatch: one sbatch: two"),
    "fatal": (["sbatch: fatal: stdin: line 2: Unmatched quote"], "stdin: line 2: Unmatched quote"),
}


@pytest.mark.parametrize(("lines", "reason"), REASONS.values(), ids=REASONS.keys())
@pytest.mark.parametrize("role", ["driver", "workers"])
def test_refused_before_anything_is_written(
    submit: Callable[..., Outcome], fake: FakeSlurm, out: Path, lines: list[str], reason: str, role: str
) -> None:
    fake.refuse(f"test-{role}", *lines)
    sentence = submit().sentence()
    assert sentence == f"Slurm refused the {role} job: {reason}; mend the profile or its options"
    assert not out.exists()
    assert fake.submitted == 0


def test_the_driver_is_refused_after_all(submit: Callable[..., Outcome], fake: FakeSlurm, out: Path) -> None:
    fake.refuse("submit-driver", "sbatch: error: Batch job submission failed: Job limit")
    assert submit().sentence() == "Slurm refused the driver job: Job limit; mend the profile or its options"
    assert JobFiles(out).record() is None
    assert not (out / "slurm/jobs.json").exists()
    assert fake.submitted == 1
    assert not (out / "lock").exists()
    (fake.folder / "before/submit-driver").unlink()
    assert submit().code == 0


def test_the_workers_are_refused_after_all(submit: Callable[..., Outcome], fake: FakeSlurm, out: Path) -> None:
    fake.set_queue("7|qb-test-00000000|RUNNING|None|node1|1:00")
    fake.refuse("submit-workers", "sbatch: error: Batch job submission failed: Array too large")
    assert submit().sentence() == "Slurm refused the worker jobs: Array too large; mend the profile or its options"
    assert not (out / "slurm/jobs.json").exists()
    (other, *_), (identity, name, state) = fake.jobs
    assert (identity, state) == ("102", "CANCELLED")
    assert other == "7"
    assert fake.jobs[0][2] == "RUNNING"
    assert fake.called("scancel")[0] == ["--quiet", user(), f"--name={name}"]
    assert {argument for call in fake.called("scancel") for argument in call} == {
        "--quiet",
        user(),
        f"--name={name}",
        f"--name={name}-workers",
    }


def test_a_driver_that_could_not_be_cancelled_is_not_forgotten(
    submit: Callable[..., Outcome], qbsweep: Callable[..., Outcome], fake: FakeSlurm, out: Path
) -> None:
    fake.refuse("submit-workers", "sbatch: error: Array too large")
    fake.refuse("scancel", "scancel: error: Unable to contact slurm controller")
    submit().sentence()
    assert fake.jobs[0][2] == "PENDING"
    shutil.rmtree(fake.folder / "before")
    assert qbsweep("cancel", out).code == 0
    assert fake.jobs[0][2] == "CANCELLED"


@pytest.mark.parametrize("command", ["test-driver", "test-workers", "submit-driver", "submit-workers"])
def test_sbatch_hangs(
    submit: Callable[..., Outcome], fake: FakeSlurm, out: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    fake.hang(command, monkeypatch)
    assert submit().sentence() == "Slurm did not answer within 30 s; nothing was submitted, try again later"
    assert out.exists() == command.startswith("submit")
    assert not (out / "slurm/jobs.json").exists()
    # What Slurm took in the end is cancelled.
    assert len(fake.called("scancel")) == (2 if command.startswith("submit") else 0)
    assert all(state == "CANCELLED" for *_, state in fake.jobs)


@pytest.mark.parametrize(
    "state", ["PENDING", "RUNNING", "CONFIGURING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "COMPLETING"]
)
def test_submitted_already(
    submit: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path, state: str
) -> None:
    fake.set_queue(f"101|{record.driver_name}|{state}|Priority||1:00", f"102_1|{record.worker_name}|PENDING|||")
    before = contents(out)
    assert submit().sentence() == (
        f"{out} is submitted already: job 101 is {state} (Priority); "
        f"`qbsweep status {out}` follows it, `qbsweep cancel {out}` stops it"
    )
    assert {call[0] for call in fake.calls} == {"squeue"}
    assert contents(out) == before


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"])
def test_submit_goes_on_where_a_driver_ended(
    submit: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path, state: str
) -> None:
    fake.set_queue(f"101|{record.driver_name}|{state}|None|node1|0:00")
    assert submit().code == 0
    assert fake.submitted == 2
    again = JobFiles(out).record()
    assert again is not None
    assert again.token != record.token


def test_workers_of_a_dead_driver_are_cancelled(
    submit: Callable[..., Outcome], fake: FakeSlurm, record: Record
) -> None:
    fake.set_queue(
        f"101|{record.driver_name}|FAILED|None|node1|0:00",
        f"102_0|{record.worker_name}|COMPLETED|None|node1|0:00",
        f"102_1|{record.worker_name}|PENDING|Resources||",
        "104|qb-test-other|RUNNING|None|node2|1:00",
    )
    assert submit().code == 0
    assert fake.called("scancel") == [["--quiet", user(), f"--name={record.worker_name}"]]
    assert [job for job in fake.jobs if job[0] == "104"] == [("104", "qb-test-other", "RUNNING")]
    assert fake.calls.index(["scancel", *fake.called("scancel")[0]]) < fake.calls.index(["sbatch", "--parsable"])


def test_nobody_is_cancelled_without_the_lock(
    submit: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path
) -> None:
    fake.set_queue(f"102_1|{record.worker_name}|PENDING|Resources||")
    with locked(out):
        assert submit().sentence().startswith(f"{out} is being run by process {os.getpid()} on ")
    assert fake.called("scancel") == []
    fake.refuse("test-driver", "sbatch: error: no")
    submit().sentence()
    assert fake.called("scancel") == []


def test_workers_that_cannot_be_cancelled(submit: Callable[..., Outcome], fake: FakeSlurm, record: Record) -> None:
    fake.set_queue(f"102_1|{record.worker_name}|PENDING|Resources||")
    fake.refuse("scancel", "scancel: error: no")
    assert submit().sentence() == (
        f"Slurm did not cancel the jobs named {record.worker_name}: scancel: error: no; try again later"
    )
    assert fake.submitted == 0


@pytest.mark.parametrize("how", ["fails", "hangs"])
@pytest.mark.parametrize("command", ["submit", "cancel"])
def test_squeue_does_not_answer(
    qbsweep: Callable[..., Outcome],
    submit: Callable[..., Outcome],
    fake: FakeSlurm,
    record: Record,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    command: str,
) -> None:
    if how == "fails":
        fake.before("squeue", "exit 1")
    else:
        fake.hang("squeue", monkeypatch)
    before, queue = contents(out), fake.jobs
    if command == "submit":
        expected = f"Slurm does not answer, and jobs of {out} may be waiting in it; try again later, or remove "
        expected += f"{out}/slurm if that cluster is gone for good"
        assert submit().sentence() == expected
    else:
        expected = "Slurm does not answer; nothing was cancelled, try again later"
        assert qbsweep("cancel", out).sentence() == expected
    assert {call[0] for call in fake.calls} == {"squeue"}
    assert fake.jobs == queue
    assert contents(out) == before


def test_nothing_is_left_to_do(
    qbsweep: Callable[..., Outcome], submit: Callable[..., Outcome], fake: FakeSlurm, sweep: Path, out: Path
) -> None:
    assert qbsweep("run", sweep, "--executor", "serial", "--out", out).code == 0
    before = contents(out)
    outcome = submit()
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("all points are solved already; nothing was submitted\n")
    assert "4 ok, 0 suspect, 0 failed, 0 pending" in outcome.out
    assert fake.submitted == 0
    assert contents(out) == before


def test_only_what_is_pending_counts(
    qbsweep: Callable[..., Outcome], submit: Callable[..., Outcome], sweep: Path, out: Path
) -> None:
    """Not more workers than blocks are left."""
    assert submit("--dry-run", "--workers", "9").out.count("--array=0-3\n") == 1
    assert qbsweep("run", sweep, "--executor", "serial", "--out", out, *OPTIONS).code == 0
    store = Store(out / "data.zarr")
    assert store.grid.n_blocks == 4
    for number in (0, 1):
        store.set_status(number, np.zeros_like(store.block_status(number)))
    assert submit("--dry-run", "--workers", "9").out.count("--array=0-1\n") == 1


def test_failed_points_that_are_solved_again_count(
    qbsweep: Callable[..., Outcome], submit: Callable[..., Outcome], sweep: Path, out: Path
) -> None:
    assert qbsweep("run", sweep, "--executor", "serial", "--out", out, *OPTIONS).code == 0
    store = Store(out / "data.zarr")
    for number in (1, 2, 3):
        store.set_status(number, np.full_like(store.block_status(number), FAILED))
    assert submit("--dry-run", "--workers", "9").out.count("--array=0-0\n") == 1
    assert submit("--dry-run", "--workers", "9", "--retry-failed").out.count("--array=0-2\n") == 1


def test_a_dry_run_changes_nothing(submit: Callable[..., Outcome], fake: FakeSlurm, out: Path) -> None:
    outcome = submit("--dry-run")
    assert outcome.code == 0
    assert not out.exists()
    assert fake.calls == []
    assert [line for line in outcome.out.splitlines() if line.startswith("# ----")] == [
        f"# ---- {out}/slurm/driver.sh",
        f"# ---- {out}/slurm/workers.sh",
    ]
    assert outcome.out.count("#!/bin/bash\n") == 2
    assert outcome.out.count('\nexit "$code"\n') == 2


def test_a_dry_run_on_a_submitted_run(
    submit: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path
) -> None:
    before = contents(out)
    assert submit("--dry-run").code == 0
    assert contents(out) == before
    assert fake.calls == []


def test_a_dry_run_needs_no_slurm(submit: Callable[..., Outcome], fake: FakeSlurm) -> None:
    shutil.rmtree(fake.bin)
    assert submit("--dry-run").code == 0


def test_jobs_inherit_nothing_from_the_job_that_submits(
    submit: Callable[..., Outcome],
    qbsweep: Callable[..., Outcome],
    fake: FakeSlurm,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inherited = {"SLURM_JOB_ID": "9", "SLURM_MEM_PER_CPU": "1", "SBATCH_ARRAY_INX": "1", "SQUEUE_FORMAT": "%i"}
    inherited |= {"SCANCEL_INTERACTIVE": "1", "SBATCH_TEST": "1", "SBATCH_TIMELIMIT": "1", "SLURM_ACCOUNT": "x"}
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    kept = {"SLURM_CONF": "/etc/there.conf", "SBATCH_ACCOUNT": "a", "SBATCH_PARTITION": "b", "SBATCH_QOS": "c"}
    kept |= {"SBATCH_RESERVATION": "d"}
    for name, value in (kept | {"MY_OWN": "kept"}).items():
        monkeypatch.setenv(name, value)
    for command in ("squeue", "scancel"):
        fake.before(command, f'env > "$D/{command}.env"')
    assert submit().code == 0
    assert qbsweep("cancel", out).code == 0
    environments = sorted(fake.folder.glob("*.env"))
    assert [path.stem for path in environments] == [
        "scancel",
        "squeue",
        "submit-driver",
        "submit-workers",
        "test-driver",
        "test-workers",
    ]
    for path in environments:
        lines = dict(line.partition("=")[::2] for line in path.read_text().splitlines())
        slurms = {name: value for name, value in lines.items() if name.startswith(("SLURM", "SBATCH", "SQ", "SCANCEL"))}
        assert slurms == kept
        assert lines["MY_OWN"] == "kept"


# the run directory


def test_a_directory_in_a_file(qbsweep: Callable[..., Outcome], fake: FakeSlurm, sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file/out"):
        sentence = qbsweep("submit", sweep, "--out", path).sentence()
        assert sentence == f"{path} is or lies in a file, not a directory; take another place"
    assert fake.submitted == 0


def test_a_directory_that_cannot_be_made(qbsweep: Callable[..., Outcome], fake: FakeSlurm, sweep: Path) -> None:
    path = Path("/proc/out")  # where not even root may write
    sentence = qbsweep("submit", sweep, "--out", path).sentence()
    assert re.fullmatch(r"/proc/out cannot be written: [A-Z][a-z ]+; mend that, or take another directory", sentence)
    assert fake.submitted == 0


def test_a_directory_that_everybody_may_write(submit: Callable[..., Outcome], fake: FakeSlurm, out: Path) -> None:
    out.mkdir()
    out.chmod(0o777)
    assert submit().sentence() == f"{out} is writable by everybody; `chmod o-w {out}` mends that"
    assert fake.submitted == 0
    assert not (out / "slurm").exists()
    out.chmod(0o775)
    assert submit().code == 0


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\tb", "a\x01b"])
@pytest.mark.parametrize("option", [(), ("--dry-run",)], ids=["submit", "dry run"])
def test_a_path_that_no_script_can_hold(
    qbsweep: Callable[..., Outcome], fake: FakeSlurm, sweep: Path, tmp_path: Path, name: str, option: tuple[str, ...]
) -> None:
    outcome = qbsweep("submit", sweep, "--out", tmp_path / name, *option)
    assert outcome.code == 2
    assert "must not have quotes, backslashes or control characters in its path; give an --out" in outcome.err
    assert outcome.out == ""
    assert not (tmp_path / name).exists()
    assert fake.calls == []


@pytest.mark.parametrize("name", ["my run", "50%", "it's", "a#b", "$(id)"])
def test_an_odd_path_works(
    qbsweep: Callable[..., Outcome], fake: FakeSlurm, sweep: Path, tmp_path: Path, name: str
) -> None:
    assert qbsweep("submit", sweep, "--out", tmp_path / name).code == 0
    assert qbsweep("status", tmp_path / name).code == 1
    assert qbsweep("cancel", tmp_path / name).code == 0
    assert {state for *_, state in fake.jobs} == {"CANCELLED"}


def test_a_relative_path_becomes_absolute_in_scripts(
    qbsweep: Callable[..., Outcome], fake: FakeSlurm, sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert qbsweep("submit", sweep).code == 0
    for name in ("driver", "workers"):
        text = (tmp_path / f"runs/test/slurm/{name}.sh").read_text()
        assert f"#SBATCH --output={tmp_path}/runs/test/slurm/logs/" in text
        assert f" {tmp_path}/runs/test" in next(line for line in text.splitlines() if " -m qbsweep" in line)


def test_a_running_directory_is_left_alone(submit: Callable[..., Outcome], fake: FakeSlurm, out: Path) -> None:
    with locked(out):
        sentence = submit().sentence()
        assert sentence.startswith(f"{out} is being run by process {os.getpid()} on ")
    assert fake.submitted == 0
    assert not (out / "slurm").exists()


def test_a_dataset_of_another_version(
    submit: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path
) -> None:
    fake.set_queue()
    path = out / "data.zarr/zarr.json"
    document = json.loads(path.read_text())
    document["attributes"]["qbsweep_format"] = 99
    path.write_text(json.dumps(document))
    shutil.rmtree(path.with_name("seals"))  # else it would be a damaged one of this version
    before = contents(out)
    assert re.search(r"data\.zarr has format 99, but this version .* reads the formats 2 and 3", submit().sentence())
    assert fake.calls == []
    assert contents(out) == before


def test_a_directory_that_vanished(qbsweep: Callable[..., Outcome], record: Record, out: Path) -> None:
    shutil.rmtree(out)
    for command in ("status", "cancel", "logs"):
        sentence = qbsweep(command, out).sentence()
        assert sentence == f"{out} is not a run directory: it does not exist; `qbsweep run SWEEP` makes one"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--time", "soon"), "`--time` must be a time like 90min, 12h or 1-00:00:00, but is the text 'soon'"),
        (("--time", "0"), "`--time` must be a time like 90min, 12h or 1-00:00:00, but is the text '0'"),
        (("--profile", "nowhere.yaml"), "nowhere.yaml does not exist; give the path of a YAML file"),
        (("--workers", "0"), r"Invalid value for '--workers'.*"),
        (("--workers", "10001"), r"Invalid value for '--workers'.*"),
    ],
)
def test_options(
    submit: Callable[..., Outcome], fake: FakeSlurm, out: Path, options: tuple[str, ...], sentence: str
) -> None:
    assert re.fullmatch(sentence, submit(*options).sentence())
    assert not out.exists()
    assert fake.calls == []


def test_a_block_that_is_longer_than_its_job(sweep: Path, out: Path) -> None:
    prepared = decide(
        load_spec(sweep), out, load_profile(None), workers=None, minutes=10, retry_failed=False, block_seconds=1e-6
    )
    assert 0 < prepared.longest_block < 1
    assert replace(prepared, longest_block=299.0).doubt is None
    assert replace(prepared, longest_block=3000.0).doubt == (
        "the longest block is predicted to take 50 min, but a worker job lasts 10 min; one that does not fit ends as "
        "failed: give more --time or less --block-seconds"
    )


# secrets


def test_credentials_are_the_users_alone_and_renewed(
    submit: Callable[..., Outcome], fake: FakeSlurm, out: Path
) -> None:
    out.mkdir(mode=0o755)
    umask = os.umask(0o000)
    try:
        assert submit().code == 0
    finally:
        os.umask(umask)
    folder = out / "slurm/tls"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert [path.name for path in files] == ["tls_client_cert.pem", "tls_client_key.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    first = [path.read_text() for path in files]
    assert "CERTIFICATE" in first[0]
    assert "PRIVATE KEY" in first[1]
    fake.set_queue()
    assert submit().code == 0
    second = [path.read_text() for path in files]
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_secrets_stay_where_they_are(
    submit: Callable[..., Outcome], qbsweep: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path
) -> None:
    fake.set_queue()
    said = submit().out + qbsweep("status", out).out + qbsweep("status", out, "--json").out
    assert qbsweep("cancel", out).code == 0
    lines = [line for path in (out / "slurm/tls").iterdir() for line in path.read_text().splitlines()]
    secret = [line for line in lines if len(line) > 40 or line.startswith("-----")]
    assert len(secret) > 6
    seen = {name: data for name, data in contents(out).items() if not name.startswith("slurm/tls/")}
    seen |= {f"slurm: {name}": data for name, data in contents(fake.folder).items()} | {"said": said.encode()}
    assert {"slurm/jobs.json", "slurm/driver.sh", "data.zarr/zarr.json", "slurm: submit-driver.env"} <= set(seen)
    for name, data in seen.items():
        assert not any(line.encode() in data for line in secret), name


# status, cancel, logs


def test_names_and_not_ids_are_asked_for(
    qbsweep: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path
) -> None:
    assert qbsweep("status", out).code == 1
    outcome = qbsweep("cancel", out)
    assert (outcome.code, outcome.out) == (0, "cancelled: 101, 102\n")
    names = f"--name={record.driver_name},{record.worker_name}"
    asked = ["--noheader", "--array", "--states=all", user(), names, "--format=%i|%j|%T|%r|%N|%L"]
    assert fake.calls == [
        ["squeue", *asked],
        ["squeue", *asked],
        ["scancel", "--quiet", user(), f"--name={record.driver_name}"],
        ["scancel", "--quiet", user(), f"--name={record.worker_name}"],
    ]
    assert [state for *_, state in fake.jobs] == ["CANCELLED", "CANCELLED"]


def test_an_id_that_is_somebody_elses_by_now(
    qbsweep: Callable[..., Outcome], submit: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path
) -> None:
    """A controller that lost its memory gives ids away again."""
    strangers = (
        "101|somebody-else|RUNNING|None|node1|1:00:00",
        "102|qb-test-00000000-workers|RUNNING|None|node1|1:00:00",
    )
    fake.set_queue(*strangers)
    status = json.loads(qbsweep("status", out, "--json").out)
    assert (status["slurm"]["jobs"], status["state"]) == ([], "interrupted")
    assert "none in the queue any more" in qbsweep("status", out).out
    outcome = qbsweep("cancel", out)
    assert (outcome.code, outcome.out) == (0, "no job of this run is running or waiting\n")
    assert fake.called("scancel") == []
    assert submit().code == 0
    assert fake.queue.read_text().splitlines()[:2] == list(strangers)


def test_what_status_says(qbsweep: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path) -> None:
    fake.set_queue(
        f"101|{record.driver_name}|RUNNING|None|node1|1-02:03:04",
        f"102_0|{record.worker_name}|RUNNING|None|node1|59:00",
        f"102_1|{record.worker_name}|RUNNING|None|node2|59:00",
        f"102_2|{record.worker_name}|PENDING|Resources||1:00:00",
        "a line | of something else",
    )
    outcome = qbsweep("status", out)
    assert outcome.code == 1
    assert re.search(r"^state +queued *$", outcome.out, re.M)
    assert re.search(r"^points +4: 0 ok, 0 suspect, 0 failed, 4 pending *$", outcome.out, re.M)
    assert re.search(r"^driver job +101 RUNNING on node1, .* left *$", outcome.out, re.M)
    assert re.search(r"^worker jobs +102: 2 RUNNING, 1 PENDING \(Resources\) *$", outcome.out, re.M)
    status = json.loads(qbsweep("status", out, "--json").out)
    queue = status["slurm"]
    assert (status["state"], status["exit_code"], status["pending"], status["blocks"]) == ("queued", 1, 4, 4)
    assert set(queue) == {"layout", "driver_id", "worker_id", "submitted", "workers", "answers", "jobs"}
    assert (queue["layout"], queue["driver_id"], queue["worker_id"]) == ("jobs", "101", "102")
    assert (queue["workers"], queue["answers"]) == (3, True)
    assert queue["submitted"] == record.submitted
    assert queue["jobs"][0] == {
        "id": "101",
        "role": "driver",
        "state": "RUNNING",
        "active": True,
        "reason": "",
        "node": "node1",
        "seconds_left": 86400 + 2 * 3600 + 3 * 60 + 4,
    }
    assert [(job["id"], job["role"], job["seconds_left"]) for job in queue["jobs"][1:]] == [
        ("102_0", "worker", 3540),
        ("102_1", "worker", 3540),
        ("102_2", "worker", 3600),
    ]


@pytest.mark.parametrize(
    ("line", "state", "shown"),
    [
        ("101|NAME|PENDING|Priority||2:00:00", "queued", r"driver job +101 PENDING \(Priority\)"),
        ("101|NAME|COMPLETING|None|node1|1:00", "queued", r"driver job +101 COMPLETING on node1, 60 s left"),
        ("101|NAME|CANCELLED by 0|None||0:00", "interrupted", r"driver job +101 CANCELLED by 0"),
        ("101|NAME|TIMEOUT|TimeLimit|node1|0:00", "interrupted", r"driver job +101 TIMEOUT on node1"),
    ],
)
def test_states_of_the_driver(
    qbsweep: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path, line: str, state: str, shown: str
) -> None:
    fake.set_queue(line.replace("NAME", record.driver_name))
    outcome = qbsweep("status", out)
    assert re.search(rf"^state +{state} *$", outcome.out, re.M)
    assert re.search(rf"^{shown}", outcome.out, re.M), outcome.out


def test_status_without_slurm(qbsweep: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path) -> None:
    shutil.rmtree(fake.bin)
    outcome = qbsweep("status", out)
    assert (outcome.code, outcome.err) == (1, "")
    assert re.search(r"^points +4: 0 ok, 0 suspect, 0 failed, 4 pending *$", outcome.out, re.M)
    assert re.search(r"^jobs +driver 101; Slurm does not answer from here *$", outcome.out, re.M)
    status = json.loads(qbsweep("status", out, "--json").out)
    assert (status["slurm"]["answers"], status["slurm"]["jobs"]) == (False, [])
    assert "`sbatch` is not on the PATH" in qbsweep("cancel", out).sentence()


def test_status_of_a_run_that_was_not_submitted(
    qbsweep: Callable[..., Outcome], fake: FakeSlurm, sweep: Path, out: Path
) -> None:
    assert qbsweep("run", sweep, "--executor", "serial", "--out", out).code == 0
    status = json.loads(qbsweep("status", out, "--json").out)
    assert (status["slurm"], status["state"]) == (None, "complete")
    assert "job" not in qbsweep("status", out).out
    assert qbsweep("cancel", out).sentence() == f"{out} was not submitted: there are no jobs to cancel"
    sentence = f"{out} has no logs of jobs: it was not submitted, or none of its jobs has begun"
    assert qbsweep("logs", out).sentence() == sentence
    assert fake.calls == []


def test_logs(qbsweep: Callable[..., Outcome], record: Record, out: Path) -> None:
    assert "has no logs of jobs" in qbsweep("logs", out).sentence()
    folder = out / "slurm/logs"
    for name in ("worker-10", "worker-2", "driver"):
        (folder / f"{name}.log").write_text("".join(f"{name} line {i}\n" for i in range(30)))
    (folder / "worker-2.log").write_bytes(b"\xff broken\n")
    outcome = qbsweep("logs", out, "--lines", "2")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        f"==> {folder}/driver.log <==",
        "driver line 28",
        "driver line 29",
        f"==> {folder}/worker-2.log <==",
        "\N{REPLACEMENT CHARACTER} broken",
        f"==> {folder}/worker-10.log <==",
        "worker-10 line 28",
        "worker-10 line 29",
    ]


DAMAGED = "{} is damaged or from another version; see with `squeue --me` whether its jobs are alive, then remove it"
GARBAGE = {
    "empty": "",
    "binary": "\x00\x01",
    "cut short": '{"token": "0123',
    "list": "[1, 2]",
    "number": "3",
    "null": "null",
    "no keys": "{}",
    "a key too few": '{"token": "01234567"}',
    "another version's": None,
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_broken_record(
    qbsweep: Callable[..., Outcome],
    submit: Callable[..., Outcome],
    fake: FakeSlurm,
    record: Record,
    out: Path,
    text: str | None,
) -> None:
    path = out / "slurm/jobs.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"new": 1}) if text is None else text)
    outcome = qbsweep("status", out)
    assert (outcome.code, outcome.err) == (1, "")
    assert json.loads(qbsweep("status", out, "--json").out)["slurm"] is None
    for refused in (qbsweep("cancel", out), submit()):
        assert refused.sentence() == DAMAGED.format(path)
    assert fake.calls == []
    path.unlink()
    assert submit().code == 0


@pytest.mark.parametrize(
    "change",
    [
        {"driver_name": 3},
        {"worker_name": None},
        {"driver_name": ["a"]},
        {"workers": "3"},
        {"seconds": 1.5},
        {"layout": 1},
    ],
)
def test_a_record_with_other_types(
    qbsweep: Callable[..., Outcome],
    submit: Callable[..., Outcome],
    fake: FakeSlurm,
    record: Record,
    out: Path,
    change: dict[str, Any],
) -> None:
    path = out / "slurm/jobs.json"
    content = json.loads(path.read_text()) | change
    del content["crc"]  # as an earlier version wrote it: a wrong checksum would hide the type
    path.write_text(json.dumps(content))
    outcome = qbsweep("status", out)
    assert (outcome.code, outcome.err) == (1, "")
    assert not re.search(r"^(driver job|worker jobs|jobs) ", outcome.out, re.M)
    for refused in (qbsweep("cancel", out), submit()):
        assert refused.sentence() == DAMAGED.format(path)
    assert fake.calls == []


def test_two_submit_at_the_same_time(
    submit: Callable[..., Outcome], fake: FakeSlurm, record: Record, out: Path
) -> None:
    """The other one is through while this one asks Slurm whether it would take the jobs."""
    path = out / "slurm/jobs.json"
    other = path.read_text()
    path.unlink()
    path.with_name("other.json").write_text(other)
    fake.before("test-workers", f"cp '{path.with_name('other.json')}' '{path}'")
    sentence = submit().sentence()
    assert sentence.startswith(f"{out} is submitted already: job 101 is PENDING")
    assert path.read_text() == other
    assert fake.submitted == 0


# what squeue prints


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("UNLIMITED", None),
        ("INVALID", None),
        ("NOT_SET", None),
        ("N/A", None),
        ("", None),
        ("-1:00", None),
        ("1:2:3:4", None),
        ("0", 0),
        ("59", 59),
        ("0:00", 0),
        ("0:59", 59),
        ("1:00", 60),
        ("59:59", 3599),
        ("1:00:00", 3600),
        ("23:59:59", 86399),
        ("1-00:00:00", 86400),
        ("2-03:04:05", 2 * 86400 + 3 * 3600 + 4 * 60 + 5),
        ("365-00:00:01\n", 365 * 86400 + 1),
    ],
)
def test_time_left(text: str, seconds: int | None) -> None:
    assert slurm.parse_left(text) == seconds


def as_squeue(seconds: int) -> str:
    """As Slurm's secs2time_str does."""
    days, hours, minutes, rest = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@given(st.integers(0, 400 * 86400) | st.integers(0, 7200))
def test_time_left_round_trip(seconds: int) -> None:
    assert slurm.parse_left(as_squeue(seconds)) == seconds


def test_a_line_of_squeue() -> None:
    job = slurm.parse_job("17_3|qb-a-01234567-workers|RUNNING|None|node7|1:00")
    assert job == Job("17_3", "qb-a-01234567-workers", "RUNNING", "", "node7", 60)
    assert slurm.parse_job("17|a|PENDING|Priority||INVALID") == Job("17", "a", "PENDING", "Priority", "", None)


@pytest.mark.parametrize(
    ("state", "active", "alive"),
    [
        ("PENDING", True, True),
        ("RUNNING", True, True),
        ("REQUEUE_HOLD", True, True),
        ("COMPLETING", True, False),
        ("COMPLETED", False, False),
        ("CANCELLED", False, False),
        ("FAILED", False, False),
        ("NODE_FAIL", False, False),
        ("PREEMPTED", False, False),
        ("OUT_OF_MEMORY", False, False),
        ("TIMEOUT", False, False),
        ("BOOT_FAIL", False, False),
        ("DEADLINE", False, False),
    ],
)
def test_states(state: str, active: bool, alive: bool) -> None:
    job = Job("1", "a", state, "", "", None)
    assert (job.active, job.alive) == (active, alive)


def test_requeue_takes_one_task_of_an_array(fake: FakeSlurm) -> None:
    assert slurm.requeue(Job("17_3", "a", "FAILED", "", "", None))
    assert fake.calls == [["scontrol", "requeue", "17_3"]]
    fake.refuse("scontrol", "slurm_requeue error")
    assert not slurm.requeue(Job("17_3", "a", "FAILED", "", "", None))


def test_seconds_left_of_this_job(fake: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    assert slurm.seconds_left(JobContext.current()) is None
    assert fake.calls == []
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    fake.before("squeue", "echo 1:30; exit 0")
    assert slurm.seconds_left(JobContext.current()) == 90
    assert fake.calls == [["squeue", "--noheader", "--jobs=17", "--format=%L"]]
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "15")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert slurm.seconds_left(JobContext.current()) == 90
    assert fake.calls[-1] == ["squeue", "--noheader", "--jobs=15_2", "--format=%L"]
    fake.before("squeue", "echo 1:30; exit 1")
    assert slurm.seconds_left(JobContext.current()) is None


@pytest.mark.parametrize(
    ("state", "reason", "held"),
    [
        ("REQUEUE_HOLD", "", True),
        ("PENDING", "JobHeldUser", True),
        ("PENDING", "job_requeued_in_held_state", True),
        ("PENDING", "job requeued in held state", True),
        ("PENDING", "Resources", False),
        ("RUNNING", "", False),
    ],
)
def test_who_is_held(state: str, reason: str, held: bool) -> None:
    assert Job("1", "a", state, reason, "", None).held == held


def test_release_takes_one_task_of_an_array(fake: FakeSlurm) -> None:
    assert slurm.release(Job("17_3", "a", "REQUEUE_HOLD", "", "", None))
    assert fake.calls == [["scontrol", "release", "17_3"]]
    fake.refuse("scontrol", "error")
    assert not slurm.release(Job("17_3", "a", "REQUEUE_HOLD", "", "", None))


def test_only_what_waits_is_cancelled_if_so_asked(fake: FakeSlurm) -> None:
    slurm.cancel("a", "a", "b", pending_only=True)
    assert fake.called("scancel") == [["--quiet", user(), f"--name={name}", "--state=PENDING"] for name in "ab"]


def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "_SECONDS", 0.1)
    assert slurm._call("sleep", "100") is None
