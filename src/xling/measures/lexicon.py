"""Bilingual dictionaries as rows of two vocabularies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray

from xling.errors import XlingError

Entries = Sequence[tuple[str, str]]
_NUMERAL = regex.compile(r"\p{N}+(?:[.,]\p{N}+)*")


@dataclass(frozen=True, eq=False)
class Lexicon:
    """A dictionary as rows of two vocabularies.

    Attributes:
        pairs: int64 array [p, 2]: a row of the source vocabulary, a row of the target vocabulary;
            distinct, sorted. A word with several translations has several pairs.
        words: Distinct source words of the dictionary.
        covered: How many of them have a pair.
    """

    pairs: NDArray[np.int64]
    words: int
    covered: int

    @property
    def coverage(self) -> float:
        """Share of the dictionary's source words that have a pair."""
        return self.covered / self.words


def find_pairs(
    entries: Entries,
    source_words: Sequence[str],
    target_words: Sequence[str],
    name: object = "the dictionary",
) -> Lexicon:
    """Look up a dictionary in two vocabularies; words must match exactly, case included.

    Args:
        entries: (source word, target word) pairs.
        source_words: n distinct words.
        target_words: m distinct words.
        name: What to call the dictionary in messages, e.g. its file.

    Raises:
        XlingError: if no pair has both words in the vocabularies.

    Example:
        >>> entries = [("cat", "chat"), ("cat", "matou"), ("dog", "chien")]
        >>> lexicon = find_pairs(entries, ["dog", "cat"], ["chat", "matou"])
        >>> lexicon.pairs.tolist(), lexicon.coverage
        ([[1, 0], [1, 1]], 0.5)
    """
    source, target = _index(source_words), _index(target_words)
    found = sorted(
        {(source[a], target[b]) for a, b in entries if a in source and b in target},
    )
    words = {a for a, _ in entries}
    if not found:
        example = next(iter(entries), ("", ""))
        raise XlingError(
            f"{name}: none of its {len(entries)} entries (such as {example}) has both words "
            f"in vocabularies of {len(source)} and {len(target)} words: are the languages in this "
            "order, and both sides lower-cased alike?"
        )
    covered = len({pair[0] for pair in found})
    return Lexicon(np.array(found, dtype=np.int64), len(words), covered)


def identical_words(
    source_words: Sequence[str], target_words: Sequence[str], numerals_only: bool = False
) -> NDArray[np.int64]:
    """Pairs of words that are written the same: a seed dictionary without a dictionary.

    Args:
        source_words: n distinct words.
        target_words: m distinct words.
        numerals_only: Only digits, with . or , inside (Artetxe et al. 2017, section 4.2): languages
            in different scripts share these.

    Returns:
        int64 array [p, 2], sorted; empty if there are none.

    Example:
        >>> identical_words(["a", "12", "b"], ["12", "a"]).tolist()
        [[0, 1], [1, 0]]
        >>> identical_words(["a", "12", "b"], ["12", "a"], numerals_only=True).tolist()
        [[1, 0]]
    """
    target = _index(target_words)
    found = [
        (row, target[word])
        for word, row in _index(source_words).items()
        if word in target and (not numerals_only or _NUMERAL.fullmatch(word))
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _index(words: Iterable[str]) -> Mapping[str, int]:
    """Row of each word; of repeated words the first, which is the more frequent."""
    index: dict[str, int] = {}
    for row, word in enumerate(words):
        index.setdefault(word, row)
    return index
