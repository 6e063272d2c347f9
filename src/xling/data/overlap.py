"""Lines that occur again: in the same file, in another split, or in training text.

Whole lines are compared, without their spaces. So tokenised and plain forms of a sentence (and
Chinese with and without spaces) are the same line; a test sentence inside a longer paragraph is not
found. A line is identified by a 64-bit hash: among a billion distinct lines, two share a hash with
a probability of 3 %. Memory is 8 bytes per distinct line, twice that while lines are added.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xling.data.lines import counted

Keys = NDArray[np.uint64]

# Short lines ("Yes.", a heading) recur without anyone having copied a test set.
_LEAST_BYTES = 24
_SMALLEST_MERGE = 1 << 20


def line_keys(lines: list[str]) -> Keys:
    """Return a 64-bit hash of each line, ignoring spaces; equal in every run."""
    import pandas as pd

    if not lines:
        return np.zeros(0, dtype=np.uint64)
    # Removing spaces from all lines at once is several times faster than line by line.
    squeezed = "\n".join(lines).replace(" ", "").split("\n")
    return pd.util.hash_array(np.array(squeezed, dtype=object), categorize=False)


class DistinctLines:
    """A growing set of distinct lines, of which only the hashes are kept."""

    def __init__(self) -> None:
        self._keys: Keys = np.zeros(0, dtype=np.uint64)
        self._waiting: list[Keys] = []
        self._waiting_count = 0

    @property
    def keys(self) -> Keys:
        """Their hashes, ascending."""
        if self._waiting:
            found = np.concatenate([self._keys, *self._waiting])
            self._waiting, self._waiting_count = [], 0
            # np.unique builds a hash table here, which is several times slower.
            found.sort()
            self._keys = found[np.append(True, found[1:] != found[:-1])] if len(found) else found
        return self._keys

    def add(self, keys: Keys) -> None:
        """Add the hashes of some lines."""
        self._waiting.append(keys)
        self._waiting_count += len(keys)
        # Merging only when as much is waiting as is stored keeps the work linear in the text.
        if self._waiting_count > max(len(self._keys), _SMALLEST_MERGE):
            _ = self.keys

    def count(self) -> int:
        """Return the number of distinct lines."""
        return len(self.keys)

    def common(self, other: "DistinctLines") -> int:
        """Return how many distinct lines two sets share."""
        return len(np.intersect1d(self.keys, other.keys, assume_unique=True))


class Sentences:
    """The sentences of evaluation files, per language."""

    def __init__(self) -> None:
        self._files: dict[str, dict[Path, DistinctLines]] = {}

    def add(self, language: str, path: Path, lines: list[str]) -> None:
        """Add sentences of an evaluation file; short ones are ignored."""
        long = [line for line in lines if len(line.encode()) >= _LEAST_BYTES]
        files = self._files.setdefault(language, {})
        files.setdefault(path, DistinctLines()).add(line_keys(long))

    def watch(self, language: str) -> "Watch":
        """Return an object that looks for this language's sentences in one text."""
        return Watch(list(self._files.get(language, {}).items()))


@dataclass(slots=True)
class Match:
    """Lines of a text that occur in one evaluation file, and the first of them."""

    path: Path
    count: int
    line: int
    example: str

    def counted(self) -> str:
        """Write the count, e.g. ``"4 lines"``."""
        return counted(self.count, "line")


class Watch:
    """Looks for the sentences of evaluation files in the lines of one text."""

    def __init__(self, files: list[tuple[Path, DistinctLines]]) -> None:
        self._files = files
        keys = [lines.keys for _, lines in files]
        owners = [np.full(len(lines.keys), i, dtype=np.int32) for i, (_, lines) in enumerate(files)]
        together: Keys = np.concatenate([*keys, np.zeros(0, dtype=np.uint64)])
        order = np.argsort(together, kind="stable")
        self._keys = together[order]
        self._owners: NDArray[np.int32] = np.concatenate([*owners, np.zeros(0, np.int32)])[order]
        self._found: dict[int, Match] = {}

    def look(self, keys: Keys, first: int, lines: list[str]) -> None:
        """Note which of a block's lines are known.

        Args:
            keys: Hashes of the lines (see `line_keys`).
            first: Number of the first line.
            lines: The lines.
        """
        left = np.searchsorted(self._keys, keys, side="left")
        right = np.searchsorted(self._keys, keys, side="right")
        for position in np.flatnonzero(right > left).tolist():
            for owner in self._owners[left[position] : right[position]].tolist():
                self._note(owner, first + position, lines[position])

    def known(self, keys: Keys) -> NDArray[np.bool_]:
        """Return which of these line hashes belong to an evaluation sentence."""
        return np.isin(keys, self._keys)

    def matches(self) -> list[Match]:
        """Return what was found, one item per evaluation file."""
        return [self._found[owner] for owner in sorted(self._found)]

    def _note(self, owner: int, number: int, line: str) -> None:
        path, _ = self._files[owner]
        match = self._found.setdefault(owner, Match(path, 0, number, line))
        match.count += 1
