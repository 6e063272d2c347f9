"""What is counted of a language while its train streams are written."""

from collections import Counter

import numpy as np

from xling.tokens.chunk import Tokens
from xling.tokens.words import WordCounts
from xling.vocabulary.anchor_kinds import TokenUse

_MOST_CHARACTERS = 10_000


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
