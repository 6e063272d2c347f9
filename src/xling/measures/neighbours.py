"""Neighbourhoods: which rows are near each other, and which are near everything (hubs)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, check_paired, to_numpy, unit_rows, vanishing
from xling.measures.scores import scores_between
from xling.measures.search import Largest, top_k, top_k_of_both
from xling.measures.tiles import TIES, Scores, blocks

_ROWS = 256


def mutual_knn(X: Any, Y: Any, k: int = 10) -> float:
    """Mutual k-nearest-neighbour overlap (Huh et al. 2024, appendix A).

    For each item, the share of its k nearest other items (by cosine) in one representation that are
    also among its k nearest in the other; then the mean over items. Unlike CKA it looks only at
    small neighbourhoods. Guessing scores k / (items - 1).

    Ties count in expectation: where items with equal cosine (to 1e-12, in float64) compete for the
    last places, each is a neighbour with the same probability, independently on either side. So a
    representation with duplicates may score below 1 even with itself. Memory grows with items, not
    with items².

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.
        k: Number of neighbours; at most items - 1.

    Returns:
        Overlap in [0, 1].

    Raises:
        XlingError: for unequal numbers of rows, NaN or infinity, zero rows, or k out of range.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> mutual_knn(X, 3 * X, k=5)
        1.0
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    if not 1 <= k < len(X):
        raise XlingError(f"k is {k}: expected 1 to {len(X) - 1}, the number of other items")
    x, y = unit_rows(X.astype(np.float64), "X"), unit_rows(Y.astype(np.float64), "Y")
    overlap = 0.0
    for rows in blocks(len(X), _ROWS):
        near = []
        for units in (x, y):
            cosine = units[rows] @ units.T
            cosine[np.arange(len(cosine)), np.arange(rows.start, rows.stop)] = -np.inf
            near.append(_membership(cosine, k))
        overlap += float((near[0] * near[1]).sum())
    return overlap / (k * len(X))


def k_occurrence(X: Any, Y: Any, k: int = 10, device: Any = None) -> NDArray[np.float64]:
    """How often each row of ``Y`` is among the k nearest of a row of ``X``, by cosine.

    N_k(y) of Radovanović et al. (2010), with queries from the other side. Its mean is
    k n / m. Ties at the last place count in expectation, as in :func:`mutual_knn`. Zero rows have
    no neighbours and are neighbours of no row.

    Args:
        X: numpy array or torch tensor [n, d]: queries.
        Y: numpy array or torch tensor [m, d]: candidates.
        k: Number of neighbours; all of Y if it has fewer rows.
        device: A torch device to compute the products on; numpy is used if not given.

    Returns:
        Array [m]. The largest entries are the hubs, and :func:`hubness` is their skew.

    Raises:
        XlingError: for unequal widths, NaN or infinity, or k < 1.

    Example:
        >>> k_occurrence(np.eye(3), np.array([[1.0, 1, 1], [0, 0, 1]]), k=1)
        array([2., 1.])
    """
    if k < 1:
        raise XlingError(f"k is {k}: expected at least one neighbour")
    scores = _cosines(X, Y, device)
    return occurrences(scores, k, top_k(scores, k + 1))


def occurrences(scores: Scores, k: int, largest: Largest) -> NDArray[np.float64]:
    """Return :func:`k_occurrence` from scores of all queries and candidates.

    Args:
        scores: Scores of n queries and m candidates.
        k: Number of neighbours; all m if there are fewer.
        largest: The k + 1 largest of every query, or all m. For queries with ties at the last place
            all scores are computed again.
    """
    counts = np.zeros(len(scores.B))
    k = min(k, len(counts))
    entries, columns = largest
    rest = np.arange(len(entries))
    if entries.shape[1] > k:
        certain = np.isfinite(entries[:, k - 1]) & (entries[:, k] < entries[:, k - 1] - scores.tie)
        counts += np.bincount(columns[certain, :k].ravel(), minlength=len(counts))
        rest = np.flatnonzero(~certain)
    for rows in blocks(len(rest), _ROWS):
        cosine = to_numpy(scores.tile(rest[rows], slice(None)))
        counts += _membership(cosine, k, scores.tie).sum(axis=0)
    return counts


def hubness(occurrences: Any) -> float:
    """Skewness of k-occurrence (Radovanović et al. 2010): E[(N - mean)³] / sd³.

    About 0 without hubs, and large where a few vectors are everybody's neighbours. 0 if all N are
    the same.

    Example:
        >>> hubness([1, 1, 1, 1, 1]), round(hubness([0, 0, 0, 0, 5]), 6)
        (0.0, 1.5)
    """
    occurrences = np.asarray(occurrences, dtype=np.float64)
    deviations = occurrences - occurrences.mean()
    deviations[np.abs(deviations) < 1e-9 * np.abs(occurrences).max()] = 0.0  # rounding
    sd = deviations.std()
    return float((deviations**3).mean() / sd**3) if sd else 0.0


def reciprocity(X: Any, Y: Any, device: Any = None) -> NDArray[np.float64]:
    """For each row of ``X``: is it the nearest neighbour of its nearest neighbour in ``Y``?

    Whether that neighbour is its translation does not matter, so no parallel rows are needed. The
    share of such rows is low where a few hubs are neighbours of all. Ties count in expectation:
    each side picks one of its nearest at random.

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [m, d].
        device: A torch device to compute the products on; numpy is used if not given.

    Returns:
        Array [n] in [0, 1]; 0 for zero rows.

    Raises:
        XlingError: for unequal widths, or NaN or infinity.

    Example:
        >>> reciprocity(np.array([[1.0, 0], [1, 0.1], [0, 1]]), np.eye(2))
        array([1., 0., 1.])
    """
    scores = _cosines(X, Y, device)
    return reciprocal(scores, top_k_of_both(scores, 2))


def reciprocal(scores: Scores, largest: Sequence[Largest]) -> NDArray[np.float64]:
    """Return :func:`reciprocity` from scores of all rows of both sides.

    Args:
        scores: Scores of n rows and m columns.
        largest: At least the two largest of every row and of every column (or the only one). If
            each has a single nearest neighbour, no other score is computed.
    """
    if all(_one_nearest(one, scores.tie).all() for one in largest):
        nearest, nearest_of_y = (columns[:, 0] for _, columns in largest)
        return np.asarray(nearest_of_y[nearest] == np.arange(len(nearest)), dtype=np.float64)
    best, best_of_y = (entries[:, 0] - scores.tie for entries, _ in largest)
    tied, tied_of_y = np.zeros(len(best)), np.zeros(len(best_of_y))
    for rows in blocks(len(best), _ROWS):
        tile = to_numpy(scores.tile(rows, slice(None)))
        tied[rows] = np.count_nonzero(tile >= best[rows, None], axis=1)
        tied_of_y += np.count_nonzero(tile >= best_of_y, axis=0)
    found = np.zeros(len(best))
    for rows in blocks(len(best), _ROWS):
        tile = to_numpy(scores.tile(rows, slice(None)))
        both = (tile >= best[rows, None]) & (tile >= best_of_y) & np.isfinite(tile)
        found[rows] = both @ (1 / tied_of_y) / tied[rows]
    return found


def _one_nearest(largest: Largest, tie: float) -> NDArray[np.bool_]:
    """Which rows have a single nearest neighbour."""
    entries, _ = largest
    if entries.shape[1] < 2:
        return np.isfinite(entries[:, 0])
    return np.isfinite(entries[:, 0]) & (entries[:, 1] < entries[:, 0] - tie)


def _cosines(X: Any, Y: Any, device: Any) -> Scores:
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    empty = (vanishing(X), vanishing(Y))
    return scores_between(X.astype(np.float64), Y.astype(np.float64), "cosine", 1, empty, device)


def _membership(cosine: Matrix, k: int, tie: float = TIES["float64"]) -> NDArray[np.float64]:
    """Probability that each candidate (column) is among the k nearest of each query (row)."""
    last = np.partition(cosine, cosine.shape[1] - k, axis=1)[:, cosine.shape[1] - k, None]
    nearer = cosine > last + tie
    tied = (cosine >= last - tie) & ~nearer & np.isfinite(cosine)
    places = k - nearer.sum(axis=1, keepdims=True)
    return np.asarray(nearer + tied * (places / np.maximum(tied.sum(axis=1, keepdims=True), 1)))
