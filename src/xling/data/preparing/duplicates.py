"""Lines that repeat an earlier line, exactly or nearly.

A line is left out if it shares a key with an earlier line, kept or not. So the outcome depends
only on the order of the lines, not on how they are divided among processes.
"""

import numpy as np
from numpy.typing import NDArray

from xling.data.preparing.tokens import Keys, LineWords

SHINGLE = 5
BANDS, ROWS = 14, 8
_SEED = 1


def band_keys(words: LineWords) -> Keys:
    """Return the MinHash bands of each line's word 5-grams (Broder 1997; datatrove's parameters).

    Two lines of Jaccard similarity s share at least one band with probability
    1 - (1 - s ** 8) ** 14: 0.06 at 0.5, 0.56 at 0.72, 0.99 at 0.9.

    Args:
        words: The lines. One with fewer than five words counts as a single shingle.

    Returns:
        uint64 ``[L, 14]``.
    """
    import rensa

    keys, places = words.grams(SHINGLE)
    owners = words.lines_of(places)
    short = np.flatnonzero(words.counts < SHINGLE)
    # A whole short line stands for its shingle.
    hashes = np.append(keys, _line_hashes(words)[short])
    owners = np.append(owners, short)
    order = np.argsort(owners, kind="stable")
    lines = len(words.counts)
    starts = np.searchsorted(owners[order], np.arange(lines + 1)).astype(np.uint64)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        np.ascontiguousarray(hashes[order]), starts, BANDS * ROWS, _SEED
    )
    rows = np.array(matrix.to_rows(), dtype=np.uint64).reshape(lines, BANDS, ROWS)
    found = np.broadcast_to(np.arange(BANDS, dtype=np.uint64), (lines, BANDS)).copy()
    for row in range(ROWS):
        found = (found + rows[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(31)
    return found


def _line_hashes(words: LineWords) -> Keys:
    """Hash the words of each line in their order."""
    places = np.arange(len(words.codes)) - np.repeat(words.starts[:-1], words.counts)
    mixed = (words.hashes ^ places.astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    sums = np.append(np.uint64(0), np.cumsum(mixed * np.uint64(0x94D049BB133111EB)))
    return np.asarray(np.diff(sums[words.starts]))


class SeenKeys:
    """One kind of key of all lines so far, in sorted arrays of doubling size: 8 bytes a key."""

    def __init__(self) -> None:
        self._levels: list[Keys] = []

    def repeats(self, keys: Keys) -> NDArray[np.bool_]:
        """Add the keys of some lines; return which lines have the key of an earlier one.

        Args:
            keys: uint64 ``[L]``.

        Returns:
            bool ``[L]``.
        """
        distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
        known = np.zeros(len(distinct), dtype=bool)
        for level in self._levels:
            places = np.minimum(np.searchsorted(level, distinct), len(level) - 1)
            known |= level[places] == distinct
        self._add(distinct[~known])
        return np.asarray(known[which] | (first[which] < np.arange(len(keys))))

    def _add(self, keys: Keys) -> None:
        while self._levels and len(self._levels[-1]) <= 2 * len(keys):
            keys = np.concatenate([self._levels.pop(), keys])
            keys.sort()
        if len(keys):
            self._levels.append(keys)
