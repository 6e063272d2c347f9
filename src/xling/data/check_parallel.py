"""Checks of a parallel set beyond those of its single files.

The lengths of lines that mean the same correlate, so the order of lines is judged by the
correlation of the logarithms of their lengths. (Measured: .75 to .98 for translations, 204
languages among them, at most .48 with lines shifted, .11 reversed.)
"""

from collections.abc import Mapping
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xling.data.findings import Check
from xling.data.layout import DataFolder
from xling.data.lines import read_lines
from xling.data.parallel_words import read_links_of, read_words
from xling.files import plain_or_gzipped

Lengths = NDArray[np.int32]

MOST_LINES = 1 << 20  # whose lengths are kept of a file
_FEWEST_LINES = 40
_BLOCKS = 20
_BLOCK_LINES = 50
_JUDGED_LINES = 100  # to say of lines that fit in no order that they are unrelated
_SHIFTS = tuple(shift for shift in range(-5, 6) if shift)
_FITS = 0.6  # correlation of lines that mean the same
_UNRELATED = 0.3
_BETTER = 0.25  # by how much another order must fit better


def check_words_and_links(data: DataFolder, name: str, found: Check) -> None:
    """Read the words and word alignments of a parallel set, and find those that nothing reads."""
    folder = data.root / "parallel" / name
    languages = data.set_languages("parallel", name)
    lines = {language: plain_or_gzipped(folder / f"{language}.txt") for language in languages}
    sizes: dict[str, list[int]] = {}
    read: set[Path] = set()
    for language, path in lines.items():
        words = data.words_file(name, language)
        assert path is not None
        if words is not None:
            read.add(words)
            sizes[language] = [len(line) for line in read_words(words, path, found.report)]
    for one, other in permutations(languages, 2):
        links = data.links_file(name, one, other)
        if links is None:
            continue
        read.add(links)
        for language in (one, other):
            if not sizes.get(language):
                sizes[language] = _white_space_words(lines[language])
        pairs = list(zip(sizes[one], sizes[other], strict=False))
        if len(sizes[one]) == len(sizes[other]):
            for _ in read_links_of(links, pairs, found.report):
                pass
    for path in sorted(folder.iterdir()):
        plain = path.name.removesuffix(".gz")
        if plain.endswith((".words", ".align")) and path not in read and plain[0] != ".":
            expected = "LANG.words" if plain.endswith(".words") else "SRC-TGT.align"
            message = f"not read: expected {expected} of languages that have LANG.txt here"
            found.warn(path, message)


def _white_space_words(path: Path | None) -> list[int]:
    assert path is not None
    return [len(line.split()) for line in read_lines(path, lambda problem: None)]


def check_order(lengths: Mapping[Path, Lengths], found: Check) -> None:
    """Warn of files of a parallel set whose lines are reversed, shifted or of another text.

    Args:
        lengths: For each file of one set the characters of its lines, int32 [N].
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
    """Say what is wrong with the order of a file's lines: the line where it begins, the message."""
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
    """Cut lines into at most 20 stretches of at least 50 (or one of all)."""
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
