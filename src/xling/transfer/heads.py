"""Linear heads: one label per sentence or one per word."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xling.encoders.batches import Ints
from xling.transfer.batching import Batch

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
