"""The outcome of checking a data folder: figures of every file, problems and warnings."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xling.data.problem import Problem, counted
from xling.data.scripts import script_shares
from xling.data.sketch import DistinctLines, Keys, line_keys

PROBLEMS_PER_FILE = 20
_NEWLINE = ord("\n")
_SPACES = np.zeros(0x110000, dtype=bool)
_SPACES[[code for code in range(0x3001) if chr(code).isspace()]] = True


class Check:
    """What ``xling data check`` found.

    Attributes:
        root: The data folder.
        rows: Figures, one row per file, in the order of the layout.
        problems: What some stage would refuse or misread, at most `PROBLEMS_PER_FILE` per file and
            then one that says how many more there are.
        warnings: What works, but changes what results mean.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._counts: Counter[Path] = Counter()

    def report(self, problem: Problem) -> None:
        """Note a problem; beyond the limit for its file it is only counted."""
        self._counts[problem.path] += 1
        if self._counts[problem.path] <= PROBLEMS_PER_FILE:
            self.problems.append(problem)

    def warn(self, path: Path, message: str, line: int | None = None) -> None:
        """Note a warning."""
        self.warnings.append(Problem(path, line, message))

    def count(self, path: Path) -> int:
        """Return how many problems a file has, those beyond the limit included."""
        return self._counts[path]

    def finish(self) -> None:
        """Sort the problems by file and say how many were not listed."""
        for path, count in self._counts.items():
            if count > PROBLEMS_PER_FILE:
                more = counted(count - PROBLEMS_PER_FILE, "more problem")
                self.problems.append(Problem(path, None, f"and {more} in this file"))
        # Stable, so that the sum comes last among a file's problems.
        order = {path: position for position, path in enumerate(self._counts)}
        self.problems.sort(key=lambda problem: order[problem.path])


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one file.

    Attributes:
        part: ``text``, ``parallel``, ``dictionaries``, ``nli``, ``ner``, ``ud`` or ``topics``.
        name: Domain, name of the parallel set, or split.
        language: Language, or ``SRC-TGT``.
        lines: Lines; in nli, topics and dictionaries rows, in ner and ud sentences.
        words: Runs of characters between white space; in ner and ud tokens.
        characters: Unicode code points.
        scripts: Share of each script among the characters that belong to one, largest first.
        duplicates: Lines that repeat an earlier one (spaces apart; empty lines not counted).
        exact: Whether ``duplicates`` is exact; false beyond four million distinct lines.
    """

    part: str
    name: str
    language: str
    lines: int
    words: int
    characters: int
    scripts: dict[str, float]
    duplicates: int
    exact: bool


class Statistics:
    """Counts over one file, added up piece by piece in bounded memory.

    Attributes:
        lines: Lines so far.
        blank: Those with nothing but spaces.
        words: Runs of characters between white space.
        code_points: How often each code point up to the largest seen occurs, line ends apart.
        distinct: The distinct lines.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.blank = 0
        self.words = 0
        self.code_points: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.distinct = DistinctLines()

    def add(self, lines: list[str]) -> Keys:
        """Count further lines and return their hashes (see `line_keys`)."""
        if not lines:
            return line_keys(lines)
        codes = np.frombuffer("\n".join(["", *lines]).encode("utf-32-le"), dtype=np.uint32)
        counts = np.bincount(codes)
        counts[_NEWLINE] = 0
        if len(counts) > len(self.code_points):
            counts, self.code_points = self.code_points, counts
        self.code_points[: len(counts)] += counts
        spaces = _SPACES[codes]
        self.words += int(np.count_nonzero(spaces[:-1] & ~spaces[1:]))
        self.lines += len(lines)
        keys = line_keys(lines)
        filled = keys != _blank_key()
        self.blank += len(lines) - int(np.count_nonzero(filled))
        self.distinct.add(keys[filled])
        return keys

    def occurrences(self, character: str) -> int:
        """Return how often a character occurs."""
        code = ord(character)
        return int(self.code_points[code]) if code < len(self.code_points) else 0

    def row(self, part: str, name: str, language: str) -> Row:
        """Sum up as a row of the table."""
        # An estimate of the distinct lines may exceed the lines there are.
        duplicates = max(0, self.lines - self.blank - self.distinct.count())
        return Row(
            part=part,
            name=name,
            language=language,
            lines=self.lines,
            words=self.words,
            characters=int(self.code_points.sum()),
            scripts=script_shares(self.code_points),
            duplicates=duplicates,
            exact=self.distinct.level == 0,
        )


@cache
def _blank_key() -> np.uint64:
    return line_keys([""])[0]
