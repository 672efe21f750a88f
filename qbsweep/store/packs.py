"""A run in one file: a zip of what is worth keeping of a run directory, which does not change any more.

Zip keeps a checksum of every file. Chunks are stored as they are, so a reader of Zarr finds them in the file; text is
compressed. Files of jobs are left out but for their logs: they have keys, and names by which jobs could be cancelled.
"""

import contextlib
import json
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from qbsweep.errors import QbsweepError
from qbsweep.store.directory import RunDirectory
from qbsweep.store.disk import PARTIAL
from qbsweep.text import shown, size_of

SUMMARY = "pack.json"
_HERE = RunDirectory(Path())
_FILES = tuple(
    path.as_posix()
    for path in (
        _HERE.sweep_file,
        _HERE.plan_file,
        _HERE.events_file,
        _HERE.failures_file,
        _HERE.attempts_file,
        _HERE.report,
    )
)
_FOLDERS = tuple(path.as_posix() for path in (_HERE.data, _HERE.analysis, _HERE.figures, _HERE.slurm / "logs"))
_TEXT = (".json", ".jsonl", ".yaml", ".csv", ".html", ".log")
_PIECE = 1 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError)
_MISSHAPEN = (FileExistsError, NotADirectoryError, IsADirectoryError)  # one member is the folder of another
_opened: dict[tuple[object, ...], "tempfile.TemporaryDirectory[str]"] = {}


def write(directory: RunDirectory, new: Path, summary: Mapping[str, Any]) -> None:
    """Pack a run directory that nobody changes into a new file."""
    members = list(_members(directory))
    with zipfile.ZipFile(new, "x", strict_timestamps=False) as archive:
        archive.writestr(SUMMARY, json.dumps({**summary, "files": len(members)}, indent=1))
        for name, path in members:
            text = path.suffix in _TEXT
            archive.write(path, name, zipfile.ZIP_DEFLATED if text else zipfile.ZIP_STORED)


def _members(directory: RunDirectory) -> Iterator[tuple[str, Path]]:
    """Return the files that are packed; no links, which may lead anywhere, and nothing that is on its way."""
    for name in _FILES:
        if _is_file(directory.path / name):
            yield name, directory.path / name
    for folder in _FOLDERS:
        root = directory.home if folder == _HERE.data.name else directory.path / folder
        for where, folders, names in os.walk(root):
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            for name in sorted(names):
                path = Path(where, name)
                if not name.startswith(".") and not name.endswith(PARTIAL) and _is_file(path):
                    yield f"{folder}/{path.relative_to(root).as_posix()}", path


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def summary(pack: Path) -> dict[str, Any]:
    """Return what was written down of a run when it was packed, and how many `files` of it there are."""
    with _reading(pack), zipfile.ZipFile(pack) as archive:
        return _summary(pack, archive)


def _summary(pack: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    with archive.open(_checked(pack, archive.getinfo(SUMMARY))) as file:
        return dict(json.loads(file.read(_PIECE)))  # somebody else's may be of any length


def extract(pack: Path, folder: Path) -> None:
    """Unpack a whole file into an empty folder; every byte is compared with its checksum.

    Raises
    ------
    QbsweepError
        If it is damaged, is none of ours, or does not fit.
    """
    with _reading(pack), zipfile.ZipFile(pack) as archive:
        members = [_checked(pack, info) for info in archive.infolist()]
        if f"{_HERE.data.name}/zarr.json" not in archive.namelist():
            _refuse(pack, "it has no dataset")
        count = _summary(pack, archive)["files"]  # a flipped bit in the table of contents can hide what follows
        if count != len(members) - 1:
            _refuse(pack, f"it has {len(members) - 1:,} files instead of {count}")
        needed, free = sum(info.file_size for info in members), shutil.disk_usage(folder).free
        if needed > free:
            raise QbsweepError(
                f"{pack} needs {size_of(needed)} in {folder.parent}, which has {size_of(free)}; unpack it elsewhere"
            )
        for info in members:
            target = folder / info.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file, _PIECE)


def _checked(pack: Path, info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return a member whose name is one that we give: what a stranger has packed must not land elsewhere."""
    name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
    path = PurePosixPath(name)
    is_plain = path.as_posix() == name and not path.is_absolute() and "\\" not in name and name.isprintable()
    is_ours = name in (*_FILES, SUMMARY) or name.startswith(tuple(f"{folder}/" for folder in _FOLDERS))
    if not is_plain or not is_ours or any(part.startswith(".") for part in path.parts) or kind not in (0, stat.S_IFREG):
        _refuse(pack, f"it has {shown(name)}, which is no file of a run")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        _refuse(pack, f"{shown(name)} in it is not compressed as we do")
    return info


@contextlib.contextmanager
def _reading(pack: Path) -> Iterator[None]:
    try:
        yield
    except QbsweepError:
        raise
    except (*_BROKEN, *_MISSHAPEN, KeyError) as error:
        _refuse(pack, " ".join(str(error).split()) or type(error).__name__)
    except OSError as error:
        if error.filename is None and error.errno == 22:  # a place before the beginning of the file
            _refuse(pack, "it is cut short")
        raise


def _refuse(pack: Path, why: str) -> NoReturn:
    raise QbsweepError(
        f"{pack} is not a whole pack of a run: {why[:150]}; copy it again from where it was made"
    ) from None


def opened(pack: Path) -> Path:
    """Return a temporary directory with the run that is in a pack; it goes when this process ends."""
    found = pack.stat()
    key = (pack.resolve(), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    if key not in _opened:
        folder = tempfile.TemporaryDirectory(prefix="qbsweep-", ignore_cleanup_errors=True)
        try:
            extract(pack, Path(folder.name))
        except BaseException:
            folder.cleanup()
            raise
        _opened[key] = folder
    return Path(_opened[key].name)
