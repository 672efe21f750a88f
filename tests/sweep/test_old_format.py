"""Runs of format 2, which was written without a sync and without checksums: what of them is not whole is pending."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import qbsweep as qb
from qbsweep.errors import QbsweepError
from qbsweep.store import mending
from qbsweep.store.dataset import Store

STORED = Path(__file__).parents[1] / "data" / "format2.zip"


def _flipped(content: bytes) -> bytes:
    """Say that values are compressed which are not."""
    return content[:2] + bytes([content[2] ^ 2]) + content[3:]


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _file_above(file: Path) -> None:
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("not ours")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "missing": Path.unlink,
    "below a file": _file_above,
    "a folder": _folder,
    "not what Blosc writes": lambda file: file.write_bytes(_flipped(file.read_bytes())),
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    zipfile.ZipFile(STORED).extractall(folder)
    return folder / "finished"


@pytest.fixture
def out(unpacked: Path, tmp_path: Path) -> Path:
    shutil.copytree(unpacked, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("name", "damage"),
    [("energy_terminal", damage) for damage in DAMAGES if damage != "below a file"]
    + [("status", "empty"), ("status", "half"), ("verdict", "half"), ("levels_used", "half")]
    + [("status", "a folder"), ("energy", "below a file")],
)
def test_what_is_torn_is_solved_again(out: Path, unpacked: Path, name: str, damage: str) -> None:
    file = Store(out / "data.zarr").chunks.file(name, 0)
    DAMAGES[damage](file)
    looked = qb.open(out).status()["pending"]
    arrays = Store(out / "data.zarr").read_chunk(0)
    assert not arrays["status"].any()
    assert qb.open(out).upgrade()
    pending = int((Store(out / "data.zarr").status() == 0).sum())
    assert pending == np.prod(Store(unpacked / "data.zarr").grid.block_shape)
    assert looked in (pending, 0 if damage.startswith("not") else pending)  # it does not read the values
    assert qb.open(out).check().exit_code == 0


@pytest.mark.parametrize("damage", ["missing", "half", "a folder"])
def test_labels_are_those_of_the_sweep(out: Path, unpacked: Path, damage: str) -> None:
    expected = qb.open(unpacked).dataset.load()
    with xr.open_zarr(unpacked / "data.zarr") as plain:
        assert {name: label.dtype for name, label in plain.coords.items()} == {
            name: label.dtype for name, label in expected.coords.items()
        }
        assert plain.attrs.keys() == expected.attrs.keys()
    for name in ("time/c/0", "J/c/0", "solver/c/0", "theta_r/c"):
        DAMAGES[damage](out / "data.zarr" / name)
    xr.testing.assert_identical(qb.open(out).dataset.load(), expected)


def test_nothing_is_written_to_it(out: Path) -> None:
    store = Store(out / "data.zarr")
    arrays = store.read_chunk(0)
    assert mending.drop_torn(store) == 0
    for write in (lambda: store.write(0, arrays), lambda: store.chunks.clear(0), lambda: store.write_chunk(0, arrays)):
        with pytest.raises(QbsweepError, match="has format 2, which is not written any more"):
            write()
    assert qb.open(out).complete
