"""The outcome of checking a data folder, collected finding by finding."""

from collections import Counter
from pathlib import Path

from xling.data.problem import Problem, counted
from xling.data.statistics import Row

PROBLEMS_PER_FILE = 20


class Check:
    """What ``xling data check`` found.

    Attributes:
        root: The data folder.
        rows: Figures, one row a file, in the order of the layout.
        problems: What some stage would refuse or misread, at most `PROBLEMS_PER_FILE` a file and
            then one that says how many more there are.
        warnings: What works but should be known.
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
