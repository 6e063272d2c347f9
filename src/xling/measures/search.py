"""The largest scores of every row, and of every column in the same pass; exact at any size.

Products in low precision find a few candidates for every row. The error of row i's scores is at
most

    E_i = |a_i - â_i| max|b| + |â_i| max(|b - b̂| + γ |b̂|)

with â, b̂ the rounded rows (Cauchy and Schwarz; the lengths of what rounding removed are known) and
γ the error of a sum of d products (Higham 2002, section 3.1). So the ``count`` largest of a row
have approximate scores of at least the ``count``-th largest approximate one minus 2 E_i. All
candidates above that bound are scored in float64. Rows with too many candidates are searched again
in float32, and if that fails in full in float64.

So the result does not depend on the precision of the first products. It equals products in float64
rounded to the precision of the rows; equal scores come in the order of their columns.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.device import bf16_features
from xling.measures.arrays import Matrix, to_device, to_numpy
from xling.measures.tiles import Scores, blocks

Largest = tuple[Matrix, NDArray[np.int64]]  # scores and their columns

_ROWS, _COLUMNS = 512, 8192  # a tile of float32 is 16 MB
_GROUP = 32  # scores in a group; the maximum of each group is checked first
_ROOM = 24  # candidates kept for a row, on top of twice the number to find
_MANY = 1 << 24  # scores; from this number on, bfloat16 is worth loading torch


def top_k(scores: Scores, count: int) -> Largest:
    """Find the ``count`` largest entries in every row.

    Beyond input and output this takes tens of megabytes, and half the memory of the input where the
    first products are in bfloat16 (the processor is fast in it, and there are many scores).

    Args:
        scores: Scores of n rows and m columns.
        count: How many to find; all m if there are fewer.

    Returns:
        The entries [n, min(count, m)], largest first, and their columns; equal ones in the order of
        their columns. On a device other than the processor it is not specified which of the equal
        entries that compete for the last place is returned.
    """
    return _search(scores, count, both=False)[0]


def top_k_of_both(scores: Scores, count: int) -> list[Largest]:
    """Return :func:`top_k` of the rows and of the columns, for little more than the cost of one.

    Memory is that of :func:`top_k`, and a few hundred bytes for every column.
    """
    return _search(scores, count, both=True)


def _search(scores: Scores, count: int, both: bool, fast: bool | None = None) -> list[Largest]:
    """Search the rows, or both, first in bfloat16 if ``fast``; if not given, where that pays."""
    sides = [scores, scores.transposed] if both else [scores]
    counts = [min(count, len(side.B)) for side in sides]
    tiles = (min(len(scores.B), _COLUMNS), min(len(scores.A), _ROWS))[: len(sides)]
    groups = [min(_GROUP, size // (2 * most)) for size, most in zip(tiles, counts, strict=True)]
    if scores.held is not None or not isinstance(scores.A, np.ndarray) or min(groups) < 2:
        return [_in_full(side, most) for side, most in zip(sides, counts, strict=True)]
    if fast is None:
        fast = len(scores.A) * len(scores.B) >= _MANY and _fast_bfloat16()
    results = [_empty(side, most) for side, most in zip(sides, counts, strict=True)]
    lists = _shortlists(_rough(scores, fast), counts, groups)
    for number, (which, shortlist) in enumerate(lists):
        if fast and not number and np.isposinf(shortlist.least).mean() > 0.5:
            lists.close()
            return _search(scores, count, both, False)
        found = shortlist.settled(sides[which])
        results[which][0][shortlist.rows], results[which][1][shortlist.rows] = found
    for side, most, (entries, columns) in zip(sides, counts, results, strict=True):
        rest = np.flatnonzero(columns[:, 0] < 0)
        if len(rest):
            part = side.part(rest)
            again = _search(part, most, False, False)[0] if fast else _in_full(part, most)
            entries[rest], columns[rest] = again
    return results


def _fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32."""
    import torch

    return bool(bf16_features(torch.device("cpu")))


def _empty(scores: Scores, count: int) -> Largest:
    shape = (len(scores.A), count)
    return np.empty(shape, dtype=to_numpy(scores.A[:0]).dtype), np.empty(shape, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Rough:
    """Approximate scores.

    Attributes:
        scores: Scores of rounded rows: float32 in numpy, or bfloat16 in torch.
        errors: Arrays [n] and [m]: how far the scores of a row, or of a column, may be from the
            exact ones.
        rounding: How much farther they may be, as a share of the approximate score.
    """

    scores: Scores
    errors: list[NDArray[np.float64]]
    rounding: float


def _rough(scores: Scores, fast: bool) -> _Rough:
    """Round the rows, and bound the errors of their scores."""
    rounded, lengths, lost = zip(
        *(_rounded(side, fast) for side in (scores.A, scores.B)), strict=True
    )
    gamma = 2.0**-23 * (scores.A.shape[1] + 16)  # twice the bound: products and sums are rounded
    errors = [
        lost[i] * (lengths[j] + lost[j]).max() + lengths[i] * (lost[j] + gamma * lengths[j]).max()
        for i, j in ((0, 1), (1, 0))
    ]
    rounding = 2.0**-8 if fast else 2.0**-22
    divisors, empty = scores.divisors, scores.empty
    if divisors:
        errors = [errors[i] / (divisors[i] + divisors[1 - i].min()) for i in (0, 1)]
        rounding *= 2  # the product and the quotient
    if fast:
        pairs = (divisors, empty)
        divisors, empty = (pair and tuple(to_device(one, "cpu") for one in pair) for pair in pairs)
    return _Rough(Scores(rounded[0], rounded[1], divisors, empty), errors, rounding)


def _rounded(rows: Matrix, fast: bool) -> tuple[Any, NDArray[np.float64], NDArray[np.float64]]:
    """Rounded rows, their lengths, and the lengths of what rounding removed."""
    rounded = to_device(rows, "cpu").bfloat16() if fast else rows.astype(np.float32, copy=False)
    lengths, lost = np.empty((2, len(rows)))
    for part in blocks(len(rows), _ROWS):
        kept = to_numpy(rounded[part]).astype(np.float64)
        lengths[part] = np.linalg.norm(kept, axis=1)
        lost[part] = np.linalg.norm(rows[part] - kept, axis=1)
    return rounded, lengths, lost


def _shortlists(
    rough: _Rough, counts: list[int], groups: list[int]
) -> Generator[tuple[int, "_Shortlist"], None, None]:
    """Yield candidates for every row (0) and, if there are two counts, every column (1)."""
    n, m = len(rough.scores.A), len(rough.scores.B)
    of_columns = [
        _Shortlist(part, rough.errors[1], rough.rounding, counts[1], groups[1])
        for part in blocks(m, _COLUMNS)
        if len(counts) > 1
    ]
    room = (_whole(min(n, _ROWS), groups[-1]), _whole(min(m, _COLUMNS), groups[0]))
    buffer = np.empty(room, dtype=np.float32)
    stored = None if isinstance(rough.scores.A, np.ndarray) else rough.scores.A.new_empty(room)
    for rows in blocks(n, _ROWS):
        of_rows = _Shortlist(rows, rough.errors[0], rough.rounding, counts[0], groups[0])
        for number, columns in enumerate(blocks(m, _COLUMNS)):
            high, wide = rows.stop - rows.start, columns.stop - columns.start
            tile = buffer[:high, :wide]
            if stored is None:
                rough.scores.tile(rows, columns, out=tile)
            else:
                short = rough.scores.tile(rows, columns, out=stored[:high, :wide])
                to_device(tile, "cpu").copy_(short)
            buffer[high:], buffer[:, wide:] = -np.inf, -np.inf
            of_rows.add(buffer[:high, : _whole(wide, groups[0])], columns.start)
            if of_columns:
                of_columns[number].add(buffer[: _whole(high, groups[1]), :wide].T, rows.start)
        yield 0, of_rows
    yield from ((1, shortlist) for shortlist in of_columns)


def _whole(size: int, group: int) -> int:
    """The smallest size of whole groups that is at least ``size``."""
    return -(-size // group) * group


class _Shortlist:
    """Candidates for the largest scores of some rows, from one tile after the other.

    Attributes:
        rows: Which rows.
        least: Array [rows]: candidates have at least this approximate score; infinity for rows
            with too many candidates, which are given up.
    """

    def __init__(
        self, rows: slice, errors: NDArray[np.float64], rounding: float, count: int, group: int
    ) -> None:
        size, room = rows.stop - rows.start, 2 * count + _ROOM
        self.rows = rows
        self.least = np.full(size, -np.inf, dtype=np.float32)
        self._errors, self._rounding = errors[rows], rounding
        self._count, self._group = count, group
        self._used = np.zeros(size, dtype=np.int64)
        self._scores = np.full((size, room), -np.inf, dtype=np.float32)
        self._columns = np.zeros((size, room), dtype=np.int32)

    def add(self, tile: Matrix, start: int) -> None:
        """Add the candidates of a tile [rows, whole groups] whose first column is ``start``."""
        count, room = self._count, self._scores.shape[1]
        groups = tile.shape[1] // self._group  # group j is columns j, j + groups, ...
        parts = tile.reshape(len(tile), self._group, groups)
        maxima = parts.max(axis=1)
        passing = maxima >= self.least[:, None]
        crowd = np.flatnonzero(np.count_nonzero(passing, axis=1) > 2 * count)
        if len(crowd):
            if groups > count:  # the groups of the largest maxima have as many scores
                self._raise(crowd, np.partition(maxima[crowd], -count, axis=1)[:, -count])
            many = np.count_nonzero(maxima[crowd] >= self.least[crowd, None], axis=1) > room
            self.least[crowd[many]] = np.inf
            passing[crowd] = maxima[crowd] >= self.least[crowd, None]
        rows, which = np.nonzero(passing)
        entries = parts[rows, :, which]
        place, member = np.nonzero(entries >= self.least[rows, None])
        columns = start + which[place] + groups * member
        self._keep(rows[place], entries[place, member], columns)

    def _keep(self, rows: NDArray[np.int64], scores: Matrix, columns: NDArray[np.int64]) -> None:
        """Add candidates, in the order of their rows."""
        room = self._scores.shape[1]
        new = np.bincount(rows, minlength=len(self.least))
        full = np.flatnonzero(self._used + new > room)
        if len(full):
            self._sort(full)
            good = scores >= self.least[rows]
            new = np.bincount(rows[good], minlength=len(self.least))
            self.least[self._used + new > room] = np.inf
            good &= self.least[rows] < np.inf
            rows, scores, columns = rows[good], scores[good], columns[good]
            new = np.bincount(rows, minlength=len(self.least))
        place = self._used[rows] + np.arange(len(rows)) - (np.cumsum(new) - new)[rows]
        self._scores[rows, place], self._columns[rows, place] = scores, columns
        self._used += new

    def _sort(self, rows: NDArray[np.int64]) -> None:
        """Sort the candidates of some rows by score, and drop those that no longer qualify."""
        order = np.argsort(-self._scores[rows], axis=1)
        scores = np.take_along_axis(self._scores[rows], order, axis=1)
        self._raise(rows, scores[:, self._count - 1])
        scores[scores < self.least[rows, None]] = -np.inf
        self._scores[rows] = scores
        self._columns[rows] = np.take_along_axis(self._columns[rows], order, axis=1)
        self._used[rows] = np.isfinite(scores).sum(axis=1)

    def _raise(self, rows: NDArray[np.int64], last: Matrix) -> None:
        """Raise ``least``, given that ``count`` approximate scores of each row reach ``last``."""
        certain = self._shrunk(last.astype(np.float64)) - self._errors[rows]
        least = self._shrunk(certain - self._errors[rows])
        self.least[rows] = np.maximum(self.least[rows], least)

    def _shrunk(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return scores - 1.01 * self._rounding * np.abs(scores)

    def settled(self, scores: Scores) -> Largest:
        """Exact scores of each row's best, and their columns; column -1 for rows given up."""
        self._sort(np.arange(len(self.least)))
        sure = (self.least < np.inf) & (self._used >= self._count)
        width = max(self._count, int(self._used[sure].max(initial=0)))
        rows, place = np.nonzero((np.arange(width) < self._used[:, None]) & sure[:, None])
        columns = self._columns[:, :width].astype(np.int64)
        entries = np.full(columns.shape, -np.inf, dtype=scores.A.dtype)
        entries[rows, place] = scores.of_pairs(rows + self.rows.start, columns[rows, place])
        order = np.lexsort((columns, -entries))[:, : self._count]
        columns[~sure] = -1
        best, where = (np.take_along_axis(part, order, axis=1) for part in (entries, columns))
        return best, where


def _in_full(scores: Scores, count: int) -> Largest:
    """Search all scores of every row."""
    entries, columns = _empty(scores, count)
    largest_of_rows = _largest_of_rows if isinstance(scores.A, np.ndarray) else _largest_on_device
    for rows in blocks(len(entries), _ROWS):
        best, where = entries[rows, :0], columns[rows, :0]
        for largest, found in largest_of_rows(scores, rows, count):
            best, where = _first(np.hstack([best, largest]), np.hstack([where, found]), count)
        order = np.lexsort((where, -best))
        entries[rows] = np.take_along_axis(best, order, axis=1)
        columns[rows] = np.take_along_axis(where, order, axis=1)
    return entries, columns


def _largest_of_rows(scores: Scores, rows: slice, count: int) -> Iterator[Largest]:
    """Yield the largest entries of the rows and their columns, from one tile after the other."""
    m = len(scores.B)
    width = _whole(min(_COLUMNS, m), _GROUP)
    tile = np.empty((rows.stop - rows.start, width), dtype=scores.A.dtype)
    for columns in blocks(m, width):
        size = columns.stop - columns.start
        scores.tile(rows, columns, out=tile[:, :size], double=True)
        tile[:, size:] = -np.inf  # whole groups
        largest, found = _largest_of_tile(tile, count)
        yield largest, found + columns.start


def _largest_on_device(scores: Scores, rows: slice, count: int) -> Iterator[Largest]:
    for columns in blocks(len(scores.B), _COLUMNS):
        tile = scores.tile(rows, columns)
        largest, found = tile.topk(min(count, tile.shape[1]), sorted=False)
        yield to_numpy(largest), to_numpy(found) + columns.start


def _largest_of_tile(tile: Matrix, count: int) -> Largest:
    """The ``count`` largest of each row, in the order of their columns.

    They lie in the ``count`` groups with the largest maxima; group j is columns j, j + groups, ...
    """
    groups = tile.shape[1] // _GROUP
    everything = np.broadcast_to(np.arange(tile.shape[1]), tile.shape)
    if groups <= count:
        return _first(tile, everything, count)
    maxima = tile.reshape(len(tile), _GROUP, groups).max(axis=1)
    chosen = np.sort(np.argpartition(maxima, -count, axis=1)[:, -count:], axis=1)
    members = chosen[:, None, :] + groups * np.arange(_GROUP)[:, None]
    columns = members.reshape(len(tile), -1)
    entries, columns = _first(np.take_along_axis(tile, columns, axis=1), columns, count)
    last = np.take_along_axis(maxima, chosen, axis=1).min(axis=1, keepdims=True)
    tied = np.flatnonzero(np.count_nonzero(maxima >= last, axis=1) > count)  # with other groups
    entries[tied], columns[tied] = _first(tile[tied], everything[tied], count)
    return entries, columns


def _first(entries: Matrix, columns: NDArray[np.int64], count: int) -> Largest:
    """The ``count`` largest, and of equal ones the first, in their given order."""
    if entries.shape[1] <= count:
        return entries, columns
    last = np.partition(entries, -count, axis=1)[:, -count, None]
    kept, tied = entries > last, entries == last
    kept |= tied & (np.cumsum(tied, axis=1) <= count - kept.sum(axis=1, keepdims=True))
    shape = (len(entries), count)
    return entries[kept].reshape(shape), columns[kept].reshape(shape)
