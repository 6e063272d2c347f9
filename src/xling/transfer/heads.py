"""Heads: linear ones, with a label per sentence or per word, and a biaffine one for parsing.

In deep biaffine attention (Dozat and Manning 2017) four small layers turn each word's vector into
what it looks like as the dependent and as the head of an arc, and as the dependent and as the head
of a relation. An arc is scored by a bilinear form (with a bias for the head), a relation by one
bilinear form per label, of the words at both ends. The ROOT is a learned vector put before the
words, so scores do not depend on what the encoder writes into its first token.

Shapes: B sentences, N words at most, H = N + 1 heads (0 is ROOT, h is word h counted from 1),
D width of the word vectors, K width of the label layers, L labels. `tree_decoding.decode` reads
``arcs_BNH[b, :n, : n + 1]``.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xling.encoders.batches import Ints
from xling.transfer.batching import Batch

IGNORED = -100  # head or label of a padding word or of one without gold: left out of the loss


class BiaffineScores(NamedTuple):
    """The parser's scores for a batch.

    Attributes:
        arcs_BNH: Score of head h for word n; -inf for heads that are padding.
        dependents_BNK: Words as dependents of a relation.
        heads_BHK: ROOT and words as heads of a relation.
    """

    arcs_BNH: Tensor
    dependents_BNK: Tensor
    heads_BHK: Tensor


class Biaffine(nn.Module):
    """Scores arcs and their labels from word vectors.

    Args:
        width: D, of the word vectors.
        arc_width: Width of the arc layers (the paper: 500).
        label_width: K, of the label layers (the paper: 100).
        labels: L, number of relations.
        dropout: Probability of dropping an activation of the four layers (the paper: 0.33).
    """

    def __init__(
        self, width: int, arc_width: int, label_width: int, labels: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.root = nn.Parameter(torch.randn(width) / width**0.5)
        self.arc_dependent = _layer(width, arc_width, dropout)
        self.arc_head = _layer(width, arc_width, dropout)
        self.label_dependent = _layer(width, label_width, dropout)
        self.label_head = _layer(width, label_width, dropout)
        # Zero forms: at first all heads and labels score the same.
        self.arc_form = nn.Parameter(torch.zeros(arc_width + 1, arc_width))
        self.label_form = nn.Parameter(torch.zeros(label_width + 1, labels, label_width + 1))

    def forward(self, words_BND: Tensor, mask_BN: Tensor) -> BiaffineScores:
        """Score every head of every word.

        Args:
            words_BND: Word vectors, each sentence's from the left, then padding.
            mask_BN: True at words, False at padding.
        """
        root_B1D = self.root.to(words_BND.dtype).expand(len(words_BND), 1, -1)
        candidates_BHD = torch.cat([root_B1D, words_BND], dim=1)
        dependents_BNA = _with_one(self.arc_dependent(words_BND)) @ self.arc_form
        arcs_BNH = dependents_BNA @ self.arc_head(candidates_BHD).transpose(1, 2)
        possible_BH = F.pad(mask_BN, (1, 0), value=True)
        arcs_BNH = arcs_BNH.float().masked_fill(~possible_BH[:, None], -torch.inf)
        return BiaffineScores(
            arcs_BNH, self.label_dependent(words_BND), self.label_head(candidates_BHD)
        )

    def label_scores(self, scores: BiaffineScores, heads_BN: Tensor) -> Tensor:
        """Return label scores [B, N, L] for one head of each word.

        Args:
            scores: The result of `forward`.
            heads_BN: Gold or decoded heads; where negative (padding) the scores mean nothing.
        """
        chosen_BNK = scores.heads_BHK.gather(
            1, heads_BN.clamp(min=0)[..., None].expand(-1, -1, scores.heads_BHK.shape[-1])
        )
        dependents_BNK = _with_one(scores.dependents_BNK)
        by_label_BNLK = torch.einsum("bnj,jlk->bnlk", dependents_BNK, self.label_form)
        return torch.einsum("bnlk,bnk->bnl", by_label_BNLK, _with_one(chosen_BNK)).float()

    def loss(self, scores: BiaffineScores, heads_BN: Tensor, labels_BN: Tensor) -> Tensor:
        """Return the mean cross-entropy per word of gold heads, plus that of gold labels.

        Labels are scored at their gold heads. Words whose head or label is `IGNORED` take no
        part in that mean; a batch without any gives 0.
        """
        known_BN = heads_BN != IGNORED
        arcs = F.cross_entropy(
            scores.arcs_BNH.flatten(0, 1),
            heads_BN.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        labelled_BN = known_BN & (labels_BN != IGNORED)
        labels = F.cross_entropy(
            self.label_scores(scores, heads_BN).flatten(0, 1),
            labels_BN.masked_fill(~labelled_BN, IGNORED).flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        return arcs / known_BN.sum().clamp(min=1) + labels / labelled_BN.sum().clamp(min=1)


def _layer(width: int, output: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, output), nn.LeakyReLU(0.1), nn.Dropout(dropout))


def _with_one(vectors: Tensor) -> Tensor:
    """Append a 1 to each vector, so that a bilinear form has linear terms too."""
    return F.pad(vectors, (0, 1), value=1.0)


Gold = dict[str, Tensor]
Predictions = dict[str, Ints]


class _Linear(nn.Module):
    """Cross-entropy over ``labels`` of a linear layer on some vectors of a batch."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, labels)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def vectors(self, hidden_BLD: Tensor, batch: Batch) -> Tensor:
        """Return what is classified, [units, d]."""
        raise NotImplementedError

    def forward(self, hidden_BLD: Tensor, batch: Batch) -> Tensor:
        """Return logits, float32 [units, labels]."""
        logits: Tensor = self.linear(self.vectors(hidden_BLD, batch))
        return logits.float()

    def loss(self, logits_UC: Tensor, gold: Gold, batch: Batch) -> Tensor:
        """Return the cross-entropy summed over units."""
        return F.cross_entropy(logits_UC, gold["label"], reduction="sum")

    def broken(self, logits_UC: Tensor, batch: Batch) -> int:
        """Return how many units have scores that are NaN or infinite."""
        return int((~logits_UC.isfinite()).any(dim=1).sum())

    def predict(self, logits_UC: Tensor, batch: Batch) -> Predictions:
        """Return the likeliest label of each unit."""
        return {"label": logits_UC.argmax(dim=1).cpu().numpy()}


class WordHead(_Linear):
    """On the state of each word's first subword that has text."""

    def vectors(self, hidden_BLD: Tensor, batch: Batch) -> Tensor:
        """Return [words, d]."""
        return hidden_BLD.flatten(0, 1).index_select(0, batch.first_U)


class FirstTokenHead(_Linear):
    """On the state of each sentence's first token; sentences are one row each."""

    def vectors(self, hidden_BLD: Tensor, batch: Batch) -> Tensor:
        """Return [sentences, d]."""
        return hidden_BLD[:, 0]


class MeanHead(_Linear):
    """On the mean state of each sentence's ordinary tokens, in however many rows."""

    def vectors(self, hidden_BLD: Tensor, batch: Batch) -> Tensor:
        """Return [sentences, d]; zeros for a sentence without tokens."""
        hidden_BLD = hidden_BLD.float()
        inner_BL1 = batch.inner_BL.unsqueeze(2).to(hidden_BLD.dtype)
        sums_BD, counts_B1 = (hidden_BLD * inner_BL1).sum(1), inner_BL1.sum(1)
        sums_SD = hidden_BLD.new_zeros(len(batch.sentences), hidden_BLD.shape[2])
        counts_S1 = hidden_BLD.new_zeros(len(batch.sentences), 1)
        sums_SD = sums_SD.index_add(0, batch.sentence_B, sums_BD)
        counts_S1 = counts_S1.index_add(0, batch.sentence_B, counts_B1)
        return sums_SD / counts_S1.clamp(min=1)


def per_word(vectors_UD: Tensor, words_S: Tensor) -> tuple[Tensor, Tensor]:
    """Put words of sentences one after the other into padded rows.

    Args:
        vectors_UD: Words of all sentences.
        words_S: Words of each sentence.

    Returns:
        Vectors [S, longest, d], zeros for padding, and which are words, bool [S, longest].
    """
    columns = torch.arange(int(words_S.max()), device=words_S.device)
    real_SW = columns < words_S.unsqueeze(1)
    padded_SWD = vectors_UD.new_zeros(*real_SW.shape, vectors_UD.shape[1])
    padded_SWD = padded_SWD.masked_scatter(real_SW.unsqueeze(2), vectors_UD)
    return padded_SWD, real_SW
