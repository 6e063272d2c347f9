"""Links between the words of two texts: both directions joined, and scored."""

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.word_aligner import WordAligner
from xling.measures.word_cells import check_parallel

Links = NDArray[np.int64]
Symmetrization = Literal["intersection", "union", "grow-diag-final-and"]

_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
_Point = tuple[int, int]


def align_words(
    source: Sequence[Sequence[str]],
    target: Sequence[Sequence[str]],
    method: Symmetrization = "grow-diag-final-and",
    aligner: WordAligner | None = None,
) -> list[Links]:
    """Align parallel text in both directions, in two threads, and symmetrise.

    Args:
        source: The words of each line.
        target: The words of each line; line i means the same as line i of ``source``.
        method: ``"intersection"`` (few links, most of them right), ``"union"``, or
            ``"grow-diag-final-and"`` between them.
        aligner: Its settings; the defaults if not given.

    Returns:
        For each pair int64 array [links, 2] of (source position, target position) from 0, sorted.

    Raises:
        XlingError: for unequal numbers of lines, or no words at all.

    Example:
        >>> source = [["a", "b"], ["b", "c"], ["c", "a"]]
        >>> target = [["B", "A"], ["C", "B"], ["A", "C"]]
        >>> align_words(source, target)[0].tolist()
        [[0, 1], [1, 0]]
    """
    return symmetrize(*(aligner or WordAligner()).align_both(source, target), method)


def symmetrize(
    forward: Sequence[Any], backward: Sequence[Any], method: Symmetrization
) -> list[Links]:
    """Merge two alignments into one (Koehn, Och and Marcu 2003, section 4.5).

    ``"grow-diag-final-and"`` starts with the links that both directions have. It then adds links of
    either direction that are next to one (also diagonally) and align a word that had none, and last
    links of either whose words on both sides have none. Conflicts are resolved in word order.

    Args:
        forward: For each pair an array [links, 2] of (source position, target position).
        backward: The same pairs aligned in the other direction, also (source position, target
            position).
        method: As for :func:`align_words`.

    Returns:
        For each pair int64 array [links, 2], sorted.

    Raises:
        XlingError: for unequal numbers of pairs, or an unknown method.
    """
    check_parallel(forward, backward)
    if method not in get_args(Symmetrization):
        raise XlingError(f"method {method!r}: expected one of {get_args(Symmetrization)}")
    result = []
    for one, other in zip(forward, backward, strict=True):
        a, b = (
            set(map(tuple, np.asarray(one).tolist())),
            set(map(tuple, np.asarray(other).tolist())),
        )
        if method == "intersection":
            links = a & b
        elif method == "union" or a == b:
            links = a | b
        else:
            links = _grow(a, b)
        result.append(np.array(sorted(links), dtype=np.int64).reshape(-1, 2))
    return result


def _grow(forward: set[_Point], backward: set[_Point]) -> set[_Point]:
    links, union = forward & backward, forward | backward
    rows, columns = {i for i, _ in links}, {j for _, j in links}

    def add(point: _Point) -> None:
        links.add(point)
        rows.add(point[0])
        columns.add(point[1])

    grown = bool(union - links)
    while grown:
        grown = False
        for (i, j), (down, right) in product(sorted(links), _NEIGHBOURS):
            new = (i + down, j + right)
            free = new[0] not in rows or new[1] not in columns
            if free and new in union and new not in links:
                add(new)
                grown = True
    for point in (*sorted(forward), *sorted(backward)):
        if point[0] not in rows and point[1] not in columns:
            add(point)
    return links


def alignment_error_rate(
    found: Sequence[Any], sure: Sequence[Any], possible: Sequence[Any] | None = None
) -> float:
    """``AER = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|)`` over all pairs (Och and Ney 2003).

    Args:
        found: A: for each pair an array [links, 2].
        sure: S.
        possible: P; S is part of it in any case. The sure links if not given.

    Returns:
        0 for a perfect alignment, 1 for one without any right link; 0 if A and S are empty.

    Raises:
        XlingError: for unequal numbers of pairs.

    Example:
        >>> alignment_error_rate([[(0, 0), (1, 1)]], [[(0, 0), (1, 0)]])
        0.5
    """
    possible = sure if possible is None else possible
    if not len(found) == len(sure) == len(possible):
        raise XlingError(
            f"{len(found)} pairs aligned, {len(sure)} pairs of sure and {len(possible)} of "
            "possible links: line i of all must be the same pair"
        )
    right = total = 0
    for a, s, p in zip(found, sure, possible, strict=True):
        A, S, P = (set(map(tuple, np.asarray(links).tolist())) for links in (a, s, p))
        right += len(A & S) + len(A & (P | S))
        total += len(A) + len(S)
    return 1 - right / total if total else 0.0
