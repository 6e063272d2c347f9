"""What an anchor is: a mark, a number, a name, a word of both languages, or a piece of words.

Words of one spelling in two languages are cognates or loans if they mean the same, and accidental
homographs if they do not; which of the two only a dictionary can say.
"""

import unicodedata
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from xling.data.layout import DataFolder
from xling.vocabulary.bpe import SPECIAL_TOKENS, WORD_MARK

KINDS = ("punctuation", "digits", "names", "cognates", "homographs", "unlisted", "pieces")


@dataclass(frozen=True)
class TokenUse:
    """How a corpus uses each token.

    Attributes:
        counts: Its occurrences, int64 ``[V]``.
        whole: Those that are a word by themselves.
        inside: Those of ``whole`` that stand right after another word: not at the start of a line
            or behind a punctuation mark.
    """

    counts: np.ndarray
    whole: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(
        cls, ids: np.ndarray, word_starts: np.ndarray, breaks: np.ndarray, separator: int
    ) -> "TokenUse":
        """Count the tokens of a stream that begins and ends at a line's bounds.

        Args:
            ids: Token ids ``[N]``, every line followed by ``separator``.
            word_starts: Which ids begin a word, bool ``[V]``.
            breaks: Which ids are punctuation marks or ``separator``, bool ``[V]``.
            separator: Id of [SEP].
        """
        size = len(word_starts)
        starts = word_starts[ids]
        last = np.append(starts[1:], True) | (np.append(ids[1:], separator) == separator)
        whole = starts & last
        inside = whole & ~breaks[np.append(separator, ids[:-1])]
        count = [np.bincount(chosen, minlength=size) for chosen in (ids, ids[whole], ids[inside])]
        return cls(*count)

    def __add__(self, other: "TokenUse") -> "TokenUse":
        return TokenUse(
            self.counts + other.counts, self.whole + other.whole, self.inside + other.inside
        )


@dataclass(frozen=True)
class Cognates:
    """What a dictionary of two languages says of words that are spelled alike.

    Attributes:
        same: Words that are a translation of themselves, in lower case.
        known: Words that the dictionary has on either side, in lower case.
    """

    same: frozenset[str]
    known: frozenset[str]

    @classmethod
    def read(cls, data: DataFolder, first: str, second: str) -> "Cognates | None":
        """Read every dictionary of two languages, both directions, training and test part.

        Returns:
            None if the data has no dictionary of them.
        """
        there = data.dictionaries()
        pairs = [
            (source.lower(), target.lower())
            for one, other in permutations((first, second))
            for split in ("train", "test")
            if f"{one}-{other}.{split}" in there
            for source, target, _ in data.dictionary(one, other, split)
        ]
        if not pairs:
            return None
        return cls(
            frozenset(source for source, target in pairs if source == target),
            frozenset(word for pair in pairs for word in pair),
        )


def is_punctuation(token: str) -> bool:
    """Tell whether a token is punctuation marks or symbols only."""
    return _groups(token) <= {"P", "S"} and bool(token.removeprefix(WORD_MARK))


def breaks(tokens: list[str]) -> np.ndarray:
    """Return which tokens end what stands before them: [SEP] and punctuation, bool ``[V]``."""
    found = np.array([is_punctuation(token) for token in tokens], dtype=bool)
    found[: len(SPECIAL_TOKENS)] = False
    found[SPECIAL_TOKENS.index("[SEP]")] = True
    return found


def anchor_kind(
    token: str, number: int, uses: tuple[TokenUse, TokenUse], cognates: Cognates | None
) -> str:
    """Decide what an anchor is: one of `KINDS`.

    ===============  =====================================================================
    ``punctuation``  punctuation marks and symbols only
    ``digits``       numbers only
    ``pieces``       in either corpus, most of its occurrences are part of a longer word
    ``names``        begins with a capital, and in both corpora most of its occurrences
                     stand right after another word, where only names have one (and
                     German nouns)
    ``cognates``     the dictionary gives the word as its own translation
    ``homographs``   the dictionary has the word, but other words as its translation
    ``unlisted``     the dictionary does not have the word, or there is none
    ===============  =====================================================================

    Args:
        token: The token.
        number: Its id.
        uses: How each corpus uses the tokens.
        cognates: What the dictionary says; None if there is none.
    """
    if is_punctuation(token):
        return "punctuation"
    if _groups(token) == {"N"}:
        return "digits"
    if any(2 * use.whole[number] < use.counts[number] for use in uses):
        return "pieces"
    word = token.removeprefix(WORD_MARK)
    if word[:1].isupper() and all(2 * use.inside[number] >= use.whole[number] for use in uses):
        return "names"
    if cognates is None or word.lower() not in cognates.known:
        return "unlisted"
    return "cognates" if word.lower() in cognates.same else "homographs"


def _groups(token: str) -> set[str]:
    return {unicodedata.category(character)[0] for character in token.removeprefix(WORD_MARK)}
