"""A network file system that remembers for a while what was in a folder, as NFS does."""

from pathlib import Path

import pytest

from qbsweep.runs import opening
from qbsweep.runs.block import Task, solve_block
from qbsweep.runs.state import progress_of
from qbsweep.store import blocks
from qbsweep.store.blocks import BlockFiles
from qbsweep.sweeps.spec import load_spec

SWEEP = """
name: small
parameters: {topology: cascaded, N: 2, kappa: 0.003, epsilon: 0.01}
sweep: {J: {geomspace: [1e-3, 1e-2, 24]}}
"""


class Client:
    """What a host knows of the folder of the blocks: only what it has seen, until it changes something there itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.elsewhere = False  # another host is at work
        self._known: set[int] | None = None
        self._look, self._stage = BlockFiles.numbers, blocks.stage
        monkeypatch.setattr(BlockFiles, "numbers", lambda files: self._numbers(files))
        monkeypatch.setattr(blocks, "stage", self._staged)

    def _numbers(self, files: BlockFiles) -> set[int]:
        if self._known is None:
            self._known = self._look(files)
        return self._known

    def _staged(self, path: Path, content: list[bytes], safe: bool) -> Path:
        self._known = self._known if self.elsewhere else None
        return self._stage(path, content, safe)


def test_blocks_that_other_hosts_have_just_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(monkeypatch)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    with opening.locked(tmp_path / "out") as directory:
        store = opening.prepare(load_spec(tmp_path / "sweep.yaml"), directory, block_seconds=2e-5)
        assert store.grid.is_grouped
        assert store.blocks.numbers() == set()
        client.elsewhere = True
        for block in store.grid.blocks_of(0):
            assert not solve_block(Task(str(directory.path), store.id, block)).error
        client.elsewhere = False
        assert store.blocks.numbers() == set()
        store.fold_all()
        assert not store.blocks.folder.exists()
        assert progress_of(store).complete
