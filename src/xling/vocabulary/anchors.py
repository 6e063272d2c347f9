"""Anchors: tokens that two languages have in common (paper, section 4.2).

A token is an anchor of two corpora if it occurs in both under one id. How much they cover of
running text says more than how many there are.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xling.vocabulary.bpe import WORD_MARK
from xling.vocabulary.special import SPECIAL_TOKENS

KINDS = ("punctuation", "digits", "letters", "pieces")


class Share(NamedTuple):
    """What anchors cover.

    Attributes:
        tokens: How many there are.
        first: Share of the first corpus' running tokens that they are.
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
        kinds: The same by kind: punctuation, digits, single letters, longer pieces.
    """

    ids: np.ndarray
    all: Share
    kinds: dict[str, Share]


def token_kind(token: str) -> str:
    """Return the kind of a token: one of `KINDS`, by its characters without the word mark."""
    characters = token.removeprefix(WORD_MARK)
    groups = {unicodedata.category(character)[0] for character in characters}
    if groups and groups <= {"P", "S"}:
        return "punctuation"
    if groups == {"N"}:
        return "digits"
    return "letters" if len(characters) < 2 else "pieces"


def find_anchors(first: np.ndarray, second: np.ndarray, tokens: Sequence[str]) -> Anchors:
    """Find the tokens that occur in both corpora.

    Args:
        first: Occurrences of every id in the first corpus, int ``[V]``.
        second: The same for the second.
        tokens: Every id's token ``[V]``; ids of special tokens are never anchors.

    Returns:
        The anchors; shares are of each corpus' running tokens without [SEP].
    """
    shares = [_shares(first), _shares(second)]
    # The rarer side bounds what an anchor can tie together.
    strength = np.minimum(*shares)
    strength[: len(SPECIAL_TOKENS)] = 0
    ids = np.flatnonzero(strength)
    ids = ids[np.argsort(-strength[ids], kind="stable")]
    kinds = np.array([token_kind(tokens[number]) for number in ids.tolist()], dtype=str)
    return Anchors(
        ids,
        _share(ids, shares),
        {kind: _share(ids[kinds == kind], shares) for kind in KINDS},
    )


def _shares(counts: np.ndarray) -> np.ndarray:
    content = counts.astype(np.float64)
    content[SPECIAL_TOKENS.index("[SEP]")] = 0
    return content / max(1.0, content.sum())


def _share(ids: np.ndarray, shares: list[np.ndarray]) -> Share:
    first, second = (share[ids] for share in shares)
    overlap = np.minimum(first, second)
    return Share(len(ids), float(first.sum()), float(second.sum()), float(overlap.sum()))
