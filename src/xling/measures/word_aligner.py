"""Word alignment by Gibbs sampling from a hidden Markov model with fertilities.

The model is that of Östling and Tiedemann (2016, section 3), the code is not: a target word f_i at
place i comes from the source word e_j at place j = a_i, or from nothing. The likelihood of an
alignment of a pair is the product of

- the translations t(f_i | e_j), and p0 t(f_i | nothing) for every target word without a source;
- the jumps J(a_i - a_k), where k is the last target word before i that has a source (the first
  jump is from position -1, the last to the position after the source's last word; Vogel et al.
  1996);
- the fertilities F(φ_j | e_j), where φ_j is the number of target words that come from e_j. They
  keep words without a counterpart from claiming those of their neighbours.

t and F have symmetric Dirichlet priors and are integrated out, so that a word seen a few times gets
few translations. A sweep draws each a_i given all others.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.word_cells import Cells, Ints, Side, check_parallel, lay_out, number_words
from xling.randomness import generator

Links = NDArray[np.int64]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

# Rounds of Model 1, sweeps of the three stages after it, how many of the last make the result
_ROUNDS, _TRANSLATIONS, _JUMPS, _FERTILITIES, _KEPT = 3, 2, 4, 10, 6
# Parameters of the Dirichlet priors; small values prefer few translations per word.
_TRANSLATION, _JUMP, _FERTILITY = 0.0001, 0.5, 0.5
# A word with more links counts as one with this many.
_MOST_LINKS = 8


@dataclass(frozen=True)
class WordAligner:
    """Aligns words by sampling from a model that it learns from the same pairs.

    Memory peaks at 55 bytes per cell (a source and a target word of one pair): 10k pairs
    of 25 words make 6 million. Deterministic.

    Args:
        samplers: Independent runs whose posteriors are averaged: more take longer and err less.
        null: p0, the probability that a target word has no source.
        seed: Seed of the random draws.

    Example:
        >>> source = [["a", "b"], ["b", "c"], ["a"], ["c", "a"]]
        >>> target = [["B", "A"], ["C", "B"], ["A"], ["A", "C"]]
        >>> [links.tolist() for links in WordAligner().align(source, target)[:2]]
        [[[0, 1], [1, 0]], [[0, 1], [1, 0]]]
    """

    samplers: int = 2
    null: float = 0.2
    seed: int = 1

    def __post_init__(self) -> None:
        if not (self.samplers >= 1 and 0 < self.null < 1):
            raise XlingError(
                f"samplers {self.samplers}, null {self.null}: expected at least one, and a "
                "probability inside (0, 1)"
            )

    def align(
        self, source: Sequence[Sequence[str]], target: Sequence[Sequence[str]]
    ) -> list[Links]:
        """Align each word of a target line with at most one word of its source line.

        Args:
            source: The words of each line.
            target: The words of each line; line i means the same as line i of ``source``.

        Returns:
            For each pair int64 array [links, 2] of (source position, target position) from 0,
            sorted.

        Raises:
            XlingError: for unequal numbers of lines, or no words at all.
        """
        one, other = _sides(source, target)
        return self._learn(lay_out(one, other)[0], one, other, 0)

    def align_both(
        self, source: Sequence[Sequence[str]], target: Sequence[Sequence[str]]
    ) -> tuple[list[Links], list[Links]]:
        """Align in both directions, in two threads.

        Args:
            source: The words of each line.
            target: The words of each line; line i means the same as line i of ``source``.

        Returns:
            What :meth:`align` returns; and the links of each source word with at most one target
            word, also as (source position, target position).

        Raises:
            XlingError: for unequal numbers of lines, or no words at all.
        """
        one, other = _sides(source, target)
        forward, backward = lay_out(one, other)
        with ThreadPoolExecutor(2) as threads:
            there = threads.submit(self._learn, forward, one, other, 0)
            back = threads.submit(self._learn, backward, other, one, 1)
            turned = [links[:, ::-1] for links in back.result()]
            return there.result(), [links[np.lexsort(links.T[::-1])] for links in turned]

    def _learn(self, cells: Cells, source: Side, target: Side, direction: int) -> list[Links]:
        kept = [np.zeros(len(entries), dtype=np.float32) for entries in cells.entries]
        for number in range(self.samplers):
            draws = generator(self.seed, "word alignment", direction, number)
            sampler = _Sampler(cells, source.size, target.size, self.null, draws)
            sampler.run(kept)
        sweeps = np.float32(_KEPT * self.samplers)
        return _links(cells, kept, sweeps, len(source.starts) - 1)


def _sides(source: Sequence[Sequence[str]], target: Sequence[Sequence[str]]) -> tuple[Side, Side]:
    check_parallel(source, target)
    one, other = number_words(source), number_words(target)
    if not ((one.lengths > 0) & (other.lengths > 0)).any():
        raise XlingError("no pair of lines has words on both sides: nothing to align")
    return one, other


class _Sampler:
    """The state of one run: where each target word comes from, and the counts of these links.

    All pairs move on to their next target word together. Counts are those of the previous sweep
    without what the word itself added, as when many processors share one corpus (Newman et al.
    2009). Only the counts of jumps, which are large, keep the word's own part.

    Attributes:
        places: for each target place int64 array: a_i of its words, -1 for no source.
        links: int64 array [W]: φ of each source word.
    """

    def __init__(
        self, cells: Cells, sources: int, targets: int, null: float, draws: np.random.Generator
    ) -> None:
        self.cells, self.sources, self.targets = cells, sources, targets
        self.odds, self.draws = null / (1 - null), draws
        self.reach = int(cells.sizes.max()) + 1
        self.places = [np.full(len(types), -1) for types in cells.targets]
        self.fertile = False
        self.count()

    def run(self, kept: list[Singles]) -> None:
        """Make all sweeps and add the posteriors of the last ones to those in ``kept``."""
        self.unlinked[:] = 0
        for _ in range(_ROUNDS):
            self.expect()
        for _ in range(_TRANSLATIONS):
            self.sweep(False, False)
        for _ in range(_JUMPS):
            self.sweep(True, False)
        for number in range(_FERTILITIES):
            last = number >= _FERTILITIES - _KEPT
            self.sweep(True, True, kept if last else None)

    def expect(self) -> None:
        """Count by the posteriors of Model 1, in which only translations matter."""
        cells = self.cells
        self.weights = self.weigh(np.arange(len(cells.source)), 0).astype(np.float32)
        pairs, unlinked = np.zeros(cells.kinds), np.zeros(self.targets)
        words = np.zeros(len(cells.source))
        for i, entries in enumerate(cells.entries):
            posterior, null = self.posterior(i, cells.source[:0], 0, None)
            np.add.at(pairs, entries, posterior.astype(np.float64))
            np.add.at(unlinked, cells.targets[i], null)
            words[: len(posterior)] += posterior
        self.pairs, self.unlinked = pairs.astype(np.float32), unlinked
        self.totals = np.bincount(cells.source, words, self.sources)

    def sweep(self, jumps: bool, fertilities: bool, kept: list[Singles] | None = None) -> None:
        """Draw every a_i once, given all others, and count anew.

        Args:
            jumps: Whether places matter, in addition to translations.
            fertilities: Whether words' numbers of links matter.
            kept: Where to add each cell's posterior, if anywhere.
        """
        cells = self.cells
        self.fertile = fertilities
        self.counted = np.minimum(self.links, _MOST_LINKS)
        self.weights = self.weigh(np.arange(len(cells.source)), 0).astype(np.float32)
        following = self.following()
        last = np.full(len(cells.sizes), -1)
        for i, places in enumerate(self.places):
            words = cells.starts[: len(places)] + places
            linked = words[places >= 0]
            self.links[linked] -= 1
            self.weights[linked] = self.weigh(linked, 1)
            near = last[: len(places)], following[i]
            posterior, null = self.posterior(i, linked, places < 0, near if jumps else None)
            if kept is not None:
                kept[i] += posterior
            new = self.draw(posterior, null)
            found = new >= 0
            drawn = cells.starts[: len(new)][found] + new[found]
            self.links[drawn] += 1
            changed = np.concatenate([linked, drawn])
            self.weights[changed] = self.weigh(changed, 0)
            last[: len(new)][found] = new[found]
            self.places[i] = new
        self.count()

    def weigh(self, words: Ints, own: int) -> Floats:
        """How likely running source words are to take one more target word, whichever it is.

        Args:
            words: Their indices; ``self.links`` of them do not count the target word in question.
            own: 1 for the words that this target word came from: subtracted from their totals.
        """
        types = self.cells.source[words]
        weights = 1 / (self.totals[types] - own + _TRANSLATION * self.targets)
        if self.fertile:
            now = np.minimum(self.links[words], _MOST_LINKS - 1)
            # Without the running word itself, which is counted with the links it had before
            counted = self.counted[words]
            more = self.fertility[types, now + 1] - (counted == now + 1) + _FERTILITY
            weights *= more / (self.fertility[types, now] - (counted == now) + _FERTILITY)
        return weights

    def posterior(
        self,
        i: int,
        linked: Ints,
        unlinked: NDArray[np.bool_] | int,
        near: tuple[Ints, Ints] | None,
    ) -> tuple[Singles, Floats]:
        """Probability of each source, and of none, for the words at target place ``i``.

        Args:
            i: The place.
            linked: The running source words that these words are linked to.
            unlinked: Whether each has no link.
            near: The source places of the linked target words before and after each; None if
                places do not matter.
        """
        cells, types = self.cells, self.cells.targets[i]
        rows, size = len(types), len(cells.entries[i])
        sizes, columns = cells.sizes[:rows], cells.columns[:size]
        joint = self.pairs[cells.entries[i]]
        joint[linked] -= 1
        joint += np.float32(_TRANSLATION)
        joint *= self.weights[:size]
        # The first sweep starts from fractional counts, which may be below 1.
        null = (np.maximum(self.unlinked[types] - unlinked, 0) + _TRANSLATION) * self.odds
        null /= self.unlinked.sum() - unlinked + _TRANSLATION * self.targets
        if near is not None:
            before, behind = near
            joint *= self.jumps[columns - np.repeat(before - self.reach, sizes)]
            joint *= self.jumps[np.repeat(behind + self.reach, sizes) - columns]
            null *= self.jumps[behind - before + self.reach]
        total = np.add.reduceat(joint, cells.starts[:rows]) + null
        joint *= np.repeat((1 / total).astype(np.float32), sizes)
        return joint, null / total

    def draw(self, posterior: Singles, null: Floats) -> Ints:
        """Draw a place from each posterior; -1 is no source."""
        starts = self.cells.starts[: len(null) + 1]
        mass = np.cumsum(posterior, dtype=np.float64)
        below = np.concatenate([[0], mass[starts[1:] - 1]])
        drawn = self.draws.random(len(null)) * (np.diff(below) + null) - null
        cell = np.searchsorted(mass, below[:-1] + drawn, side="right")
        # Rounding may step beyond the end of a pair.
        place = np.clip(cell - starts[:-1], 0, self.cells.sizes[: len(null)] - 1)
        return np.where(drawn < 0, -1, place)

    def following(self) -> list[Ints]:
        """For each target place the source places of the next linked words after it."""
        now, found = self.cells.sizes.copy(), []
        for places in reversed(self.places):
            found.append(now[: len(places)].copy())
            now[: len(places)] = np.where(places >= 0, places, now[: len(places)])
        return found[::-1]

    def count(self) -> None:
        """Compute all counts from the present links."""
        cells = self.cells
        entries, words, unlinked = [], [], []
        self.jumps = np.full(2 * self.reach + 1, _JUMP, dtype=np.float64)
        last = np.full(len(cells.sizes), -1)
        for i, places in enumerate(self.places):
            found = np.flatnonzero(places >= 0)
            words.append(cells.starts[found] + places[found])
            entries.append(cells.entries[i][words[-1]])
            unlinked.append(cells.targets[i][places < 0])
            steps = places[found] - last[found] + self.reach
            self.jumps += np.bincount(steps, minlength=len(self.jumps))
            last[found] = places[found]
        self.jumps += np.bincount(cells.sizes - last + self.reach, minlength=len(self.jumps))
        self.jumps = (self.jumps / self.jumps.sum()).astype(np.float32)
        self.pairs = np.bincount(np.concatenate(entries), minlength=cells.kinds).astype(np.float32)
        self.links = np.bincount(np.concatenate(words), minlength=len(cells.source))
        self.totals = np.bincount(cells.source, self.links, self.sources)
        self.unlinked = np.bincount(np.concatenate(unlinked), minlength=self.targets).astype(float)
        fertility = cells.source * (_MOST_LINKS + 1) + np.minimum(self.links, _MOST_LINKS)
        self.fertility = np.bincount(fertility, minlength=self.sources * (_MOST_LINKS + 1)).reshape(
            self.sources, _MOST_LINKS + 1
        )


def _links(cells: Cells, kept: list[Singles], sweeps: np.float32, pairs: int) -> list[Links]:
    """Link each target word with its likeliest source, where that is likelier than none."""
    rows, links = [], []
    for i, total in enumerate(kept):
        count = len(cells.targets[i])
        starts, sizes = cells.starts[:count], cells.sizes[:count]
        top = np.maximum.reduceat(total, starts)
        null = sweeps - np.add.reduceat(total, starts)
        at_top = np.flatnonzero(total == np.repeat(top, sizes))
        row = np.searchsorted(cells.starts, at_top, side="right") - 1
        first = np.unique(row, return_index=True)[1]
        chosen = at_top[first][top > null]
        rows.append(cells.pairs[:count][top > null])
        links.append(np.stack([cells.columns[chosen], np.full(len(chosen), i)], axis=1))
    row, found = np.concatenate(rows), np.concatenate(links)
    order = np.lexsort((found[:, 1], found[:, 0], row))
    return np.split(found[order], np.searchsorted(row[order], np.arange(1, pairs)))
