"""Finds lines that are no running text, by length, script, words and repetition."""

from functools import cache
from importlib.resources import files

import numpy as np
import regex
import yaml
from numpy.typing import NDArray

from xling.data.preparing.languages import iso_code, scripts_of
from xling.data.preparing.settings import FilterSettings
from xling.data.preparing.tokens import LineWords
from xling.files import JsonObject

Flags = NDArray[np.bool_]

_CODE_POINTS = 0x110000
_TOP, _REPEATED = range(2, 5), range(5, 11)


class LineFilter:
    """Judges lines of one language, separately for each reason to leave a line out."""

    def __init__(self, language: str, settings: FilterSettings) -> None:
        self._settings = settings
        self._scripts = scripts_of(language) if settings.script else ()
        # 1 for a letter of another script, 2 for one of the language's, 0 for what is no letter.
        self._letters = np.full(_CODE_POINTS, 255, dtype=np.uint8)
        self._limits = thresholds(language, settings.preset) if settings.preset else None

    def judge(self, lines: list[str], words: LineWords) -> dict[str, Flags]:
        """Return for each reason the lines to be left out, bool ``[L]``."""
        sizes = np.fromiter(map(len, lines), np.int64, len(lines))
        found = {
            "short": sizes < self._settings.shortest,
            "long": sizes > self._settings.longest,
        }
        if self._scripts:
            found["script"] = self._in_other_script(lines, sizes)
        if self._limits:
            judged = words.counts >= self._settings.judged_words
            found["words"] = judged & self._odd_words(words)
            found["repetition"] = judged & self._repetitive(words)
        return found

    def _in_other_script(self, lines: list[str], sizes: NDArray[np.int64]) -> Flags:
        points = np.frombuffer("".join(lines).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        self._learn(np.unique(points[self._letters[points] == 255]))
        kinds = self._letters[points]
        ends = np.append(0, np.cumsum(sizes))
        letters, own = (np.append(0, np.cumsum(kinds >= kind))[ends] for kind in (1, 2))
        return np.asarray(np.diff(own) < self._settings.script * np.diff(letters))

    def _learn(self, points: NDArray[np.uint32]) -> None:
        own = regex.compile(
            "[" + "".join(rf"\p{{Script={script}}}" for script in self._scripts) + "]"
        )
        for point in points.tolist():
            letter = chr(point)
            self._letters[point] = int(letter.isalpha()) * (1 + bool(own.match(letter)))

    def _odd_words(self, words: LineWords) -> Flags:
        assert self._limits
        lettered = words.of_types(
            np.array([any(map(str.isalpha, word)) for word in words.types], dtype=np.int64)
        )
        counts = np.maximum(words.counts, 1)
        sums = [
            np.diff(np.append(0, np.cumsum(values))[words.starts])
            for values in (words.of_types(words.lengths), lettered, words.of_types(words.unspaced))
        ]
        mean, (least, most) = sums[0] / counts, self._limits["word"]
        # In scripts without spaces, the words are single characters: their lengths say nothing.
        odd = (sums[2] == 0) & ((mean < least) | (mean > most))
        return np.asarray(odd | (sums[1] < self._limits["letters"] * counts))

    def _repetitive(self, words: LineWords) -> Flags:
        """Return which lines repeat too much; lines with too few words are not looked at."""
        assert self._limits
        found = np.zeros(len(words.counts), dtype=bool)
        looked_at = np.flatnonzero(words.counts >= self._settings.judged_words)
        for measure, sizes, limits in (
            (top_shares, _TOP, self._limits["top"]),
            (repeated_shares, _REPEATED, self._limits["repeated"]),
        ):
            for size, limit in zip(sizes, limits, strict=True):
                chosen = np.zeros(len(found), dtype=bool)
                chosen[looked_at] = True
                shares = measure(words.only(chosen), size)
                found[looked_at[shares > limit]] = True
                # A line that repeats no run of two words repeats no longer run either.
                if size == _TOP[0]:
                    looked_at = looked_at[shares > 0]
        return found


def top_shares(words: LineWords, size: int) -> NDArray[np.float64]:
    """Return each line's share of letters in the repeated run of words that takes up most of it.

    Args:
        words: The lines.
        size: Number of words in a run.

    Returns:
        float ``[L]``; runs may overlap themselves, so it can exceed 1.
    """
    letters, places, lines, firsts = _runs(words, size)
    counts = np.diff(np.append(firsts, len(places)))
    taken = (letters[places + size] - letters[places])[firsts] * counts
    most = np.zeros(len(words.counts))
    np.maximum.at(most, lines[firsts], np.where(counts > 1, taken, 0))
    return most / np.maximum(1, np.diff(letters[words.starts]))


def repeated_shares(words: LineWords, size: int) -> NDArray[np.float64]:
    """Return each line's share of letters in runs of words that occurred before in the line.

    Args:
        words: The lines.
        size: Number of words in a run.

    Returns:
        float ``[L]``.
    """
    letters, places, _, firsts = _runs(words, size)
    again = np.delete(places, firsts)
    marks = np.zeros(len(words.codes) + 1, dtype=np.int64)
    np.add.at(marks, again, 1)
    np.add.at(marks, again + size, -1)
    covered = np.append(0, np.cumsum(np.diff(letters) * (np.cumsum(marks)[:-1] > 0)))
    repeated, whole = (np.diff(sums[words.starts]) for sums in (covered, letters))
    return np.asarray(repeated / np.maximum(1, whole))


def _runs(words: LineWords, size: int) -> tuple[NDArray[np.int64], ...]:
    """Return the letters before each word, all runs' places and lines, and where groups begin.

    Runs are sorted so that equal runs of a line form a group, the earliest first.
    """
    keys, places = words.grams(size)
    lines = words.lines_of(places)
    order = np.lexsort((places, keys, lines))
    keys, places, lines = keys[order], places[order], lines[order]
    new = np.append(True, (np.diff(lines) != 0) | (keys[1:] != keys[:-1]))
    return (
        np.append(0, np.cumsum(words.of_types(words.lengths))),
        places,
        lines,
        np.flatnonzero(new[: len(places)]),
    )


def thresholds(language: str, preset: str) -> JsonObject:
    """Return a preset's thresholds for a language; Gopher's where FineWeb-2 has none."""
    known = _presets()
    return known.get(iso_code(language) if preset == "fineweb-2" else "gopher", known["gopher"])


@cache
def _presets() -> dict[str, JsonObject]:
    text = (files("xling.data.preparing") / "fineweb2.yaml").read_text("utf-8")
    content: dict[str, JsonObject] = yaml.safe_load(text)
    return content
