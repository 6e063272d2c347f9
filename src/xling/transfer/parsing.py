"""Dependency parsing: a biaffine parser on first subwords, one single-root tree per sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xling.bootstrap import Counts
from xling.data.conllu import Tree
from xling.data.layout import DataFolder
from xling.encoders.batches import Ints
from xling.encoders.encoder import Encoder
from xling.encoders.windows import Windows, word_windows
from xling.transfer.attachment import NeighbourAttachment, attachment_counts, las, uas, universal
from xling.transfer.batching import Batch
from xling.transfer.heads import IGNORED, Biaffine, BiaffineScores, Gold, Predictions, per_word
from xling.transfer.predictions import write_conllu
from xling.transfer.task import Task
from xling.transfer.tree_decoding import decode

_ARC_WIDTH, _LABEL_WIDTH, _DROPOUT = 500, 100, 0.33  # Dozat and Manning 2017


class Parsing(Task[Tree]):
    """Items are trees.

    Args:
        strip_subtypes: Whether ``nsubj:pass`` is learnt and scored as ``nsubj``.
    """

    name = "parsing"
    part = "ud"
    metric = "las"
    ending = ".conllu"
    of_words = True

    def __init__(self, strip_subtypes: bool) -> None:
        self.strip_subtypes = strip_subtypes
        self.relations: tuple[str, ...] = ()

    def read(self, data: DataFolder, language: str, split: str) -> list[Tree]:
        """Return the sentences of a split with their gold."""
        return list(data.treebank(language, split))

    def learn_labels(self, items: Sequence[Tree]) -> None:
        """Take over the labels of the training sentences."""
        self.relations = tuple(sorted(set(chain.from_iterable(map(self._relations, items)))))

    def windows(self, encoder: Encoder, items: Sequence[Tree]) -> Windows:
        """Tokenise sentences."""
        return word_windows(encoder, [tree.forms for tree in items])

    def gold(self, items: Sequence[Tree]) -> dict[str, Ints]:
        """Return the gold numbers of each unit, by name; -1 for a label unseen in training."""
        numbers = {name: number for number, name in enumerate(self.relations)}
        heads = [head for tree in items for head in tree.heads]
        relations = [numbers.get(name, -1) for tree in items for name in self._relations(tree)]
        return {"head": np.array(heads), "relation": np.array(relations)}

    def head(self, width: int) -> nn.Module:
        """Return an untrained head."""
        return ParserHead(width, len(self.relations))

    def counts(self, items: Sequence[Tree], predictions: Predictions) -> Ints:
        """Return [N, 2, 3]: attachment counts with and without punctuation."""
        return self._counts(items, self._trees(items, predictions))

    def scores(self, totals: Counts) -> dict[str, NDArray[np.float64]]:
        """Return metrics by name from summed counts."""
        whole, words = totals[..., 0, :], totals[..., 1, :]
        return {
            "las": las(whole),
            "uas": uas(whole),
            "las-no-punct": las(words),
            "uas-no-punct": uas(words),
        }

    def baselines(
        self, train: Sequence[Tree], test: Sequence[Tree]
    ) -> Mapping[tuple[str, str], float]:
        """Return scores that need no model, by baseline and metric."""
        neighbour = NeighbourAttachment.learn(train)
        totals = self._counts(test, [neighbour.predict(tree) for tree in test]).sum(axis=0)
        return {("neighbour", name): float(value) for name, value in self.scores(totals).items()}

    def write(
        self, path: Path, gold: Path, items: Sequence[Tree], predictions: Predictions
    ) -> None:
        """Write predictions in the form of the gold file."""
        write_conllu(path, gold, self._trees(items, predictions))

    def _counts(self, items: Sequence[Tree], trees: Sequence[Tree]) -> Ints:
        subtypes = not self.strip_subtypes
        counts = [attachment_counts(items, trees, punct, subtypes) for punct in (True, False)]
        return np.stack(counts, axis=1)

    def _relations(self, tree: Tree) -> list[str]:
        if self.strip_subtypes:
            return [universal(relation) for relation in tree.relations]
        return tree.relations

    def _trees(self, items: Sequence[Tree], predictions: Predictions) -> list[Tree]:
        heads = predictions["head"].tolist()
        names = np.array(self.relations, dtype=object)[predictions["relation"]].tolist()
        ends = np.cumsum([len(tree.forms) for tree in items]).tolist()
        return [
            replace(tree, heads=heads[a:b], relations=names[a:b])
            for tree, a, b in zip(items, [0, *ends], ends, strict=False)
        ]


class ParserHead(nn.Module):
    """The biaffine parser over all words of a sentence, in however many rows they were encoded.

    Args:
        width: Width of the hidden states.
        relations: Number of labels.
    """

    def __init__(self, width: int, relations: int) -> None:
        super().__init__()
        # Layers much wider than the states would only slow small models down.
        arc_width, label_width = min(_ARC_WIDTH, 4 * width), min(_LABEL_WIDTH, 2 * width)
        self.parser = Biaffine(width, arc_width, label_width, relations, _DROPOUT)

    def forward(self, hidden_BLD: Tensor, batch: Batch) -> BiaffineScores:
        """Score the arcs between the words of each sentence."""
        words_UD = hidden_BLD.flatten(0, 1).index_select(0, batch.first_U)
        words_SWD, real_SW = per_word(words_UD, batch.words_S)
        scores: BiaffineScores = self.parser(words_SWD, real_SW)
        return scores

    def loss(self, scores: BiaffineScores, gold: Gold, batch: Batch) -> Tensor:
        """Return the loss of heads and of labels, summed over words."""
        heads_SW = _padded(gold["head"], batch.words_S)
        relations_SW = _padded(gold["relation"], batch.words_S)
        mean: Tensor = self.parser.loss(scores, heads_SW, relations_SW)
        return mean * len(gold["head"])

    def broken(self, scores: BiaffineScores, batch: Batch) -> int:
        """Return how many words have scores that are NaN or infinite."""
        words_S1 = batch.words_S.unsqueeze(1)
        heads_H = torch.arange(scores.arcs_BNH.shape[2], device=words_S1.device)
        padding_SH = heads_H > words_S1  # such heads score -inf, and 0 is the root
        bad_SWH = ~scores.arcs_BNH.isfinite() & ~padding_SH.unsqueeze(1)
        bad_SW = bad_SWH.any(dim=2) | (~scores.dependents_BNK.isfinite()).any(dim=2)
        bad_SW |= (~scores.heads_BHK.isfinite()).any(dim=2)[:, 1:]
        return int((bad_SW & ~padding_SH[:, 1:]).sum())

    def predict(self, scores: BiaffineScores, batch: Batch) -> Predictions:
        """Return the heads of the best trees and the likeliest relations at these heads."""
        arcs_SWH = scores.arcs_BNH.float().cpu().numpy()
        lengths = batch.words_S.tolist()
        trees = decode([arcs[:n, : n + 1] for arcs, n in zip(arcs_SWH, lengths, strict=True)])
        heads_U = torch.from_numpy(np.concatenate(trees)).to(batch.words_S.device)
        heads_SW = _padded(heads_U, batch.words_S)
        relations_SW = self.parser.label_scores(scores, heads_SW).argmax(dim=2)
        return {
            "head": heads_U.cpu().numpy(),
            "relation": relations_SW[heads_SW != IGNORED].cpu().numpy(),
        }


def _padded(numbers_U: Tensor, words_S: Tensor) -> Tensor:
    """Put one number per word into rows [S, longest], `IGNORED` as padding."""
    columns = torch.arange(int(words_S.max()), device=words_S.device)
    padded_SW = numbers_U.new_full((len(words_S), len(columns)), IGNORED)
    return padded_SW.masked_scatter(columns < words_S.unsqueeze(1), numbers_U)
