"""Similarity neuron by neuron: no rotation is forgiven."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, centred, check_paired


def neuron_correlation(X: Any, Y: Any) -> float:
    """Average neuron-wise correlation, ANC (Del and Fishel 2022).

    The mean over columns j of Pearson's correlation between column j of ``X`` and column j of
    ``Y``. Zero-shot transfer hands the *same* coordinates to the same head, so a rotated space does
    not help it; CKA and CCA forgive rotations, this does not. Of use between two languages of one
    model (or models that share parameters); between independent models neuron j means nothing.

    Correlations keep their signs: a neuron that answers with the opposite sign in the other
    language is not the same neuron.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, d]; row i represents the same item as in ``X``.

    Returns:
        Correlation in [-1, 1]. A neuron that is constant on either side counts 0.

    Raises:
        XlingError: for unequal shapes, fewer than two rows, NaN or infinity.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> [round(neuron_correlation(X, Y), 6) for Y in (2 * X + 1, X * [1, 1, 0, 0])]
        [1.0, 0.5]
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    if X.shape[1] != Y.shape[1]:
        raise XlingError(
            f"X has {X.shape[1]} neurons and Y {Y.shape[1]}: the same neurons are needed on both "
            "sides; for other models use CKA"
        )
    if len(X) < 2:
        raise XlingError("a correlation needs at least two items: found one row")
    correlations = (_standardised(X) * _standardised(Y)).sum(axis=0)
    return float(np.clip(correlations, -1, 1).mean())


def _standardised(X: Matrix) -> NDArray[np.float64]:
    """Columns with mean 0 and length 1; constant columns zero."""
    columns = X.astype(np.float64)
    columns /= np.maximum(np.abs(columns).max(axis=0), np.finfo(np.float64).tiny)
    columns = np.asarray(centred(columns), dtype=np.float64)
    lengths = np.linalg.norm(columns, axis=0)
    return np.asarray(np.divide(columns, lengths, out=columns, where=lengths > 0))
