"""The running words of lines in a form that spelling, spacing and punctuation do not change.

Two lines are compared by their words in NFKC, without case and punctuation; a character of a
script that is written without spaces is a word. What is made of a line depends on that line alone.
"""

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import regex
from numpy.typing import NDArray

from xling.data.lines import UNSPACED

Keys = NDArray[np.uint64]

_NOT_WORD = regex.compile(r"[^\w\n ]+")
_UNSPACED = regex.compile(f"[{UNSPACED}]")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class LineWords:
    """The words of some lines, one after the other.

    Attributes:
        starts: Where the words of each line begin, and the end of the last, int64 ``[L + 1]``.
        types: The distinct words.
        codes: Which of them each word is, int64 ``[N]``.
    """

    starts: NDArray[np.int64]
    types: list[str]
    codes: NDArray[np.int64]

    @classmethod
    def of(cls, lines: list[str]) -> "LineWords":
        """Find the words of lines (without line ends)."""
        import pandas as pd

        words = [line.split() for line in normal_lines(lines)]
        starts = np.zeros(len(words) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, words), np.int64, len(words)), out=starts[1:])
        flat = np.empty(int(starts[-1]), dtype=object)
        flat[:] = list(chain.from_iterable(words))
        codes, types = pd.factorize(flat)
        return cls(starts, types.tolist(), codes.astype(np.int64))

    def only(self, kept: NDArray[np.bool_]) -> "LineWords":
        """Return the words of some of the lines.

        Args:
            kept: Which, bool ``[L]``.
        """
        counts = self.counts
        starts = np.append(0, np.cumsum(counts[kept]))
        return LineWords(starts, self.types, self.codes[np.repeat(kept, counts)])

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many words each line has, int64 ``[L]``."""
        return np.diff(self.starts)

    @cached_property
    def hashes(self) -> Keys:
        """A 64-bit hash of each word, the same in every run, uint64 ``[N]``."""
        import pandas as pd

        if not self.types:
            return np.zeros(0, dtype=np.uint64)
        types = pd.util.hash_array(np.array(self.types, dtype=object), categorize=False)
        return np.asarray(types[self.codes])

    def of_types(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Spread a number for each distinct word over the running words."""
        return values[self.codes]

    def grams(self, length: int) -> tuple[Keys, NDArray[np.int64]]:
        """Hash every run of ``length`` words within a line.

        Returns:
            The hashes, and the place of each run's first word; ascending.
        """
        places = np.arange(max(0, len(self.codes) - length + 1))
        ends = np.repeat(self.starts[1:], self.counts)[: len(places)]
        places = places[places + length <= ends]
        found = np.zeros(len(places), dtype=np.uint64)
        for step in range(length):
            found = (found + self.hashes[places + step]) * _FACTOR
            found ^= found >> np.uint64(29)
        return found, places

    def lines_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the line of each place of a word."""
        return np.searchsorted(self.starts, places, side="right") - 1


def normal_lines(lines: list[str]) -> list[str]:
    """Return each line's words between spaces, however the line is written.

    Example:
        >>> normal_lines(["“Hello”,  WORLD!", "中文 ok"])
        [' hello   world ', ' 中  文  ok']
    """
    if not lines:
        return []
    text = "\n".join(lines)
    if not text.isascii() and not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    text = _NOT_WORD.sub(" ", text.casefold()).replace("_", " ")
    if not text.isascii():
        text = _UNSPACED.sub(r" \g<0> ", text)
    return text.split("\n")


def is_unspaced(word: str) -> bool:
    """Tell whether a word is a character of a script without spaces."""
    return len(word) == 1 and bool(_UNSPACED.match(word))
