"""Distinct lines, counted by 64-bit hashes in bounded memory.

Lines are compared without their spaces, so that tokenised and plain forms of a sentence (and
Chinese with and without spaces) are the same line. Counts are exact up to a number of distinct
lines; beyond it only lines whose hash ends in ``level`` zero bits are kept (adaptive sampling,
Flajolet 1990) and counts are estimates with a relative standard error of about 1.2 / sqrt(limit).
"""

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]


def line_keys(lines: list[str]) -> Keys:
    """Return a 64-bit hash of each line, ignoring spaces; equal in every run."""
    import pandas as pd

    if not lines:
        return np.zeros(0, dtype=np.uint64)
    # Removing spaces from all lines at once is several times faster than line by line.
    squeezed = "\n".join(lines).replace(" ", "").split("\n")
    return pd.util.hash_array(np.array(squeezed, dtype=object), categorize=False)


class DistinctLines:
    """A growing set of line hashes with a bound on its memory.

    Args:
        limit: Up to how many distinct lines are counted exactly; 8 bytes are kept for each.

    Attributes:
        keys: Sorted distinct hashes that are kept.
        level: 0 while exact; each further level keeps half of the hashes.
    """

    def __init__(self, limit: int = 1 << 22) -> None:
        self.keys: Keys = np.zeros(0, dtype=np.uint64)
        self.level = 0
        self._limit = limit
        self._waiting: list[Keys] = []
        self._waiting_count = 0

    def add(self, keys: Keys) -> None:
        """Add the hashes of some lines."""
        self._waiting.append(sampled(keys, self.level))
        self._waiting_count += len(self._waiting[-1])
        # A quarter of the limit at a time keeps the number of merges small and memory bounded.
        if self._waiting_count > self._limit // 4:
            self._merge()

    def count(self) -> int:
        """Return the number of distinct lines, estimated if `level` is above 0."""
        self._merge()
        return len(self.keys) << self.level

    def common(self, other: "DistinctLines") -> int:
        """Return how many distinct lines two sets share, estimated if either is sampled."""
        self._merge()
        other._merge()
        level = max(self.level, other.level)
        both = np.intersect1d(
            sampled(self.keys, level), sampled(other.keys, level), assume_unique=True
        )
        return len(both) << level

    def _merge(self) -> None:
        if not self._waiting:
            return
        self.keys = _distinct(np.concatenate([self.keys, *self._waiting]))
        self._waiting, self._waiting_count = [], 0
        while len(self.keys) > self._limit:
            self.level += 1
            self.keys = sampled(self.keys, self.level)


def sampled(keys: Keys, level: int) -> Keys:
    """Return those hashes that end in ``level`` zero bits."""
    if not level:
        return keys
    return keys[(keys & np.uint64((1 << level) - 1)) == 0]


def _distinct(keys: Keys) -> Keys:
    """Sort and drop repeats; np.unique builds a hash table here, which is several times slower."""
    keys.sort()
    return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys
