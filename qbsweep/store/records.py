"""Small files of records: JSON, one object a line, read with care.

Whatever is written ends with a checksum of all before it, as a field of the object: `"crc"`. What an earlier version
wrote has none, and is taken as it is.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import google_crc32c

from qbsweep.store.disk import open_own

Kind: TypeAlias = "type | tuple[type, ...]"
NUMBER = (int, float)
_LARGEST = 1e15
_SEALED = re.compile(rb'(?s)(.*),\s+"crc": "([0-9a-f]{8})"\s*\}\s*')


class Lines(NamedTuple):
    """What a file of records says.

    Attributes
    ----------
    records : list of dict
        One a line.
    wrong : int
        Lines that are not what was written: cut short by a crash, or changed since.
    """

    records: list[dict[str, Any]]
    wrong: int


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line; see `append_lines`."""
    append_lines(path, [record])


def append_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Append JSON lines at once; a line that was cut short by a crash before them is closed off first.

    Raises
    ------
    QbsweepError
        If a link is in the place of the file.
    """
    data = b"".join(sealed(record).encode() + b"\n" for record in records)
    if not data:
        return
    with os.fdopen(open_own(path, os.O_RDWR | os.O_APPEND), "ab+", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                data = b"\n" + data
        while data:
            data = data[file.write(data) :]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file, one a line; a line that is none (cut short by a crash, say) is skipped."""
    return scan_lines(path).records


def scan_lines(path: Path) -> Lines:
    """Return the JSON objects of a file, one a line, and how many lines are none that was written."""
    records: list[dict[str, Any]] = []
    wrong, sealed_since = 0, False
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        if not line.strip():
            continue
        record, is_sealed = _unsealed(line)
        sealed_since |= is_sealed
        if record is None or (sealed_since and not is_sealed):
            wrong += 1
        else:
            records.append(record)
    return Lines(records, wrong)


def has_types(record: Mapping[str, Any], required: Mapping[str, Kind], optional: Mapping[str, Kind] = {}) -> bool:
    """Whether the fields of a record are of these types; a number is one that can be computed with."""
    return all(name in record and is_of(record[name], kind) for name, kind in required.items()) and all(
        is_of(record[name], kind) for name, kind in optional.items() if name in record
    )


def is_of(value: object, kind: Kind) -> bool:
    """Whether a value read from JSON is of a type; no truth value is a number, nor is what leaves double precision."""
    if isinstance(value, bool):
        return False
    if isinstance(value, NUMBER) and not abs(value) < _LARGEST:  # NaN is none, either
        return False
    return isinstance(value, kind)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, None if there is none, or not the one that was written."""
    try:
        return parsed(path.read_bytes())
    except OSError:
        return None


def parsed(text: bytes) -> dict[str, Any] | None:
    """Return a JSON object, None if it is none, or not the one that was written."""
    return _unsealed(text)[0]


def sealed(record: Mapping[str, Any], indent: int | None = None) -> str:
    """Return an object as JSON that ends with its checksum."""
    body = json.dumps(record, indent=indent).removesuffix("}").rstrip("\n")
    separator, end = (" ", "") if indent is None else ("\n" + indent * " ", "\n")
    return f'{body},{separator}"crc": "{google_crc32c.value(body.encode()):08x}"{end}}}'


def _unsealed(text: bytes) -> tuple[dict[str, Any] | None, bool]:
    """Return an object, None if it is not what was written; and whether it has a checksum."""
    seal = _SEALED.fullmatch(text)
    if seal and google_crc32c.value(seal[1]) != int(seal[2], 16):
        return None, True
    try:
        record = json.loads(text.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None, False
    if not isinstance(record, dict):
        return None, False
    if seal:
        del record["crc"]
    return record, seal is not None
