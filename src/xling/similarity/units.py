"""Rows at unit length."""

import numpy as np

from xling.errors import XlingError
from xling.similarity.arrays import Matrix

_BLOCK = 1024  # rows whose squares are held at a time


def unit_rows(matrix: Matrix, name: str, out: Matrix | None = None) -> Matrix:
    """Return a copy whose rows have length 1, in the same precision.

    Rows are first divided by their largest entry, so that no length overflows or vanishes. Memory
    beyond input and output is that of a thousand rows.

    Args:
        matrix: Array [n, d].
        name: What to call it in messages.
        out: Array [n, d] to write to; a new one if not given.

    Raises:
        XlingError: if a row is zero: it has no direction.
    """
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))[:, None]
    zero = largest[:, 0] < np.finfo(matrix.dtype).tiny
    if zero.any():
        raise XlingError(
            f"{name} has {np.count_nonzero(zero)} zero rows of {len(matrix)} (first: row "
            f"{np.argmax(zero)}): they have no direction; remove them (and their pairs) first"
        )
    units: Matrix = np.divide(matrix, largest, out=out)
    for start in range(0, len(units), _BLOCK):
        block = units[start : start + _BLOCK]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return units
