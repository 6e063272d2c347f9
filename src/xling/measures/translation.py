"""Translations of one vocabulary into another: the best by CSLS or cosine, exact at any size."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix
from xling.measures.neighbours import hubness
from xling.measures.scores import Similarity, scores_between
from xling.measures.search import top_k, top_k_of_both


@dataclass(frozen=True, eq=False)
class Translations:
    """The best candidates for every query, best first.

    Attributes:
        rows: int64 array [n, count]: rows of the other side.
        scores: Array [n, count].
        candidates: How many rows the other side has.
    """

    rows: NDArray[np.int64]
    scores: Matrix
    candidates: int

    @property
    def hubness(self) -> float:
        """Skewness of k-occurrence with k = ``count``: see :func:`xling.measures.hubness`."""
        return hubness(np.bincount(self.rows.ravel(), minlength=self.candidates))


def translate(
    X: Any, Y: Any, count: int = 10, similarity: Similarity = "csls", k: int = 10
) -> Translations:
    """Find the best ``count`` rows of ``Y`` for every row of ``X``.

    Exact, for any vocabulary, on any processor: large products are first computed in bfloat16 where
    that is fast, and whatever its rounding leaves undecided is computed in float64. Beyond input
    and output this takes the memory of a unit-length copy of each side, half of one in bfloat16,
    and less than a kilobyte for each row. Candidates with equal scores come in the order of their
    rows (:func:`rank_translations` counts ties fairly).

    Args:
        X: numpy array or torch tensor [n, d]: queries, mapped into the space of ``Y``.
        Y: numpy array or torch tensor [m, d].
        count: Candidates for each query (all m if there are fewer).
        similarity: ``"csls"``, ``"cosine"`` or ``"margin"`` (the ratio).
        k: Number of neighbours in CSLS and the margin. Their r(y) is taken over all rows of ``X``,
            so pass the whole vocabulary, not only the test words.

    Raises:
        XlingError: for NaN or infinity, zero rows, unequal widths, count or k below 1.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(20, 8))
        >>> translate(X, X[::-1], count=1, k=3).rows[:4, 0]
        array([19, 18, 17, 16])
    """
    if count < 1:
        raise XlingError(f"count is {count}: ask for at least one translation")
    pairs = scores_between(X, Y, similarity, k)
    scores, rows = top_k(pairs, count)
    return Translations(rows, scores, len(pairs.B))


def mutual_pairs(X: Any, Y: Any, similarity: Similarity = "csls", k: int = 10) -> NDArray[np.int64]:
    """Find the pairs of rows that are each other's best translation.

    Args:
        X: Array [n, d].
        Y: Array [m, d] in the same space.
        similarity: ``"csls"``, ``"cosine"`` or ``"margin"`` (the ratio).
        k: Number of neighbours in CSLS and the margin.

    Returns:
        int64 array [pairs, 2]: a row of ``X``, a row of ``Y``; sorted by the first.

    Raises:
        XlingError: as :func:`translate`.

    Example:
        >>> mutual_pairs(np.eye(3), np.eye(3)[[2, 0, 1]], k=1)
        array([[0, 1],
               [1, 2],
               [2, 0]])
    """
    scores = scores_between(X, Y, similarity, k)
    forward, backward = (columns[:, 0] for _, columns in top_k_of_both(scores, 1))
    rows = np.flatnonzero(backward[forward] == np.arange(len(forward)))
    return np.column_stack([rows, forward[rows]])
