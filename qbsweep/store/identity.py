"""Whether a dataset still is the one that was opened: another may be put in its place at any moment."""

import json
from dataclasses import dataclass
from pathlib import Path

from qbsweep.errors import UnreadableError
from qbsweep.store.seals import METADATA

Seen = tuple[int, ...]
"""What the file system says of the metadata of a dataset; nothing if they are not there."""


def seen(path: Path) -> Seen:
    """Look at the metadata of a dataset."""
    try:
        found = (path / METADATA).stat()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Identity:
    """A dataset, and how to tell it from another.

    Attributes
    ----------
    path : Path
        Where it was.
    dataset : str
        Its id.
    seen : tuple of int
        What the file system said of its metadata: a look costs no more than that, unless they were written again.
    """

    path: Path
    dataset: str
    seen: Seen

    def is_there(self) -> bool:
        """Whether it still is at its path, and no other has taken its place."""
        if self.seen and seen(self.path) == self.seen:
            return True
        try:
            document = json.loads((self.path / METADATA).read_text(encoding="utf-8"))
            return bool(document["attributes"]["dataset_id"] == self.dataset)
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
            return False

    def require(self) -> None:
        """Refuse to take what is not found at its path for what was never written.

        Raises
        ------
        UnreadableError
            If it was moved away, or another has taken its place.
        """
        if not self.is_there():
            raise UnreadableError(f"{self.path} was moved or replaced since it was opened; open it again")
