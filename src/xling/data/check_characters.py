"""What characters, and quotes around cells, tell of a file's way here."""

from collections.abc import Iterable, Iterator, Sequence

from xling.data.lines import lone_returns
from xling.data.problem import counted
from xling.data.statistics import Statistics

_MOSTLY = 0.5  # of the rows


def character_warnings(statistics: Statistics, not_composed: int = 0) -> Iterator[str]:
    """Yield what should be known of the characters in a file.

    Args:
        statistics: Of the file.
        not_composed: How many of its lines were not in NFC.
    """
    if not_composed:
        message = f"{counted(not_composed, 'line')} not in Unicode's NFC"
        yield f"{message}; xling composes them, other tools may not"
    if zeros := statistics.occurrences("\0"):
        yield f"{counted(zeros, 'zero byte')}; is this a text file?"
    if returns := lone_returns(statistics.occurrences("\r")):
        yield returns
    if marks := statistics.occurrences("\ufeff"):
        message = f"{counted(marks, 'byte order mark')} (U+FEFF) inside the file"
        yield f"{message}: they hide in words; remove them: sed 's/\\xef\\xbb\\xbf//g'"


class QuotedRows:
    """Counts the rows of a table in which a cell has quotes around it, as CSV writes them."""

    def __init__(self) -> None:
        self._rows = 0
        self._quoted = 0

    def add(self, rows: Iterable[Sequence[object]]) -> None:
        """Look at further rows."""
        for row in rows:
            self._rows += 1
            self._quoted += any(_is_quoted(cell) for cell in row)

    def warnings(self) -> Iterator[str]:
        """Yield a warning if most rows have a quoted cell."""
        if self._quoted > _MOSTLY * self._rows:
            message = f"{self._quoted:,} of {counted(self._rows, 'row')} with quotes around a cell"
            yield f"{message}: they count as part of it, since tables have no quoting; remove them"


def _is_quoted(cell: object) -> bool:
    return isinstance(cell, str) and len(cell) > 1 and cell[0] == cell[-1] == '"'
