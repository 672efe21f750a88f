"""Site profiles: what a cluster wants to be told, as a YAML file that is checked like a sweep."""

import math
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo

from qbsweep.errors import QbsweepError
from qbsweep.slurm.interface import MAX_WORKERS
from qbsweep.slurm.registry import SCHEDULERS, SLURM
from qbsweep.sweeps.yamlfile import read_yaml
from qbsweep.text import choices, shown, unknown

LAYOUTS = ("jobs", "allocation")
_PLACES = (Path("slurm"), Path("~/.config/qbsweep"))


def _word(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.,:;@%+=/&|*()\[\]-]+", value):
        raise ValueError(f"must be one word, but is {shown(value)}")
    return value


def _line(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"must be one line of text, but is {shown(value)}")
    return value


def _folder(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(?:[\w./ -]|\$\w+|\$\{\w+\})+", value):
        raise ValueError(f"must be a folder like /scratch or $TMPDIR, but is {shown(value)}")
    return value


def _lines(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list of lines, but is {shown(value)}")
    return tuple(_line(item) for item in value)


def _directives(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    scheduler = SCHEDULERS[(info.context or {}).get("scheduler", SLURM)]
    lines = _lines(value)
    for line in lines:
        scheduler.check_directive(line)
    return lines


def _scheduler(value: Any) -> str:
    if value not in (names := tuple(SCHEDULERS)):
        raise ValueError(f"must be {choices(names)}, but is {shown(value)}")
    return str(value)


def parse_minutes(value: Any) -> int:
    """Read a time: minutes, ``90min``, ``2h``, ``3 days``, or Slurm's ``[days-]hours:minutes:seconds``; rounds up."""
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    minutes = 0.0
    if re.fullmatch(r"\d{1,9}", text):
        minutes = int(text)
    elif found := re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)", text):
        minutes = float(found[1]) * {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}[found[2][0]]
    elif found := re.fullmatch(r"(?:(\d{1,9})-)?(\d{1,9}):(\d\d)(?::(\d\d))?", text):
        days, first, second, third = found.groups()
        # hours:minutes after days, and with three fields; two fields alone are minutes:seconds, as in Slurm
        long = days is not None or third is not None
        clock = (int(first), int(second), int(third or 0)) if long else (0, int(first), int(second))
        minutes = int(days or 0) * 1440 + clock[0] * 60 + clock[1] + clock[2] / 60
    if not 0 < minutes < 10**6:
        raise ValueError(f"must be a time like 90min, 12h or 1-00:00:00, but is {shown(value)}")
    return math.ceil(minutes)


def _megabytes(value: Any) -> int:
    if value == "site":
        return 0
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*(MB?|GB?|TB?)", value) if isinstance(value, str) else None
    megabytes = float(found[1]) * {"M": 1, "G": 1000, "T": 10**6}[found[2][0]] if found else 0.0
    if not megabytes >= 300:
        raise ValueError(
            f"must be a size like 2GB, at least 300MB, or 'site' for the site's own, but is {shown(value)}"
        )
    return math.ceil(megabytes)


def _count(most: int) -> BeforeValidator:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise ValueError(f"must be a whole number from 1 to {most}, but is {shown(value)}")
        return value

    return BeforeValidator(check)


def _layout(value: Any) -> str:
    if value not in LAYOUTS:
        raise ValueError(f"must be {choices(LAYOUTS)}, but is {shown(value)}")
    return str(value)


Word = Annotated[str, BeforeValidator(_word)]
Minutes = Annotated[int, BeforeValidator(parse_minutes)]
Megabytes = Annotated[int, BeforeValidator(_megabytes)]
Lines = Annotated[tuple[str, ...], BeforeValidator(_lines)]
Directives = Annotated[tuple[str, ...], BeforeValidator(_directives)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DriverForm(_Form):
    """What is different for the driver job."""

    partition: Word | None = None
    qos: Word | None = None
    time: Minutes | None = None
    memory: Megabytes | None = None
    directives: Directives = ()


class Profile(_Form):
    """A site profile; everything may be left out.

    Attributes
    ----------
    scheduler : str
        Who runs the jobs.
    partition, account, qos, constraint : str
        As in sbatch.
    time : int
        Walltime of a worker job in minutes.
    cpus : int
        Worker processes in one worker job; each has one thread.
    memory : int
        MB of each worker process; 0, which is written 'site', leaves it to the site.
    workers : int
        Worker processes in all.
    layout : {'jobs', 'allocation'}
        A driver job and an array of worker jobs, or all in one job.
    directives : tuple of str
        More options of sbatch.
    setup : tuple of str
        Shell lines before Python starts.
    interface : str
        Network interface that workers and driver talk over.
    scratch : str
        Folder for temporary files on a node.
    driver : DriverForm
    """

    scheduler: Annotated[str, BeforeValidator(_scheduler)] = SLURM
    partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    constraint: Word | None = None
    time: Minutes | None = None
    cpus: Annotated[int, _count(1024)] = 1
    memory: Megabytes | None = None
    workers: Annotated[int, _count(MAX_WORKERS)] | None = None
    layout: Annotated[str, BeforeValidator(_layout)] = "jobs"
    directives: Directives = ()
    setup: Lines = ()
    interface: Word | None = None
    scratch: Annotated[str, BeforeValidator(_folder)] | None = None
    driver: DriverForm = DriverForm()


def load_profile(name: str | None) -> Profile:
    """Read a profile: a file, or a name that is looked up in ``slurm/`` and ``~/.config/qbsweep/``.

    Raises
    ------
    QbsweepError
        With the file, the line and one sentence.
    """
    if name is None:
        return Profile()
    path = _find(name)
    content, lines = read_yaml(path)
    if not isinstance(content, dict):
        raise QbsweepError(f"{path}: a profile must be a mapping of `partition`, `time`, ..., but is {shown(content)}")
    try:
        scheduler = content.get("scheduler", SLURM)
        known = isinstance(scheduler, str) and scheduler in SCHEDULERS
        return Profile.model_validate(content, context={"scheduler": scheduler if known else SLURM})
    except ValidationError as error:
        detail = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")[0]
        where = detail["loc"]
        line = f":{lines[where]}" if where in lines else ""
        raise QbsweepError(f"{path}{line}: {_sentence(where, detail)}") from None


def _find(name: str) -> Path:
    if "/" in name or name.endswith((".yaml", ".yml")) or Path(name).is_file():
        return Path(name)
    places = [place.expanduser() / f"{name}.yaml" for place in _PLACES]
    for path in places:
        if path.is_file():
            return path
    raise QbsweepError(f"there is no profile '{name}': neither {places[0]} nor {places[1]} exists; give a file")


def _sentence(where: tuple[Any, ...], detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        form = DriverForm if where[0] == "driver" else Profile
        return unknown("key", str(where[-1]), form.model_fields)
    subject = " of ".join(f"`{part}`" for part in reversed(where))
    if detail["type"] == "value_error":
        return f"{subject} {detail['ctx']['error']}"
    return f"{subject} must be a mapping, but is {shown(detail['input'])}"
