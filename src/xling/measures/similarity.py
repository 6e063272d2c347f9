"""Further similarities of two representations of the same items, one number each.

They compare distances between items (RSA), single neurons, and what differs after the best
rotation.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, centred, centred_to_one, check_paired


def rsa(X: Any, Y: Any) -> float:
    """Rank correlation of two representations' dissimilarities between items.

    The dissimilarity of two items is 1 minus the Pearson correlation of their vectors. The
    dissimilarities of all pairs of items on one side are compared with those on the other by
    Spearman's correlation, with ties at their mean rank (Kriegeskorte et al. 2008, steps 3 to 5).

    Memory and time grow with items² (2000 items: some 100 MB); if you have more, draw a sample.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.

    Returns:
        Correlation in [-1, 1]; 0 if on either side all pairs of items are equally dissimilar.

    Raises:
        XlingError: for unequal numbers of rows, fewer than three, NaN or infinity, or a row whose
            entries are all the same (it has no correlation with others).

    Example:
        >>> X = np.random.default_rng(0).normal(size=(30, 6))
        >>> round(rsa(X, 2 * X + 1), 6)
        1.0
    """
    from scipy.stats import rankdata

    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    if len(X) < 3:
        raise XlingError(f"RSA compares dissimilarities of at least three items: found {len(X)}")
    ranks = [rankdata(_dissimilarities(matrix, name)) for matrix, name in ((X, "X"), (Y, "Y"))]
    a, b = (side - side.mean() for side in ranks)
    scale = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / scale, -1, 1)) if scale else 0.0


def _dissimilarities(X: Matrix, name: str) -> NDArray[np.float64]:
    """1 - Pearson's correlation of every pair of rows, to 1e-12 so that equal ones are ties."""
    flat = X.max(axis=1) == X.min(axis=1)
    if flat.any():
        raise XlingError(
            f"row {np.argmax(flat)} of {name} has the same value in every column ("
            f"{np.count_nonzero(flat)} such rows): RSA cannot correlate it; remove it first"
        )
    rows = X.astype(np.float64)
    rows /= np.abs(rows).max(axis=1, keepdims=True)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray((1 - rows @ rows.T)[np.triu_indices(len(X), 1)].round(12))


def neuron_correlation(X: Any, Y: Any) -> float:
    """Average neuron-wise correlation, ANC (Del and Fishel 2022).

    The mean over columns j of Pearson's correlation between column j of ``X`` and column j of
    ``Y``. Zero-shot transfer passes the *same* coordinates to the same head, so a rotated space
    does not help it. CKA and CCA ignore rotations, this does not. It is useful between two
    languages of one model (or of models that share parameters); between independent models neuron j
    means nothing.

    Correlations keep their signs: a neuron that responds with the opposite sign in the other
    language is not the same neuron.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, d]; row i represents the same item as in ``X``.

    Returns:
        Correlation in [-1, 1]. A neuron that is constant on either side counts as 0.

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


def procrustes_distance(X: Any, Y: Any) -> float:
    """Orthogonal Procrustes distance (Schönemann 1966; Ding et al. 2021).

    Columns are centred and each side is scaled to Frobenius norm 1; the distance is then
    min over orthogonal W of ||X W - Y||_F² = 2 - 2 ||XᵀY||_* (the nuclear norm). With unequal
    widths the narrower side is padded with zeros, which changes nothing in the formula.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.

    Returns:
        Distance in [0, 2]: 0 for the same shape, 2 for nothing in common. Also 2 if either side has
        no variance and so no shape.

    Raises:
        XlingError: for unequal numbers of rows, NaN or infinity.

    Note:
        As with CKA, few items with many dimensions look similar by chance: independent noise scores
        well below 2.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> round(procrustes_distance(X, 5 * X[:, ::-1] + 1), 6) + 0.0
        0.0
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    nuclear = np.linalg.svd(_shape(X).T @ _shape(Y), compute_uv=False).sum()
    return float(np.clip(2 - 2 * nuclear, 0.0, 2.0))


def _shape(X: Matrix) -> NDArray[np.float64]:
    """Centred and of Frobenius norm 1; zero without variance."""
    shape = centred_to_one(X)
    norm = np.linalg.norm(shape)
    return np.asarray(shape / norm if norm else shape)
