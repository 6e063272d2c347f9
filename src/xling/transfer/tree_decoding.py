"""Best dependency trees with exactly one root: single-root maximum spanning arborescences.

The method is Edmonds' contraction of cycles under the lexicographic order (fewest root arcs, then
highest score), which Gabow and Tarjan (1984) showed to give the best tree with one root exactly:
no large constant is subtracted, so no digits are lost. In short: every word takes its
best head among the *words*; as no word is a root, there are cycles. Each cycle is contracted to
one node, which takes its best head outside, scored by what that gains over the arc of the cycle
it replaces; and so on. Once a single node S is left whose cycle all others hang from, the
root takes its best word in S, unless another node's gain from being the root could exceed that by
more than what S then loses: that bound ends nearly all sentences after a few rounds. If
it does not hold, S takes its best head and the rounds continue, until S is the whole sentence.

Sentences of about equal length go through the rounds together, in numpy; in each round only
words whose node is new look for a head again. A sentence needs no rounds if its words' best heads
form a tree with one root, as they mostly do with a trained parser.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_ROOT = -1  # heads are counted from 0 until they are returned
_LARGEST = 1e200  # sums of scores stay finite
_CELLS = 1 << 17  # scores held at a time: a megabyte, which fits a core's cache
# Lengths in one batch differ by less than this. Rounds take many small steps, which pay off only
# for many sentences.
_PADDING = 4
_HARD_PADDING = 12


def decode(scores: Sequence[NDArray[np.generic]]) -> list[Ints]:
    """Return the heads of the tree with the highest sum of scores that has one root.

    Args:
        scores: For each sentence of n words an array [n, n + 1]: item [d, h] is the score of
            head h (0 is the root, h is word h counted from 1) for word d + 1. The scores of a word
            as its own head are not read.

    Returns:
        For each sentence the n heads, 0 for the root: among trees of equal score always the
        same one, whatever other sentences there are.

    Raises:
        XlingError: Another shape, or scores that are NaN, infinite or beyond 1e200.

    Example:
        >>> decode([np.array([[3.0, 0.0, 1.0], [2.5, 2.0, 0.0]])])
        [array([0, 1])]
    """
    _check_shapes(scores)
    heads: list[Ints] = [np.zeros(0, np.int64)] * len(scores)
    lengths = [len(matrix) for matrix in scores]
    hard: list[int] = []
    for batch in _batches(lengths, range(len(scores)), _PADDING):
        found_BN, is_tree_B = _greedy(*_padded(scores, batch))
        for number, found, is_tree in zip(batch, found_BN, is_tree_B.tolist(), strict=True):
            heads[number] = found[: lengths[number]]
            if not is_tree:
                hard.append(number)
    for batch in _batches(lengths, hard, _HARD_PADDING):
        found_BN = _Contraction(*_padded(scores, batch)).heads()
        for number, found in zip(batch, found_BN, strict=True):
            heads[number] = found[: lengths[number]]
    return heads


def _greedy(arcs: Floats, roots: Floats) -> tuple[Ints, NDArray[np.bool_]]:
    """Return each word's best head [B, N], and of which sentences [B] these are a tree.

    No tree has a higher score, so without cycles and with one root nothing is left to do.
    """
    words = np.isfinite(roots)
    # Words are counted from 1 and the root is 0, which is its own head; padding hangs from it.
    best = arcs.argmax(axis=2)
    among_words = np.take_along_axis(arcs, best[:, :, None], axis=2)[:, :, 0]
    heads = np.where(words & (among_words > roots), best + 1, 0)
    above = np.zeros((len(heads), heads.shape[1] + 1), np.int64)
    above[:, 1:] = heads
    for _ in range(heads.shape[1].bit_length()):
        above = np.take_along_axis(above, above, axis=1)
    one_root = ((heads == 0) & words).sum(axis=1) == 1
    return heads, one_root & ~above.any(axis=1)


class _Contraction:
    """A batch of B sentences of at most N words, whose cycles are contracted in rounds.

    A node is a set of words, named by the smallest of them; at first each word is one.

    Attributes:
        arcs: [B, N, N], the score of each word (last axis) as head of each word; -inf where
            the two are one word or padding.
        roots: [B, N], the score of each word as root; -inf for padding.
        node: [B, N], the node that each word is in.
        head, dependent: [B, N], at a node's name: the words of its best arc from outside.
        loss: [B, N], at a node's name: what that arc gains over the arcs that it replaces (never
            above 0 after the first round), 0 if the node is not new; -inf if there is no outside.
        replaced: [B, N], the score of the arcs that another head for that word would replace.
        rounds: (sentences, and of these node, head and dependent) before each contraction.
    """

    def __init__(self, arcs: Floats, roots: Floats) -> None:
        self.arcs, self.roots = arcs, roots
        self.names = np.arange(roots.shape[1])
        self.node = np.broadcast_to(self.names, roots.shape).copy()
        self.head = np.zeros_like(self.node)
        self.dependent = np.zeros_like(self.node)
        self.loss = np.zeros_like(roots)
        self.replaced = np.zeros_like(roots)
        self.rounds: list[tuple[Ints, Ints, Ints, Ints]] = []

    def heads(self) -> Ints:
        """Return the heads [B, N] of the best trees, 0 for the root."""
        rows = np.arange(len(self.roots))
        new = np.ones(self.roots.shape, bool)
        # A single word is the root at once; with more there is a cycle to contract first.
        only = np.isfinite(self.roots).sum(axis=1) == 1
        while True:
            self._choose_heads(rows, new)
            unfinished = ~self._take_root(rows, new, only)
            rows, new = rows[unfinished], new[unfinished]
            if not len(rows):
                return self._expanded()
            entered = np.take_along_axis(self.loss[rows], self.node[rows], axis=1)
            self.replaced[rows] += np.where(new, entered, 0.0)
            new, only = self._contract(rows)

    def _choose_heads(self, rows: Ints, new: NDArray[np.bool_]) -> None:
        """Give each new node the best arc that enters it: of equal ones, the first dependent's."""
        position, word = np.divmod(np.flatnonzero(new), len(self.names))
        row = rows[position]
        node = self.node[row]
        own = self.node[row, word]
        choices = np.where(node == own[:, None], -np.inf, self.arcs[row, word])
        head = choices.argmax(axis=1)
        gain = choices[np.arange(len(head)), head] - self.replaced[row, word]
        key = row * len(self.names) + own
        loss = self.loss.reshape(-1)
        loss[key] = -np.inf
        np.maximum.at(loss, key, gain)
        # Among equal ones, the first is assigned last and so stays.
        best = np.flatnonzero(gain == loss[key])[::-1]
        self.head.reshape(-1)[key[best]] = head[best]
        self.dependent.reshape(-1)[key[best]] = word[best]

    def _take_root(
        self, rows: Ints, new: NDArray[np.bool_], only: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Make the root the head of the new node if that surely gives the best tree.

        Args:
            rows: The sentences still open.
            new: For each of their words, whether it is in a new node.
            only: For each of them, whether that is one node, which all others hang from.

        Returns:
            For each of them whether the root was taken.
        """
        gain = self.roots[rows] - self.replaced[rows]
        inside = np.where(new, gain, -np.inf)
        word = inside.argmax(axis=1)
        node = self.node[rows, word]
        elsewhere = self.loss[rows, node] + np.where(new, -np.inf, gain).max(axis=1)
        taken: NDArray[np.bool_] = only & (inside.max(axis=1) >= elsewhere)
        self.head[rows[taken], node[taken]] = _ROOT
        self.dependent[rows[taken], node[taken]] = word[taken]
        return taken

    def _contract(self, rows: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Make one node of each cycle; return its words, and where it is the only cycle."""
        before = (self.node[rows], self.head[rows], self.dependent[rows])
        self.rounds.append((rows, *before))
        # Flat numbers, row by row, since indexing with one array is several times as fast.
        starts = np.arange(len(rows))[:, None] * len(self.names)
        node = (before[0] + starts).ravel()
        following = node.take((before[1] + starts).ravel().take(node))
        smallest = node
        # The step is squared each time; after at least N steps every walk is on its cycle.
        for _ in range(len(self.names).bit_length()):
            smallest = np.minimum(smallest, smallest.take(following))
            following = following.take(following)
        on_cycle = np.zeros(len(node), bool)
        on_cycle[following] = True
        new = on_cycle.take(node).reshape(len(rows), -1)
        merged = np.where(new, smallest.reshape(new.shape) - starts, before[0])
        self.node[rows] = merged
        return new, (new & (merged == self.names)).sum(axis=1) == 1

    def _expanded(self) -> Ints:
        """Undo the contractions: in each cycle the arc that enters it replaces one of its arcs."""
        for rows, inner_node, inner_head, inner_dependent in reversed(self.rounds):
            row, name = np.divmod(np.flatnonzero(self.node[rows] == self.names), len(self.names))
            word = self.dependent[rows[row], name]
            entered = inner_node[row, word]
            inner_head[row, entered] = self.head[rows[row], name]
            inner_dependent[row, entered] = word
            self.node[rows], self.head[rows] = inner_node, inner_head
            self.dependent[rows] = inner_dependent
        return self.head + 1


def _batches(lengths: Sequence[int], numbers: Iterable[int], padding: int) -> Iterator[list[int]]:
    """Yield the numbers of sentences of about equal length, without empty ones."""
    batch: list[int] = []
    shortest = 0
    for number in sorted(numbers, key=lengths.__getitem__):
        length = lengths[number]
        full = (len(batch) + 1) * length * length > _CELLS or length - shortest >= padding
        if batch and full:
            yield batch
            batch = []
        if length:
            shortest = shortest if batch else length
            batch.append(number)
    if batch:
        yield batch


def _padded(scores: Sequence[NDArray[np.generic]], batch: Sequence[int]) -> tuple[Floats, Floats]:
    """Return scores between words [B, N, N] (dependent, head) and of words as root [B, N]."""
    longest = len(scores[batch[-1]])
    both = np.full((len(batch), longest, longest + 1), -np.inf)
    cells = 0
    for row, number in enumerate(batch):
        words = len(scores[number])
        both[row, :words, : words + 1] = scores[number]
        cells += words * (words + 1)
    # Written so that NaN fails it.
    if np.count_nonzero(np.abs(both) <= _LARGEST) != cells:
        raise XlingError(_unusable(scores, batch))
    arcs, roots = both[:, :, 1:], both[:, :, 0]
    arcs[:, np.arange(longest), np.arange(longest)] = -np.inf
    arcs[:, :, 0][roots == -np.inf] = 0  # padding hangs from the first word
    return arcs, roots


def _check_shapes(scores: Sequence[NDArray[np.generic]]) -> None:
    for number, matrix in enumerate(scores, 1):
        if matrix.ndim != 2 or matrix.shape[1] != matrix.shape[0] + 1:
            found = f"sentence {number} has scores of shape {list(matrix.shape)}"
            raise XlingError(f"{found}, expected [words, words + 1]")


def _unusable(scores: Sequence[NDArray[np.generic]], batch: Sequence[int]) -> str:
    number = next(one for one in batch if not np.abs(scores[one]).max() <= _LARGEST)
    bad = scores[number][~(np.abs(scores[number]) <= _LARGEST)][0]
    return f"sentence {number + 1} has the score {bad}, expected finite scores within {_LARGEST:g}"
