"""What needs no model: the floor under every transfer score.

All are learnt from the source language's training data, as models are, and never see the target's
labels. Settled ties are the same on every run: the label that comes first in the data wins.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from xling.data.conllu import Tree
from xling.errors import XlingError
from xling.transfer.attachment import attachment_counts, las
from xling.transfer.spans import Tags, repair


def majority_label(labels: Iterable[str]) -> str:
    """Return the commonest label: the baseline of NLI and topics; chance is 1 / labels.

    Raises:
        XlingError: There are no labels.
    """
    commonest = Counter(labels).most_common(1)
    if not commonest:
        raise XlingError("found no training data for the majority baseline; expected some")
    return commonest[0][0]


@dataclass(frozen=True)
class TagLookup:
    """Tags each word as it was tagged most often in training, O if it never occurred.

    Across languages it finds the names that both spell alike. (Tagging all words O, the other
    baseline of NER, has an F1 of 0 by definition.)

    Attributes:
        tags: The commonest tag of each training word that is not O.
    """

    tags: dict[str, str]

    @classmethod
    def learn(cls, sentences: Iterable[tuple[Sequence[str], Tags]]) -> "TagLookup":
        """Count the tags of each word in (tokens, tags) of training sentences."""
        counts: dict[str, Counter[str]] = {}
        for tokens, tags in sentences:
            for token, tag in zip(tokens, tags, strict=True):
                counts.setdefault(token, Counter())[tag] += 1
        commonest = {token: count.most_common(1)[0][0] for token, count in counts.items()}
        return cls({token: tag for token, tag in commonest.items() if tag != "O"})

    def predict(self, tokens: Sequence[str]) -> list[str]:
        """Return valid IOB2 tags of a sentence."""
        return repair([self.tags.get(token, "O") for token in tokens])


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
        # Some treebank might have no such arc; any relation is as good then.
        return counts.most_common(1)[0][0] if counts else "dep"

    def _las(self, trees: Sequence[Tree]) -> float:
        predicted = [self.predict(tree) for tree in trees]
        return float(las(attachment_counts(trees, predicted).sum(axis=0)))
