"""Which sentences a step sees, and their rows as padded tensors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xling.encoders.windows import Ints, Windows
from xling.randomness import generator

_SORTED_BATCHES = 50  # among how many batches' sentences those of like length are sought


@dataclass(frozen=True, eq=False)
class Batch:
    """S sentences as B rows padded to L tokens.

    Attributes:
        sentences: Their numbers, int64 [S].
        units: Numbers of their words, sentence after sentence, int64 [U].
        tokens_BL: Where each token is among all of the windows; 0 for padding.
        ids_BL: Token ids.
        mask_BL: 1 for tokens, 0 for padding.
        types_BL: Segments; None if the model knows none.
        inner_BL: Ordinary tokens, neither padding nor special.
        sentence_B: For each row the place of its sentence in ``sentences``.
        first_U: For each word its first subword with text, an index into the flattened ``B*L``.
        words_S: Words of each sentence.
    """

    sentences: Ints
    units: Ints
    tokens_BL: Ints
    ids_BL: Tensor
    mask_BL: Tensor
    types_BL: Tensor | None
    inner_BL: Tensor
    sentence_B: Tensor
    first_U: Tensor
    words_S: Tensor

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What a model is given besides token ids and mask: segments, if it knows any."""
        return {} if self.types_BL is None else {"token_type_ids": self.types_BL}


def collate(windows: Windows, sentences: Ints, device: torch.device) -> Batch:
    """Gather the rows of some sentences and pad them to the longest of them.

    Args:
        windows: All sentences.
        sentences: Numbers of those wanted, int64 [S], at least one.
        device: Where the tensors go.
    """
    first_row, row_end = windows.sentence_rows[sentences], windows.sentence_rows[sentences + 1]
    rows = ranges(first_row, row_end)
    lengths = windows.row_lengths[rows]
    columns_L = np.arange(lengths.max())
    real_BL = columns_L < lengths[:, None]
    tokens_BL = np.where(real_BL, windows.row_starts[rows, None] + columns_L, 0)
    types_BL = None
    if windows.types is not None:
        types_BL = torch.from_numpy(np.where(real_BL, windows.types[tokens_BL], 0).astype(np.int64))

    counts = row_end - first_row
    word_counts = windows.word_starts[sentences + 1] - windows.word_starts[sentences]
    units = ranges(windows.word_starts[sentences], windows.word_starts[sentences + 1])
    tokens_U = windows.word_tokens[units]
    rows_U = np.searchsorted(windows.row_starts, tokens_U, side="right") - 1
    shift = np.cumsum(counts) - counts - first_row  # from a row's number to its place here
    places_U = rows_U + np.repeat(shift, word_counts)
    first_U = places_U * len(columns_L) + tokens_U - windows.row_starts[rows_U]

    def tensor(array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(device, non_blocking=True)

    return Batch(
        sentences=sentences,
        units=units,
        tokens_BL=tokens_BL,
        ids_BL=tensor(np.where(real_BL, windows.ids[tokens_BL], windows.padding).astype(np.int64)),
        mask_BL=tensor(real_BL.astype(np.int64)),
        types_BL=None if types_BL is None else types_BL.to(device),
        inner_BL=tensor(real_BL & windows.inner[tokens_BL]),
        sentence_B=tensor(np.repeat(np.arange(len(sentences)), counts)),
        first_U=tensor(first_U),
        words_S=tensor(word_counts),
    )


def ranges(starts: Ints, ends: Ints) -> Ints:
    """Concatenate the ranges from each start up to its end.

    Example:
        >>> ranges(np.array([3, 8]), np.array([5, 9])).tolist()
        [3, 4, 8]
    """
    counts = ends - starts
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return places + np.repeat(starts, counts)


def training_batches(lengths: Ints, size: int, seed: int, epoch: int) -> list[Ints]:
    """Cut a shuffled epoch into batches of sentences of like length.

    Sentences are sorted by length within stretches of fifty batches of the shuffled order, so
    that padding is little while batches still differ from epoch to epoch.

    Args:
        lengths: Tokens of each sentence.
        size: Sentences a batch; the last may have fewer.
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


def packed(lengths: Ints, sentences: Ints, batch_tokens: int) -> Iterator[Ints]:
    """Cut sentences into parts of at most ``batch_tokens`` tokens, padding included.

    Args:
        lengths: Tokens of every sentence.
        sentences: Numbers of those wanted; parts take them longest first.
        batch_tokens: Limit, exceeded only by a sentence that is longer alone.
    """
    order = sentences[np.argsort(-lengths[sentences], kind="stable")]
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
