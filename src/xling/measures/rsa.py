"""Representational similarity analysis (Kriegeskorte et al. 2008)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, check_paired


def rsa(X: Any, Y: Any) -> float:
    """Rank correlation of two representations' dissimilarities between items.

    The dissimilarity of two items is 1 minus the Pearson correlation of their vectors; those of
    all pairs of items on one side are compared with those on the other by Spearman's correlation,
    ties at their mean rank (Kriegeskorte et al. 2008, steps 3 to 5).

    Takes memory and time of items² (2000 items: some 100 MB); draw a sample of more.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.

    Returns:
        Correlation in [-1, 1]; 0 if on either side all pairs of items are equally dissimilar.

    Raises:
        XlingError: for unequal numbers of rows, fewer than three, NaN or infinity, or a row whose
            entries are all the same (it has no correlation with others).

    Example:
        >>> X = np.random.default_rng(0).normal(size=(30, 6))
        >>> round(rsa(X, 2 * X + 1), 6)
        1.0
    """
    from scipy.stats import rankdata

    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    if len(X) < 3:
        raise XlingError(f"RSA compares dissimilarities of at least three items: found {len(X)}")
    ranks = [rankdata(_dissimilarities(matrix, name)) for matrix, name in ((X, "X"), (Y, "Y"))]
    a, b = (side - side.mean() for side in ranks)
    scale = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / scale, -1, 1)) if scale else 0.0


def _dissimilarities(X: Matrix, name: str) -> NDArray[np.float64]:
    """1 - Pearson's correlation of every pair of rows, to 1e-12 so that equal ones are ties."""
    flat = X.max(axis=1) == X.min(axis=1)
    if flat.any():
        raise XlingError(
            f"row {np.argmax(flat)} of {name} has the same value in every column ("
            f"{np.count_nonzero(flat)} such rows): RSA cannot correlate it; remove it first"
        )
    rows = X.astype(np.float64)
    rows /= np.abs(rows).max(axis=1, keepdims=True)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray((1 - rows @ rows.T)[np.triu_indices(len(X), 1)].round(12))
