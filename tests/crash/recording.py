"""What a program in this process does to the files under a directory, operation by operation.

Before every call that may change a file Python tells its audit hooks; then the whole tree is looked at, and what
differs from the look before is what happened since. So nothing has to be known of who writes how; `fsync` alone, of
which no hook is told, is wrapped.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
_FRESH = 50_000_000  # ns; a file that was changed so lately may have been changed again without a new time stamp
ROOT = 0
"""The number of the directory that is watched."""


@dataclass(frozen=True, slots=True)
class Name:
    """An entry of a directory comes, or goes, or moves: `old` and `new` are directory and name."""

    node: int
    old: tuple[int, str] | None = None
    new: tuple[int, str] | None = None

    @property
    def folders(self) -> set[int]:
        return {place[0] for place in (self.old, self.new) if place}


@dataclass(frozen=True, slots=True)
class Write:
    """A file has another content."""

    node: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Sync:
    """A file, or a directory, is on the disk."""

    node: int


@dataclass(slots=True)
class Tree:
    """The directories, with the number of every entry, and the contents of the files."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    contents: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Recording:
    """The tree as it was, what was done to it, and what in it is a directory."""

    before: Tree = field(default_factory=Tree)
    log: list[Name | Write | Sync] = field(default_factory=list)
    folders: set[int] = field(default_factory=set)


class _Watch:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.recording = Recording()
        self.tree = self.recording.before
        self.log = self.recording.log
        self._numbers = {root.stat().st_ino: ROOT}  # of inodes; a number is never used again, as an inode is
        self._seen: dict[int, tuple[tuple[int, int], bytes]] = {}
        self._next = 1
        self._lock = threading.RLock()
        self._busy = False

    def look(self) -> None:
        with self._lock:
            if not self._busy:
                self._busy = True
                try:
                    self._note(self._scan())
                finally:
                    self._busy = False

    def synced(self, inode: int) -> None:
        with self._lock:
            if inode in self._numbers:
                self.log.append(Sync(self._numbers[inode]))

    def _scan(self) -> Tree:
        tree, found = Tree(), {self.root.stat().st_ino}
        todo: list[tuple[int, Path]] = [(ROOT, self.root)]
        while todo:
            number, path = todo.pop()
            names = tree.folders[number] = {}
            with contextlib.suppress(FileNotFoundError):
                for entry in list(os.scandir(path)):
                    with contextlib.suppress(FileNotFoundError):
                        stat = entry.stat(follow_symlinks=False)
                        found.add(stat.st_ino)
                        child = names[entry.name] = self._number(stat.st_ino)
                        if entry.is_dir(follow_symlinks=False):
                            todo.append((child, Path(entry.path)))
                        else:
                            tree.contents[child] = self._content(child, Path(entry.path), stat)
        self._numbers = {inode: number for inode, number in self._numbers.items() if inode in found}
        return tree

    def _number(self, inode: int) -> int:
        if inode not in self._numbers:
            self._numbers[inode] = self._next
            self._next += 1
        return self._numbers[inode]

    def _content(self, node: int, path: Path, stat: os.stat_result) -> bytes:
        stamp = (stat.st_size, stat.st_mtime_ns)
        before, content = self._seen.get(node, (None, b""))
        if before != stamp or time.time_ns() - stat.st_mtime_ns < _FRESH:
            content = path.read_bytes()
            self._seen[node] = (stamp, content)
        return content

    def _note(self, tree: Tree) -> None:
        """Log what differs from the last look."""
        old, new = _places(self.tree), _places(tree)
        taken = {place for _, place in new - old}  # what was there before is replaced in one step
        for node in sorted({node for node, _ in old ^ new}):  # a directory has a lower number than what is in it
            left = [place for at, place in sorted(old - new) if at == node and place not in taken]
            came = [place for at, place in sorted(new - old) if at == node]
            if len(left) == len(came) == 1:
                self.log.append(Name(node, left[0], came[0]))
            else:
                self.log += [Name(node, new=place) for place in came] + [Name(node, old=place) for place in left]
        for node, content in tree.contents.items():
            if content != self.tree.contents.get(node, b""):
                self.log.append(Write(node, content))
        self.recording.folders |= tree.folders.keys()
        self.tree = tree


def _places(tree: Tree) -> set[tuple[int, tuple[int, str]]]:
    return {(node, (folder, name)) for folder, names in tree.folders.items() for name, node in names.items()}


_watches: list[_Watch] = []  # hooks cannot be removed: there is one, which has nothing to do but while this has some


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watches and event in _CHANGES and (event != "open" or _may_write(arguments)):
        for watch in _watches:
            watch.look()


def _may_write(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _watched(sync: Callable[[Any], None]) -> Callable[[Any], None]:
    def call(file: Any) -> None:
        inode = os.fstat(file).st_ino
        for watch in _watches:
            watch.look()
        sync(file)
        for watch in _watches:
            watch.synced(inode)

    return call


@contextlib.contextmanager
def recorded(root: Path) -> Iterator[Recording]:
    """Record what this process does under `root`; what is there before counts as being on the disk."""
    if _hook not in _installed:
        sys.addaudithook(_hook)
        _installed.append(_hook)
    watch = _Watch(root)
    watch.look()
    watch.recording.before = watch.tree
    watch.log.clear()
    fsync, fdatasync = os.fsync, os.fdatasync
    os.fsync, os.fdatasync = _watched(fsync), _watched(fdatasync)  # type: ignore[assignment]
    _watches.append(watch)
    try:
        yield watch.recording
        watch.look()
    finally:
        _watches.remove(watch)
        os.fsync, os.fdatasync = fsync, fdatasync


_installed: list[Any] = []
