"""Lines as words and as tokens, and which token belongs to which word."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.similarity.encoder import Encoder
from xling.similarity.sentences import Sentences, assemble
from xling.vocabulary.bpe import UNSPACED

Ints = NDArray[np.int64]
_MARK = r"\p{P}$+<=>^`|~"
_WORD = regex.compile(rf"[{UNSPACED}]+|[{_MARK}]|[^\s{_MARK}{UNSPACED}]+")


def split_words(line: str) -> list[str]:
    """Cut a line where xling's vocabularies do: at white space and around punctuation marks.

    A run of a script that does not write spaces stays whole: cut such text into words beforehand
    and give the words.

    Example:
        >>> split_words("L'été, enfin!")
        ['L', "'", 'été', ',', 'enfin', '!']
    """
    found: list[str] = _WORD.findall(line)
    return found


@dataclass(frozen=True, eq=False)
class WordTokens:
    """N lines as W running words and T tokens.

    Attributes:
        sentences: The tokens of the lines.
        words: The words of all lines, one line after the other.
        starts: int64 array [N + 1]: line i has the words ``starts[i]:starts[i + 1]``.
        word_of: int64 array [T]: the running word that a token is part of; -1 for special tokens
            and white space.
    """

    sentences: Sentences
    words: list[str]
    starts: Ints
    word_of: Ints

    @property
    def sizes(self) -> Ints:
        """Tokens of each word: int64 array [W]; 0 where a line was cut, or for what has none."""
        return np.bincount(self.word_of[self.word_of >= 0], minlength=len(self.words))


def tokenise_words(encoder: Encoder, lines: Sequence[Sequence[str]]) -> WordTokens:
    """Tokenise lines given as words.

    The words are joined by spaces and tokenised together, so that each has the tokens that running
    text gives it, whatever the tokenizer does with spaces. A token belongs to the word that its
    last character is in. Lines are cut at the model's limit of positions.

    Args:
        encoder: Whose tokenizer and limit are used.
        lines: The words of each line, without white space inside; a line may have none.

    Raises:
        XlingError: if ``lines`` holds text that is not cut into words.
    """
    if any(isinstance(line, str) for line in lines):
        raise XlingError("expected lines as lists of words; cut text with split_words(line)")
    texts = [" ".join(words) for words in lines]
    ids, ends, truncated = _encode(encoder, texts)
    sentences = assemble(encoder, ids, truncated)
    words = list(chain.from_iterable(lines))
    starts = np.fromiter(accumulate(map(len, lines), initial=0), np.int64, len(lines) + 1)
    text_starts = np.fromiter(
        accumulate((len(text) + 1 for text in texts), initial=0), np.int64, len(texts) + 1
    )
    word_at = _word_at_character(words, np.diff(starts), int(text_starts[-1]))
    last = np.fromiter(chain.from_iterable(ends), np.int64, len(sentences.ids)) - 1
    last += np.repeat(text_starts[:-1], sentences.lengths)
    word_of = np.where(sentences.special, -1, word_at[last]) if len(last) else last
    return WordTokens(sentences, words, starts, word_of)


def _encode(encoder: Encoder, texts: list[str]) -> tuple[list[list[int]], list[list[int]], int]:
    """Token ids of every line, where in the line each token ends, and how many lines were cut."""
    if not texts:
        return [], [], 0
    tokenizer: Any = encoder.tokenizer
    limit = encoder.maximum_length
    rows = tokenizer(texts, return_offsets_mapping=True, verbose=False)
    long = [i for i, row in enumerate(rows["input_ids"]) if len(row) > limit]
    ids, offsets = list(rows["input_ids"]), list(rows["offset_mapping"])
    if long:
        options = {"truncation": True, "max_length": limit, "return_offsets_mapping": True}
        cut = tokenizer([texts[i] for i in long], verbose=False, **options)
        for i, row, places in zip(long, cut["input_ids"], cut["offset_mapping"], strict=True):
            ids[i], offsets[i] = row, places
    # Special tokens have the place (0, 0); any character of the line does for them.
    ends = [[max(end, 1) for _, end in places] for places in offsets]
    return ids, ends, len(long)


def _word_at_character(words: list[str], per_line: Ints, length: int) -> Ints:
    """Number of the word at every character of the joined lines, -1 between words."""
    sizes = np.fromiter(map(len, words), np.int64, len(words))
    # Every word is followed by one separator: a space or the line's end. A line without words
    # has an end too.
    before = np.cumsum(sizes + 1) - (sizes + 1)
    empty_lines = np.cumsum(per_line == 0)
    before += np.repeat(empty_lines, per_line)
    at = np.full(length, -1, dtype=np.int64)
    running = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    at[np.repeat(before, sizes) + running] = np.repeat(np.arange(len(words)), sizes)
    return at
