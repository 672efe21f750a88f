"""Read everything of a dataset, and say of every file whether it is what was written.

Nothing is trusted here: neither the checksum of a file alone, nor its name, nor what another file says of it.
"""

import json
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qbsweep.errors import QbsweepError
from qbsweep.solvers.status import STATUS_NAMES, VERDICT_NAMES
from qbsweep.store.chunks import BYTES, LAST
from qbsweep.store.dataset import Store
from qbsweep.store.disk import remove, replace_file
from qbsweep.store.metadata import Metadata, metadata_of
from qbsweep.store.scratch import scratch
from qbsweep.store.seals import METADATA, DamagedError, Seals, is_sealed
from qbsweep.store.status import counted
from qbsweep.sweeps.spec import parse_spec

_CODES = {"status": STATUS_NAMES, "verdict": VERDICT_NAMES}


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not what was written.

    Attributes
    ----------
    what : str
        Which file, and what about it.
    chunk : int or None
        The chunk whose points are lost with it.
    block : int or None
        The block whose file it is.
    seal : Path or None
        The seal that has lost one of its copies, and nothing with it.
    stranger : Path or None
        What is in the way, and none of ours.
    """

    what: str
    chunk: int | None = None
    block: int | None = None
    seal: Path | None = None
    stranger: Path | None = None

    @property
    def can_be_mended(self) -> bool:
        """Whether `repair` knows what to do."""
        return any(part is not None for part in (self.chunk, self.block, self.seal, self.stranger))


def examine_rest(data: Path) -> list[Damage]:
    """Examine the metadata and labels of a dataset."""
    try:
        return [Damage(what) for what in Seals(data).changed()]
    except DamagedError as error:
        return [Damage(str(error))]


def examine_tree(tree: Path) -> list[str]:
    """Say which files of arrays that were written at once are not what was written; nothing of an earlier version."""
    if not tree.exists() or not is_sealed(tree):
        return []
    try:
        return list(Seals(tree).changed())
    except DamagedError as error:
        return [str(error)]


def examine(store: Store) -> Iterator[Damage]:
    """Examine all chunks and finished blocks of a dataset whose metadata are right; reads every byte."""
    for chunk in range(store.grid.chunks.number):
        yield from _examine_chunk(store, chunk)
    yield from _strangers(store)
    for path, of in store.chunks.seals.worn():
        if of is not None and not store.chunks.file(LAST, of).exists():
            continue  # a power cut tore it when the chunk was begun, of which nothing counts then
        yield Damage(f"{path}: one of its two copies is not what was written", seal=path)
    for number in sorted(store.blocks.numbers()):
        is_one = number < store.grid.n_blocks and store.blocks.is_whole(number)
        # It may be in its chunk by now; and what a power cut tore is pending, which is no damage.
        if not is_one and store.blocks.path(number).exists() and not store.blocks.is_torn(number):
            yield Damage(f"{store.blocks.path(number)} is not a whole block of this dataset", block=number)


def _examine_chunk(store: Store, chunk: int) -> Iterator[Damage]:
    chunks = store.chunks
    is_written = chunks.file(LAST, chunk).exists()
    for name in store.variables:
        try:
            content = chunks.content(name, chunk)
        except DamagedError as error:
            yield Damage(str(error), chunk)
            continue
        if content is None:
            # What was written without waiting for the disk, and a power cut tore, is pending, which is no damage.
            if name == LAST and is_written and chunks.seals.sealed(chunk).is_synced:
                yield Damage(f"{chunks.file(name, chunk)} is empty", chunk)
            continue
        if wrong := _wrong(store, name, content):
            yield Damage(f"{chunks.file(name, chunk)} {wrong}", chunk)


def _wrong(store: Store, name: str, content: bytes) -> str:
    """Say what is wrong with a content whose checksum is right; nothing, unless it was written wrongly."""
    expected = store.chunk_bytes(name)
    if name in BYTES:
        if len(content) - 4 != expected:
            return f"has {len(content) - 4} values, not {expected}"
        return "" if counted(content[:-4], _CODES[name]).total() == expected else "has codes that mean nothing"
    found = struct.unpack_from("<i", content, 4)[0] if len(content) > 20 else 0  # as Blosc's header says
    return "" if found == expected else f"has {found} bytes of values, not {expected}"


def _strangers(store: Store) -> Iterator[Damage]:
    """Say of files among the chunks that they are none, and of one that is in the place of a folder of blocks."""
    chunks = store.chunks
    if store.blocks.is_blocked():
        blocked = store.blocks.folder
        yield Damage(f"{blocked} is a file, where the folder of finished blocks is to be", stranger=blocked)
    for name in store.variables:
        known = {chunks.file(name, chunk).name for chunk in range(store.grid.chunks.number)} | {"zarr.json"}
        for file in sorted((store.path / name).iterdir()):
            if file.name not in known and not file.name.startswith("."):  # nothing to Zarr; or a writer is at it
                yield Damage(f"{file} is no file of this dataset", stranger=file)


def examine_digest(store: Store) -> list[Damage]:
    """Compare the sweep that a dataset records with the digest that it records."""
    recorded = store.attributes.get("spec_digest")
    if recorded == store.digest:
        return []
    return [Damage(f"{store.path}: its sweep has the digest {store.digest[:12]}, but {str(recorded)[:12]} is recorded")]


def repair(store: Store, damages: list[Damage]) -> list[int]:
    """Make the points pending that damaged files had; returns the numbers of their blocks."""
    lost: set[int] = set()
    for damage in damages:
        if damage.stranger is not None:
            remove(damage.stranger)
    for damage in damages:
        if damage.block is not None:
            store.blocks.remove([damage.block])
            lost |= {damage.block} if damage.block < store.grid.n_blocks else set()
    for damage in damages:
        if damage.seal is not None:
            store.chunks.seals.mend(damage.seal)
    for chunk in sorted({damage.chunk for damage in damages if damage.chunk is not None}):
        lost |= set(store.grid.blocks_of(chunk)) - store.blocks.numbers()
        store.chunks.clear(chunk)
    return sorted(lost)


def repair_rest(data: Path) -> None:
    """Write the metadata and labels of a dataset again, from the copy of its metadata.

    Raises
    ------
    QbsweepError
        If there is no copy of them either.
    """
    from qbsweep.store.allocate import allocate_as

    metadata = _surviving(data)
    spec = parse_spec(str(metadata.attributes["spec"]))
    if spec.digest() != metadata.attributes["spec_digest"]:
        raise QbsweepError(f"the sweep that {data / METADATA} records is not the one that was run; nothing was changed")
    with scratch(data) as folder:
        fresh = folder / data.name
        allocate_as(fresh, metadata.attributes, spec, metadata.grid)
        for file in sorted(path for path in fresh.rglob("*") if path.is_file()):
            target = data / file.relative_to(fresh)
            if not target.is_file() or target.read_bytes() != file.read_bytes():
                if target.is_dir():
                    shutil.rmtree(target)
                if not target.parent.is_dir():
                    remove(target.parent)
                    target.parent.mkdir()
                replace_file(target, file.read_bytes(), safe=True)


def _surviving(data: Path) -> Metadata:
    """Return the metadata of a dataset, from the first of its two places that has them."""
    try:
        return metadata_of(data, Seals(data).recorded())
    except DamagedError:
        pass
    try:
        return metadata_of(data, json.loads((data / METADATA).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        raise QbsweepError(
            f"neither {data / 'zarr.json'} nor {data / 'seals/rest.json'} says any more what this dataset is"
        ) from None
