"""Rows of token ids, packed into batches of similar length and padded to tensors on a device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from xling.encoders.encoder import Encoder

Ints = NDArray[np.int64]
_ALIKE = 0.8  # minimum length of a row in a batch of sentences, as a share of the longest


@dataclass(frozen=True, eq=False, kw_only=True)
class Tokens:
    """R rows of token ids, one after the other.

    Attributes:
        ids: int64 [T], special tokens included.
        starts: int64 [R + 1]: row r is ``ids[starts[r]:starts[r + 1]]``.
        special: bool [T]: the token is [CLS], [SEP] or the like ([UNK] is not).
        padding: The id of padding.
        truncated: How many texts were cut at the model's limit.
        types: int8 [T]: 1 in the second of two segments; None if the model has no segments.
    """

    ids: Ints
    starts: Ints
    special: NDArray[np.bool_]
    padding: int
    truncated: int
    types: NDArray[np.int8] | None = None

    @property
    def lengths(self) -> Ints:
        """Tokens in each row, special ones included: int64 [R]."""
        return np.diff(self.starts)

    def batches(self, batch_tokens: int) -> Iterator[Ints]:
        """Return batches of the rows that have tokens, for the forward pass of a frozen encoder.

        No row is padded to more than 1.25 times its length. Otherwise a batch of a small set would
        hold the longest rows and the shortest, and most of the work would be padding.
        """
        return packed(self.lengths, np.flatnonzero(self.lengths), batch_tokens, _ALIKE)


def laid_out(
    encoder: "Encoder",
    rows: Sequence[Sequence[int]],
    truncated: int,
    types: Sequence[Sequence[int]] | None = None,
) -> Tokens:
    """Lay rows of token ids end to end.

    Args:
        encoder: The encoder whose tokenizer made them.
        rows: The ids of each, special tokens included.
        truncated: How many texts were cut.
        types: The segment of each token, if the model has segments.
    """
    starts = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=starts[1:])
    ids = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(starts[-1]))
    segments = None
    if types is not None:
        segments = np.fromiter(chain.from_iterable(types), dtype=np.int8, count=len(ids))
    return Tokens(
        ids=ids,
        starts=starts,
        special=np.isin(ids, encoder.special_ids),
        padding=encoder.padding,
        truncated=truncated,
        types=segments,
    )


def packed(lengths: Ints, chosen: Ints, batch_tokens: int, alike: float = 0.0) -> Iterator[Ints]:
    """Split rows, or texts, into batches of at most ``batch_tokens`` tokens, padding included.

    Args:
        lengths: Number of tokens of each.
        chosen: Indices of those wanted; batches take them longest first.
        batch_tokens: Limit, exceeded only by a row that is longer by itself.
        alike: Minimum length in a batch, as a share of the longest one's.
    """
    order = chosen[np.argsort(-lengths[chosen], kind="stable")]
    descending = lengths[order]
    start = 0
    while start < len(order):
        longest = int(descending[start])
        like = int(np.searchsorted(-descending, -alike * longest, side="right")) - start
        size = max(1, min(batch_tokens // max(1, longest), like))
        yield order[start : start + size]
        start += size


@dataclass(frozen=True, eq=False, kw_only=True)
class Padded:
    """B rows padded to L tokens.

    Attributes:
        tokens_BL: Where each token is among all tokens; 0 for padding.
        real_BL: Whether it is a token, and not padding.
        ids_BL: Token ids.
        mask_BL: 1 for tokens, 0 for padding.
        types_BL: Segments; None if the model has none.
    """

    tokens_BL: Ints
    real_BL: NDArray[np.bool_]
    ids_BL: Tensor
    mask_BL: Tensor
    types_BL: Tensor | None

    @property
    def inputs(self) -> dict[str, Tensor]:
        """The model's inputs besides token ids and mask: segments, if it has any."""
        return {} if self.types_BL is None else {"token_type_ids": self.types_BL}


def padded(tokens: Tokens, rows: Ints, device: torch.device) -> Padded:
    """Pad some rows, at least one, to the longest of them (on the right).

    Args:
        tokens: All rows.
        rows: Indices of those wanted, int64 [B].
        device: Device of the tensors.
    """
    lengths_B = tokens.lengths[rows]
    columns_L = np.arange(lengths_B.max())
    real_BL = columns_L < lengths_B[:, None]
    tokens_BL = np.where(real_BL, tokens.starts[rows, None] + columns_L, 0)

    def tensor(array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array.astype(np.int64)).to(device)

    types = tokens.types
    return Padded(
        tokens_BL=tokens_BL,
        real_BL=real_BL,
        ids_BL=tensor(np.where(real_BL, tokens.ids[tokens_BL], tokens.padding)),
        mask_BL=tensor(real_BL),
        types_BL=None if types is None else tensor(np.where(real_BL, types[tokens_BL], 0)),
    )


def ranges(starts: Ints, ends: Ints) -> Ints:
    """Concatenate the ranges from each start up to its end.

    Example:
        >>> ranges(np.array([3, 8]), np.array([5, 9])).tolist()
        [3, 4, 8]
    """
    counts = ends - starts
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(places + np.repeat(starts, counts))
