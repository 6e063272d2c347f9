"""95 % interval of linear CKA over lines, by the jackknife of blocks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.measures.arrays import as_matrix, centred_to_one, check_paired

_NORMAL = 1.959964  # the 97.5 % point of the normal distribution


def cka_interval(X: Any, Y: Any, blocks: int = 20) -> tuple[float, float]:
    """Return the ends of a 95 % interval of :func:`xling.measures.linear_cka`.

    Each block of neighbouring rows is left out once, and the spread of what is left gives the
    standard error (Efron and Tibshirani 1993, section 11.5). The time is that of three products of
    matrices, whatever the number of blocks.

    Args:
        X: Array [n, d].
        Y: Array [n, e]; row i is of the same item as row i of ``X``.
        blocks: How many blocks; at most n / 2 are made.

    Returns:
        Lower and upper end, within [0, 1]; both NaN for fewer than four rows.

    Raises:
        XlingError: for unequal numbers of rows, NaN or infinity.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> cka_interval(X, X[:, ::-1])
        (1.0, 1.0)
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    if len(X) < 4:
        return float("nan"), float("nan")
    x, y = _narrow(centred_to_one(X)), _narrow(centred_to_one(Y))
    parts = np.array_split(np.arange(len(x)), min(blocks, len(x) // 2))
    products = [[a[part].T @ b[part] for part in parts] for a, b in ((x, y), (x, x), (y, y))]
    wholes = [np.sum(of_blocks, axis=0) for of_blocks in products]
    left = []
    for number, part in enumerate(parts):
        rest = len(x) - len(part)
        # Columns add up to zero, so the rest's sums are those of the block, negated.
        mx, my = (-side[part].sum(axis=0) / rest for side in (x, y))
        norms = [
            float(np.square(whole - of_blocks[number] - rest * np.outer(a, b)).sum())
            for whole, of_blocks, (a, b) in zip(
                wholes, products, ((mx, my), (mx, mx), (my, my)), strict=True
            )
        ]
        scale = np.sqrt(norms[1] * norms[2])
        left.append(norms[0] / scale if scale else 0.0)
    found = np.array(left)
    whole = [float(np.square(one).sum()) for one in wholes]
    scale = np.sqrt(whole[1] * whole[2])
    value = whole[0] / scale if scale else 0.0
    error = np.sqrt((len(left) - 1) * np.square(found - found.mean()).mean())
    low, high = value - _NORMAL * error, value + _NORMAL * error
    return float(np.round(max(0.0, low), 12)), float(np.round(min(1.0, high), 12))


def _narrow(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows with the same products, not wider than there are rows."""
    return x if x.shape[1] <= len(x) else np.asarray(np.linalg.qr(x.T, mode="r")).T
