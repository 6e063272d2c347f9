"""The running words of lines, whatever their case, character forms, spacing and punctuation.

Two lines are compared by their words in NFKC, without case and punctuation. In scripts without
spaces, each character is a word. The words of a line depend on that line alone.
"""

import unicodedata
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TypeVar

import numpy as np
import regex
from numpy.typing import NDArray

from xling.data.lines import UNSPACED

Keys = NDArray[np.uint64]
Value = TypeVar("Value", np.int64, np.bool_)

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BASE = 0xD1342543DE82EF95
# Kinds of characters; those between words are of no kind.
_LETTER, _ALONE, _LINE_END, _COMPATIBLE = 1, 2, 4, 8
_KINDS = {
    _LETTER: r"[^\W_]",
    _ALONE: f"[{UNSPACED}]",  # a word by itself
    _LINE_END: r"\n",
    _COMPATIBLE: r"\p{NFKC_Quick_Check=No}",
}
_FEW = 32


@dataclass
class LineWords:
    """The words of some lines, one after the other.

    Attributes:
        starts: Where the words of each line begin, and the end of the last, int64 ``[L + 1]``.
        codes: Which distinct word each word is, int64 ``[N]``.
        types: The distinct words.
        lengths: The number of letters of each distinct word, int64.
        unspaced: Whether each is a character of a script without spaces, bool.
        letters: Hash of each line's letters, ignoring all between them, uint64 ``[L]``.
    """

    starts: NDArray[np.int64]
    codes: NDArray[np.int64]
    types: list[str]
    lengths: NDArray[np.int64]
    unspaced: NDArray[np.bool_]
    letters: Keys

    @classmethod
    def of(cls, lines: list[str]) -> "LineWords":
        """Find the words of lines (without line ends)."""
        import pandas as pd

        letters, alone, begins, line_begins = _letters(_normal("\n".join(lines)))
        line_begins = line_begins[: len(lines) + 1]
        ends = np.append(begins[1:], len(letters))
        sums, powers = _running_sums(letters)
        codes, distinct = pd.factorize(_between(sums, powers, begins, ends))
        first = np.zeros(len(distinct), dtype=np.int64)
        first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
        begin, end = begins[first], ends[first]
        text = letters.tobytes().decode("utf-32-le", "surrogatepass")
        return cls(
            np.searchsorted(begins, line_begins),
            codes.astype(np.int64),
            [text[start:stop] for start, stop in zip(begin.tolist(), end.tolist(), strict=True)],
            end - begin,
            alone[begin],
            _between(sums, powers, line_begins[:-1], line_begins[1:]),
        )

    def only(self, kept: NDArray[np.bool_]) -> "LineWords":
        """Return the words of some of the lines.

        Args:
            kept: Which lines, bool ``[L]``.
        """
        counts = self.counts
        starts = np.append(0, np.cumsum(counts[kept]))
        codes = self.codes[np.repeat(kept, counts)]
        return replace(self, starts=starts, codes=codes, letters=self.letters[kept])

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

    def of_types(self, values: NDArray[Value]) -> NDArray[Value]:
        """Spread a value for each distinct word over the running words."""
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


def _normal(text: str) -> str:
    """Return text in NFKC without case.

    Single characters that NFKC changes are replaced in all lines first. Most lines are then in
    NFKC, and a quick check sees that many times faster than normalising would be.
    """
    if not text.isascii():
        points = _points(text)
        found = np.unique(points[_kinds(points) & _COMPATIBLE > 0]).tolist()
        for sign in map(chr, found if len(found) <= _FEW else ()):
            text = text.replace(sign, unicodedata.normalize("NFKC", sign))
        text = "\n".join([unicodedata.normalize("NFKC", line) for line in text.split("\n")])
    return text.casefold()


def _letters(
    text: str,
) -> tuple[NDArray[np.uint32], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Remove what is between words.

    Returns:
        The letters of all lines; which of them are words by themselves; where words begin among
        them; and where lines begin and the last line ends.
    """
    points = _points(text)
    kinds = _kinds(points)
    line_ends = np.append(np.flatnonzero(kinds == _LINE_END), len(kinds))
    places = np.flatnonzero(kinds & _LETTER)
    alone = kinds[places] & _ALONE > 0
    begins = np.ones(len(places), dtype=np.bool_)
    begins[1:] = (np.diff(places) > 1) | alone[1:] | alone[:-1]
    lines = np.append(0, np.searchsorted(places, line_ends))
    return points[places], alone, np.flatnonzero(begins), lines


def _running_sums(letters: NDArray[np.uint32]) -> tuple[Keys, Keys]:
    """Return the sums of letters times powers of a base, and the powers of its inverse."""
    powers = np.full(len(letters) + 1, _BASE, dtype=np.uint64)
    powers[0] = 1
    np.multiply.accumulate(powers, out=powers)
    sums = np.zeros(len(letters) + 1, dtype=np.uint64)
    np.multiply(letters, powers[:-1], out=sums[1:])
    np.cumsum(sums, out=sums)
    powers[1:] = pow(_BASE, -1, 1 << 64)
    np.multiply.accumulate(powers, out=powers)
    return sums, powers


def _between(sums: Keys, powers: Keys, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> Keys:
    """Hash runs of letters by a polynomial modulo 2 ** 64 (Karp and Rabin 1987)."""
    return (sums[ends] - sums[begins]) * powers[begins]


def _points(text: str) -> NDArray[np.uint32]:
    """Return the code points of text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _kinds(points: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return the kinds of characters."""
    return _table().take(points)


@cache
def _table() -> NDArray[np.uint8]:
    """Return the kinds of all characters."""
    points = np.arange(0x110000, dtype="<u4")
    text = points.tobytes().decode("utf-32-le", "surrogatepass")
    table = np.zeros(len(text), dtype=np.uint8)
    for kind, characters in _KINDS.items():
        for found in regex.finditer(f"{characters}+", text):
            table[slice(*found.span())] |= kind
    table[(table & _LETTER) == 0] &= ~np.uint8(_ALONE)
    return table
