"""The base class of all maps between two spaces."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, check_paired, unit_rows
from xling.measures.storage import Stored


class LinearMap(Stored, ABC):
    """A linear map from a source space to a target space, learnt from pairs of vectors.

    No map has an intercept: what two languages' means should do is decided by normalising each
    side first (:class:`xling.measures.Normalizer`).

    Attributes:
        matrix_: float64 array [d, e]; ``transform(X)`` is ``X @ matrix_``. Papers that write
            vectors as columns (W x) call its transpose W.
    """

    _learnt: ClassVar[tuple[str, ...]] = ("matrix_",)
    matrix_: NDArray[np.float64]

    @abstractmethod
    def fit(self, X: Any, Y: Any) -> Self:
        """Learn the map from ``X`` [n, d] to ``Y`` [n, e], paired by row."""

    def transform(self, X: Any) -> Matrix:
        """Map rows [m, d] of the source space into the target space [m, e].

        Returns:
            numpy array; float32 stays float32.

        Raises:
            XlingError: before ``fit``, for another width, NaN or infinity.
        """
        self._check_fitted()
        X = as_matrix(X, "X")
        if X.shape[1] != len(self.matrix_):
            raise XlingError(
                f"X has width {X.shape[1]}: the map was fitted on width {len(self.matrix_)}"
            )
        mapped: Matrix = X @ self.matrix_.astype(X.dtype)
        return mapped

    def score(self, X: Any, Y: Any) -> float:
        """Mean cosine of mapped rows with their partners, in [-1, 1].

        Args:
            X: Source vectors [n, d].
            Y: Target vectors [n, e] of the same items.

        Raises:
            XlingError: for unpaired rows, or a row that is zero or is mapped to zero.
        """
        mapped, Y = self.transform(X), as_matrix(Y, "Y")
        check_paired(mapped, Y, ("X", "Y"))
        if mapped.shape[1] != Y.shape[1]:
            raise XlingError(f"Y has width {Y.shape[1]}: the map leads to width {mapped.shape[1]}")
        cosines = np.einsum("nd,nd->n", unit_rows(mapped, "mapped X"), unit_rows(Y, "Y"))
        return float(cosines.mean(dtype=np.float64))


def paired(X: Any, Y: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return training pairs as finite float64 matrices with equally many rows.

    Raises:
        XlingError: for unequal numbers of rows, NaN or infinity.
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    return X.astype(np.float64), Y.astype(np.float64)
