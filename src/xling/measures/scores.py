"""Scores of all pairs of rows (cosine, CSLS, margin), and the largest in each row.

CSLS and the margin correct for hubs: vectors that are close to everything. With r(x) the mean
cosine of x with its k nearest neighbours on the other side:

- CSLS(x, y) = 2 cos(x, y) - r(x) - r(y) (Conneau et al. 2018, section 2.3;
  Conneau et al. 2020, section 5.1);
- margin ratio(x, y) = 2 cos(x, y) / (r(x) + r(y)) (Artetxe and Schwenk 2019, section 3.1).

A vocabulary of 200k words against another of 200k has 4 × 10¹⁰ scores. They are made a tile at a
time; of each tile's row only the largest are looked at: the k largest entries lie in the k groups
of columns with the largest maxima, and maxima of groups are cheap.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, to_numpy, unit_rows

Similarity = Literal["csls", "cosine", "margin"]

# Scores closer than this are the same: rounding moves them by a few units of the last place.
TIES = {"float32": 4e-6, "float64": 1e-12}
_ROWS, _COLUMNS = 1024, 8192  # a tile of float32 is 32 MB
_GROUP = 32
_HELD = 1 << 22  # scores: 32 MB in float64, as large as a tile; so few are computed once


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of all pairs of rows, made where they are asked for: A Bᵀ, or its entries divided.

    The arrays are numpy's, or torch tensors on one device: then tiles are made on that device.

    Attributes:
        A: Array [n, d].
        B: Array [m, d] of the same precision.
        divisors: None, or arrays a [n] and b [m]: entry (i, j) is divided by a_i + b_j.
        empty: None, or bool arrays [n] and [m]: rows without a direction, whose scores are -inf.
        held: None, or the scores themselves [n, m], where that is no larger than a tile.
    """

    A: Any
    B: Any
    divisors: tuple[Any, Any] | None = None
    empty: tuple[Any, Any] | None = None
    held: Any = None

    @property
    def transposed(self) -> "Scores":
        """The scores of the other direction."""
        divisors, empty = self.divisors and self.divisors[::-1], self.empty and self.empty[::-1]
        return Scores(self.B, self.A, divisors, empty, None if self.held is None else self.held.T)

    @property
    def tie(self) -> float:
        """Scores closer than this are the same."""
        return TIES[str(self.A.dtype).removeprefix("torch.")]

    def tile(self, rows: slice | NDArray[np.int64], columns: slice, out: Any = None) -> Any:
        """Return the scores of some rows with some columns (a view, where all are held)."""
        if self.held is not None:
            if out is None:
                return self.held[rows, columns]
            out[:] = self.held[rows, columns]
            return out
        a, b = self.A[rows], self.B[columns]
        tile = a @ b.T if out is None else np.matmul(a, b.T, out=out)
        if self.divisors:
            tile /= self.divisors[0][rows, None] + self.divisors[1][columns]
        if self.empty:
            tile[self.empty[0][rows]] = -np.inf
            tile[:, self.empty[1][columns]] = -np.inf
        return tile

    def of_pairs(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Matrix:
        """Return the scores of pairs [p] of a row and a column, as a numpy array."""
        if self.held is not None:
            return to_numpy(self.held[rows, columns])
        parts = blocks(len(rows), _COLUMNS)
        return np.concatenate([self._of_pairs(rows[part], columns[part]) for part in parts])

    def _of_pairs(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Matrix:
        scores = (self.A[rows] * self.B[columns]).sum(-1)
        if self.divisors:
            scores /= self.divisors[0][rows] + self.divisors[1][columns]
        if self.empty:
            scores[self.empty[0][rows] | self.empty[1][columns]] = -np.inf
        return to_numpy(scores)


def csls(X: Any, Y: Any, k: int = 10) -> Matrix:
    """Score every row of ``X`` against every row of ``Y``.

    Rows are brought to unit length first. For large vocabularies use
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

    Like CSLS it asks how much nearer y is than x's and y's other neighbours, but by a ratio: for
    sentences, whose cosines differ much in scale, that serves better (Artetxe and Schwenk 2019).

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [m, d], in the same space.
        k: Neighbours in r; the paper takes 4.

    Returns:
        Array [n, m]; 1 where a pair is as near as the neighbours of both are on average. Float32
        if either input is. ``margin_ratio(Y, X)`` is its transpose.

    Raises:
        XlingError: as :func:`csls`, and where the mean cosines of neighbours are not positive, so
            that a ratio says nothing.

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
) -> Scores:
    """Return the scores of all pairs in a form that is computed a tile at a time.

    Cosines are the product of the unit rows. CSLS is a product too, of matrices that have two
    columns more: A = [2x, -r(x), 1] and B = [y, 1, -r(y)]. The margin divides the product by a sum.

    Args:
        X: Array [n, d].
        Y: Array [m, d].
        similarity: ``"csls"``, ``"cosine"`` or ``"margin"``.
        k: Neighbours in r (not used for cosines).
        empty: Rows that are nobody's neighbours and have none; other zero rows have cosine 0 with
            everything. Zero rows are refused if not given.
        device: A torch device on which to take the products; numpy does it if not given.

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
    for side, name, units in ((X, "X", x), (Y, "Y", y)):
        unit_rows(side.astype(dtype, copy=False), name, out=units, zero_rows=empty is not None)
    masks = empty if empty and (empty[0].any() or empty[1].any()) else None
    cosines = on_device(Scores(x, y, None, masks), device)
    held = len(X) * len(Y) <= _HELD
    if held:
        cosines = replace(cosines, held=cosines.tile(slice(None), slice(None)))
    if similarity == "cosine":
        return cosines
    r_x, r_y = (_mean_of_nearest(side, k) for side in (cosines, cosines.transposed))
    if similarity == "margin":
        divisors = _divisors(r_x, r_y, masks, dtype)
        scores = on_device(Scores(x, y, divisors, masks), device)
    else:
        A[:, -2], B[:, -1] = -r_x, -r_y
        x *= 2
        scores = on_device(Scores(A, B, None, masks), device)
    return replace(scores, held=_corrected(cosines.held, scores)) if held else scores


def top_k(scores: Scores, count: int) -> tuple[Matrix, NDArray[np.int64]]:
    """Find the ``count`` largest entries in every row.

    Exact. Memory beyond input and output is one tile (32 MB in float32) and less than that again.

    Args:
        scores: Of n rows and m columns.
        count: How many to find; all m if there are fewer.

    Returns:
        The entries [n, min(count, m)], largest first, and their columns; equal ones in the order of
        their columns. Where equal entries compete for the last place, which of them is returned is
        not specified.
    """
    n, m, dtype = len(scores.A), len(scores.B), to_numpy(scores.A[:0]).dtype
    count = min(count, m)
    entries = np.empty((n, count), dtype=dtype)
    columns = np.empty((n, count), dtype=np.int64)
    largest_of_rows = _largest_of_rows if isinstance(scores.A, np.ndarray) else _largest_on_device
    for rows in blocks(n, _ROWS):
        best = np.empty((rows.stop - rows.start, 0), dtype=dtype)
        where = np.empty(best.shape, dtype=np.int64)
        for largest, found in largest_of_rows(scores, rows, count):
            best, where = _largest(np.hstack([best, largest]), np.hstack([where, found]), count)
        order = np.lexsort((where, -best))
        entries[rows] = np.take_along_axis(best, order, axis=1)
        columns[rows] = np.take_along_axis(where, order, axis=1)
    return entries, columns


def blocks(length: int, size: int) -> Iterator[slice]:
    """Cut ``range(length)`` into slices of at most ``size``."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


def _corrected(cosines: Any, scores: Scores) -> Any:
    """All scores from all cosines."""
    if scores.divisors:
        return cosines / (scores.divisors[0][:, None] + scores.divisors[1])
    return 2 * cosines + scores.A[:, -2, None] + scores.B[:, -1]


def on_device(scores: Scores, device: Any) -> Scores:
    """Move the arrays to a torch device, in float32 where it has no float64 (Apple's)."""
    if device is None:
        return scores
    import torch

    def moved(array: Any) -> Any:
        tensor = torch.from_numpy(array)
        half = torch.device(device).type == "mps" and tensor.dtype == torch.float64
        return (tensor.float() if half else tensor).to(device)

    pairs = (scores.divisors, scores.empty)
    divisors, empty = (pair and (moved(pair[0]), moved(pair[1])) for pair in pairs)
    return Scores(moved(scores.A), moved(scores.B), divisors, empty)


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


def _mean_of_nearest(cosines: Scores, k: int) -> NDArray[np.float64]:
    """Mean cosine of every row with those of its k nearest that have a direction."""
    nearest = top_k(cosines, k)[0]
    if cosines.empty is None:
        return np.asarray(nearest.mean(axis=1, dtype=np.float64))
    found = np.isfinite(nearest)
    total = np.where(found, nearest, 0).sum(axis=1, dtype=np.float64)
    return np.asarray(total / np.maximum(found.sum(axis=1), 1))


def _largest_of_rows(
    scores: Scores, rows: slice, count: int
) -> Iterator[tuple[Matrix, NDArray[np.int64]]]:
    """Yield the largest entries of the rows and their columns, from one tile after the other."""
    m = len(scores.B)
    width = -(-min(_COLUMNS, m) // _GROUP) * _GROUP
    tile = np.empty((rows.stop - rows.start, width), dtype=scores.A.dtype)
    for columns in blocks(m, width):
        size = columns.stop - columns.start
        scores.tile(rows, columns, out=tile[:, :size])
        tile[:, size:] = -np.inf  # whole groups
        largest, found = _largest_of_tile(tile, count)
        yield largest, found + columns.start


def _largest_on_device(
    scores: Scores, rows: slice, count: int
) -> Iterator[tuple[Matrix, NDArray[np.int64]]]:
    for columns in blocks(len(scores.B), _COLUMNS):
        tile = scores.tile(rows, columns)
        largest, found = tile.topk(min(count, tile.shape[1]), sorted=False)
        yield to_numpy(largest), to_numpy(found) + columns.start


def _largest_of_tile(tile: Matrix, count: int) -> tuple[Matrix, NDArray[np.int64]]:
    """The ``count`` largest of each row and their columns; group j is columns j, j + groups, ..."""
    groups = tile.shape[1] // _GROUP
    if groups <= count:
        return _largest(tile, np.broadcast_to(np.arange(tile.shape[1]), tile.shape), count)
    maxima = tile.reshape(len(tile), _GROUP, groups).max(axis=1)
    chosen = np.argpartition(maxima, groups - count, axis=1)[:, groups - count :]
    members = chosen[:, None, :] + groups * np.arange(_GROUP)[:, None]
    columns = members.reshape(len(tile), -1)
    return _largest(np.take_along_axis(tile, columns, axis=1), columns, count)


def _largest(
    entries: Matrix, columns: NDArray[np.int64], count: int
) -> tuple[Matrix, NDArray[np.int64]]:
    surplus = entries.shape[1] - count
    if surplus <= 0:
        return entries, columns
    kept = np.argpartition(entries, surplus, axis=1)[:, surplus:]
    return np.take_along_axis(entries, kept, axis=1), np.take_along_axis(columns, kept, axis=1)
