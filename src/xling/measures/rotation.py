"""How much a rotation of one language's vectors towards the other's would help retrieval.

The rotation is always learnt from other lines than those it is tested on.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, check_paired, unit_rows, vanishing
from xling.measures.procrustes import Procrustes
from xling.measures.retrieval import rank_rows
from xling.measures.scores import Scores, scores_between
from xling.randomness import generator

_TO_IDENTITY = 1e-4  # length of the pairs that settle what the others leave open


def rotated_hits(
    X: Any, Y: Any, folds: int = 5, seed: int = 0, device: Any = None
) -> NDArray[np.float64]:
    """Retrieval after an orthogonal map, learnt from the lines of the other folds.

    For each fold, both sides are centred on the means of the other folds' lines and brought to
    length 1, and a Procrustes rotation is learnt from those lines. The fold's lines then look for
    their translations by cosine among *all* lines of the other side, so scores compare with those
    of :func:`xling.measures.precision_at_1`. Where pairs are fewer than dimensions, the rotation
    turns what they do not determine as little as possible.

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        folds: Parts that the lines are drawn into.
        seed: Of the draw.
        device: A torch device to search on; numpy does it if not given.

    Returns:
        Array [2, n] in [0, 1]: row i of X found its translation, and row i of Y did. Ties count in
        expectation; zero rows are misses and teach nothing.

    Raises:
        XlingError: for unequal shapes, fewer lines than folds, NaN or infinity.

    Example:
        >>> random = np.random.default_rng(0)
        >>> X = random.normal(size=(50, 4))
        >>> turned = X @ np.linalg.qr(random.normal(size=(4, 4)))[0]
        >>> rotated_hits(X, turned).mean()
        np.float64(1.0)
    """
    X, Y = _paired(X, Y)
    if not 2 <= folds <= len(X):
        raise XlingError(f"{len(X)} lines and {folds} folds: expected 2 folds, or up to one a line")
    order = generator(seed, "rotation folds", len(X)).permutation(len(X))
    hits = np.zeros((2, len(X)))
    for fold in range(folds):
        held_out = np.zeros(len(X), dtype=bool)
        held_out[order[fold::folds]] = True
        (x, empty_x), (y, empty_y) = _centred(X, ~held_out), _centred(Y, ~held_out)
        mapped = _rotate(x, y, np.flatnonzero(~held_out & ~empty_x & ~empty_y))
        scores = scores_between(mapped, y, "cosine", 1, (empty_x, empty_y), device)
        hits[:, held_out] = _hits(scores, np.flatnonzero(held_out))
    return hits


def rotation_gain(
    X: Any,
    Y: Any,
    sizes: Sequence[int],
    test: NDArray[np.int64],
    seed: int = 0,
    device: Any = None,
) -> NDArray[np.float64]:
    """Retrieval of test lines after a rotation learnt from 10, 30, 100, ... other lines.

    Both sides are centred on the means of all lines that are not for testing, whatever the number
    of pairs: means need no translations. So size 0 is retrieval with centred vectors, and the
    difference to it is what a rotation adds. Larger sets of pairs contain the smaller ones.

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        sizes: S numbers of pairs to learn from, each at most n - T.
        test: int array [T]: rows to test on, which also are the candidates.
        seed: Of the draw of pairs.
        device: A torch device to search on; numpy does it if not given.

    Returns:
        Array [S, T] in [0, 1]: the mean of both directions' hits.

    Raises:
        XlingError: for unequal shapes, sizes or test rows out of range, NaN or infinity.
    """
    X, Y = _paired(X, Y)
    held_out = np.zeros(len(X), dtype=bool)
    held_out[test] = True
    others = np.flatnonzero(~held_out)
    if held_out.sum() != len(test) or min(sizes) < 0 or max(sizes) > len(others):
        raise XlingError(
            f"{len(test)} test rows and sizes {list(sizes)} for {len(X)} lines: expected distinct "
            f"test rows and 0 to {len(others)} pairs from the others"
        )
    (x, empty_x), (y, empty_y) = _centred(X, ~held_out), _centred(Y, ~held_out)
    both = ~(empty_x | empty_y)
    pairs = generator(seed, "rotation pairs", len(X)).permutation(others[both[others]])
    empty, hits = (empty_x[test], empty_y[test]), []
    for size in sizes:
        mapped = _rotate(x, y, pairs[:size]) if size else x
        scores = scores_between(mapped[test], y[test], "cosine", 1, empty, device)
        hits.append(_hits(scores, np.arange(len(test))).mean(axis=0))
    return np.stack(hits)


def _hits(scores: Scores, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hits of some rows in both directions, [2, rows]."""
    pairs = np.stack([rows, rows], axis=1)
    return np.stack([rank_rows(side, pairs).hits(1) for side in (scores, scores.transposed)])


def _rotate(
    x: NDArray[np.float64], y: NDArray[np.float64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Map all of x by the rotation of the pairs in ``rows``, nearest the identity otherwise."""
    axes = _TO_IDENTITY * np.eye(x.shape[1])
    fitted = Procrustes().fit(np.vstack([x[rows], axes]), np.vstack([y[rows], axes]))
    return np.asarray(fitted.transform(x))


def _centred(
    matrix: Matrix, known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rows at length 1 after subtraction of the mean of those that are known; which were zero."""
    empty = vanishing(matrix)
    used = known & ~empty
    rows = matrix.astype(np.float64)
    if used.any():
        first = rows[used][0]
        rows -= first  # constant columns become exactly zero
        rows -= rows[used].mean(axis=0)
    rows[empty] = 0
    return np.asarray(unit_rows(rows, "X", zero_rows=True)), empty


def _paired(X: Any, Y: Any) -> tuple[Matrix, Matrix]:
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    if X.shape[1] != Y.shape[1]:
        raise XlingError(
            f"X has width {X.shape[1]} and Y {Y.shape[1]}: expected vectors of one model"
        )
    return X, Y
