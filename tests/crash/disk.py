"""What a disk may hold after a power cut, of what a program did before it.

What POSIX promises, and no more: the content of a file is there once the file was synced; until then it may be the old
one, none, a part, or zeros. What was done to the entries of a directory is there once the directory was synced; until
then the last of it may be missing, and how much is missing of one directory says nothing about another.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from .recording import ROOT, Name, Recording, Sync, Write


@dataclass(slots=True)
class _File:
    """The content that is on the disk, and those that were written since."""

    synced: bytes = b""
    since: list[bytes] = field(default_factory=list)

    def may_hold(self, chance: random.Random) -> bytes:
        if not self.since or chance.random() < 0.3:
            return self.synced
        content = chance.choice(self.since)
        if not content.startswith(self.synced):
            return chance.choice([self.synced, content, content[: len(content) // 2], b""])
        there, more = self.synced, content[len(self.synced) :]
        return there + chance.choice([more, more[: chance.randrange(len(more) + 1)], bytes(len(more))])


@dataclass(slots=True)
class Cut:
    """A moment of a recording, after its first `length` operations."""

    recording: Recording
    length: int

    def least(self, path: Path) -> None:
        """Put into a new directory what certainly is on the disk."""
        names = [op for op, is_safe in self._names() if is_safe]
        self._lay_out(path, names, {node: file.synced for node, file in self._files().items()})

    def all(self, path: Path) -> None:
        """Put into a new directory what is there without a power cut."""
        contents = {node: [file.synced, *file.since][-1] for node, file in self._files().items()}
        self._lay_out(path, [op for op, _ in self._names()], contents)

    def some(self, path: Path, chance: random.Random) -> None:
        """Put into a new directory what may be on the disk."""
        likely = chance.choice([0.5, 0.9, 0.98, 1.0])
        names: list[Name] = []
        stuck: set[int] = set()  # directories of which nothing later can be there
        for op, is_safe in self._names():
            if is_safe or (not op.folders & stuck and chance.random() < likely):
                names.append(op)
            else:
                stuck |= op.folders
        self._lay_out(path, names, {node: file.may_hold(chance) for node, file in self._files().items()})

    def _names(self) -> list[tuple[Name, bool]]:
        """Return what was done to entries, and whether it is on the disk."""
        found: list[tuple[Name, bool]] = []
        synced: set[int] = set()  # a move between directories takes with it what was done before to the other one
        for op in reversed(self.recording.log[: self.length]):
            if isinstance(op, Sync):
                synced.add(op.node)
            elif isinstance(op, Name):
                if is_safe := bool(op.folders & synced):
                    synced |= op.folders
                found.append((op, is_safe))
        return found[::-1]

    def _files(self) -> dict[int, _File]:
        files = {node: _File(content) for node, content in self.recording.before.contents.items()}
        for op in self.recording.log[: self.length]:
            if isinstance(op, Write):
                files.setdefault(op.node, _File()).since.append(op.content)
            elif isinstance(op, Sync) and op.node in files and files[op.node].since:
                files[op.node] = _File(files[op.node].since[-1])
        return files

    def _lay_out(self, path: Path, names: list[Name], contents: dict[int, bytes]) -> None:
        folders = {node: dict(entries) for node, entries in self.recording.before.folders.items()}
        for op in names:
            if op.old and folders.get(op.old[0], {}).get(op.old[1]) == op.node:
                del folders[op.old[0]][op.old[1]]
            if op.new:
                folders.setdefault(op.new[0], {})[op.new[1]] = op.node
        path.mkdir(parents=True)
        todo = [(ROOT, path)]
        while todo:
            node, at = todo.pop()
            for name, child in folders.get(node, {}).items():
                if child in self.recording.folders:
                    (at / name).mkdir()
                    todo.append((child, at / name))
                else:
                    (at / name).write_bytes(contents.get(child, b""))
