"""Read YAML as a physicist means it: YAML 1.2 scalars, no duplicate keys, and the line of every value."""

import itertools
import re
from pathlib import Path
from typing import Any

import yaml

from qbsweep.errors import QbsweepError
from qbsweep.text import shown

Lines = dict[tuple[str | int, ...], int]
_MOST_REPEATED = 100_000


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core scalars: ``1e-4`` is a number; ``on``, ``no`` and ``12:30`` are strings."""


class _Dumper(yaml.SafeDumper):
    """Quotes what either YAML 1.1 or 1.2 would not read as the string it is."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(node.value)  # YAML 1.1 would read 010 as 8


_Loader.add_constructor("tag:yaml.org,2002:int", _int)


def read_yaml(path: Path) -> tuple[Any, Lines]:
    """Return the content of a YAML file and the line on which each of its values starts.

    Raises
    ------
    QbsweepError
        If the file cannot be read, is not YAML, is empty, or gives a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise QbsweepError(f"{path} does not exist; give the path of a YAML file") from None
    except IsADirectoryError:
        raise QbsweepError(f"{path} is a directory; give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise QbsweepError(f"{path} is not a text file; give the path of a YAML file") from None
    except OSError as error:
        raise QbsweepError(f"{path} cannot be read: {error.strerror}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """As `read_yaml`, for a text; `name` stands in the messages."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise QbsweepError(f"{name} is empty")
        _check_aliases(node, name)
        lines: Lines = {}
        return _construct(loader, node, (), lines, name), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise QbsweepError(f"{name}{line}: this is not valid YAML: {error.problem or error}") from None
    except yaml.YAMLError as error:
        raise QbsweepError(f"{name}: this is not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise QbsweepError(f"{name}: this file is of no use: it refers to itself or nests too deeply") from None


def _check_aliases(node: yaml.Node, name: str) -> None:
    """Refuse aliases that repeat too much: nested ones make gigabytes of a few lines."""
    sizes: dict[yaml.Node, int] = {}
    repeated = _expanded(node, sizes) - len(sizes)
    if repeated > _MOST_REPEATED:
        raise QbsweepError(
            f"{name}: its aliases (`*name`) repeat more than {_MOST_REPEATED:,} values; "
            "write a long axis as `linspace`, `geomspace` or `range`"
        )


def _expanded(node: yaml.Node, sizes: dict[yaml.Node, int]) -> int:
    """Return the number of values that a node stands for, aliases followed; `sizes` gets that of every node."""
    if node not in sizes:
        children = itertools.chain(*node.value) if isinstance(node, yaml.MappingNode) else node.value
        inner = () if isinstance(node, yaml.ScalarNode) else children
        sizes[node] = 1 + sum(_expanded(child, sizes) for child in inner)
    return sizes[node]


def dump_yaml(data: Any) -> str:
    """Write plain data as YAML that `parse_yaml` reads back."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100)


def _construct(loader: _Loader, node: yaml.Node, where: tuple[str | int, ...], lines: Lines, name: str) -> Any:
    lines[where] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return _scalar(loader, node)
    if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
        raise yaml.constructor.ConstructorError(None, None, f"the tag {node.tag} is not allowed", node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*where, i), lines, name) for i, item in enumerate(node.value)]
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _scalar(loader, key_node) if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
        if where == ("initial",) and isinstance(key, int):
            key = str(key)  # the number of a mode
        if not isinstance(key_node, yaml.ScalarNode) or not isinstance(key, str):
            raise QbsweepError(f"{name}:{line}: a key must be a name, but is {key}")
        if key in result:
            raise QbsweepError(f"{name}:{line}: `{key}` is given twice; keep one of them")
        result[key] = _construct(loader, value_node, (*where, key), lines, name)
        lines[(*where, key)] = line
    return result


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> Any:
    try:
        return loader.construct_object(node, deep=True)
    except ValueError:
        problem = f"{shown(node.value)} is not a value that can be read as {node.tag.rpartition(':')[2]}"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None
