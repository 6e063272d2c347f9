"""Similarity by canonical correlations: SVCCA and projection-weighted CCA.

Canonical correlations are the cosines of the principal angles between the spaces that the centred
columns of X and Y span (Björck and Golub 1973): the singular values of Qxᵀ Qy, for orthonormal
bases Qx and Qy. They ignore any invertible linear map of either side, scale included.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import as_matrix, centred_to_one, check_paired


def svcca(X: Any, Y: Any, variance: float = 0.99) -> float:
    """Singular vector CCA (Raghu et al. 2017, section 2): the mean canonical correlation.

    Each side first keeps the leading principal directions that hold ``variance`` of its variance.
    There are as many correlations as the smaller side keeps directions; the result is their mean.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.
        variance: Share of the variance to keep, in (0, 1].

    Returns:
        Similarity in [0, 1]; 0 if either side has no variance.

    Raises:
        XlingError: for unequal numbers of rows, NaN or infinity, and for so few items that a side
            keeps items - 1 directions: it then contains everything and every correlation is 1.
            If the sides keep p + q > items - 1 directions, some still are; use many more items.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(100, 3))
        >>> round(svcca(X, X @ [[1, 2, 0], [0, 1, 0], [3, 0, 1]], variance=1.0), 6)
        1.0
    """
    if not 0 < variance <= 1:
        raise XlingError(f"variance {variance}: expected a share in (0, 1]")
    x, y = _pair(X, Y)
    correlations = _canonical(_basis(x, variance), _basis(y, variance))[1]
    return float(correlations.mean()) if len(correlations) else 0.0


def pwcca(X: Any, Y: Any) -> float:
    """Projection-weighted CCA (Morcos et al. 2018).

    Canonical variate h_i of ``X`` has the weight ``α_i = Σ_j |⟨h_i, x_j⟩|`` over the columns x_j of
    X: how much of the representation it accounts for. The result Σ α_i ρ_i / Σ α_i is **not
    symmetric**: the weights are those of ``X``. As in the paper there are as many variates as the
    side of lower rank has directions, so further directions of X do not lower the result. Only
    directions without variance are dropped first.

    Args:
        X: numpy array or torch tensor [items, d].
        Y: numpy array or torch tensor [items, e]; row i represents the same item as in ``X``.

    Returns:
        Similarity in [0, 1]; 0 if either side has no variance.

    Raises:
        XlingError: as :func:`svcca`, and also if the ranks of both sides together exceed
            items - 1, since variates with equal correlations, and so their weights, are not unique.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(500, 4)) * [9, 9, 1, 1]
        >>> pwcca(X, X[:, :1]) == 1.0, pwcca(X, X[:, :2]) > 0.99
        (True, True)
    """
    x, y = _pair(X, Y)
    basis, other = _basis(x, 1.0), _basis(y, 1.0)
    directions = basis.shape[1] + other.shape[1]
    if directions > len(x) - 1:
        raise XlingError(
            f"{len(x)} items for {directions} directions on both sides: some "
            "correlations are 1 whatever the data, and weights arbitrary; use more than "
            f"{directions} items"
        )
    left, correlations = _canonical(basis, other)
    if not len(correlations):
        return 0.0
    weights = np.abs((basis @ left).T @ x).sum(axis=1)
    return float(np.clip(weights @ correlations / weights.sum(), 0, 1))


def _pair(X: Any, Y: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    return centred_to_one(X), centred_to_one(Y)


def _basis(x: NDArray[np.float64], variance: float) -> NDArray[np.float64]:
    """Orthonormal basis [items, kept] of the leading directions with that share of variance."""
    U, singular, _ = np.linalg.svd(x, full_matrices=False)
    floor = singular[0] * max(x.shape) * np.finfo(np.float64).eps
    rank = int(np.count_nonzero(singular > floor)) if singular[0] else 0
    if rank == 0:
        return U[:, :0]
    share = np.cumsum(singular[:rank] ** 2) / np.square(singular[:rank]).sum()
    kept = min(int(np.searchsorted(share, variance - 1e-12)) + 1, rank)
    if kept >= len(x) - 1:
        raise XlingError(
            f"{len(x)} items span at most {len(x) - 1} directions and a side has {kept}: every "
            "canonical correlation would be 1; use more items than dimensions, or SVCCA with a "
            "smaller variance"
        )
    return U[:, :kept]


def _canonical(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of the canonical variates in basis ``a``, and the correlations in [0, 1]."""
    left, correlations, _ = np.linalg.svd(a.T @ b, full_matrices=False)
    return left, np.clip(correlations, 0.0, 1.0)
