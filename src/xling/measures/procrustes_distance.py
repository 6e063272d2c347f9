"""How far apart two representations stay after the best rotation (Procrustes shape distance)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.measures.arrays import Matrix, as_matrix, centred_to_one, check_paired


def procrustes_distance(X: Any, Y: Any) -> float:
    """Orthogonal Procrustes distance (Schönemann 1966; Ding et al. 2021).

    Columns are centred and each side is scaled to Frobenius norm 1; the distance is then
    min over orthogonal W of ||X W - Y||_F² = 2 - 2 ||XᵀY||_* (the nuclear norm). With unequal
    widths the narrower side is padded with zeros, which changes nothing in the formula.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.

    Returns:
        Distance in [0, 2]: 0 for the same shape, 2 for nothing in common. 2 as well if either
        side has no variance and so no shape.

    Raises:
        XlingError: for unequal numbers of rows, NaN or infinity.

    Note:
        As with CKA, few items with many dimensions look alike by chance: independent noise stays
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
