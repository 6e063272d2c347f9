"""Centred float64 matrices whose products neither overflow nor vanish."""

import numpy as np
from numpy.typing import NDArray

from xling.similarity.arrays import Matrix, centred


def centred_to_one(X: Matrix) -> NDArray[np.float64]:
    """Return a float64 copy with columns of mean 0 and a largest entry of 1.

    For measures that ignore shift and scale. A matrix without variance becomes exactly zero.
    """
    return _to_one(np.asarray(centred(_to_one(X.astype(np.float64))), dtype=np.float64))


def _to_one(X: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(X).max()
    return np.asarray(X / largest if largest else X)
