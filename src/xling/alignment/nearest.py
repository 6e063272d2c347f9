"""The largest entries in each row of a product of two matrices, without the product.

A vocabulary of 200k words against another of 200k has 4 × 10¹⁰ scores. They are made a tile at a
time; of each tile's row only the largest are looked at: the k largest entries lie in the k groups
of columns with the largest maxima, and maxima of groups are cheap.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xling.similarity.arrays import Matrix

_ROWS, _COLUMNS = 1024, 8192  # a tile of float32 is 32 MB
_GROUP = 32


def top_k(A: Matrix, B: Matrix, count: int) -> tuple[Matrix, NDArray[np.int64]]:
    """Find the ``count`` largest entries in every row of A Bᵀ.

    Exact. Memory beyond input and output is one tile (32 MB in float32) and less than that again.

    Args:
        A: Array [n, d].
        B: Array [m, d] of the same precision.
        count: How many to find; all m if there are fewer.

    Returns:
        The entries [n, min(count, m)], largest first, and their columns; equal ones in the order of
        their columns. Where equal entries compete for the last place, which of them is returned is
        not specified.
    """
    count = min(count, len(B))
    scores = np.empty((len(A), count), dtype=A.dtype)
    columns = np.empty((len(A), count), dtype=np.int64)
    for rows in blocks(len(A), _ROWS):
        best = np.empty((rows.stop - rows.start, 0), dtype=A.dtype)
        where = np.empty(best.shape, dtype=np.int64)
        for start, tile in _tiles(A[rows], B):
            entries, found = _largest_of_tile(tile, count)
            best, where = _largest(
                np.hstack([best, entries]), np.hstack([where, found + start]), count
            )
        order = np.lexsort((where, -best))
        scores[rows] = np.take_along_axis(best, order, axis=1)
        columns[rows] = np.take_along_axis(where, order, axis=1)
    return scores, columns


def blocks(length: int, size: int) -> Iterator[slice]:
    """Cut ``range(length)`` into slices of at most ``size``."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


def _tiles(a: Matrix, B: Matrix) -> Iterator[tuple[int, Matrix]]:
    """Yield (first column, a B[columns]ᵀ), filled up with -inf to whole groups."""
    width = -(-min(_COLUMNS, len(B)) // _GROUP) * _GROUP
    tile = np.empty((len(a), width), dtype=a.dtype)
    for columns in blocks(len(B), width):
        size = columns.stop - columns.start
        np.matmul(a, B[columns].T, out=tile[:, :size])
        tile[:, size:] = -np.inf
        yield columns.start, tile


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
