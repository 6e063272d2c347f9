"""How well translations are found: precision@k and mean reciprocal rank, ties in expectation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.csls import Similarity, scores_between
from xling.measures.nearest import Scores, blocks

# Scores closer than this are the same: rounding moves them by a few units of the last place.
TIE = {np.dtype(np.float32): 4e-6, np.dtype(np.float64): 1e-12}
_ROWS, _COLUMNS = 256, 8192


@dataclass(frozen=True, eq=False)
class Ranking:
    """Where the best gold translation of each query stands among all candidates.

    Candidates with the same score stand in random order, and every figure is its expectation over
    that order: duplicates are neither punished nor rewarded by where they happen to be stored, and
    vectors that are all the same score exactly what guessing does.

    Attributes:
        queries: int64 array [q]: rows of the query side that have gold translations.
        better: int64 array [q]: candidates that score higher than the best gold one.
        tied: int64 array [q]: candidates that score the same as it, itself included.
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
        return np.asarray(1 - miss)

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
            # P(first gold at place r) from P(at r - 1), beginning with gold / tied.
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
    closer than 1e-12 (4e-6 in float32) are ties. Memory beyond input and output is a unit-length
    copy of each side and tens of megabytes.

    Args:
        X: numpy array or torch tensor [n, d], mapped into the space of ``Y``.
        Y: numpy array or torch tensor [m, d].
        gold: int array [pairs, 2]: a row of ``X`` and a row of ``Y``. A word with several
            translations occurs in several pairs, and any of them is right; repeated pairs count
            once.
        similarity: ``"csls"``, ``"cosine"`` or ``"margin"`` (the ratio).
        k: Neighbours that CSLS and the margin look at.

    Returns:
        Rankings of the distinct words on the left of ``gold``, and of those on the right.

    Raises:
        XlingError: if ``gold`` is empty, is not [pairs, 2] or names a row that does not exist; for
            NaN or infinity, zero rows, or unequal widths.

    Example:
        >>> gold = [[0, 0], [0, 1], [2, 1]]
        >>> forward, backward = rank_translations(np.eye(3), np.eye(3), gold, k=1)
        >>> forward.precision(1), round(forward.mrr, 6)
        (0.5, 0.708333)
        >>> backward.queries
        array([0, 1])
    """
    scores = scores_between(X, Y, similarity, k)
    pairs = _checked(gold, len(scores.A), len(scores.B))
    return _rank(scores, pairs), _rank(scores.transposed, pairs[:, ::-1])


def _checked(gold: Any, n: int, m: int) -> NDArray[np.int64]:
    pairs = np.asarray(gold)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise XlingError(
            f"gold has shape {pairs.shape}: expected [pairs, 2] with at least one pair; has the "
            "dictionary any words in common with the vocabularies?"
        )
    if not np.issubdtype(pairs.dtype, np.integer):
        raise XlingError(f"gold holds {pairs.dtype}: expected row numbers")
    wrong = ((pairs < 0) | (pairs >= [n, m])).any(axis=1)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise XlingError(
            f"gold pair {first} is {pairs[first].tolist()}: X has {n} rows and Y has {m}"
        )
    return np.unique(pairs.astype(np.int64), axis=0)


def _rank(matrix: Scores, pairs: NDArray[np.int64]) -> Ranking:
    tie = TIE[matrix.A.dtype]
    queries, query_of = np.unique(pairs[:, 0], return_inverse=True)
    scores = np.concatenate(
        [matrix.of_pairs(*pairs[part].T) for part in blocks(len(pairs), _COLUMNS)]
    )
    best = np.full(len(queries), -np.inf, dtype=scores.dtype)
    np.maximum.at(best, query_of, scores)
    gold = np.bincount(query_of, weights=scores >= best[query_of] - tie).astype(np.int64)
    above, at_least = np.zeros((2, len(queries)), dtype=np.int64)
    for rows in blocks(len(queries), _ROWS):
        level = best[rows, None]
        for columns in blocks(len(matrix.B), _COLUMNS):
            tile = matrix.tile(queries[rows], columns)
            above[rows] += np.count_nonzero(tile > level + tie, axis=1)
            at_least[rows] += np.count_nonzero(tile >= level - tie, axis=1)
    # A gold score on the very edge of the tie may be rounded the other way in a tile.
    return Ranking(queries, above, np.maximum(at_least - above, gold), gold)
