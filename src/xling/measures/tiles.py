"""Scores of all pairs of rows, made a tile at a time: a vocabulary has too many to keep."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.measures.arrays import Matrix, to_device, to_numpy

# Scores closer than this count as equal: rounding changes them by a few units in the last place.
TIES = {"float32": 4e-6, "float64": 1e-12}
_ENTRIES = 15_000  # entries of row pairs multiplied at a time: larger arrays need new memory pages


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of all pairs of rows, computed on request: A Bᵀ, or its entries divided.

    The arrays are numpy arrays, or torch tensors on one device: tiles are then made on that device.

    Attributes:
        A: Array [n, d].
        B: Array [m, d] of the same precision.
        divisors: None, or arrays a [n] and b [m]: entry (i, j) is divided by a_i + b_j.
        empty: None, or bool arrays [n] and [m]: rows without a direction, whose scores are -inf.
        held: None, or the scores themselves [n, m], if they are no larger than a tile.
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
        """Scores closer than this count as equal."""
        return TIES[str(self.A.dtype).removeprefix("torch.")]

    def part(self, rows: NDArray[np.int64]) -> "Scores":
        """The scores of some rows."""
        divisors, empty = (
            pair and (pair[0][rows], pair[1]) for pair in (self.divisors, self.empty)
        )
        held = None if self.held is None else self.held[rows]
        return Scores(self.A[rows], self.B, divisors, empty, held)

    def tile(
        self,
        rows: slice | NDArray[np.int64],
        columns: slice,
        out: Any = None,
        double: bool = False,
    ) -> Any:
        """Return the scores of some rows with some columns (a view, if all are held).

        Args:
            rows: Which rows.
            columns: Which columns.
            out: Where to write them; a new array if not given.
            double: Sum in float64 before rounding to the precision of ``out``, a numpy array.
        """
        if self.held is not None:
            if out is None:
                return self.held[rows, columns]
            out[:] = self.held[rows, columns]
            return out
        a, b = self.A[rows], self.B[columns]
        if out is None:
            tile = a @ b.T
        elif isinstance(out, np.ndarray):
            sums = np.float64 if double else None
            tile = np.matmul(a, b.T, out=out, dtype=sums, casting="same_kind")
        else:
            import torch

            tile = torch.matmul(a, b.T, out=out)
        if self.divisors:
            tile /= self.divisors[0][rows, None] + self.divisors[1][columns]
        if self.empty:
            tile[self.empty[0][rows]] = -np.inf
            tile[:, self.empty[1][columns]] = -np.inf
        return tile

    def of_pairs(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Matrix:
        """Return the scores of pairs [p] of a row and a column, as a numpy array.

        On the processor they are summed in float64 and then rounded to the precision of the rows.
        """
        if self.held is not None:
            return to_numpy(self.held[rows, columns])
        found = np.empty(len(rows), dtype=to_numpy(self.A[:0]).dtype)
        for part in blocks(len(rows), max(1, _ENTRIES // self.A.shape[1])):
            found[part] = self._of_pairs(rows[part], columns[part])
        return found

    def _of_pairs(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Matrix:
        scores = self.A[rows]
        if isinstance(scores, np.ndarray):
            double = scores.astype(np.float64, copy=False)
            scores = (double * self.B[columns]).sum(-1).astype(scores.dtype, copy=False)
        else:
            scores = (scores * self.B[columns]).sum(-1)
        if self.divisors:
            scores /= self.divisors[0][rows] + self.divisors[1][columns]
        if self.empty:
            scores[self.empty[0][rows] | self.empty[1][columns]] = -np.inf
        return to_numpy(scores)


def count_where(
    compare: Callable[[Any, Any], Any], tile: Any, level: NDArray[np.floating[Any]], axis: int
) -> NDArray[np.int64]:
    """Count the scores of each row (axis 1) or column (axis 0) that pass ``compare``.

    Args:
        compare: An operator, such as ``operator.gt``, of a score and a level.
        tile: Scores [n, m], a numpy array or a torch tensor.
        level: What the scores of each row [n] or column [m] are compared with.
        axis: The axis to count along.
    """
    if isinstance(tile, np.ndarray):
        edge = np.expand_dims(level.astype(tile.dtype), axis)
        return np.asarray(np.count_nonzero(compare(tile, edge), axis=axis))
    mask = compare(tile, tile.new_tensor(level).unsqueeze(axis))
    return to_numpy(mask.count_nonzero(axis))


def blocks(length: int, size: int) -> Iterator[slice]:
    """Cut ``range(length)`` into slices of at most ``size``."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


def on_device(scores: Scores, device: Any) -> Scores:
    """Move the arrays to a torch device, in float32 where it has no float64 (Apple's)."""
    if device is None:
        return scores
    pairs = (scores.divisors, scores.empty)
    divisors, empty = (pair and tuple(to_device(one, device) for one in pair) for pair in pairs)
    A, B = to_device(scores.A, device), to_device(scores.B, device)
    return Scores(A, B, divisors, empty)
