"""What a dataset says of itself: its format, its sweep, its arrays. Read without zarr and numpy."""

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from qbsweep.errors import QbsweepError, UnreadableError
from qbsweep.store.blocks import BlockFiles
from qbsweep.store.chunks import LAST, Chunks
from qbsweep.store.directory import FORMAT, RunDirectory
from qbsweep.store.grid import Grid
from qbsweep.store.identity import Seen, seen
from qbsweep.store.oldchunks import OldChunks
from qbsweep.store.replace import exists
from qbsweep.store.seals import METADATA, DamagedError, Seals
from qbsweep.store.status import StatusFiles

READABLE = (2, FORMAT)
"""Formats that are read; only `FORMAT` is written."""
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_OPENINGS = 5  # at most, of a dataset that is replaced while it is read


@dataclass(frozen=True)
class Metadata:
    """The metadata of a dataset.

    Attributes
    ----------
    path : Path
        The dataset.
    attributes : dict
        Of the dataset.
    arrays : dict
        The metadata of every array, by name.
    seen : tuple of int
        What the file system said of the file that they are in.
    """

    path: Path
    attributes: dict[str, Any]
    arrays: dict[str, dict[str, Any]]
    seen: Seen

    @property
    def version(self) -> int:
        """The format."""
        return int(self.attributes["qbsweep_format"])

    @property
    def id(self) -> str:
        """Of this allocation: a dataset that was put in its place has another."""
        return str(self.attributes["dataset_id"])

    @property
    def generation(self) -> int:
        """How often it was extended."""
        return int(self.attributes.get("generation", 0))

    @cached_property
    def grid(self) -> Grid:
        """The points, blocks and chunks."""
        status = self.arrays["status"]
        chunk = tuple(status["chunk_grid"]["configuration"]["chunk_shape"])
        block = tuple(json.loads(self.attributes["block_shape"])) if "block_shape" in self.attributes else chunk
        return Grid(tuple(status.get("dimension_names", ())), tuple(status["shape"]), block, chunk)

    @cached_property
    def chunks(self) -> Chunks:
        """The files of the variables."""
        tails = {name: len(self.tail(name)) for name in self.variables}
        parts = self.path, self.grid, tails, self.id, self.generation, self.seen
        return OldChunks(*parts, self._sizes()) if self.version < FORMAT else Chunks(*parts)

    def _sizes(self) -> dict[str, int]:
        """Return how many bytes a chunk of every variable has, not compressed."""
        shapes = {name: self.arrays[name]["chunk_grid"]["configuration"]["chunk_shape"] for name in self.variables}
        return {name: math.prod(shape) * _itemsize(self.arrays[name]) for name, shape in shapes.items()}

    def tail(self, name: str) -> tuple[int, ...]:
        """Return the lengths of the dimensions that a variable has beside those of the grid."""
        return tuple(self.arrays[name]["shape"][len(self.grid.dims) :])

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables, `status` last; a dataset of an earlier version lacks later verdicts."""
        labels = str(self.attributes.get("coordinates", "")).split()
        found = {name for name, array in self.arrays.items() if array.get("dimension_names") != [name]} - {*labels}
        return (*sorted(found - {LAST}), LAST)

    @property
    def blocks(self) -> BlockFiles:
        """Finished blocks that no chunk holds yet."""
        return BlockFiles(RunDirectory(self.path.parent).blocks / self.id, self.id)

    @property
    def status(self) -> StatusFiles:
        """What is solved."""
        return StatusFiles(self.chunks, self.blocks)


def read_metadata(path: Path) -> Metadata:
    """Read the metadata of a dataset.

    Raises
    ------
    QbsweepError
        If it is of another format.
    UnreadableError
        If it was replaced whenever it was read.
    DamagedError
        If it is not what was written.
    """
    for _ in range(_OPENINGS):
        found = _seen(path)
        try:
            metadata = _read(path, found)
        except (OSError, ValueError):  # half of what was read may be of one dataset, half of the next
            if _seen(path) == found:
                raise
        else:
            if _seen(path) == found:
                return metadata
    raise UnreadableError(f"{path} was replaced again and again while it was being opened; open it again")


def _seen(path: Path) -> Seen:
    exists(path)  # wait for one that is being replaced
    return seen(path)


def _read(path: Path, found: Seen) -> Metadata:
    try:
        document = json.loads((path / METADATA).read_text(encoding="utf-8"))
        version = document["attributes"]["qbsweep_format"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, OSError) and not isinstance(error, _NO_FILE):
            raise
        what = f"{path / METADATA} is missing, or does not say what this is"
        raise DamagedError(what) if Seals(path).folder.is_dir() else ValueError(what) from None
    if version != FORMAT:  # one flipped bit must not make it one that had no seals
        with contextlib.suppress(DamagedError):
            version = Seals(path).recorded()["attributes"]["qbsweep_format"]
    if version not in READABLE:
        raise QbsweepError(
            f"{path} has format {version}, but this version of qbsweep reads the formats "
            f"{' and '.join(map(str, READABLE))}; use the version named in its attributes, or another directory"
        )
    if version == FORMAT or Seals(path).folder.is_dir():
        document = Seals(path).metadata()
    return metadata_of(path, document, found)


def metadata_of(path: Path, document: Mapping[str, Any], seen: Seen = ()) -> Metadata:
    """Return the metadata that are in a document of Zarr."""
    return Metadata(path, dict(document["attributes"]), dict(document["consolidated_metadata"]["metadata"]), seen)


def _itemsize(array: Mapping[str, Any]) -> int:
    return int("".join(filter(str.isdecimal, array["data_type"]))) // 8
