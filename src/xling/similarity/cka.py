"""Linear centred kernel alignment (Kornblith et al. 2019; PAPER section 5.2).

CKA(X, Y) = ||YᵀX||_F² / (||XᵀX||_F ||YᵀY||_F), columns centred. It is 1 if X and Y differ by a
rotation, a shift and a scale only, does not ask for equal widths, and needs no map to be learned.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.similarity.arrays import Matrix, as_matrix, centred, check_paired


def linear_cka(X: Any, Y: Any) -> float:
    """Linear CKA of two representations of the same items.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.

    Returns:
        Similarity in [0, 1]. A representation without variance (every row the same) tells
        nothing about the items and has similarity 0 with everything, itself included.

    Raises:
        XlingError: for unequal numbers of rows, fewer than two rows, NaN or infinity.

    Note:
        With fewer items than dimensions the value is biased upwards: independent noise scores
        well above 0. Compare with a random encoder on the same items, or use more items.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(100, 5))
        >>> round(linear_cka(X, 3 * X[:, ::-1] + 1), 6)
        1.0
    """
    return float(cka_matrix([X], [Y])[0, 0])


def cka_matrix(Xs: Sequence[Any], Ys: Sequence[Any]) -> NDArray[np.float64]:
    """Linear CKA of every representation in ``Xs`` with every one in ``Ys``.

    The terms ||XᵀX||_F are computed once for each representation. Memory beyond the input is one
    centred copy of ``Xs`` and of one member of ``Ys``. Products are taken in the inputs' own
    precision (float32 or float64) after scaling to unit size, and summed in float64.

    Args:
        Xs: Representations [items, d], e.g. the layers of one model; widths may differ.
        Ys: Representations [items, e] of the same items.

    Returns:
        Array [len(Xs), len(Ys)] in [0, 1]; 0 where a representation has no variance.

    Raises:
        XlingError: as :func:`linear_cka`.
    """
    first = as_matrix(Xs[0], "Xs[0]")
    width = min(np.shape(member)[-1] for member in (*Xs, *Ys))
    factor = _gram if len(first) < width else _features
    factors_x = []
    for i, X in enumerate(Xs):
        X = as_matrix(X, f"Xs[{i}]")
        check_paired(first, X, ("Xs[0]", f"Xs[{i}]"))
        factors_x.append(factor(_standardised(X)))
    result = np.zeros((len(Xs), len(Ys)))
    for j, Y in enumerate(Ys):
        Y = as_matrix(Y, f"Ys[{j}]")
        check_paired(first, Y, ("Xs[0]", f"Ys[{j}]"))
        y, self_y = factor(_standardised(Y))
        for i, (x, self_x) in enumerate(factors_x):
            scale = self_x * self_y
            result[i, j] = _cross(x, y, factor is _gram) / scale if scale else 0.0
    return np.clip(result, 0.0, 1.0)


def _standardised(X: Matrix) -> Matrix:
    """Centre the columns and bring the largest entry near 1, so that squares cannot overflow."""
    if len(X) < 2:
        raise XlingError("CKA compares at least two items: found one row")
    halves = _power_of_two(X) / 4
    X = centred(X * halves)
    X *= _power_of_two(X)
    return X


def _power_of_two(X: Matrix) -> np.floating[Any]:
    """The exact factor that brings the largest entry into [1, 2), or 1 for a zero matrix."""
    largest = float(np.abs(X).max())
    limit = np.finfo(X.dtype).maxexp - 8
    exponent = -np.floor(np.log2(largest)) if largest else 0.0
    return X.dtype.type(2.0 ** np.clip(exponent, -limit, limit))


def _features(X: Matrix) -> tuple[Matrix, float]:
    """The centred matrix itself, and ||XᵀX||_F."""
    return X, _norm(X.T @ X)


def _gram(X: Matrix) -> tuple[Matrix, float]:
    """XXᵀ, smaller than XᵀX when items are fewer than dimensions, and its norm = ||XᵀX||_F."""
    K = X @ X.T
    return K, _norm(K)


def _cross(x: Matrix, y: Matrix, grams: bool) -> float:
    """||YᵀX||_F², from the matrices or, as trace(XXᵀ YYᵀ), from their Gram matrices."""
    if grams:
        return float(np.multiply(x, y, dtype=np.float64).sum())
    return float(np.square(y.T @ x, dtype=np.float64).sum())


def _norm(A: Matrix) -> float:
    return float(np.sqrt(np.square(A, dtype=np.float64).sum()))
