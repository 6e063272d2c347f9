"""Anchors: tokens that two languages have in common (Conneau et al. 2020, section 4.2).

A token is an anchor of two corpora if it occurs in both under one id. How much of running text
anchors cover says more than how many there are. Words spelled alike in two languages are cognates
or loans if they mean the same, and accidental homographs if they do not; only a dictionary can
tell which.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

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
            or after a punctuation mark.
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
    """Return which tokens end a run of words: [SEP] and punctuation, bool ``[V]``."""
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
                     stand right after another word, where only names (and German
                     nouns) have a capital
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


class Share(NamedTuple):
    """What anchors cover.

    Attributes:
        tokens: How many there are.
        first: Share of the first corpus' running tokens that are anchors.
        second: The same of the second corpus.
        overlap: What the two distributions of running tokens have in common: the sum of each
            anchor's smaller share. A word of one language quoted once in the other adds all of
            its occurrences to ``first`` or ``second``, but next to nothing here.
    """

    tokens: int
    first: float
    second: float
    overlap: float


@dataclass(frozen=True)
class Anchors:
    """The anchors of two corpora.

    Attributes:
        ids: Their ids, those that cover most of both corpora first.
        all: How many, and what they cover.
        kind_of: The kind of each of them, in the same order; see `anchor_kind`.
        kinds: How many of each kind, and what they cover.
    """

    ids: np.ndarray
    all: Share
    kind_of: list[str]
    kinds: dict[str, Share]


def find_anchors(
    first: TokenUse, second: TokenUse, tokens: Sequence[str], cognates: Cognates | None
) -> Anchors:
    """Find the tokens that occur in both corpora.

    Args:
        first: How the first corpus uses each token.
        second: The same for the second.
        tokens: Every id's token ``[V]``; ids of special tokens are never anchors.
        cognates: What the dictionary of the two languages says; None if there is none.

    Returns:
        The anchors; shares are of each corpus' running tokens without [SEP].
    """
    shares = [_shares(first.counts), _shares(second.counts)]
    # The rarer side bounds what an anchor can tie together.
    strength = np.minimum(*shares)
    strength[: len(SPECIAL_TOKENS)] = 0
    ids = np.flatnonzero(strength)
    ids = ids[np.argsort(-strength[ids], kind="stable")]
    uses = (first, second)
    kind_of = [anchor_kind(tokens[number], number, uses, cognates) for number in ids.tolist()]
    kinds = np.array(kind_of, dtype=str)
    return Anchors(
        ids,
        _share(ids, shares),
        kind_of,
        {kind: _share(ids[kinds == kind], shares) for kind in KINDS},
    )


def _shares(counts: np.ndarray) -> np.ndarray:
    content = counts.astype(np.float64)
    content[SPECIAL_TOKENS.index("[SEP]")] = 0
    return np.asarray(content / max(1.0, content.sum()))


def _share(ids: np.ndarray, shares: list[np.ndarray]) -> Share:
    first, second = (share[ids] for share in shares)
    overlap = np.minimum(first, second)
    return Share(len(ids), float(first.sum()), float(second.sum()), float(overlap.sum()))
