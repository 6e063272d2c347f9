"""The shape of one set of vectors: do all point the same way, and do a few dimensions dominate?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, unit_rows, vanishing

_DEVIATIONS = 3
_TIMES_EVEN = 3


def anisotropy(X: Any) -> float:
    """Mean cosine of two different rows (Ethayarajh 2019).

    It is 0 where rows point in all directions equally, and near 1 where they share one direction:
    then raw cosines are all high and tell little. It is the exact mean over all pairs, not over a
    sample.

    Args:
        X: numpy array or torch tensor [n, d]; zero rows are skipped.

    Raises:
        XlingError: for fewer than two rows that are not zero, NaN or infinity.

    Example:
        >>> anisotropy(np.eye(3)), round(anisotropy(np.array([[1.0, 0], [1, 1]])), 6)
        (0.0, 0.707107)
    """
    return float(cosine_contributions(X).sum())


def cosine_contributions(X: Any) -> NDArray[np.float64]:
    """What each dimension adds to the mean cosine (Timkey and van Schijndel 2021).

    With u and v two different rows of length 1, the mean of u_i v_i over all pairs, for each
    dimension i. The sum is :func:`anisotropy`.

    Args:
        X: numpy array or torch tensor [n, d]; zero rows are skipped.

    Returns:
        Array [d].

    Raises:
        XlingError: as :func:`anisotropy`.

    Example:
        >>> cosine_contributions(np.array([[3.0, 4], [3, -4]])).round(6)
        array([ 0.36, -0.64])
    """
    units = _units(X)
    n = len(units)
    if n < 2:
        raise XlingError(f"a mean cosine needs at least two rows that are not zero: found {n}")
    total, squares = units.sum(axis=0, dtype=np.float64), np.square(units).sum(axis=0)
    return np.asarray((total**2 - squares) / (n * (n - 1)))


def outlier_dimensions(X: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Dimensions that are much stronger than the others.

    The share of a dimension is the mean of u_i² over the rows u at length 1. Shares sum to 1; each
    would be 1 / d if all were equal. A dimension is an outlier if its root mean square lies more
    than three standard deviations above the mean over dimensions, and its share is more than 3 / d,
    which noise does not reach. (Kovaleva et al. 2021 apply the first rule to the weights of layer
    normalisation; here it is applied to what the weights do.) With 10 dimensions or fewer none can
    be that far above the mean.

    Args:
        X: numpy array or torch tensor [n, d]; zero rows are skipped.

    Returns:
        The outliers, strongest first: int64 array; and the shares of all dimensions, array [d].

    Raises:
        XlingError: if all rows are zero; for NaN or infinity.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(200, 32))
        >>> outliers, shares = outlier_dimensions(X * np.where(np.arange(32) == 5, 20, 1))
        >>> outliers, shares[5] > 0.5
        (array([5]), np.True_)
    """
    shares = np.square(_units(X)).mean(axis=0)
    strengths = np.sqrt(shares)
    far = strengths > strengths.mean() + _DEVIATIONS * strengths.std()
    strong = np.flatnonzero(far & (shares > _TIMES_EVEN / len(shares)))
    return strong[np.argsort(-shares[strong], kind="stable")], shares


def _units(X: Any) -> NDArray[np.float64]:
    matrix: Matrix = as_matrix(X, "X")
    kept = matrix[~vanishing(matrix)]
    if not len(kept):
        raise XlingError(f"all {len(matrix)} rows of X are zero: they have no direction")
    return np.asarray(unit_rows(kept.astype(np.float64), "X"))
