"""Sentence pairs as flat arrays: every word of one side beside every word of the other."""

from collections.abc import Sequence, Sized
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Side:
    """One side of N sentence pairs: W running words of V types.

    Attributes:
        ids: int64 array [W]: the type of each word, 0 to V - 1.
        starts: int64 array [N + 1]: sentence i is ``ids[starts[i]:starts[i + 1]]``.
        size: V.
    """

    ids: Ints
    starts: Ints
    size: int

    @property
    def lengths(self) -> Ints:
        """Words in each sentence: int64 array [N]."""
        return np.diff(self.starts)


def number_words(lines: Sequence[Sequence[str]]) -> Side:
    """Give every distinct word a number, in order of appearance."""
    types: dict[str, int] = {}
    ids = [types.setdefault(word, len(types)) for line in lines for word in line]
    starts = np.zeros(len(lines) + 1, dtype=np.int64)
    np.cumsum([len(line) for line in lines], out=starts[1:])
    return Side(np.array(ids, dtype=np.int64), starts, len(types))


@dataclass(frozen=True, eq=False)
class Cells:
    """The C cells of N sentence pairs: for each target word, all source words in order.

    Only cells of pairs with words on both sides. Target words t are numbered over all pairs.

    Attributes:
        source: int64 array [C]: the running source word.
        sizes: int64 array [T]: cells of each target word (the source sentence's length).
        target: int64 array [T]: the running target word of each group of cells.
        offsets: float32 array [C]: |i / m - j / n|, how far from the diagonal a cell lies, for
            target place i of m and source place j of n, both from 1 (Dyer et al. 2013, section 2).
    """

    source: Ints
    sizes: Ints
    target: Ints
    offsets: NDArray[np.float32]

    @property
    def starts(self) -> Ints:
        """First cell of each target word: int64 array [T]."""
        return np.cumsum(self.sizes) - self.sizes


def lay_out(
    source_lengths: Ints, target_lengths: Ints, source_starts: Ints, target_starts: Ints
) -> Cells:
    """Lay out the cells of pairs of sentences with these lengths.

    Args:
        source_lengths: int64 array [N].
        target_lengths: int64 array [N].
        source_starts: int64 array [N]: number of each source sentence's first word.
        target_starts: int64 array [N]: number of each target sentence's first word.
    """
    target_lengths = np.where(source_lengths > 0, target_lengths, 0)
    target = running(target_starts, target_lengths)
    place = running(np.ones_like(target_lengths), target_lengths)
    sizes = np.repeat(source_lengths, target_lengths)
    source = running(np.repeat(source_starts, target_lengths), sizes)
    column = running(np.ones_like(sizes), sizes).astype(np.float32)
    row = (place / np.repeat(target_lengths, target_lengths)).astype(np.float32)
    column /= np.repeat(sizes, sizes).astype(np.float32)
    column -= np.repeat(row, sizes)
    return Cells(source, sizes, target, np.abs(column))


def running(firsts: Ints, counts: Ints) -> Ints:
    """Concatenate the ranges ``firsts[i], firsts[i] + 1, ...`` of ``counts[i]`` numbers each."""
    before = np.cumsum(counts) - counts
    return np.arange(int(counts.sum()), dtype=np.int64) + np.repeat(firsts - before, counts)


def check_parallel(source: Sized, target: Sized) -> None:
    """Refuse sides that cannot be parallel.

    Raises:
        XlingError: if their numbers of lines differ, or there are none.
    """
    if len(source) != len(target) or not len(source):
        raise XlingError(
            f"{len(source)} source lines and {len(target)} target lines: line i of both must mean "
            "the same; expected equally many, and at least one"
        )
