"""What is counted in one file: lines, words, characters, scripts and duplicates."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xling.data.scripts import script_shares
from xling.data.sketch import DistinctLines, Keys, line_keys

_NEWLINE = ord("\n")
_SPACES = np.zeros(0x110000, dtype=bool)
_SPACES[[code for code in range(0x3001) if chr(code).isspace()]] = True


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one file.

    Attributes:
        part: ``text``, ``parallel``, ``dictionaries``, ``nli``, ``ner``, ``ud`` or ``topics``.
        name: Domain, name of the parallel set, or split.
        language: Language, or ``SRC-TGT``.
        lines: Lines; in nli, topics and dictionaries rows, in ner and ud sentences.
        words: Runs of characters between white space; in ner and ud tokens.
        characters: Unicode code points.
        scripts: Share of each script among the characters that belong to one, largest first.
        duplicates: Lines that repeat an earlier one (spaces apart; empty lines not counted).
        exact: Whether ``duplicates`` is exact; false beyond four million distinct lines.
    """

    part: str
    name: str
    language: str
    lines: int
    words: int
    characters: int
    scripts: dict[str, float]
    duplicates: int
    exact: bool


class Statistics:
    """Counts over one file, added up piece by piece in bounded memory.

    Attributes:
        lines: Lines so far.
        blank: Those with nothing but spaces.
        words: Runs of characters between white space.
        code_points: How often each code point up to the largest seen occurs, line ends apart.
        distinct: The distinct lines.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.blank = 0
        self.words = 0
        self.code_points: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.distinct = DistinctLines()

    def add(self, lines: list[str]) -> Keys:
        """Count further lines and return their hashes (see `line_keys`)."""
        if not lines:
            return line_keys(lines)
        codes = np.frombuffer("\n".join(["", *lines]).encode("utf-32-le"), dtype=np.uint32)
        counts = np.bincount(codes)
        counts[_NEWLINE] = 0
        if len(counts) > len(self.code_points):
            counts, self.code_points = self.code_points, counts
        self.code_points[: len(counts)] += counts
        spaces = _SPACES[codes]
        self.words += int(np.count_nonzero(spaces[:-1] & ~spaces[1:]))
        self.lines += len(lines)
        keys = line_keys(lines)
        filled = keys != _blank_key()
        self.blank += len(lines) - int(np.count_nonzero(filled))
        self.distinct.add(keys[filled])
        return keys

    def occurrences(self, character: str) -> int:
        """Return how often a character occurs."""
        code = ord(character)
        return int(self.code_points[code]) if code < len(self.code_points) else 0

    def row(self, part: str, name: str, language: str) -> Row:
        """Sum up as a row of the table."""
        # An estimate of the distinct lines may exceed the lines there are.
        duplicates = max(0, self.lines - self.blank - self.distinct.count())
        return Row(
            part=part,
            name=name,
            language=language,
            lines=self.lines,
            words=self.words,
            characters=int(self.code_points.sum()),
            scripts=script_shares(self.code_points),
            duplicates=duplicates,
            exact=self.distinct.level == 0,
        )


@cache
def _blank_key() -> np.uint64:
    return line_keys([""])[0]
