"""The words of parallel lines (``LANG.words``) and the links between them (``SRC-TGT.align``).

``LANG.words`` repeats the lines of ``LANG.txt``, cut into words by spaces, for scripts that write
no spaces. ``SRC-TGT.align`` has gold word alignments in Pharaoh format, to evaluate aligners. It
counts the words of ``LANG.words``; without that file, those between white space.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import regex
from numpy.typing import NDArray

from xling.data.lines import (
    Problem,
    Report,
    counted,
    fail,
    lone_returns,
    read_blocks,
    read_lines,
    shown,
)
from xling.files import atomic_file

_LINK = regex.compile(r"(\d{1,9})([-p?])(\d{1,9})")
_AROUND = 12  # characters shown before and after a place


class Link(NamedTuple):
    """A link in one line: the places of a source word and a target word, from 0."""

    source: int
    target: int
    sure: bool


def read_words(path: Path, lines: Path, report: Report = fail) -> Iterator[list[str]]:
    """Yield the words of each line of a ``LANG.words``.

    Args:
        path: The file of words, separated by white space.
        lines: The ``LANG.txt`` whose lines they are.
        report: Called with each problem.

    Raises:
        XlingError: The number of lines differs from that of ``lines``, or the characters of a line
            differ from those of its counterpart (white space aside, both in NFC).
    """
    problems: list[Problem] = []
    numbers = _count(path, problems.append), _count(lines)
    if numbers[0] != numbers[1]:
        found = f"found {counted(numbers[0], 'line')}, but {lines.name} has {numbers[1]:,}"
        message = f"{found}; expected each of its lines, cut into words"
        if returns := _lone_returns(path):
            message = f"{message}; {returns}"
        # A file that cannot be read has no lines to count.
        for problem in problems or [Problem(path, None, message)]:
            report(problem)
        return
    pairs = zip(read_lines(path, report), read_lines(lines, _pass_over), strict=True)
    for number, (cut, line) in enumerate(pairs, 1):
        words = cut.split()
        found, expected = "".join(words), "".join(line.split())
        if found != expected:
            message = _difference(found, expected, lines.name)
            report(Problem(path, number, message))
        yield words


def read_pharaoh(path: Path, report: Report = fail) -> Iterator[list[Link]]:
    """Yield the links of each line: sure ones ``i-j``, possible ones ``i?j`` or ``ipj``.

    Raises:
        XlingError: For anything else on a line.
    """
    for number, line in enumerate(read_lines(path, report), 1):
        links = []
        for field in line.split():
            match = _LINK.fullmatch(field)
            if match is None:
                expected = "expected links such as 0-0 or 3?4 (source place, target place, from 0)"
                report(Problem(path, number, f"found {shown(field)}, {expected}"))
                continue
            links.append(Link(int(match[1]), int(match[3]), match[2] == "-"))
        yield links


def read_links(path: Path) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Read a Pharaoh file: one line per pair, sure links ``i-j``, possible ``i?j`` or ``ipj``.

    Returns:
        For each line the sure links, and the possible ones, which contain the sure ones: int64
        arrays [links, 2] of (source place, target place), from 0.

    Raises:
        XlingError: for anything else on a line.
    """
    sure, possible = [], []
    for links in read_pharaoh(path):
        sure.append(_array(link[:2] for link in links if link.sure))
        possible.append(_array(link[:2] for link in links))
    return sure, possible


def write_links(links: Sequence[object], path: Path) -> None:
    """Write one pair per line, as ``i-j`` separated by spaces."""
    with atomic_file(path) as file:
        for pair in links:
            file.write(" ".join(f"{i}-{j}" for i, j in np.asarray(pair).tolist()) + "\n")


def read_links_of(
    path: Path, sizes: Sequence[tuple[int, int]], report: Report = fail
) -> Iterator[list[Link]]:
    """Yield the links of each parallel line, checked against its numbers of words.

    Args:
        path: The file, in Pharaoh format.
        sizes: For each line, how many words its source and its target have.
        report: Called with each problem.

    Raises:
        XlingError: The number of lines differs, or a link is to a word that its line does not have.
    """
    count = _count(path)
    if count != len(sizes):
        found = f"found {counted(count, 'line')} for {counted(len(sizes), 'parallel line')}"
        report(Problem(path, None, f"{found}; expected one line of links for each parallel line"))
        return
    for number, (links, size) in enumerate(zip(read_pharaoh(path, report), sizes, strict=True), 1):
        for link in links:
            if link.source >= size[0] or link.target >= size[1]:
                found = f"found a link {link.source}-{link.target}"
                there = f"of a line with {size[0]} and {size[1]} words"
                advice = "places count words between white space, from 0"
                report(Problem(path, number, f"{found} {there}; {advice}"))
                break
        yield links


def _count(path: Path, report: Report | None = None) -> int:
    return sum(block.text.count("\n") + 1 for block in read_blocks(path, report or _pass_over))


def _lone_returns(path: Path) -> str:
    blocks = read_blocks(path, _pass_over)
    returns = lone_returns(sum(block.text.count("\r") for block in blocks))
    return f"found {returns}" if returns else ""


def _pass_over(problem: Problem) -> None:
    """Report nothing: the file's own reader has reported the problem."""


def _difference(found: str, expected: str, name: str) -> str:
    """Say where the characters of a line's words first differ from those of the line."""
    place = next(
        (i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b),
        min(len(found), len(expected)),
    )
    cut = slice(max(0, place - _AROUND), place + _AROUND)
    return (
        f"found {shown(found[cut])} where {name} has {shown(expected[cut])}; expected the same "
        "characters, with only white space added"
    )


def _array(links: Iterable[tuple[int, ...]]) -> NDArray[np.int64]:
    return np.array(sorted(set(links)), dtype=np.int64).reshape(-1, 2)
