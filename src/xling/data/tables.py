"""The tab-separated files of the layout: dictionaries, NLI pairs and topics.

There is no quoting and no header: a tab always separates and a line is always a row. White space
around words, labels and ids is not part of them.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from xling.data.lines import Problem, Report, counted, fail, lone_returns, read_lines, shown
from xling.errors import XlingError

NLI_LABELS = ("entailment", "neutral", "contradiction")
# Common titles of the columns in a header.
_TITLES = {
    "source": {"source", "src", "word"},
    "target": {"target", "tgt", "trg", "translation"},
    "weight": {"weight", "score"},
    "premise": {"premise", "sentence1", "text_a"},
    "hypothesis": {"hypothesis", "sentence2", "text_b"},
    "label": {"label", "gold_label", "category", "topic", "class"},
    "id": {"id", "index_id", "index"},
    "text": {"text", "sentence"},
}


def read_dictionary(path: Path, report: Report = fail) -> Iterator[tuple[str, str, float]]:
    """Yield (source, target, weight) of ``source TAB target [TAB weight]``; weight 1.0 if absent.

    Raises:
        XlingError: A header, not two or three columns, an empty word, or a weight that is not a
            positive number.
    """
    for number, line in enumerate(read_lines(path, report), 1):
        fields = line.split("\t")
        if len(fields) not in (2, 3):
            found = f"found {counted(len(fields), 'column')} in {shown(line)}"
            expected = "expected source TAB target or source TAB target TAB weight"
            advice = "; separate the words by a tab, not by spaces" if len(fields) == 1 else ""
            advice = _returns(line) or advice
            report(Problem(path, number, f"{found}, {expected}{advice}"))
            continue
        source, target = (field.strip() for field in fields[:2])
        if number == 1 and is_dictionary_header(path, fields):
            report(Problem(path, number, _header(line)))
            continue
        weight = _weight(fields[2]) if len(fields) == 3 else 1.0
        if not source or not target:
            side = "target" if source else "source"
            report(Problem(path, number, f"the {side} is empty in {shown(line)}; expected a word"))
        elif weight is None:
            message = f"found weight {shown(fields[2])}, expected a number above 0"
            report(Problem(path, number, message))
        else:
            yield source, target, weight


def read_lexicon(path: Path | str) -> list[tuple[str, str]]:
    """Read (source word, target word) pairs of a dictionary, plain or ``.gz``.

    Formats: the data layout's and XLing-Eval's (``source TAB target``; a weight after it is
    ignored), and MUSE's (``source target``, separated by a space or a tab). If a line has a tab,
    only tabs separate, so that an entry can have several words.

    Raises:
        XlingError: A line in neither format, named by its number; a file without entries.
    """
    path, entries = Path(path), []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        fields = [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]
        if len(fields) not in ((2, 3) if "\t" in line else (2,)) or not all(fields[:2]):
            returns = lone_returns(line.count("\r"))
            raise XlingError(
                f"{path}, line {number}: found {line[:60]!r}, expected a word and its translation, "
                "separated by a tab, or by one space if both are single words"
                + (f"; found {returns}" if returns else "")
            )
        if number == 1 and is_dictionary_header(path, fields):
            raise XlingError(
                f"{path}, line 1: found {line[:60]!r}, which is a header; expected data from the "
                "first line on: delete it"
            )
        entries.append((fields[0], fields[1]))
    if not entries:
        raise XlingError(f"{path}: no entry; expected a word and its translation on each line")
    return entries


def is_dictionary_header(path: Path, fields: Sequence[str]) -> bool:
    """Whether a dictionary's first line names its columns, or the languages of its file name."""
    languages = "-".join(field.strip().lower() for field in fields[:2])
    titles = ("source", "target", "weight")[: len(fields)]
    return _are_titles(fields, titles) or path.name.lower().startswith(f"{languages}.")


def read_nli(path: Path, report: Report = fail) -> Iterator[tuple[str, str, str]]:
    """Yield (premise, hypothesis, label) of ``premise TAB hypothesis TAB label``.

    Raises:
        XlingError: A header, not three columns, an empty sentence, or a label other than
            `NLI_LABELS`.
    """
    for number, fields in _rows(path, ("premise", "hypothesis", "label"), report):
        premise, hypothesis, label = *fields[:2], fields[2].strip()
        if label not in NLI_LABELS:
            expected = "expected entailment, neutral or contradiction"
            report(Problem(path, number, f"found label {shown(label)}, {expected}"))
            continue
        yield premise, hypothesis, label


def read_topics(path: Path, report: Report = fail) -> Iterator[tuple[str, str, str]]:
    """Yield (id, label, text) of ``id TAB label TAB text``.

    Raises:
        XlingError: A header, not three columns, an empty one, or a repeated id: ids say which
            texts of two languages are the same.
    """
    first_seen: dict[str, int] = {}
    for number, fields in _rows(path, ("id", "label", "text"), report):
        identifier, label, text = fields[0].strip(), fields[1].strip(), fields[2]
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
            expected = f"expected {' TAB '.join(names)}"
            report(Problem(path, number, f"{found}, {expected}{_returns(line)}"))
            continue
        if number == 1 and _are_titles(fields, names):
            report(Problem(path, number, _header(line)))
            continue
        empty = [name for name, field in zip(names, fields, strict=True) if not field.strip()]
        if empty:
            message = f"the {empty[0]} is empty in {shown(line)}"
            report(Problem(path, number, f"{message}; expected {' TAB '.join(names)}"))
            continue
        yield number, fields


def _are_titles(fields: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a line's fields are the titles of its columns."""
    pairs = zip(fields, names, strict=False)
    return all(field.strip().lower() in _TITLES[name] for field, name in pairs)


def _header(line: str) -> str:
    return (
        f"found {shown(line)}, which is a header; expected data from the first line on: delete it"
    )


def _returns(line: str) -> str:
    found = lone_returns(line.count("\r"))
    return f"; found {found}" if found else ""


def _weight(text: str) -> float | None:
    """Parse a weight; None if it is not a positive finite number."""
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if weight > 0 and math.isfinite(weight) else None
