"""The job scripts: their text is a function of the submission, and their supervising part runs in a real bash."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from qbsweep.slurm.profile import DriverForm, Profile
from qbsweep.slurm.resources import Resources
from qbsweep.slurm.scripts import Submission, scripts

RESOURCES = Resources(workers=6, jobs=3, cpus=2, minutes=90, driver_minutes=3000, memory=2000, driver_memory=1700)
SIMPLE = Submission(
    "qb-scan-0123abcd", "qb-scan-0123abcd-workers", Path("/data/run"), "/venv/bin/python", Profile(), RESOURCES
)
ALLOCATION = replace(SIMPLE, worker_name=SIMPLE.driver_name, profile=Profile(layout="allocation"))
FULL = replace(
    SIMPLE,
    profile=Profile.model_construct(
        partition="debug,long",
        account="proj-1",
        qos="high",
        constraint="a&(b|c)",
        directives=("--exclusive", "--nice=3"),
        setup=("module load python", 'export WHERE="${HOME}"'),
        scratch="$HOME/my dir",
        driver=DriverForm.model_construct(partition="serial", qos="low", directives=("--comment=driver",)),
    ),
)
SUBMISSIONS = {
    "simple": SIMPLE,
    "full": FULL,
    "allocation": ALLOCATION,
    "full allocation": replace(FULL, profile=FULL.profile.model_copy(update={"layout": "allocation"})),
    "odd path": replace(FULL, directory=Path("/data/my runs/50% #1/it's $(id) `id` & more"), python="/my venv/python"),
    "odd allocation": replace(ALLOCATION, directory=Path("/data/my runs/50%"), python="/my venv/python"),
    "one minute": replace(SIMPLE, resources=replace(RESOURCES, minutes=1, driver_minutes=1, jobs=1, cpus=1, workers=1)),
}
TEXTS = {f"{name}, {file}": text for name, job in SUBMISSIONS.items() for file, text in scripts(job).items()}


def directives(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]


def commands(script: str) -> str:
    return "\n".join(line for line in script.splitlines() if not line.startswith("#"))


def test_the_whole_text() -> None:
    assert (
        scripts(SIMPLE)["workers.sh"]
        == """\
#!/bin/bash
#SBATCH --job-name=qb-scan-0123abcd-workers
#SBATCH --array=0-2
#SBATCH --output=/data/run/slurm/logs/worker-%a.log
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=4000M
#SBATCH --time=0-01:30:00
#SBATCH --chdir=/data/run
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@60
# Written by `qbsweep submit`.
stopped=
trap 'kill -USR1 "$child" 2>/dev/null' USR1
trap 'stopped=yes; kill -TERM "$child" 2>/dev/null' TERM
/venv/bin/python -P -m qbsweep.slurm.supervisor /data/run 2 &
child=$!
wait "$child"
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
code=$?
case "$code$stopped" in
    75|13[4-9]|143)
        echo "exit code $code: back into the queue"
        scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" ;;
    78)
        echo "the driver is queued: back into the queue, held until it calls"
        scontrol requeuehold "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" ;;
esac
exit "$code"
"""
    )


def test_the_driver_differs_in_its_head_and_its_command() -> None:
    driver, workers = scripts(SIMPLE)["driver.sh"], scripts(SIMPLE)["workers.sh"]
    assert directives(driver) == [
        "--job-name=qb-scan-0123abcd",
        "--output=/data/run/slurm/logs/driver.log",
        "--ntasks=1",
        "--cpus-per-task=1",
        "--mem=1700M",
        "--time=2-02:00:00",
        "--chdir=/data/run",
        "--open-mode=append",
        "--requeue",
        "--signal=B:USR1@60",
    ]
    same = commands(workers).replace("qbsweep.slurm.supervisor /data/run 2", "qbsweep driver /data/run")
    assert commands(driver) == same.replace("${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID", "$SLURM_JOB_ID")


def test_one_allocation_runs_the_workers_beside_the_driver() -> None:
    assert list(scripts(ALLOCATION)) == ["driver.sh"]
    text = scripts(ALLOCATION)["driver.sh"]
    assert directives(text) == [
        "--job-name=qb-scan-0123abcd",
        "--output=/data/run/slurm/logs/driver.log",
        "--ntasks=7",
        "--cpus-per-task=1",
        "--mem-per-cpu=2000M",
        "--time=0-01:30:00",
        "--chdir=/data/run",
        "--open-mode=append",
        "--requeue",
        "--signal=B:USR1@60",
    ]
    step = (
        "srun --overlap --kill-on-bad-exit=0 --ntasks=6 --output=/data/run/slurm/logs/worker-%t.log "
        "--open-mode=append /venv/bin/python -P -m qbsweep.slurm.supervisor /data/run 1 &\nbeside=$!\n"
    )
    wait = (
        'while [ -n "$warned" ] && [ -z "$stopped" ] && [ "$SECONDS" -lt 5395 ] \\\n'
        '    && kill -0 "$beside" 2>/dev/null; do sleep 1; done\n'
    )
    expected = commands(scripts(SIMPLE)["driver.sh"])
    for old, new in {
        "stopped=\n": "stopped=\nwarned=\n",
        'kill -USR1 "$child"': 'warned=yes; kill -USR1 "$child" "$beside"',
        "/venv/bin/python": step + "/venv/bin/python",
        "code=$?\n": "code=$?\n" + wait,
    }.items():
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert commands(text) == expected


def test_memory_of_an_allocation_is_that_of_its_largest_process() -> None:
    large = replace(ALLOCATION, resources=replace(RESOURCES, driver_memory=2500))
    assert "--mem-per-cpu=2500M" in directives(scripts(large)["driver.sh"])


@pytest.mark.parametrize("job", [SIMPLE, ALLOCATION], ids=["jobs", "allocation"])
def test_memory_may_be_left_to_the_site(job: Submission) -> None:
    for text in scripts(replace(job, resources=replace(RESOURCES, memory=0, driver_memory=0))).values():
        assert not any(line.startswith("--mem") for line in directives(text))
    sizes = [replace(RESOURCES, memory=0), replace(RESOURCES, driver_memory=0)]
    texts = [text for size in sizes for text in scripts(replace(job, resources=size)).values()]
    found = [line for text in texts for line in directives(text) if line.startswith("--mem")]
    assert found == (
        ["--mem-per-cpu=1700M", "--mem-per-cpu=2000M"] if job is ALLOCATION else ["--mem=1700M", "--mem=4000M"]
    )


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_same_submission_same_text(name: str) -> None:
    job = SUBMISSIONS[name]
    assert scripts(job) == scripts(replace(job)) == scripts(job)


def test_every_field_of_the_profile_is_one_directive() -> None:
    driver, workers = (scripts(FULL)[name] for name in ("driver.sh", "workers.sh"))
    plain = {name: directives(text) for name, text in scripts(SIMPLE).items()}
    common = ["--account=proj-1", "--constraint=a&(b|c)", "--exclusive", "--nice=3"]
    added = [*common, "--partition=debug,long", "--qos=high"]
    assert sorted(directives(workers)) == sorted([*plain["workers.sh"], *added])
    added = [*common, "--partition=serial", "--qos=low", "--comment=driver"]
    assert sorted(directives(driver)) == sorted([*plain["driver.sh"], *added])
    for text in (driver, workers):
        names = [line.partition("=")[0] for line in directives(text)]
        assert len(names) == len(set(names))


def test_the_driver_takes_what_is_not_its_own_from_the_workers() -> None:
    profile = FULL.profile.model_copy(update={"driver": DriverForm()})
    found = directives(scripts(replace(FULL, profile=profile))["driver.sh"])
    assert {"--partition=debug,long", "--qos=high"} <= set(found)
    assert not any(line.startswith("--comment") for line in found)


def test_an_allocation_has_the_profile_of_the_workers() -> None:
    found = directives(scripts(SUBMISSIONS["full allocation"])["driver.sh"])
    assert {"--partition=debug,long", "--qos=high", "--account=proj-1", "--exclusive"} <= set(found)


@pytest.mark.parametrize("name", TEXTS)
def test_directives_come_before_commands(name: str) -> None:
    """After its first command Slurm reads no more of a script."""
    lines = TEXTS[name].splitlines()
    assert lines[0] == "#!/bin/bash"
    last = max(i for i, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert all(line.startswith("#SBATCH ") for line in lines[1 : last + 1])
    assert TEXTS[name].endswith('\nexit "$code"\n')


def test_setup_comes_before_scratch_and_both_before_the_command() -> None:
    lines = scripts(FULL)["workers.sh"].splitlines()
    setup = lines.index("module load python")
    assert lines[setup + 1 : setup + 3] == ['export WHERE="${HOME}"', 'export TMPDIR="$HOME/my dir"']
    assert setup < next(i for i, line in enumerate(lines) if "qbsweep.slurm.supervisor" in line)


@pytest.mark.parametrize(
    ("minutes", "written", "warning"),
    [
        (1, "0-00:01:00", 15),
        (3, "0-00:03:00", 45),
        (60, "0-01:00:00", 60),
        (1440, "1-00:00:00", 60),
        (4000, "2-18:40:00", 60),
    ],
)
def test_walltime_and_its_warning(minutes: int, written: str, warning: int) -> None:
    job = replace(SIMPLE, resources=replace(RESOURCES, minutes=minutes))
    found = directives(scripts(job)["workers.sh"])
    assert f"--time={written}" in found
    assert f"--signal=B:USR1@{warning}" in found


def read_as_sbatch_does(directive: str) -> str:
    """One word, in which `#` begins a comment and quotes do what they do in a shell."""
    words = shlex.split(directive, comments=True)
    assert len(words) == 1, words
    return words[0]


@pytest.mark.parametrize(
    "folder", ["/d/run", "/d/my run", "/d/run#1", "/d/#", "/d/it's", "/d/50%", "/d/%j %a", "/d/$(id)"]
)
@pytest.mark.parametrize("job", [SIMPLE, ALLOCATION], ids=["jobs", "allocation"])
def test_any_path_reaches_slurm_and_python(job: Submission, folder: str) -> None:
    for text in scripts(replace(job, directory=Path(folder))).values():
        logs = [read_as_sbatch_does(line) for line in directives(text) if line.startswith("--output")]
        assert len(logs) == 1
        # Slurm replaces %a and the like, and writes % for %%.
        pattern = logs[0].removeprefix("--output=")
        assert re.sub(r"%[aA]", "1", pattern.replace("%%", "\0")).replace("\0", "%") in (
            f"{folder}/slurm/logs/driver.log",
            f"{folder}/slurm/logs/worker-1.log",
        )
        lines = [line for line in text.splitlines() if " -P -m qbsweep" in line]
        assert lines
        assert f"--chdir={folder}" in [read_as_sbatch_does(line) for line in directives(text)]
        for line in lines:
            words = shlex.split(line)
            assert folder in words
            for word in words:
                if word.startswith("--output="):
                    assert word == f"--output={folder.replace('%', '%%')}/slurm/logs/worker-%t.log"


@pytest.mark.parametrize("name", TEXTS)
def test_bash_reads_it(name: str) -> None:
    done = subprocess.run(["bash", "-n"], input=TEXTS[name], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        if os.environ.get("CI"):
            pytest.fail("shellcheck is not installed")
        pytest.skip("shellcheck is not installed")
    for number, text in enumerate(TEXTS.values()):
        (tmp_path / f"{number}.sh").write_text(text)
    # SC2016: a path with a dollar sign is meant literally.
    done = subprocess.run(
        ["shellcheck", "--exclude=SC2016", *tmp_path.glob("*.sh")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout


class Running:
    """A job script that runs with a stub in the place of Python, and one of scontrol."""

    def __init__(self, folder: Path, script: str, python: str, path: Path, is_array: bool, **env: str) -> None:
        self.folder, self.identity = folder, "15_2" if is_array else "17"
        stub(folder / "python", f"cd {shlex.quote(str(folder))}\nprintf '%s\\n' \"$@\" > argv\n{python}")
        environment = {"PATH": f"{path}:/usr/bin:/bin", "SLURM_JOB_ID": "17", **env}
        environment |= {"SLURM_ARRAY_JOB_ID": "15", "SLURM_ARRAY_TASK_ID": "2"} if is_array else {}
        with (folder / "output").open("w") as output:
            self.process = subprocess.Popen(
                ["bash", "-c", script],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, *names: str, lines: int = 0) -> None:
        """Wait until these files are there, each with so many lines, and the script waits for what it has started.

        Before that it does not know yet whom to pass a signal on to.
        """
        until = time.monotonic() + 60
        script = psutil.Process(self.process.pid)
        while not (
            all((self.folder / name).exists() and len(self.lines(name)) >= lines for name in names)
            and script.status() == psutil.STATUS_SLEEPING
        ):
            assert time.monotonic() < until, f"no {names} with {lines} lines, or no script that waits"
            time.sleep(0.01)

    def end(self) -> int:
        return self.process.wait(timeout=60)

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


def stub(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture(params=["workers.sh", "allocation"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a script, the stub of whose Python has this text."""
    folder = tmp_path / "my run"
    path = tmp_path / "bin"
    for place in (folder, path):
        place.mkdir()
    quoted = shlex.quote(str(folder))
    stub(path / "scontrol", f'echo "$*" >> {quoted}/scontrol')
    stub(path / "srun", f'echo "$*" >> {quoted}/srun')
    job = ALLOCATION if request.param == "allocation" else SIMPLE
    running: list[Running] = []

    def begin(python: str, profile: Profile | None = None, **env: str) -> Running:
        profile = (profile or Profile()).model_copy(update={"layout": job.profile.layout})
        submission = replace(job, directory=folder, python=str(folder / "python"), profile=profile)
        text = list(scripts(submission).values())[-1]
        running.append(Running(folder, text, python, path, job is SIMPLE, **env))
        return running[-1]

    yield begin
    for one in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()


@pytest.mark.parametrize("code", [0, 1, 2, 3, 74, 76, 77, 79, 127, 130])
def test_an_end_is_an_end(start: Callable[..., Running], code: int) -> None:
    running = start(f"exit {code}")
    assert running.end() == code
    assert running.lines("scontrol") == []
    assert running.lines("output") == []


def test_exit_code_75_goes_back_into_the_queue(start: Callable[..., Running]) -> None:
    running = start("sleep 0.1; exit 75")
    assert running.end() == 75
    assert running.lines("scontrol") == [f"requeue {running.identity}"]
    assert running.lines("output") == ["exit code 75: back into the queue"]


def test_exit_code_78_waits_held(start: Callable[..., Running]) -> None:
    running = start("exit 78")
    assert running.end() == 78
    assert running.lines("scontrol") == [f"requeuehold {running.identity}"]
    assert running.lines("output") == ["the driver is queued: back into the queue, held until it calls"]


@pytest.mark.parametrize("name", ["KILL", "ABRT", "SEGV", "BUS", "TERM"])
def test_a_death_goes_back_into_the_queue(start: Callable[..., Running], name: str) -> None:
    running = start(f"ulimit -c 0; kill -{name} $$")
    assert running.end() == 128 + signal.Signals[f"SIG{name}"]
    assert running.lines("scontrol") == [f"requeue {running.identity}"]


def test_killed_from_outside(start: Callable[..., Running]) -> None:
    running = start("echo $$ > pid; while :; do sleep 0.05; done")
    running.wait_for("pid", lines=1)
    os.kill(int(running.lines("pid")[0]), signal.SIGKILL)
    assert running.end() == 137
    assert running.lines("scontrol") == [f"requeue {running.identity}"]


def test_a_failing_requeue_keeps_the_exit_code(start: Callable[..., Running], tmp_path: Path) -> None:
    stub(tmp_path / "bin/scontrol", "exit 1")
    running = start("exit 75")
    assert running.end() == 75


HEARS = """
echo $$ > pid
trap 'echo begun >> heard; sleep 0.3; echo NAME >> heard; exit CODE' NAME
touch ready
while :; do sleep 0.02; done
"""


# A job step that does this when it is warned.
BESIDE = """
cd {folder}
trap {trap} USR1
touch beside
while :; do sleep 0.02; done
"""


@pytest.mark.parametrize("code", [0, 1, 75])
def test_the_warning_is_passed_on_and_waited_for(start: Callable[..., Running], code: int) -> None:
    running = start(HEARS.replace("NAME", "USR1").replace("CODE", str(code)))
    running.wait_for("ready")
    running.process.send_signal(signal.SIGUSR1)
    assert running.end() == code
    assert running.lines("heard") == ["begun", "USR1"], "the script left before its child"
    assert running.lines("scontrol") == ([f"requeue {running.identity}"] if code == 75 else [])


def test_a_second_warning_does_not_end_the_waiting(start: Callable[..., Running]) -> None:
    running = start("trap 'echo USR1 >> heard' USR1; touch ready; until [ -e enough ]; do sleep 0.02; done; exit 75")
    running.wait_for("ready")
    for count in (1, 2, 3):
        running.process.send_signal(signal.SIGUSR1)
        running.wait_for("heard", lines=count)
    assert running.process.poll() is None
    (running.folder / "enough").touch()
    assert running.end() == 75
    assert running.lines("heard") == ["USR1"] * 3
    assert running.lines("scontrol") == [f"requeue {running.identity}"]


@pytest.mark.parametrize("code", [0, 1, 75, 78, 137])
def test_what_is_cancelled_stays_cancelled(start: Callable[..., Running], code: int) -> None:
    running = start(HEARS.replace("NAME", "TERM").replace("CODE", str(code)))
    running.wait_for("ready")
    running.process.terminate()
    assert running.end() == code
    assert running.lines("heard") == ["begun", "TERM"]
    assert running.lines("scontrol") == []


def test_cancelled_with_a_child_that_does_not_listen(start: Callable[..., Running]) -> None:
    running = start("touch ready; while :; do sleep 0.02; done")
    running.wait_for("ready")
    running.process.terminate()
    assert running.end() == 143
    assert running.lines("scontrol") == []


def test_a_warning_and_then_the_end(start: Callable[..., Running]) -> None:
    """Preempted in the last minute: Slurm requeues by itself what it preempts."""
    running = start("trap 'echo USR1 >> heard' USR1; trap 'exit 75' TERM; touch ready; while :; do sleep 0.02; done")
    running.wait_for("ready")
    running.process.send_signal(signal.SIGUSR1)
    running.wait_for("heard", lines=1)
    running.process.terminate()
    assert running.end() == 75
    assert running.lines("scontrol") == []


@pytest.mark.parametrize(("start", "is_allocation"), [("workers.sh", False), ("allocation", True)], indirect=["start"])
def test_what_the_command_is_given(start: Callable[..., Running], tmp_path: Path, is_allocation: bool) -> None:
    profile = Profile.model_construct(setup=("export A='x y'", "B=$A"), scratch="${HOME}/my dir")
    # A driver that ends at once may do so before the step beside it has begun.
    beside = "until [ -s srun ]; do sleep 0.02; done; " if is_allocation else ""
    running = start(f'{beside}echo "$A|$B|$TMPDIR" > env', profile, HOME="/h")
    assert running.end() == 0
    assert running.lines("env") == ["x y||/h/my dir"]
    run = str(tmp_path / "my run")
    if is_allocation:
        assert running.lines("argv") == ["-P", "-m", "qbsweep", "driver", run]
        assert running.lines("srun") == [
            f"--overlap --kill-on-bad-exit=0 --ntasks=6 --output={run}/slurm/logs/worker-%t.log --open-mode=append "
            f"{run}/python -P -m qbsweep.slurm.supervisor {run} 1"
        ]
    else:
        assert running.lines("argv") == ["-P", "-m", "qbsweep.slurm.supervisor", run, "2"]


@pytest.mark.parametrize("start", ["allocation"], indirect=True)
@pytest.mark.parametrize("is_stopped", [False, True])
def test_workers_beside_their_driver_hear_the_warning_and_are_waited_for(
    start: Callable[..., Running], tmp_path: Path, is_stopped: bool
) -> None:
    """They finish their blocks if they can, unless the job is cancelled meanwhile."""
    gone = 'until ! kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.02; done'  # and waited for by the script
    warned = f"{gone}; echo beside >> heard; {'sleep 100' if is_stopped else 'exit 75'}"
    stub(tmp_path / "bin/srun", BESIDE.format(folder=shlex.quote(str(tmp_path / "my run")), trap=shlex.quote(warned)))
    running = start(HEARS.replace("NAME", "USR1").replace("CODE", "75"))
    running.wait_for("ready", "beside")
    running.process.send_signal(signal.SIGUSR1)
    if is_stopped:
        running.wait_for("heard", lines=3)
        running.process.terminate()
    assert running.end() == 75
    assert running.lines("heard") == ["begun", "USR1", "beside"]
    assert running.lines("scontrol") == ([] if is_stopped else [f"requeue {running.identity}"])


@pytest.mark.parametrize("start", ["allocation"], indirect=True)
def test_workers_that_do_not_leave_are_not_waited_for_too_long(start: Callable[..., Running], tmp_path: Path) -> None:
    """A job that still runs when its walltime ends is not requeued: 90 minutes, of which all but 7 seconds are over."""
    stub(tmp_path / "bin/srun", BESIDE.format(folder=shlex.quote(str(tmp_path / "my run")), trap="''"))
    running = start(HEARS.replace("NAME", "USR1").replace("CODE", "75"), SECONDS="5393")
    running.wait_for("ready", "beside")
    running.process.send_signal(signal.SIGUSR1)
    assert running.end() == 75
    assert running.lines("scontrol") == [f"requeue {running.identity}"]


@pytest.mark.parametrize("directive", ["--job-name=mine", "-J mine"])
def test_no_directive_renames_the_jobs(directive: str) -> None:
    """By their names they are found, and cancelled."""
    profile = Profile.model_construct(directives=(directive,))
    names = [
        line
        for line in directives(scripts(replace(SIMPLE, profile=profile))["driver.sh"])
        if line[:3] in ("--j", "-J ")
    ]
    assert names[-1] == "--job-name=qb-scan-0123abcd"
