"""Where compiled code is kept if neither the package nor the home directory can be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOLVE = "from qbsweep.physics.fock.kernel import mirror_band as f, dense_pack; print(type(f._cache).__name__)"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}


def imported(scratch: Path) -> tuple[str, str]:
    """Import kernels where numba may keep nothing beside the package, and not at home."""
    environment = ENVIRONMENT | {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "TMPDIR": str(scratch)}
    command = [sys.executable, "-c", SOLVE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    return done.stdout.strip(), done.stderr


def test_compiled_code_is_kept_among_temporary_files_and_that_is_said_once(tmp_path: Path) -> None:
    place = tmp_path / f"qbsweep-{os.getuid()}"
    kind, said = imported(tmp_path)
    assert kind == "FunctionCache"
    assert said.count("\n") == 1
    assert said.startswith(f"compiled code is kept in {place}: neither")
    assert place.stat().st_mode & 0o777 == 0o700
    assert imported(tmp_path) == ("FunctionCache", "")


@pytest.mark.parametrize("kind", ["link", "open to others", "file"])
def test_a_directory_that_others_may_write_is_not_trusted(kind: str, tmp_path: Path) -> None:
    place = tmp_path / f"qbsweep-{os.getuid()}"
    if kind == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "theirs")
    elif kind == "file":
        place.write_text("")
    else:
        place.mkdir()
        place.chmod(0o777)
    cache, said = imported(tmp_path)
    assert cache == "NullCache"
    assert said.startswith("compiled code is not kept")
    assert said.count("\n") == 1
