"""Arrays as the measures want them: two axes, floating point, finite, paired by row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError

Matrix = NDArray[np.floating[Any]]


def as_matrix(array: Any, name: str) -> Matrix:
    """Return a numpy or torch array as a float32 or float64 matrix.

    Half precision becomes float32 and integers become float64; no copy is made where none is
    needed.

    Args:
        array: numpy array or torch tensor (any device, any dtype) [rows, columns].
        name: What to call it in messages.

    Raises:
        XlingError: if it has not two axes, has no row or column, or holds NaN or infinity.
    """
    if hasattr(array, "detach"):  # a torch tensor, recognised without importing torch
        array = array.detach().cpu()
        array = (array.float() if array.element_size() < 4 else array).numpy()
    matrix = np.asarray(array)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise XlingError(
            f"{name} has shape {matrix.shape}: expected a matrix [rows, columns] that is not empty"
        )
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float32 if matrix.dtype == np.float16 else np.float64)
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        rows = np.flatnonzero(~finite)
        raise XlingError(
            f"{name} holds NaN or infinity in {len(rows)} of {len(matrix)} rows (first: row "
            f"{rows[0]}): the model that made it has diverged, or the rows must be removed"
        )
    return matrix


def check_paired(X: Matrix, Y: Matrix, names: tuple[str, str]) -> None:
    """Refuse matrices whose rows cannot be the same items in the same order.

    Raises:
        XlingError: if the numbers of rows differ.
    """
    if len(X) != len(Y):
        raise XlingError(
            f"{names[0]} has {len(X)} rows and {names[1]} has {len(Y)}: row i of both must be the "
            "same item"
        )


def centred(matrix: Matrix) -> Matrix:
    """Return a copy whose columns have mean zero.

    The first row is subtracted before the mean, so that constant columns become exactly zero and
    a large common offset costs no precision.
    """
    shifted = matrix - matrix[:1]
    shifted -= shifted.mean(axis=0, dtype=np.float64).astype(shifted.dtype)
    return shifted
