"""Linear centred kernel alignment (Kornblith et al. 2019; Conneau et al. 2020, section 5.2).

CKA(X, Y) = ||YᵀX||_F² / (||XᵀX||_F ||YᵀY||_F), columns centred. It is 1 if X and Y differ only by a
rotation, a shift and a scale. It needs neither equal widths nor a learned map.

CKA is biased when items are few; the debiased form and the average over mini-batches are not. Both
replace HSIC by its unbiased estimator (Song et al. 2012): with K, L the Gram matrices without their
diagonals,

    HSIC₁(K, L) = [tr(K L) + (1ᵀK1)(1ᵀL1) / ((n-1)(n-2)) - 2 (1ᵀKL1) / (n-2)] / (n (n-3)).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import (
    Matrix,
    as_matrix,
    centred,
    centred_to_one,
    check_paired,
    to_device,
    to_numpy,
)

_NORMAL = 1.959964  # the 97.5 % point of the normal distribution
_REST = 1e-6  # of a norm; a difference that leaves less has lost too many digits
_ENTRIES = 1 << 14  # entries of each Gram matrix that are multiplied at a time


def linear_cka(X: Any, Y: Any, device: Any = None) -> float:
    """Linear CKA of two representations of the same items.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.
        device: As in :func:`cka_matrix`.

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
    return float(cka_matrix([X], [Y], device)[0, 0])


def cka_matrix(Xs: Sequence[Any], Ys: Sequence[Any], device: Any = None) -> NDArray[np.float64]:
    """Linear CKA of every representation in ``Xs`` with every one in ``Ys``.

    The terms ||XᵀX||_F are computed once for each representation. Beyond the input this takes the
    memory of a centred copy of ``Xs`` and of one member of ``Ys``; if items are fewer than
    dimensions, less than a copy of ``Xs`` and ``Ys``. Products are taken in the inputs' own
    precision (float32 or float64) after scaling to unit size, and summed in float64.

    Args:
        Xs: Representations [items, d], e.g. the layers of one model; widths may differ.
        Ys: Representations [items, e] of the same items.
        device: A torch device to compute the products on; numpy is used if not given.

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
        factors_x.append(factor(to_device(_standardised(X), device)))
    result, grams, norms_y = np.zeros((len(Xs), len(Ys))), [], []
    for j, Y in enumerate(Ys):
        Y = as_matrix(Y, f"Ys[{j}]")
        check_paired(first, Y, ("Xs[0]", f"Ys[{j}]"))
        y, norm = factor(to_device(_standardised(Y), device))
        norms_y.append(norm)
        if factor is _gram:
            grams.append(y)
        else:
            result[:, j] = [_squares(y.T @ x) for x, _ in factors_x]
    if factor is _gram:
        result = _traces([x for x, _ in factors_x], grams)
    scale = np.outer([norm for _, norm in factors_x], norms_y)
    return np.asarray(
        np.clip(np.divide(result, scale, out=np.zeros_like(result), where=scale > 0), 0.0, 1.0)
    )


def _standardised(X: Matrix) -> Matrix:
    """Centre the columns and bring the largest entry near 1, so that squares cannot overflow."""
    if len(X) < 2:
        raise XlingError("CKA compares at least two items: found one row")
    halves = _power_of_two(X) / 4
    X = X * halves
    X = centred(X, out=X)
    X *= _power_of_two(X)
    return X


def _power_of_two(X: Matrix) -> np.floating[Any]:
    """The exact factor that brings the largest entry into [1, 2), or 1 for a zero matrix."""
    largest = _largest(X)
    limit = np.finfo(X.dtype).maxexp - 8
    exponent = -np.floor(np.log2(largest))
    return X.dtype.type(2.0 ** np.clip(exponent, -limit, limit))


def _features(X: Any) -> tuple[Any, float]:
    """The centred matrix itself, and ||XᵀX||_F."""
    return X, np.sqrt(_squares(X.T @ X))


def _gram(X: Any) -> tuple[Matrix, float]:
    """XXᵀ, smaller than XᵀX when items are fewer than dimensions, and its norm = ||XᵀX||_F."""
    K = to_numpy(X @ X.T)
    return K, np.sqrt(_squares(K))


def _traces(Ks: Sequence[Matrix], Ls: Sequence[Matrix]) -> NDArray[np.float64]:
    """||YᵀX||_F² of all pairs, as trace(XXᵀ YYᵀ), a few rows of all Gram matrices at a time."""
    total = np.zeros((len(Ks), len(Ls)))
    step = max(1, _ENTRIES // len(Ks[0]))
    for start in range(0, len(Ks[0]), step):
        rows = [
            np.stack([gram[start : start + step].ravel() for gram in side]).astype(np.float64)
            for side in (Ks, Ls)
        ]
        total += rows[0] @ rows[1].T
    return total


def _squares(product: Any) -> float:
    return float(np.square(to_numpy(product), dtype=np.float64).sum())


def debiased_cka(X: Any, Y: Any) -> float:
    """Linear CKA with unbiased HSIC: HSIC₁(X, Y) / sqrt(HSIC₁(X, X) HSIC₁(Y, Y)).

    Independent noise scores about 0 for any number of items and dimensions, whereas
    :func:`xling.measures.linear_cka` scores it high if items are fewer than dimensions (estimator
    as in Nguyen et al. 2021, equation 3). Both ignore rotation, scale and shift. n × n matrices are
    made only if items are fewer than dimensions.

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
    2 and 3). It converges to the same value for every batch size, since HSIC₁ is unbiased.

    Args:
        batches: Pairs of arrays [items, d] and [items, e]. Draw items at random, so that each
            batch represents the whole; at least four items each.

    Returns:
        Similarity in [-1, 1]; 0 if either side has no variance.

    Raises:
        XlingError: if there are no batches, and as :func:`debiased_cka` for each batch.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(60, 5))
        >>> round(minibatch_cka((X[i : i + 20], 2 * X[i : i + 20]) for i in range(0, 60, 20)), 6)
        1.0
    """
    total, units = np.zeros(3), None
    for X, Y in batches:
        X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
        check_paired(X, Y, ("X", "Y"))
        # One unit for all batches keeps their proportions, and no fourth power overflows.
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
    return float(max(X.max(), -X.min())) or 1.0


def _centred(X: Matrix, unit: float) -> NDArray[np.float64]:
    return np.asarray(centred(X.astype(np.float64) / unit), dtype=np.float64)


def _trace(a: NDArray[np.float64], b: NDArray[np.float64], grams: bool) -> float:
    """The trace of XXᵀ YYᵀ, from the two Gram matrices or as ||YᵀX||_F²."""
    return float((a * b).sum() if grams else np.square(b.T @ a).sum())


def _unbiased(trace: float, x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """HSIC₁ from tr(XXᵀYYᵀ) and squared lengths, for centred rows.

    Rows of a centred Gram matrix sum to zero. Without the diagonal (the squared lengths) they sum
    to minus the diagonal, and all terms of HSIC₁ follow.
    """
    n = len(x)
    r, s = np.einsum("nd,nd->n", x, x), np.einsum("nd,nd->n", y, y)
    value = trace - n / (n - 2) * (r @ s) + r.sum() * s.sum() / ((n - 1) * (n - 2))
    # An exact zero (equidistant items) comes out as a rounding error: return 0.
    rounding = 1e-13 * (r.sum() * s.sum())
    return float(value / (n * (n - 3))) if abs(value) > rounding else 0.0


def cka_interval(X: Any, Y: Any, blocks: int = 20) -> tuple[float, float]:
    """Return the ends of a 95 % interval of :func:`xling.measures.linear_cka`.

    Each block of neighbouring rows is left out once, and the spread of the resulting values gives
    the standard error (Efron and Tibshirani 1993, section 11.5). It takes the time of one product
    of either side with itself, whatever the number of blocks.

    Args:
        X: Array [n, d].
        Y: Array [n, e]; row i represents the same item as in ``X``.
        blocks: Number of blocks; at most n / 2 are made.

    Returns:
        Lower and upper end, within [0, 1]; both NaN for fewer than four rows.

    Raises:
        XlingError: for unequal numbers of rows, NaN or infinity.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> cka_interval(X, X[:, ::-1])
        (1.0, 1.0)
    """
    return jackknifed_cka(X, Y, blocks)[1:]


def jackknifed_cka(X: Any, Y: Any, blocks: int = 20) -> tuple[float, float, float]:
    """Return :func:`xling.measures.linear_cka` in float64, and :func:`cka_interval`."""
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    if len(X) < 4:
        return linear_cka(X, Y), float("nan"), float("nan")
    x, y, blocks = centred_to_one(X), centred_to_one(Y), min(blocks, len(X) // 2)
    starts = np.array([part[0] for part in np.array_split(np.arange(len(x)), blocks)])
    cross, self_x, self_y = _norms_without(x, y, starts)
    scale = np.sqrt(self_x * self_y)
    value, *left = np.divide(cross, scale, out=np.zeros_like(scale), where=scale > 0)
    found = np.array(left)
    error = np.sqrt((len(left) - 1) * np.square(found - found.mean()).mean())
    ends = max(0.0, value - _NORMAL * error), min(1.0, value + _NORMAL * error)
    low, high = (float(np.round(end, 12)) for end in ends)
    return float(np.clip(value, 0.0, 1.0)), low, high


def _norms_without(
    x: NDArray[np.float64], y: NDArray[np.float64], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """||XᵀY||_F², ||XᵀX||_F² and ||YᵀY||_F² of all rows and without each block in turn: [3, 1 + K].

    Without block B, and centred anew, the product is W - X_BᵀY_B - s_B t_Bᵀ / (n - |B|), with W the
    product of all rows and s_B, t_B the block's column sums (over all rows, columns sum to zero).
    Its norm expands into sums over blocks of XXᵀ times YYᵀ, so that no d × d matrix is made for a
    block. Where little is left, it is computed from the remaining rows themselves.
    """
    which = ((0, 1), (0, 0), (1, 1))
    sides, ends = (x, y), np.append(starts[1:], len(x))
    along = [side @ np.add.reduceat(side, starts, axis=0).T for side in sides]  # rows times sums
    lengths = [np.diagonal(np.add.reduceat(rows, starts, axis=0)) for rows in along]
    own, block, mixed, inner = np.zeros((4, 3, len(starts)))
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        grams = [side[start:end] @ side[start:].T for side in sides]
        for place, (i, j) in enumerate(which):
            sums = np.add.reduceat(
                np.einsum("rn,rn->n", grams[i], grams[j]), starts[number:] - start
            )
            block[place, number] = sums[0]
            own[place, number] += sums.sum()
            own[place, number + 1 :] += sums[1:]
            both = along[i][:, number] * along[j][:, number]
            mixed[place, number], inner[place, number] = both.sum(), both[start:end].sum()
    rest = len(x) - (ends - starts)
    outer = np.stack([lengths[i] * lengths[j] for i, j in which]) / rest**2
    whole = own.sum(axis=1, keepdims=True)
    left = whole + block - 2 * own + outer + 2 * (inner - mixed) / rest
    for place, number in np.argwhere(left < _REST * whole):
        kept = np.delete(np.arange(len(x)), np.arange(starts[number], ends[number]))
        a, b = (centred(sides[i][kept]) for i in which[place])
        left[place, number] = np.square(a.T @ b).sum()
    return np.hstack([whole, left])
