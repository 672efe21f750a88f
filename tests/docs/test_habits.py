"""What CONTRIBUTING.md tells of rooms and checks is what the configuration has."""

import re
import tomllib

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


def test_the_table_of_rooms_is_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer.split(" | ") for layer in contracts[0]["layers"] if layer != "__main__"]
    floor = {room: len(layers) - number for number, layer in enumerate(layers) for room in layer}
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## Rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    told = [room.rstrip("/") for row in rows for room in re.findall(r"`([\w/]+)`", row)]
    assert sorted(told) == sorted(floor)
    assert [floor[room] for room in told] == sorted(floor.values())


def test_the_recipe_of_an_output_names_every_file_that_has_one() -> None:
    """Whatever knows the power of the drive, an output of the whole network, steady and in time."""
    recipe = (ROOT / "CONTRIBUTING.md").read_text().partition("### An output")[2].partition("\n### ")[0]
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "qbsweep").rglob("*.py")]
    having = {path for path in files if "drive_power" in (ROOT / path).read_text()}
    assert "qbsweep/solvers/lindblad.py" in having
    assert having <= set(re.findall(r"`(qbsweep/[\w/]+\.py)`", recipe))


def test_recipes_name_files_that_there_are() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text().partition("## Recipes")[2].partition("\n## ")[0]
    assert [path for path in re.findall(r"`(qbsweep/[a-z/_]+\.py)`", recipes) if not (ROOT / path).exists()] == []


def test_the_makefile_says_what_each_target_does() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)", text, re.MULTILINE)
    assert phony is not None
    assert set(re.findall(r"^# make ([\w-]+)  ", text, re.MULTILINE)) == set(phony[1].replace("\\", "").split())
