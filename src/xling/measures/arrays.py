"""Arrays as the measures need them: two axes, floating point, finite, paired, scaled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError

Matrix = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]
_BLOCK = 1024  # rows whose squares are held at a time
_SAFE = (1e-250, 1e250)  # sums of squares in float64 that are exact to rounding


def as_matrix(array: Any, name: str) -> Matrix:
    """Return a numpy or torch array as a float32 or float64 matrix.

    Half precision becomes float32 and integers become float64. Copies only where needed.

    Args:
        array: numpy array or torch tensor (any device, any dtype) [rows, columns].
        name: What to call it in messages.

    Raises:
        XlingError: if it does not have two axes, is empty, or holds NaN or infinity.
    """
    matrix = to_numpy(array)
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


def to_numpy(array: Any) -> NDArray[Any]:
    """Return a numpy array or a torch tensor (any device, any dtype) as a numpy array."""
    if hasattr(array, "detach"):  # a torch tensor, recognised without importing torch
        array = array.detach().cpu()
        array = (
            array.float() if array.dtype.itemsize < 4 and array.is_floating_point() else array
        ).numpy()
    return np.asarray(array)


def to_device(array: NDArray[Any], device: Any) -> Any:
    """Return a numpy array as a torch tensor on a device, or as it is if no device is given.

    Float64 becomes float32 on a device without float64 (Apple's).
    """
    if device is None:
        return array
    import torch

    tensor = torch.from_numpy(array)
    half = torch.device(device).type == "mps" and tensor.dtype == torch.float64
    return (tensor.float() if half else tensor).to(device)


def check_paired(X: Matrix, Y: Matrix, names: tuple[str, str]) -> None:
    """Check that the rows of two matrices can be the same items in the same order.

    Raises:
        XlingError: if the numbers of rows differ.
    """
    if len(X) != len(Y):
        raise XlingError(
            f"{names[0]} has {len(X)} rows and {names[1]} has {len(Y)}: row i of both must be the "
            "same item"
        )


def as_row_pairs(pairs: Any, n: int, m: int, name: str) -> NDArray[np.int64]:
    """Return pairs of rows of two matrices, X and Y, as an int64 array [pairs, 2].

    Args:
        pairs: A row of X and a row of Y in each.
        n: Number of rows of X.
        m: Number of rows of Y.
        name: What to call them in messages.

    Raises:
        XlingError: if there are none, they are not [pairs, 2] or no integers, or a row is missing.
    """
    found = np.asarray(pairs)
    if found.ndim != 2 or found.shape[1] != 2 or not len(found):
        raise XlingError(
            f"{name} has shape {found.shape}: expected [pairs, 2] with at least one pair; has the "
            "dictionary any words in common with the vocabularies?"
        )
    if not np.issubdtype(found.dtype, np.integer):
        raise XlingError(f"{name} holds {found.dtype}: expected row numbers")
    wrong = ((found < 0) | (found >= [n, m])).any(axis=1)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise XlingError(
            f"{name} pair {first} is {found[first].tolist()}: X has {n} rows and Y has {m}"
        )
    return found.astype(np.int64)


def centred(matrix: Matrix, out: Matrix | None = None) -> Matrix:
    """Return a copy whose columns have mean zero.

    The first row is subtracted before the mean, so that constant columns become exactly zero and
    a large common offset costs no precision.

    Args:
        matrix: Array [n, d].
        out: Array [n, d] to write to, which may be ``matrix``; a new one if not given.
    """
    shifted: Matrix = np.subtract(matrix, matrix[:1].copy(), out=out)
    shifted -= shifted.mean(axis=0, dtype=np.float64).astype(shifted.dtype)
    return shifted


def centred_to_one(X: Matrix) -> NDArray[np.float64]:
    """Return a float64 copy with columns of mean 0 and a largest entry of 1.

    For measures that ignore shift and scale. A matrix without variance becomes exactly zero.
    """
    return _to_one(np.asarray(centred(_to_one(X.astype(np.float64))), dtype=np.float64))


def _to_one(X: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(X).max()
    return np.asarray(X / largest if largest else X)


def vanishing(matrix: Matrix) -> Flags:
    """Return which rows are zero and so have no direction: array [rows]."""
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))
    return np.asarray(largest < np.finfo(matrix.dtype).tiny)


def with_empty(matrix: Matrix, centre: bool) -> tuple[Matrix, Flags]:
    """Return the rows and which of them are zero.

    Args:
        matrix: Array [n, d].
        centre: Subtract the mean of the other rows from them; zero rows stay zero.
    """
    empty = vanishing(matrix)
    if centre and not empty.all():
        inner = centred(matrix[~empty])
        matrix = np.zeros_like(matrix)
        matrix[~empty] = inner
    return matrix, empty


def unit_rows(
    matrix: Matrix, name: str, out: Matrix | None = None, zero_rows: bool = False
) -> Matrix:
    """Return a copy whose rows have length 1, in the same precision.

    Where a square could overflow or vanish, rows are first divided by their largest entry. Beyond
    input and output this takes the memory of about a thousand rows.

    Args:
        matrix: Array [n, d].
        name: What to call it in messages.
        out: Array [n, d] to write to; a new one if not given.
        zero_rows: Leave rows of zeros as they are, instead of raising an error.

    Raises:
        XlingError: if a row is zero: it has no direction.
    """
    if matrix.dtype == np.float64:
        with np.errstate(over="ignore"):
            squares = np.einsum("nd,nd->n", matrix, matrix)
        if _SAFE[0] < squares.min() and squares.max() < _SAFE[1]:
            found: Matrix = np.divide(matrix, np.sqrt(squares)[:, None], out=out)
            return found
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))[:, None]
    zero = largest[:, 0] < np.finfo(matrix.dtype).tiny
    if zero_rows:
        largest[zero] = 1
    elif zero.any():
        raise XlingError(
            f"{name} has {np.count_nonzero(zero)} zero rows of {len(matrix)} (first: row "
            f"{np.argmax(zero)}): they have no direction; remove them (and their pairs) first"
        )
    units: Matrix = np.divide(matrix, largest, out=out)
    for start in range(0, len(units), _BLOCK):
        block = units[start : start + _BLOCK]
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        block /= np.maximum(norms, 0.5) if zero_rows else norms  # others have at least 1
    return units
