"""How values, names, times and sizes are written for people."""

import html
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

_LONGEST = 40


def choices(valid: Iterable[object]) -> str:
    """List the valid names as prose: ``'a', 'b' or 'c'``."""
    names = [f"'{name}'" for name in valid]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def shown(value: object) -> str:
    """Write a value of the user's on one line, shortened if it is long."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    try:
        text = printable(" ".join(str(value).split()))
    except ValueError:  # Python does not print integers of thousands of digits
        return "a number of thousands of digits"
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    return f"the text '{text}'" if isinstance(value, str) else text


def printable(text: str) -> str:
    """Return a line without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)


def unknown(what: str, name: object, valid: Iterable[str]) -> str:
    """Say that `name` is not a valid `what`, and which name was probably meant."""
    names = list(valid)
    near = get_close_matches(str(name), names, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"it must be {choices(names)}"
    return f"{what} {shown(name).removeprefix('the text ')} is not known; {hint}"


def number(value: object, digits: int = 6) -> str:
    """Write a value of a table: of a number so many digits, and nothing for one that is not known."""
    if isinstance(value, float):
        return f"{value:.{digits}g}" if math.isfinite(value) else ""
    return str(value)


def labelled(labels: Mapping[str, object]) -> str:
    """Write the labels of a point: ``N 2, J 0.001``."""
    return ", ".join(f"{name} {number(value)}" for name, value in labels.items())


def in_brackets(unit: str) -> str:
    """Write a unit behind a name; nothing for a pure number."""
    return "" if unit == "1" else f" ({unit.replace('[', '').replace(']', '')})"


def counted(count: int, noun: str) -> str:
    """Write how many there are: 0 blocks, 1 block, 1,000 blocks."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Write seconds as a person would: 0.4 s, 12 s, 3 min, 5.2 h, 2.1 days."""
    if seconds < 0.05:
        return "under 0.1 s"
    for unit, size, limit in (("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172800.0)):
        if seconds < limit:
            value = seconds / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"


def size_of(count: float) -> str:
    """Write bytes as a person would."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


class Tabulated:
    """Something that prints as a table of two columns, and shows as one in a notebook."""

    __slots__ = ()

    def rows(self) -> Mapping[str, str]:
        """Return the two columns."""
        raise NotImplementedError

    def __str__(self) -> str:
        return aligned(self.rows())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        cells = "".join(
            f'<tr><th style="text-align: left">{html.escape(name)}</th>'
            f'<td style="text-align: left; white-space: pre-line">{html.escape(text)}</td></tr>'
            for name, text in self.rows().items()
        )
        return f"<table>{cells}</table>"


def aligned(rows: Mapping[str, str]) -> str:
    """Write two columns, the first as wide as its longest entry."""
    width = max(map(len, rows), default=0)
    indented = {name: text.replace("\n", "\n" + " " * (width + 1)) for name, text in rows.items()}
    return "\n".join(f"{name:<{width}} {text}".rstrip() for name, text in indented.items())


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """A table with a header, which prints, and shows as one in a notebook."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [self.header, ["─" * width for width in widths], *self.rows] if self.rows else []
        cells = ("  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
        return "\n".join(line for line in (self.title, *cells, self.note) if line)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        def row(cells: Sequence[str], tag: str) -> str:
            return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"

        body = "".join(row(cells, "td") for cells in self.rows)
        table = f"<table><thead>{row(self.header, 'th')}</thead><tbody>{body}</tbody></table>" if self.rows else ""
        told = [f"<p>{html.escape(text)}</p>" if text else "" for text in (self.title, self.note)]
        return f"{told[0]}{table}{told[1]}"


def command(*words: object) -> str:
    """Write a command as it can be pasted into a shell."""
    return shlex.join(["qbsweep", *map(str, words)])
