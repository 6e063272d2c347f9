"""Rows at unit length."""

import numpy as np

from xling.errors import XlingError
from xling.similarity.arrays import Matrix


def unit_rows(matrix: Matrix, name: str) -> Matrix:
    """Return a copy whose rows have length 1, in the same precision.

    Rows are first divided by their largest entry, so that no length overflows or vanishes.

    Args:
        matrix: Array [n, d].
        name: What to call it in messages.

    Raises:
        XlingError: if a row is zero: it has no direction.
    """
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    zero = largest[:, 0] < np.finfo(matrix.dtype).tiny
    if zero.any():
        raise XlingError(
            f"{name} has {np.count_nonzero(zero)} zero rows of {len(matrix)} (first: row "
            f"{np.argmax(zero)}): they have no direction; remove them (and their pairs) first"
        )
    units = matrix / largest
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    return units
