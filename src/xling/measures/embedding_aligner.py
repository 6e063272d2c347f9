"""Word alignment by the similarity of vectors in context (Jalili Sabet et al. 2020, section 2)."""

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix
from xling.measures.word_cells import Ints, check_parallel, running

Links = NDArray[np.int64]
Method = Literal["argmax", "itermax"]
_CELLS = 1 << 20


def align_embeddings(
    X: Any,
    x_starts: Any,
    Y: Any,
    y_starts: Any,
    method: Method = "argmax",
    rounds: int = 2,
    discount: float = 0.9,
) -> list[Links]:
    """Align the words of sentence pairs by their vectors, many pairs at a time.

    ``"argmax"`` links two words that are each other's most similar. ``"itermax"`` then repeats that
    on what is left: a similarity becomes 0 if both words are linked, and is multiplied by
    ``discount`` if one is. Similarity is (1 + cos) / 2. Of equally similar words the first is
    taken; a word with a zero vector (it had no tokens) gets no link.

    Args:
        X: numpy array or torch tensor [W, d]: vectors of the source sentences' words, in the space
            of ``Y``; see :func:`xling.encoders.word_vectors.word_vectors`.
        x_starts: int array [N + 1]: source sentence i has the rows ``x_starts[i]:x_starts[i + 1]``.
        Y: Array [V, d]: vectors of the target sentences' words.
        y_starts: int array [N + 1]: the same for the target sentences.
        method: ``"argmax"`` (few links, most of them right) or ``"itermax"``.
        rounds: For ``"itermax"``: number of rounds, the first included.
        discount: For ``"itermax"``, in (0, 1].

    Returns:
        For each pair int64 array [links, 2] of (source position, target position) from 0, sorted.

    Raises:
        XlingError: for NaN or infinity, unequal widths or numbers of sentences, or ``starts`` that
            do not split the rows.

    Example:
        >>> align_embeddings(np.eye(3), [0, 3], np.eye(3)[[2, 0]], [0, 2])[0].tolist()
        [[0, 1], [2, 0]]
    """
    if method not in get_args(Method) or rounds < 1 or not 0 < discount <= 1:
        raise XlingError(
            f"method {method!r}, rounds {rounds}, discount {discount}: expected one of "
            f"{get_args(Method)}, at least one round and a discount in (0, 1]"
        )
    x, y = _units(X, "X"), _units(Y, "Y")
    if x.shape[1] != y.shape[1]:
        raise XlingError(f"X has width {x.shape[1]} and Y {y.shape[1]}: align their spaces first")
    starts = _checked(x_starts, len(x), "x_starts"), _checked(y_starts, len(y), "y_starts")
    check_parallel(starts[0][1:], starts[1][1:])
    result = [np.empty((0, 2), dtype=np.int64)] * (len(starts[0]) - 1)
    for pairs in _batches(np.diff(starts[0]), np.diff(starts[1])):
        similar_BMN = _similarity(x, y, starts, pairs)
        linked_BMN = _link(similar_BMN, rounds if method == "itermax" else 1, discount)
        pair, i, j = np.nonzero(linked_BMN)
        cuts = np.searchsorted(pair, np.arange(1, len(pairs)))
        for number, links in zip(pairs, np.split(np.stack([i, j], axis=1), cuts), strict=True):
            result[number] = links
    return result


def _units(array: Any, name: str) -> Matrix:
    matrix = as_matrix(array, name)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(np.divide(matrix, lengths, out=np.zeros_like(matrix), where=lengths > 0))


def _checked(starts: Any, rows: int, name: str) -> Ints:
    array = np.asarray(starts, dtype=np.int64)
    if array.ndim != 1 or len(array) < 2 or array[0] or array[-1] != rows:
        raise XlingError(f"{name}: expected numbers from 0 to {rows} that cut up {rows} rows")
    if (np.diff(array) < 0).any():
        raise XlingError(f"{name}: expected numbers that do not decrease")
    return array


def _batches(m: Ints, n: Ints) -> Iterator[Ints]:
    """Batches of indices of pairs of similar size, without pairs that lack words on a side."""
    order = np.lexsort((n, m))
    order = order[(m[order] > 0) & (n[order] > 0)]
    start = 0
    while start < len(order):
        # Sorted by m first: m is nearly constant within a batch, and n is padded.
        candidates = order[start : start + 1024]
        size = np.arange(1, len(candidates) + 1)
        cells = size * np.maximum.accumulate(m[candidates]) * np.maximum.accumulate(n[candidates])
        fit = max(1, int(np.searchsorted(cells, _CELLS, side="right")))
        yield candidates[:fit]
        start += fit


def _similarity(x: Matrix, y: Matrix, starts: tuple[Ints, Ints], pairs: Ints) -> Matrix:
    """(1 + cos) / 2 for the words of each pair [B, M, N]; 0 where there is no word or vector."""
    padded, there = [], []
    for side, begins in zip((x, y), starts, strict=True):
        lengths = begins[pairs + 1] - begins[pairs]
        rows = running(begins[pairs], lengths)
        real = np.arange(lengths.max()) < lengths[:, None]
        block = np.zeros((*real.shape, side.shape[1]), dtype=side.dtype)
        block[real] = side[rows]
        padded.append(block)
        there.append((block != 0).any(axis=2))
    similar: Matrix = (1 + padded[0] @ padded[1].transpose(0, 2, 1)) / 2
    return np.asarray(similar * (there[0][:, :, None] & there[1][:, None, :]))


def _link(similar_BMN: Matrix, rounds: int, discount: float) -> NDArray[np.bool_]:
    linked_BMN = _mutual(similar_BMN)
    for _ in range(rounds - 1):
        rows, columns = linked_BMN.any(axis=2, keepdims=True), linked_BMN.any(axis=1, keepdims=True)
        weight = np.where(rows & columns, 0.0, np.where(rows | columns, discount, 1.0))
        new = _mutual(similar_BMN * weight)
        if not new.any():
            break
        linked_BMN |= new
    return linked_BMN


def _mutual(similar_BMN: Matrix) -> NDArray[np.bool_]:
    """Cells that are the first maximum of their row and of their column, and not 0."""
    m, n = similar_BMN.shape[1:]
    of_row = similar_BMN.argmax(axis=2)[:, :, None] == np.arange(n)
    of_column = similar_BMN.argmax(axis=1)[:, None, :] == np.arange(m)[:, None]
    mutual: NDArray[np.bool_] = of_row & of_column & (similar_BMN > 0)
    return mutual
