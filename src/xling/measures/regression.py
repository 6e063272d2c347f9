"""Maps by regression: least squares (Mikolov et al. 2013) and ridge.

They may stretch as well as rotate. With enough clean pairs that fits better than a rotation; with
noise a rotation generalises better, since it has half the freedom and keeps all distances.
"""

from typing import Any, ClassVar, Self

import numpy as np

from xling.errors import XlingError
from xling.measures.linear_map import LinearMap, paired


class LeastSquares(LinearMap):
    """The linear map M that minimises ||X M - Y||_F; no intercept, any two widths.

    If the rows of ``X`` do not span its space (constant, repeated or dependent columns), the
    solution of least norm is taken: it maps to zero what the pairs never showed.

    Attributes:
        matrix_: float64 array [d, e].

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 3))
        >>> fitted = LeastSquares().fit(X, X @ [[2.0, 0], [0, 1], [1, 1]])
        >>> fitted.matrix_.round(6) + 0.0
        array([[2., 0.],
               [0., 1.],
               [1., 1.]])
    """

    def fit(self, X: Any, Y: Any) -> Self:
        """Learn the map from ``X`` [n, d] to ``Y`` [n, e], paired by row.

        Raises:
            XlingError: for unpaired rows, NaN or infinity, and for n < d: every such fit is
                perfect on the pairs and says nothing about others.
        """
        X, Y = paired(X, Y)
        if len(X) < X.shape[1]:
            raise XlingError(
                f"{len(X)} pairs do not determine a linear map of {X.shape[1]} dimensions: give at "
                f"least {X.shape[1]} pairs, or use Ridge, which works with any number"
            )
        self.matrix_ = np.linalg.lstsq(X, Y, rcond=None)[0]
        return self


class Ridge(LinearMap):
    """The linear map M that minimises ||X M - Y||_F² + penalty ||M||_F²; no intercept.

    Defined for any number of pairs (Hoerl and Kennard 1970).

    Args:
        penalty: Positive; in units of squared lengths in ``X`` summed over pairs, so what it means
            depends on normalisation and on n.

    Attributes:
        matrix_: float64 array [d, e].

    Example:
        >>> X = np.eye(3)
        >>> Ridge(penalty=1.0).fit(X, X).matrix_
        array([[0.5, 0. , 0. ],
               [0. , 0.5, 0. ],
               [0. , 0. , 0.5]])
    """

    _settings: ClassVar[tuple[str, ...]] = ("penalty",)

    def __init__(self, penalty: float = 1.0) -> None:
        if not penalty > 0:
            raise XlingError(f"penalty {penalty}: must be positive; without one use LeastSquares")
        self.penalty = penalty

    def fit(self, X: Any, Y: Any) -> Self:
        """Learn the map from ``X`` [n, d] to ``Y`` [n, e], paired by row.

        Raises:
            XlingError: for unpaired rows, NaN or infinity.
        """
        X, Y = paired(X, Y)
        # By singular values, since XᵀX would square the condition number.
        U, singular, Vt = np.linalg.svd(X, full_matrices=False)
        shrunk = singular / (singular**2 + self.penalty)
        self.matrix_ = (Vt.T * shrunk) @ (U.T @ Y)
        return self
