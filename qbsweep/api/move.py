"""Runs that move: into one file and out of it, to another place, away."""

import os
from pathlib import Path

from qbsweep.api.result import Run
from qbsweep.errors import QbsweepError
from qbsweep.runs import moving
from qbsweep.slurm.submitted import refuse_if_awaited
from qbsweep.store.belongings import refuse_place, refuse_strangers, refuse_within, require_run
from qbsweep.store.directory import PACK, AnyPath, existing, is_pack
from qbsweep.store.disk import require_writable
from qbsweep.store.packs import summary
from qbsweep.store.scratch import refuse_existing
from qbsweep.text import command


def pack(path: Path, file: AnyPath | None = None) -> Path:
    """Write a run into one file; see `Run.pack`."""
    source = _place(path)
    if is_pack(source):
        raise QbsweepError(f"{path} is a pack already")
    existing(path)
    target = source.with_name(source.name + PACK) if file is None else _place(file)
    if target.suffix != PACK:
        raise QbsweepError(f"the name of a pack must end in {PACK}, but is {target.name}")
    _require_room(target, f"name a file elsewhere: `{command('pack', path, 'FILE.qbz')}`")
    refuse_within(target)
    moving.pack(source, target)
    return _as_given(target, path.parent / target.name if file is None else file)


def unpack(file: AnyPath, path: AnyPath | None = None) -> Run:
    """Make a run directory of a pack.

    Parameters
    ----------
    file : str or path
        What `Run.pack` has written. Every byte is compared with its checksum before the directory is there.
    path : str or path, optional
        The run directory; default the name of the file without ``.qbz``, beside it.

    Returns
    -------
    Run

    Raises
    ------
    QbsweepError
        If the file is damaged or is no pack, or if something is at the place of the directory.
    """
    source = Path(file)
    if not is_pack(source):
        kind = "is a directory" if source.is_dir() else "does not exist"
        what = "is not a pack: its name does not end in .qbz" if source.is_file() else kind
        raise QbsweepError(f"{source} {what}; `qbsweep pack DIR` makes a pack")
    target = new_place(source.with_suffix("") if path is None else path)
    moving.unpack(source, target)
    return Run(_as_given(target, source.with_suffix("") if path is None else path))


def export(path: Path, file: AnyPath, kind: str | None, everything: bool) -> Path:
    """Write a dataset for other programs; see `Run.export`."""
    from qbsweep.runs import exporting  # pandas

    target = _place(file)
    if os.path.lexists(target) and (target.is_symlink() or not target.is_file()):
        what = "a directory" if target.is_dir() else "a link" if target.is_symlink() else "a pipe or a device"
        raise QbsweepError(f"{file} is {what}; name a file, which may be there already")
    if is_pack(target):
        raise QbsweepError(f"{file} ends in {PACK}, as the name of a pack does; give what is exported another name")
    _require_parent(target)
    refuse_within(target)
    ending = target.suffix.removeprefix(".")
    exporting.export(existing(path).data, kind or {"nc": "netcdf"}.get(ending, ending), target, everything)
    return Path(file)


def mv(path: Path, target: AnyPath) -> Path:
    """Move a run; see `Run.mv`."""
    source, place = _named(path), _place(target)
    if is_pack(source):
        _require_changeable(source.parent)
        _require_room(place)
        refuse_within(place)
        if place.suffix != PACK:
            raise QbsweepError(f"the name of a pack must end in {PACK}, but is {place.name}")
        moving.move_pack(source, place)
        return _as_given(place, target)
    _require_movable(path)
    if place == source:
        raise QbsweepError(f"{path} is there already; give another place")
    if place.is_relative_to(source):
        raise QbsweepError(f"{target} is in {path}, which cannot be moved into itself")
    moving.move(source, new_place(target), _require_movable)
    return _as_given(place, target)


def rm(path: Path) -> None:
    """Remove a run; see `Run.rm`."""
    require_removable(path)
    source = _named(path)
    if is_pack(source):
        moving.delete_pack(source)
    else:
        moving.delete(source, require_removable)


def require_removable(path: Path) -> None:
    """Refuse to remove what is not a run and nothing else, or waits for its jobs."""
    source = _named(path)
    if not is_pack(source):
        _require_movable(path)
        refuse_strangers(path)
    elif not {"name", "digest", "dataset_id"} <= summary(source).keys():
        raise QbsweepError(f"{path} is not a pack of a run; nothing was removed")
    else:
        _require_changeable(source.parent)


def _require_movable(path: Path) -> None:
    existing(path)
    require_run(path)
    refuse_if_awaited(path)
    _require_changeable(path, _place(path).parent)


def _require_changeable(*folders: Path) -> None:
    for folder in folders:
        require_writable(folder, "ask its owner, or take a copy")


def _named(path: Path) -> Path:
    """Return the place of a run that is not named by a link: what is done to that, its user may not mean."""
    source = _place(path)
    if source.is_symlink():
        raise QbsweepError(f"{path} is a link to {source.resolve()}; name that")
    return source


def new_place(path: AnyPath) -> Path:
    """Return where a new run directory can be made."""
    place = _place(path)
    shown = place if os.pardir in Path(path).parts or not Path(path).name else Path(path)
    _require_room(shown)
    refuse_place(shown)
    return place


def _require_room(target: Path, right: str = "give another place") -> None:
    refuse_existing(target)
    _require_parent(target, right)


def _require_parent(target: Path, right: str = "give another place") -> None:
    if not target.parent.is_dir():
        raise QbsweepError(f"{target.parent} is not a directory; make it first, or give another place")
    require_writable(target.parent, right)


def _place(path: AnyPath) -> Path:
    """Return an absolute path; of a link that is named, that of the link."""
    given = Path(path)
    return given.resolve() if given.name in ("", "..") else given.parent.resolve() / given.name


def _as_given(target: Path, given: AnyPath) -> Path:
    """Return a place as the user writes it."""
    return Path(given) if _place(given) == target else target
