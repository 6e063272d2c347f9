"""What a BPE learns from: the languages' alphabets, and lines drawn from their text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xling.data.selection import TextPart, read_part

_CODE_POINTS = 0x110000
# The first code points that take two, three and four bytes in UTF-8.
_LONGER_FROM = np.array([0x80, 0x800, 0x10000])
_BATCH_LINES = 1000


@dataclass(frozen=True)
class Census:
    """How much text a language has.

    Attributes:
        lines: Lines that are not blank.
        characters: Occurrences of each code point, int64 ``[0x110000]``.
    """

    lines: int
    characters: np.ndarray

    @property
    def bytes(self) -> int:
        """Size of the text in UTF-8, without line ends."""
        points = np.flatnonzero(self.characters)
        lengths = 1 + np.searchsorted(_LONGER_FROM, points, side="right")
        return int(self.characters[points] @ lengths)


class Alphabet(NamedTuple):
    """The characters kept of a language, and those left to be unknown, commonest first."""

    kept: list[str]
    left_out: list[str]


def take_census(parts: Mapping[TextPart, Path]) -> Census:
    """Count the lines and characters of a language's text in one pass over its files."""
    lines, characters = 0, np.zeros(_CODE_POINTS, dtype=np.int64)
    for batch in _read(parts):
        lines += len(batch)
        points = np.frombuffer("".join(batch).encode("utf-32-le"), dtype="<u4")
        counts = np.bincount(points)
        characters[: len(counts)] += counts
    return Census(lines, characters)


def choose_alphabet(characters: np.ndarray, coverage: float) -> Alphabet:
    """Keep the fewest characters, commonest first, that make up ``coverage`` of running text.

    Args:
        characters: Occurrences of each code point; white space does not count.
        coverage: Share of running characters to cover, in (0, 1].
    """
    points = np.flatnonzero(characters)
    points = points[[not chr(point).isspace() for point in points]]
    order = np.lexsort((points, -characters[points]))
    points = points[order]
    covered = np.cumsum(characters[points])
    # Integers compare exactly, where a share of a sum of floats could lose the last character.
    wanted = np.ceil(coverage * covered[-1])
    kept = int(np.searchsorted(covered, wanted)) + 1
    names = [chr(point) for point in points]
    return Alphabet(sorted(names[:kept]), names[kept:])


def sampling_rates(
    censuses: Mapping[str, Census], exponent: float, most_bytes: int
) -> dict[str, float]:
    """Say what share of each language's lines to learn from.

    Lines are drawn without repetition, so the language that exponentiation favours most gives
    all of its lines, and the others as many as make (share of lines) ** exponent hold among
    the drawn lines (Conneau et al. 2020, section 3.1); then all are thinned to at most
    ``most_bytes``.

    Returns:
        For each language a rate in (0, 1].
    """
    total = sum(census.lines for census in censuses.values())
    favour = {
        language: (census.lines / total) ** (exponent - 1) for language, census in censuses.items()
    }
    most = max(favour.values())
    rates = {language: weight / most for language, weight in favour.items()}
    expected = sum(rates[language] * census.bytes for language, census in censuses.items())
    thinning = min(1.0, most_bytes / expected)
    return {language: rate * thinning for language, rate in rates.items()}


def draw(parts: Mapping[TextPart, Path], rate: float) -> Iterator[list[str]]:
    """Yield batches of a language's lines, ``rate`` of them, evenly spaced over the text."""
    seen = 0
    for batch in _read(parts):
        # Line n is drawn where the running quota n * rate passes a whole number.
        quota = np.floor(np.arange(seen, seen + len(batch) + 1) * rate)
        seen += len(batch)
        drawn = [batch[index] for index in np.flatnonzero(np.diff(quota))]
        for start in range(0, len(drawn), _BATCH_LINES):
            yield drawn[start : start + _BATCH_LINES]


def _read(parts: Mapping[TextPart, Path]) -> Iterable[list[str]]:
    for part, path in parts.items():
        yield from read_part(path, part)
