"""How much a rotation of one language's vectors towards the other's would help retrieval.

The rotation is never learnt from the lines it is tested on.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, check_paired, unit_rows, vanishing
from xling.measures.maps import nearest_rotation
from xling.measures.ranking import Ranking, rank_paired
from xling.measures.retrieval import Retrieval
from xling.randomness import generator

_TO_IDENTITY = 1e-4  # length of the added pairs that fix what the others do not determine


def rotated_hits(X: Any, Y: Any, folds: int = 5, seed: int = 0, device: Any = None) -> Retrieval:
    """Retrieval after an orthogonal map, learnt from the lines of the other folds.

    For each fold, both sides are centred on the means of the other folds' lines and scaled to
    length 1, and a Procrustes rotation is learnt from those lines. The translations of the fold's
    lines are then searched by cosine among *all* lines of the other side, so scores are comparable
    with those of :func:`xling.measures.precision_at_1`. Where there are fewer pairs than
    dimensions, the rotation turns the directions they do not determine as little as possible.

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        folds: Number of random parts of the lines.
        seed: Seed of the draw.
        device: A torch device to search on; numpy is used if not given.

    Returns:
        As :func:`xling.measures.precision_at_1`. Zero rows are misses and are not learnt from.

    Raises:
        XlingError: for unequal shapes, fewer lines than folds, NaN or infinity.

    Example:
        >>> random = np.random.default_rng(0)
        >>> X = random.normal(size=(50, 4))
        >>> turned = X @ np.linalg.qr(random.normal(size=(4, 4)))[0]
        >>> rotated_hits(X, turned).mean
        1.0
    """
    X, Y = _paired(X, Y)
    if not 2 <= folds <= len(X):
        raise XlingError(f"{len(X)} lines and {folds} folds: expected 2 to {len(X)} folds")
    order = generator(seed, "rotation folds", len(X)).permutation(len(X))
    parts = []
    for fold in range(folds):
        held_out = np.zeros(len(X), dtype=bool)
        held_out[order[fold::folds]] = True
        (x, empty_x), (y, empty_y) = _centred(X, ~held_out), _centred(Y, ~held_out)
        others = ~held_out & ~empty_x & ~empty_y
        turn = learnt_rotation(x[others], y[others])
        rows = np.flatnonzero(held_out)
        found = (
            rank_paired(x[rows] @ turn, y, rows, (empty_x[rows], empty_y), device),
            rank_paired(y[rows] @ turn.T, x, rows, (empty_y[rows], empty_x), device),
        )
        parts.append([replace(ranking, queries=rows) for ranking in found])
    forward, backward = (_joined(rankings) for rankings in zip(*parts, strict=True))
    return Retrieval((forward, backward))


def rotation_gain(
    X: Any,
    Y: Any,
    sizes: Sequence[int],
    test: int,
    seed: int = 0,
    device: Any = None,
) -> NDArray[np.float64]:
    """Retrieval of test lines after a rotation learnt from 10, 30, 100, ... other lines.

    Both sides are centred on the means of all lines that are not test lines, whatever the number of
    pairs, since means need no translations. So the difference from the first row of the result is
    what a rotation adds to centring. Larger sets of pairs contain the smaller ones.

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        sizes: S numbers of pairs to learn from, each at most n - T.
        test: T, the number of test lines to draw. They are also the candidates.
        seed: Seed of the draws.
        device: A torch device to search on; numpy is used if not given.

    Returns:
        Array [1 + S, T] in [0, 1], the mean of both directions' hits; the first row is without a
        rotation.

    Raises:
        XlingError: for unequal shapes, sizes out of range, NaN or infinity.
    """
    X, Y = _paired(X, Y)
    if not 1 <= test < len(X) or not all(0 < size <= len(X) - test for size in sizes):
        raise XlingError(
            f"{test} test lines and sizes {list(sizes)} for {len(X)} lines: expected at least one "
            "test line, and from 1 pair to as many as there are other lines"
        )
    order = generator(seed, "rotation pairs", len(X)).permutation(len(X))
    drawn, others = np.sort(order[:test]), order[test:]
    known = np.isin(np.arange(len(X)), others)
    (x, empty_x), (y, empty_y) = _centred(X, known), _centred(Y, known)
    pairs = others[~(empty_x | empty_y)[others]]
    turns = {size: learnt_rotation(x[pairs[:size]], y[pairs[:size]]) for size in sizes}
    y, own, empty, hits = y[drawn], np.arange(test), (empty_x[drawn], empty_y[drawn]), []
    for size in (0, *sizes):
        mapped = x[drawn] @ turns[size] if size else x[drawn]
        found = (
            rank_paired(mapped, y, own, empty, device),
            rank_paired(y, mapped, own, empty[::-1], device),
        )
        hits.append(np.mean([ranking.hits(1) for ranking in found], axis=0))
    return np.stack(hits)


def _joined(rankings: Sequence[Ranking]) -> Ranking:
    """Join rankings of different rows, in the order of the rows."""
    order = np.argsort(np.concatenate([ranking.queries for ranking in rankings]))
    return Ranking(
        *(
            np.concatenate([getattr(ranking, field.name) for ranking in rankings])[order]
            for field in fields(Ranking)
        )
    )


def learnt_rotation(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation [d, d] of x [n, d] onto y, nearest the identity where pairs are few."""
    return nearest_rotation(x.T @ y + _TO_IDENTITY**2 * np.eye(x.shape[1]))[0]


def _centred(
    matrix: Matrix, known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rows at length 1 after subtracting the mean of the known ones, and which rows were zero."""
    empty = vanishing(matrix)
    used = known & ~empty
    rows = matrix.astype(np.float64)
    if used.any():
        first = rows[used.argmax()].copy()
        rows -= first  # constant columns become exactly zero
        rows -= used @ rows / used.sum()
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
