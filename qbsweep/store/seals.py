"""What belongs together: a small file per chunk that knows the checksums of the files of all variables of it.

Every chunk file ends with a checksum of its own, so a flipped bit is found by whoever reads it. A file that is
missing, or that is sound but of another chunk, is found by the seal.
"""

import contextlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c

from qbsweep.store.disk import remove, replace_file, stage, sync_folder, write_new

FOLDER = "seals"
METADATA = "zarr.json"
_REST = "rest.json"
SEALED = "sealed"
"""An attribute of arrays that were written at once: those of an earlier version have no seal."""
Checks = dict[str, list[int]]
"""Checksums by variable; two while a chunk is being replaced, when the old file and the new one are both right."""


class Seal(NamedTuple):
    """What is known of the files of a chunk: their checksums, and whether they were synced before it counts as done."""

    checks: Checks
    is_synced: bool = True


class DamagedError(ValueError):
    """A file is not what was written; the message says which, and what about it."""


def closed(body: bytes) -> bytes:
    """Return the content of a chunk file: what Zarr's codec `crc32c` makes of the bytes before it."""
    check: int = google_crc32c.value(body)
    return body + check.to_bytes(4, "little")


_OF_WHOLE = google_crc32c.value(closed(b""))
"""The checksum of whatever ends with its own checksum; to cut that off first would copy all."""


def checksum(content: bytes) -> int:
    """Return the checksum that ends the content of a chunk file.

    Raises
    ------
    DamagedError
        If it is not that of the content.
    """
    if len(content) < 4 or google_crc32c.value(content) != _OF_WHOLE:
        raise DamagedError("its checksum is wrong")
    return int.from_bytes(content[-4:], "little")


@dataclass(frozen=True, slots=True)
class Seals:
    """The seals of a dataset.

    Attributes
    ----------
    data : Path
        The dataset.
    dataset : str
        Its id: a worker that outlived its run must not seal the chunks of another. Without it, only what was there
        before the first chunk is known.
    """

    data: Path
    dataset: str = ""

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.data / FOLDER

    def path(self, chunk: int) -> Path:
        """Where that of a chunk lies."""
        return self.folder / f"{self.dataset[:8]}-{chunk}.json"

    def read(self, chunk: int) -> Seal | None:
        """Return what is known of a chunk; None if it was never written.

        Raises
        ------
        DamagedError
            If the file says nothing that can be trusted.
        """
        found = self._read(self.path(chunk))
        if found is not None and found["chunk"] != chunk:
            raise DamagedError(f"{self.path(chunk)} is the seal of another chunk")
        return None if found is None else Seal(dict(found["checks"]), found.get("synced", True))

    def sealed(self, chunk: int) -> Seal:
        """Return what is known of a chunk, which is nothing of one that was never written."""
        with contextlib.suppress(DamagedError):
            return self.read(chunk) or Seal({})
        return Seal({})

    def claim(self, chunk: int, seal: Seal) -> bool:
        """Seal a chunk, on the disk, unless somebody has; returns whether nobody had."""
        try:
            write_new(self.path(chunk), _content(_record(chunk, seal)))
        except FileExistsError:
            return False
        return True

    def exchange(self, chunk: int, old: Seal, new: Seal) -> bool:
        """Seal a chunk anew, on the disk, if it has the seal that we know; returns whether it had.

        What we know is compared once the new one waits on the disk for its place only.
        """
        path = self.path(chunk)
        staged = stage(path, [_content(_record(chunk, new))], safe=True)
        try:
            if self.sealed(chunk) != old:
                return False
            if path.is_dir():  # nothing of ours, and in the way
                remove(path)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
        sync_folder(self.folder)
        return True

    def seal_rest(self) -> None:
        """Seal what is there before the first chunk, and does not change any more: metadata and labels."""
        self.folder.mkdir()
        files = {str(file.relative_to(self.data)): _of_file(file) for file in self._rest()}
        metadata = json.loads((self.data / METADATA).read_text(encoding="utf-8"))
        self._write(self.folder / _REST, {"files": files, "metadata": metadata}, safe=False)

    def _rest(self) -> list[Path]:
        return [file for file in sorted(self.data.rglob("*")) if file.is_file()]

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the dataset, all arrays included, after a look at every file that was there first.

        Raises
        ------
        DamagedError
            If one of them is not what was written.
        """
        for what in self.changed():
            raise DamagedError(what)
        return self.recorded()

    def recorded(self) -> dict[str, Any]:
        """Return the copy of the metadata that was taken when the dataset was new."""
        return dict(self._rest_read()["metadata"])

    def changed(self) -> Iterator[str]:
        """Say which of the files that were there first are not what was written."""
        for name, check in self._rest_read()["files"].items():
            file = self.data / name
            try:
                found = _of_file(file)
            except (FileNotFoundError, NotADirectoryError):
                yield f"{file} is missing"
                continue
            except IsADirectoryError:
                yield f"{file} is a directory"
                continue
            if found != check:
                yield f"{file} is not what was written there"

    def _rest_read(self) -> dict[str, Any]:
        rest = self._read(self.folder / _REST)
        if rest is None:
            raise DamagedError(f"{self.folder / _REST} is missing")
        return rest

    def worn(self) -> Iterator[tuple[Path, int | None]]:
        """Return the files of which one of the two copies is lost, and the chunks that they are of."""
        for path in sorted(self.folder.iterdir()):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # a writer was at it
                lines = [] if path.name.startswith(".") else path.read_bytes().splitlines()
                right = [line for line in lines if _is_right(line)]
                if len(right) == 1:
                    yield path, json.loads(right[0].partition(b" ")[2]).get("chunk")

    def mend(self, path: Path) -> None:
        """Write both copies again."""
        record = self._read(path)
        if record is not None:
            self._write(path, record, safe=True)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            lines = path.read_bytes().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except IsADirectoryError:
            raise DamagedError(f"{path} is a directory") from None
        for line in lines:
            if _is_right(line):
                return dict(json.loads(line.partition(b" ")[2]))
        raise DamagedError(f"nothing in {path} can be trusted")

    def _write(self, path: Path, record: Mapping[str, Any], safe: bool) -> None:
        replace_file(path, _content(record), safe)


def require_unchanged(data: Path) -> None:
    """Refuse a tree of arrays that was written and sealed at once, if it is not what was written.

    Raises
    ------
    DamagedError
        If it is not; one that an earlier version wrote has no seal, and passes.
    """
    if is_sealed(data):
        for what in Seals(data).changed():
            raise DamagedError(what)


def is_sealed(tree: Path) -> bool:
    """Whether arrays that were written at once have a seal, or had one."""
    if Seals(tree).folder.exists():
        return True
    try:
        return SEALED in json.loads((tree / METADATA).read_text(encoding="utf-8"))["attributes"]
    except (OSError, ValueError, TypeError, KeyError):
        return True  # without them it says nothing that can be trusted


def _record(chunk: int, seal: Seal) -> dict[str, Any]:
    return {"chunk": chunk, "checks": seal.checks, **({} if seal.is_synced else {"synced": False})}


def _content(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record).encode()
    return (_check(text) + b" " + text + b"\n") * 2  # one flipped bit must not make a whole chunk doubtful


def _check(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


def _is_right(line: bytes) -> bool:
    check, _, text = line.partition(b" ")
    return check == _check(text)


def _of_file(path: Path) -> int:
    """Return another checksum than the one in it: the crc32c of what ends with its own crc32c is always the same."""
    return zlib.crc32(path.read_bytes())
