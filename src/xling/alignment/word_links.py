"""Word alignments on disk (Pharaoh format), and how wrong one is (AER)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.data.parallel_words import read_pharaoh
from xling.errors import XlingError
from xling.files import atomic_file

Links = NDArray[np.int64]


def read_links(path: Path) -> tuple[list[Links], list[Links]]:
    """Read a Pharaoh file: a line a pair, sure links as ``i-j``, possible ones ``i?j`` or ``ipj``.

    Returns:
        For each line the sure links, and the possible ones, which contain the sure ones: int64
        arrays [links, 2] of (source place, target place), from 0.

    Raises:
        XlingError: for anything else on a line.
    """
    sure, possible = [], []
    for links in read_pharaoh(path):
        sure.append(_array(link[:2] for link in links if link.sure))
        possible.append(_array(link[:2] for link in links))
    return sure, possible


def write_links(links: Sequence[Any], path: Path) -> None:
    """Write one pair a line, as ``i-j`` separated by spaces."""
    with atomic_file(path) as file:
        for pair in links:
            file.write(" ".join(f"{i}-{j}" for i, j in np.asarray(pair).tolist()) + "\n")


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


def _array(links: Iterable[tuple[int, ...]]) -> Links:
    return np.array(sorted(set(links)), dtype=np.int64).reshape(-1, 2)
