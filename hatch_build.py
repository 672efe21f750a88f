"""A wheel keeps the commit that it was built from: an installed package lies in no checkout that could be asked."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    """Adds the commit to a wheel; an editable install asks its checkout instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file that `qbsweep.store.provenance` reads."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from qbsweep.store.provenance import COMMIT_FILE, git_commit

        file = Path(tempfile.mkdtemp()) / COMMIT_FILE
        file.write_text(git_commit(Path(self.root, "qbsweep")), encoding="utf-8")
        build_data["force_include"][str(file)] = f"qbsweep/{COMMIT_FILE}"
