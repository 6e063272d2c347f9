"""CKA without the bias of few items: the debiased form, and an average over mini-batches.

Both replace HSIC by its unbiased estimator (Song et al. 2012): with K, L the Gram
matrices without their diagonals,

    HSIC₁(K, L) = [tr(K L) + (1ᵀK1)(1ᵀL1) / ((n-1)(n-2)) - 2 (1ᵀKL1) / (n-2)] / (n (n-3)).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.similarity.arrays import Matrix, as_matrix, centred, check_paired


def debiased_cka(X: Any, Y: Any) -> float:
    """Linear CKA with unbiased HSIC: HSIC₁(X, Y) / sqrt(HSIC₁(X, X) HSIC₁(Y, Y)).

    Independent noise scores about 0 for any number of items and dimensions, where
    :func:`xling.similarity.linear_cka` scores high if items are fewer than dimensions (estimator as
    in Nguyen et al. 2021, equation 3). Like it, ignores rotation, scale and shift. n × n matrices
    are made only if items are fewer than dimensions.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.

    Returns:
        Similarity in [-1, 1]; 0 if either side has no variance.

    Raises:
        XlingError: for unequal numbers of rows, fewer than four rows, NaN or infinity.

    Example:
        >>> X, Y = np.random.default_rng(0).normal(size=(2, 20, 500))
        >>> round(debiased_cka(X, X), 6), abs(debiased_cka(X, Y)) < 0.05
        (1.0, True)
    """
    return minibatch_cka([(X, Y)])


def minibatch_cka(batches: Iterable[tuple[Any, Any]]) -> float:
    """Linear CKA from batches of items, in memory that does not grow with their number.

    The three HSIC₁ are averaged over batches before they are divided (Nguyen et al. 2021, equations
    2 and 3). What it tends to is the same for every size of batch, since HSIC₁ is unbiased.

    Args:
        batches: Pairs of arrays [items, d] and [items, e]. Draw items at random, so that a
            batch is like the whole; at least four items each.

    Returns:
        Similarity in [-1, 1]; 0 if either side has no variance.

    Raises:
        XlingError: without batches, and as :func:`debiased_cka` for each batch.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(60, 5))
        >>> round(minibatch_cka((X[i : i + 20], 2 * X[i : i + 20]) for i in range(0, 60, 20)), 6)
        1.0
    """
    total, units = np.zeros(3), None
    for X, Y in batches:
        X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
        check_paired(X, Y, ("X", "Y"))
        # One unit for all batches, which keep their proportions while no power of four overflows.
        units = units or (_largest(X), _largest(Y))
        total += _hsic(_centred(X, units[0]), _centred(Y, units[1]))
    if units is None:
        raise XlingError("CKA needs at least one batch: found none")
    cross, self_x, self_y = total
    scale = np.sqrt(self_x * self_y)
    return float(np.clip(cross / scale, -1, 1)) if scale > 0 else 0.0


def _hsic(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unbiased HSIC of x with y, x with x and y with y, for centred matrices."""
    n = len(x)
    if n < 4:
        raise XlingError(f"unbiased HSIC is defined from four items on: found {n}")
    wide = n < min(x.shape[1], y.shape[1])
    K, L = (x @ x.T, y @ y.T) if wide else (x, y)
    return np.array(
        [
            _unbiased(_trace(K, L, wide), x, y),
            _unbiased(_trace(K, K, wide), x, x),
            _unbiased(_trace(L, L, wide), y, y),
        ]
    )


def _largest(X: Matrix) -> float:
    """The largest entry, or 1 for a zero matrix."""
    return float(np.abs(X).max()) or 1.0


def _centred(X: Matrix, unit: float) -> NDArray[np.float64]:
    return np.asarray(centred(X.astype(np.float64) / unit), dtype=np.float64)


def _trace(a: NDArray[np.float64], b: NDArray[np.float64], grams: bool) -> float:
    """The trace of XXᵀ YYᵀ, from those two matrices or as ||YᵀX||_F²."""
    return float((a * b).sum() if grams else np.square(b.T @ a).sum())


def _unbiased(trace: float, x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """HSIC₁ from tr(XXᵀYYᵀ) and squared lengths, for centred rows.

    Rows of a centred Gram matrix sum to zero, so without its diagonal (the squared lengths) they
    sum to minus that: all of HSIC₁'s terms follow from it.
    """
    n = len(x)
    r, s = np.einsum("nd,nd->n", x, x), np.einsum("nd,nd->n", y, y)
    value = trace - n / (n - 2) * (r @ s) + r.sum() * s.sum() / ((n - 1) * (n - 2))
    # What is left of an exact zero (equidistant items) by rounding is zero.
    rounding = 1e-13 * (r.sum() * s.sum())
    return float(value / (n * (n - 3))) if abs(value) > rounding else 0.0
