"""The largest entries in each row of a matrix of scores, without that matrix.

A vocabulary of 200k words against another of 200k has 4 × 10¹⁰ scores. They are made a tile at a
time; of each tile's row only the largest are looked at: the k largest entries lie in the k groups
of columns with the largest maxima, and maxima of groups are cheap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.measures.arrays import Matrix, to_numpy

# Scores closer than this are the same: rounding moves them by a few units of the last place.
TIES = {"float32": 4e-6, "float64": 1e-12}
_ROWS, _COLUMNS = 1024, 8192  # a tile of float32 is 32 MB
_GROUP = 32


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of all pairs of rows, made where they are asked for: A Bᵀ, or its entries divided.

    The arrays are numpy's, or torch tensors on one device: then tiles are made on that device.

    Attributes:
        A: Array [n, d].
        B: Array [m, d] of the same precision.
        divisors: None, or arrays a [n] and b [m]: entry (i, j) is divided by a_i + b_j.
        empty: None, or bool arrays [n] and [m]: rows without a direction, whose scores are -inf.
    """

    A: Any
    B: Any
    divisors: tuple[Any, Any] | None = None
    empty: tuple[Any, Any] | None = None

    @property
    def transposed(self) -> "Scores":
        """The scores of the other direction."""
        divisors, empty = self.divisors and self.divisors[::-1], self.empty and self.empty[::-1]
        return Scores(self.B, self.A, divisors, empty)

    @property
    def tie(self) -> float:
        """Scores closer than this are the same."""
        return TIES[str(self.A.dtype).removeprefix("torch.")]

    def tile(self, rows: slice | NDArray[np.int64], columns: slice, out: Any = None) -> Any:
        """Return the scores of some rows with some columns."""
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
        scores = (self.A[rows] * self.B[columns]).sum(-1)
        if self.divisors:
            scores /= self.divisors[0][rows] + self.divisors[1][columns]
        if self.empty:
            scores[self.empty[0][rows] | self.empty[1][columns]] = -np.inf
        return to_numpy(scores)


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
