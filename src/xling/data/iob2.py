"""Named entities in IOB2: one ``token TAB tag`` a line, a blank line after each sentence.

In IOB2 (Tjong Kim Sang and Veenstra 1999) every span starts with B-X and goes on with I-X.
Predictions and silver data break that rule, and repairing them is part of scoring, so the
reader returns tags as they stand; `stray_insides` finds the breaks.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from xling.data.lines import read_lines
from xling.data.problem import Problem, Report, counted, fail, shown

_TAG = re.compile(r"O|[BI]-\S+")
_PREFIX = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]+)*:")


class TaggedSentence(NamedTuple):
    """A sentence's tokens and their IOB2 tags, of equal length, and its first line."""

    line: int
    tokens: list[str]
    tags: list[str]


def read_iob2(path: Path, report: Report = fail) -> Iterator[TaggedSentence]:
    """Yield the sentences of an IOB2 file.

    WikiAnn's language prefix (``en:Paris``) is taken off if every token of the file has it.

    Raises:
        XlingError: Not two columns, an empty token, or a tag other than O, B-X and I-X. A line
            at fault costs its whole sentence where ``report`` returns.
    """
    prefix = _common_prefix(path)
    sentence = TaggedSentence(1, [], [])
    good = True
    number = 0
    for number, line in enumerate(read_lines(path, report), 1):
        if not line:
            if sentence.tokens and good:
                yield sentence
            sentence, good = TaggedSentence(number + 1, [], []), True
            continue
        fields = line.split("\t")
        message = _fault(fields, line, prefix)
        if message:
            report(Problem(path, number, message))
            good = False
        else:
            sentence.tokens.append(fields[0].removeprefix(prefix))
            sentence.tags.append(fields[1])
    if sentence.tokens and good:
        yield sentence


def stray_insides(tags: Sequence[str]) -> list[int]:
    """Return the positions of I-X tags that follow neither B-X nor I-X."""
    before = ["O", *tags]
    return [
        position
        for position, (last, tag) in enumerate(zip(before, tags, strict=False))
        if tag.startswith("I-") and last not in (tag, "B-" + tag[2:])
    ]


def _fault(fields: list[str], line: str, prefix: str) -> str | None:
    """Say what is wrong with one line, if anything is."""
    if len(fields) != 2:
        return f"found {counted(len(fields), 'column')} in {shown(line)}, expected token TAB tag"
    token, tag = fields
    if not token.removeprefix(prefix):
        return f"the token is empty in {shown(line)}; expected token TAB tag"
    if not _TAG.fullmatch(tag):
        return f"found tag {shown(tag)}, expected O, B-X or I-X for an entity type X"
    return None


def _common_prefix(path: Path) -> str:
    """Return the language prefix that every token of the file has, else an empty string."""
    prefix = ""
    # The reading that follows reports damage; this pass must only not stumble over it.
    for line in read_lines(path, report=lambda problem: None):
        if line and not prefix:
            match = _PREFIX.match(line)
            if not match:
                return ""
            prefix = match.group()
        if line and not line.startswith(prefix):
            return ""
    return prefix
