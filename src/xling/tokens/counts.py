"""Counts of a language, made while its train streams are written."""

import io
from collections import Counter
from pathlib import Path

import numpy as np

from xling.artefact import check_file
from xling.errors import XlingError
from xling.files import atomic_file
from xling.tokens.chunk import Tokens
from xling.tokens.words import WordCounts
from xling.vocabulary.anchor_kinds import TokenUse

_MOST_CHARACTERS = 10_000
_COUNTS = "counts.npy"


def save_counts(folder: Path, language: str, counts: np.ndarray) -> None:
    """Write how often each id occurs in a language's train streams, int64 ``[V]``."""
    buffer = io.BytesIO()  # numpy's own errors of a file do not say that the disk is full
    np.save(buffer, counts)
    with atomic_file(folder / language / _COUNTS, "wb") as file:
        file.write(buffer.getvalue())


def load_counts(folder: Path, language: str, size: int) -> np.ndarray:
    """Read how often each id occurs in a language's train streams, int64 ``[V]``.

    Args:
        folder: Of the token streams.
        language: The language.
        size: Its number of ids, V.

    Raises:
        XlingError: They are missing, damaged, or of another vocabulary.
    """
    path = folder / language / _COUNTS
    check_file(path)
    try:
        if not path.is_file():
            raise ValueError("no file there")
        counts = np.load(path, allow_pickle=False)
        if counts.shape != (size,):
            raise ValueError(f"{counts.shape} counts for {size} ids")
    except (OSError, ValueError, EOFError) as error:
        raise XlingError(
            f"{path}: not the counts of these tokens ({error}); delete {folder} and run `xling "
            "tokens` again"
        ) from None
    return np.asarray(counts)


class LanguageCounts:
    """Counts over all train streams of a language.

    Args:
        word_starts: Which ids begin a word, bool ``[V]``.
        breaks: Which ids are punctuation marks or [SEP], bool ``[V]``.
        separator: Id of [SEP].

    Attributes:
        use: How the text uses every id; [SEP] counts the lines.
        lines: Number of lines.
        characters: Running characters, white space included.
        words: Its words.
        unknown_characters: Characters outside the alphabet and their occurrences.
    """

    def __init__(self, word_starts: np.ndarray, breaks: np.ndarray, separator: int) -> None:
        self._marks = word_starts, breaks, separator
        self.use = TokenUse.of(np.empty(0, dtype=np.int64), *self._marks)
        self.lines = 0
        self.characters = 0
        self.words = WordCounts()
        self.unknown_characters: Counter[str] = Counter()

    @property
    def ids(self) -> np.ndarray:
        """Occurrences of every id, int64 ``[V]``."""
        return self.use.counts

    def add(self, tokens: Tokens) -> None:
        """Add one piece of a stream."""
        self.use += TokenUse.of(tokens.ids, *self._marks)
        self.lines += tokens.lines
        self.characters += tokens.characters
        self.words.add(tokens.words)
        self.unknown_characters += tokens.unknown_characters
        if len(self.unknown_characters) > _MOST_CHARACTERS:
            kept = self.unknown_characters.most_common(_MOST_CHARACTERS // 2)
            self.unknown_characters = Counter(dict(kept))
