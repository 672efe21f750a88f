"""Read YAML as a physicist means it: YAML 1.2 scalars, no duplicate keys, and the line of every value."""

import re
from pathlib import Path
from typing import Any

import yaml

from qbsweep.errors import QbsweepError

Lines = dict[tuple[str | int, ...], int]


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core scalars: ``1e-4`` is a number; ``on``, ``no`` and ``12:30`` are strings."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


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
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise QbsweepError(f"{path} does not exist; give the path of a YAML file") from None
    except IsADirectoryError:
        raise QbsweepError(f"{path} is a directory; give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise QbsweepError(f"{path} is not a text file; give the path of a YAML file") from None
    except OSError as error:
        raise QbsweepError(f"{path} cannot be read: {error.strerror}") from None
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise QbsweepError(f"{path} is empty; a sweep file needs at least `name` and `sweep`")
        lines: Lines = {}
        return _construct(loader, node, (), lines, str(path)), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise QbsweepError(f"{path}{line}: this is not valid YAML: {error.problem or error}") from None
    except yaml.YAMLError as error:
        raise QbsweepError(f"{path}: this is not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise QbsweepError(f"{path}: this is not a sweep file: it refers to itself or nests too deeply") from None
    finally:
        loader.dispose()


def _construct(loader: _Loader, node: yaml.Node, where: tuple[str | int, ...], lines: Lines, path: str) -> Any:
    lines[where] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise QbsweepError(f"{path}:{line}: a key must be a name, but is {key!r}")
            if key in result:
                raise QbsweepError(f"{path}:{line}: `{key}` is given twice; keep one of them")
            result[key] = _construct(loader, value_node, (*where, key), lines, path)
            lines[(*where, key)] = line
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*where, i), lines, path) for i, item in enumerate(node.value)]
    return loader.construct_object(node, deep=True)
