"""Whether text for pretraining contains sentences on which models are later measured.

Whole lines are compared, spaces apart: a test sentence inside a longer paragraph is not found.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xling.data.problem import counted
from xling.data.sketch import DistinctLines, Keys, line_keys

_LIMIT = 1 << 20
# Short lines ("Yes.", a heading) recur without anyone having copied a test set.
_LEAST_BYTES = 24


class Sentences:
    """The sentences of evaluation files, per language, in bounded memory per file."""

    def __init__(self) -> None:
        self._files: dict[str, dict[Path, DistinctLines]] = {}

    def add(self, language: str, path: Path, lines: list[str]) -> None:
        """Add sentences of an evaluation file; short ones are ignored."""
        long = [line for line in lines if len(line.encode()) >= _LEAST_BYTES]
        files = self._files.setdefault(language, {})
        files.setdefault(path, DistinctLines(_LIMIT)).add(line_keys(long))

    def watch(self, language: str) -> "Watch":
        """Return what looks for this language's sentences in one text."""
        files = list(self._files.get(language, {}).items())
        for _, lines in files:
            lines.count()  # merges what waits
        return Watch(files)


@dataclass(slots=True)
class Match:
    """Lines of a text that occur in one evaluation file, and the first of them."""

    path: Path
    count: int
    line: int
    example: str
    exact: bool

    def counted(self) -> str:
        """Write the count, e.g. ``"about 4 lines"``."""
        about = "" if self.exact else "about "
        return about + counted(self.count, "line")


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
        """Return which of these hashes of lines are those of a sentence looked for."""
        return np.isin(keys, self._keys)

    def matches(self) -> list[Match]:
        """Return what was found, one item per evaluation file."""
        return [self._found[owner] for owner in sorted(self._found)]

    def _note(self, owner: int, number: int, line: str) -> None:
        path, known = self._files[owner]
        match = self._found.setdefault(owner, Match(path, 0, number, line, known.level == 0))
        match.count += 1 << known.level
