"""The dataset on disk: written in whole chunks, told by `status` what is done.

Every variable has one chunk per block, so a block's writer owns whole chunks and no two writers ever meet.
Within a block `status` is written last. Zarr replaces a chunk atomically, so whoever is killed leaves a block
either done or pending, never half done.
"""

import contextlib
import errno
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from qbsweep.errors import QbsweepError
from qbsweep.solvers.status import FAILED, PENDING
from qbsweep.store.directory import FORMAT
from qbsweep.store.grid import Grid, Slices
from qbsweep.store.layout import stored_fixed, stored_variables
from qbsweep.store.status import StatusFiles
from qbsweep.sweeps.spec import parse_spec
from qbsweep.sweeps.variables import VERDICT

Arrays = Mapping[str, NDArray[Any]]


_UNREACHABLE = (errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN)
PROVENANCE = ("versions", "git_commit", "host", "created", "extends")


class Store:
    """An allocated dataset.

    Attributes
    ----------
    path : Path
    id : str
        Of this allocation: a dataset that was put in its place has another.
    provenance : dict
        Where its first results come from, and those before, if it was extended.
    spec : SweepSpec
        As recorded in the dataset itself.
    digest : str
        Of the spec.
    grid : Grid
        Its blocks are the chunks of the arrays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # A chunk that equals the fill value is written all the same: a zero status is a status.
        with readable(self.path), zarr.config.set({"array.write_empty_chunks": True}):
            group = zarr.open_group(str(path), mode="r+", use_consolidated=False)
            version = group.attrs["qbsweep_format"]
            if version == FORMAT:
                self.id = str(group.attrs["dataset_id"])
                self.provenance: dict[str, Any] = {name: group.attrs.get(name) for name in PROVENANCE}
                self.spec = parse_spec(str(group.attrs["spec"]))
                self._arrays = {name: _array(group, name) for name in _declared(path, stored_variables(self.spec))}
                for name in ("mode", *self.spec.axes, *stored_fixed(self.spec)):
                    _array(group, name)
        if version != FORMAT:
            raise QbsweepError(
                f"{path} has format {version}, but this version of qbsweep reads format {FORMAT}; "
                "use the version named in its attributes, or another --out"
            )
        self.digest = self.spec.digest()
        self.grid = Grid(tuple(self.spec.axes), self._arrays["status"].shape, self._arrays["status"].chunks)
        self._status = StatusFiles(path, self.grid)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of its variables."""
        return tuple(self._arrays)

    def status(self) -> NDArray[np.int8]:
        """Return the status of every point, in the grid's shape."""
        result = np.empty(self.grid.shape, np.int8)
        for number in range(self.grid.n_blocks):
            result[self.grid.block(number)] = self.block_status(number)
        return result

    def block_status(self, number: int) -> NDArray[np.int8]:
        """Return the status of every point of a block.

        Read from the file of its chunk, which is not compressed: zarr would take twenty times as long, and every
        command that resumes or shows a run reads all of them.
        """
        shape = tuple(s.stop - s.start for s in self.grid.block(number))
        with readable(self.path):
            chunk = self._status.chunk(number)
        if chunk is None:
            return np.full(shape, PENDING, np.int8)
        whole = np.frombuffer(chunk, np.int8).reshape(self.grid.block_shape)
        return whole[tuple(slice(length) for length in shape)].copy()

    def counts(self) -> Iterator[Counter[int]]:
        """Count the points of every block by their status."""
        with readable(self.path):
            yield from self._status.counts()

    def judged(self) -> Iterator[tuple[Counter[int], Counter[int]]]:
        """Count the points of every block by their status, and those that are solved by their verdict."""
        with readable(self.path):
            yield from self._status.judged()

    def read(self, region: Slices) -> dict[str, NDArray[Any]]:
        """Return all variables of a region, `status` included."""
        with readable(self.path):
            return {name: np.asarray(array[region]) for name, array in self._arrays.items()}

    def read_one(self, name: str) -> NDArray[Any]:
        """Return one variable, whole."""
        with readable(self.path):
            return np.asarray(self._arrays[name][...])

    def select(
        self, indices: Sequence[NDArray[np.intp]], names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return variables, by default all, and `status` at the product of index arrays, one per dimension."""
        wanted = self._arrays if names is None else {name: self._arrays[name] for name in {*names, "status"}}
        with readable(self.path):
            return {name: np.asarray(array.oindex[tuple(indices)]) for name, array in wanted.items()}

    def write(self, region: Slices, arrays: Arrays) -> None:
        """Write a whole block, `status` last.

        A worker that outlived its run must not write into a dataset that has taken the place of its own, so
        the dataset's id is read again before the data and before `status`.
        """
        self._require_own()
        for name, array in self._arrays.items():
            if name != "status":
                array[region] = arrays[name]
        self._require_own()
        self._arrays["status"][region] = arrays["status"]

    def _require_own(self) -> None:
        attributes = json.loads((self.path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        if attributes["dataset_id"] != self.id:
            raise QbsweepError(f"{self.path} was replaced while it was being run; nothing was written to it")

    def set_status(self, region: Slices, status: NDArray[np.int8]) -> None:
        """Write the status of a whole block whose other variables stay."""
        self._arrays["status"][region] = status

    def reset_failed(self) -> int:
        """Make failed points pending again; returns how many. For a driver, while nobody else writes."""
        count = 0
        everywhere = self.status()
        for number in range(self.grid.n_blocks):
            region = self.grid.block(number)
            status = everywhere[region]
            failed = status == FAILED
            if failed.any():
                self.set_status(region, np.where(failed, np.int8(PENDING), status))
                count += int(failed.sum())
        return count

    def remove_leftovers(self) -> None:
        """Remove the temporary files of writers that were killed."""
        for leftover in self.path.rglob("*.partial"):
            leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say of anything that cannot be read that the dataset is damaged."""
    try:
        yield
    except MemoryError:
        raise
    except OSError as error:
        if error.errno in _UNREACHABLE:  # the file system is to blame, not the dataset
            raise
        raise QbsweepError(_damaged(path, error)) from error
    except Exception as error:
        raise QbsweepError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return (
        f"{path} is damaged or not a qbsweep dataset ({_one_line(error)}); "
        "nothing was changed; move it away or give another --out"
    )


def _declared(path: Path, names: Sequence[str]) -> list[str]:
    """Return the variables that a dataset was allocated with: one of an earlier version lacks later verdicts."""
    allocated = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["consolidated_metadata"]["metadata"]
    return [name for name in names if name in allocated or name not in VERDICT]


def _array(group: zarr.Group, name: str) -> Any:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise KeyError(f"{name} is not an array")
    return array


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
