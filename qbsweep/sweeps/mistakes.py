"""Mistakes in a sweep file: each a sentence and its place; all of them are told at once."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from qbsweep.errors import QbsweepError

Where = tuple[str | int, ...]
_MOST = 20


class GrammarError(QbsweepError):
    """Mistakes in a sweep file.

    Attributes
    ----------
    mistakes : list of (tuple, str)
        The path of keys that leads to each, and the sentence about it.
    """

    def __init__(self, where: Where, sentence: str) -> None:
        super().__init__(sentence)
        self.mistakes = [(where, sentence)]

    @classmethod
    def of(cls, mistakes: Iterable[tuple[Where, str]]) -> "GrammarError":
        """Return one error for several mistakes, a line each."""
        found = list(dict.fromkeys(mistakes))
        error = cls((), _listed(sentence for _, sentence in found))
        error.mistakes = found
        return error

    def in_file(self, name: object, lines: dict[Where, int]) -> QbsweepError:
        """Return the same with the file and the line of every mistake, in the order of the lines."""
        placed = sorted(((_line(where, lines), sentence) for where, sentence in self.mistakes), key=lambda one: one[0])
        return QbsweepError(_listed(f"{name}:{line}: {text}" if line else f"{name}: {text}" for line, text in placed))


def _listed(sentences: Iterable[str]) -> str:
    told = list(sentences)
    more = [f"and {len(told) - _MOST} more mistakes"] if len(told) > _MOST + 1 else []
    return "\n".join([*told[:_MOST], *more] if more else told)


def _line(where: Where, lines: dict[Where, int]) -> int:
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where, 0)


@dataclass(slots=True)
class Mistakes:
    """Collects mistakes from steps that do not need each other."""

    found: list[tuple[Where, str]] = field(default_factory=list)

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Go on after a mistake, and remember it."""
        try:
            yield
        except GrammarError as error:
            self.found += error.mistakes

    def raise_any(self) -> None:
        """Raise GrammarError if there was one."""
        if self.found:
            raise GrammarError.of(self.found)
