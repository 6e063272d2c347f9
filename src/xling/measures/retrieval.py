"""Cosine nearest-neighbour retrieval between two sides of a parallel set.

Conneau et al. 2020, section 5.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.bootstrap import interval
from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, centred, check_paired

TIE = 1e-12  # cosines (in float64) closer than this are the same; rounding moves them by ~1e-15
_BLOCK = 1024  # rows: a block of cosines is 8 MB


@dataclass(frozen=True, eq=False)
class Retrieval:
    """How often the nearest neighbour is the translation.

    Attributes:
        forward_hits: Array [n] in [0, 1]: row i of X found its translation among the rows of Y.
        backward_hits: Array [n] in [0, 1]: row i of Y found its translation among the rows of X.
    """

    forward_hits: NDArray[np.float64]
    backward_hits: NDArray[np.float64]

    @property
    def forward(self) -> float:
        """Precision@1 from X to Y."""
        return float(self.forward_hits.mean())

    @property
    def backward(self) -> float:
        """Precision@1 from Y to X."""
        return float(self.backward_hits.mean())

    @property
    def mean(self) -> float:
        """Mean of both directions."""
        return (self.forward + self.backward) / 2

    @property
    def chance(self) -> float:
        """Precision@1 of a guess: 1 / n."""
        return 1 / len(self.forward_hits)


def precision_at_1(X: Any, Y: Any, centre: bool = False) -> Retrieval:
    """Retrieve row i of Y with row i of X by cosine, and the other way round.

    Ties are settled in expectation: where k candidates, the right one among them, share the
    highest cosine (to 1e-12, computed in float64), the hit counts 1/k, as random tie-breaking
    would give on average. So duplicates are not punished or rewarded by their order, and vectors
    that are all the same score chance. A zero vector (a sentence without tokens) has no direction:
    it is no row's neighbour, takes no part in the mean, and a pair that has one is a miss.

    Each cosine is computed once for both directions, in blocks; memory beyond the input is a few
    tens of megabytes for any n.

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        centre: Subtract each side's own mean first, which takes away what all sentences of a
            language have in common.

    Raises:
        XlingError: for unequal shapes, NaN or infinity.

    Example:
        >>> precision_at_1(np.eye(3), np.eye(3)[[0, 2, 1]]).forward_hits
        array([1., 0., 0.])
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    if X.shape[1] != Y.shape[1]:
        raise XlingError(
            f"X has width {X.shape[1]} and Y {Y.shape[1]}: cosines need one space; align them first"
        )
    unit_x, unit_y = _Units(X, centre), _Units(Y, centre)
    n = len(X)
    gold = np.concatenate(
        [np.einsum("nd,nd->n", unit_x[rows], unit_y[rows]) for rows in _blocks(n)]
    )
    better = np.zeros((2, n), dtype=np.int64)
    tied = np.zeros((2, n), dtype=np.int64)
    for rows in _blocks(n):
        x = unit_x[rows]
        for columns in _blocks(n):
            cosine = x @ unit_y[columns].T
            cosine[:, unit_y.zero[columns]] = -np.inf
            cosine[unit_x.zero[rows]] = -np.inf
            for side, gold_of, axis in ((0, gold[rows, None], 1), (1, gold[None, columns], 0)):
                mine = rows if side == 0 else columns
                at_least = np.count_nonzero(cosine >= gold_of - TIE, axis=axis)
                above = np.count_nonzero(cosine > gold_of + TIE, axis=axis)
                better[side, mine] += above
                tied[side, mine] += at_least - above
    hits = np.where(better == 0, 1 / np.maximum(tied, 1), 0.0)
    hits[:, unit_x.zero | unit_y.zero] = 0.0
    return Retrieval(hits[0], hits[1])


class _Units:
    """Rows at unit length in float64, made a block at a time."""

    def __init__(self, matrix: Matrix, centre: bool) -> None:
        empty = _vanishing(matrix)
        if centre and not empty.all():
            inner = centred(matrix[~empty])
            matrix = np.zeros_like(matrix)
            matrix[~empty] = inner
        self.matrix = matrix
        self.zero = _vanishing(matrix)

    def __getitem__(self, rows: slice) -> NDArray[np.float64]:
        block = self.matrix[rows].astype(np.float64)
        block /= np.maximum(np.abs(block).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        return block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 0.5)


def _vanishing(matrix: Matrix) -> NDArray[np.bool_]:
    return np.abs(matrix).max(axis=1) < np.finfo(np.float64).tiny


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK))


def bootstrap_interval(
    hits: NDArray[np.float64], seed: int, resamples: int = 1000
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % percentile interval of a mean, by resampling sentences with replacement.

    Args:
        hits: Array [..., n] of per-sentence scores. All leading entries (layers, directions) are
            resampled with the same draws, so their intervals may be compared pairwise.
        seed: The draws are a pure function of it and of n.
        resamples: Number of resamples.

    Returns:
        Lower and upper ends, arrays [...] (numpy scalars for a vector).
    """
    n = hits.shape[-1]
    return interval(np.moveaxis(hits, -1, 0), lambda sums: sums / n, seed, resamples)
