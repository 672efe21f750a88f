"""Small files of records: what was changed since it was written is not taken for what was written."""

import json
from pathlib import Path

import pytest

from qbsweep.errors import QbsweepError
from qbsweep.store.directory import RunDirectory
from qbsweep.store.records import append_line, read_json, read_lines, scan_lines

RECORDS = [{"block": number, "error": "näh, “so”\n", "spec": "ab12"} for number in range(3)]
TEXT = "name: a\nsweep: {J: [0.1, 0.2]}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for record in RECORDS:
        append_line(tmp_path / "events.jsonl", record)
    return tmp_path / "events.jsonl"


def test_lines_are_json_with_a_checksum(path: Path) -> None:
    assert read_lines(path) == RECORDS
    for line, record in zip(path.read_text().splitlines(), RECORDS, strict=True):
        assert json.loads(line) == {**record, "crc": line[-10:-2]}


def test_no_flipped_bit_is_taken_for_a_record(path: Path) -> None:
    content = path.read_bytes()
    first = content.index(b"\n")
    for bit in range(8 * first, 8 * len(content)):  # a line before is one of a checksum
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        records, wrong = scan_lines(path)
        assert all(record in RECORDS for record in records)
        assert wrong or bit // 8 in (first, len(content) - 1)  # a newline between two whole lines
    flipped = bytearray(content)
    flipped[3] ^= 1
    path.write_bytes(flipped)
    assert scan_lines(path) == (RECORDS[1:], 1)


def test_a_line_that_was_cut_short(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    append_line(path, RECORDS[0])
    assert scan_lines(path) == ([*RECORDS[:2], RECORDS[0]], 1)


def test_lines_of_an_earlier_version_come_first(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"block": 7}\n{"bl\n{"block": 8}\n')
    append_line(path, RECORDS[0])
    assert scan_lines(path) == ([{"block": 7}, {"block": 8}, RECORDS[0]], 1)
    with path.open("a") as file:
        file.write('{"block": 9}\n')
    assert scan_lines(path) == ([{"block": 7}, {"block": 8}, RECORDS[0]], 2)


def test_a_plan_that_was_changed_is_none(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    plan = {"name": "a", "digest": "ab12", "block_seconds": (1.0, 2.5)}
    directory.write_plan(plan)
    assert read_json(directory.plan_file) == {**plan, "block_seconds": [1.0, 2.5]}
    directory.plan_file.write_bytes(directory.plan_file.read_bytes().replace(b"2.5", b"2.7"))
    assert read_json(directory.plan_file) is None


def remnants(content: bytes) -> list[bytes]:
    """What a power cut or a flipped bit makes of a file."""
    flips = [content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :] for at in range(len(content))]
    torn = [content[:at] for at in range(len(content))]
    return [*flips, *torn, bytes(len(content)), content[:50].ljust(len(content), b"\0")]


@pytest.mark.parametrize("name", ["sweep.yaml", "plan.json"])
def test_what_is_left_of_our_own_files_is_rewritten(tmp_path: Path, name: str) -> None:
    directory = RunDirectory(tmp_path)
    directory.data.mkdir()
    directory.write_sweep("ab12", TEXT)
    directory.write_plan({"name": "a", "digest": "ab12", "block_shape": [1], "block_seconds": [1.0]})
    assert directory.sweep() == ("ab12", TEXT)
    content = (tmp_path / name).read_bytes()
    for remnant in remnants(content):
        (tmp_path / name).write_bytes(remnant)
        directory.check_own()
        if name == "sweep.yaml":
            assert directory.sweep() != ("ab12", TEXT)
            directory.write_sweep("ab12", TEXT)
            assert directory.sweep_file.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sweep.yaml", "name: mine\n"),
        ("sweep.yaml", "# The sweep I want.\nname: mine\n"),
        ("plan.json", "{}"),
        ("plan.json", '{"plan": 5}'),
        ("plan.json", "first, get up"),
    ],
)
@pytest.mark.parametrize("is_run", [False, True])
def test_somebodys_own_file_is_left_alone(tmp_path: Path, name: str, content: str, is_run: bool) -> None:
    directory = RunDirectory(tmp_path)
    if is_run:
        directory.data.mkdir()
    (tmp_path / name).write_text(content)
    with pytest.raises(QbsweepError, match=f"{name} is not from a run and would be overwritten; give another --out"):
        directory.check_own()


def test_an_empty_file_beside_no_dataset_is_somebodys_own(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").touch()
    with pytest.raises(QbsweepError, match="would be overwritten"):
        RunDirectory(tmp_path).check_own()


def test_sweep_file_of_an_earlier_version(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.sweep_file.write_text(f"# The sweep as it was run. Digest ab12.\n{TEXT}")
    directory.check_own()
    assert directory.sweep() == ("ab12", TEXT)
