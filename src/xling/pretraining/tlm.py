"""Rows of parallel text for translation language modelling (Lample and Conneau, 2019).

A row is ``[CLS] source [SEP] target [SEP]``, filled with the pairs of lines that follow. A
target has the positions of its source, and the next source begins where the longer of the two
ended, so that the model sees what stands beside what.
"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.randomness import derive_seed, permuted
from xling.tokens.tokenise import Encoder, id_dtype
from xling.vocabulary.vocabulary import Vocabulary


class PairedRows(NamedTuple):
    """Rows and the position of each token, int64 ``[B, T - 1]``: [CLS] is not among them."""

    ids: np.ndarray
    places: np.ndarray


class ParallelText:
    """The lines of parallel sets in one direction, a source and its target in turn.

    It is held in memory, about ten bytes per token.

    Args:
        source: Each source line's ids, followed by the separator, one after the other.
        target: The same of the target lines.
        separator: Id of [SEP].

    Attributes:
        pairs: Number of pairs of lines.
    """

    def __init__(self, source: np.ndarray, target: np.ndarray, separator: int) -> None:
        lengths_2N = np.stack([_line_lengths(side, separator) for side in (source, target)])
        self.pairs = lengths_2N.shape[1]
        lengths = lengths_2N.T.reshape(-1)
        within = _runs(lengths)
        sides = np.repeat(np.arange(len(lengths)) % 2, lengths)
        self._ids = np.empty(len(within), dtype=source.dtype)
        for number, side in enumerate((source, target)):
            self._ids[sides == number] = side
        # Where each pair begins in a row that held all of them.
        longest = lengths_2N.max(axis=0)
        bases = np.cumsum(longest) - longest
        self._bases = bases
        self._places = np.repeat(np.repeat(bases, 2), lengths) + within
        self._width = int(longest.sum())
        self._starts = np.cumsum(lengths_2N.sum(axis=0)) - lengths_2N.sum(axis=0)

    def rows(self, numbers: np.ndarray, length: int, seed: int, purpose: str) -> PairedRows:
        """Return rows ``numbers`` of an endless sequence; each begins with another pair.

        In an epoch every pair begins one row. After the last pair comes the first.

        Args:
            numbers: Which rows, int ``[B]``.
            length: Tokens per row, without [CLS].
            seed: The run's.
            purpose: Keeps directions independent.
        """
        heads = np.empty(len(numbers), dtype=np.int64)
        epochs = numbers // self.pairs
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            key = derive_seed(seed, f"order of {purpose}", epoch)
            heads[here] = permuted(numbers[here] % self.pairs, self.pairs, key)
        at_BT = self._starts[heads, None] + np.arange(length)
        rounds_BT, at_BT = np.divmod(at_BT, len(self._ids))
        places_BT = self._places[at_BT] + rounds_BT * self._width - self._bases[heads, None]
        return PairedRows(self._ids[at_BT].astype(np.int64), places_BT + 1)


def parallel_files(
    data: DataFolder, sets: Sequence[str], languages: Sequence[str]
) -> dict[str, Path]:
    """Return the files of the sets by name (``parallel/NAME/LANG``).

    Raises:
        XlingError: A set lacks one of the languages.
    """
    files: dict[str, Path] = {}
    for name in sets:
        for language in languages:
            path = plain_or_gzipped(data.root / "parallel" / name / f"{language}.txt")
            if path is None:
                there = ", ".join(data.parallel_sets(*languages)) or "none"
                raise XlingError(
                    f"{data.root / 'parallel' / name}: no {language}.txt; tlm.sets needs sets with "
                    f"{', '.join(languages)} (there are: {there})"
                )
            files[f"parallel/{name}/{language}"] = path
    return files


def load_parallel_text(
    data: DataFolder, sets: Sequence[str], vocabulary: Vocabulary, languages: Sequence[str]
) -> Mapping[tuple[str, str], ParallelText]:
    """Tokenise the sets and return their text in every direction, by (source, target).

    Raises:
        XlingError: A set lacks a language, or its line counts differ.
    """
    parallel_files(data, sets, languages)
    separator = vocabulary.special_ids.sep
    lines: dict[str, list[str]] = {language: [] for language in languages}
    for name in sets:
        for language, found in data.parallel(name, *languages).items():
            lines[language] += found
    ids = {
        language: Encoder(
            vocabulary.tokenizer(language), separator, id_dtype(vocabulary.size)
        ).encode(lines[language])
        for language in languages
    }
    return {
        (source, target): ParallelText(ids[source], ids[target], separator)
        for source, target in permutations(languages, 2)
    }


def _line_lengths(ids: np.ndarray, separator: int) -> np.ndarray:
    """Return the tokens of each line, its separator included."""
    return np.diff(np.flatnonzero(ids == separator), prepend=-1)


def _runs(lengths: np.ndarray) -> np.ndarray:
    """Return 0 .. n - 1 for each length n, one after the other."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
