"""A problem in a data file, and how readers report it.

Every reader takes a ``report`` function. The readers that feed training and scoring pass
`fail`, so the first problem ends them; ``xling data check`` passes a collector and continues.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

from xling.errors import XlingError


class Problem(NamedTuple):
    """One finding: where it is, and what was found and expected there."""

    path: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{self.path}, line {self.line}" if self.line is not None else str(self.path)
        return f"{place}: {self.message}"


Report = Callable[[Problem], None]


def fail(problem: Problem) -> NoReturn:
    """Raise the problem as the `XlingError` that ends the command."""
    raise XlingError(str(problem))


def shown(text: str, limit: int = 60) -> str:
    """Quote ``text`` for a message, with unprintable characters escaped and a long tail cut."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def counted(number: int, noun: str) -> str:
    """Write a number with its noun in the right form, e.g. ``"1 line"``, ``"2 lines"``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
