"""The outcome of checking a data folder: figures of every file, problems and warnings."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import regex
from numpy.typing import NDArray

from xling.data.lines import Problem, counted
from xling.data.overlap import DistinctLines, Keys, line_keys

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


COMMON = "Zyyy"  # digits, spaces, punctuation: characters that scripts share
_SURROGATES = range(0xD800, 0xE000)

# ISO 15924 codes, the frequent ones first; characters of scripts not listed count as "Zzzz".
_SCRIPTS = (
    *("Latn", "Cyrl", "Hani", "Arab", "Deva", "Grek", "Hebr", "Hang", "Hira", "Kana", "Thai"),
    *("Beng", "Taml", "Telu", "Knda", "Mlym", "Gujr", "Guru", "Orya", "Sinh", "Geor", "Armn"),
    *("Ethi", "Khmr", "Laoo", "Mymr", "Tibt", "Mong", "Tfng", "Nkoo", "Cher", "Cans", "Thaa"),
    *("Bopo", "Yiii", "Vaii", "Adlm", "Java", "Sund", "Bali", "Olck", "Mtei", "Rohg", "Syrc"),
    *("Copt", "Goth", "Runr", "Ogam", "Glag", "Ital", "Phnx", "Xsux", "Egyp", "Brai", "Zinh"),
    COMMON,
)


def script_shares(counts: NDArray[np.int64]) -> dict[str, float]:
    """Return the share of each script among the characters that belong to one, largest first.

    Scripts are those of the Unicode property Script (UAX #24).

    Args:
        counts: How often each code point occurs, from 0 to the largest seen.

    Returns:
        Shares by ISO 15924 code, e.g. ``{"Latn": 0.97, "Grek": 0.03}``. Characters that scripts
        share or inherit (Zyyy, Zinh) are left out unless there are no others.
    """
    present = np.flatnonzero(counts)
    present = present[(present < _SURROGATES.start) | (present >= _SURROGATES.stop)]
    totals: dict[str, int] = {}
    position = 0
    for match in _pattern().finditer("".join(map(chr, present.tolist()))):
        run = present[position : match.end()]
        position = match.end()
        script = match.lastgroup or "Zzzz"
        totals[script] = totals.get(script, 0) + int(counts[run].sum())
    shared = {key: totals.pop(key) for key in (COMMON, "Zinh") if key in totals}
    if not totals and shared:
        totals = {COMMON: sum(shared.values())}
    whole = sum(totals.values())
    ordered = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    return {script: count / whole for script, count in ordered}


def named_shares(shares: dict[str, float], most: int = 3) -> str:
    """Write the shares that round to 1 % or more, e.g. ``"Latn 97 %, Cyrl 3 %"``."""
    named = [f"{script} {share * 100:.0f} %" for script, share in shares.items() if share >= 0.005]
    return ", ".join(named[:most])


@cache
def _pattern() -> regex.Pattern[str]:
    """Match a run of characters of one script; the group's name is the script."""
    runs = [rf"(?P<{script}>\p{{Script={script}}}+)" for script in _SCRIPTS]
    return regex.compile("|".join([*runs, "."]), regex.DOTALL)


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
        # The sort is stable, so a file's count of unlisted problems stays last.
        order = {path: position for position, path in enumerate(self._counts)}
        self.problems.sort(key=lambda problem: order[problem.path])


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one file.

    Attributes:
        part: ``text``, ``parallel``, ``dictionaries``, ``nli``, ``ner``, ``ud`` or ``topics``.
        name: Domain, name of the parallel set, or split.
        language: Language, or ``SRC-TGT``.
        lines: Lines; rows in nli, topics and dictionaries, sentences in ner and ud.
        words: Runs of characters between white space; tokens in ner and ud.
        characters: Unicode code points.
        scripts: Share of each script among the characters that belong to one, largest first.
        duplicates: Lines that repeat an earlier one (ignoring spaces; empty lines not counted).
    """

    part: str
    name: str
    language: str
    lines: int
    words: int
    characters: int
    scripts: dict[str, float]
    duplicates: int


class Statistics:
    """Counts over one file, added up piece by piece.

    Attributes:
        lines: Lines so far.
        blank: Those with nothing but spaces.
        words: Runs of characters between white space.
        code_points: How often each code point up to the largest seen occurs, without line ends.
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
        return Row(
            part=part,
            name=name,
            language=language,
            lines=self.lines,
            words=self.words,
            characters=int(self.code_points.sum()),
            scripts=script_shares(self.code_points),
            duplicates=self.lines - self.blank - self.distinct.count(),
        )


@cache
def _blank_key() -> np.uint64:
    return np.uint64(line_keys([""])[0])


_WIDTH_OF_A_FILE = 1000  # an upper bound: the table takes what it needs


def print_check(check: Check, console: "Console | None" = None) -> None:
    """Print a check as a table, its warnings, its problems and one line that sums up.

    Args:
        check: What `check.check` returned.
        console: Where to print; standard output by default. If that is no terminal, lines are
            not wrapped, so that they can be searched.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=_WIDTH_OF_A_FILE, color_system=None)
    console.print(_table(check))
    for title, style, findings in (
        ("Warnings", "yellow", check.warnings),
        ("Problems", "red", check.problems),
    ):
        if findings:
            console.print(Text(f"\n{title}", style=f"bold {style}"))
        for finding in findings:
            console.print(Text(f"- {_relative(check, finding)}"), soft_wrap=True)
    console.print(Text(f"\n{check.root}: {_verdict(check)}", style="bold"), soft_wrap=True)


def _table(check: Check) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("part", "name", "language"):
        table.add_column(title, no_wrap=True)
    for title in ("lines", "words", "characters", "duplicates"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("scripts")
    part = None
    for row in check.rows:
        if part not in (None, row.part):
            table.add_section()
        part = row.part
        numbers = [
            f"{number:,}" for number in (row.lines, row.words, row.characters, row.duplicates)
        ]
        scripts = named_shares(row.scripts)
        table.add_row(row.part, row.name, row.language, *numbers, scripts)
    return table


def _relative(check: Check, finding: Problem) -> str:
    """Write a finding with its path as seen from the data folder."""
    if finding.path != check.root and finding.path.is_relative_to(check.root):
        finding = finding._replace(path=finding.path.relative_to(check.root))
    return str(finding)


def _verdict(check: Check) -> str:
    files = counted(len(check.rows), "file")
    problems = counted(len(check.problems), "problem")
    return f"{files}, {problems}, {counted(len(check.warnings), 'warning')}"
