"""Attachment scores of dependency trees, by the rules of the CoNLL 2018 shared task.

With gold tokenisation the rules are: every syntactic word counts, punctuation too; multiword tokens
and empty nodes are no words; UAS is the share of words with the right head, LAS of those whose
relation is right as well, where only the part before the colon counts (``nsubj`` of
``nsubj:pass``). Two options depart from those rules: whole relations, and leaving out the words
that gold attaches as ``punct`` (the relation, not the tag PUNCT: a treebank may have no tags, and
in Universal Dependencies the two differ on about one word in a thousand).

Words that the model never saw, past its length limit, have head `UNSEEN`, stay in the denominator
and are wrong. Counts are per sentence, so that `xling.bootstrap` can resample sentences by
adding up rows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from xling.bootstrap import Counts, ratio
from xling.data.conllu import Tree
from xling.errors import XlingError

UNSEEN = -1  # the head of a word that the model never saw
PUNCTUATION = "punct"


def attachment_counts(
    gold: Sequence[Tree],
    predicted: Sequence[Tree],
    punctuation: bool = True,
    subtypes: bool = False,
) -> NDArray[np.int64]:
    """Count, for each sentence, its words, those with the right head, and with relation too.

    Args:
        gold: N trees.
        predicted: Trees of the same words; of these only ``heads`` and ``relations`` are read, so
            ``dataclasses.replace(tree, heads=..., relations=...)`` makes them.
        punctuation: Whether words whose gold relation is ``punct`` count.
        subtypes: Whether ``nsubj:pass`` differs from ``nsubj``.

    Returns:
        Array [N, 3] of (words, UAS hits, LAS hits).

    Raises:
        XlingError: Different numbers of sentences or of words.
    """
    lengths = check_same_words(gold, predicted)
    right_head, right_relation = word_hits(gold, predicted, subtypes)
    counted = np.ones(len(right_head), bool)
    if not punctuation:
        counted = ~flags(is_punctuation(name) for name in all_relations(gold))
    sentence = np.repeat(np.arange(len(gold)), lengths)
    hits = [counted, counted & right_head, counted & right_head & right_relation]
    rows = [np.bincount(sentence[which], minlength=len(gold)) for which in hits]
    return np.stack(rows, axis=1).reshape(len(gold), 3)


def uas(counts: Counts) -> NDArray[np.float64]:
    """Unlabelled attachment score in [0, 1]; summed counts [..., 3] to [...], 0 where no words."""
    return ratio(counts[..., 1], counts[..., 0])


def las(counts: Counts) -> NDArray[np.float64]:
    """Labelled attachment score in [0, 1]; summed counts [..., 3] to [...], 0 where no words."""
    return ratio(counts[..., 2], counts[..., 0])


def universal(relation: str) -> str:
    """Return a relation without its subtype: ``nsubj`` for ``nsubj:pass``."""
    return relation.partition(":")[0]


def is_punctuation(relation: str) -> bool:
    """Say whether a relation is ``punct``, with or without a subtype."""
    return universal(relation) == PUNCTUATION


def word_hits(
    gold: Sequence[Tree], predicted: Sequence[Tree], subtypes: bool = False
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for every word of all sentences whether its head, and its relation, is right."""
    heads = all_heads(gold)
    right_head = (heads == all_heads(predicted)) & (heads != UNSEEN)
    pairs = zip(all_relations(gold), all_relations(predicted), strict=True)
    if subtypes:
        return right_head, flags(name == guess for name, guess in pairs)
    return right_head, flags(universal(name) == universal(guess) for name, guess in pairs)


def check_same_words(gold: Sequence[Tree], predicted: Sequence[Tree]) -> NDArray[np.int64]:
    """Return the sentences' numbers of words [N], which must be the same on both sides."""
    if len(gold) != len(predicted):
        raise XlingError(f"found {len(predicted)} predicted trees, expected {len(gold)}")
    for tree, guess in zip(gold, predicted, strict=True):
        if not len(tree.heads) == len(guess.heads) == len(guess.relations):
            found = f"{len(guess.heads)} heads and {len(guess.relations)} relations"
            sentence = f"the sentence that starts on line {tree.line} of gold"
            raise XlingError(f"{sentence}: predicted {found}, expected {len(tree.heads)} of each")
    return np.fromiter((len(tree.heads) for tree in gold), np.int64, len(gold))


def all_heads(trees: Iterable[Tree]) -> NDArray[np.int64]:
    """Return the heads of all words of all trees, one after the other."""
    return np.fromiter(chain.from_iterable(tree.heads for tree in trees), np.int64)


def all_relations(trees: Iterable[Tree]) -> Iterator[str]:
    """Yield the relations of all words of all trees, one after the other."""
    return chain.from_iterable(tree.relations for tree in trees)


def flags(values: Iterable[bool]) -> NDArray[np.bool_]:
    """Return booleans as an array."""
    return np.fromiter(values, bool)


@dataclass(frozen=True)
class NeighbourAttachment:
    """Attaches every word to the word before it or after it; the outermost word is the root.

    Attributes:
        direction: -1 if the head is the word before, 1 if it is the word after.
        relation: What every word but the root gets; the root gets ``root``.
    """

    direction: int
    relation: str

    @classmethod
    def learn(cls, trees: Sequence[Tree]) -> "NeighbourAttachment":
        """Choose the direction and the relation with the best LAS on the source's training trees.

        Raises:
            XlingError: There are no trees.
        """
        if not trees:
            raise XlingError("found no training trees for the parsing baseline; expected some")
        candidates = [cls(side, cls._relation(trees, side)) for side in (-1, 1)]
        return max(candidates, key=lambda baseline: baseline._las(trees))

    def predict(self, tree: Tree) -> Tree:
        """Return the tree of the same words; gold heads and relations are not read."""
        words = len(tree.forms)
        heads = [word + self.direction for word in range(1, words + 1)]
        heads[0 if self.direction < 0 else -1] = 0
        relations = ["root" if head == 0 else self.relation for head in heads]
        return replace(tree, heads=heads, relations=relations)

    @staticmethod
    def _relation(trees: Sequence[Tree], direction: int) -> str:
        """Return the commonest relation of the words whose head really is that neighbour."""
        counts = Counter(
            relation
            for tree in trees
            for word, (head, relation) in enumerate(zip(tree.heads, tree.relations, strict=True), 1)
            if head == word + direction and head != 0
        )
        # A treebank might have no such arc; then any relation will do.
        return counts.most_common(1)[0][0] if counts else "dep"

    def _las(self, trees: Sequence[Tree]) -> float:
        predicted = [self.predict(tree) for tree in trees]
        return float(las(attachment_counts(trees, predicted).sum(axis=0)))
