"""Which lines are no running text: by length, script, words and repetition."""

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import regex
import yaml
from numpy.typing import NDArray

from xling.data.preparing.languages import iso_code, scripts_of
from xling.data.preparing.settings import FilterSettings
from xling.data.preparing.tokens import LineWords, is_unspaced

Flags = NDArray[np.bool_]

_CODE_POINTS = 0x110000
_TOP, _REPEATED = range(2, 5), range(5, 11)


class LineFilter:
    """Judges lines of one language; every reason to leave a line out is counted by itself."""

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
        lengths = words.of_types(np.fromiter(map(len, words.types), np.int64, len(words.types)))
        lettered = words.of_types(
            np.array([any(map(str.isalpha, word)) for word in words.types], dtype=np.int64)
        )
        apart = words.of_types(np.array([*map(is_unspaced, words.types)], dtype=np.int64))
        counts = np.maximum(words.counts, 1)
        sums = [
            np.diff(np.append(0, np.cumsum(values))[words.starts])
            for values in (lengths, lettered, apart)
        ]
        mean, (least, most) = sums[0] / counts, self._limits["word"]
        # Characters of scripts without spaces are no words, whose lengths could be judged.
        odd = (sums[2] == 0) & ((mean < least) | (mean > most))
        return np.asarray(odd | (sums[1] < self._limits["letters"] * counts))

    def _repetitive(self, words: LineWords) -> Flags:
        assert self._limits
        found = np.zeros(len(words.counts), dtype=bool)
        # What repeats no two words repeats no more of them either.
        keys, places = words.grams(2)
        lines = words.lines_of(places)
        order = np.lexsort((keys, lines))
        same = (np.diff(lines[order]) == 0) & (np.diff(keys[order]) == 0)
        candidates = np.unique(lines[order][1:][same])
        lengths = words.of_types(np.fromiter(map(len, words.types), np.int64, len(words.types)))
        for line in candidates[words.counts[candidates] >= self._settings.judged_words].tolist():
            own = slice(words.starts[line], words.starts[line + 1])
            found[line] = self._repeats_much(words.codes[own], lengths[own])
        return found

    def _repeats_much(self, codes: NDArray[np.int64], lengths: NDArray[np.int64]) -> bool:
        assert self._limits
        for size, limit in zip(_TOP, self._limits["top"], strict=True):
            if top_share(codes, lengths, size) > limit:
                return True
        return any(
            repeated_share(codes, lengths, size) > limit
            for size, limit in zip(_REPEATED, self._limits["repeated"], strict=True)
        )


def top_share(codes: NDArray[np.int64], lengths: NDArray[np.int64], size: int) -> float:
    """Return the share of letters in the run of words that takes up most, if it comes twice.

    Args:
        codes: Which word each is, ``[N]``.
        lengths: Letters of each, ``[N]``.
        size: Words of a run.
    """
    if len(codes) < size:
        return 0.0
    runs = np.lib.stride_tricks.sliding_window_view(codes, size)
    _, first, counts = np.unique(runs, axis=0, return_index=True, return_counts=True)
    letters = np.lib.stride_tricks.sliding_window_view(lengths, size)[first].sum(axis=1)
    taken = (letters * counts)[counts > 1]
    return float(taken.max() / lengths.sum()) if len(taken) else 0.0


def repeated_share(codes: NDArray[np.int64], lengths: NDArray[np.int64], size: int) -> float:
    """Return the share of letters in runs of words that came before.

    Args:
        codes: Which word each is, ``[N]``.
        lengths: Letters of each, ``[N]``.
        size: Words of a run.
    """
    if len(codes) < size:
        return 0.0
    runs = np.lib.stride_tricks.sliding_window_view(codes, size)
    _, first, which = np.unique(runs, axis=0, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[which.ravel()] < np.arange(len(runs)))
    covered = np.zeros(len(codes), dtype=bool)
    covered[(again[:, None] + np.arange(size)).ravel()] = True
    return float(lengths[covered].sum() / lengths.sum())


def thresholds(language: str, preset: str) -> dict[str, Any]:
    """Return a preset's thresholds for a language; Gopher's where FineWeb-2 has none."""
    known = _presets()
    return known.get(iso_code(language) if preset == "fineweb-2" else "gopher", known["gopher"])


@cache
def _presets() -> dict[str, dict[str, Any]]:
    text = (files("xling.data.preparing") / "fineweb2.yaml").read_text("utf-8")
    content: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return content
