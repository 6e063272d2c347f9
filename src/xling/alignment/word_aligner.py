"""Word alignment by IBM Model 2 with a prior for the diagonal (Dyer, Chahuneau and Smith 2013).

A target word f_i at place i of m comes from the source word e_j at place j of n, or from nothing:

    p(a_i = 0) = p0,    p(a_i = j) = (1 - p0) exp(-λ |i/m - j/n|) / Z(i, m, n)

times the translation probability t(f | e). t, with a symmetric Dirichlet prior (variational Bayes),
is learnt by expectation maximisation; λ is held. Learning λ too makes it climb: words that t tells
nothing of yet are linked near the diagonal by λ itself, and count as evidence for a larger one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xling.alignment.word_cells import (
    Cells,
    Ints,
    Side,
    check_parallel,
    lay_out,
    number_words,
)
from xling.errors import XlingError

Links = NDArray[np.int64]
_LARGEST_TENSION = 50.0


@dataclass(frozen=True)
class DiagonalAligner:
    """IBM Model 2 with the diagonal prior; learns from the very pairs that it aligns.

    Memory is about 60 bytes a cell (a source and a target word of one pair) at its peak: 10k pairs
    of 25 words make 6 million. Deterministic.

    Args:
        iterations: Rounds of expectation maximisation.
        tension: λ; 0 has no preference for the diagonal.
        null: p0, the probability that a target word has no source.
        concentration: Of the Dirichlet prior on t; small values prefer few translations a word.

    Example:
        >>> source = [["a", "b"], ["b", "c"], ["a"], ["c", "a"]]
        >>> target = [["B", "A"], ["C", "B"], ["A"], ["A", "C"]]
        >>> [links.tolist() for links in DiagonalAligner(tension=0).align(source, target)[:2]]
        [[[0, 1], [1, 0]], [[0, 1], [1, 0]]]
    """

    iterations: int = 5
    tension: float = 4.0
    null: float = 0.08
    concentration: float = 0.01

    def __post_init__(self) -> None:
        if not (self.iterations >= 1 and 0 <= self.tension <= _LARGEST_TENSION):
            raise XlingError(
                f"iterations {self.iterations}, tension {self.tension}: expected at least one, and "
                f"a tension from 0 to {_LARGEST_TENSION:g}"
            )
        if not (0 < self.null < 1 and self.concentration > 0):
            raise XlingError(
                f"null {self.null}, concentration {self.concentration}: expected a probability "
                "inside (0, 1), and a positive number"
            )

    def align(
        self, source: Sequence[Sequence[str]], target: Sequence[Sequence[str]]
    ) -> list[Links]:
        """Align each word of a target line with at most one word of its source line.

        Args:
            source: The words of each line.
            target: The words of each line; line i means the same as line i of ``source``.

        Returns:
            For each pair int64 array [links, 2] of (source place, target place) from 0, sorted.

        Raises:
            XlingError: for unequal numbers of lines, or no words at all.
        """
        check_parallel(source, target)
        return self.align_numbered(number_words(source), number_words(target))

    def align_numbered(self, source: Side, target: Side) -> list[Links]:
        """Align sides whose words are numbers already; see :meth:`align`."""
        cells = lay_out(source.lengths, target.lengths, source.starts[:-1], target.starts[:-1])
        if not len(cells.target):
            raise XlingError("no pair of lines has words on both sides: nothing to align")
        best = _Model(self, source, target, cells).learn()
        return _links(best, cells, source, target)


class _Model:
    """t while it is learnt. The source's null word has the number V, after all others."""

    def __init__(self, settings: DiagonalAligner, source: Side, target: Side, cells: Cells) -> None:
        self.settings, self.cells = settings, cells
        self.starts = cells.starts
        words = target.ids[cells.target]
        # One entry of t for each pair of types that meets, and one of the null word for each type.
        keys = source.ids[cells.source] * target.size + np.repeat(words, cells.sizes)
        pairs, self.entry_of = np.unique(keys, return_inverse=True)
        seen, null_of = np.unique(words, return_inverse=True)
        self.null_of = null_of + len(pairs)
        self.left = np.concatenate([pairs // target.size, np.full(len(seen), source.size)])
        self.outcomes = target.size
        self.t = np.full(len(self.left), 1 / target.size, dtype=np.float32)

    def learn(self) -> Ints:
        """Run all rounds; return for each target word its best cell, or -1 for none."""
        for _ in range(self.settings.iterations - 1):
            self._maximise(*self._expect())
        posterior, null = self._expect()
        top = np.maximum.reduceat(posterior, self.starts)
        at_top = np.flatnonzero(posterior == np.repeat(top, self.cells.sizes))
        owner = np.searchsorted(self.starts, at_top, side="right") - 1
        first = at_top[np.searchsorted(owner, np.arange(len(top)))]
        return np.where(top > null, first, -1)

    def _expect(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Posterior probability of every cell [C], and of no source for every target word [T]."""
        prior = np.exp(-self.settings.tension * self.cells.offsets)
        scale = (1 - self.settings.null) / np.add.reduceat(prior, self.starts)
        joint = prior
        joint *= np.repeat(scale.astype(np.float32), self.cells.sizes)
        joint *= self.t[self.entry_of]
        null = self.t[self.null_of] * np.float32(self.settings.null)
        evidence = np.add.reduceat(joint, self.starts) + null
        joint /= np.repeat(evidence, self.cells.sizes)
        return joint, null / evidence

    def _maximise(self, posterior: NDArray[np.float32], null: NDArray[np.float32]) -> None:
        from scipy.special import digamma

        counts = np.bincount(self.entry_of, posterior, minlength=len(self.t))
        counts += np.bincount(self.null_of, null, minlength=len(self.t))
        prior = self.settings.concentration
        totals = np.bincount(self.left, counts) + prior * self.outcomes
        expected = digamma(counts + prior) - digamma(totals)[self.left]
        # Floored, since a target word whose every entry vanished would have no posterior.
        self.t = np.exp(np.maximum(expected, -60)).astype(np.float32)


def _links(best: Ints, cells: Cells, source: Side, target: Side) -> list[Links]:
    """Cut the best cells into one array of links for each pair."""
    found = best >= 0
    words = np.stack([cells.source[best[found]], cells.target[found]], axis=1)
    pair = np.searchsorted(target.starts, words[:, 1], side="right") - 1
    words -= np.stack([source.starts[pair], target.starts[pair]], axis=1)
    order = np.lexsort((words[:, 1], words[:, 0], pair))
    ends = np.searchsorted(pair[order], np.arange(1, len(source.starts) - 1))
    return np.split(words[order], ends)
