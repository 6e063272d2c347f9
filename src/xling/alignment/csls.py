"""Cross-domain similarity local scaling (Conneau et al. 2018, section 2.3; PAPER section 5.1).

CSLS(x, y) = 2 cos(x, y) - r(x) - r(y), where r(x) is the mean cosine of x with its k nearest
neighbours on the other side. It takes away the advantage of hubs: vectors that are near everybody.
"""

from typing import Any, Literal, get_args

import numpy as np

from xling.alignment.nearest import top_k
from xling.errors import XlingError
from xling.similarity.arrays import Matrix, as_matrix
from xling.similarity.units import unit_rows

Similarity = Literal["csls", "cosine"]


def csls(X: Any, Y: Any, k: int = 10) -> Matrix:
    """Score every row of ``X`` against every row of ``Y``.

    Rows are brought to unit length first. For large vocabularies use
    :func:`xling.alignment.translate`, which never holds this matrix.

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [m, d], in the same space.
        k: Neighbours in r; with fewer than k vectors on a side, all of them.

    Returns:
        Array [n, m] in [-4, 4]; float32 if either input is. ``csls(Y, X)`` is its transpose.

    Raises:
        XlingError: for NaN or infinity, zero rows, unequal widths, or k < 1.

    Example:
        >>> csls(np.eye(2), np.array([[1.0, 0], [0, 3], [0, 1]]), k=1)
        array([[ 0., -2., -2.],
               [-2.,  0.,  0.]])
    """
    A, B = score_factors(X, Y, "csls", k)
    scores: Matrix = A @ B.T
    return scores


def score_factors(X: Any, Y: Any, similarity: Similarity, k: int) -> tuple[Matrix, Matrix]:
    """Return matrices A and B whose product A Bᵀ holds the scores of all pairs.

    For cosines they are the unit rows. For CSLS they have two columns more,
    A = [2x, -r(x), 1] and B = [y, 1, -r(y)]: so whatever works with a product of two matrices
    works with CSLS too, a tile at a time.

    Args:
        X: Array [n, d].
        Y: Array [m, d].
        similarity: ``"csls"`` or ``"cosine"``.
        k: Neighbours in r (``"csls"`` only).

    Returns:
        Arrays [n, d + 2] and [m, d + 2] ([n, d] and [m, d] for cosines) of one precision.

    Raises:
        XlingError: as :func:`csls`.
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    if X.shape[1] != Y.shape[1]:
        raise XlingError(
            f"X has width {X.shape[1]} and Y {Y.shape[1]}: scores need one space; align them first"
        )
    if similarity not in get_args(Similarity):
        raise XlingError(f"similarity {similarity!r}: expected one of {get_args(Similarity)}")
    if k < 1:
        raise XlingError(f"k is {k}: CSLS needs at least one neighbour")
    dtype = np.float32 if np.float32 in (X.dtype, Y.dtype) else np.float64
    x, y = unit_rows(X.astype(dtype, copy=False), "X"), unit_rows(Y.astype(dtype, copy=False), "Y")
    if similarity == "cosine":
        return x, y
    A, B = _widened(x), _widened(y)
    del x, y
    x, y = A[:, :-2], B[:, :-2]
    A[:, -2], B[:, -1] = -_mean_of_nearest(x, y, k), -_mean_of_nearest(y, x, k)
    x *= 2
    return A, B


def _widened(units: Matrix) -> Matrix:
    """Append two columns of ones."""
    return np.hstack([units, np.ones((len(units), 2), dtype=units.dtype)])


def _mean_of_nearest(x: Matrix, y: Matrix, k: int) -> Matrix:
    mean: Matrix = top_k(x, y, k)[0].mean(axis=1, dtype=np.float64)
    return mean
