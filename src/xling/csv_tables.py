r"""Tables as CSV files: text is read back as written, and no cell is a formula.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return,
and somebody may have put such text into a corpus. So text like that gets an
apostrophe in front, which marks it as text in spreadsheets; numbers are left as they are.
`read_table` removes the apostrophe again.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from xling.errors import XlingError

if TYPE_CHECKING:
    import pandas as pd

# Existing apostrophes in front match too, so an added one differs from one that was there before.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_MARKED = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
Number = Literal["Int64", "float64"]


def safe_cell(text: str) -> str:
    """Return text as a cell that no spreadsheet takes for a formula; numbers stay.

    Example:
        >>> [safe_cell(text) for text in ("=1+1", "-0.5", "fr", "'=1")]
        ["'=1+1", '-0.5', 'fr', "''=1"]
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def plain_cell(text: str) -> str:
    """Return the text of a cell that `safe_cell` made."""
    return text[1:] if _MARKED.match(text) else text


def rows_as_csv(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of texts as CSV."""
    safe = [[safe_cell(text) for text in row] for row in rows]
    out = io.StringIO()
    returns = any("\r" in text for row in safe for text in row)
    csv.writer(out, lineterminator="\n", quoting=_quoting(returns)).writerows(safe)
    return out.getvalue()


def write_table(frame: "pd.DataFrame", file: IO[str]) -> None:
    """Write a table with a header and without row numbers.

    Args:
        frame: What to write; missing values are empty cells.
        file: Opened for text.
    """
    frame = frame.copy()
    returns = False
    for name in frame.columns:
        if frame[name].dtype == object or str(frame[name].dtype).startswith("str"):
            cells = frame[name].to_numpy(dtype=object)
            frame[name] = [safe_cell(v) if isinstance(v, str) else v for v in cells]
            returns |= any("\r" in value for value in cells if isinstance(value, str))
    frame.to_csv(file, index=False, quoting=_quoting(returns))


def read_table(
    path: Path, numbers: Mapping[str, Number] | None = None, filled: Collection[str] = ()
) -> "pd.DataFrame":
    """Read a table that `write_table` has written; types of cells are never guessed.

    Args:
        path: The file.
        numbers: Columns of numbers, if they exist, and their types; empty cells
            (and ``nan``) are missing. All others hold text, ``NA``, ``null`` and ``007`` included.
        filled: Those of them that may have no empty cell.

    Raises:
        XlingError: it is not there or no CSV, or a number is invalid, with file and line.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    except FileNotFoundError:
        raise XlingError(f"{path}: not found") from None
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        said = " ".join(str(error).split())
        raise XlingError(f"{path}: not a readable CSV file: {said}") from None
    for name in frame.columns:
        marked = frame[name].str.startswith("'")
        if marked.any():
            frame.loc[marked, name] = frame.loc[marked, name].map(plain_cell)
    for name, kind in (numbers or {}).items():
        if name in frame.columns:
            frame[name] = _numbers(frame[name], path, kind, name not in filled)
    return frame


def _numbers(
    column: "pd.Series[str]", path: Path, kind: Number, empty: bool
) -> "pd.Series[int] | pd.Series[float]":
    """Return a column's numbers, exactly as written."""
    import numpy as np
    import pandas as pd

    cells = column.to_numpy(dtype=object)
    texts = np.where(cells == "", "nan", cells) if empty else cells
    try:
        found = texts.astype(np.float64)
        whole = np.isnan(found) | (np.isfinite(found) & (np.floor(found) == found))
        right = whole | (kind == "float64")
    except ValueError:
        right = np.array([_is_number(text, kind) for text in texts])
    if not np.all(right):
        row = int(np.argmin(right))
        expected = "a number" if kind == "float64" else "a whole number"
        raise XlingError(f"{path}:{row + 2}: {column.name} is {cells[row]!r}, expected {expected}")
    return pd.Series(found, index=column.index, name=column.name).astype(kind)


def _is_number(text: str, kind: Number) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return kind == "float64" or number != number or number.is_integer()


def _quoting(returns: bool) -> Literal[0, 2]:
    """Return how to quote: a lone carriage return would end a row if it were not in quotes."""
    return csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
