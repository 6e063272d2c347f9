"""The tab-separated files of the layout: dictionaries, NLI pairs and topics.

There is no quoting and no header: a tab always separates and a line is always a row.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from xling.data.lines import read_lines
from xling.data.problem import Problem, Report, counted, fail, shown

NLI_LABELS = ("entailment", "neutral", "contradiction")


def read_dictionary(path: Path, report: Report = fail) -> Iterator[tuple[str, str, float]]:
    """Yield (source, target, weight) of ``source TAB target [TAB weight]``; weight 1.0 if absent.

    Raises:
        XlingError: Not two or three columns, an empty word, or a weight that is not a positive
            number.
    """
    for number, line in enumerate(read_lines(path, report), 1):
        fields = line.split("\t")
        if len(fields) not in (2, 3):
            found = f"found {counted(len(fields), 'column')} in {shown(line)}"
            expected = "expected source TAB target or source TAB target TAB weight"
            advice = "; separate the words by a tab, not by spaces" if len(fields) == 1 else ""
            report(Problem(path, number, f"{found}, {expected}{advice}"))
            continue
        source, target = fields[:2]
        weight = _weight(fields[2]) if len(fields) == 3 else 1.0
        if not source.strip() or not target.strip():
            side = "target" if source.strip() else "source"
            report(Problem(path, number, f"the {side} is empty in {shown(line)}; expected a word"))
        elif weight is None:
            message = f"found weight {shown(fields[2])}, expected a number above 0"
            report(Problem(path, number, message))
        else:
            yield source, target, weight


def read_nli(path: Path, report: Report = fail) -> Iterator[tuple[str, str, str]]:
    """Yield (premise, hypothesis, label) of ``premise TAB hypothesis TAB label``.

    Raises:
        XlingError: Not three columns, an empty sentence, or a label other than `NLI_LABELS`.
    """
    for number, fields in _rows(path, ("premise", "hypothesis", "label"), report):
        premise, hypothesis, label = fields
        if label not in NLI_LABELS:
            expected = "expected entailment, neutral or contradiction"
            report(Problem(path, number, f"found label {shown(label)}, {expected}"))
            continue
        yield premise, hypothesis, label


def read_topics(path: Path, report: Report = fail) -> Iterator[tuple[str, str, str]]:
    """Yield (id, label, text) of ``id TAB label TAB text``.

    Raises:
        XlingError: Not three columns, an empty one, or an id that occurred before: ids say which
            texts of two languages are the same.
    """
    first_seen: dict[str, int] = {}
    for number, fields in _rows(path, ("id", "label", "text"), report):
        identifier, label, text = fields
        before = first_seen.setdefault(identifier, number)
        if before != number:
            message = f"found id {shown(identifier)} again (first on line {before})"
            report(Problem(path, number, f"{message}; expected each id once"))
            continue
        yield identifier, label, text


def _rows(
    path: Path, names: tuple[str, ...], report: Report
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield (line number, fields) of the rows that have a non-empty field for every name."""
    for number, line in enumerate(read_lines(path, report), 1):
        fields = tuple(line.split("\t"))
        if len(fields) != len(names):
            found = f"found {counted(len(fields), 'column')} in {shown(line)}"
            report(Problem(path, number, f"{found}, expected {' TAB '.join(names)}"))
            continue
        empty = [name for name, field in zip(names, fields, strict=True) if not field.strip()]
        if empty:
            message = f"the {empty[0]} is empty in {shown(line)}"
            report(Problem(path, number, f"{message}; expected {' TAB '.join(names)}"))
            continue
        yield number, fields


def _weight(text: str) -> float | None:
    """Parse a weight; None if it is not a positive finite number."""
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if weight > 0 and math.isfinite(weight) else None
