"""What a commit is checked by is what `make lint` checks."""

import re

import yaml

from ..readme_commands import ROOT


def test_hooks_before_a_commit_are_the_checks_of_make_lint() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    wanted = recipe[1].replace("\t", "").replace("$(BIN)", ".venv/bin").splitlines()
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"  # nothing is fetched
    assert [hook["entry"] for hook in repository["hooks"]] == wanted
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["always_run"]
        assert not hook["pass_filenames"]
