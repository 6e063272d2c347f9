"""Scores of all pairs of rows (cosine, CSLS, margin).

CSLS and the margin correct for hubs: vectors that are close to everything. With r(x) the mean
cosine of x with its k nearest neighbours on the other side:

- CSLS(x, y) = 2 cos(x, y) - r(x) - r(y) (Conneau et al. 2018, section 2.3;
  Conneau et al. 2020, section 5.1);
- margin ratio(x, y) = 2 cos(x, y) / (r(x) + r(y)) (Artetxe and Schwenk 2019, section 3.1).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, unit_rows
from xling.measures.search import Largest, top_k_of_both
from xling.measures.tiles import Scores, on_device

Similarity = Literal["csls", "cosine", "margin"]

_HELD = 1 << 22  # scores: 32 MB in float64, as large as a tile; up to this many are computed once


def csls(X: Any, Y: Any, k: int = 10) -> Matrix:
    """Score every row of ``X`` against every row of ``Y``.

    Rows are scaled to unit length first. For large vocabularies use
    :func:`xling.measures.translate`, which never holds this matrix.

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
    return np.asarray(scores_between(X, Y, "csls", k).tile(slice(None), slice(None)))


def margin_ratio(X: Any, Y: Any, k: int = 4) -> Matrix:
    """Score every row of ``X`` against every row of ``Y`` by the ratio of cosine to its margin.

    Like CSLS it asks how much nearer x and y are to each other than to their other neighbours, but
    by a ratio. That works better for sentences, whose cosines differ much in scale (Artetxe and
    Schwenk 2019).

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [m, d], in the same space.
        k: Neighbours in r; the paper takes 4.

    Returns:
        Array [n, m]; 1 where a pair is as near as the neighbours of both are on average. Float32
        if either input is. ``margin_ratio(Y, X)`` is its transpose.

    Raises:
        XlingError: as :func:`csls`, and where the mean cosines of neighbours are not positive, so
            that a ratio is meaningless.

    Example:
        >>> margin_ratio(np.eye(2), np.eye(2), k=2)
        array([[2., 0.],
               [0., 2.]])
    """
    return np.asarray(scores_between(X, Y, "margin", k).tile(slice(None), slice(None)))


def scores_between(
    X: Any,
    Y: Any,
    similarity: Similarity,
    k: int,
    empty: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
    device: Any = None,
    known: Any = None,
    nearest: Sequence[Largest] | None = None,
) -> Scores:
    """Return the scores of all pairs in a form that is computed a tile at a time.

    Cosines are the product of the unit rows. CSLS is also a product, of matrices with two more
    columns: A = [2x, -r(x), 1] and B = [y, 1, -r(y)]. The margin divides the product by a sum.

    Args:
        X: Array [n, d].
        Y: Array [m, d].
        similarity: ``"csls"``, ``"cosine"`` or ``"margin"``.
        k: Neighbours in r (not used for cosines).
        empty: Rows that have no neighbours and are neighbours of none; other zero rows have cosine
            0 with everything. If not given, zero rows raise an error.
        device: A torch device to compute the products on; numpy is used if not given.
        known: The cosines kept from another similarity of the same rows, if any; the rows
            themselves are then not used again.
        nearest: At least the k largest cosines of every row, and of every column, if known.

    Raises:
        XlingError: as :func:`csls` and :func:`margin_ratio`.
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    if X.shape[1] != Y.shape[1]:
        raise XlingError(
            f"X has width {X.shape[1]} and Y {Y.shape[1]}: scores need one space; align them first"
        )
    if similarity not in get_args(Similarity):
        raise XlingError(f"similarity {similarity!r}: expected one of {get_args(Similarity)}")
    if k < 1:
        raise XlingError(f"k is {k}: {similarity} needs at least one neighbour")
    dtype = np.float32 if np.float32 in (X.dtype, Y.dtype) else np.float64
    room = 2 if similarity == "csls" else 0
    A, B = (np.ones((len(side), side.shape[1] + room), dtype=dtype) for side in (X, Y))
    x, y = A[:, : X.shape[1]], B[:, : X.shape[1]]
    for side, name, units in ((X, "X", x), (Y, "Y", y)) if known is None else ():
        unit_rows(side.astype(dtype, copy=False), name, out=units, zero_rows=empty is not None)
    masks = empty if empty and (empty[0].any() or empty[1].any()) else None
    cosines = on_device(Scores(x, y, None, masks), device)
    held = len(X) * len(Y) <= _HELD
    if held:
        known = cosines.tile(slice(None), slice(None)) if known is None else known
        cosines = replace(cosines, held=known)
    if similarity == "cosine":
        return cosines
    r_x, r_y = _means_of_nearest(nearest or top_k_of_both(cosines, k), k)
    if similarity == "margin":
        divisors = _divisors(r_x, r_y, masks, dtype)
        scores = on_device(Scores(x, y, divisors, masks), device)
    else:
        A[:, -2], B[:, -1] = -r_x, -r_y
        x *= 2
        scores = on_device(Scores(A, B, None, masks), device)
    return replace(scores, held=_corrected(cosines.held, scores)) if held else scores


def _corrected(cosines: Any, scores: Scores) -> Any:
    """Compute all scores from all cosines."""
    if scores.divisors:
        return cosines / (scores.divisors[0][:, None] + scores.divisors[1])
    return 2 * cosines + scores.A[:, -2, None] + scores.B[:, -1]


def _divisors(
    r_x: NDArray[np.float64], r_y: NDArray[np.float64], empty: Any, dtype: Any
) -> tuple[Matrix, Matrix]:
    """Halves of r(x) and of r(y)."""
    a, b = (r.astype(dtype) / 2 for r in (r_x, r_y))
    if empty:
        a[empty[0]], b[empty[1]] = max(a.max(), 1), max(b.max(), 1)
    if not a.min() + b.min() > 0:
        raise XlingError(
            "the margin ratio divides by the mean cosine of nearest neighbours, and there are rows "
            f"for which it is {2 * a.min():.2g} in X and {2 * b.min():.2g} in Y: use csls, which "
            "subtracts it, or vectors that are not centred"
        )
    return a, b


def _means_of_nearest(largest: Sequence[Largest], k: int) -> list[NDArray[np.float64]]:
    """Mean cosine of every row, and of every column, with its k nearest (without zero vectors)."""
    means = []
    for cosines, _ in largest:
        nearest = cosines[:, :k]
        found = np.isfinite(nearest)  # others have no direction
        total = np.where(found, nearest, 0).sum(axis=1, dtype=np.float64)
        means.append(total / np.maximum(found.sum(axis=1), 1))
    return means
