"""Anchors: tokens that two languages have in common (Conneau et al. 2020, section 4.2).

A token is an anchor of two corpora if it occurs in both under one id. How much they cover of
running text says more than how many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xling.vocabulary.anchor_kinds import KINDS, Cognates, TokenUse, anchor_kind
from xling.vocabulary.bpe import SPECIAL_TOKENS


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
    return content / max(1.0, content.sum())


def _share(ids: np.ndarray, shares: list[np.ndarray]) -> Share:
    first, second = (share[ids] for share in shares)
    overlap = np.minimum(first, second)
    return Share(len(ids), float(first.sum()), float(second.sum()), float(overlap.sum()))
