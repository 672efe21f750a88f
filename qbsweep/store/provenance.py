"""Where a dataset comes from: versions, commit, host, time."""

import json
import platform
import socket
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

COMMIT_FILE = "commit.txt"
"""In an installed package: the commit that it was built from."""
_PACKAGES = ("qbsweep", "numpy", "scipy", "dask", "distributed", "xarray", "zarr")


def provenance() -> dict[str, Any]:
    """Return the attributes that let somebody trace a dataset: text, since not every format has more."""
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}
    return {
        "versions": json.dumps(versions),
        "git_commit": commit(Path(__file__).parents[1]),
        "host": socket.gethostname(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def as_attribute(value: Any) -> str | int | float:
    """Return an attribute as every format can hold it: what has a structure, as format 2 wrote it, is JSON text."""
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return value if is_plain else json.dumps(value)


def structured(attribute: Any, default: Any) -> Any:
    """Return what an attribute of `provenance` says: text, or in format 2 the thing itself."""
    return json.loads(attribute) if isinstance(attribute, str) else attribute or default


def commit(package: Path) -> str:
    """Return the commit of the package: the one it was built from, else that of its checkout, or 'unknown'."""
    built = package / COMMIT_FILE
    return built.read_text(encoding="utf-8") if built.exists() else git_commit(package)


def git_commit(directory: Path) -> str:
    """Return the commit of the checkout that holds `directory`, '+dirty' if it was changed, or 'unknown'."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        # A directory that git ignores (a virtual environment inside some other checkout) has no commit.
        if not git("ls-files", "--", "__init__.py"):
            return "unknown"
        return git("rev-parse", "HEAD") + ("+dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
