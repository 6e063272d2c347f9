"""Lines of text that hold sentences on which models are measured.

A line is left out if it is an evaluation sentence, or if it shares twelve words in a row with one.
So a sentence inside a paragraph, or most of one, is found too. Sentences are those of the parallel
sets and of the dev and test files of every task. They count in all languages, since they translate
each other and English ones occur in French text. In scripts without spaces, where words are
characters here, it takes twice as many in a row.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xling.data.layout import TASKS, DataFolder
from xling.data.lines import read_lines
from xling.data.preparing.tokens import Keys, LineWords
from xling.files import plain_or_gzipped

WORDS = 12
# Short lines ("Yes.", a heading) recur without anyone having copied a test set.
_LEAST_LETTERS = 20
_BATCH = 20_000
_KINDS = ("whole", "words", "characters")


class Contamination:
    """The hashes of evaluation sentences and of their runs of words.

    Args:
        whole: Of whole sentences, sorted.
        words: Of runs of 12 words, sorted.
        characters: Of runs of 24 characters of scripts without spaces, sorted.
    """

    def __init__(self, whole: Keys, words: Keys, characters: Keys) -> None:
        self._whole, self._words, self._characters = map(_Lookup, (whole, words, characters))

    @classmethod
    def of(cls, sentences: Iterable[str]) -> "Contamination":
        """Collect sentences, in batches."""
        found: dict[str, list[Keys]] = {kind: [] for kind in _KINDS}
        stream = iter(sentences)
        while batch := list(islice(stream, _BATCH)):
            words = LineWords.of(batch)
            found["whole"].append(words.letters[_is_long(words)])
            before = np.append(0, np.cumsum(words.of_types(words.unspaced)))
            for kind, length in (("words", WORDS), ("characters", 2 * WORDS)):
                keys, places = words.grams(length)
                mostly = before[places + length] - before[places] > length // 2
                found[kind].append(keys[mostly if kind == "characters" else ~mostly])
        empty = [np.zeros(0, dtype=np.uint64)]
        return cls(*(np.unique(np.concatenate([*found[kind], *empty])) for kind in _KINDS))

    @classmethod
    def load(cls, path: Path) -> "Contamination":
        """Read what `save` wrote."""
        with np.load(path) as file:
            return cls(*(file[kind] for kind in _KINDS))

    def save(self, path: Path) -> None:
        """Write the hashes."""
        with open(path, "wb") as file:
            np.savez(
                file,
                whole=self._whole.keys,
                words=self._words.keys,
                characters=self._characters.keys,
            )

    def find(self, words: LineWords) -> NDArray[np.bool_]:
        """Return which lines hold a sentence, bool ``[L]``."""
        found = self._whole.has(words.letters) & _is_long(words)
        for length, known in ((WORDS, self._words), (2 * WORDS, self._characters)):
            if len(known.keys):
                keys, places = words.grams(length)
                found[words.lines_of(places[known.has(keys)])] = True
        return found


class _Lookup:
    """A set of hashes, for queries that are mostly not in it.

    Args:
        keys: Sorted.
    """

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        bits = min(24, 3 + max(1, len(keys)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._begun = np.zeros(1 << bits, dtype=np.bool_)
        self._begun[keys >> self._shift] = True

    def has(self, keys: Keys) -> NDArray[np.bool_]:
        """Return which keys are in the set; looking at their first bits settles nearly all."""
        found: NDArray[np.bool_] = self._begun[keys >> self._shift]
        maybe = np.flatnonzero(found)
        places = np.searchsorted(self.keys, keys[maybe])
        found[maybe] = self.keys[np.minimum(places, len(self.keys) - 1)] == keys[maybe]
        return found


def evaluation_sentences(folder: DataFolder) -> Iterator[str]:
    """Yield every sentence of a folder's parallel sets and of its tasks' dev and test files."""
    for name in folder.parallel_sets():
        for language in folder.set_languages("parallel", name):
            path = plain_or_gzipped(folder.root / "parallel" / name / f"{language}.txt")
            if path:
                yield from read_lines(path)
    for part, task in TASKS.items():
        for language in folder.task_languages(part):
            for split in folder.splits(part, language):
                if split != "train":
                    for record in task.read(folder.task(part, language, split)):
                        yield from task.sentences(record)


def _is_long(words: LineWords) -> NDArray[np.bool_]:
    """Return which lines have enough letters; in a script without spaces, each counts as three."""
    sizes = words.of_types(np.where(words.unspaced, 3, words.lengths))
    running = np.append(0, np.cumsum(sizes))
    return np.asarray(np.diff(running[words.starts]) >= _LEAST_LETTERS)
