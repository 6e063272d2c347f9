"""Static word vectors from a corpus without any training: PPMI and a truncated SVD.

A baseline that needs no vector files: shifted and smoothed positive pointwise mutual information of
words that occur near each other, factorised (Levy, Goldberg and Dagan 2015, sections 2 and 3).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.randomness import generator

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_CHUNK = 1 << 14  # lines counted at a time
_SMOOTHING = 0.75  # of context frequencies, as in word2vec's negative sampling


def ppmi_vectors(
    lines: Iterable[Sequence[str]], words: Sequence[str], width: int = 300, window: int = 5
) -> NDArray[np.float32]:
    """Make word vectors U √Σ from the truncated SVD of the smoothed PPMI matrix.

    Words that are not in ``words`` are dropped before windows are formed. Windows end with lines
    and weight a neighbour at distance i by (window - i + 1) / window. Memory grows with the number
    of word pairs that meet, not with the corpus. Deterministic.

    Args:
        lines: The words of each line; read once.
        words: V distinct words, e.g. of :func:`xling.encoders.word_vectors.frequent_words`.
        width: d; at most V - 1.
        window: Words to either side.

    Returns:
        float32 array [V, d]; zeros for a word that never has a neighbour.

    Raises:
        XlingError: for repeated words, width or window out of range, or if no two words meet.
    """
    from scipy.sparse.linalg import svds

    if not 1 <= width < len(words) or window < 1:
        raise XlingError(
            f"width {width}, window {window}, {len(words)} words: expected a width below the "
            "number of words, and a window of at least 1"
        )
    counts = cooccurrences(lines, words, window)
    if not counts.nnz:
        raise XlingError(f"none of the {len(words)} words ever meet in a line: nothing to count")
    matrix = _ppmi(counts)
    if not matrix.nnz:
        raise XlingError("no two words meet more often than by chance: use a larger corpus")
    start = generator(0, "svd", len(words)).normal(size=len(words))
    U, singular, _ = svds(matrix, k=width, v0=start)
    order = np.argsort(-singular)
    vectors = U[:, order] * np.sqrt(singular[order])
    # The sign of a singular vector is arbitrary: let its largest entry be positive.
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(width)])
    vectors[np.asarray(matrix.sum(axis=1)) == 0] = 0
    return np.asarray(vectors, dtype=np.float32)


def cooccurrences(
    lines: Iterable[Sequence[str]], words: Sequence[str], window: int
) -> "csr_array[Any]":
    """Count, with weights, how often two words are near each other: symmetric [V, V].

    Args:
        lines: As :func:`ppmi_vectors`.
        words: As :func:`ppmi_vectors`.
        window: As :func:`ppmi_vectors`.

    Raises:
        XlingError: for repeated words.
    """
    from scipy.sparse import coo_array, csr_array

    index = {word: row for row, word in enumerate(words)}
    if len(index) < len(words):
        raise XlingError(f"{len(words)} words, {len(index)} distinct: expected each word once")
    size = len(words)
    counts: Any = csr_array((size, size), dtype=np.float64)
    for ids, line_of in _numbered(lines, index):
        for distance in range(1, window + 1):
            left, right = ids[:-distance], ids[distance:]
            together = line_of[:-distance] == line_of[distance:]
            keys, times = np.unique(left[together] * size + right[together], return_counts=True)
            weight = (window - distance + 1) / window
            pairs = (keys // size, keys % size)
            counts = counts + coo_array((times * weight, pairs), shape=(size, size)).tocsr()
    return counts + counts.T


def _numbered(
    lines: Iterable[Sequence[str]], index: dict[str, int]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows of the known words of several thousand lines, and which line each is in."""
    iterator = iter(lines)
    while chunk := list(islice(iterator, _CHUNK)):
        numbers = [[index[word] for word in line if word in index] for line in chunk]
        sizes = [len(row) for row in numbers]
        ids = np.fromiter((row for line in numbers for row in line), np.int64, sum(sizes))
        yield ids, np.repeat(np.arange(len(chunk)), sizes)


def _ppmi(counts: "csr_array[Any]") -> "csr_array[Any]":
    """max(0, log p(w, c) / (p(w) p_α(c))), where p_α(c) is proportional to count(c)^0.75."""
    cells = counts.tocoo()
    totals = np.asarray(counts.sum(axis=1))
    smoothed = totals**_SMOOTHING
    rows, columns = cells.coords
    ratio = cells.data * smoothed.sum() / (totals[rows] * smoothed[columns])
    cells.data = np.maximum(np.log(ratio), 0)
    matrix = cells.tocsr()
    matrix.eliminate_zeros()
    return matrix
