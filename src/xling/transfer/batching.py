"""Which sentences a step of training sees, and their rows as padded tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xling.encoders.batches import Ints, Padded, padded, ranges
from xling.encoders.windows import Windows
from xling.randomness import generator

_SORTED_BATCHES = 50  # stretch, in batches, within which sentences are sorted by length


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch(Padded):
    """S sentences as B rows padded to L tokens.

    Attributes:
        sentences: Their numbers, int64 [S].
        units: Numbers of their words, sentence after sentence, int64 [U].
        inner_BL: Ordinary tokens, neither padding nor special.
        sentence_B: For each row the index of its sentence in ``sentences``.
        first_U: For each word its first subword with text, an index into the flattened ``B*L``.
        words_S: Words of each sentence.
    """

    sentences: Ints
    units: Ints
    inner_BL: Tensor
    sentence_B: Tensor
    first_U: Tensor
    words_S: Tensor


def collate(windows: Windows, sentences: Ints, device: torch.device) -> Batch:
    """Gather the rows of some sentences and pad them to the longest of them.

    Args:
        windows: All sentences.
        sentences: Numbers of those wanted, int64 [S], at least one.
        device: Where the tensors go.
    """
    batch = padded(windows, windows.rows_of(sentences), device)
    first_row = windows.sentence_rows[sentences]
    counts = windows.sentence_rows[sentences + 1] - first_row
    first_word, word_end = windows.word_starts[sentences], windows.word_starts[sentences + 1]
    units = ranges(first_word, word_end)
    tokens_U = windows.word_tokens[units]
    rows_U = np.searchsorted(windows.starts, tokens_U, side="right") - 1
    shift = np.cumsum(counts) - counts - first_row  # from a row's number to its place here
    places_U = rows_U + np.repeat(shift, word_end - first_word)
    first_U = places_U * batch.real_BL.shape[1] + tokens_U - windows.starts[rows_U]
    inner_BL = batch.real_BL & ~windows.special[batch.tokens_BL]
    return Batch(
        **vars(batch),
        sentences=sentences,
        units=units,
        inner_BL=torch.from_numpy(inner_BL).to(device),
        sentence_B=torch.from_numpy(np.repeat(np.arange(len(sentences)), counts)).to(device),
        first_U=torch.from_numpy(first_U).to(device),
        words_S=torch.from_numpy(word_end - first_word).to(device),
    )


def training_batches(lengths: Ints, size: int, seed: int, epoch: int) -> list[Ints]:
    """Cut a shuffled epoch into batches of sentences of similar length.

    Sentences are sorted by length within stretches of fifty batches of the shuffled order, so
    there is little padding, and batches still differ from epoch to epoch.

    Args:
        lengths: Tokens of each sentence.
        size: Sentences per batch; the last may have fewer.
        seed: The run's seed.
        epoch: Number of the epoch; the order is a pure function of both.
    """
    random = generator(seed, "transfer order", epoch)
    order = random.permutation(len(lengths))
    batches: list[Ints] = []
    for start in range(0, len(order), size * _SORTED_BATCHES):
        stretch = order[start : start + size * _SORTED_BATCHES]
        stretch = stretch[np.argsort(-lengths[stretch], kind="stable")]
        batches += [stretch[at : at + size] for at in range(0, len(stretch), size)]
    return [batches[number] for number in random.permutation(len(batches))]
