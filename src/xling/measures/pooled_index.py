"""Retrieval from one index that holds the lines of all languages."""

import operator
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Flags, Matrix, as_matrix, to_numpy, unit_rows, with_empty
from xling.measures.tiles import Scores, blocks, count_where, on_device

_LINES = 512  # candidates compared at a time
_QUERIES = 8192  # queries searched in one pass over all languages
_HELD = 1 << 23  # numbers; the unit rows of all languages are kept up to this size, 64 MB


def pooled_hits(
    vectors: Sequence[Any],
    queries: NDArray[np.int64] | None = None,
    centre: bool = False,
    device: Any = None,
) -> NDArray[np.float64]:
    """Retrieve from one index that holds the lines of all languages ("strong" alignment).

    The candidates of a line are all other lines of all languages. It is a hit if the nearest by
    cosine is one of its translations; a nearer line of its own language makes it a miss (Roy et al.
    2020). Guessing scores (K - 1) / (K N - 1).

    Cosines and ties are as in :func:`precision_at_1`, but most lines are decided in single
    precision: those whose nearest candidate is ahead by more than rounding. Beyond the input this
    takes the memory of a few thousand rows and one tile; time grows with K² N Q d.

    Args:
        vectors: For each of K languages an array [N, d]; row i of all means the same.
        queries: int array [Q]: which lines to use as queries, the same in each language; all if not
            given. All lines are candidates in any case.
        centre: As in :func:`precision_at_1`, for every language.
        device: As in :func:`precision_at_1`.

    Returns:
        Array [K, Q] in [0, 1].

    Raises:
        XlingError: for fewer than two languages, unequal shapes, NaN or infinity.

    Example:
        >>> pooled_hits([np.eye(3), np.eye(3), np.eye(3)[::-1]])
        array([[0.5, 1. , 0.5],
               [0.5, 1. , 0.5],
               [0. , 1. , 0. ]])
    """
    sides = [as_matrix(side, f"vectors[{i}]") for i, side in enumerate(vectors)]
    if len(sides) < 2 or len({side.shape for side in sides}) > 1:
        raise XlingError(
            f"vectors have shapes {[side.shape for side in sides]}: expected at least two "
            "languages, with the same lines and the same width"
        )
    lines = np.arange(len(sides[0])) if queries is None else np.asarray(queries, dtype=np.int64)
    languages = np.repeat(np.arange(len(sides)), len(lines))
    rows = np.tile(lines, len(sides))
    hits = np.zeros(len(rows))

    def units(language: int, dtype: Any) -> tuple[Matrix, Flags]:
        return _units(sides[language], centre, dtype)

    def picked(language: int, lines: NDArray[np.int64], dtype: Any) -> tuple[Matrix, Flags]:
        if not centre:
            return _units(sides[language][lines], centre, dtype)
        of_all, empty = units(language, dtype)
        return of_all[lines], empty[lines]

    if len(sides) * sides[0].size <= _HELD:
        units = cache(units)
    for part in blocks(len(rows), _QUERIES):
        asked = np.arange(part.start, part.stop)
        for dtype in (np.float32, np.float64):
            of_each = [
                picked(int(language), rows[asked[languages[asked] == language]], dtype)
                for language in np.unique(languages[asked])
            ]
            x, empty = (np.concatenate(part) for part in zip(*of_each, strict=True))
            all_units = (units(language, dtype) for language in range(len(sides)))
            found, certain = _pooled((x, empty), all_units, languages[asked], rows[asked], device)
            hits[asked] = found
            asked = asked[~certain]
            if not len(asked):
                break
    return hits.reshape(len(sides), len(lines))


def _pooled(
    queries: tuple[Matrix, Flags],
    units: Iterable[tuple[Matrix, Flags]],
    languages: NDArray[np.int64],
    rows: NDArray[np.int64],
    device: Any,
) -> tuple[NDArray[np.float64], Flags]:
    """Hits of some lines (their languages and rows) among all lines of all languages.

    In single precision a result is certain if no other candidate is so near that rounding could
    swap them: a product of rows scaled to length 1 in single precision is off by less than
    (d + 16) 2⁻²⁴ (Higham 2002, section 3.1).
    """
    x, empty_x = queries
    single = x.dtype == np.float32
    best = np.full(len(rows), -np.inf)
    tied, right = np.zeros((2, len(rows)), dtype=np.int64)
    for language, (y, empty_y) in enumerate(units):
        own = np.flatnonzero(languages == language)
        scores = on_device(Scores(x, y, None, (empty_x, empty_y)), device)
        tie = 2 * (x.shape[1] + 16) * 2.0**-24 if single else scores.tie
        for columns in blocks(len(y), _LINES):
            tile = scores.tile(slice(None), columns)
            inside = (rows >= columns.start) & (rows < columns.stop)
            itself = own[inside[own]]
            tile[itself, rows[itself] - columns.start] = -np.inf
            largest = to_numpy(tile.max(1) if isinstance(tile, np.ndarray) else tile.amax(1))
            level = np.maximum(best, largest)
            nearer = level > best + tie
            tied[nearer], right[nearer], best = 0, 0, level
            tied += count_where(operator.ge, tile, level - tie, 1)
            translated = np.flatnonzero(inside)
            found = to_numpy(tile[translated, rows[translated] - columns.start])
            right[translated] += found >= level[translated] - tie
    known = np.isfinite(best)
    hits = np.where(known, right / np.maximum(tied, 1), 0.0)
    return hits, (tied == 1) | ~known if single else np.ones_like(known)


def _units(matrix: Matrix, centre: bool, dtype: Any) -> tuple[Matrix, Flags]:
    """Rows of length 1, computed in their own precision or the requested one if that is higher."""
    rows, empty = with_empty(matrix, centre)
    rows = rows.astype(np.promote_types(rows.dtype, dtype), copy=False)
    return unit_rows(rows, "vectors", zero_rows=True).astype(dtype, copy=False), empty
