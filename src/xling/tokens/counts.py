"""What is counted of a language while its train streams are written."""

from collections import Counter

import numpy as np

from xling.tokens.chunk import Tokens
from xling.tokens.words import WordCounts

_MOST_CHARACTERS = 10_000


class LanguageCounts:
    """Counts over all train streams of a language.

    Args:
        size: Number of ids, V.

    Attributes:
        ids: Occurrences of every id, int64 ``[V]``; [SEP] counts the lines.
        lines: Number of lines.
        characters: Running characters, white space included.
        words: Its words.
        unknown_characters: Characters outside the alphabet and their occurrences.
    """

    def __init__(self, size: int) -> None:
        self.ids = np.zeros(size, dtype=np.int64)
        self.lines = 0
        self.characters = 0
        self.words = WordCounts()
        self.unknown_characters: Counter[str] = Counter()

    def add(self, tokens: Tokens) -> None:
        """Add one piece of a stream."""
        self.ids += np.bincount(tokens.ids, minlength=len(self.ids))
        self.lines += tokens.lines
        self.characters += tokens.characters
        self.words.add(tokens.words)
        self.unknown_characters += tokens.unknown_characters
        if len(self.unknown_characters) > _MOST_CHARACTERS:
            kept = self.unknown_characters.most_common(_MOST_CHARACTERS // 2)
            self.unknown_characters = Counter(dict(kept))
