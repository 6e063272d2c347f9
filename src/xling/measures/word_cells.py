"""Sentence pairs as flat arrays: every word of one side with every word of the other."""

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
    """The cells of R sentence pairs, by target position: each with all source words.

    Pairs without words on a side are left out; the others are sorted by target length, longest
    first. So the pairs that have a target word at position i are the first ``len(targets[i])``, and
    their source words are the first rows of any array with one row per source word.

    Attributes:
        pairs: int64 array [R]: the index of each pair.
        source: int64 array [W]: type of each source word of these pairs.
        columns: int64 array [W]: its position in its sentence, from 0.
        sizes: int64 array [R]: number of source words of each pair.
        starts: int64 array [R + 1]: pair r has the source words ``starts[r]:starts[r + 1]``.
        targets: for each target position the types of the words there: int64 arrays.
        entries: for each target position the indices of its cells' type pairs, 0 to
            ``kinds`` - 1: int32 arrays; the cells of a target word follow the order of the source
            words.
        kinds: Number of distinct type pairs.
    """

    pairs: Ints
    source: Ints
    columns: Ints
    sizes: Ints
    starts: Ints
    targets: list[Ints]
    entries: list[NDArray[np.int32]]
    kinds: int


def lay_out(source: Side, target: Side) -> tuple[Cells, Cells]:
    """Lay out the cells of sentence pairs for both directions, with the same indices of type pairs.

    Memory is about 55 bytes per cell while type pairs are numbered, and 8 bytes afterwards.

    Args:
        source: One side.
        target: The other.

    Returns:
        The target's words with their source words, and the source's words with their target words.
    """
    one, other = _Order(source, target), _Order(target, source)
    keys = np.concatenate(
        [np.repeat(types, one.sizes[: len(types)]) for types in one.targets] or [source.ids[:0]]
    )
    place = 0
    for types in one.targets:
        words = one.source[: one.starts[len(types)]]
        keys[place : place + len(words)] += words * target.size
        place += len(words)
    distinct, numbers = np.unique(keys, return_inverse=True)
    del keys
    entries = numbers.reshape(-1).astype(np.int32)
    del numbers
    # Cell (i, j) of a pair is cell (j, i) of the other direction: there, go to the first cell of
    # position i, then to the pair's first, then to the j-th.
    ends = np.cumsum([one.starts[len(types)] for types in one.targets], dtype=np.int64)
    firsts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    row = np.zeros(len(source.starts), dtype=np.int64)
    row[one.pairs] = np.arange(len(one.pairs))
    before = one.starts[row[other.pairs]]
    turned = []
    for place, types in enumerate(other.targets):
        words = other.starts[len(types)]
        base = np.repeat(before[: len(types)] + place, other.sizes[: len(types)])
        turned.append(entries[base + firsts[other.columns[:words]]])
    return (
        one.cells(np.split(entries, ends[:-1]) if len(ends) else [], len(distinct)),
        other.cells(turned, len(distinct)),
    )


class _Order:
    """Pairs in the order of their cells; see :class:`Cells`."""

    def __init__(self, source: Side, target: Side) -> None:
        n, m = source.lengths, target.lengths
        pairs = np.flatnonzero((n > 0) & (m > 0))
        self.pairs = pairs[np.argsort(-m[pairs], kind="stable")]
        self.sizes, lengths = n[self.pairs], m[self.pairs]
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        self.source = source.ids[running(source.starts[self.pairs], self.sizes)]
        self.columns = running(np.zeros_like(self.sizes), self.sizes)
        longest = int(lengths[0]) if len(lengths) else 0
        counts = np.searchsorted(-lengths, -np.arange(longest), side="left")
        firsts = target.starts[self.pairs]
        self.targets = [target.ids[firsts[:count] + i] for i, count in enumerate(counts)]

    def cells(self, entries: list[NDArray[np.int32]], kinds: int) -> Cells:
        return Cells(
            self.pairs,
            self.source,
            self.columns,
            self.sizes,
            self.starts,
            self.targets,
            entries,
            kinds,
        )


def running(firsts: Ints, counts: Ints) -> Ints:
    """Concatenate the ranges ``firsts[i], firsts[i] + 1, ...`` of ``counts[i]`` numbers each."""
    before = np.cumsum(counts) - counts
    return np.asarray(
        np.arange(int(counts.sum()), dtype=np.int64) + np.repeat(firsts - before, counts)
    )


def check_parallel(source: Sized, target: Sized) -> None:
    """Check that two sides can be parallel.

    Raises:
        XlingError: if their numbers of lines differ, or there are none.
    """
    if len(source) != len(target) or not len(source):
        raise XlingError(
            f"{len(source)} source lines and {len(target)} target lines: line i of both must mean "
            "the same; expected equally many, and at least one"
        )
