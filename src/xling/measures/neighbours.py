"""Do two representations put the same items next to each other?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, check_paired, unit_rows
from xling.measures.nearest import TIES

_ROWS = 256


def mutual_knn(X: Any, Y: Any, k: int = 10) -> float:
    """Mutual k-nearest-neighbour overlap (Huh et al. 2024, appendix A).

    For each item, the share of its k nearest other items (by cosine) in one representation that are
    among its k nearest in the other too; the mean over items. Unlike CKA it looks at small
    neighbourhoods only. Guessing scores k / (items - 1).

    Ties count in expectation: where items at equal cosine (to 1e-12, in float64) compete for the
    last places, each is a neighbour with the same probability, independently on either side. So
    duplicates may keep a representation below 1 even with itself. Memory grows with items, not
    with items².

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.
        k: Neighbours; fewer than there are other items.

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
    overlap = sum(
        float((_membership(x, start, k) * _membership(y, start, k)).sum())
        for start in range(0, len(X), _ROWS)
    )
    return overlap / (k * len(X))


def _membership(units: Matrix, start: int, k: int) -> NDArray[np.float64]:
    """Probability that item j is among the k nearest of item i, for a block of items i."""
    cosine = units[start : start + _ROWS] @ units.T
    own = np.arange(len(cosine))
    cosine[own, start + own] = -np.inf
    last = np.partition(cosine, len(units) - k, axis=1)[:, len(units) - k, None]
    nearer = cosine > last + TIES["float64"]
    tied = (cosine >= last - TIES["float64"]) & ~nearer
    places = k - nearer.sum(axis=1, keepdims=True)
    return np.asarray(nearer + tied * (places / tied.sum(axis=1, keepdims=True)))
