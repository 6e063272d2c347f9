"""Signs that files were mixed up: parallel lines out of order, languages or columns swapped.

The lengths of lines that mean the same correlate, so the order of lines is judged by the
correlation of their log lengths. (Measured: .75 to .98 for translations, including those of 204
languages; at most .48 with lines shifted, .11 with lines reversed.)

A language is recognised by the words of its files. The running words of a file are looked up among
the most frequent words that each language has elsewhere (in other parallel sets, domains and
tasks). The words of a dictionary's columns are mostly rare, so they are looked up among all words
of a language.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import regex
from numpy.typing import NDArray

from xling.data.findings import Check

Lengths = NDArray[np.int32]

MOST_LINES = 1 << 20  # lines of a file whose lengths are kept
_FEWEST_LINES = 40
_BLOCKS = 20
_BLOCK_LINES = 50
_JUDGED_LINES = 100  # fewest to call lines unrelated that fit in no order
_SHIFTS = tuple(shift for shift in range(-5, 6) if shift)
_FITS = 0.6  # correlation of lines that mean the same
_UNRELATED = 0.3
_BETTER = 0.25  # by how much another order must fit better


def check_order(lengths: Mapping[Path, Lengths], found: Check) -> None:
    """Warn of files of a parallel set whose lines are reversed, shifted or of another text.

    Args:
        lengths: For each file of one set, the number of characters of each line, int32 [N].
        found: Where warnings go.
    """
    logs = {path: np.log1p(values.astype(np.float64)) for path, values in lengths.items()}
    logs = {path: values for path, values in logs.items() if values.std() > 0}
    if len(logs) < 2 or min(map(len, logs.values())) < _FEWEST_LINES:
        return
    paths = list(logs)
    together = np.corrcoef(np.stack([logs[path] for path in paths]))
    # The others are compared with the file that fits most of them.
    reference = paths[int(np.median(together, axis=0).argmax())]
    for path in paths:
        if path != reference:
            fault = _misfit(logs[reference], logs[path])
            if fault:
                found.warn(path, fault[1].format(other=reference.name), fault[0])


def _misfit(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[int | None, str] | None:
    """Return the line where the order goes wrong (None: everywhere) and a message, if it does."""
    straight = _correlation(one, other)
    turned = _correlation(one, other[::-1])
    said = f"lengths of its lines and of those of {{other}} correlate by {straight:.2f}"
    advice = "line i must mean the same in every language"
    if turned > _FITS and turned - straight > _BETTER:
        return None, f"{said}, in reversed order by {turned:.2f}: are its lines reversed? {advice}"
    for start, end in _blocks(len(one)):
        a, b = one[start:end], other[start:end]
        here = _correlation(a, b)
        shift = max(_SHIFTS, key=lambda lines: _shifted(a, b, lines))
        best = _shifted(a, b, shift)
        if best > _FITS and best - here > _BETTER:
            place = "from about here lengths of its lines and of those of {other} correlate by"
            which = "later" if shift > 0 else "earlier"
            what = f"{place} {here:.2f}, with those {abs(shift)} {which} by {best:.2f}"
            return start + 1, f"{what}: have its lines shifted? {advice}"
    if straight < _UNRELATED and len(one) >= _JUDGED_LINES:
        return None, f"{said} (translations: .7 and more): is it in the same order? {advice}"
    return None


def _blocks(count: int) -> list[tuple[int, int]]:
    """Cut lines into at most 20 blocks of at least 50 lines (or one of all lines)."""
    number = max(1, min(_BLOCKS, count // _BLOCK_LINES))
    ends = np.linspace(0, count, number + 1).astype(int).tolist()
    return list(pairwise(ends))


def _shifted(one: NDArray[np.float64], other: NDArray[np.float64], lines: int) -> float:
    """Correlation of each line of ``one`` with the one ``lines`` later in ``other``."""
    if lines > 0:
        return _correlation(one[:-lines], other[lines:])
    return _correlation(one[-lines:], other[:lines])


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    x, y = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else 0.0


Words = Counter[str]

_LINES = 5_000  # lines of a file that are looked at
_FREQUENT = 300
_FEWEST = 30  # fewest words of a file to judge it by
_FEWEST_ENTRIES = 10  # few suffice: a dictionary's words all differ, and two columns must agree
_CLEAR = 0.35  # a file with this share of its language's frequent words is of that language
_LEAST = 0.15  # share of another language's frequent words to suspect that one
_TIMES = 2.0  # it must be this many times the share of the file's own language
_COLUMN_TIMES = 1.5  # the same for the columns of a dictionary
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = regex.compile(rf"[{_UNSPACED}]|[\p{{L}}\p{{M}}--[{_UNSPACED}]]+", regex.V1)


class LanguageWords:
    """The words of each language by file; in scripts without spaces, the characters."""

    def __init__(self) -> None:
        self._files: dict[str, dict[Path, Words]] = {}
        self._groups: dict[Path, str] = {}
        self._left: dict[Path, int] = {}
        self._columns: dict[Path, tuple[str, set[str], set[str]]] = {}

    def add(self, language: str, path: Path, group: str, lines: list[str]) -> None:
        """Add lines of a file; lines after its first 5,000 are ignored.

        Args:
            language: The language that the file claims.
            path: The file.
            group: Files that would be mixed up together, e.g. ``"parallel/pud"``; a language
                is recognised by its files in other groups.
            lines: The lines.
        """
        left = self._left.setdefault(path, _LINES)
        if left > 0:
            words = self._files.setdefault(language, {}).setdefault(path, Counter())
            words.update(_words(lines[:left]))
            self._left[path] = left - len(lines)
            self._groups[path] = group

    def add_entries(self, pair: str, path: Path, entries: Iterable[tuple[str, str, float]]) -> None:
        """Add entries of a dictionary ``SRC-TGT``."""
        _, sources, targets = self._columns.setdefault(path, (pair, set(), set()))
        for source, target, _ in entries:
            sources.add(source)
            targets.add(target)

    def warn(self, found: Check) -> None:
        """Warn of every file that looks like one of another language."""
        for language, files in self._files.items():
            for path, words in files.items():
                message = self._looks_foreign(language, path, words)
                if message:
                    found.warn(path, message)
        for path, (pair, sources, targets) in self._columns.items():
            message = self._looks_swapped(pair, sources, targets)
            if message:
                found.warn(path, message)

    def _looks_foreign(self, language: str, path: Path, words: Words) -> str | None:
        """Say that a file's words are probably another language's, or return None."""
        own = self._share(words, language, path) if words.total() >= _FEWEST else None
        if own is None or own >= _CLEAR:
            return None
        shares = {
            other: share
            for other in self._files
            if other != language and (share := self._share(words, other, path)) is not None
        }
        other = max(shares, key=lambda key: shares[key], default=language)
        if shares.get(other, 0.0) < max(_LEAST, _TIMES * own):
            return None
        return (
            f"{shares[other]:.0%} of its words are among the {_FREQUENT} most frequent of other "
            f"files in {other}, {own:.0%} among those in {language}; are the files of two "
            "languages exchanged?"
        )

    def _share(self, words: Words, language: str, path: Path) -> float | None:
        """Share of running words that are frequent in a language's other groups of files."""
        group = self._groups[path]
        elsewhere: Words = Counter()
        for file, counts in self._files[language].items():
            if self._groups[file] != group:
                elsewhere.update(counts)
        if elsewhere.total() < _FEWEST:
            return None
        frequent = {word for word, _ in elsewhere.most_common(_FREQUENT)}
        return sum(count for word, count in words.items() if word in frequent) / words.total()

    def _looks_swapped(self, pair: str, sources: set[str], targets: set[str]) -> str | None:
        """Say that the columns are probably swapped, or return None."""
        cuts = [place for place, sign in enumerate(pair) if sign == "-"]
        pairs = [(pair[:cut], pair[cut + 1 :]) for cut in cuts]
        known = [both for both in pairs if all(language in self._files for language in both)]
        if not known or min(len(sources), len(targets)) < _FEWEST_ENTRIES:
            return None
        one, other = known[0]
        seen = {language: set().union(*self._files[language].values()) for language in (one, other)}
        shares = {
            (column, language): _seen(words, seen[language])
            for column, words in (("source", sources), ("target", targets))
            for language in (one, other)
        }
        straight = shares["source", one] + shares["target", other]
        crossed = shares["source", other] + shares["target", one]
        if crossed < 2 * _LEAST or crossed < _COLUMN_TIMES * straight:
            return None
        return (
            f"{shares['source', other]:.0%} of the words in the first column occur in {other}, "
            f"{shares['source', one]:.0%} in {one}, and of the second column "
            f"{shares['target', one]:.0%} in {one}, {shares['target', other]:.0%} in {other}; are "
            f"the columns swapped? The first is {one}"
        )


def _words(lines: Iterable[str]) -> list[str]:
    found: list[str] = _WORD.findall("\n".join(lines).lower())
    return found


def _seen(entries: set[str], words: set[str]) -> float:
    """Share of a column's entries whose words all occur."""
    units = [set(_words([entry])) for entry in entries]
    return sum(bool(unit) and unit <= words for unit in units) / len(units)
