"""Where the right candidates stand among all: precision@k and mean reciprocal rank.

Every score follows one rule. Candidates with the same score stand in random order, and the result
is the expectation over that order. So it does not matter where duplicates happen to be stored, and
vectors that are all the same score exactly as guessing does. A zero vector (a sentence without
tokens) has no direction: it is no row's neighbour, and a query that is zero, or whose translations
all are, is a miss.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.measures.arrays import Flags, as_matrix, as_row_pairs, vanishing
from xling.measures.gold_ranks import nearer_than_gold
from xling.measures.scores import Similarity, scores_between
from xling.measures.tiles import Scores, blocks, count_where

_ROWS, _COLUMNS = 512, 8192  # a tile of float64 is 32 MB


@dataclass(frozen=True, eq=False)
class Ranking:
    """Where the best gold translation of each query stands among all candidates.

    Attributes:
        queries: int64 array [q]: rows of the query side that have gold translations.
        better: int64 array [q]: candidates that score higher than the best gold one; all of them
            where a zero vector makes the query a miss.
        tied: int64 array [q]: candidates that score the same as the best gold one, which is
            included.
        gold: int64 array [q]: gold translations among the tied ones, at least 1.
    """

    queries: NDArray[np.int64]
    better: NDArray[np.int64]
    tied: NDArray[np.int64]
    gold: NDArray[np.int64]

    def hits(self, k: int) -> NDArray[np.float64]:
        """Probability that any gold translation is among the first k: array [q] in [0, 1]."""
        places = np.clip(k - self.better, 0, self.tied)
        miss = np.ones(len(self.queries))
        for i in range(int(self.gold.max())):  # C(tied - gold, places) / C(tied, places)
            remaining = np.maximum(self.tied - i, 1)
            factor = np.clip(self.tied - places - i, 0, None) / remaining
            miss *= np.where(i < self.gold, factor, 1.0)
        return np.where(places == 1, self.gold / self.tied, 1 - miss)  # exact for one place

    def precision(self, k: int = 1) -> float:
        """Precision@k: the share of queries with a gold translation among the first k."""
        return float(self.hits(k).mean())

    @property
    def reciprocal_ranks(self) -> NDArray[np.float64]:
        """Expected 1 / rank of the first gold translation: array [q]."""
        result = 1 / (self.better + 1.0)
        for i in np.flatnonzero(self.tied > self.gold):
            better, tied, gold = int(self.better[i]), int(self.tied[i]), int(self.gold[i])
            places = np.arange(1, tied - gold + 2)
            # P(first gold at place r) from P(at r - 1), starting with gold / tied.
            ratios = (tied - gold - places[:-1] + 1) / (tied - places[:-1])
            chances = gold / tied * np.concatenate([[1.0], np.cumprod(ratios)])
            result[i] = (chances / (better + places)).sum()
        return np.asarray(result)

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank of the first gold translation."""
        return float(self.reciprocal_ranks.mean())


def rank_translations(
    X: Any, Y: Any, gold: Any, similarity: Similarity = "csls", k: int = 10
) -> tuple[Ranking, Ranking]:
    """Rank gold translations among all candidates, in both directions.

    Every row of the other side is a candidate, so precision is over the whole vocabulary. Scores
    closer than 1e-12 (4e-6 in float32) are ties. Beyond input and output this takes the memory of a
    unit-length copy of each side, and tens of megabytes.

    Args:
        X: numpy array or torch tensor [n, d], mapped into the space of ``Y``.
        Y: numpy array or torch tensor [m, d].
        gold: int array [pairs, 2]: a row of ``X`` and a row of ``Y``. A word with several
            translations occurs in several pairs, and any of them is right; repeated pairs count
            once.
        similarity: ``"csls"``, ``"cosine"`` or ``"margin"`` (the ratio).
        k: Number of neighbours in CSLS and the margin.

    Returns:
        Rankings of the distinct words on the left of ``gold``, and of those on the right.

    Raises:
        XlingError: if ``gold`` is empty, is not [pairs, 2] or names a row that does not exist; for
            NaN or infinity, or unequal widths.

    Example:
        >>> gold = [[0, 0], [0, 1], [2, 1]]
        >>> forward, backward = rank_translations(np.eye(3), np.eye(3), gold, k=1)
        >>> forward.precision(1), round(forward.mrr, 6)
        (0.5, 0.708333)
        >>> backward.queries
        array([0, 1])
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    scores = scores_between(X, Y, similarity, k, (vanishing(X), vanishing(Y)))
    pairs = np.unique(as_row_pairs(gold, len(X), len(Y), "gold"), axis=0)
    return rank_rows(scores, pairs), rank_rows(scores.transposed, pairs[:, ::-1])


def rank_rows(scores: Scores, pairs: NDArray[np.int64]) -> Ranking:
    """Rank the gold columns of some rows among all columns; pairs [p] of a row and a column."""
    queries, query_of = np.unique(pairs[:, 0], return_inverse=True)
    found = scores.of_pairs(*pairs.T)
    best = np.full(len(queries), -np.inf, dtype=found.dtype)
    np.maximum.at(best, query_of, found)
    gold = np.bincount(query_of, weights=found >= best[query_of] - scores.tie).astype(np.int64)
    better, at_least = np.zeros((2, len(queries)), dtype=np.int64)
    for rows in blocks(len(queries), _ROWS):
        for columns in blocks(len(scores.B), _COLUMNS):
            tile = scores.tile(queries[rows], columns)
            better[rows] += count_where(operator.gt, tile, best[rows] + scores.tie, 1)
            at_least[rows] += count_where(operator.ge, tile, best[rows] - scores.tie, 1)
    return _ranking(queries, better, at_least, gold, np.isneginf(best), len(scores.B))


def rank_paired(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    gold: NDArray[np.int64],
    empty: tuple[Flags, Flags],
    device: Any = None,
) -> Ranking:
    """Rank each row's gold translation among all rows of the other side, by cosine.

    Args:
        x: Array [n, d], rows of length 1 or zero.
        y: Array [m, d], likewise.
        gold: For each row of x its translation in y, int64 [n].
        empty: Rows without a direction, bool [n] and [m].
        device: As in :func:`precision_at_1`.

    Returns:
        The ranking of queries 0 to n - 1.
    """
    queries = np.arange(len(x))
    found = rank_in_single((x, y), gold, empty, device)
    if found is not None:
        return found[0]
    scores = scores_between(x, y, "cosine", 1, empty, device)
    return rank_rows(scores, np.stack([queries, gold], axis=1))


def rank_in_single(
    sides: Sequence[NDArray[np.float64]],
    gold: NDArray[np.int64],
    empty: tuple[Flags, Flags],
    device: Any,
    both: bool = False,
) -> list[Ranking] | None:
    """Rank by products in single precision, with the same result; None where that cannot be done.

    Args:
        sides: As x and y in :func:`rank_paired`.
        gold: As in :func:`rank_paired`.
        empty: As in :func:`rank_paired`.
        device: As in :func:`rank_paired`.
        both: Also rank row i of x for row i of y, which must then be pairs.
    """
    x, y = sides
    if x.shape[1] != y.shape[1] or device is not None or empty[0].any() or empty[1].any():
        return None
    counted = nearer_than_gold(x, y, gold, both)
    if counted is None:
        return None
    return [
        _ranking(
            np.arange(len(better)),
            better,
            at_least,
            np.ones_like(better),
            np.zeros(len(better), dtype=bool),
            len(candidates),
        )
        for (better, at_least), candidates in zip(counted, (y, x), strict=False)
    ]


def rank_both(scores: Scores) -> tuple[Ranking, Ranking]:
    """Rank row i of B among all for row i of A, and the other way round."""
    rows = np.arange(len(scores.A))
    level = scores.of_pairs(rows, rows)
    better, at_least = np.zeros((2, 2, len(rows)), dtype=np.int64)
    for part in blocks(len(rows), _ROWS):
        for columns in blocks(len(rows), _COLUMNS):
            tile = scores.tile(part, columns)
            for side, mine, axis in ((0, part, 1), (1, columns, 0)):
                edges = level[mine] + scores.tie, level[mine] - scores.tie
                better[side, mine] += count_where(operator.gt, tile, edges[0], axis)
                at_least[side, mine] += count_where(operator.ge, tile, edges[1], axis)
    forward, backward = (
        _ranking(rows, better[i], at_least[i], np.ones_like(rows), np.isneginf(level), len(rows))
        for i in (0, 1)
    )
    return forward, backward


def _ranking(
    queries: NDArray[np.int64],
    better: NDArray[np.int64],
    at_least: NDArray[np.int64],
    gold: NDArray[np.int64],
    miss: Flags,
    candidates: int,
) -> Ranking:
    # A gold score just at the edge of a tie may be rounded the other way in a tile.
    tied = np.maximum(at_least - better, gold)
    better[miss], tied[miss], gold[miss] = candidates, 1, 1
    return Ranking(queries, better, tied, gold)
