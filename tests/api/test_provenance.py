"""Which commit a dataset names, in a checkout and in an installed package."""

from pathlib import Path

from qbsweep.store import provenance


def test_an_installed_package_names_the_commit_it_was_built_from(tmp_path: Path) -> None:
    assert provenance.commit(tmp_path) == "unknown"
    (tmp_path / provenance.COMMIT_FILE).write_text("abc+dirty")
    assert provenance.commit(tmp_path) == "abc+dirty"
